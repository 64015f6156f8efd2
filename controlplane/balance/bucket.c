/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/balance/bucket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

/* The work of one assignment. Backends are named by their place in the array; `none` is one past
 * it. */
struct assignment {
    const struct bucket_backend *backends;
    uint32_t count, none;
    uint32_t size;   /* buckets */
    uint32_t *owner; /* by bucket: the backend's place, or `none`: gone, or no backend before */
    uint32_t *have;  /* by place: buckets owned */
    uint32_t *quota; /* by place: buckets to own in the end */
    uint64_t total;  /* weights */
};

void bucket_free(struct bucket_table *table)
{
    free(table->bucket);
    free(table->until);
    *table = (struct bucket_table){0};
}

uint32_t bucket_size_log2(size_t backends)
{
    uint32_t log2 = 10;

    while (log2 < BUCKET_LOG2_MAX && ((size_t)1 << log2) / 128 < backends)
        log2++;
    return log2;
}

static uint32_t backend_place(const struct bucket_backend *backends, uint32_t count,
                              uint32_t number)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (backends[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && backends[low].number == number ? low : count;
}

/* The table before, at the new size: the start from which buckets move. */
static int table_resize(struct bucket_table *table, const struct bucket_table *before,
                        uint32_t log2)
{
    uint32_t size = 1u << log2, mask = before ? (1u << before->log2) - 1 : 0;

    *table = (struct bucket_table){.log2 = log2, .bucket = calloc(size, sizeof(uint32_t))};
    if (!table->bucket)
        return CULVERT_ENOMEM;
    if (!before)
        return 0;
    for (uint32_t i = 0; i < size; i++)
        table->bucket[i] = before->bucket[i & mask];
    if (!before->until)
        return 0;
    table->until = calloc(size, sizeof(int64_t));
    if (!table->until) {
        bucket_free(table);
        return CULVERT_ENOMEM;
    }
    for (uint32_t i = 0; i < size; i++)
        table->until[i] = before->until[i & mask];
    return 0;
}

int bucket_copy(struct bucket_table *to, const struct bucket_table *from)
{
    return table_resize(to, from, from->log2);
}

struct rest {
    uint32_t place, have;
    uint64_t rest; /* of weight * size / total */
};

/* Who gets one of the buckets that rounding left: by what costs the fewest moves first. A backend
 * that owns more than its rounded-down share keeps one; then the largest rest; then the order. */
static int rest_compare(const void *x, const void *y)
{
    const struct rest *a = x, *b = y;

    if (a->have != b->have)
        return a->have > b->have ? -1 : 1;
    if (a->rest != b->rest)
        return a->rest > b->rest ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* Each share is the exact one rounded down or up; which ones are rounded up is free, and chosen
 * so that the least moves: moving is least when the sum of min(have, quota) is greatest, and one
 * more bucket of quota adds to it exactly for a backend that has more than its lower share. */
static int quotas_choose(struct assignment *work)
{
    struct rest *rests = calloc(work->count ? work->count : 1, sizeof(*rests));
    uint32_t given = 0, candidates = 0;

    if (!rests)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; i < work->count; i++) {
        uint64_t exact = (uint64_t)work->backends[i].weight * work->size;

        work->quota[i] = work->total ? (uint32_t)(exact / work->total) : 0;
        given += work->quota[i];
        if (work->total && exact % work->total)
            rests[candidates++] = (struct rest){
                .place = i, .have = work->have[i] > work->quota[i], .rest = exact % work->total};
    }
    qsort(rests, candidates, sizeof(*rests), rest_compare);
    for (uint32_t i = 0; work->total && given < work->size; i++, given++) {
        assert(i < candidates);
        work->quota[rests[i].place]++;
    }
    free(rests);
    return 0;
}

/* Spreads multiples over the table: taking buckets in this order keeps what one backend gives up
 * and what one backend takes away from clustering in one stretch. Odd, so a permutation. */
static uint32_t bucket_order(uint32_t i, uint32_t size)
{
    return (i * 0x9e3779b1u) & (size - 1);
}

/* Gives up surplus buckets and hands free ones to those below their quota, each in turn by how far
 * it is behind, so that every backend's buckets lie spread. */
static void buckets_move(struct assignment *work)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < work->size; i++) {
        uint32_t at = bucket_order(i, work->size), owner = work->owner[at];

        if (owner != work->none && work->have[owner] > work->quota[owner]) {
            work->have[owner]--;
            work->owner[at] = work->none;
        }
    }
    for (uint32_t i = 0; work->total && i < work->size; i++) {
        uint32_t at = bucket_order(i, work->size);

        if (work->owner[at] != work->none)
            continue;
        for (uint32_t tries = 0; work->have[next] >= work->quota[next]; tries++) {
            assert(tries < work->count); /* quotas sum up to the size */
            next = (next + 1) % work->count;
        }
        work->owner[at] = next;
        work->have[next]++;
        next = (next + 1) % work->count;
    }
}

/* The bucket's new value and mark. A flow that is there now is known to go: by the flow table to
 * the owner of before (SYNs while the bucket moved), else to the one that the mark names. So a mark
 * whose backend lives is kept when the bucket moves again, and also when it moves back to it. */
static uint32_t bucket_mark(const struct assignment *work, uint32_t old, uint32_t number,
                            int64_t *until, int64_t now, int64_t drain)
{
    uint32_t owner = old & 0xffff, previous = old >> 16, place;

    if (previous && *until <= now)
        previous = 0;
    place = backend_place(work->backends, work->count, previous);
    if (previous && (place == work->count || !work->backends[place].keeps))
        previous = 0;
    if (owner == number) {
        if (!previous)
            *until = 0;
        return number | previous << 16;
    }
    place = backend_place(work->backends, work->count, owner);
    if (!previous && place < work->count && work->backends[place].keeps)
        previous = owner;
    if (!previous || drain <= 0) {
        *until = 0;
        return number;
    }
    *until = now + drain;
    return number | previous << 16;
}

/* Writes the owners into the table. Returns how many buckets changed, or CULVERT_ENOMEM. */
static int table_write(const struct assignment *work, struct bucket_table *table, int64_t now,
                       int64_t drain)
{
    bool marked = false;
    int moved = 0;

    if (!table->until) {
        table->until = calloc(work->size, sizeof(int64_t));
        if (!table->until)
            return CULVERT_ENOMEM;
    }
    for (uint32_t i = 0; i < work->size; i++) {
        uint32_t place = work->owner[i], old = table->bucket[i];
        uint32_t number = place == work->none ? 0 : work->backends[place].number;

        table->bucket[i] = bucket_mark(work, old, number, &table->until[i], now, drain);
        moved += (old & 0xffff) != number;
        marked |= table->until[i] != 0;
    }
    if (!marked) {
        free(table->until);
        table->until = NULL;
    }
    return moved;
}

static int assignment_run(struct assignment *work, struct bucket_table *table, int64_t now,
                          int64_t drain)
{
    int error;

    for (uint32_t i = 0; i < work->count; i++)
        work->total += work->backends[i].weight;
    for (uint32_t i = 0; i < work->size; i++) {
        uint32_t owner = table->bucket[i] & 0xffff;
        uint32_t place = backend_place(work->backends, work->count, owner);

        work->owner[i] = place;
        if (place != work->none)
            work->have[place]++;
    }
    error = quotas_choose(work);
    if (error)
        return error;
    buckets_move(work);
    return table_write(work, table, now, drain);
}

int bucket_assign(struct bucket_table *after, const struct bucket_table *before, uint32_t log2,
                  const struct bucket_backend *backends, size_t count, int64_t now, int64_t drain)
{
    struct assignment work = {.backends = backends,
                              .count = (uint32_t)count,
                              .none = (uint32_t)count,
                              .size = 1u << log2};
    struct bucket_table table;
    int result;

    assert(log2 >= BUCKET_LOG2_MIN && log2 <= BUCKET_LOG2_MAX && count <= UINT16_MAX);
    if (table_resize(&table, before, log2))
        return CULVERT_ENOMEM;
    work.owner = calloc(work.size, sizeof(uint32_t));
    work.have = calloc(count ? count : 1, sizeof(uint32_t));
    work.quota = calloc(count ? count : 1, sizeof(uint32_t));
    result = work.owner && work.have && work.quota ? assignment_run(&work, &table, now, drain)
                                                   : CULVERT_ENOMEM;
    free(work.owner);
    free(work.have);
    free(work.quota);
    if (result < 0)
        bucket_free(&table);
    else
        *after = table;
    return result;
}

size_t bucket_expire(struct bucket_table *table, int64_t now)
{
    size_t expired = 0, left = 0;

    for (uint32_t i = 0; table->until && i < 1u << table->log2; i++) {
        if (!table->until[i])
            continue;
        if (table->until[i] > now) {
            left++;
            continue;
        }
        table->until[i] = 0;
        table->bucket[i] &= 0xffff;
        expired++;
    }
    if (!left) {
        free(table->until);
        table->until = NULL;
    }
    return expired;
}

int64_t bucket_deadline(const struct bucket_table *table)
{
    int64_t first = -1;

    for (uint32_t i = 0; table->until && i < 1u << table->log2; i++)
        if (table->until[i] && (first < 0 || table->until[i] < first))
            first = table->until[i];
    return first;
}
