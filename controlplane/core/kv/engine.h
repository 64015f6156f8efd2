/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordered store below the key-value store: byte strings sorted by memcmp(). Two engines have
 * this interface: RocksDB, and one in memory for the simulator and for tests; and so has what
 * stands in front of either, and remembers.
 *
 * A batch is written whole or not at all, also across a crash: what a crash leaves is the state
 * after some batch, at least after those that were there when the last flush began. All is called
 * on one thread but flush and reads of a snapshot, which may be on others while the rest goes on
 * (RocksDB).
 *
 * Errors: CULVERT_EIO, CULVERT_ENOSPC, CULVERT_ECORRUPT, CULVERT_ENOMEM.
 */
#ifndef CULVERT_CORE_KV_ENGINE_H
#define CULVERT_CORE_KV_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/core/kv/codec.h"

struct kv_engine;
struct kv_snapshot;
struct kv_iterator;

/* Changes in their order; a zeroed one is empty. The sticky error is its buffer's. */
struct kv_batch {
    struct buffer ops;
};

/* Adds a change; clear keeps the memory, unless it is large. */
void kv_batch_put(struct kv_batch *batch, struct kv_slice key, struct kv_slice value);
void kv_batch_delete(struct kv_batch *batch, struct kv_slice key);
void kv_batch_clear(struct kv_batch *batch);
void kv_batch_free(struct kv_batch *batch);

/* Reads the changes: start with reader = kv_batch_read(batch); false at the end. */
struct kv_change {
    bool put;
    struct kv_slice key, value;
};
struct kv_reader kv_batch_read(const struct kv_batch *batch);
bool kv_batch_next(struct kv_reader *reader, struct kv_change *change);

struct kv_engine_ops {
    /* No iterator and no flush is open; snapshots may be, and stay valid for their own free. */
    void (*close)(struct kv_engine *engine);
    /* Appends the value to `value`, as of now (snapshot NULL) or then. CULVERT_ENOTFOUND. */
    int (*get)(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice key,
               struct buffer *value);
    int (*write)(struct kv_engine *engine, const struct kv_batch *batch);
    /* The state as it is now, for as long as the snapshot lives, also past a replacement. */
    int (*snapshot)(struct kv_engine *engine, struct kv_snapshot **out);
    void (*snapshot_free)(struct kv_snapshot *snapshot);
    /* Over the keys from `lower` up to but without `upper` (empty: to the last one), of now or of
     * a snapshot; it doesn't see later writes. Starts nowhere: seek first. */
    int (*iterator)(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice lower,
                    struct kv_slice upper, struct kv_iterator **out);
    /* What was written before the call is on the disk. Blocks. */
    int (*flush)(struct kv_engine *engine);
    /* Bytes on the disk, about. */
    uint64_t (*size)(struct kv_engine *engine);
    /* A second content beside, that takes the first one's place at commit, durably. */
    int (*fresh_begin)(struct kv_engine *engine);
    int (*fresh_write)(struct kv_engine *engine, const struct kv_batch *batch);
    int (*fresh_commit)(struct kv_engine *engine); /* on an error the first one stays */
    void (*fresh_abort)(struct kv_engine *engine);
};

/* The first member of every engine. */
struct kv_engine {
    const struct kv_engine_ops *ops;
};

struct kv_iterator_ops {
    void (*close)(struct kv_iterator *iterator);
    void (*seek)(struct kv_iterator *iterator, struct kv_slice key);      /* first >= key */
    void (*seek_last)(struct kv_iterator *iterator, struct kv_slice key); /* last <= key */
    void (*next)(struct kv_iterator *iterator);
    void (*prev)(struct kv_iterator *iterator);
    /* False: past an end, or an error. */
    bool (*valid)(struct kv_iterator *iterator);
    /* Of a valid one, until it moves. */
    struct kv_slice (*key)(struct kv_iterator *iterator);
    struct kv_slice (*value)(struct kv_iterator *iterator);
    int (*error)(struct kv_iterator *iterator); /* 0: it is past an end */
};

/* The first member of every iterator. */
struct kv_iterator {
    const struct kv_iterator_ops *ops;
};

/* Opens, or makes, the store in a folder. Blocks. `cache` bytes of block cache and `memtable`
 * bytes of unflushed writes, 0: defaults that keep culvertd small. Content that was being loaded
 * when the process died is removed. */
struct kv_rocksdb_options {
    size_t cache, memtable;
};
#define KV_ROCKSDB_CACHE ((size_t)16 << 20)
#define KV_ROCKSDB_MEMTABLE ((size_t)16 << 20)
int kv_rocksdb_open(struct kv_engine **out, const char *folder,
                    const struct kv_rocksdb_options *options);

/* What an engine in memory leaves behind at a crash: its state at the last flush. A zeroed one is
 * an empty disk; it outlives the engines on it, of which there is one at a time. */
struct kv_memory_disk {
    struct kv_tree_node *root;
    int fail; /* an error that the next writes and flushes give instead of working; 0: none */
};
int kv_memory_open(struct kv_engine **out, struct kv_memory_disk *disk);
void kv_memory_disk_free(struct kv_memory_disk *disk);

/* Keeps changes, and records that were read, in front of another engine, which it takes unless
 * there is an error. Its flush covers what kv_cache_settle() has handed down before, on the
 * engine's thread; on an error there all is as it was. */
int kv_cache_open(struct kv_engine **out, struct kv_engine *below);
int kv_cache_settle(struct kv_engine *engine);

#endif
