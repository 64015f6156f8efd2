/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/watch.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/hash.h"
#include "controlplane/core/kv/watch_internal.h"

/* ---- lists ---- */

static void list_add(struct kv_watch **list, struct kv_watch *watch)
{
    watch->next = *list;
    watch->link = list;
    if (watch->next)
        watch->next->link = &watch->next;
    *list = watch;
}

static void unlink_watch(struct kv_watch *watch)
{
    *watch->link = watch->next;
    if (watch->next)
        watch->next->link = watch->link;
    else if (watch->state == WATCH_BEHIND)
        watch->hub->behind_end = watch->link;
}

static struct kv_watch **live_list(struct kv_watch *watch)
{
    if (watch->keys.end.length)
        return &watch->hub->ranges;
    return &watch->hub->buckets[kv_hash(KV_HASH_START, watch->keys.key) % WATCH_BUCKETS];
}

void watch_move(struct kv_watch *watch, enum watch_state state)
{
    struct kv_watch_hub *hub = watch->hub;

    unlink_watch(watch);
    watch->state = state;
    if (state == WATCH_LIVE) {
        list_add(live_list(watch), watch);
    } else if (state == WATCH_FULL) {
        list_add(&hub->full, watch);
    } else {
        watch->next = NULL;
        watch->link = hub->behind_end;
        *hub->behind_end = watch;
        hub->behind_end = &watch->next;
    }
}

/* A live watch reads the history on: it has seen what was there before. */
static void fall_behind(struct kv_watch *watch, enum watch_state state)
{
    struct kv_point seen = {watch->hub->seen + 1, 0};

    if (kv_compare_points(watch->at, seen) < 0)
        watch->at = seen;
    watch_move(watch, state);
}

/* ---- handing over ---- */

bool watch_wants(const struct kv_watch *watch, const struct kv_event *event)
{
    const struct kv_keys *keys = &watch->keys;
    int order = kv_compare_bytes(event->now.key, keys->key);

    if ((event->put ? watch->no_put : watch->no_delete) || order < 0 ||
        kv_compare_points(event->at, watch->at) < 0)
        return false;
    if (!keys->end.length)
        return !order;
    return (keys->end.length == 1 && !keys->end.data[0]) ||
           kv_compare_bytes(event->now.key, keys->end) < 0;
}

static void watch_drop(struct kv_watch *watch)
{
    watch->hub->count--;
    unlink_watch(watch);
    watch->state = WATCH_ENDED;
    if (!watch->busy)
        free(watch);
}

void watch_end(struct kv_watch *watch, int error)
{
    struct kv_info info;

    kv_store_info(watch->hub->store, &info);
    watch->busy = true;
    watch->receiver.end(watch->receiver.arg, watch, error, info.compacted);
    watch->busy = false;
    if (watch->state == WATCH_ENDED)
        free(watch);
    else
        watch_drop(watch);
}

bool watch_tell(struct kv_watch *watch, const struct watch_batch *batch, uint64_t revision,
                bool more)
{
    const struct kv_watch_news news = {revision, more, batch->events, batch->count};
    bool taken;

    watch->busy = true;
    taken = watch->receiver.take(watch->receiver.arg, watch, &news);
    watch->busy = false;
    if (watch->state == WATCH_ENDED) {
        free(watch);
        return false;
    }
    if (taken)
        watch->torn = more;
    else if (watch->state == WATCH_LIVE)
        fall_behind(watch, WATCH_FULL);
    else
        watch_move(watch, WATCH_FULL);
    return taken;
}

/* ---- changes as they are applied ---- */

/* All that a live watch wants of a revision, in as many batches as it takes. */
static void tell_live(struct kv_watch *watch, uint64_t revision, const struct kv_event *events,
                      size_t count)
{
    struct watch_batch *batch = watch->hub->batch;
    int error = 0;

    watch_batch_clear(batch);
    for (size_t i = 0; i < count && !error; i++) {
        if (!watch_wants(watch, &events[i]))
            continue;
        if (watch_batch_full(batch)) {
            if (!watch_tell(watch, batch, revision, true))
                return;
            watch->at = events[i].at;
            watch_batch_clear(batch);
        }
        error = watch_batch_add(batch, watch, &events[i], false);
    }
    if (error) {
        watch_end(watch, error);
        return;
    }
    if (batch->count && watch_tell(watch, batch, revision, false))
        watch->at = (struct kv_point){revision + 1, 0};
}

static void tell_list(struct kv_watch *list, uint64_t revision, const struct kv_event *events,
                      size_t count)
{
    struct kv_watch *next;

    for (struct kv_watch *watch = list; watch; watch = next) {
        next = watch->next;
        tell_live(watch, revision, events, count);
    }
}

static void all_fall_behind(struct kv_watch_hub *hub)
{
    while (hub->ranges)
        fall_behind(hub->ranges, WATCH_BEHIND);
    for (size_t i = 0; i < WATCH_BUCKETS; i++)
        while (hub->buckets[i])
            fall_behind(hub->buckets[i], WATCH_BEHIND);
}

static void hub_changed(void *arg, uint64_t revision, const struct kv_event *events, size_t count)
{
    struct kv_watch_hub *hub = arg;

    if (!events)
        all_fall_behind(hub);
    tell_list(hub->ranges, revision, events, events ? count : 0);
    for (size_t i = 0; events && i < count; i++)
        tell_list(hub->buckets[kv_hash(KV_HASH_START, events[i].now.key) % WATCH_BUCKETS], revision,
                  events + i, count - i);
    hub->seen = revision;
}

static void hub_replaced(void *arg)
{
    struct kv_watch_hub *hub = arg;
    struct kv_info info;

    all_fall_behind(hub);
    kv_store_info(hub->store, &info);
    hub->seen = info.revision;
}

/* ---- watches ---- */

int kv_watch_create(struct kv_watch **out, struct kv_watch_hub *hub,
                    const struct kv_watch_options *options,
                    const struct kv_watch_receiver *receiver)
{
    const struct kv_keys *keys = &options->keys;
    struct kv_watch *watch;

    if (!keys->key.length)
        return CULVERT_EINVAL;
    if (hub->count == KV_WATCHES_MAX)
        return CULVERT_EFULL;
    watch = calloc(1, sizeof(*watch) + keys->key.length + keys->end.length);
    if (!watch)
        return CULVERT_ENOMEM;
    *watch = (struct kv_watch){
        .hub = hub,
        .receiver = *receiver,
        .keys = {{watch->bytes, keys->key.length},
                 {watch->bytes + keys->key.length, keys->end.length}},
        .at = {options->start ? options->start : hub->seen + 1, 0},
        .no_put = options->no_put,
        .no_delete = options->no_delete,
        .previous = options->previous,
    };
    memcpy(watch->bytes, keys->key.data, keys->key.length);
    if (keys->end.length)
        memcpy(watch->bytes + keys->key.length, keys->end.data, keys->end.length);
    list_add(&hub->full, watch);
    watch->state = WATCH_FULL;
    watch_move(watch, WATCH_BEHIND);
    hub->count++;
    *out = watch;
    return 0;
}

void kv_watch_cancel(struct kv_watch *watch)
{
    watch_drop(watch);
}

void kv_watch_ready(struct kv_watch *watch)
{
    if (watch->state == WATCH_FULL)
        watch_move(watch, WATCH_BEHIND);
}

uint64_t kv_watch_next(const struct kv_watch *watch)
{
    if (watch->state == WATCH_LIVE && watch->at.main <= watch->hub->seen)
        return watch->hub->seen + 1;
    return watch->at.main;
}

static void progress(struct kv_watch *watch)
{
    watch_batch_clear(watch->hub->batch);
    if (watch->state == WATCH_LIVE)
        watch_tell(watch, watch->hub->batch, watch->hub->seen, false);
}

static void progress_list(struct kv_watch *list)
{
    struct kv_watch *next;

    for (struct kv_watch *watch = list; watch; watch = next) {
        next = watch->next;
        progress(watch);
    }
}

void kv_watch_progress(struct kv_watch_hub *hub, struct kv_watch *watch)
{
    if (watch) {
        progress(watch);
        return;
    }
    progress_list(hub->ranges);
    for (size_t i = 0; i < WATCH_BUCKETS; i++)
        progress_list(hub->buckets[i]);
}

/* ---- the hub ---- */

int kv_watch_hub_open(struct kv_watch_hub **out, struct kv_store *store)
{
    struct kv_watch_hub *hub = calloc(1, sizeof(*hub));
    struct kv_info info;

    if (!hub)
        return CULVERT_ENOMEM;
    hub->batch = calloc(1, sizeof(*hub->batch));
    if (!hub->batch) {
        free(hub);
        return CULVERT_ENOMEM;
    }
    kv_store_info(store, &info);
    hub->seen = info.revision;
    hub->store = store;
    hub->behind_end = &hub->behind;
    hub->observer =
        (struct kv_observer){.arg = hub, .changed = hub_changed, .replaced = hub_replaced};
    kv_store_observe(store, &hub->observer);
    *out = hub;
    return 0;
}

static void free_list(struct kv_watch *list)
{
    struct kv_watch *next;

    for (; list; list = next) {
        next = list->next;
        free(list);
    }
}

void kv_watch_hub_close(struct kv_watch_hub *hub)
{
    if (!hub)
        return;
    kv_store_forget(hub->store, &hub->observer);
    free_list(hub->behind);
    free_list(hub->full);
    free_list(hub->ranges);
    for (size_t i = 0; i < WATCH_BUCKETS; i++)
        free_list(hub->buckets[i]);
    watch_batch_clear(hub->batch);
    buffer_free(&hub->batch->memory);
    free(hub->batch);
    free(hub);
}
