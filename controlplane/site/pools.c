/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and their backends: bucket tables from the ones before. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/engine.h"

static struct fp_key number_key(enum fp_kind kind, uint32_t number)
{
    return (struct fp_key){.a = number, .kind = kind};
}

void pool_put(struct compile *compile, uint32_t number, const struct bucket_table *table)
{
    uint32_t buckets = 1u << table->log2;
    size_t length = sizeof(struct fp_pool) + buckets * sizeof(uint32_t);
    struct fp_key key = number_key(FP_KIND_POOL, number);
    struct fp_pool *body = calloc(1, length);

    assert(table->bucket);
    if (!body) {
        compile_fail(compile, CULVERT_ENOMEM);
        return;
    }
    body->log2 = table->log2;
    memcpy(body->bucket, table->bucket, buckets * sizeof(uint32_t));
    compile_put(compile, &key, body, length);
    free(body);
}

static void backends_put(struct compile *compile, const struct site_node *backends,
                         const struct pool_state *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct site_node *address = node_field(backends->child[i], BACKEND_ADDRESS);
        struct fp_key key = number_key(FP_KIND_BACKEND, pool->backend[i]);
        struct fp_backend body = {0};

        assert(address); /* the schema requires it */
        memcpy(body.address, address->address.bytes, sizeof(body.address));
        compile_put(compile, &key, &body, sizeof(body));
    }
}

static int backend_compare(const void *x, const void *y)
{
    const struct bucket_backend *a = x, *b = y;

    return a->number < b->number ? -1 : a->number > b->number;
}

bool backend_serves(const struct site_node *backend)
{
    return backend->child[BACKEND_WEIGHT]->number && !backend->child[BACKEND_DRAIN]->number;
}

static struct bucket_backend *backends_weigh(const struct site_node *backends,
                                             const struct pool_state *pool)
{
    struct bucket_backend *list = calloc((size_t)pool->count + 1, sizeof(*list));

    for (uint32_t i = 0; list && i < pool->count; i++) {
        const struct site_node *backend = backends->child[i];

        list[i].number = pool->backend[i];
        list[i].keeps = true;
        if (backend_serves(backend))
            list[i].weight = (uint16_t)backend->child[BACKEND_WEIGHT]->number;
    }
    if (list && pool->count > 1)
        qsort(list, pool->count, sizeof(*list), backend_compare);
    return list;
}

/* The size asked for; else by the backends, but never smaller than it was. */
static uint32_t pool_log2(const struct site_node *node, uint32_t backends, uint32_t before)
{
    const struct site_node *buckets = node_field(node, POOL_BUCKETS);
    uint32_t log2 = bucket_size_log2(backends);

    if (buckets)
        return (uint32_t)__builtin_ctzll(buckets->number);
    return log2 < before ? before : log2;
}

/* The table as a blob, to be stored with the revision. */
static int blob_make(struct compile *compile, struct pool_state *pool)
{
    struct site_blob *blobs =
        realloc(compile->blobs, (compile->blob_count + 1) * sizeof(*compile->blobs));
    struct site_blob *blob;
    void *data;
    int error;

    if (!blobs)
        return CULVERT_ENOMEM;
    compile->blobs = blobs;
    blob = &blobs[compile->blob_count];
    error = table_write(&pool->table, &data, &blob->length);
    if (error)
        return error;
    blob->data = data;
    compile->blob_count++;
    error = digest_text(blob->data, blob->length, blob->digest);
    memcpy(pool->digest, blob->digest, sizeof(pool->digest));
    pool->settled = false;
    return error;
}

static void pool_compile(struct compile *compile, uint32_t place, const struct bucket_table *before)
{
    const struct site_node *node = state_section(compile->new, ROOT_POOLS)->child[place];
    const struct site_node *backends = node_field(node, POOL_BACKENDS);
    struct pool_state *pool = compile->new->pool[place];
    struct bucket_backend *list = backends_weigh(backends, pool);
    int moved = CULVERT_ENOMEM;

    if (list)
        moved = bucket_assign(&pool->table, before,
                              pool_log2(node, pool->count, before ? before->log2 : 0), list,
                              pool->count, compile->now, (int64_t)node->child[POOL_DRAIN]->number);
    free(list);
    if (moved < 0) {
        compile_fail(compile, moved);
        return;
    }
    pool_put(compile, compile->new->number[SPACE_POOLS][place], &pool->table);
    backends_put(compile, backends, pool);
}

/* The tables that the store doesn't have yet. */
void compile_blobs(struct compile *compile)
{
    for (uint32_t i = 0; i < section_count(compile->new, ROOT_POOLS) && !compile->error; i++)
        if (!compile->new->pool[i]->stored)
            compile_fail(compile, blob_make(compile, compile->new->pool[i]));
}

/* A stored table is of the same backends and weights, so nothing moves; if something does, or it
 * can't be read, the table that is made goes into the next revision. */
static void pool_restore(struct compile *compile, uint32_t place)
{
    const char *name = state_section(compile->new, ROOT_POOLS)->child[place]->key;
    struct pool_state *pool = compile->new->pool[place];
    char digest[DIGEST_TEXT];
    struct bucket_table table;
    bool known = prior_table(compile->prior, compile->reader, name, &table, digest);

    if (known)
        bucket_expire(&table, compile->now);
    pool_compile(compile, place, known ? &table : NULL);
    if (known && !compile->error && table.log2 == pool->table.log2 &&
        !memcmp(table.bucket, pool->table.bucket, sizeof(uint32_t) << table.log2)) {
        pool->stored = true;
        memcpy(pool->digest, digest, sizeof(digest));
    }
    bucket_free(&table);
}

static void pool_delete(struct compile *compile, uint32_t place)
{
    const struct pool_state *pool = compile->old->pool[place];
    struct fp_key key = number_key(FP_KIND_POOL, compile->old->number[SPACE_POOLS][place]);

    compile_delete(compile, &key);
    for (uint32_t i = 0; i < pool->count; i++) {
        key = number_key(FP_KIND_BACKEND, pool->backend[i]);
        compile_delete(compile, &key);
    }
}

/* Backends that the old pool has and the new one has not; both sorted by name. */
static void gone_delete(struct compile *compile, uint32_t old_place, uint32_t place)
{
    const struct pool_state *old = compile->old->pool[old_place], *new = compile->new->pool[place];

    for (uint32_t i = 0; i < old->count; i++) {
        struct fp_key key = number_key(FP_KIND_BACKEND, old->backend[i]);
        bool kept = false;

        for (uint32_t j = 0; !kept && j < new->count; j++)
            kept = new->backend[j] == old->backend[i];
        if (!kept)
            compile_delete(compile, &key);
    }
}

void compile_pools(struct compile *compile)
{
    const struct site_node *new = state_section(compile->new, ROOT_POOLS);
    const struct site_node *old = state_section(compile->old, ROOT_POOLS);
    uint32_t i = 0, j = 0;

    while (!compile->error && ((old && i < old->count) || (new && j < new->count))) {
        bool has_old = old && i < old->count, has_new = new && j < new->count;
        bool shared = has_old && has_new && compile->new->pool[j] == compile->old->pool[i];
        int order = shared     ? 0
                    : !has_old ? 1
                    : !has_new ? -1
                               : strcmp(old->child[i]->key, new->child[j]->key);

        if (order < 0) {
            pool_delete(compile, i);
        } else if (!shared) {
            if (compile->prior)
                pool_restore(compile, j);
            else
                pool_compile(compile, j, order ? NULL : &compile->old->pool[i]->table);
            if (!order)
                gone_delete(compile, i, j);
        }
        i += order <= 0;
        j += order >= 0;
    }
}
