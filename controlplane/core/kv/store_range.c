/* SPDX-License-Identifier: Apache-2.0 */
/* Range reads: as they come, or collected and sorted when an order is asked for. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

/* Pairs being sorted; of a limited range only the first ones are kept. */
struct sorted {
    struct kv_pair *list;
    size_t count, capacity;
    struct arena arena;
};

int kv_range_check(struct kv_work *work, const struct kv_range *range)
{
    if (range->revision > work->start)
        return kv_refuse(work, CULVERT_EFUTURE);
    if (range->revision && range->revision < work->meta.compacted)
        return kv_refuse(work, CULVERT_ECOMPACTED);
    return 0;
}

static bool filtered(const struct kv_range *range, const struct kv_pair *pair)
{
    return (range->min_mod && pair->mod < range->min_mod) ||
           (range->max_mod && pair->mod > range->max_mod) ||
           (range->min_create && pair->create < range->min_create) ||
           (range->max_create && pair->create > range->max_create);
}

static int order_numbers(uint64_t x, uint64_t y)
{
    return (x > y) - (x < y);
}

static int order_pairs(const void *left, const void *right, void *arg)
{
    const struct kv_pair *x = left, *y = right;
    const struct kv_range *range = arg;
    int order = 0;

    switch (range->target) {
    case KV_BY_VERSION:
        order = order_numbers(x->version, y->version);
        break;
    case KV_BY_CREATE:
        order = order_numbers(x->create, y->create);
        break;
    case KV_BY_MOD:
        order = order_numbers(x->mod, y->mod);
        break;
    case KV_BY_VALUE:
        order = kv_compare_bytes(x->value, y->value);
        break;
    default:
        break;
    }
    if (!order)
        order = kv_compare_bytes(x->key, y->key);
    return range->order == KV_ORDER_DESCEND ? -order : order;
}

static void sort(struct sorted *sorted, const struct kv_range *range)
{
    if (sorted->count)
        qsort_r(sorted->list, sorted->count, sizeof(*sorted->list), order_pairs, (void *)range);
}

/* Forgets all but the first pairs that the range is limited to, and their memory. */
static int sorted_cut(struct sorted *sorted, const struct kv_range *range)
{
    struct arena kept = {0};

    sort(sorted, range);
    sorted->count = (size_t)range->limit + 1;
    for (size_t i = 0; i < sorted->count; i++) {
        struct kv_pair *pair = &sorted->list[i];

        pair->key.data =
            (const uint8_t *)arena_copy(&kept, (const char *)pair->key.data, pair->key.length);
        pair->value.data =
            (const uint8_t *)arena_copy(&kept, (const char *)pair->value.data, pair->value.length);
        if (!pair->key.data || !pair->value.data) {
            arena_free(&kept);
            return CULVERT_ENOMEM;
        }
    }
    arena_free(&sorted->arena);
    sorted->arena = kept;
    return 0;
}

static int sorted_add(struct sorted *sorted, const struct kv_range *range, struct kv_pair pair)
{
    size_t capacity = sorted->capacity ? 2 * sorted->capacity : 64;
    struct kv_pair *more;
    int error = 0;

    if (sorted->count == sorted->capacity) {
        more = realloc(sorted->list, capacity * sizeof(*more));
        if (!more)
            return CULVERT_ENOMEM;
        sorted->list = more;
        sorted->capacity = capacity;
    }
    if (range->keys_only && range->target != KV_BY_VALUE)
        pair.value.length = 0;
    pair.key.data =
        (const uint8_t *)arena_copy(&sorted->arena, (const char *)pair.key.data, pair.key.length);
    pair.value.data = (const uint8_t *)arena_copy(&sorted->arena, (const char *)pair.value.data,
                                                  pair.value.length);
    if (!pair.key.data || !pair.value.data)
        return CULVERT_ENOMEM;
    sorted->list[sorted->count++] = pair;
    if (range->limit && sorted->count / 2 > range->limit && sorted->count == sorted->capacity)
        error = sorted_cut(sorted, range);
    return error;
}

int kv_pairs_finish(struct kv_work *work)
{
    if (work->pairs.error == CULVERT_EFULL)
        return kv_refuse(work, CULVERT_EANSWER);
    return work->pairs.error ? work->pairs.error : kv_answer_add(work, work->pairs.length);
}

/* The range's answer, whose pairs are in work->pairs. */
static int write_range(struct kv_work *work, uint64_t total, uint64_t listed, bool more)
{
    struct buffer *result = work->result;
    int error = kv_pairs_finish(work);

    if (error || !result)
        return error;
    kv_put_varint(result, total);
    buffer_char(result, more);
    kv_put_varint(result, listed);
    buffer_add(result, work->pairs.data, work->pairs.length);
    return result->error;
}

static int run_sorted(struct kv_work *work, const struct kv_range *range, struct kv_cursor *cursor)
{
    struct sorted sorted = {0};
    uint64_t total = 0;
    bool more = false;
    int got;

    while ((got = kv_cursor_next(cursor)) == 1) {
        total++;
        got = filtered(range, &cursor->pair) ? 0 : sorted_add(&sorted, range, cursor->pair);
        if (!got && sorted.arena.total > KV_RESULT_MAX)
            got = kv_refuse(work, CULVERT_EANSWER);
        if (got)
            break;
    }
    if (!got) {
        sort(&sorted, range);
        more = range->limit && sorted.count > range->limit;
        sorted.count = more ? (size_t)range->limit : sorted.count;
        for (size_t i = 0; i < sorted.count; i++)
            kv_result_pair(&work->pairs, &sorted.list[i], range->keys_only);
        got = write_range(work, total, sorted.count, more);
    }
    free(sorted.list);
    arena_free(&sorted.arena);
    return got;
}

static int run_plain(struct kv_work *work, const struct kv_range *range, struct kv_cursor *cursor)
{
    uint64_t total = 0, listed = 0;
    bool more = false;
    int got;

    while ((got = kv_cursor_next(cursor)) == 1) {
        total++;
        if (range->count_only || filtered(range, &cursor->pair))
            continue;
        if (range->limit && listed == range->limit) {
            more = true;
            continue;
        }
        kv_result_pair(&work->pairs, &cursor->pair, range->keys_only);
        listed++;
        if (work->pairs.error)
            return kv_pairs_finish(work);
    }
    return got ? got : write_range(work, total, listed, more);
}

int kv_range_run(struct kv_work *work, const struct kv_range *range)
{
    bool ordered = range->target != KV_BY_KEY || range->order == KV_ORDER_DESCEND;
    struct kv_cursor cursor;
    int error;

    buffer_clear(&work->pairs);
    error = kv_cursor_open(&cursor, work, &range->keys, range->revision);
    if (!error)
        error = ordered && !range->count_only ? run_sorted(work, range, &cursor)
                                              : run_plain(work, range, &cursor);
    kv_cursor_close(&cursor);
    return error;
}
