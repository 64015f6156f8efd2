/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the RocksDB engine: its databases and iterators. */
#ifndef CULVERT_CORE_KV_ENGINE_ROCKSDB_H
#define CULVERT_CORE_KV_ENGINE_ROCKSDB_H

#include <pthread.h>
#include <rocksdb/c.h>

#include "controlplane/core/kv/engine.h"

/* One database, used by the engine and by snapshots of it. */
struct rocks_content {
    rocksdb_t *db;
    char *path;
    unsigned references; /* under the engine's lock */
    bool doomed;         /* its files go with the last reference */
    struct rocks_engine *engine;
};

struct rocks_engine {
    struct kv_engine engine;
    pthread_mutex_t lock; /* of `content` and all references: flush is on another thread */
    struct rocks_content *content, *fresh;
    uint64_t number; /* of the content's folder */
    char *folder;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_flushoptions_t *flush;
    rocksdb_writebatch_t *writes; /* empty between two */
};

struct kv_snapshot {
    struct rocks_content *content;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read; /* at it */
};

/* The error of the table for RocksDB's text (NULL: none), which is freed, and logged unless it says
 * the same as the last one. */
int rocks_error(char *text);

/* Like the engine's operation. */
int rocks_iterator(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice lower,
                   struct kv_slice upper, struct kv_iterator **out);

/* Options for databases, all of the engine's fields for them. Freed by rocks_options_free(). */
int rocks_options_make(struct rocks_engine *engine, const struct kv_rocksdb_options *options);
void rocks_options_free(struct rocks_engine *engine);

#endif
