/* SPDX-License-Identifier: Apache-2.0 */
/* Watches that are behind read the history. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/watch_internal.h"

#define STOP (-1000) /* no error of the table */

/* ---- batches ---- */

bool watch_batch_full(const struct watch_batch *batch)
{
    return batch->count == KV_WATCH_BATCH || batch->bytes >= KV_WATCH_BYTES;
}

void watch_batch_clear(struct watch_batch *batch)
{
    arena_free(&batch->arena);
    batch->count = batch->bytes = 0;
}

static bool pair_copy(struct watch_batch *batch, struct kv_pair *pair)
{
    pair->key.data =
        (const uint8_t *)arena_copy(&batch->arena, (const char *)pair->key.data, pair->key.length);
    pair->value.data = (const uint8_t *)arena_copy(&batch->arena, (const char *)pair->value.data,
                                                   pair->value.length);
    batch->bytes += pair->key.length + pair->value.length;
    return pair->key.data && pair->value.data;
}

int watch_batch_add(struct watch_batch *batch, const struct kv_watch *watch,
                    const struct kv_event *event, bool copy)
{
    struct kv_watch_event *to = &batch->events[batch->count];
    struct kv_pair *previous = &batch->previous[batch->count];
    int error = CULVERT_ENOTFOUND;

    *to = (struct kv_watch_event){.event = event};
    if (copy) {
        batch->copies[batch->count] = *event;
        to->event = &batch->copies[batch->count];
        if (!pair_copy(batch, &batch->copies[batch->count].now))
            return CULVERT_ENOMEM;
    }
    if (watch->previous && event->before.main)
        error = kv_store_version(watch->hub->store, event->before, previous, &batch->memory);
    if (!error) {
        to->previous = previous;
        error = pair_copy(batch, previous) ? 0 : CULVERT_ENOMEM;
    }
    batch->count++;
    return error == CULVERT_ENOTFOUND ? 0 : error;
}

/* ---- reading on ---- */

struct reading {
    struct kv_watch *watch;
    struct watch_batch *batch;
    size_t records, bound; /* changes looked at; where to stop, at the end of a revision */
    uint64_t last;         /* revision of the last one looked at */
};

static int read_change(void *arg, const struct kv_event *event)
{
    struct reading *reading = arg;
    bool wanted = watch_wants(reading->watch, event);
    bool same = event->at.main == reading->last;

    if (reading->records >= (same ? 2 : 1) * reading->bound ||
        (wanted && watch_batch_full(reading->batch)))
        return STOP;
    reading->records++;
    reading->last = event->at.main;
    return wanted ? watch_batch_add(reading->batch, reading->watch, event, true) : 0;
}

/* One watch's turn. Returns how many changes were looked at. */
static size_t watch_read(struct kv_watch *watch, size_t bound, const struct kv_info *info)
{
    struct watch_batch *batch = watch->hub->batch;
    struct reading reading = {.watch = watch, .batch = batch, .bound = bound};
    struct kv_point next = watch->at;
    uint64_t revision = info->revision;
    bool stopped, more = false;
    int error;

    watch_batch_clear(batch);
    error = kv_store_changes(watch->hub->store, &next, SIZE_MAX, read_change, &reading);
    stopped = error == STOP;
    if (error && !stopped) {
        watch_end(watch, error);
        return reading.records;
    }
    if (stopped) {
        more = next.main == reading.last && (batch->count || watch->torn);
        revision = more ? next.main : next.main - 1;
    }
    if ((batch->count || (watch->torn && !more)) && !watch_tell(watch, batch, revision, more))
        return reading.records;
    watch->at = next;
    watch_move(watch, stopped ? WATCH_BEHIND : WATCH_LIVE);
    return reading.records;
}

int kv_watch_pump(struct kv_watch_hub *hub, size_t records)
{
    struct kv_watch *watch;
    struct kv_info info;
    size_t used;

    if (!hub->behind)
        return 0;
    kv_store_info(hub->store, &info);
    while (records && (watch = hub->behind)) {
        used = 0;
        if (watch->at.main > info.revision)
            watch_move(watch, WATCH_LIVE);
        else if (watch->at.main < info.compacted)
            watch_end(watch, CULVERT_ECOMPACTED);
        else
            used = watch_read(watch, records, &info);
        records -= used < records ? used : records;
        records -= records > 0; /* a turn costs something, too */
    }
    watch_batch_clear(hub->batch);
    return hub->behind != NULL;
}
