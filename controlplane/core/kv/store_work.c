/* SPDX-License-Identifier: Apache-2.0 */
/* A command at work: what it has changed so far, which only it sees, and the records for it. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

void kv_work_begin(struct kv_work *work, struct kv_store *store, struct buffer *result)
{
    *work = (struct kv_work){
        .store = store, .meta = store->meta, .start = store->meta.revision, .result = result};
    work->answer_max = KV_ANSWER_MAX;
    buffer_init(&work->pairs, KV_ANSWER_MAX);
}

void kv_work_end(struct kv_work *work)
{
    arena_free(&work->arena);
    free(work->overlay);
    free(work->events);
    free(work->leases);
    buffer_free(&work->key);
    buffer_free(&work->record);
    buffer_free(&work->found);
    buffer_free(&work->pairs);
}

/* ---- the overlay ---- */

/* The place of the key, or where it would be. */
static size_t overlay_place(const struct kv_work *work, struct kv_slice key, bool *there)
{
    size_t low = 0, high = work->overlay_count;

    *there = false;
    if (high && kv_compare_bytes(work->overlay[high - 1].key, key) < 0)
        return high; /* ranges are changed in their order */
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = kv_compare_bytes(work->overlay[middle].key, key);

        if (!order) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* `record` is the arena's, or NULL: deleted. */
static int overlay_set(struct kv_work *work, struct kv_slice key, struct kv_slice record)
{
    size_t capacity = work->overlay_capacity ? 2 * work->overlay_capacity : 16;
    struct kv_overlay *more;
    bool there;
    size_t place = overlay_place(work, key, &there);

    if (there) {
        work->overlay[place].record = record;
        return 0;
    }
    if (work->overlay_count == work->overlay_capacity) {
        more = realloc(work->overlay, capacity * sizeof(*more));
        if (!more)
            return CULVERT_ENOMEM;
        work->overlay = more;
        work->overlay_capacity = capacity;
    }
    memmove(&work->overlay[place + 1], &work->overlay[place],
            (work->overlay_count - place) * sizeof(*work->overlay));
    work->overlay[place] = (struct kv_overlay){key, record};
    work->overlay_count++;
    return 0;
}

int kv_work_find(struct kv_work *work, struct kv_slice key, struct kv_live *live)
{
    struct kv_engine *engine = work->store->engine;
    bool there;
    size_t place = overlay_place(work, key, &there);
    int error;

    if (there) {
        if (!work->overlay[place].record.data)
            return CULVERT_ENOTFOUND;
        return layout_live_decode(live, work->overlay[place].record) ? 0 : CULVERT_ECORRUPT;
    }
    layout_key(&work->key, LAYOUT_LIVE, key);
    if (work->key.error)
        return work->key.error;
    buffer_clear(&work->found);
    error = engine->ops->get(engine, work->snapshot, kv_buffer_slice(&work->key), &work->found);
    if (error)
        return error;
    return layout_live_decode(live, kv_buffer_slice(&work->found)) ? 0 : CULVERT_ECORRUPT;
}

/* ---- records ---- */

void kv_work_record(struct kv_work *work, struct kv_slice key, struct kv_slice record)
{
    kv_batch_put(&work->store->batch, key, record);
    work->meta.size += key.length + record.length;
}

void kv_work_remove(struct kv_work *work, struct kv_slice key, size_t old)
{
    kv_batch_delete(&work->store->batch, key);
    work->meta.size -= key.length + old;
}

/* The change as history and index have it. */
static int record_history(struct kv_work *work, struct kv_history *history, struct kv_point at)
{
    const uint8_t kind = history->put;

    layout_history_key(&work->key, at);
    layout_history_encode(&work->record, history, at, work->meta.chain);
    if (work->record.error)
        return work->record.error;
    work->meta.chain = history->chain;
    kv_work_record(work, kv_buffer_slice(&work->key), kv_buffer_slice(&work->record));
    layout_index_key(&work->key, history->key, at);
    if (work->key.error)
        return work->key.error;
    kv_work_record(work, kv_buffer_slice(&work->key), (struct kv_slice){&kind, 1});
    return 0;
}

static int record_attached(struct kv_work *work, struct kv_slice key, int64_t old, int64_t lease)
{
    if (old == lease)
        return 0;
    if (old) {
        layout_lease_key(&work->key, LAYOUT_ATTACHED, old, key);
        kv_work_remove(work, kv_buffer_slice(&work->key), 0);
    }
    if (lease && !work->key.error) {
        layout_lease_key(&work->key, LAYOUT_ATTACHED, lease, key);
        kv_work_record(work, kv_buffer_slice(&work->key), (struct kv_slice){0});
    }
    return work->key.error;
}

/* Keeps the change for the observers, as long as there are few. */
static int note_event(struct kv_work *work, const struct kv_history *history, struct kv_point at)
{
    struct kv_event *event, *more;
    size_t count = work->changes;

    if (!work->store->observers || count >= KV_EVENTS_MAX)
        return 0;
    if (!(count & (count - 1))) { /* the capacity is the next power of two */
        more = realloc(work->events, (count ? 2 * count : 1) * sizeof(*more));
        if (!more)
            return CULVERT_ENOMEM;
        work->events = more;
    }
    event = &work->events[count];
    *event = (struct kv_event){
        .put = history->put,
        .now = {history->key, history->value, history->create, at.main, history->version,
                history->lease},
        .at = at,
        .before = history->before,
    };
    return 0;
}

/* What puts and deletions have in common, once the live record is done. */
static int work_change(struct kv_work *work, struct kv_history *history, struct kv_point at,
                       const struct kv_live *old, struct kv_slice record)
{
    int error;

    if (old) {
        history->before = old->mod;
        history->before_size =
            (uint32_t)layout_history_size(history->key.length, old->value.length);
    }
    error = record_attached(work, history->key, old ? old->lease : 0, history->lease);
    if (!error)
        error = record_history(work, history, at);
    if (!error)
        error = note_event(work, history, at);
    if (!error)
        error = overlay_set(work, history->key, record);
    if (error)
        return error;
    if (++work->changes > KV_CHANGES_MAX || work->store->batch.ops.length > KV_BATCH_MAX)
        return kv_refuse(work, CULVERT_ETOOLARGE);
    work->meta.revision = work->start + 1;
    return work->store->batch.ops.error;
}

int kv_work_put(struct kv_work *work, struct kv_slice key, struct kv_slice value, int64_t lease,
                const struct kv_live *old)
{
    struct kv_point at = {work->start + 1, work->changes};
    struct kv_live live = {
        .create = old ? old->create : at.main,
        .version = old ? old->version + 1 : 1,
        .mod = at,
        .lease = lease,
        .value = value,
    };
    struct kv_history history = {
        .put = true,
        .key = key,
        .create = live.create,
        .version = live.version,
        .lease = lease,
    };
    struct kv_slice record = {NULL, LAYOUT_LIVE_HEAD + value.length};
    uint8_t *bytes = arena_alloc(&work->arena, record.length);

    if (!bytes)
        return CULVERT_ENOMEM;
    layout_live_encode(bytes, &live);
    record.data = bytes;
    history.value = (struct kv_slice){bytes + LAYOUT_LIVE_HEAD, value.length};
    layout_key(&work->key, LAYOUT_LIVE, key);
    if (work->key.error)
        return work->key.error;
    kv_work_record(work, kv_buffer_slice(&work->key), record);
    work->meta.size -= value.length; /* it counts in the history, where it is, too */
    if (old)
        work->meta.size -= work->key.length + LAYOUT_LIVE_HEAD;
    else
        work->meta.keys++;
    return work_change(work, &history, at, old, record);
}

int kv_work_delete(struct kv_work *work, struct kv_slice key, const struct kv_live *old)
{
    struct kv_point at = {work->start + 1, work->changes};
    struct kv_history history = {.key = key};

    layout_key(&work->key, LAYOUT_LIVE, key);
    if (work->key.error)
        return work->key.error;
    kv_work_remove(work, kv_buffer_slice(&work->key), LAYOUT_LIVE_HEAD);
    work->meta.keys--;
    return work_change(work, &history, at, old, (struct kv_slice){0});
}

int kv_work_lease(struct kv_work *work, const struct kv_lease *lease)
{
    struct kv_lease *more;
    size_t count = work->lease_count;

    if (!work->store->observers)
        return 0;
    if (!(count & (count - 1))) {
        more = realloc(work->leases, (count ? 2 * count : 1) * sizeof(*more));
        if (!more)
            return CULVERT_ENOMEM;
        work->leases = more;
    }
    work->leases[work->lease_count++] = *lease;
    return 0;
}
