/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one writer of a region: transactions over the table entries of fastpath/region.h.
 *
 * Used by culvert-xdp (region: the BPF arena), by culvertd (plain memory: its own copy, which
 * answers DNS over TCP and is compared with the data planes'), and by tests. Not thread-safe.
 * A data plane may be killed at any instruction: tables_open() on a region that holds one takes
 * over the last committed generation, drops what was not committed and finds the free memory by
 * walking what is reachable.
 */
#ifndef CULVERT_TABLES_TABLES_H
#define CULVERT_TABLES_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/fastpath/region.h"

struct tables;

#define TABLES_BODY_MAX ((1u << 20) - sizeof(struct fp_key)) /* bytes of an entry's body */

struct tables_options {
    void *base;           /* page-aligned, zeroed when new */
    size_t size;          /* bytes, at most 4 GiB */
    unsigned cpus;        /* counter blocks; 0: no counters, meters and flows (culvertd's copy) */
    unsigned meters_log2; /* lines of 4 meters; 0: default 2^16 */
    unsigned flows_log2;  /* lines of 8 flows; 0: default 2^14 */
    /* Returns when no reader can hold what was replaced before the call. NULL: at once. */
    void (*grace)(void *arg);
    void *grace_arg;
    /* True when a region found in place was taken over (set by tables_open). */
    bool recovered;
};

/* Opens the region: formats it when it holds none, else recovers. Returns 0 and a handle that the
 * caller ends with tables_close(); CULVERT_ELAYOUT: a region of another layout, CULVERT_ECORRUPT:
 * no region of ours (nothing changed in either case); CULVERT_EINVAL: too small; CULVERT_ENOMEM. */
int tables_open(struct tables **out, struct tables_options *options);
void tables_close(struct tables *tables); /* the region itself stays */

/* One transaction at a time. put/delete are invisible to readers until commit. A body is copied.
 * On any error the transaction goes on holding what succeeded; the caller aborts it.
 * CULVERT_EFULL: the region is full. CULVERT_EINVAL: a bad kind, number or length. */
int tables_begin(struct tables *tables);
int tables_put(struct tables *tables, const struct fp_key *key, const void *body, size_t length);
int tables_delete(struct tables *tables, const struct fp_key *key); /* absent: no error */
int tables_commit(struct tables *tables, uint64_t site_generation);
void tables_abort(struct tables *tables);
bool tables_is_open(const struct tables *tables); /* a transaction is under way */

/* Frees what was replaced before the call, after one call of grace(), at the start. Called by
 * begin when needed; a driver calls it when idle, so that the next begin doesn't wait. True: what
 * went out of use only now (tombstones) is freed by another call, or at the next begin. */
bool tables_reclaim(struct tables *tables);

/* Puts or deletes an entry that is local to the data plane (NEXTHOP), outside of transactions,
 * visible at once. */
int tables_put_local(struct tables *tables, const struct fp_key *key, const void *body,
                     size_t length);
int tables_delete_local(struct tables *tables, const struct fp_key *key);

/* The committed (or, inside a transaction, the staged) entry's body, or NULL. Valid until the
 * next call that changes the entry. */
const void *tables_get(struct tables *tables, const struct fp_key *key, size_t *length);

/* Calls `each` for every committed entry of a kind (of all kinds: FP_KIND_COUNT), in no order;
 * stops at the first non-zero return and returns it. No change from inside. */
typedef int (*tables_each_fn)(void *arg, const struct fp_key *key, const void *body, size_t length);
int tables_each(struct tables *tables, enum fp_kind kind, tables_each_fn each, void *arg);

/* Walks the committed entries of all kinds in pieces: a zeroed cursor starts; false at the end.
 * Changes between two calls may make it skip or repeat entries, index growth too. */
struct tables_cursor {
    uint32_t kind, at, way;
};
bool tables_next(struct tables *tables, struct tables_cursor *cursor, struct fp_key *key,
                 const void **body, size_t *length);

/* The committed entry's body, or NULL; also inside a transaction. */
const void *tables_get_committed(struct tables *tables, const struct fp_key *key, size_t *length);

/* Calls `each` with the keys that the last committed transaction put or deleted; only until the
 * next tables_begin() or tables_reclaim(). Stops at the first non-zero return and returns it. */
int tables_changes(struct tables *tables, int (*each)(void *arg, const struct fp_key *key),
                   void *arg);

/* Digest of one entry, and of all committed entries by part (the part of a key is
 * tables_part(key)); a part's digest is the sum of its entries', kept up as entries change. Local
 * kinds are left out. */
#define TABLES_PARTS 256
unsigned tables_part(const struct fp_key *key);
uint64_t tables_entry_digest(const struct fp_key *key, const void *body, size_t length);
const uint64_t *tables_digests(const struct tables *tables);

/* The control plane's number of the last commit; the region's first byte. */
uint64_t tables_site_generation(const struct tables *tables);
void *tables_base(const struct tables *tables);

struct tables_usage {
    size_t region;  /* bytes of the region's address range */
    size_t used;    /* bytes in live records, index and fixed arrays */
    size_t free;    /* bytes free for records */
    size_t entries; /* committed, by all kinds */
    size_t kind[FP_KIND_COUNT];
};
void tables_usage(const struct tables *tables, struct tables_usage *usage);

/* Sum over CPUs of one counter: `array` is the offset of a member array in struct fp_counters. */
struct fp_counter tables_counter(const struct tables *tables, size_t array, unsigned number);

/* Calls `each` for every counter that is not zero, summed over CPUs, of the numbers that are in
 * use (or were since the region was opened). `array` as above. */
typedef void (*tables_stats_fn)(void *arg, size_t array, unsigned number,
                                const struct fp_counter *counter);
void tables_stats(const struct tables *tables, tables_stats_fn each, void *arg);

#endif
