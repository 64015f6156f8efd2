/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: who wants to see the changes of keys gets each one once and in order, from a revision of
 * the past or from now on. A watch is a place in the store's history, not a queue. One that has
 * seen all gets changes as they are applied; one that has not, or whose receiver is full, reads the
 * history on when it is pumped. However slow it is, it costs no memory; when what it wants to see
 * next is compacted it ends with an error.
 */
#ifndef CULVERT_CORE_KV_WATCH_H
#define CULVERT_CORE_KV_WATCH_H

#include "controlplane/core/kv/store.h"

struct kv_watch_hub;
struct kv_watch;

#define KV_WATCHES_MAX ((size_t)65536)
#define KV_WATCH_BATCH 256u              /* changes handed over at once, at most */
#define KV_WATCH_BYTES ((size_t)1 << 20) /* and bytes of them, but for a single larger one */

/* What a watch's receiver is handed. Bytes are valid during the call. */
struct kv_watch_news {
    uint64_t revision; /* all changes up to it were seen, when `more` is false */
    bool more;         /* further changes of the same revision follow */
    const struct kv_watch_event {
        const struct kv_event *event;
        const struct kv_pair *previous; /* NULL: none, not asked for, or compacted */
    } *events;
    size_t count; /* 0: only to tell the revision, as asked for */
};

struct kv_watch_options {
    struct kv_keys keys;
    uint64_t start; /* the first revision of interest; 0: from now on */
    bool no_put, no_delete, previous;
};

/* Both are called from within kv_watch_pump() and commands that are applied; they may not call the
 * hub, but for kv_watch_cancel() of the watch that they are called for. */
struct kv_watch_receiver {
    void *arg;
    /* Takes all of the news, or (false) none: it is full, and kv_watch_ready() follows. */
    bool (*take)(void *arg, struct kv_watch *watch, const struct kv_watch_news *news);
    /* The end: the watch is gone after it. CULVERT_ECOMPACTED: changes that it has not seen were
     * compacted, up to `compacted`; or the node's error. */
    void (*end)(void *arg, struct kv_watch *watch, int error, uint64_t compacted);
};

/* The hub observes the store until it is closed, and must be closed before it. */
int kv_watch_hub_open(struct kv_watch_hub **out, struct kv_store *store);
void kv_watch_hub_close(struct kv_watch_hub *hub); /* watches are gone without an end */

/* Copies the keys. Nothing is handed over before the next pump. CULVERT_EFULL: there are
 * KV_WATCHES_MAX; CULVERT_EINVAL: an empty key; CULVERT_ENOMEM. */
int kv_watch_create(struct kv_watch **out, struct kv_watch_hub *hub,
                    const struct kv_watch_options *options,
                    const struct kv_watch_receiver *receiver);
void kv_watch_cancel(struct kv_watch *watch); /* without an end */
void kv_watch_ready(struct kv_watch *watch);  /* there is room at the receiver again */
/* The next revision that the watch has not seen. */
uint64_t kv_watch_next(const struct kv_watch *watch);

/* Reads up to `records` of the history for watches that are behind, in turn. Returns 1 when there
 * is more to do, 0 when not. */
int kv_watch_pump(struct kv_watch_hub *hub, size_t records);
/* Tells the revision to a watch (NULL: to all) that has seen all; others are left out. */
void kv_watch_progress(struct kv_watch_hub *hub, struct kv_watch *watch);

#endif
