/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/http/internal.h"

/* ---- life of a connection ---- */

static void server_maybe_free(struct http_server *server)
{
    if (!server->closing || !server->listener_closed || server->count)
        return;
    if (server->closed)
        server->closed(server->closed_arg);
    free(server);
}

void http_connection_maybe_free(struct connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->handles || !connection->dead || connection->phase == PHASE_ANSWER)
        return;
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    server->count--;
    server->bodies -= connection->reserved;
    http_reader_free(connection->reader);
    free(connection->answer);
    free(connection->buffer);
    free(connection);
    server_maybe_free(server);
}

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
    if (connection->phase == PHASE_BODY)
        sink_abort(connection);
    uv_close((uv_handle_t *)&connection->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct connection *connection = timer->data;

    if (connection->phase == PHASE_HEADER || connection->phase == PHASE_BODY) {
        if (connection->phase == PHASE_BODY)
            sink_abort(connection);
        connection->close_after = true;
        connection->phase = PHASE_ANSWER;
        http_respond_error(&connection->exchange, 408, "the request came too slowly", NULL);
        return;
    }
    http_connection_close(connection);
}

void http_connection_enter(struct connection *connection, enum phase phase)
{
    const struct http_server_times *times = &connection->server->options.times;

    connection->phase = phase;
    connection->phase_start = uv_now(connection->server->loop);
    connection->received = 0;
    if (connection->dead)
        return;
    if (phase == PHASE_ANSWER)
        uv_timer_stop(&connection->timer);
    else
        uv_timer_start(&connection->timer, on_timer,
                       phase == PHASE_HEADER   ? times->header
                       : phase == PHASE_BODY   ? times->body
                       : phase == PHASE_LINGER ? LINGER_MS
                                               : times->idle,
                       0);
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
    connection->have = (size_t)length;
    connection->at = 0;
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
        uv_read_stop((uv_stream_t *)&connection->pipe);
    else if (uv_read_start((uv_stream_t *)&connection->pipe, on_alloc, on_read))
        http_connection_close(connection);
}

/* Answers an error that ends the connection, from any point of a request. */
static void refuse(struct connection *connection, int status, const char *message)
{
    if (connection->phase == PHASE_BODY)
        sink_abort(connection);
    connection->close_after = true;
    http_connection_enter(connection, PHASE_ANSWER);
    http_respond_error(&connection->exchange, status, message, NULL);
}

static void on_continue_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void write_continue(struct connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buffer = uv_buf_init(text, sizeof(text) - 1);
    uv_write_t *write = malloc(sizeof(*write));

    if (!write ||
        uv_write(write, (uv_stream_t *)&connection->pipe, &buffer, 1, on_continue_written))
        free(write); /* the client sends after a while all the same */
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

/* The header is there: finds the route and lets the body in. */
static void header_arrived(struct connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = &connection->exchange;
    const struct http_request *request = http_reader_request(connection->reader);
    struct http_match *match = &connection->match;
    int status;

    exchange->request = request;
    exchange->sink = NULL;
    exchange->sink_abort = NULL;
    exchange->sink_status = 0;
    exchange->sink_max = 0;
    connection->head = request->method == HTTP_METHOD_HEAD;
    connection->close_after = server->closing || !request->keep_alive;
    http_route_find(server->options.routes, server->options.route_count, request->method,
                    request->path, match);
    if (!match->route) {
        refuse(connection, match->path_known ? 405 : 404,
               match->path_known ? "that method isn't offered here" : "no such resource");
        return;
    }
    for (unsigned i = 0; i < HTTP_PARAMS_MAX; i++)
        exchange->param[i] = match->param[i];
    http_connection_enter(connection, PHASE_BODY);
    if (match->route->begin)
        match->route->begin(exchange);
    if (connection->phase != PHASE_BODY) {
        connection->close_after = true; /* answered already, its body is not read */
        return;
    }
    if (exchange->sink_max)
        http_reader_limit(connection->reader, exchange->sink_max);
    status = http_reader_accept(connection->reader, exchange->sink, exchange->sink_arg);
    if (status)
        refuse(connection, status, accept_text(status));
    else if (!reserve_body(connection))
        refuse(connection, 503, "too many large requests at once");
    else if (request->expect_continue)
        write_continue(connection);
}

static void request_whole(struct connection *connection)
{
    http_connection_enter(connection, PHASE_ANSWER);
    connection->exchange.sink = NULL;
    connection->exchange.sink_abort = NULL;
    connection->match.route->handle(&connection->exchange);
}

/* What the reader refused; a sink that failed says why itself. */
static void refuse_bad(struct connection *connection)
{
    const struct http_exchange *exchange = &connection->exchange;

    if (exchange->sink_status)
        refuse(connection, exchange->sink_status, exchange->sink_problem);
    else
        refuse(connection, http_reader_status(connection->reader),
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
    event = http_reader_feed(connection->reader, connection->buffer + connection->at,
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

/* Goes on with what was read until more is needed or somebody else has the turn. */
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
    http_connection_read(connection, can_advance(connection));
    http_connection_maybe_free(connection);
}

void http_exchange_pause(struct http_exchange *exchange)
{
    struct connection *connection =
        (struct connection *)((char *)exchange - offsetof(struct connection, exchange));

    connection->paused = true;
}

void http_exchange_resume(struct http_exchange *exchange)
{
    struct connection *connection =
        (struct connection *)((char *)exchange - offsetof(struct connection, exchange));

    connection->paused = false;
    http_connection_advance(connection);
}

/* ---- the server ---- */

static void read_peer(struct connection *connection)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    uv_os_fd_t fd;

    connection->exchange.uid = (uid_t)-1;
    if (!uv_fileno((uv_handle_t *)&connection->pipe, &fd) &&
        !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
        connection->exchange.uid = credentials.uid;
}

static struct connection *connection_new(struct http_server *server)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->reader = http_reader_new();
    connection->buffer = malloc(READ_BYTES);
    if (!connection->reader || !connection->buffer) {
        http_reader_free(connection->reader);
        free(connection->buffer);
        free(connection);
        return NULL;
    }
    connection->server = server;
    connection->exchange.app = server->options.app;
    uv_pipe_init(server->loop, &connection->pipe, 0);
    uv_timer_init(server->loop, &connection->timer);
    connection->pipe.data = connection->timer.data = connection;
    connection->handles = 2;
    connection->next = server->connections;
    if (connection->next)
        connection->next->prev = connection;
    server->connections = connection;
    server->count++;
    return connection;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_server *server = stream->data;
    struct connection *connection;

    connection = status < 0 ? NULL : connection_new(server);
    if (!connection)
        return; /* stays in the backlog; the loop asks again with the next one */
    if (uv_accept(stream, (uv_stream_t *)&connection->pipe)) {
        http_connection_close(connection);
        return;
    }
    read_peer(connection);
    http_connection_enter(connection, PHASE_IDLE);
    if (server->count > 2 * CONNECTIONS_MAX) {
        http_connection_close(connection);
        return;
    }
    if (server->count > CONNECTIONS_MAX) {
        refuse(connection, 503, "too many connections");
        return;
    }
    http_connection_read(connection, true);
}

int http_server_new(struct http_server **out, uv_loop_t *loop,
                    const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (!server)
        return CULVERT_ENOMEM;
    server->loop = loop;
    server->options = *options;
    if (!server->options.times.header)
        server->options.times.header = 10000;
    if (!server->options.times.body)
        server->options.times.body = 30000;
    if (!server->options.times.idle)
        server->options.times.idle = 60000;
    uv_pipe_init(loop, &server->listener, 0);
    server->listener.data = server;
    if (uv_pipe_open(&server->listener, options->fd) ||
        uv_listen((uv_stream_t *)&server->listener, 64, on_connection)) {
        server->closing = true;
        http_server_close(server, NULL, NULL);
        return CULVERT_ESYSTEM;
    }
    *out = server;
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;

    server->listener_closed = true;
    server_maybe_free(server);
}

void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg)
{
    struct connection *next;

    server->closing = true;
    server->closed = closed;
    server->closed_arg = arg;
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
    for (struct connection *connection = server->connections; connection; connection = next) {
        next = connection->next;
        if (connection->phase < PHASE_ANSWER || connection->phase == PHASE_LINGER)
            http_connection_close(connection);
    }
}
