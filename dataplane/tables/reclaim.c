/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that packets may still hold, and what happens after a grace period (see internal.h). */
#include <assert.h>
#include <stdlib.h>

#include "dataplane/tables/internal.h"

#define LIST_KEEP 65536u /* entries of a list that is kept for the next transaction */

static int list_reserve(uint32_t **list, size_t *room, size_t need)
{
    size_t more = *room ? *room : 64;
    uint32_t *bigger;

    if (need <= *room)
        return 0;
    while (more < need)
        more *= 2;
    bigger = realloc(*list, more * sizeof(**list));
    if (!bigger)
        return CULVERT_ENOMEM;
    *list = bigger;
    *room = more;
    return 0;
}

static void list_trim(uint32_t **list, size_t *room, size_t count)
{
    if (count || *room <= LIST_KEEP)
        return;
    free(*list);
    *list = NULL;
    *room = 0;
}

int tables_reserve(struct tables *tables)
{
    /* An abort retires all that is staged, and a staged tombstone is retired at its time. */
    size_t retired = tables->retired_count + tables->staged_count + 2;
    int rc = list_reserve(&tables->staged, &tables->staged_room, tables->staged_count + 1);

    return rc ? rc : list_reserve(&tables->retired, &tables->retired_room, retired);
}

uint32_t tables_alloc(struct tables *tables, size_t size, uint32_t *got)
{
    uint32_t offset = heap_alloc(&tables->heap, size, got);

    if (offset || (!tables->retired_count && !tables->index_retired_count))
        return offset;
    tables_retired_free(tables);
    return heap_alloc(&tables->heap, size, got);
}

void tables_retire(struct tables *tables, uint32_t ref)
{
    assert(tables->retired_count < tables->retired_room);
    tables->retired[tables->retired_count++] = ref;
}

void tables_retire_index(struct tables *tables, struct tables_block block)
{
    if (tables->index_retired_count == INDEX_RETIRED_MAX)
        tables_retired_free(tables);
    tables->index_retired[tables->index_retired_count++] = block;
}

static void rec_free(struct tables *tables, uint32_t ref)
{
    heap_free(&tables->heap, ref, tables_rec(tables, ref)->size);
}

static void grace_wait(struct tables *tables)
{
    if (tables->grace)
        tables->grace(tables->grace_arg);
}

static void retired_sweep(struct tables *tables)
{
    for (size_t i = 0; i < tables->retired_count; i++)
        rec_free(tables, tables->retired[i]);
    tables->retired_count = 0;
    for (unsigned i = 0; i < tables->index_retired_count; i++)
        heap_free(&tables->heap, tables->index_retired[i].offset, tables->index_retired[i].size);
    tables->index_retired_count = 0;
}

void tables_retired_free(struct tables *tables)
{
    if (!tables->retired_count && !tables->index_retired_count)
        return;
    grace_wait(tables);
    retired_sweep(tables);
}

/* The committed transaction's records, after the grace period. */
static void staged_settle(struct tables *tables)
{
    for (size_t i = 0; i < tables->staged_count; i++) {
        uint32_t ref = tables->staged[i];
        struct fp_rec *rec = tables_rec(tables, ref);
        uint32_t prev = rec->prev;

        if (rec->pad[0] & REC_SUPERSEDED) {
            rec_free(tables, ref);
            continue;
        }
        tables_access4_take(tables, rec);
        if (prev) {
            __atomic_store_n(&rec->prev, 0, __ATOMIC_RELEASE);
            rec_free(tables, prev);
        }
        if (rec->kind & FP_REC_DEAD) {
            struct fp_key key = tables_rec_key(rec);
            struct tables_place place;

            tables_place_find(tables, &key, &place);
            tables_place_clear(tables, &place);
            tables_retire(tables, ref);
        }
    }
    tables->staged_count = 0;
}

/* Waits once, at its start: a driver may have waited already, and then its grace() returns at
 * once. What is retired here is for another grace period. */
static void settle(struct tables *tables)
{
    uint32_t access = (uint32_t)tables->committed.kind[FP_KIND_ACCESS];

    grace_wait(tables);
    retired_sweep(tables);
    staged_settle(tables);
    tables->access_staged = false;
    tables_access4_show(tables);
    if (tables->root->access_count != access)
        __atomic_store_n(&tables->root->access_count, access, __ATOMIC_RELEASE);
    if (tables->filter_stale)
        tables_access_narrow(tables);
    tables_index_shrink(tables);
    list_trim(&tables->staged, &tables->staged_room, tables->staged_count);
    list_trim(&tables->retired, &tables->retired_room, tables->retired_count);
}

/* Makes every record young (see GEN_REFRESH). No packet of an older generation is left. */
static void gens_refresh(struct tables *tables)
{
    struct tables_cursor cursor = {0};
    struct fp_key key;
    const void *body;
    size_t length;

    while (tables_next(tables, &cursor, &key, &body, &length)) {
        struct fp_rec *rec = (struct fp_rec *)body - 1;

        __atomic_store_n(&rec->gen, tables->root->generation, __ATOMIC_RELEASE);
    }
}

int tables_begin(struct tables *tables)
{
    if (tables->open)
        return CULVERT_EBUSY;
    if (tables->staged_count)
        settle(tables);
    if (tables->root->generation % GEN_REFRESH == 0)
        gens_refresh(tables);
    tables->working = tables->committed;
    tables->open = true;
    return 0;
}

bool tables_reclaim(struct tables *tables)
{
    if (!tables->open && tables->staged_count)
        settle(tables);
    else
        tables_retired_free(tables);
    return tables->retired_count || tables->index_retired_count;
}
