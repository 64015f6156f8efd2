/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TCP connection (RFC 7766): queries one after the other, each behind its length; answers in
 * order. The timer runs since the last whole query, or since answers began to wait for the client.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/server_internal.h"

/* Answers that the socket did not take at once. */
struct pending {
    uv_write_t request;
    struct connection *connection;
    uint8_t data[];
};

static void read_queries(struct connection *connection);

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct dns_server *server = connection->server;

    if (--connection->handles)
        return;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    server->stats.connections--;
    free(connection);
    server_object_freed(server);
}

void dns_connection_close(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *connection = timer->data;

    if (uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp))
        connection->server->stats.closed_slow++;
    else
        connection->server->stats.closed_idle++;
    dns_connection_close(connection);
}

static void restart_timer(struct connection *connection)
{
    uv_timer_start(&connection->timer, on_timer, connection->server->options.idle_ms, 0);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;

    (void)suggested;
    *buffer = uv_buf_init((char *)connection->input + connection->length,
                          (unsigned)(sizeof(connection->input) - connection->length));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    (void)buffer;
    if (length < 0) {
        dns_connection_close(connection);
        return;
    }
    connection->length += (size_t)length;
    read_queries(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct pending *pending = (struct pending *)request;
    struct connection *connection = pending->connection;

    free(pending);
    if (connection->closing)
        return;
    if (status) {
        dns_connection_close(connection);
        return;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp))
        return;
    restart_timer(connection);
    if (connection->paused) {
        connection->paused = false;
        if (uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read))
            dns_connection_close(connection);
        else
            read_queries(connection);
    }
}

/* Sends bytes; what the socket doesn't take waits. */
static void send_bytes(struct connection *connection, const uint8_t *data, size_t length)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    uv_buf_t buffer = uv_buf_init((char *)data, (unsigned)length);
    int sent = uv_try_write(stream, &buffer, 1);
    struct pending *pending;

    if (sent < 0 && sent != UV_EAGAIN) {
        dns_connection_close(connection);
        return;
    }
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == length)
        return;
    data += sent;
    length -= (size_t)sent;
    pending = malloc(sizeof(*pending) + length);
    if (!pending) {
        dns_connection_close(connection);
        return;
    }
    pending->connection = connection;
    memcpy(pending->data, data, length);
    buffer = uv_buf_init((char *)pending->data, (unsigned)length);
    if (uv_write(&pending->request, stream, &buffer, 1, on_written)) {
        free(pending);
        dns_connection_close(connection);
    }
}

/* Answers one query. */
static void answer_query(struct connection *connection, const uint8_t *query, size_t length)
{
    struct dns_server *server = connection->server;
    size_t reply;

    server->stats.tcp_queries++;
    memcpy(server->answer + 2, query, length);
    reply = message_answer(server->options.region, server->answer + 2, length, MESSAGE_BYTES_MAX,
                           true, NULL);
    if (!reply) {
        server->stats.closed_protocol++;
        dns_connection_close(connection);
        return;
    }
    server->answer[0] = (uint8_t)(reply >> 8);
    server->answer[1] = (uint8_t)reply;
    server->stats.answers++;
    send_bytes(connection, server->answer, reply + 2);
}

/* Answers the whole queries that are in the buffer, and keeps the rest. */
static void read_queries(struct connection *connection)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    size_t at = 0;

    while (!connection->closing && connection->length - at >= 2) {
        size_t length = (size_t)connection->input[at] << 8 | connection->input[at + 1];

        if (!length || length > SERVER_QUERY_MAX) {
            connection->server->stats.closed_protocol++;
            dns_connection_close(connection);
            return;
        }
        if (connection->length - at - 2 < length)
            break;
        if (uv_stream_get_write_queue_size(stream) > SERVER_PENDING_MAX) {
            /* Goes on when the client has taken its answers. */
            uv_read_stop(stream);
            connection->paused = true;
            break;
        }
        /* While answers wait, the clock is the client's to stop by reading them. */
        if (!uv_stream_get_write_queue_size(stream))
            restart_timer(connection);
        answer_query(connection, connection->input + at + 2, length);
        at += length + 2;
    }
    connection->length -= at;
    memmove(connection->input, connection->input + at, connection->length);
}

static void find_source(const uv_tcp_t *tcp, uint8_t source[16])
{
    struct sockaddr_storage address;
    int length = sizeof(address);

    memset(source, 0, 16);
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &length))
        return;
    if (address.ss_family == AF_INET6)
        memcpy(source, &((struct sockaddr_in6 *)&address)->sin6_addr, 16);
    else
        memcpy(source + 12, &((struct sockaddr_in *)&address)->sin_addr, 4);
}

/* True when one more connection is within the bounds. */
static bool within_bounds(struct dns_server *server, const uint8_t source[16])
{
    unsigned same = 0;

    if (server->stats.connections > server->options.connections) {
        server->stats.refused_total++;
        return false;
    }
    for (struct connection *other = server->connections; other; other = other->next)
        same += !other->closing && !memcmp(other->source, source, 16);
    if (same < server->options.connections_source)
        return true;
    server->stats.refused_source++;
    return false;
}

/* Takes the connection from the listener and starts to read. False: it must be closed. */
static bool start_connection(struct connection *connection, struct listener *listener)
{
    struct dns_server *server = connection->server;

    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&connection->tcp))
        return false;
    server->stats.accepted++;
    find_source(&connection->tcp, connection->source);
    if (!within_bounds(server, connection->source))
        return false;
    uv_tcp_nodelay(&connection->tcp, 1);
    restart_timer(connection);
    return !uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
}

void dns_connection_accept(struct listener *listener)
{
    struct dns_server *server = listener->server;
    struct connection *connection = calloc(1, sizeof(*connection));
    bool started;

    if (!connection) {
        server->stats.refused_memory++;
        listener->handles += accept_spare_take(&listener->spare);
        return;
    }
    connection->server = server;
    connection->handles = 2;
    uv_tcp_init(server->loop, &connection->tcp);
    uv_timer_init(server->loop, &connection->timer);
    connection->tcp.data = connection->timer.data = connection;
    server->objects++;
    server->stats.connections++;
    started = start_connection(connection, listener);
    connection->link = &server->connections;
    connection->next = server->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    server->connections = connection;
    if (!started)
        dns_connection_close(connection);
}
