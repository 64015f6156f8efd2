/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the watches. */
#ifndef CULVERT_CORE_KV_WATCH_INTERNAL_H
#define CULVERT_CORE_KV_WATCH_INTERNAL_H

#include "controlplane/core/kv/watch.h"

#define WATCH_BUCKETS 4096u

enum watch_state {
    WATCH_BEHIND, /* has the history to read */
    WATCH_FULL,   /* behind, and waits for its receiver */
    WATCH_LIVE,   /* has seen all, or starts in the future */
    WATCH_ENDED,  /* is freed when nobody looks at it */
};

struct watch_batch;

struct kv_watch {
    struct kv_watch *next, **link; /* in a list of the hub's */
    struct kv_watch_hub *hub;
    struct kv_watch_receiver receiver;
    struct kv_keys keys;
    struct kv_point at; /* the next change to look at */
    enum watch_state state;
    bool no_put, no_delete, previous;
    bool busy;       /* its receiver is being called */
    bool torn;       /* the last news said that more of the revision follow */
    uint8_t bytes[]; /* of the keys */
};

/* Watches of one key are found by its hash; those of ranges are tried one by one. */
struct kv_watch_hub {
    struct kv_observer observer;
    struct kv_store *store;
    struct kv_watch *behind, **behind_end;
    struct kv_watch *full, *ranges;
    uint64_t seen; /* the revision that live watches have seen */
    struct kv_watch *buckets[WATCH_BUCKETS];
    size_t count;
    struct watch_batch *batch;
};

/* News in the making. */
struct watch_batch {
    struct kv_watch_event events[KV_WATCH_BATCH];
    struct kv_event copies[KV_WATCH_BATCH];
    struct kv_pair previous[KV_WATCH_BATCH];
    size_t count, bytes;
    struct arena arena;
    struct buffer memory; /* scratch */
};

/* True when the watch wants to see the change. */
bool watch_wants(const struct kv_watch *watch, const struct kv_event *event);
/* Adds a change, with copies of its bytes (`copy`) when they don't outlive the call. */
bool watch_batch_full(const struct watch_batch *batch);
int watch_batch_add(struct watch_batch *batch, const struct kv_watch *watch,
                    const struct kv_event *event, bool copy);
void watch_batch_clear(struct watch_batch *batch);

/* Hands a batch over; the watch has seen all up to `revision` then, unless there is `more`. On
 * false the watch is full, or gone, and has the place that it had. */
bool watch_tell(struct kv_watch *watch, const struct watch_batch *batch, uint64_t revision,
                bool more);
void watch_end(struct kv_watch *watch, int error);
/* Puts a watch into the list of its state. */
void watch_move(struct kv_watch *watch, enum watch_state state);

#endif
