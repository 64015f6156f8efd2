/* SPDX-License-Identifier: Apache-2.0 */
/* An empty region, and one that a process left which died at any instruction. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/tables/internal.h"

#define PAGE_BYTES 4096u
#define METERS_LOG2_DEFAULT 16u
#define FLOWS_LOG2_DEFAULT 14u
#define LINES_LOG2_MAX 24u
#define CPUS_MAX 1024u

static uint32_t array_place(uint64_t *at, uint64_t bytes)
{
    uint64_t offset = *at;

    *at = (offset + bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    return (uint32_t)offset;
}

/* Fills in the fixed arrays' offsets; false: they don't fit. */
static bool arrays_place(struct fp_root *root, size_t size, const struct tables_options *options)
{
    uint64_t at = PAGE_BYTES, meters, flows;

    root->cpus = options->cpus;
    root->meters_log2 = options->meters_log2 ? options->meters_log2 : METERS_LOG2_DEFAULT;
    root->flows_log2 = options->flows_log2 ? options->flows_log2 : FLOWS_LOG2_DEFAULT;
    if (root->cpus > CPUS_MAX || root->meters_log2 > LINES_LOG2_MAX ||
        root->flows_log2 > LINES_LOG2_MAX)
        return false;
    meters = (uint64_t)sizeof(struct fp_meter_line) << root->meters_log2;
    flows = (uint64_t)sizeof(struct fp_flow_line) << root->flows_log2;
    for (unsigned kind = 0; kind < FP_KIND_COUNT; kind++)
        if (tables_slot_capacity[kind])
            root->slots[kind] = array_place(&at, tables_slot_capacity[kind] * sizeof(uint32_t));
    root->access_filter = array_place(&at, sizeof(struct fp_access_filter));
    root->counters = array_place(&at, (uint64_t)root->cpus * sizeof(struct fp_counters));
    root->meters = array_place(&at, root->cpus ? meters : 0);
    root->flows = array_place(&at, root->cpus ? flows : 0);
    if (at + PAGE_BYTES > size || at > UINT32_MAX)
        return false;
    root->heap = (uint32_t)at;
    root->heap_end = (uint32_t)at;
    return true;
}

int tables_format(struct tables *tables, const struct tables_options *options)
{
    struct fp_root *root = tables->root;
    int rc;

    /* Readers and recovery take a region for one by its magic alone: it comes last. */
    memset(root, 0, sizeof(*root));
    if (!arrays_place(root, tables->size, options))
        return CULVERT_EINVAL;
    if (getrandom(&root->index_seed, sizeof(root->index_seed), 0) !=
        (ssize_t)sizeof(root->index_seed))
        return CULVERT_ESYSTEM;
    root->layout = FP_REGION_LAYOUT;
    root->size = tables->size;
    root->generation = 1;
    rc = tables_index_format(tables);
    if (rc)
        return rc;
    tables_touch_fixed(tables);
    __atomic_store_n(&root->magic, FP_REGION_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

/* ---- recovery ---- */

static bool root_sane(const struct fp_root *root)
{
    struct fp_root want = {0};
    struct tables_options options = {
        .cpus = root->cpus,
        .meters_log2 = root->meters_log2,
        .flows_log2 = root->flows_log2,
    };
    uint64_t bytes = (uint64_t)sizeof(struct fp_bucket) << (root->index >> 32 & 63);
    uint32_t index = (uint32_t)root->index;

    return root->meters_log2 && root->flows_log2 && arrays_place(&want, root->size, &options) &&
           !memcmp(want.slots, root->slots, sizeof(want.slots)) &&
           want.access_filter == root->access_filter && want.counters == root->counters &&
           want.meters == root->meters && want.flows == root->flows && want.heap == root->heap &&
           root->heap_end >= root->heap && root->heap_end <= root->size &&
           root->heap_end % FP_CACHE_LINE == 0 && index % FP_CACHE_LINE == 0 &&
           index >= root->heap && root->index >> 32 <= INDEX_LOG2_MAX &&
           index + bytes <= root->heap_end;
}

static bool rec_sane(const struct tables *tables, uint32_t ref)
{
    const struct fp_root *root = tables->root;
    const struct fp_rec *rec;

    if (ref < root->heap || ref % HEAP_GRANULE || (uint64_t)ref + sizeof(*rec) > root->heap_end)
        return false;
    rec = tables_rec(tables, ref);
    return rec->size % HEAP_GRANULE == 0 && (uint64_t)ref + rec->size <= root->heap_end &&
           sizeof(*rec) + (uint64_t)rec->length <= rec->size;
}

static void live_mark(uint64_t *live, uint32_t offset, uint32_t size)
{
    uint32_t at = offset / HEAP_GRANULE, end = at + size / HEAP_GRANULE;

    while (at < end) {
        if (at % 64 == 0 && end - at >= 64) {
            live[at / 64] = ~0ull;
            at += 64;
        } else {
            live[at / 64] |= 1ull << (at % 64);
            at++;
        }
    }
}

/* What the place of a ref should hold: the version that was committed, or 0. */
static uint32_t ref_recover(struct tables *tables, uint32_t ref)
{
    uint32_t generation = tables->root->generation;

    if (!ref || !rec_sane(tables, ref))
        return 0;
    if ((int32_t)(tables_rec(tables, ref)->gen - generation) > 0) {
        ref = tables_rec(tables, ref)->prev;
        if (!ref || !rec_sane(tables, ref) ||
            (int32_t)(tables_rec(tables, ref)->gen - generation) > 0)
            return 0;
    }
    return tables_rec(tables, ref)->kind & FP_REC_DEAD ? 0 : ref;
}

/* Takes in a committed record. False: it isn't one (the region is damaged). */
static bool rec_recover(struct tables *tables, uint64_t *live, uint32_t ref)
{
    struct fp_rec *rec = tables_rec(tables, ref);
    struct fp_key key = tables_rec_key(rec);

    if (tables_check_key(&key) || tables_check_body(&key, rec + 1, rec->length))
        return false;
    __atomic_store_n(&rec->prev, 0, __ATOMIC_RELEASE);
    live_mark(live, ref, rec->size);
    tables_sum(&tables->committed, rec, 1);
    tables_touch(tables, &key, rec + 1);
    if (key.kind == FP_KIND_ACCESS)
        tables_access_filter(tables, &key);
    return true;
}

static void slots_recover(struct tables *tables, uint64_t *live)
{
    for (unsigned kind = 0; kind < FP_KIND_COUNT; kind++)
        for (uint32_t number = 0; number < tables_slot_capacity[kind]; number++) {
            uint32_t *slot = &tables_slots(tables, kind)[number];
            uint32_t ref = ref_recover(tables, *slot);

            if (ref && (tables_rec(tables, ref)->kind != kind ||
                        tables_rec(tables, ref)->a != number || !rec_recover(tables, live, ref)))
                ref = 0;
            if (ref != *slot)
                __atomic_store_n(slot, ref, __ATOMIC_RELEASE);
        }
}

static bool rec_has_tag(const struct tables *tables, uint32_t ref, uint32_t tag)
{
    const struct fp_rec *rec = tables_rec(tables, ref);

    return rec->kind < FP_KIND_COUNT && !tables_slot_capacity[rec->kind] &&
           fp_hash_tag(fp_key_hash(rec->a, rec->b, rec->c, rec->kind, tables->root->index_seed)) ==
               tag;
}

static void bucket_recover(struct tables *tables, uint64_t *live, struct fp_bucket *bucket)
{
    for (unsigned way = 0; way < FP_BUCKET_WAYS; way++) {
        uint32_t ref = bucket->tag[way] ? ref_recover(tables, bucket->ref[way]) : 0;

        if (ref && (!rec_has_tag(tables, ref, bucket->tag[way]) || !rec_recover(tables, live, ref)))
            ref = 0;
        if (!ref && bucket->tag[way])
            __atomic_store_n(&bucket->tag[way], 0, __ATOMIC_RELEASE);
        if (bucket->ref[way] != ref)
            __atomic_store_n(&bucket->ref[way], ref, __ATOMIC_RELEASE);
    }
}

int tables_recover(struct tables *tables)
{
    struct fp_root *root = tables->root;
    uint64_t *live;
    uint32_t log2;
    int rc;

    if (!root_sane(root))
        return CULVERT_ECORRUPT;
    tables_access4_hide(tables);
    live = calloc(root->heap_end / HEAP_GRANULE / 64 + 1, sizeof(*live));
    if (!live)
        return CULVERT_ENOMEM;
    log2 = root->index >> 32 & 31;
    tables->index.offset = (uint32_t)root->index;
    tables->index.size = (uint32_t)(sizeof(struct fp_bucket) << log2);
    tables_touch_fixed(tables);
    slots_recover(tables, live);
    for (uint32_t at = 0; at < 1u << log2; at++)
        bucket_recover(tables, live,
                       (struct fp_bucket *)(tables->base + tables->index.offset) + at);
    rc = tables_index_recount(tables);
    if (!rc) {
        /* Packets may hold what the dead process replaced, or what was dropped just now. */
        if (tables->grace)
            tables->grace(tables->grace_arg);
        live_mark(live, tables->index.offset, tables->index.size);
        heap_recover(&tables->heap, live);
        tables_access4_show(tables);
        __atomic_store_n(&root->access_count, (uint32_t)tables->committed.kind[FP_KIND_ACCESS],
                         __ATOMIC_RELEASE);
        tables->filter_stale = true;
    }
    free(live);
    return rc;
}
