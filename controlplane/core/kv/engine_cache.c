/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine in front of another one, which keeps records that were read lately, and changes until
 * there are enough of them. What a command does to the store is small: it looks up one record,
 * writes four, and one of these is the same for every command. So most look-ups end here, and the
 * engine below gets the last version of each record only, many at once and sorted, which is the
 * cheap way into RocksDB's memtable. A crash loses no more than it does of a memtable: what was
 * written since the last flush.
 *
 * A snapshot, an iterator and a flush need all changes below, so they settle them first.
 */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/engine.h"
#include "controlplane/core/kv/hash.h"

#define BUCKETS 8192u                   /* a power of two */
#define CHAIN_MAX 8u                    /* clean records of a bucket, whatever the hash does */
#define CLEAN_MAX ((size_t)8 << 20)     /* bytes of all clean records */
#define RECORD_MAX ((size_t)64 << 10)   /* bytes of a clean one */
#define CHANGES_MAX 512u                /* with so many changed records the next write settles... */
#define CHANGED_MAX ((size_t)256 << 10) /* ...or with so many bytes of them */

struct record {
    struct record *chain;          /* of its bucket, the newest first */
    struct record *before, *after; /* of the changed ones, or of the clean ones by their last use */
    uint64_t hash;
    size_t key_length, value_length;
    bool there;   /* else there is no such record, which is worth knowing, too */
    bool changed; /* not yet known below */
    bool wanted;  /* was read: kept when it is clean */
    uint8_t bytes[];
};

struct records {
    struct record *first, *last;
    size_t count, bytes;
};

struct cache {
    struct kv_engine engine;
    struct kv_engine_ops ops;
    struct kv_engine *below;
    struct record *buckets[BUCKETS];
    struct records clean, changes; /* clean: the last used first */
    struct record **sorted;        /* room for all changes */
    size_t room;
    struct kv_batch batch;
    bool failing; /* the last settling: the next write, which may fail, tries it again */
};

static struct cache *cache_of(struct kv_engine *engine)
{
    return (struct cache *)engine;
}

/* ---- records ---- */

static size_t record_size(const struct record *record)
{
    return sizeof(*record) + record->key_length + record->value_length;
}

static struct kv_slice record_key(const struct record *record)
{
    return (struct kv_slice){record->bytes, record->key_length};
}

static struct kv_slice record_value(const struct record *record)
{
    return (struct kv_slice){record->bytes + record->key_length, record->value_length};
}

/* In no list and no bucket. NULL: out of memory. */
static struct record *record_new(const struct kv_change *change)
{
    struct record *record = malloc(sizeof(*record) + change->key.length + change->value.length);

    if (!record)
        return NULL;
    *record = (struct record){.hash = kv_hash(KV_HASH_START, change->key),
                              .key_length = change->key.length,
                              .value_length = change->value.length,
                              .there = change->put};
    memcpy(record->bytes, change->key.data, change->key.length);
    if (change->value.length)
        memcpy(record->bytes + change->key.length, change->value.data, change->value.length);
    return record;
}

static void list_add(struct records *list, struct record *record, bool front)
{
    record->before = front ? NULL : list->last;
    record->after = front ? list->first : NULL;
    *(record->before ? &record->before->after : &list->first) = record;
    *(record->after ? &record->after->before : &list->last) = record;
    list->count++;
    list->bytes += record_size(record);
}

static void list_remove(struct records *list, struct record *record)
{
    *(record->before ? &record->before->after : &list->first) = record->after;
    *(record->after ? &record->after->before : &list->last) = record->before;
    list->count--;
    list->bytes -= record_size(record);
}

static struct records *list_of(struct cache *cache, const struct record *record)
{
    return record->changed ? &cache->changes : &cache->clean;
}

static struct record **bucket_of(struct cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (BUCKETS - 1)];
}

static struct record *record_find(struct cache *cache, struct kv_slice key, uint64_t hash)
{
    struct record *record = *bucket_of(cache, hash);

    while (record && (record->hash != hash || !kv_same_bytes(record_key(record), key)))
        record = record->chain;
    return record;
}

static void record_drop(struct cache *cache, struct record *record)
{
    struct record **link = bucket_of(cache, record->hash);

    while (*link != record)
        link = &(*link)->chain;
    *link = record->chain;
    list_remove(list_of(cache, record), record);
    free(record);
}

static void record_add(struct cache *cache, struct record *record)
{
    struct record **bucket = bucket_of(cache, record->hash);

    record->chain = *bucket;
    *bucket = record;
    list_add(list_of(cache, record), record, !record->changed);
}

/* Keeps clean records within the bounds, after this one came. */
static void records_trim(struct cache *cache, const struct record *came)
{
    struct record *next;
    unsigned clean = 0;

    for (struct record *one = *bucket_of(cache, came->hash); one; one = next) {
        next = one->chain;
        if (!one->changed && ++clean > CHAIN_MAX)
            record_drop(cache, one);
    }
    while (cache->clean.last && cache->clean.bytes > CLEAN_MAX)
        record_drop(cache, cache->clean.last);
}

static void records_free(struct records *list)
{
    struct record *next;

    for (struct record *record = list->first; record; record = next) {
        next = record->after;
        free(record);
    }
    *list = (struct records){0};
}

static void records_forget(struct cache *cache)
{
    records_free(&cache->clean);
    records_free(&cache->changes);
    memset(cache->buckets, 0, sizeof(cache->buckets));
}

/* ---- reading ---- */

/* Keeps what a look-up has found: the buffer's bytes from `at` on. */
static int remember(struct cache *cache, struct kv_slice key, const struct buffer *value, size_t at,
                    bool there)
{
    struct kv_change found = {.put = there, .key = key};
    struct record *record;

    if (value->length > at)
        found.value = (struct kv_slice){(const uint8_t *)value->data + at, value->length - at};
    if (key.length + found.value.length > RECORD_MAX)
        return 0;
    record = record_new(&found);
    if (!record)
        return CULVERT_ENOMEM;
    record->wanted = true;
    record_add(cache, record);
    records_trim(cache, record);
    return 0;
}

static int cache_get(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice key,
                     struct buffer *value)
{
    struct cache *cache = cache_of(engine);
    struct kv_engine *below = cache->below;
    struct record *record;
    size_t at = value->length;
    int error;

    if (snapshot)
        return below->ops->get(below, snapshot, key, value);
    record = record_find(cache, key, kv_hash(KV_HASH_START, key));
    if (record) {
        record->wanted = true;
        if (!record->changed) {
            list_remove(&cache->clean, record);
            list_add(&cache->clean, record, true);
        }
        buffer_add(value, record_value(record).data, record->value_length);
        return record->there ? value->error : CULVERT_ENOTFOUND;
    }
    error = below->ops->get(below, NULL, key, value);
    if ((!error || error == CULVERT_ENOTFOUND) && remember(cache, key, value, at, !error))
        return CULVERT_ENOMEM;
    return error;
}

/* ---- changes ---- */

static int by_key(const void *x, const void *y)
{
    return kv_compare_bytes(record_key(*(struct record *const *)x),
                            record_key(*(struct record *const *)y));
}

/* They are below: those that were read stay. */
static void changes_clean(struct cache *cache)
{
    struct record *record;

    while ((record = cache->changes.first)) {
        list_remove(&cache->changes, record);
        record->changed = false;
        list_add(&cache->clean, record, true);
        if (!record->wanted || record_size(record) > RECORD_MAX)
            record_drop(cache, record);
        else
            records_trim(cache, record);
    }
}

int kv_cache_settle(struct kv_engine *engine)
{
    struct cache *cache = cache_of(engine);
    size_t count = 0;
    int error;

    if (!cache->changes.count)
        return 0;
    for (struct record *one = cache->changes.first; one; one = one->after)
        cache->sorted[count++] = one;
    qsort(cache->sorted, count, sizeof(*cache->sorted), by_key);
    kv_batch_clear(&cache->batch);
    for (size_t i = 0; i < count; i++) {
        if (cache->sorted[i]->there)
            kv_batch_put(&cache->batch, record_key(cache->sorted[i]),
                         record_value(cache->sorted[i]));
        else
            kv_batch_delete(&cache->batch, record_key(cache->sorted[i]));
    }
    error = cache->below->ops->write(cache->below, &cache->batch);
    cache->failing = error != 0;
    if (!error)
        changes_clean(cache);
    return error;
}

/* Makes room to sort `more` changes. */
static int sorted_reserve(struct cache *cache, size_t more)
{
    size_t need = cache->changes.count + more, room = 2 * CHANGES_MAX;
    struct record **sorted;

    if (need <= cache->room)
        return 0;
    while (room < need)
        room *= 2;
    sorted = realloc(cache->sorted, room * sizeof(*sorted));
    if (!sorted)
        return CULVERT_ENOMEM;
    cache->sorted = sorted;
    cache->room = room;
    return 0;
}

static void chain_free(struct record *chain)
{
    while (chain) {
        struct record *next = chain->chain;

        free(chain);
        chain = next;
    }
}

/* All of the batch as records, in its order: from here on nothing can fail. */
static int records_make(struct cache *cache, const struct kv_batch *batch, struct record **out)
{
    struct kv_reader reader = kv_batch_read(batch);
    struct record **last = out;
    struct kv_change change;
    size_t count = 0;

    *out = NULL;
    while (kv_batch_next(&reader, &change)) {
        struct record *record = record_new(&change);

        if (!record)
            goto failed;
        *last = record;
        last = &record->chain;
        count++;
    }
    if (!sorted_reserve(cache, count))
        return 0;
failed:
    chain_free(*out);
    return CULVERT_ENOMEM;
}

static int cache_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    struct cache *cache = cache_of(engine);
    struct record *record, *next, *old;
    int error = batch->ops.error;

    if (!error && (cache->changes.count >= CHANGES_MAX || cache->changes.bytes >= CHANGED_MAX ||
                   cache->failing))
        error = kv_cache_settle(engine);
    if (!error)
        error = records_make(cache, batch, &record);
    if (error)
        return error;
    for (; record; record = next) {
        next = record->chain;
        old = record_find(cache, record_key(record), record->hash);
        record->changed = true;
        record->wanted = old && old->wanted;
        if (old)
            record_drop(cache, old);
        record_add(cache, record);
    }
    return 0;
}

/* ---- the rest is below ---- */

static int cache_snapshot(struct kv_engine *engine, struct kv_snapshot **out)
{
    struct kv_engine *below = cache_of(engine)->below;
    int error = kv_cache_settle(engine);

    return error ? error : below->ops->snapshot(below, out);
}

static int cache_iterator(struct kv_engine *engine, struct kv_snapshot *snapshot,
                          struct kv_slice lower, struct kv_slice upper, struct kv_iterator **out)
{
    struct kv_engine *below = cache_of(engine)->below;
    int error = snapshot ? 0 : kv_cache_settle(engine);

    return error ? error : below->ops->iterator(below, snapshot, lower, upper, out);
}

static int cache_flush(struct kv_engine *engine)
{
    struct kv_engine *below = cache_of(engine)->below;

    return below->ops->flush(below);
}

static uint64_t cache_size(struct kv_engine *engine)
{
    struct kv_engine *below = cache_of(engine)->below;

    return below->ops->size(below);
}

static int cache_fresh_begin(struct kv_engine *engine)
{
    struct kv_engine *below = cache_of(engine)->below;

    return below->ops->fresh_begin(below);
}

static int cache_fresh_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    struct kv_engine *below = cache_of(engine)->below;

    return below->ops->fresh_write(below, batch);
}

static int cache_fresh_commit(struct kv_engine *engine)
{
    struct kv_engine *below = cache_of(engine)->below;
    int error = below->ops->fresh_commit(below);

    if (!error)
        records_forget(cache_of(engine));
    return error;
}

static void cache_fresh_abort(struct kv_engine *engine)
{
    struct kv_engine *below = cache_of(engine)->below;

    below->ops->fresh_abort(below);
}

static void cache_close(struct kv_engine *engine)
{
    struct cache *cache = cache_of(engine);

    kv_cache_settle(engine); /* a failure is a crash: the log has it all */
    records_forget(cache);
    cache->below->ops->close(cache->below);
    kv_batch_free(&cache->batch);
    free(cache->sorted);
    free(cache);
}

int kv_cache_open(struct kv_engine **out, struct kv_engine *below)
{
    struct cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return CULVERT_ENOMEM;
    cache->ops = (struct kv_engine_ops){
        .close = cache_close,
        .get = cache_get,
        .write = cache_write,
        .snapshot = cache_snapshot,
        .snapshot_free = below->ops->snapshot_free,
        .iterator = cache_iterator,
        .flush = cache_flush,
        .size = cache_size,
        .fresh_begin = cache_fresh_begin,
        .fresh_write = cache_fresh_write,
        .fresh_commit = cache_fresh_commit,
        .fresh_abort = cache_fresh_abort,
    };
    cache->engine.ops = &cache->ops;
    cache->below = below;
    *out = &cache->engine;
    return 0;
}
