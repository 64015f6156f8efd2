/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/front.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth.h"
#include "controlplane/fronts/etcd/internal.h"

#define PUMP_RECORDS 1024u /* of the history that watches read in one turn */

/* ---- what all calls use ---- */

const struct kv_status *etcd_front_status(struct etcd_front *front)
{
    kv_service_status(front->service, &front->status);
    return &front->status;
}

uint64_t etcd_front_revision(const struct etcd_front *front)
{
    return front->status.store.revision;
}

static void on_changed(void *arg, uint64_t revision, const struct kv_event *events, size_t count)
{
    struct etcd_front *front = arg;

    front->status.store.revision = revision;
    if (!events)
        etcd_front_pump(front);
    etcd_auth_changed(front->auth, events, count);
}

static void on_replaced(void *arg)
{
    struct etcd_front *front = arg;

    etcd_front_status(front);
    etcd_front_pump(front);
    etcd_auth_changed(front->auth, NULL, 0);
}

void etcd_front_header(struct etcd_front *front, Etcdserverpb__ResponseHeader *header,
                       uint64_t revision)
{
    const struct kv_status *status = &front->status;

    etcdserverpb__response_header__init(header);
    header->cluster_id = status->site;
    header->member_id = status->node;
    header->raft_term = status->term;
    header->revision = (int64_t)revision;
}

void etcd_front_header_now(struct etcd_front *front, Etcdserverpb__ResponseHeader *header)
{
    etcd_front_header(front, header, etcd_front_revision(front));
}

/* ---- turns of the loop ---- */

static void run_turns(struct etcd_front *front)
{
    struct etcd_call *call = front->turns, *next;

    front->turns = NULL;
    for (; call; call = next) {
        next = call->next_turn;
        call->wants_turn = false;
        etcd_call_hold(call);
        if (call->connection)
            call->turn(call);
        etcd_call_drop(call);
    }
}

static void on_busy(uv_idle_t *busy)
{
    (void)busy; /* it only keeps the loop from waiting */
}

void etcd_front_busy(struct etcd_front *front)
{
    if (front->busy_on || !front->handles_open)
        return;
    front->busy_on = true;
    uv_idle_start(&front->busy, on_busy);
}

void etcd_front_pump(struct etcd_front *front)
{
    front->pump = true;
    etcd_front_busy(front);
}

/* Before the loop waits: what this turn has brought is sent, one write for each connection. */
static void on_flush(uv_prepare_t *flush)
{
    struct etcd_front *front = flush->data;
    struct etcd_socket *socket;

    front->busy_on = false;
    uv_idle_stop(&front->busy);
    run_turns(front);
    if (front->pump)
        front->pump = kv_watch_pump(front->hub, PUMP_RECORDS) > 0;
    while (front->dirty) {
        socket = front->dirty;
        front->dirty = socket->next_dirty;
        socket->dirty = false;
        etcd_socket_flush(socket);
    }
    if (front->pump || front->turns)
        etcd_front_busy(front);
    arena_clear(&front->scratch);
}

static void end_late_calls(struct etcd_front *front, uint64_t now)
{
    struct etcd_call *later;

    for (struct etcd_call *call = front->timed; call; call = later) {
        later = call->later;
        if (call->deadline <= now)
            etcd_call_end(call, ETCD_DEADLINE);
    }
}

static void check_sockets(struct etcd_front *front, uint64_t now)
{
    struct etcd_socket *next;

    for (struct etcd_socket *socket = front->sockets; socket; socket = next) {
        next = socket->next;
        if (front->closing && now >= front->close_at)
            etcd_socket_close(socket);
        else
            etcd_socket_check(socket, now);
    }
}

static void on_tick(uv_timer_t *tick)
{
    struct etcd_front *front = tick->data;
    uint64_t now = uv_now(front->loop);

    end_late_calls(front, now);
    if (front->ticks++ % (1000 / ETCD_TICK_MS) == 0) {
        front->leaderless = etcd_front_status(front)->leader ? 0 : front->leaderless + 1;
        front->pump = true; /* some were left behind for want of memory */
        check_sockets(front, now);
    }
    if (now >= front->progress_at) {
        front->progress_at = now + front->options.progress_s * 1000ull;
        etcd_watch_tell_progress(front);
    }
}

/* ---- life ---- */

static void front_free(struct etcd_front *front)
{
    struct etcd_call *next;

    for (struct etcd_call *call = front->spare; call; call = next) {
        next = call->next;
        buffer_free(&call->in);
        buffer_free(&call->out);
        free(call);
    }
    kv_store_forget(kv_service_store(front->service), &front->observer);
    etcd_auth_free(front->auth);
    kv_watch_hub_close(front->hub);
    arena_free(&front->scratch);
    free(front->read_buffer);
    free(front);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct etcd_front *front = handle->data;

    front->handles--;
    etcd_front_maybe_free(front);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct etcd_listener *listener = handle->data;

    listener->front->handles--;
    etcd_front_maybe_free(listener->front);
}

void etcd_front_maybe_free(struct etcd_front *front)
{
    void (*closed)(void *arg) = front->closed;
    void *arg = front->closed_arg;

    if (!front->closing || front->socket_count || front->calls)
        return;
    if (front->handles_open) {
        front->handles_open = false;
        uv_close((uv_handle_t *)&front->flush, on_handle_closed);
        uv_close((uv_handle_t *)&front->busy, on_handle_closed);
        uv_close((uv_handle_t *)&front->tick, on_handle_closed);
        return;
    }
    if (front->handles)
        return;
    front_free(front);
    if (closed)
        closed(arg);
}

static void set_default(unsigned *option, unsigned value)
{
    if (!*option)
        *option = value;
}

static void options_complete(struct etcd_options *options)
{
    set_default(&options->connections_max, 1024);
    set_default(&options->calls_max, 32768);
    set_default(&options->waiters_max, 8192);
    set_default(&options->streams_max, 1024);
    set_default(&options->first_s, 10);
    set_default(&options->idle_s, 600);
    set_default(&options->ping_s, 60);
    set_default(&options->slow_s, 20);
    set_default(&options->progress_s, 600);
    if (!options->message_max)
        options->message_max = (size_t)2 << 20;
    if (!options->held_max)
        options->held_max = (size_t)256 << 20;
}

static void open_handles(struct etcd_front *front)
{
    uv_prepare_init(front->loop, &front->flush);
    uv_idle_init(front->loop, &front->busy);
    uv_timer_init(front->loop, &front->tick);
    front->flush.data = front->busy.data = front->tick.data = front;
    front->handles = 3;
    front->handles_open = true;
    uv_prepare_start(&front->flush, on_flush);
    uv_timer_start(&front->tick, on_tick, ETCD_TICK_MS, ETCD_TICK_MS);
}

int etcd_front_new(struct etcd_front **out, uv_loop_t *loop, struct kv_service *service,
                   const struct etcd_options *options)
{
    struct etcd_front *front = calloc(1, sizeof(*front));
    int error;

    if (!front)
        return CULVERT_ENOMEM;
    front->loop = loop;
    front->service = service;
    front->options = *options;
    options_complete(&front->options);
    front->progress_at = uv_now(loop) + front->options.progress_s * 1000ull;
    front->read_buffer = malloc(ETCD_READ_BYTES);
    error = front->read_buffer ? kv_watch_hub_open(&front->hub, kv_service_store(service))
                               : CULVERT_ENOMEM;
    if (!error)
        error = etcd_auth_new(&front->auth, front);
    if (error) {
        if (front->hub)
            kv_watch_hub_close(front->hub);
        free(front->read_buffer);
        free(front);
        return error;
    }
    front->observer =
        (struct kv_observer){.arg = front, .changed = on_changed, .replaced = on_replaced};
    kv_store_observe(kv_service_store(service), &front->observer);
    etcd_front_status(front);
    open_handles(front);
    *out = front;
    return 0;
}

static void on_connection(uv_stream_t *stream, int status)
{
    if (status >= 0)
        etcd_socket_accept(stream->data);
}

int etcd_front_listen(struct etcd_front *front, int fd, SSL_CTX *tls)
{
    struct etcd_listener *listener = &front->listeners[front->listener_count];

    if (front->listener_count == ETCD_LISTENERS_MAX)
        return CULVERT_EFULL;
    if (uv_tcp_init(front->loop, &listener->tcp))
        return CULVERT_ESYSTEM;
    listener->front = front;
    listener->tls = tls;
    listener->tcp.data = listener;
    front->listener_count++;
    front->handles++;
    if (uv_tcp_open(&listener->tcp, fd) ||
        uv_listen((uv_stream_t *)&listener->tcp, 256, on_connection)) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return CULVERT_ESYSTEM;
    }
    return 0;
}

void etcd_front_renew_tls(struct etcd_front *front, SSL_CTX *tls)
{
    for (unsigned i = 0; i < front->listener_count; i++)
        if (front->listeners[i].tls)
            front->listeners[i].tls = tls;
}

void etcd_front_close(struct etcd_front *front, void (*closed)(void *arg), void *arg)
{
    struct etcd_socket *next;

    front->closed = closed;
    front->closed_arg = arg;
    front->close_at = uv_now(front->loop) + ETCD_CLOSE_MS;
    for (unsigned i = 0; i < front->listener_count; i++)
        if (!uv_is_closing((uv_handle_t *)&front->listeners[i].tcp))
            uv_close((uv_handle_t *)&front->listeners[i].tcp, on_listener_closed);
    front->closing = true;
    front->socket_count++; /* keeps the front while its sockets go */
    for (struct etcd_socket *socket = front->sockets; socket; socket = next) {
        next = socket->next;
        etcd_socket_leave(socket);
    }
    front->socket_count--;
    etcd_front_maybe_free(front);
}
