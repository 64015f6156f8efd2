/* SPDX-License-Identifier: Apache-2.0 */
/* v3electionpb.Election/Observe: a stream of what an election's leaders proclaim. It is one watch:
 * of the leader's key, or of all keys of the election while it has none. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/contest.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"
#include "election.pb-c.h"

struct observer {
    struct etcd_call *call;
    struct buffer name, leader; /* the leader's key; empty: there is none */
    uint64_t next;              /* the first revision of interest */
    bool moves;                 /* another watch, or a look, is next */
    bool busy, left;            /* a read is under way; the client is gone */
    struct kv_watch *watch;
};

static void observer_free(struct observer *observer)
{
    etcd_waiter_remove(observer->call->front);
    buffer_free(&observer->name);
    buffer_free(&observer->leader);
    free(observer);
}

static void stop_watching(struct observer *observer)
{
    if (observer->watch)
        kv_watch_cancel(observer->watch);
    observer->watch = NULL;
}

void etcd_observe_release(struct etcd_call *call)
{
    struct observer *observer = call->state;

    observer->left = true;
    stop_watching(observer);
    if (!observer->busy)
        observer_free(observer);
}

void etcd_observe_ready(struct etcd_call *call)
{
    struct observer *observer = call->state;

    if (!observer || !observer->watch)
        return;
    kv_watch_ready(observer->watch);
    etcd_front_pump(call->front);
}

static ProtobufCBinaryData bytes_of(const struct buffer *buffer)
{
    return (ProtobufCBinaryData){buffer->length, (uint8_t *)buffer->data};
}

/* ---- what is seen ---- */

static void tell(struct observer *observer, const struct kv_pair *pair, uint64_t revision)
{
    V3electionpb__LeaderResponse response = V3ELECTIONPB__LEADER_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    Mvccpb__KeyValue value;

    etcd_pair(&value, pair);
    etcd_front_header(observer->call->front, &header, revision);
    response.header = &header;
    response.kv = &value;
    etcd_call_send(observer->call, &response.base);
}

static void move(struct etcd_call *call);

/* What follows is seen by another watch, which can't be made here. */
static void move_on(struct observer *observer)
{
    observer->moves = true;
    etcd_call_turn(observer->call, move);
}

/* Follows the key of a leader. */
static void follow(struct observer *observer, const struct kv_pair *pair, uint64_t revision)
{
    ProtobufCBinaryData key = etcd_key_bytes(pair->key);

    tell(observer, pair, revision);
    buffer_clear(&observer->leader);
    buffer_add(&observer->leader, key.data, key.len);
    observer->next = revision + 1;
    if (observer->leader.error)
        etcd_call_end(observer->call, ETCD_NO_MEMORY);
    else
        move_on(observer);
}

static bool take(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    struct observer *observer = arg;

    (void)watch;
    if (etcd_call_full(observer->call))
        return false;
    for (size_t i = 0; i < news->count && !observer->moves; i++) {
        const struct kv_event *event = news->events[i].event;

        if (!observer->leader.length) {
            follow(observer, &event->now, event->now.mod);
        } else if (event->put) {
            tell(observer, &event->now, news->revision);
        } else {
            buffer_clear(&observer->leader);
            move_on(observer);
        }
    }
    return true;
}

static void on_watch_end(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    struct observer *observer = arg;

    (void)watch;
    (void)compacted;
    observer->watch = NULL;
    buffer_clear(&observer->leader);
    if (error == CULVERT_ECOMPACTED)
        move_on(observer);
    else
        etcd_call_fail(observer->call, error);
}

static void watch(struct observer *observer)
{
    const struct kv_watch_receiver receiver = {observer, take, on_watch_end};
    struct etcd_call *call = observer->call;
    struct kv_watch_options options = {.start = observer->next};
    ProtobufCBinaryData prefix, end = {0, NULL};
    int error = 0;

    options.no_delete = !observer->leader.length;
    if (observer->leader.length)
        prefix = bytes_of(&observer->leader);
    else if (!etcd_name_range(call, bytes_of(&observer->name), &prefix, &end))
        return;
    if (!etcd_keys(call, prefix, end, &options.keys))
        error = CULVERT_ENOMEM;
    if (!error)
        error = kv_watch_create(&observer->watch, call->front->hub, &options, &receiver);
    if (error)
        etcd_call_fail(call, error);
    else
        etcd_front_pump(call->front);
}

static void on_looked(void *arg, int status, const struct kv_result *result)
{
    struct observer *observer = arg;
    struct etcd_call *call = observer->call;

    observer->busy = false;
    if (observer->left) {
        observer_free(observer);
    } else if (etcd_answered(call, status, result)) {
        observer->next = result->revision + 1;
        if (result->op.pairs.count)
            follow(observer, &result->op.pairs.list[0], result->revision);
        else
            watch(observer);
    }
    etcd_call_drop(call);
}

static void look(struct observer *observer)
{
    struct etcd_call *call = observer->call;
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};
    ProtobufCBinaryData prefix, end;
    Etcdserverpb__RangeRequest first;
    int error;

    if (!etcd_name_range(call, bytes_of(&observer->name), &prefix, &end))
        return;
    etcd_first_request(&first, prefix, end);
    if (!etcd_range_request(call, &first, &command.op.range))
        return;
    etcd_call_hold(call);
    error = kv_service_read(call->front->service, &command, false, on_looked, observer);
    observer->busy = !error;
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

static void move(struct etcd_call *call)
{
    struct observer *observer = call->state;

    if (!observer || !etcd_call_open(call) || observer->busy)
        return;
    observer->moves = false;
    stop_watching(observer);
    if (observer->leader.length)
        watch(observer);
    else
        look(observer);
}

void etcd_observe(struct etcd_call *call, const ProtobufCMessage *message)
{
    ProtobufCBinaryData name = ((const V3electionpb__LeaderRequest *)message)->name;
    struct observer *observer;

    if (!etcd_waiter_add(call, 2 * name.len))
        return;
    observer = calloc(1, sizeof(*observer));
    if (observer)
        buffer_add(&observer->name, name.data, name.len);
    if (!observer || observer->name.error) {
        free(observer);
        etcd_waiter_remove(call->front);
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    observer->call = call;
    call->state = observer;
    look(observer);
}
