/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a whole: listeners, the bounds, the life of its connections' memory. */
#include "controlplane/fronts/http/server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/http/internal.h"

#define GROUPS_MAX 1024u /* of a peer, looked at */

static void server_maybe_free(struct http_server *server)
{
    if (!server->closing || server->listeners || server->count)
        return;
    if (server->closed)
        server->closed(server->closed_arg);
    SSL_CTX_free(server->options.tls);
    free(server);
}

/* ---- connections ---- */

static bool has_exchange(const struct connection *connection)
{
    return connection->phase == PHASE_ANSWER || connection->phase == PHASE_GATE;
}

void http_connection_maybe_free(struct connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->handles || !connection->dead || has_exchange(connection))
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
    tls_stream_free(connection->tls);
    buffer_free(&connection->plain);
    buffer_free(&connection->wire);
    free(connection->answer);
    free(connection->buffer);
    free(connection);
    server_maybe_free(server);
}

static bool make_parts(struct connection *connection, SSL_CTX *tls)
{
    connection->reader = http_reader_new();
    connection->buffer = malloc(READ_BYTES);
    if (!connection->reader || !connection->buffer)
        return false;
    if (tls)
        connection->tls = tls_stream_new(tls);
    return !tls || connection->tls;
}

static struct connection *connection_new(struct http_server *server)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    if (!make_parts(connection, server->options.tls)) {
        http_reader_free(connection->reader);
        free(connection->buffer);
        free(connection);
        return NULL;
    }
    connection->server = server;
    connection->data = connection->buffer;
    connection->exchange.app = server->options.app;
    connection->exchange.uid = (uid_t)-1;
    if (server->options.tls)
        uv_tcp_init(server->loop, &connection->peer.tcp);
    else
        uv_pipe_init(server->loop, &connection->peer.pipe, 0);
    uv_timer_init(server->loop, &connection->timer);
    connection->peer.handle.data = connection->timer.data = connection;
    connection->handles = 2;
    connection->next = server->connections;
    if (connection->next)
        connection->next->prev = connection;
    server->connections = connection;
    server->count++;
    server->open++;
    return connection;
}

/* ---- who is at the other end ---- */

static void read_peer(struct connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    struct sockaddr_storage address = {0};
    int length = sizeof(address);
    struct endpoint endpoint;
    uv_os_fd_t fd;

    if (connection->tls) {
        uv_tcp_nodelay(&connection->peer.tcp, 1);
        if (uv_tcp_getpeername(&connection->peer.tcp, (struct sockaddr *)&address, &length))
            return;
        endpoint_from_socket(&address, &endpoint);
        units_write_endpoint(&endpoint, exchange->from);
    } else if (!uv_fileno(&connection->peer.handle, &fd) &&
               !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size)) {
        exchange->uid = credentials.uid;
    }
}

bool http_peer_in_group(const struct http_exchange *exchange, gid_t group)
{
    struct connection *connection = connection_of(exchange);
    struct ucred credentials;
    socklen_t size = sizeof(credentials), bytes = GROUPS_MAX * sizeof(gid_t);
    gid_t *list;
    bool found;
    uv_os_fd_t fd;

    if (connection->tls || uv_fileno(&connection->peer.handle, &fd) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
        return false;
    found = credentials.gid == group;
    list = found ? NULL : malloc(bytes);
    if (list && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &bytes))
        for (size_t i = 0; i < bytes / sizeof(gid_t); i++)
            found |= list[i] == group;
    free(list);
    return found;
}

/* ---- listening ---- */

/* Over TLS anybody may come: the oldest of those that showed nothing yet makes way. */
static bool make_way(struct http_server *server, const struct connection *newest)
{
    struct connection *oldest = NULL;

    for (struct connection *one = server->connections; one; one = one->next)
        if (one != newest && !one->dead && !one->known)
            oldest = one;
    if (oldest)
        http_connection_close(oldest);
    return oldest;
}

/* False: it was refused, or closed. */
static bool within_bounds(struct connection *connection)
{
    struct http_server *server = connection->server;

    if (server->open <= CONNECTIONS_MAX)
        return true;
    if (connection->tls && make_way(server, connection))
        return true;
    if (connection->tls || server->count > 2 * CONNECTIONS_MAX)
        http_connection_close(connection);
    else
        http_connection_refuse(connection, 503, "too many connections");
    return false;
}

static void accept_one(uv_stream_t *stream)
{
    struct http_listener *listener = stream->data;
    struct connection *connection = connection_new(listener->server);

    if (!connection) {
        listener->handles += accept_spare_take(&listener->spare);
        return;
    }
    if (uv_accept(stream, &connection->peer.stream)) {
        http_connection_close(connection);
        return;
    }
    read_peer(connection);
    if (within_bounds(connection))
        http_connection_start(connection);
}

static void on_connection(uv_stream_t *stream, int status)
{
    if (status >= 0)
        accept_one(stream);
}

static void listener_handle_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;
    struct http_server *server = listener->server;

    if (--listener->handles)
        return;
    if (listener->prev)
        listener->prev->next = listener->next;
    else
        server->listeners = listener->next;
    if (listener->next)
        listener->next->prev = listener->prev;
    free(listener);
    server_maybe_free(server);
}

static void on_spare_closed(uv_stream_t *stream)
{
    listener_handle_closed((uv_handle_t *)stream);
}

void http_listener_close(struct http_listener *listener)
{
    if (!uv_is_closing(&listener->peer.handle))
        uv_close(&listener->peer.handle, listener_handle_closed);
}

static struct http_listener *listener_new(struct http_server *server)
{
    struct http_listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return NULL;
    listener->server = server;
    if (server->options.tls)
        uv_tcp_init(server->loop, &listener->peer.tcp);
    else
        uv_pipe_init(server->loop, &listener->peer.pipe, 0);
    listener->peer.handle.data = listener;
    listener->handles = 1;
    listener->spare = (struct accept_spare){
        .listener = &listener->peer.stream, .again = accept_one, .closed = on_spare_closed};
    listener->next = server->listeners;
    if (listener->next)
        listener->next->prev = listener;
    server->listeners = listener;
    return listener;
}

int http_server_listen(struct http_server *server, int fd, struct http_listener **out)
{
    struct http_listener *listener = listener_new(server);
    int copy, status;

    if (!listener)
        return CULVERT_ENOMEM;
    /* A handle closes what it was given, also where it can't listen. */
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        http_listener_close(listener);
        return CULVERT_ESYSTEM;
    }
    status = server->options.tls ? uv_tcp_open(&listener->peer.tcp, copy)
                                 : uv_pipe_open(&listener->peer.pipe, copy);
    if (status)
        close(copy);
    else
        status = uv_listen(&listener->peer.stream, 64, on_connection);
    if (status) {
        http_listener_close(listener);
        return CULVERT_ESYSTEM;
    }
    close(fd);
    if (out)
        *out = listener;
    return 0;
}

/* ---- the server ---- */

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
    if (!server->options.times.refuse)
        server->options.times.refuse = 1000;
    if (server->options.tls)
        SSL_CTX_up_ref(server->options.tls);
    *out = server;
    return 0;
}

void http_server_set_tls(struct http_server *server, SSL_CTX *tls)
{
    SSL_CTX_up_ref(tls);
    SSL_CTX_free(server->options.tls);
    server->options.tls = tls;
}

void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg)
{
    struct connection *next;

    server->closing = true;
    server->closed = closed;
    server->closed_arg = arg;
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        http_listener_close(listener);
    for (struct connection *connection = server->connections; connection; connection = next) {
        next = connection->next;
        if (connection->phase < PHASE_ANSWER || connection->phase == PHASE_REFUSE ||
            connection->phase == PHASE_LINGER)
            http_connection_close(connection);
    }
    server_maybe_free(server);
}
