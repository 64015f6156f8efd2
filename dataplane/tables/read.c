/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the tables from the writer's side. */
#include "dataplane/tables/internal.h"

static const void *rec_body(const struct fp_rec *rec, size_t *length)
{
    if (!rec || rec->kind & FP_REC_DEAD)
        return NULL;
    if (length)
        *length = rec->length;
    return rec + 1;
}

static uint32_t key_ref(struct tables *tables, const struct fp_key *key)
{
    struct tables_place place;

    if (tables_check_key(key))
        return 0;
    tables_place_find(tables, key, &place);
    return place.ref ? *place.ref : 0;
}

const void *tables_get(struct tables *tables, const struct fp_key *key, size_t *length)
{
    uint32_t ref = key_ref(tables, key);

    return ref ? rec_body(tables_rec(tables, ref), length) : NULL;
}

const void *tables_get_committed(struct tables *tables, const struct fp_key *key, size_t *length)
{
    return rec_body(tables_rec_committed(tables, key_ref(tables, key)), length);
}

static bool cursor_return(const struct fp_rec *rec, struct fp_key *key, const void **body,
                          size_t *length)
{
    *key = tables_rec_key(rec);
    *body = rec_body(rec, length);
    return true;
}

/* A walk through the index asks for the records of a bucket so many buckets before: they lie
 * anywhere. */
#define AHEAD 4u

static void records_prefetch(const struct tables *tables, const struct fp_bucket *bucket)
{
    for (unsigned way = 0; way < FP_BUCKET_WAYS; way++)
        __builtin_prefetch(tables_rec(tables, bucket->ref[way]));
}

/* `kind` counts through the slot kinds; FP_KIND_COUNT is the index. */
bool tables_next(struct tables *tables, struct tables_cursor *cursor, struct fp_key *key,
                 const void **body, size_t *length)
{
    const struct fp_bucket *bucket =
        (const struct fp_bucket *)(tables->base + (uint32_t)tables->root->index);
    uint32_t buckets = 1u << (tables->root->index >> 32 & 31);

    for (; cursor->kind < FP_KIND_COUNT; cursor->kind++, cursor->at = 0)
        while (cursor->at < tables_slot_capacity[cursor->kind]) {
            uint32_t ref = tables_slots(tables, cursor->kind)[cursor->at++];
            const struct fp_rec *rec = tables_rec_committed(tables, ref);

            if (rec)
                return cursor_return(rec, key, body, length);
        }
    for (; cursor->at < buckets; cursor->at++, cursor->way = 0)
        while (cursor->way < FP_BUCKET_WAYS) {
            uint32_t way = cursor->way++;
            uint32_t ref = bucket[cursor->at].tag[way] ? bucket[cursor->at].ref[way] : 0;
            const struct fp_rec *rec;

            if (!way && cursor->at + AHEAD < buckets)
                records_prefetch(tables, &bucket[cursor->at + AHEAD]);
            rec = tables_rec_committed(tables, ref);
            if (rec)
                return cursor_return(rec, key, body, length);
        }
    return false;
}

int tables_each(struct tables *tables, enum fp_kind kind, tables_each_fn each, void *arg)
{
    struct tables_cursor cursor = {0};
    struct fp_key key;
    const void *body;
    size_t length;

    if (kind < FP_KIND_COUNT)
        cursor.kind = tables_slot_capacity[kind] ? kind : FP_KIND_COUNT;
    while (tables_next(tables, &cursor, &key, &body, &length)) {
        int rc;

        if (kind < FP_KIND_COUNT && key.kind != (uint32_t)kind) {
            if (tables_slot_capacity[kind])
                return 0; /* past the kind's slots */
            continue;
        }
        rc = each(arg, &key, body, length);
        if (rc)
            return rc;
    }
    return 0;
}

int tables_changes(struct tables *tables, int (*each)(void *arg, const struct fp_key *key),
                   void *arg)
{
    if (tables->open)
        return 0;
    for (size_t i = 0; i < tables->staged_count; i++) {
        const struct fp_rec *rec = tables_rec(tables, tables->staged[i]);
        struct fp_key key = tables_rec_key(rec);
        int rc = rec->pad[0] & REC_SUPERSEDED ? 0 : each(arg, &key);

        if (rc)
            return rc;
    }
    return 0;
}

uint64_t tables_site_generation(const struct tables *tables)
{
    return tables->root->site_generation;
}

void *tables_base(const struct tables *tables)
{
    return tables->base;
}

void tables_usage(const struct tables *tables, struct tables_usage *usage)
{
    const struct fp_root *root = tables->root;
    size_t left = tables->heap.limit - root->heap_end;

    *usage = (struct tables_usage){.region = root->size, .free = tables->heap.free + left};
    usage->used = root->heap_end - tables->heap.free;
    for (unsigned kind = 0; kind < FP_KIND_COUNT; kind++) {
        usage->kind[kind] = tables->committed.kind[kind];
        usage->entries += usage->kind[kind];
    }
}
