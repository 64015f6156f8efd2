/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key-value store: a state machine (core/machine.h) with the semantics of etcd v3 over an
 * ordered engine. Its commands are those of command.h. All of it runs on the loop's thread; only
 * a flush's wait for the disk is on another.
 */
#ifndef CULVERT_CORE_KV_STORE_H
#define CULVERT_CORE_KV_STORE_H

#include "controlplane/base/env.h"
#include "controlplane/core/kv/engine.h"
#include "controlplane/core/kv/layout.h"
#include "controlplane/core/machine.h"

struct kv_store;

#define KV_QUOTA_DEFAULT ((uint64_t)2 << 30) /* bytes, as kv_info.size counts them */
#define KV_LEASES_MAX ((uint64_t)1 << 20)
#define KV_TIDY_STEP 32u                 /* compacted records that any command removes at most */
#define KV_TIDY_MAX 10000u               /* and KV_TIDY */
#define KV_CHANGES_MAX ((size_t)1 << 20) /* keys that one command changes at most */
#define KV_DELETE_MAX                                                                              \
    65536u /* keys that the ranges of one command delete at most: the loop waits */
#define KV_BATCH_MAX ((size_t)256 << 20)  /* bytes that one command writes at most */
#define KV_RESULT_MAX ((size_t)256 << 20) /* bytes of a read's result */
#define KV_ANSWER_MAX ((size_t)15 << 20)  /* of a command's, which may have to go to another node */
#define KV_EVENTS_MAX 4096u /* of one revision that observers are told; more they read */

/* Opens the store on an engine, which it owns from then on, also when it fails. Blocks.
 * CULVERT_ECORRUPT: not a store, or of a newer version. */
int kv_store_open(struct kv_store **out, struct kv_engine *engine, struct env *env);
/* No flush is under way, no dump open. What was not flushed may be lost. NULL is allowed. */
void kv_store_close(struct kv_store *store);
struct machine *kv_store_machine(struct kv_store *store);

/* Answers KV_RANGE, or a KV_TXN that only reads, from the state as of now. The result says what
 * is wrong with the read; an error is the node's. */
int kv_store_read(struct kv_store *store, const struct kv_command *command, struct buffer *result);

/* The same of one moment, for reads that take long: opened and closed on the loop, read on any
 * thread meanwhile, by one at a time. Closed before the store is. (On the engine in memory all of
 * it is on the loop.) */
struct kv_view;
int kv_view_open(struct kv_view **out, struct kv_store *store);
int kv_view_read(struct kv_view *view, const struct kv_command *command, struct buffer *result);
void kv_view_close(struct kv_view *view); /* NULL is allowed */

struct kv_info {
    uint64_t applied, durable;
    uint64_t revision, compacted;
    bool tidying; /* KV_TIDY commands are of use */
    bool alarm;
    uint64_t size, quota; /* bytes of keys, values and records, the same on all nodes: each version
                             that is kept counts once, though the newest value is stored twice */
    uint64_t disk;        /* bytes on this node's disk, about; compressed */
    uint64_t keys, leases;
};
void kv_store_info(struct kv_store *store, struct kv_info *info);

/* A lease as the state has it. CULVERT_ENOLEASE. */
int kv_store_lease(struct kv_store *store, int64_t id, struct kv_lease *lease);
/* Calls `each` for every lease, or every key of a lease, until it returns non-zero, which is
 * returned. */
int kv_store_leases(struct kv_store *store, int (*each)(void *arg, const struct kv_lease *lease),
                    void *arg);
int kv_store_lease_keys(struct kv_store *store, int64_t id,
                        int (*each)(void *arg, struct kv_slice key), void *arg);

/* ---- what nodes compare with each other ---- */

/* A hash of all changes ever made up to a revision, which a node knows at once as long as the
 * revision is newer than the compacted one. CULVERT_ECOMPACTED, CULVERT_EFUTURE. */
int kv_store_chain(struct kv_store *store, uint64_t revision, uint64_t *chain);

/* A hash of what the store holds of its history up to a revision (like etcd's HashKV), read record
 * by record: equal on nodes with the same `compacted`. Steps of at most `records`; 1: there is
 * more, 0: `*hash` is set. Consistent whatever is applied meanwhile. */
struct kv_hasher;
int kv_hasher_open(struct kv_hasher **out, struct kv_store *store, uint64_t revision,
                   uint64_t *compacted);
int kv_hasher_step(struct kv_hasher *hasher, size_t records, uint64_t *hash);
void kv_hasher_close(struct kv_hasher *hasher); /* NULL is allowed */

/* ---- who wants to know of changes ---- */

/* A change of a key. Of a deletion, `now` has the key and the revision only. */
struct kv_event {
    bool put;
    struct kv_pair now;
    struct kv_point at, before; /* before.main 0: there was none */
};

/* Called while a command is applied, after its effect is there to be read. They may read the
 * store, not change it. */
struct kv_observer {
    void *arg;
    /* A new revision. `events` NULL: they are too many, read them from the history. */
    void (*changed)(void *arg, uint64_t revision, const struct kv_event *events, size_t count);
    /* A lease was granted or checkpointed, or is gone. NULL is allowed. */
    void (*lease)(void *arg, const struct kv_lease *lease, bool there);
    /* The whole state was replaced by another node's. */
    void (*replaced)(void *arg);
    struct kv_observer *next; /* the store's */
};
void kv_store_observe(struct kv_store *store, struct kv_observer *observer);
void kv_store_forget(struct kv_store *store, struct kv_observer *observer);

/* Reads changes from a point of the history on, at most `records` of them, and calls `each` until
 * it returns non-zero, which is returned; *next is the point to go on with then: behind what
 * `each` was called for, or at it when it said so by a negative return. 0: no changes are left. */
int kv_store_changes(struct kv_store *store, struct kv_point *next, size_t records,
                     int (*each)(void *arg, const struct kv_event *event), void *arg);
/* A version of the past: the pair points into `memory`. CULVERT_ENOTFOUND: compacted, or none. */
int kv_store_version(struct kv_store *store, struct kv_point point, struct kv_pair *pair,
                     struct buffer *memory);

#endif
