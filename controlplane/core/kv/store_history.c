/* SPDX-License-Identifier: Apache-2.0 */
/* The history read in the order of its changes: for watches, and to compare nodes. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/hash.h"
#include "controlplane/core/kv/store_internal.h"

/* An iterator over the changes from a point up to and with a revision, at the first of them. */
static int history_iterator(struct kv_store *store, struct kv_snapshot *snapshot,
                            struct kv_point from, uint64_t revision, struct kv_iterator **out)
{
    struct buffer lower = {0}, upper = {0};
    int error;

    layout_history_key(&lower, from);
    layout_history_key(&upper, (struct kv_point){revision + 1, 0});
    error = lower.error ? lower.error : upper.error;
    if (!error)
        error = store->engine->ops->iterator(store->engine, snapshot, kv_buffer_slice(&lower),
                                             kv_buffer_slice(&upper), out);
    if (!error)
        (*out)->ops->seek(*out, kv_buffer_slice(&lower));
    buffer_free(&lower);
    buffer_free(&upper);
    return error;
}

static bool event_decode(struct kv_event *event, struct kv_slice key, struct kv_slice record)
{
    struct kv_history history;

    if (!layout_point_decode(&event->at, key) || !layout_history_decode(&history, record))
        return false;
    event->put = history.put;
    event->now = (struct kv_pair){history.key,    history.value,   history.create,
                                  event->at.main, history.version, history.lease};
    event->before = history.before;
    return true;
}

int kv_store_changes(struct kv_store *store, struct kv_point *next, size_t records,
                     int (*each)(void *arg, const struct kv_event *event), void *arg)
{
    struct kv_iterator *iterator;
    struct kv_event event;
    int error = history_iterator(store, NULL, *next, store->meta.revision, &iterator);

    if (error)
        return error;
    for (; !error && records && iterator->ops->valid(iterator);
         iterator->ops->next(iterator), records--) {
        if (!event_decode(&event, iterator->ops->key(iterator), iterator->ops->value(iterator))) {
            error = CULVERT_ECORRUPT;
            break;
        }
        *next = event.at;
        error = each(arg, &event);
        if (error >= 0)
            next->sub++;
    }
    if (!error && records) {
        error = iterator->ops->error(iterator);
        if (!error)
            *next = (struct kv_point){store->meta.revision + 1, 0};
    }
    iterator->ops->close(iterator);
    return error;
}

int kv_store_version(struct kv_store *store, struct kv_point point, struct kv_pair *pair,
                     struct buffer *memory)
{
    struct kv_history history;
    struct buffer key = {0};
    int error;

    layout_history_key(&key, point);
    buffer_clear(memory);
    error = key.error ? key.error
                      : store->engine->ops->get(store->engine, NULL, kv_buffer_slice(&key), memory);
    buffer_free(&key);
    if (error)
        return error;
    if (!layout_history_decode(&history, kv_buffer_slice(memory)))
        return CULVERT_ECORRUPT;
    *pair = (struct kv_pair){history.key, history.value,   history.create,
                             point.main,  history.version, history.lease};
    return history.put ? 0 : CULVERT_ENOTFOUND;
}

int kv_store_chain(struct kv_store *store, uint64_t revision, uint64_t *chain)
{
    struct kv_point last = {revision, LAYOUT_SUB_LAST};
    struct kv_iterator *iterator;
    struct kv_history history;
    struct buffer key = {0};
    int error;

    if (revision > store->meta.revision)
        return CULVERT_EFUTURE;
    *chain = store->meta.chain;
    if (revision == store->meta.revision)
        return 0;
    if (revision <= store->meta.compacted)
        return CULVERT_ECOMPACTED;
    error = history_iterator(store, NULL, (struct kv_point){revision, 0}, revision, &iterator);
    if (error)
        return error;
    layout_history_key(&key, last);
    iterator->ops->seek_last(iterator, kv_buffer_slice(&key));
    if (!iterator->ops->valid(iterator))
        error = iterator->ops->error(iterator);
    else if (!layout_history_decode(&history, iterator->ops->value(iterator)))
        error = CULVERT_ECORRUPT;
    else
        *chain = history.chain;
    iterator->ops->close(iterator);
    buffer_free(&key);
    return error;
}

/* ---- the hash of what is held ---- */

struct kv_hasher {
    struct kv_store *store;
    struct kv_snapshot *snapshot;
    struct kv_iterator *changes, *index;
    uint64_t compacted, hash;
    bool tidying; /* there are records that are not counted */
    struct buffer key;
};

int kv_hasher_open(struct kv_hasher **out, struct kv_store *store, uint64_t revision,
                   uint64_t *compacted)
{
    static const uint8_t lower = LAYOUT_INDEX, upper = LAYOUT_INDEX + 1;
    struct kv_engine *engine = store->engine;
    struct kv_hasher *hasher;
    int error;

    if (revision > store->meta.revision)
        return CULVERT_EFUTURE;
    if (revision < store->meta.compacted)
        return CULVERT_ECOMPACTED;
    hasher = calloc(1, sizeof(*hasher));
    if (!hasher)
        return CULVERT_ENOMEM;
    hasher->store = store;
    hasher->compacted = *compacted = store->meta.compacted;
    hasher->tidying = store->meta.tidying;
    hasher->hash = KV_HASH_START;
    error = engine->ops->snapshot(engine, &hasher->snapshot);
    if (!error)
        error = history_iterator(store, hasher->snapshot, (struct kv_point){0}, revision,
                                 &hasher->changes);
    if (!error)
        error = engine->ops->iterator(engine, hasher->snapshot, (struct kv_slice){&lower, 1},
                                      (struct kv_slice){&upper, 1}, &hasher->index);
    if (error) {
        kv_hasher_close(hasher);
        return error;
    }
    *out = hasher;
    return 0;
}

void kv_hasher_close(struct kv_hasher *hasher)
{
    if (!hasher)
        return;
    if (hasher->changes)
        hasher->changes->ops->close(hasher->changes);
    if (hasher->index)
        hasher->index->ops->close(hasher->index);
    hasher->store->engine->ops->snapshot_free(hasher->snapshot);
    buffer_free(&hasher->key);
    free(hasher);
}

/* Whether a record is to be removed, but wasn't yet: replaced or deleted before the compacted
 * revision, whose own changes are kept. */
static int is_compacted(struct kv_hasher *hasher, struct kv_point at, struct kv_slice record)
{
    struct kv_iterator *index = hasher->index;
    struct kv_history history;
    struct kv_point later;

    if (!hasher->tidying || at.main >= hasher->compacted)
        return false;
    if (!layout_history_decode(&history, record))
        return CULVERT_ECORRUPT;
    if (!history.put)
        return true;
    layout_index_key(&hasher->key, history.key, (struct kv_point){at.main, at.sub + 1});
    if (hasher->key.error)
        return hasher->key.error;
    index->ops->seek(index, kv_buffer_slice(&hasher->key));
    if (!index->ops->valid(index))
        return index->ops->error(index);
    if (index->ops->key(index).length != hasher->key.length ||
        memcmp(index->ops->key(index).data, hasher->key.data, hasher->key.length - 12) != 0)
        return false;
    return layout_index_decode(&hasher->key, &later, index->ops->key(index)) &&
           later.main <= hasher->compacted;
}

int kv_hasher_step(struct kv_hasher *hasher, size_t records, uint64_t *hash)
{
    struct kv_iterator *changes = hasher->changes;
    struct kv_point at;

    for (; records && changes->ops->valid(changes); changes->ops->next(changes), records--) {
        struct kv_slice key = changes->ops->key(changes), record = changes->ops->value(changes);
        int skip =
            layout_point_decode(&at, key) ? is_compacted(hasher, at, record) : CULVERT_ECORRUPT;

        if (skip < 0)
            return skip;
        if (!skip)
            hasher->hash = kv_hash(kv_hash(hasher->hash, key), record);
    }
    if (!records)
        return 1;
    *hash = hasher->hash;
    return changes->ops->error(changes);
}
