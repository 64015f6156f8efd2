/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: its phases, their time, what comes in. What goes out: answer.c. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/http/internal.h"

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    connection->handles--;
    http_connection_maybe_free(connection);
}

/* Takes the sink's abort away and calls it. */
static void sink_abort(struct connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    void (*ended)(void *arg) = exchange->sink_abort;

    exchange->sink = NULL;
    exchange->sink_abort = NULL;
    if (ended)
        ended(exchange->sink_arg);
}

void http_connection_close(struct connection *connection)
{
    if (connection->dead)
        return;
    connection->dead = true;
    connection->server->open--;
    if (connection->phase == PHASE_BODY)
        sink_abort(connection);
    uv_close(&connection->peer.handle, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* ---- time ---- */

static void refuse_now(struct connection *connection)
{
    connection->close_after = true;
    connection->phase = PHASE_ANSWER;
    http_respond_error(&connection->exchange, connection->refusal_status, connection->refusal,
                       connection->refusal_hint);
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *connection = timer->data;

    if (connection->phase == PHASE_HEADER || connection->phase == PHASE_BODY)
        http_connection_refuse(connection, 408, "the request came too slowly");
    else if (connection->phase == PHASE_REFUSE)
        refuse_now(connection);
    else
        http_connection_close(connection);
}

static unsigned phase_time(const struct connection *connection, enum phase phase)
{
    const struct http_server_times *times = &connection->server->options.times;

    switch (phase) {
    case PHASE_HEADER:
        return times->header;
    case PHASE_BODY:
        return times->body;
    case PHASE_REFUSE:
        return times->refuse;
    case PHASE_LINGER:
        return LINGER_MS;
    default:
        return times->idle;
    }
}

void http_connection_enter(struct connection *connection, enum phase phase)
{
    connection->phase = phase;
    connection->phase_start = uv_now(connection->server->loop);
    connection->received = 0;
    if (connection->dead)
        return;
    if (phase == PHASE_ANSWER || phase == PHASE_GATE)
        uv_timer_stop(&connection->timer);
    else
        uv_timer_start(&connection->timer, on_timer, phase_time(connection, phase), 0);
}

/* A body may take the time that its bytes need at the least rate, and the grace before. */
static void body_progress(struct connection *connection, size_t bytes)
{
    uint64_t end, now = uv_now(connection->server->loop);

    connection->received += bytes;
    end = connection->phase_start + connection->server->options.times.body +
          connection->received * 1000 / BODY_RATE;
    uv_timer_start(&connection->timer, on_timer, end > now ? end - now : 1, 0);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(connection->buffer, READ_BYTES);
}

/* Makes what was read what is to be used next. False: the connection is over. */
static bool take_bytes(struct connection *connection, size_t length)
{
    int error;

    connection->at = 0;
    if (!connection->tls) {
        connection->have = length;
        return true;
    }
    buffer_clear(&connection->plain);
    error = tls_stream_input(connection->tls, connection->buffer, length, &connection->plain);
    if (!error)
        error = connection->plain.error;
    if (connection->plain.data)
        connection->data = connection->plain.data;
    connection->have = error ? 0 : connection->plain.length;
    http_connection_flush(connection); /* the handshake, or an alert, may have something to say */
    if (error)
        http_connection_close(connection);
    return !error && !connection->dead;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    (void)buffer;
    if (length < 0) {
        http_connection_close(connection);
        return;
    }
    if (connection->phase == PHASE_LINGER) {
        connection->received += (uint64_t)length;
        if (connection->received > LINGER_BYTES)
            http_connection_close(connection);
        return;
    }
    if (!take_bytes(connection, (size_t)length))
        return;
    if (connection->phase == PHASE_BODY)
        body_progress(connection, (size_t)length);
    http_connection_advance(connection);
}

void http_connection_read(struct connection *connection, bool on)
{
    if (connection->dead || connection->reading == on)
        return;
    connection->reading = on;
    if (!on)
        uv_read_stop(&connection->peer.stream);
    else if (uv_read_start(&connection->peer.stream, on_alloc, on_read))
        http_connection_close(connection);
}

void http_connection_start(struct connection *connection)
{
    http_connection_enter(connection, connection->tls ? PHASE_HEADER : PHASE_IDLE);
    http_connection_read(connection, true);
}

/* ---- a request ---- */

void http_connection_refuse(struct connection *connection, int status, const char *message)
{
    if (connection->phase == PHASE_BODY)
        sink_abort(connection);
    connection->close_after = true;
    http_connection_enter(connection, PHASE_ANSWER);
    http_respond_error(&connection->exchange, status, message, NULL);
}

static const char *accept_text(int status)
{
    return status == 411 ? "the request needs a Content-Length" : "the body is too long";
}

/* Reserves memory for a body that is to be held. */
static bool reserve_body(struct connection *connection)
{
    const struct http_request *request = connection->exchange.request;
    uint64_t bytes = 0;

    if (!connection->exchange.sink &&
        (request->method == HTTP_METHOD_POST || request->method == HTTP_METHOD_PUT))
        bytes = request->has_length ? request->length : HTTP_BODY_MAX;
    if (connection->server->bodies + bytes > BODIES_MAX)
        return false;
    connection->reserved = bytes;
    connection->server->bodies += bytes;
    return true;
}

/* Lets the body in. */
static void begin_body(struct connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    const struct http_route *route = exchange->route;
    int status;

    http_connection_enter(connection, PHASE_BODY);
    if (route->begin)
        route->begin(exchange);
    if (connection->phase != PHASE_BODY) {
        connection->close_after = true; /* answered already, its body is not read */
        return;
    }
    if (exchange->sink_max)
        http_reader_limit(connection->reader, exchange->sink_max);
    status = http_reader_accept(connection->reader, exchange->sink, exchange->sink_arg);
    if (status) {
        http_connection_refuse(connection, status, accept_text(status));
    } else if (!reserve_body(connection)) {
        http_connection_refuse(connection, 503, "too many large requests at once");
    } else if (exchange->request->expect_continue) {
        connection->continue_due = true;
        http_connection_flush(connection);
    }
}

void http_admit(struct http_exchange *exchange)
{
    struct connection *connection = connection_of(exchange);

    connection->admitted = connection->known = true;
    if (connection->dead) {
        connection->phase = PHASE_LINGER;
        http_connection_maybe_free(connection);
        return;
    }
    if (exchange->route)
        begin_body(connection);
    else if (connection->match.path_known)
        http_connection_refuse(connection, 405, "that method isn't offered here");
    else
        http_connection_refuse(connection, 404, "no such resource");
    http_connection_advance(connection);
}

void http_refuse_late(struct http_exchange *exchange, int status, const char *message,
                      const char *hint)
{
    struct connection *connection = connection_of(exchange);

    connection->refusal_status = status;
    connection->refusal = message;
    connection->refusal_hint = hint;
    if (connection->dead || connection->server->closing || !connection->tls)
        refuse_now(connection);
    else
        http_connection_enter(connection, PHASE_REFUSE);
}

/* The header is there: finds the route and asks the gate. */
static void header_arrived(struct connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    struct http_exchange *exchange = &connection->exchange;
    const struct http_request *request = http_reader_request(connection->reader);
    struct http_match *match = &connection->match;

    exchange->request = request;
    exchange->sink = NULL;
    exchange->sink_abort = NULL;
    exchange->sink_status = 0;
    exchange->sink_max = 0;
    exchange->user[0] = exchange->note[0] = 0;
    exchange->level = 0;
    connection->admitted = false;
    connection->head = request->method == HTTP_METHOD_HEAD;
    connection->close_after = connection->server->closing || !request->keep_alive;
    http_route_find(options->routes, options->route_count, request->method, request->path, match);
    exchange->route = match->route;
    for (unsigned i = 0; i < HTTP_PARAMS_MAX; i++)
        exchange->param[i] = match->param[i];
    http_connection_enter(connection, PHASE_GATE);
    if (options->gate)
        options->gate(exchange);
    else
        http_admit(exchange);
}

static void request_whole(struct connection *connection)
{
    http_connection_enter(connection, PHASE_ANSWER);
    connection->exchange.sink = NULL;
    connection->exchange.sink_abort = NULL;
    connection->exchange.route->handle(&connection->exchange);
}

/* What the reader refused; a sink that failed says why itself. */
static void refuse_bad(struct connection *connection)
{
    const struct http_exchange *exchange = &connection->exchange;

    if (exchange->sink_status)
        http_connection_refuse(connection, exchange->sink_status, exchange->sink_problem);
    else
        http_connection_refuse(connection, http_reader_status(connection->reader),
                               http_reader_reason(connection->reader));
}

static void advance_once(struct connection *connection)
{
    bool whole = connection->phase == PHASE_BODY && connection->again;
    size_t used = 0;
    enum http_event event;

    connection->again = false;
    if (whole) {
        request_whole(connection);
        return;
    }
    if (connection->phase == PHASE_IDLE && connection->at < connection->have)
        http_connection_enter(connection, PHASE_HEADER);
    event = http_reader_feed(connection->reader, connection->data + connection->at,
                             connection->have - connection->at, &used);
    connection->at += used;
    if (event == HTTP_EVENT_HEADER)
        header_arrived(connection);
    else if (event == HTTP_EVENT_BAD)
        refuse_bad(connection);
    else if (event == HTTP_EVENT_REQUEST && connection->paused)
        connection->again = true; /* whole, but the sink isn't through with it */
    else if (event == HTTP_EVENT_REQUEST)
        request_whole(connection);
    else
        connection->have = connection->at = 0;
}

static bool can_advance(const struct connection *connection)
{
    return !connection->dead && !connection->paused && connection->phase < PHASE_ANSWER;
}

void http_connection_advance(struct connection *connection)
{
    if (connection->advancing)
        return;
    connection->advancing = true;
    while (can_advance(connection)) {
        advance_once(connection);
        if (can_advance(connection) && !connection->have)
            break;
    }
    connection->advancing = false;
    /* Over TLS nothing is read while something is being written: it might ask for an answer. */
    http_connection_read(connection,
                         can_advance(connection) && !(connection->tls && connection->writing));
    http_connection_maybe_free(connection);
}

void http_exchange_pause(struct http_exchange *exchange)
{
    connection_of(exchange)->paused = true;
}

void http_exchange_resume(struct http_exchange *exchange)
{
    struct connection *connection = connection_of(exchange);

    connection->paused = false;
    http_connection_advance(connection);
}
