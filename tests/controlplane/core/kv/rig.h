/* SPDX-License-Identifier: Apache-2.0 */
/* A store on either engine with a log of its commands, for tests: it can crash and come back. */
#ifndef CULVERT_TESTS_CORE_KV_RIG_H
#define CULVERT_TESTS_CORE_KV_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store.h"

enum rig_engine { RIG_MEMORY, RIG_ROCKSDB };

/* An environment that has a clock, and work that is done when the test says so. */
struct rig_env {
    struct env env;
    uint64_t now_ms;
    struct env_work *waiting;
};

struct rig {
    enum rig_engine kind;
    struct kv_memory_disk disk;
    char *folder; /* of RocksDB's */
    struct rig_env env;
    struct kv_store *store;
    struct arena arena; /* of the last result */
    struct buffer bytes;
    struct kv_result result;
    uint64_t index;
    struct {
        char *bytes;
        size_t length;
    } *log; /* commands from index 1 on */
    size_t log_count;
};

/* A fresh store. */
void rig_open(struct rig *rig, enum rig_engine kind);
void rig_close(struct rig *rig); /* and removes its files */
/* Opens the store anew; `flush`: else what was not flushed is lost, as far as the engine can lose
 * it, and applied again. */
void rig_reopen(struct rig *rig, bool flush);
void rig_flush(struct rig *rig);

/* Applies a command as the next entry; the result is rig->result until the next call. */
const struct kv_result *rig_apply(struct rig *rig, const struct kv_command *command);
const struct kv_result *rig_read(struct rig *rig, const struct kv_command *command);
/* A state in one buffer; and loaded, in pieces of `piece` bytes. */
void rig_dump(struct rig *rig, size_t bound, struct buffer *to);
int rig_load(struct rig *rig, const struct buffer *dump, size_t piece, uint64_t index);
uint64_t rig_hash(struct rig *rig, uint64_t revision);

/* Short forms for stories; texts are keys and values. Each returns the status. */
int rig_put(struct rig *rig, const char *key, const char *value);
int rig_put_lease(struct rig *rig, const char *key, const char *value, int64_t lease);
int rig_delete(struct rig *rig, const char *key, const char *end);
int rig_compact(struct rig *rig, uint64_t revision);
int rig_grant(struct rig *rig, int64_t id, uint64_t ttl);
int rig_revoke(struct rig *rig, int64_t id);
/* What a range gives, as "key=value@mod ...". */
const char *rig_range(struct rig *rig, const char *key, const char *end, uint64_t revision);

/* Appends what a result says, in words; for comparing. */
void rig_print(struct buffer *to, const struct kv_result *result);
void rig_print_pair(struct buffer *to, const struct kv_pair *pair);
void rig_print_slice(struct buffer *to, struct kv_slice bytes);

/* A test on either engine, by make_memory(), make_rocksdb() and unmake() of its file. */
#define BOTH(test) ON_BOTH(test, make_memory, make_rocksdb, unmake)
/* The same where all of a test's state is a rig. */
#define RIG_BOTH(test) ON_BOTH(test, rig_make_memory, rig_make_rocksdb, rig_unmake)
#define ON_BOTH(test, memory, rocksdb, undo)                                                       \
    {#test " in memory", test, memory, undo, NULL},                                                \
    {                                                                                              \
        #test " on RocksDB", test, rocksdb, undo, NULL                                             \
    }
int rig_make_memory(void **state);
int rig_make_rocksdb(void **state);
int rig_unmake(void **state);

#endif
