/* SPDX-License-Identifier: Apache-2.0 */
/* The engine in memory: a tree that shares what it can with its snapshots and with its "disk". */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/engine.h"
#include "controlplane/core/kv/tree.h"

struct memory_engine {
    struct kv_engine engine;
    struct kv_memory_disk *disk;
    struct kv_tree_node *root, *fresh;
};

struct kv_snapshot {
    struct kv_tree_node *root;
};

struct memory_iterator {
    struct kv_iterator iterator;
    struct kv_tree_node *root;
    const struct kv_tree_entry *at;
    struct buffer lower, upper;
};

static struct memory_engine *memory_of(struct kv_engine *engine)
{
    return (struct memory_engine *)engine;
}

static void memory_close(struct kv_engine *engine)
{
    struct memory_engine *memory = memory_of(engine);

    kv_tree_release(memory->root);
    kv_tree_release(memory->fresh);
    free(memory);
}

static int memory_get(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice key,
                      struct buffer *value)
{
    const struct kv_tree_entry *entry =
        kv_tree_find(snapshot ? snapshot->root : memory_of(engine)->root, key);
    struct kv_slice bytes;

    if (!entry)
        return CULVERT_ENOTFOUND;
    bytes = kv_tree_value(entry);
    buffer_add(value, bytes.data, bytes.length);
    return value->error;
}

/* Changes the map at *root by all of the batch or by nothing. */
static int memory_change(struct kv_tree_node **root, const struct kv_batch *batch)
{
    struct kv_reader reader = kv_batch_read(batch);
    struct kv_tree_node *next = kv_tree_hold(*root);
    struct kv_change change;
    int error = batch->ops.error;

    while (!error && kv_batch_next(&reader, &change))
        error = change.put ? kv_tree_set(&next, change.key, change.value)
                           : kv_tree_remove(&next, change.key);
    if (error) {
        kv_tree_release(next);
        return error;
    }
    kv_tree_release(*root);
    *root = next;
    return 0;
}

static int memory_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    struct memory_engine *memory = memory_of(engine);

    return memory->disk->fail ? memory->disk->fail : memory_change(&memory->root, batch);
}

static int memory_snapshot(struct kv_engine *engine, struct kv_snapshot **out)
{
    struct kv_snapshot *snapshot = malloc(sizeof(*snapshot));

    if (!snapshot)
        return CULVERT_ENOMEM;
    snapshot->root = kv_tree_hold(memory_of(engine)->root);
    *out = snapshot;
    return 0;
}

static void memory_snapshot_free(struct kv_snapshot *snapshot)
{
    if (!snapshot)
        return;
    kv_tree_release(snapshot->root);
    free(snapshot);
}

static void disk_keep(struct kv_memory_disk *disk, struct kv_tree_node *root)
{
    kv_tree_hold(root);
    kv_tree_release(disk->root);
    disk->root = root;
}

static int memory_flush(struct kv_engine *engine)
{
    struct memory_engine *memory = memory_of(engine);

    if (memory->disk->fail)
        return memory->disk->fail;
    disk_keep(memory->disk, memory->root);
    return 0;
}

static uint64_t tree_size(const struct kv_tree_node *node)
{
    return node ? node->entry->key_length + node->entry->value_length + tree_size(node->left) +
                      tree_size(node->right)
                : 0;
}

static uint64_t memory_size(struct kv_engine *engine)
{
    return tree_size(memory_of(engine)->root);
}

static void memory_fresh_abort(struct kv_engine *engine)
{
    struct memory_engine *memory = memory_of(engine);

    kv_tree_release(memory->fresh);
    memory->fresh = NULL;
}

static int memory_fresh_begin(struct kv_engine *engine)
{
    memory_fresh_abort(engine);
    return 0;
}

static int memory_fresh_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    struct memory_engine *memory = memory_of(engine);

    return memory->disk->fail ? memory->disk->fail : memory_change(&memory->fresh, batch);
}

static int memory_fresh_commit(struct kv_engine *engine)
{
    struct memory_engine *memory = memory_of(engine);

    if (memory->disk->fail)
        return memory->disk->fail;
    disk_keep(memory->disk, memory->fresh);
    kv_tree_release(memory->root);
    memory->root = memory->fresh;
    memory->fresh = NULL;
    return 0;
}

/* ---- iterators ---- */

static struct memory_iterator *iterator_of(struct kv_iterator *iterator)
{
    return (struct memory_iterator *)iterator;
}

static void iterator_close(struct kv_iterator *iterator)
{
    struct memory_iterator *memory = iterator_of(iterator);

    buffer_free(&memory->lower);
    buffer_free(&memory->upper);
    kv_tree_release(memory->root);
    free(memory);
}

/* Forgets the place when it is out of the bounds. */
static void iterator_bound(struct memory_iterator *memory)
{
    struct kv_slice key;

    if (!memory->at)
        return;
    key = kv_tree_key(memory->at);
    if (kv_compare_bytes(key, kv_buffer_slice(&memory->lower)) < 0 ||
        (memory->upper.length && kv_compare_bytes(key, kv_buffer_slice(&memory->upper)) >= 0))
        memory->at = NULL;
}

static void iterator_seek(struct kv_iterator *iterator, struct kv_slice key)
{
    struct memory_iterator *memory = iterator_of(iterator);
    struct kv_slice lower = kv_buffer_slice(&memory->lower);

    memory->at =
        kv_tree_ceiling(memory->root, kv_compare_bytes(key, lower) < 0 ? lower : key, false);
    iterator_bound(memory);
}

static void iterator_seek_last(struct kv_iterator *iterator, struct kv_slice key)
{
    struct memory_iterator *memory = iterator_of(iterator);
    struct kv_slice upper = kv_buffer_slice(&memory->upper);
    bool beyond = upper.length && kv_compare_bytes(key, upper) >= 0;

    memory->at = kv_tree_floor(memory->root, beyond ? upper : key, beyond);
    iterator_bound(memory);
}

static void iterator_next(struct kv_iterator *iterator)
{
    struct memory_iterator *memory = iterator_of(iterator);

    memory->at = kv_tree_ceiling(memory->root, kv_tree_key(memory->at), true);
    iterator_bound(memory);
}

static void iterator_prev(struct kv_iterator *iterator)
{
    struct memory_iterator *memory = iterator_of(iterator);

    memory->at = kv_tree_floor(memory->root, kv_tree_key(memory->at), true);
    iterator_bound(memory);
}

static bool iterator_valid(struct kv_iterator *iterator)
{
    return iterator_of(iterator)->at;
}

static struct kv_slice iterator_key(struct kv_iterator *iterator)
{
    return kv_tree_key(iterator_of(iterator)->at);
}

static struct kv_slice iterator_value(struct kv_iterator *iterator)
{
    return kv_tree_value(iterator_of(iterator)->at);
}

static int iterator_error(struct kv_iterator *iterator)
{
    return 0;
}

static const struct kv_iterator_ops iterator_ops = {
    .close = iterator_close,
    .seek = iterator_seek,
    .seek_last = iterator_seek_last,
    .next = iterator_next,
    .prev = iterator_prev,
    .valid = iterator_valid,
    .key = iterator_key,
    .value = iterator_value,
    .error = iterator_error,
};

static int memory_iterator(struct kv_engine *engine, struct kv_snapshot *snapshot,
                           struct kv_slice lower, struct kv_slice upper, struct kv_iterator **out)
{
    struct memory_iterator *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return CULVERT_ENOMEM;
    memory->iterator.ops = &iterator_ops;
    memory->root = kv_tree_hold(snapshot ? snapshot->root : memory_of(engine)->root);
    buffer_add(&memory->lower, lower.data, lower.length);
    buffer_add(&memory->upper, upper.data, upper.length);
    if (memory->lower.error || memory->upper.error) {
        iterator_close(&memory->iterator);
        return CULVERT_ENOMEM;
    }
    *out = &memory->iterator;
    return 0;
}

static const struct kv_engine_ops memory_ops = {
    .close = memory_close,
    .get = memory_get,
    .write = memory_write,
    .snapshot = memory_snapshot,
    .snapshot_free = memory_snapshot_free,
    .iterator = memory_iterator,
    .flush = memory_flush,
    .size = memory_size,
    .fresh_begin = memory_fresh_begin,
    .fresh_write = memory_fresh_write,
    .fresh_commit = memory_fresh_commit,
    .fresh_abort = memory_fresh_abort,
};

int kv_memory_open(struct kv_engine **out, struct kv_memory_disk *disk)
{
    struct memory_engine *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return CULVERT_ENOMEM;
    memory->engine.ops = &memory_ops;
    memory->disk = disk;
    memory->root = kv_tree_hold(disk->root);
    *out = &memory->engine;
    return 0;
}

void kv_memory_disk_free(struct kv_memory_disk *disk)
{
    kv_tree_release(disk->root);
    disk->root = NULL;
}
