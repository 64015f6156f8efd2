/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that listen: opened by hand, because libuv knows no IP_FREEBIND. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/dns/server_internal.h"
#include "dataplane/fastpath/dns_host.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static socklen_t fill_address(const struct dns_listen *where, uint16_t port,
                              struct sockaddr_storage *to)
{
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

    memset(to, 0, sizeof(*to));
    if (!memcmp(where->address, mapped, sizeof(mapped))) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, where->address + 12, 4);
        return sizeof(*in);
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, where->address, 16);
    return sizeof(*in6);
}

/* What to say of an errno. */
static void explain(char *text, const char *what, int error)
{
    const char *hint = "";

    if (error == EADDRINUSE)
        hint = ": another process listens there";
    else if (error == EACCES)
        hint = ": CAP_NET_BIND_SERVICE is needed";
    snprintf(text, SERVER_ERROR_TEXT, "%s: %s%s", what, strerror(error), hint);
}

/* A bound socket, or -1 with the error's text. */
static int open_socket(struct listener *listener, int type, char *error)
{
    struct sockaddr_storage address;
    socklen_t length = fill_address(&listener->where, listener->port, &address);
    bool v6 = address.ss_family == AF_INET6;
    int fd = socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0) {
        explain(error, "cannot make a socket", errno);
        return -1;
    }
    if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &on,
                   sizeof(on)) ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
        (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))) {
        explain(error, "cannot set up the socket", errno);
    } else if (bind(fd, (struct sockaddr *)&address, length)) {
        explain(error, "cannot bind", errno);
    } else if (!getsockname(fd, (struct sockaddr *)&address, &length)) {
        listener->port = ntohs(v6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                  : ((struct sockaddr_in *)&address)->sin_port);
        return fd;
    } else {
        explain(error, "cannot read the address", errno);
    }
    close(fd);
    return -1;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct dns_server *server = listener->server;

    if (--listener->handles)
        return;
    free(listener);
    server_object_freed(server);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;

    if (!status)
        dns_connection_accept(listener);
}

static void on_spare(uv_stream_t *stream)
{
    dns_connection_accept(stream->data);
}

static void on_spare_closed(uv_stream_t *stream)
{
    on_closed((uv_handle_t *)stream);
}

static void open_tcp(struct listener *listener)
{
    int fd = open_socket(listener, SOCK_STREAM, listener->tcp_error);
    int error;

    if (fd < 0)
        return;
    error = uv_tcp_init(listener->server->loop, &listener->tcp);
    if (error) {
        close(fd);
        explain(listener->tcp_error, "cannot listen", -error);
        return;
    }
    listener->handles++;
    listener->tcp.data = listener;
    listener->spare = (struct accept_spare){
        .listener = (uv_stream_t *)&listener->tcp, .again = on_spare, .closed = on_spare_closed};
    error = uv_tcp_open(&listener->tcp, fd);
    if (error)
        close(fd);
    else
        error = uv_listen((uv_stream_t *)&listener->tcp, SERVER_BACKLOG, on_connection);
    if (error)
        explain(listener->tcp_error, "cannot listen", -error);
    listener->tcp_open = !error;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct listener *listener = handle->data;

    (void)suggested;
    *buffer = uv_buf_init((char *)listener->server->datagram, MESSAGE_BYTES_MAX);
}

static void on_datagram(uv_udp_t *udp, ssize_t length, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct listener *listener = udp->data;
    struct dns_server *server = listener->server;
    uint16_t port;
    uv_buf_t reply;
    size_t bytes;

    if (length <= 0 || !from || flags & UV_UDP_PARTIAL)
        return;
    port = ntohs(from->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)from)->sin6_port
                                             : ((const struct sockaddr_in *)from)->sin_port);
    if (fp_dns_port_loops(port))
        return;
    server->stats.udp_queries++;
    bytes = message_answer(server->options.region, (uint8_t *)buffer->base, (size_t)length,
                           MESSAGE_BYTES_MAX, false, NULL);
    if (!bytes)
        return;
    reply = uv_buf_init(buffer->base, (unsigned)bytes);
    /* A full socket buffer loses the answer, as the network may: the client asks again. */
    if (uv_udp_try_send(udp, &reply, 1, from) >= 0)
        server->stats.answers++;
}

static void open_udp(struct listener *listener)
{
    int fd = open_socket(listener, SOCK_DGRAM, listener->udp_error);
    int error;

    if (fd < 0)
        return;
    error = uv_udp_init(listener->server->loop, &listener->udp);
    if (error) {
        close(fd);
        explain(listener->udp_error, "cannot listen", -error);
        return;
    }
    listener->handles++;
    listener->udp.data = listener;
    error = uv_udp_open(&listener->udp, fd);
    if (error)
        close(fd);
    else
        error = uv_udp_recv_start(&listener->udp, on_room, on_datagram);
    if (error)
        explain(listener->udp_error, "cannot listen", -error);
    listener->udp_open = !error;
}

void listener_close(struct listener *listener)
{
    struct dns_server *server = listener->server;
    bool tcp = uv_handle_get_type((uv_handle_t *)&listener->tcp) == UV_TCP;
    bool udp = uv_handle_get_type((uv_handle_t *)&listener->udp) == UV_UDP;

    if (tcp)
        uv_close((uv_handle_t *)&listener->tcp, on_closed);
    if (udp)
        uv_close((uv_handle_t *)&listener->udp, on_closed);
    if (tcp || udp)
        return;
    free(listener);
    server_object_freed(server);
}

static struct listener *listener_open(struct dns_server *server, const struct dns_listen *where)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return NULL;
    server->objects++;
    listener->server = server;
    listener->where = *where;
    listener->port = where->port;
    if (!memcmp(where->address, mapped, sizeof(mapped)))
        inet_ntop(AF_INET, where->address + 12, listener->text, sizeof(listener->text));
    else
        inet_ntop(AF_INET6, where->address, listener->text, sizeof(listener->text));
    open_tcp(listener);
    open_udp(listener);
    return listener;
}

/* Takes the listener of this address out of the old list if it works. */
static struct listener *find_open(struct dns_server *server, const struct dns_listen *where)
{
    for (struct listener **link = &server->listeners; *link; link = &(*link)->next) {
        struct listener *listener = *link;

        if (listener->tcp_open && listener->udp_open && listener->where.port == where->port &&
            !memcmp(listener->where.address, where->address, 16)) {
            *link = listener->next;
            return listener;
        }
    }
    return NULL;
}

int dns_server_set_listen(struct dns_server *server, const struct dns_listen *list, size_t count)
{
    struct listener **found = calloc(count + 1, sizeof(struct listener *));
    struct listener **end;
    int error = 0;

    if (!found)
        return CULVERT_ENOMEM;
    for (size_t i = 0; i < count; i++)
        found[i] = find_open(server, &list[i]);
    /* What is left goes first: a new listener may need its port. */
    while (server->listeners) {
        struct listener *listener = server->listeners;

        server->listeners = listener->next;
        listener_close(listener);
    }
    end = &server->listeners;
    for (size_t i = 0; i < count; i++) {
        struct listener *listener = found[i] ? found[i] : listener_open(server, &list[i]);

        if (!listener) {
            error = CULVERT_ENOMEM;
            continue;
        }
        if ((!listener->tcp_open || !listener->udp_open) && !error)
            error = CULVERT_ESYSTEM;
        *end = listener;
        end = &listener->next;
        *end = NULL;
    }
    free(found);
    return error;
}

void dns_server_listeners(struct dns_server *server,
                          void (*each)(void *arg, const struct dns_listener_state *state),
                          void *arg)
{
    for (struct listener *listener = server->listeners; listener; listener = listener->next) {
        struct dns_listener_state state = {.address = listener->text, .port = listener->port};

        state.protocol = "tcp";
        state.listening = listener->tcp_open;
        state.error = listener->tcp_open ? NULL : listener->tcp_error;
        each(arg, &state);
        state.protocol = "udp";
        state.listening = listener->udp_open;
        state.error = listener->udp_open ? NULL : listener->udp_error;
        each(arg, &state);
    }
}
