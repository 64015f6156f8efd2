/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the index and the slots. Stores that readers see are releases, in an order in which any
 * prefix of them is a correct table: `spilled` grows before an entry that passes over a bucket is
 * seen and shrinks after it went; a ref is there before its tag.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tables/internal.h"

const uint32_t tables_slot_capacity[FP_KIND_COUNT] = {
#define X(name, number, slots, text) [FP_KIND_##name] = slots,
    FP_KINDS(X)
#undef X
};

struct index_view {
    struct fp_bucket *bucket;
    uint32_t log2, mask;
};

static struct index_view index_view(const struct tables *tables)
{
    uint64_t index = tables->root->index;
    uint32_t log2 = index >> 32 & 31;

    return (struct index_view){
        .bucket = (struct fp_bucket *)(tables->base + (uint32_t)index),
        .log2 = log2,
        .mask = (1u << log2) - 1,
    };
}

static uint64_t key_hash(const struct tables *tables, const struct fp_key *key)
{
    return fp_key_hash(key->a, key->b, key->c, key->kind, tables->root->index_seed);
}

static bool rec_has_key(const struct fp_rec *rec, const struct fp_key *key)
{
    return rec->a == key->a && rec->b == key->b && rec->c == key->c &&
           (rec->kind & ~FP_REC_DEAD) == key->kind;
}

void tables_place_find(struct tables *tables, const struct fp_key *key, struct tables_place *place)
{
    struct index_view view;
    uint64_t hash;
    uint32_t tag;

    *place = (struct tables_place){0};
    if (tables_slot_capacity[key->kind]) {
        place->ref = &tables_slots(tables, key->kind)[key->a];
        return;
    }
    view = index_view(tables);
    hash = key_hash(tables, key);
    tag = fp_hash_tag(hash);
    place->home = (uint32_t)hash & view.mask;
    for (uint32_t probe = 0; probe < FP_PROBE_MAX; probe++) {
        uint32_t at = (place->home + probe) & view.mask;
        struct fp_bucket *bucket = &view.bucket[at];

        for (uint32_t way = 0; way < FP_BUCKET_WAYS; way++) {
            if (bucket->tag[way] != tag || !rec_has_key(tables_rec(tables, bucket->ref[way]), key))
                continue;
            place->ref = &bucket->ref[way];
            place->bucket = bucket;
            place->at = at;
            place->way = way;
            return;
        }
        if (!bucket->spilled)
            return;
    }
}

void tables_place_set(struct tables *tables, struct tables_place *place, uint32_t ref)
{
    __atomic_store_n(place->ref, ref, __ATOMIC_RELEASE);
}

static void spilled_add(struct index_view view, uint32_t from, uint32_t to, uint32_t delta)
{
    for (uint32_t at = from; at != to; at = (at + 1) & view.mask) {
        uint32_t *spilled = &view.bucket[at].spilled;

        __atomic_store_n(spilled, *spilled + delta, __ATOMIC_RELEASE);
    }
}

/* False: no free way within the reach of a search. */
static bool view_insert(struct index_view view, uint64_t hash, uint32_t ref)
{
    uint32_t home = (uint32_t)hash & view.mask;

    for (uint32_t probe = 0; probe < FP_PROBE_MAX; probe++) {
        uint32_t at = (home + probe) & view.mask;
        struct fp_bucket *bucket = &view.bucket[at];

        for (uint32_t way = 0; way < FP_BUCKET_WAYS; way++) {
            if (bucket->tag[way])
                continue;
            spilled_add(view, home, at, 1);
            __atomic_store_n(&bucket->ref[way], ref, __ATOMIC_RELEASE);
            __atomic_store_n(&bucket->tag[way], fp_hash_tag(hash), __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

/* `wait`: a grace period may be waited for where that gives room. */
static int index_alloc(struct tables *tables, uint32_t log2, bool wait, struct tables_block *block)
{
    size_t bytes = sizeof(struct fp_bucket) << log2;

    if (log2 > INDEX_LOG2_MAX)
        return CULVERT_EFULL;
    block->offset = heap_alloc_aligned(&tables->heap, bytes, FP_CACHE_LINE, &block->size);
    if (!block->offset && wait) {
        tables_retired_free(tables);
        block->offset = heap_alloc_aligned(&tables->heap, bytes, FP_CACHE_LINE, &block->size);
    }
    if (!block->offset)
        return CULVERT_EFULL;
    memset(tables->base + block->offset, 0, bytes);
    return 0;
}

static void index_publish(struct tables *tables, struct tables_block block, uint32_t log2)
{
    __atomic_store_n(&tables->root->index, (uint64_t)log2 << 32 | block.offset, __ATOMIC_RELEASE);
    tables->index = block;
}

int tables_index_format(struct tables *tables)
{
    struct tables_block block;
    int rc = index_alloc(tables, INDEX_LOG2_MIN, false, &block);

    if (rc)
        return rc;
    index_publish(tables, block, INDEX_LOG2_MIN);
    return 0;
}

static bool index_copy(struct tables *tables, struct index_view from, struct index_view to)
{
    for (uint32_t at = 0; at <= from.mask; at++) {
        const struct fp_bucket *bucket = &from.bucket[at];

        for (uint32_t way = 0; way < FP_BUCKET_WAYS; way++) {
            struct fp_key key;

            if (!bucket->tag[way])
                continue;
            key = tables_rec_key(tables_rec(tables, bucket->ref[way]));
            if (!view_insert(to, key_hash(tables, &key), bucket->ref[way]))
                return false;
        }
    }
    return true;
}

/* Builds a bucket array of 2^log2 buckets, or more where the entries crowd, and publishes it. */
static int index_resize(struct tables *tables, uint32_t log2, bool wait)
{
    struct index_view from = index_view(tables);

    for (;; log2++) {
        struct tables_block block;
        struct index_view to;
        int rc = index_alloc(tables, log2, wait, &block);

        if (rc)
            return rc;
        to.bucket = (struct fp_bucket *)(tables->base + block.offset);
        to.log2 = log2;
        to.mask = (1u << log2) - 1;
        if (index_copy(tables, from, to)) {
            tables_retire_index(tables, tables->index);
            index_publish(tables, block, log2);
            return 0;
        }
        heap_free(&tables->heap, block.offset, block.size);
    }
}

/* Three fifths of all ways: nearly every entry then stands in its own bucket. */
static bool index_crowded(size_t entries, uint32_t log2)
{
    return entries * 5 > ((size_t)FP_BUCKET_WAYS << log2) * 3;
}

int tables_place_add(struct tables *tables, const struct fp_key *key, uint32_t ref)
{
    uint64_t hash = key_hash(tables, key);
    struct index_view view = index_view(tables);
    int rc;

    if (index_crowded(tables->indexed + 1, view.log2)) {
        rc = index_resize(tables, view.log2 + (view.log2 < 14 ? 2 : 1), true);
        if (rc) /* a smaller step, or a fuller index, is better than none */
            rc = index_resize(tables, view.log2 + 1, true);
        if (rc && !view_insert(view, hash, ref))
            return rc;
        if (rc) {
            tables->indexed++;
            return 0;
        }
        view = index_view(tables);
    }
    while (!view_insert(view, hash, ref)) {
        rc = index_resize(tables, view.log2 + 1, true);
        if (rc)
            return rc;
        view = index_view(tables);
    }
    tables->indexed++;
    return 0;
}

void tables_place_clear(struct tables *tables, struct tables_place *place)
{
    if (!place->bucket) {
        __atomic_store_n(place->ref, 0, __ATOMIC_RELEASE);
        return;
    }
    __atomic_store_n(&place->bucket->tag[place->way], 0, __ATOMIC_RELEASE);
    __atomic_store_n(place->ref, 0, __ATOMIC_RELEASE);
    spilled_add(index_view(tables), place->home, place->at, -1u);
    tables->indexed--;
}

void tables_index_shrink(struct tables *tables)
{
    uint32_t log2 = index_view(tables).log2, want = log2;

    while (want > INDEX_LOG2_MIN && !index_crowded(tables->indexed * 4, want - 1))
        want--;
    if (want + 2 <= log2)
        index_resize(tables, want, false);
}

int tables_index_recount(struct tables *tables)
{
    struct index_view view = index_view(tables);
    uint32_t *count = calloc((size_t)view.mask + 1, sizeof(*count));

    if (!count)
        return CULVERT_ENOMEM;
    tables->indexed = 0;
    for (uint32_t at = 0; at <= view.mask; at++)
        for (uint32_t way = 0; way < FP_BUCKET_WAYS; way++) {
            struct fp_key key;
            uint32_t home;

            if (!view.bucket[at].tag[way])
                continue;
            key = tables_rec_key(tables_rec(tables, view.bucket[at].ref[way]));
            home = (uint32_t)key_hash(tables, &key) & view.mask;
            for (; home != at; home = (home + 1) & view.mask)
                count[home]++;
            tables->indexed++;
        }
    for (uint32_t at = 0; at <= view.mask; at++)
        if (view.bucket[at].spilled != count[at])
            __atomic_store_n(&view.bucket[at].spilled, count[at], __ATOMIC_RELEASE);
    free(count);
    return 0;
}
