/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"

static uint64_t socket_now(const struct etcd_socket *socket)
{
    return uv_now(socket->connection.front->loop);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct etcd_socket *socket = handle->data;
    struct etcd_front *front = socket->connection.front;

    if (socket->prev)
        socket->prev->next = socket->next;
    else
        front->sockets = socket->next;
    if (socket->next)
        socket->next->prev = socket->prev;
    front->socket_count--;
    tls_stream_free(socket->tls);
    buffer_free(&socket->out);
    buffer_free(&socket->wire);
    free(socket);
    etcd_front_maybe_free(front);
}

static void undirty(struct etcd_socket *socket)
{
    struct etcd_socket **link = &socket->connection.front->dirty;

    if (!socket->dirty)
        return;
    while (*link != socket)
        link = &(*link)->next_dirty;
    *link = socket->next_dirty;
    socket->dirty = false;
}

void etcd_socket_close(struct etcd_socket *socket)
{
    if (socket->closed)
        return;
    socket->closed = true;
    etcd_connection_clear(&socket->connection);
    undirty(socket);
    uv_close((uv_handle_t *)&socket->tcp, on_closed);
}

static void wake(struct etcd_connection *connection)
{
    struct etcd_socket *socket = (struct etcd_socket *)connection;

    if (socket->dirty || socket->closed)
        return;
    socket->dirty = true;
    socket->next_dirty = connection->front->dirty;
    connection->front->dirty = socket;
}

void etcd_socket_leave(struct etcd_socket *socket)
{
    etcd_connection_leave(&socket->connection);
    wake(&socket->connection);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct etcd_socket *socket = write->data;

    socket->writing = false;
    socket->write_since = 0;
    if (socket->closed)
        return;
    if (status)
        etcd_socket_close(socket);
    else
        etcd_socket_flush(socket);
}

/* What is to be written next goes to `wire`. */
static int collect(struct etcd_socket *socket)
{
    struct buffer *plain = socket->tls ? &socket->out : &socket->wire;
    int error;

    buffer_clear(&socket->wire);
    buffer_clear(&socket->out);
    error = etcd_connection_output(&socket->connection, plain, ETCD_OUT_BYTES);
    if (!error && socket->tls)
        error = tls_stream_output(socket->tls, plain->data, plain->length, &socket->wire);
    return error ? error : socket->wire.error;
}

/* Tries at once, then leaves the rest to the loop. False: the connection is broken. */
static bool send_wire(struct etcd_socket *socket)
{
    uv_stream_t *stream = (uv_stream_t *)&socket->tcp;
    uv_buf_t bytes = uv_buf_init(socket->wire.data, (unsigned)socket->wire.length);
    int sent = uv_try_write(stream, &bytes, 1);

    if (sent < 0 && sent != UV_EAGAIN)
        return false;
    if (sent == (int)socket->wire.length)
        return true;
    sent = sent < 0 ? 0 : sent;
    bytes = uv_buf_init(socket->wire.data + sent, (unsigned)(socket->wire.length - (size_t)sent));
    socket->write.data = socket;
    if (uv_write(&socket->write, stream, &bytes, 1, on_written))
        return false;
    socket->writing = true;
    socket->write_since = socket_now(socket);
    return true;
}

void etcd_socket_flush(struct etcd_socket *socket)
{
    while (!socket->writing && !socket->closed) {
        if (collect(socket)) {
            etcd_socket_close(socket);
            return;
        }
        if (!socket->wire.length)
            break;
        if (!send_wire(socket)) {
            etcd_socket_close(socket);
            return;
        }
    }
    if (!socket->writing && !socket->closed &&
        (socket->ending || etcd_connection_done(&socket->connection)))
        etcd_socket_close(socket);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct etcd_socket *socket = handle->data;

    (void)suggested;
    *bytes = uv_buf_init((char *)socket->connection.front->read_buffer, ETCD_READ_BYTES);
}

static int input_tls(struct etcd_socket *socket, const uint8_t *data, size_t length)
{
    struct etcd_connection *connection = &socket->connection;
    struct buffer plain = {0};
    int error = tls_stream_input(socket->tls, data, length, &plain);

    if (plain.length && !connection->first_length)
        etcd_tls_user(socket->tls, connection->user, sizeof(connection->user));
    if (!error && plain.error)
        error = plain.error;
    if (!error && plain.length)
        error = etcd_connection_input(connection, (const uint8_t *)plain.data, plain.length);
    buffer_free(&plain);
    wake(connection); /* the handshake may have something to say */
    return error;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes)
{
    struct etcd_socket *socket = stream->data;
    const uint8_t *data = (const uint8_t *)bytes->base;
    int error;

    if (length == 0)
        return;
    if (length < 0 || socket->ending) {
        etcd_socket_close(socket);
        return;
    }
    socket->heard = socket_now(socket);
    socket->pinged = 0;
    error = socket->tls ? input_tls(socket, data, (size_t)length)
                        : etcd_connection_input(&socket->connection, data, (size_t)length);
    if (!error)
        return;
    socket->ending = true; /* once what explains it is sent */
    wake(&socket->connection);
}

/* ---- time ---- */

static bool too_late(const struct etcd_socket *socket, uint64_t now)
{
    const struct etcd_options *options = &socket->connection.front->options;

    if (socket->connection.protocol == ETCD_UNKNOWN &&
        now > socket->opened + options->first_s * 1000ull)
        return true;
    if (socket->write_since && now > socket->write_since + options->slow_s * 1000ull)
        return true;
    if (socket->partial_since && now > socket->partial_since + options->slow_s * 1000ull)
        return true;
    if (socket->pinged && now > socket->pinged + options->slow_s * 1000ull)
        return true;
    return false;
}

void etcd_socket_check(struct etcd_socket *socket, uint64_t now)
{
    const struct etcd_options *options = &socket->connection.front->options;

    if (socket->closed)
        return;
    if (!socket->connection.partial)
        socket->partial_since = 0;
    else if (!socket->partial_since)
        socket->partial_since = now;
    if (too_late(socket, now)) {
        etcd_socket_close(socket);
        return;
    }
    etcd_connection_check(&socket->connection, now);
    if (socket->connection.call_count) {
        socket->idle_since = now;
        if (!socket->pinged && now > socket->heard + options->ping_s * 1000ull &&
            socket->connection.protocol == ETCD_HTTP2) {
            socket->pinged = now;
            etcd_connection_ping(&socket->connection);
        }
    } else if (now > socket->idle_since + options->idle_s * 1000ull ||
               now > socket->heard + options->idle_s * 1000ull) {
        etcd_socket_leave(socket);
    }
    wake(&socket->connection);
}

/* ---- the beginning ---- */

static struct etcd_socket *socket_new(struct etcd_listener *listener)
{
    struct etcd_front *front = listener->front;
    struct etcd_socket *socket = calloc(1, sizeof(*socket));

    if (!socket)
        return NULL;
    if (uv_tcp_init(front->loop, &socket->tcp)) {
        free(socket);
        return NULL;
    }
    etcd_connection_init(&socket->connection, front);
    socket->connection.wake = wake;
    socket->tcp.data = socket;
    socket->opened = socket->heard = socket->idle_since = uv_now(front->loop);
    socket->next = front->sockets;
    if (socket->next)
        socket->next->prev = socket;
    front->sockets = socket;
    front->socket_count++;
    return socket;
}

void etcd_socket_accept(struct etcd_listener *listener)
{
    struct etcd_front *front = listener->front;
    struct etcd_socket *socket = socket_new(listener);

    if (!socket)
        return; /* stays in the backlog */
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&socket->tcp) ||
        front->socket_count > front->options.connections_max) {
        etcd_socket_close(socket);
        return;
    }
    uv_tcp_nodelay(&socket->tcp, 1);
    if (listener->tls) {
        socket->tls = tls_stream_new(listener->tls);
        if (!socket->tls) {
            etcd_socket_close(socket);
            return;
        }
    }
    if (uv_read_start((uv_stream_t *)&socket->tcp, on_alloc, on_read))
        etcd_socket_close(socket);
}
