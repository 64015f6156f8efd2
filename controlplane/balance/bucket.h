/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bucket tables: which backend each bucket of a pool names. Computed from the table before, so
 * that each backend's share is exact and the least possible number of buckets moves. Pure and
 * deterministic: no clock, no randomness.
 */
#ifndef CULVERT_BALANCE_BUCKET_H
#define CULVERT_BALANCE_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKET_LOG2_MIN 6u
#define BUCKET_LOG2_MAX 16u
#define BUCKET_WEIGHT_MAX 1000u

struct bucket_backend {
    uint16_t number; /* not 0; strictly ascending in an array of these */
    uint16_t weight; /* 0..BUCKET_WEIGHT_MAX; 0 gets no buckets */
    bool keeps;      /* alive: buckets that move away from it keep their flows for a time */
};

/* The table of a pool. `bucket` as in struct fp_pool: backend | previous << 16. `until` names the
 * end of each bucket's mark, wall-clock milliseconds; NULL while no bucket has one. */
struct bucket_table {
    uint32_t log2;
    uint32_t *bucket; /* 1 << log2 */
    int64_t *until;
};

void bucket_free(struct bucket_table *table); /* and zeroes it */

int bucket_copy(struct bucket_table *to, const struct bucket_table *from); /* or CULVERT_ENOMEM */

/* log2 of the table for that many backends when the site file names no size: at least 128 times
 * the backends, 2^10..2^16. */
uint32_t bucket_size_log2(size_t backends);

/* Computes the table that follows `before` (NULL: none) for `backends` in `*after`, which the
 * caller ends with bucket_free(). A larger `log2` than before doubles in place (bucket i also
 * becomes i + n: the same flows go to the same backends); a smaller one halves: the upper half is
 * dropped. A bucket that moves from a backend that `keeps` is marked with it until `now + drain`
 * (drain 0: not marked). Marks before `now` end. Returns the number of buckets whose backend
 * changed or CULVERT_ENOMEM. */
int bucket_assign(struct bucket_table *after, const struct bucket_table *before, uint32_t log2,
                  const struct bucket_backend *backends, size_t count, int64_t now, int64_t drain);

/* Takes off marks whose time is over. Returns how many. */
size_t bucket_expire(struct bucket_table *table, int64_t now);

/* When the first mark ends, or -1: no mark. */
int64_t bucket_deadline(const struct bucket_table *table);

#endif
