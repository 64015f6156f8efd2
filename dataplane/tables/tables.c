/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: staging, commit and abort. internal.h says when memory may be used again. */
#include "dataplane/tables/tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/tables/internal.h"

int tables_open(struct tables **out, struct tables_options *options)
{
    struct fp_root *root = options->base;
    struct tables *tables;
    bool found;
    int rc;

    *out = NULL;
    options->recovered = false;
    if (!root || options->size < sizeof(*root) || (uintptr_t)root % FP_CACHE_LINE)
        return CULVERT_EINVAL;
    if (root->magic && (root->magic != FP_REGION_MAGIC || root->layout != FP_REGION_LAYOUT ||
                        root->size > options->size))
        return CULVERT_ELAYOUT;
    tables = calloc(1, sizeof(*tables));
    if (!tables)
        return CULVERT_ENOMEM;
    tables->base = options->base;
    tables->root = root;
    tables->size = root->magic ? root->size : options->size;
    tables->grace = options->grace;
    tables->grace_arg = options->grace_arg;
    found = root->magic != 0;
    rc = heap_open(&tables->heap, tables->base, tables->size);
    if (!rc)
        rc = found ? tables_recover(tables) : tables_format(tables, options);
    if (rc) {
        tables_close(tables);
        return rc;
    }
    options->recovered = found;
    *out = tables;
    return 0;
}

void tables_close(struct tables *tables)
{
    if (!tables)
        return;
    if (tables->open)
        tables_abort(tables);
    heap_close(&tables->heap);
    free(tables->staged);
    free(tables->retired);
    free(tables);
}

/* A record that no reader sees yet. */
static int rec_make(struct tables *tables, const struct fp_key *key, const void *body,
                    size_t length, uint32_t gen, uint32_t *ref)
{
    struct fp_rec *rec;
    uint32_t size;

    *ref = tables_alloc(tables, sizeof(*rec) + length, &size);
    if (!*ref)
        return CULVERT_EFULL;
    rec = tables_rec(tables, *ref);
    *rec = (struct fp_rec){
        .gen = gen,
        .size = size,
        .kind = (uint8_t)key->kind,
        .c = key->c,
        .length = (uint32_t)length,
        .a = key->a,
        .b = key->b,
    };
    if (length)
        memcpy(rec + 1, body, length);
    return 0;
}

static bool rec_equal(const struct fp_rec *rec, const void *body, size_t length)
{
    return rec && !(rec->kind & FP_REC_DEAD) && rec->length == length &&
           (!length || !memcmp(rec + 1, body, length));
}

/* The versions of an entry that stand at a place. */
struct versions {
    struct tables_place place;
    struct fp_rec *staged;    /* of the open transaction, may be DEAD; or NULL */
    struct fp_rec *committed; /* or NULL */
    uint32_t committed_ref;
    struct fp_rec *current; /* what a commit now would leave; NULL: nothing */
};

static void versions_find(struct tables *tables, const struct fp_key *key,
                          struct versions *versions)
{
    uint32_t ref;

    *versions = (struct versions){0};
    tables_place_find(tables, key, &versions->place);
    ref = versions->place.ref ? *versions->place.ref : 0;
    if (!ref)
        return;
    versions->current = tables_rec(tables, ref);
    if ((int32_t)(versions->current->gen - tables->root->generation) > 0) {
        versions->staged = versions->current;
        ref = versions->staged->prev;
    }
    if (ref) {
        versions->committed = tables_rec(tables, ref);
        versions->committed_ref = ref;
    }
    if (versions->current->kind & FP_REC_DEAD)
        versions->current = NULL;
}

static void supersede(struct fp_rec *staged)
{
    if (staged)
        staged->pad[0] |= REC_SUPERSEDED;
}

/* Makes `ref`, a new record or tombstone, what a commit would leave. On an error it is freed. */
static int stage(struct tables *tables, const struct fp_key *key, struct versions *versions,
                 uint32_t ref)
{
    struct fp_rec *rec = tables_rec(tables, ref);

    rec->prev = versions->committed_ref;
    if (versions->place.ref) {
        tables_place_set(tables, &versions->place, ref);
    } else {
        int rc = tables_place_add(tables, key, ref);

        if (rc) {
            heap_free(&tables->heap, ref, rec->size);
            return rc;
        }
    }
    supersede(versions->staged);
    tables->staged[tables->staged_count++] = ref;
    if (key->kind == FP_KIND_ACCESS)
        tables->access_staged = true;
    return 0;
}

static int put_check(const struct fp_key *key, const void *body, size_t length)
{
    int rc = tables_check_key(key);

    return rc ? rc : tables_check_body(key, body, length);
}

int tables_put(struct tables *tables, const struct fp_key *key, const void *body, size_t length)
{
    struct versions versions;
    uint32_t ref;
    int rc = put_check(key, body, length);

    assert(tables->open);
    if (rc || key->kind == FP_KIND_NEXTHOP)
        return CULVERT_EINVAL;
    versions_find(tables, key, &versions);
    if (rec_equal(versions.current, body, length))
        return 0;
    rc = tables_reserve(tables);
    if (rc)
        return rc;
    tables_touch(tables, key, body);
    if (key->kind == FP_KIND_ACCESS)
        tables_access_filter(tables, key);
    if (versions.staged && rec_equal(versions.committed, body, length)) {
        tables_place_set(tables, &versions.place, versions.committed_ref);
        supersede(versions.staged);
        ref = versions.committed_ref;
    } else {
        rc = rec_make(tables, key, body, length, tables->root->generation + 1, &ref);
        if (!rc)
            rc = stage(tables, key, &versions, ref);
        if (rc)
            return rc;
    }
    if (versions.current)
        tables_sum(&tables->working, versions.current, -1);
    tables_sum(&tables->working, tables_rec(tables, ref), 1);
    return 0;
}

int tables_delete(struct tables *tables, const struct fp_key *key)
{
    struct versions versions;
    uint32_t ref;
    int rc = tables_check_key(key);

    assert(tables->open);
    if (rc || key->kind == FP_KIND_NEXTHOP)
        return CULVERT_EINVAL;
    versions_find(tables, key, &versions);
    if (!versions.current)
        return 0;
    if (versions.committed) {
        rc = tables_reserve(tables);
        if (!rc)
            rc = rec_make(tables, key, NULL, 0, tables->root->generation + 1, &ref);
        if (rc)
            return rc;
        tables_rec(tables, ref)->kind |= FP_REC_DEAD;
        rc = stage(tables, key, &versions, ref);
        if (rc)
            return rc;
    } else {
        tables_place_clear(tables, &versions.place);
        supersede(versions.staged);
    }
    if (key->kind == FP_KIND_ACCESS)
        tables->filter_stale = true;
    tables_sum(&tables->working, versions.current, -1);
    return 0;
}

int tables_commit(struct tables *tables, uint64_t site_generation)
{
    struct fp_root *root = tables->root;
    uint32_t access = (uint32_t)tables->working.kind[FP_KIND_ACCESS];

    assert(tables->open);
    /* Local entries came and went meanwhile. */
    tables->working.kind[FP_KIND_NEXTHOP] = tables->committed.kind[FP_KIND_NEXTHOP];
    tables->committed = tables->working;
    tables->open = false;
    /* The larger of both counts until no packet of the generation before is left. */
    if (access > root->access_count)
        __atomic_store_n(&root->access_count, access, __ATOMIC_RELEASE);
    if (tables->staged_count) {
        if (!tables->access_staged)
            tables_access4_keep(tables);
        __atomic_store_n(&root->generation, root->generation + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&root->site_generation, site_generation, __ATOMIC_RELEASE);
    return 0;
}

void tables_abort(struct tables *tables)
{
    if (!tables->open)
        return;
    for (size_t i = 0; i < tables->staged_count; i++) {
        uint32_t ref = tables->staged[i];
        struct fp_rec *rec = tables_rec(tables, ref);

        if (!(rec->pad[0] & REC_SUPERSEDED)) {
            struct fp_key key = tables_rec_key(rec);
            struct tables_place place;

            tables_place_find(tables, &key, &place);
            if (rec->prev)
                tables_place_set(tables, &place, rec->prev);
            else
                tables_place_clear(tables, &place);
        }
        tables_retire(tables, ref);
    }
    tables->staged_count = 0;
    tables->access_staged = false;
    tables->open = false;
}

bool tables_is_open(const struct tables *tables)
{
    return tables->open;
}

/* ---- local entries ---- */

static int local_set(struct tables *tables, const struct fp_key *key, uint32_t ref)
{
    struct tables_place place;
    uint32_t old;

    tables_place_find(tables, key, &place);
    old = *place.ref;
    tables_place_set(tables, &place, ref);
    __atomic_fetch_add(&tables->root->locals, 1, __ATOMIC_RELEASE);
    if (old)
        tables_retire(tables, old);
    tables->committed.kind[key->kind] += (size_t)!!ref - (size_t)!!old;
    return 0;
}

/* Local entries may change all day with no transaction: some are freed on the way. */
static int local_prepare(struct tables *tables, const struct fp_key *key)
{
    if (tables_check_key(key) || key->kind != FP_KIND_NEXTHOP)
        return CULVERT_EINVAL;
    if (tables->retired_count >= LOCAL_RETIRED_MAX)
        tables_retired_free(tables);
    return tables_reserve(tables);
}

int tables_put_local(struct tables *tables, const struct fp_key *key, const void *body,
                     size_t length)
{
    uint32_t ref, gen = tables->root->generation - GEN_LOCAL_AGE;
    struct versions versions;
    int rc = local_prepare(tables, key);

    if (!rc)
        rc = tables_check_body(key, body, length);
    if (rc)
        return rc;
    versions_find(tables, key, &versions);
    if (rec_equal(versions.current, body, length))
        return 0;
    rc = rec_make(tables, key, body, length, gen, &ref);
    return rc ? rc : local_set(tables, key, ref);
}

int tables_delete_local(struct tables *tables, const struct fp_key *key)
{
    int rc = local_prepare(tables, key);

    return rc ? rc : local_set(tables, key, 0);
}
