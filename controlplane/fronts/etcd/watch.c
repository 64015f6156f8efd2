/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service etcdserverpb.Watch: a stream has any number of watchers, each a watch of the store
 * (core/kv/watch.h). While the client takes too little the watches wait; they have no queues.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"

#define BUCKETS 64u
#define NO_WATCHER (-1)
#define HELD_MAX ((size_t)64 << 20) /* bytes of a revision that waits for its other changes */

/* A change that waits for the others of its revision: clients that don't say that they can join
 * them take a response as all of it. */
struct held_event {
    struct held_event *next;
    Mvccpb__Event event;
    Mvccpb__KeyValue now, previous;
};

struct watcher {
    struct watcher *next; /* in its bucket */
    struct etcd_call *call;
    struct kv_watch *watch;
    int64_t id;
    bool fragment, progress;
    struct arena memory;
    struct held_event *held, **held_end;
    size_t held_count;
};

struct watch_stream {
    struct watcher *buckets[BUCKETS];
    size_t count;
    int64_t next_id;
    bool progress_asked;
};

static struct watcher **find(struct watch_stream *stream, int64_t id)
{
    struct watcher **link = &stream->buckets[(uint64_t)id % BUCKETS];

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

static void watcher_unlink(struct watcher *watcher)
{
    struct watch_stream *stream = watcher->call->state;
    struct watcher **link = find(stream, watcher->id);

    *link = watcher->next;
    stream->count--;
}

static void watcher_free(struct watcher *watcher)
{
    if (watcher->watch)
        kv_watch_cancel(watcher->watch);
    arena_free(&watcher->memory);
    free(watcher);
}

/* ---- responses ---- */

static void send_response(struct etcd_call *call, Etcdserverpb__WatchResponse *response,
                          uint64_t revision)
{
    Etcdserverpb__ResponseHeader header;

    etcd_front_header(call->front, &header, revision);
    response->header = &header;
    etcd_call_send(call, &response->base);
}

static void tell_canceled(struct etcd_call *call, int64_t id, bool created, const char *reason)
{
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;

    response.watch_id = id;
    response.created = created;
    response.canceled = true;
    response.cancel_reason = (char *)reason;
    send_response(call, &response, etcd_front_revision(call->front));
}

static void set_event(Mvccpb__Event *event, Mvccpb__KeyValue *now, Mvccpb__KeyValue *previous,
                      const struct kv_watch_event *from)
{
    mvccpb__event__init(event);
    event->type =
        from->event->put ? MVCCPB__EVENT__EVENT_TYPE__PUT : MVCCPB__EVENT__EVENT_TYPE__DELETE;
    etcd_pair(now, &from->event->now);
    event->kv = now;
    if (!from->previous)
        return;
    etcd_pair(previous, from->previous);
    event->prev_kv = previous;
}

/* ---- changes that wait for others ---- */

static bool copy_bytes(struct arena *arena, ProtobufCBinaryData *bytes)
{
    char *copy = arena_copy(arena, (const char *)bytes->data, bytes->len);

    bytes->data = (uint8_t *)copy;
    return copy;
}

static bool hold_event(struct watcher *watcher, const struct kv_watch_event *from)
{
    struct arena *arena = &watcher->memory;
    struct held_event *held = arena_alloc(arena, sizeof(*held));

    if (!held)
        return false;
    set_event(&held->event, &held->now, &held->previous, from);
    if (!copy_bytes(arena, &held->now.key) || !copy_bytes(arena, &held->now.value))
        return false;
    if (from->previous &&
        (!copy_bytes(arena, &held->previous.key) || !copy_bytes(arena, &held->previous.value)))
        return false;
    if (!watcher->held)
        watcher->held_end = &watcher->held;
    *watcher->held_end = held;
    watcher->held_end = &held->next;
    watcher->held_count++;
    return true;
}

static bool hold_news(struct watcher *watcher, const struct kv_watch_news *news)
{
    for (size_t i = 0; i < news->count; i++)
        if (!hold_event(watcher, &news->events[i]))
            return false;
    return watcher->memory.total <= HELD_MAX;
}

static void send_held(struct watcher *watcher, uint64_t revision)
{
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;
    struct etcd_call *call = watcher->call;

    response.watch_id = watcher->id;
    response.events = etcd_scratch(call, watcher->held_count * sizeof(Mvccpb__Event *));
    if (!response.events) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    for (struct held_event *held = watcher->held; held; held = held->next)
        response.events[response.n_events++] = &held->event;
    send_response(call, &response, revision);
    arena_free(&watcher->memory);
    watcher->held = NULL;
    watcher->held_count = 0;
}

/* ---- news ---- */

static void send_news(struct watcher *watcher, const struct kv_watch_news *news)
{
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;
    struct etcd_call *call = watcher->call;
    size_t count = news->count;
    struct {
        Mvccpb__Event event;
        Mvccpb__KeyValue now, previous;
    } *each = etcd_scratch(call, count * sizeof(*each));

    response.watch_id = watcher->id;
    response.fragment = news->more;
    response.events = etcd_scratch(call, count * sizeof(Mvccpb__Event *));
    if (!each || !response.events) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        set_event(&each[i].event, &each[i].now, &each[i].previous, &news->events[i]);
        response.events[i] = &each[i].event;
    }
    response.n_events = count;
    send_response(call, &response, news->revision);
}

static void try_progress(struct etcd_call *call);

static bool take(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    struct watcher *watcher = arg;
    struct etcd_call *call = watcher->call;
    struct watch_stream *stream = call->state;

    (void)watch;
    if (!news->count && !watcher->progress)
        return true;
    if (!watcher->held_count && etcd_call_full(call))
        return false;
    if (!watcher->held_count && (watcher->fragment || !news->more))
        send_news(watcher, news);
    else if (!hold_news(watcher, news))
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
    else if (!news->more)
        send_held(watcher, news->revision);
    if (stream->progress_asked)
        etcd_call_turn(call, try_progress);
    return true;
}

static void on_end(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    struct watcher *watcher = arg;
    struct etcd_call *call = watcher->call;
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;

    (void)watch;
    if (error == CULVERT_ECOMPACTED) {
        response.watch_id = watcher->id;
        response.canceled = true;
        response.compact_revision = (int64_t)compacted;
        send_response(call, &response, 0);
    } else {
        tell_canceled(call, watcher->id, false, etcd_status_text(etcd_status_of(error)));
    }
    watcher_unlink(watcher);
    watcher->watch = NULL;
    watcher_free(watcher);
}

/* ---- requests ---- */

static const char *watch_problem(const struct watch_stream *stream,
                                 const Etcdserverpb__WatchCreateRequest *request)
{
    struct kv_slice key = {request->key.data, request->key.len};
    struct kv_slice end = {request->range_end.data, request->range_end.len};

    if (end.length && !(end.length == 1 && !end.data[0]) && kv_compare_bytes(key, end) >= 0)
        return "mvcc: watcher range is empty";
    if (request->watch_id && *find((struct watch_stream *)stream, request->watch_id))
        return "mvcc: duplicate watch ID provided on the WatchStream";
    return NULL;
}

static struct watcher *watcher_new(struct etcd_call *call,
                                   const Etcdserverpb__WatchCreateRequest *request)
{
    struct watch_stream *stream = call->state;
    struct watcher *watcher = calloc(1, sizeof(*watcher));

    if (!watcher)
        return NULL;
    watcher->call = call;
    watcher->id = request->watch_id;
    while (!request->watch_id && *find(stream, stream->next_id))
        stream->next_id++;
    if (!request->watch_id)
        watcher->id = stream->next_id++;
    watcher->fragment = request->fragment;
    watcher->progress = request->progress_notify;
    return watcher;
}

static bool options_of(struct etcd_call *call, const Etcdserverpb__WatchCreateRequest *request,
                       struct kv_watch_options *options)
{
    static uint8_t first_key[] = {0};
    ProtobufCBinaryData key = request->key;

    if (!key.len)
        key = (ProtobufCBinaryData){1, first_key};
    *options = (struct kv_watch_options){
        .start = request->start_revision > 0 ? (uint64_t)request->start_revision : 0,
        .previous = request->prev_kv,
    };
    for (size_t i = 0; i < request->n_filters; i++) {
        if (request->filters[i] == ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NOPUT)
            options->no_put = true;
        else if (request->filters[i] == ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NODELETE)
            options->no_delete = true;
    }
    return etcd_keys(call, key, request->range_end, &options->keys);
}

static void create(struct etcd_call *call, const Etcdserverpb__WatchCreateRequest *request)
{
    struct watch_stream *stream = call->state;
    struct kv_watch_receiver receiver = {.take = take, .end = on_end};
    const char *problem = watch_problem(stream, request);
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;
    struct kv_watch_options options;
    struct watcher *watcher;
    int error = CULVERT_ENOMEM;

    if (problem) {
        tell_canceled(call, NO_WATCHER, true, problem);
        return;
    }
    watcher = watcher_new(call, request);
    receiver.arg = watcher;
    if (watcher && options_of(call, request, &options))
        error = kv_watch_create(&watcher->watch, call->front->hub, &options, &receiver);
    if (error) {
        free(watcher);
        etcd_call_fail(call, error);
        return;
    }
    watcher->next = *find(stream, watcher->id);
    *find(stream, watcher->id) = watcher;
    stream->count++;
    response.watch_id = watcher->id;
    response.created = true;
    send_response(call, &response, etcd_front_revision(call->front));
    etcd_front_pump(call->front);
}

static void cancel(struct etcd_call *call, int64_t id)
{
    struct watch_stream *stream = call->state;
    struct watcher *watcher = *find(stream, id);
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;

    if (!watcher)
        return;
    watcher_unlink(watcher);
    watcher_free(watcher);
    response.watch_id = id;
    response.canceled = true;
    send_response(call, &response, etcd_front_revision(call->front));
}

/* Once all watchers of the stream have seen all, it is told how far that is. */
static void try_progress(struct etcd_call *call)
{
    struct watch_stream *stream = call->state;
    Etcdserverpb__WatchResponse response = ETCDSERVERPB__WATCH_RESPONSE__INIT;
    uint64_t revision = etcd_front_revision(call->front);

    if (!stream || !stream->progress_asked)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct watcher *watcher = stream->buckets[i]; watcher; watcher = watcher->next)
            if (kv_watch_next(watcher->watch) <= revision)
                return; /* again when that one has seen more */
    stream->progress_asked = false;
    response.watch_id = NO_WATCHER;
    send_response(call, &response, revision);
}

void etcd_watch(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__WatchRequest *request = (const Etcdserverpb__WatchRequest *)message;
    struct watch_stream *stream = call->state;

    if (!stream) {
        stream = call->state = calloc(1, sizeof(*stream));
        if (!stream) {
            etcd_call_end(call, ETCD_NO_MEMORY);
            return;
        }
    }
    switch (request->request_union_case) {
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST:
        if (etcd_auth_may_watch(call, request->create_request->key,
                                request->create_request->range_end))
            create(call, request->create_request);
        else
            tell_canceled(
                call, NO_WATCHER, true,
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
        break;
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST:
        cancel(call, request->cancel_request->watch_id);
        break;
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST:
        stream->progress_asked = true;
        etcd_call_turn(call, try_progress);
        break;
    default:
        break;
    }
}

/* ---- the stream ---- */

void etcd_watch_release(struct etcd_call *call)
{
    struct watch_stream *stream = call->state;
    struct watcher *next;

    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct watcher *watcher = stream->buckets[i]; watcher; watcher = next) {
            next = watcher->next;
            watcher_free(watcher);
        }
    free(stream);
}

void etcd_watch_ready(struct etcd_call *call)
{
    struct watch_stream *stream = call->state;

    if (!stream)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct watcher *watcher = stream->buckets[i]; watcher; watcher = watcher->next)
            kv_watch_ready(watcher->watch);
    etcd_front_pump(call->front);
}

void etcd_watch_tell_progress(struct etcd_front *front)
{
    kv_watch_progress(front->hub, NULL);
}
