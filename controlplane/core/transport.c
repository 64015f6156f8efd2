/* SPDX-License-Identifier: Apache-2.0 */
/* The transport as a whole: options, TLS context, listening, closing. */
#include "controlplane/core/transport.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/core/transport_internal.h"

#define BACKLOG 128

uint64_t transport_random(uint64_t below)
{
    uint64_t number = 0;

    /* Only spreads dialing in time: without randomness it isn't. */
    if (RAND_bytes((unsigned char *)&number, sizeof(number)) != 1)
        return 0;
    return number % below;
}

uint64_t transport_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- TLS ---- */

/* The server's choice of protocol (RFC 7301). Who joins needs no certificate. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    static const unsigned char peer[] = "\x0e" TRANSPORT_ALPN;
    static const unsigned char join[] = "\x0e" JOIN_ALPN;
    const struct connection *connection = SSL_get_app_data(ssl);
    unsigned char *chosen;

    (void)arg;
    if (SSL_select_next_proto(&chosen, length, peer, sizeof(peer) - 1, in, in_length) ==
        OPENSSL_NPN_NEGOTIATED) {
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
    }
    if (!connection->transport->options.join ||
        SSL_select_next_proto(&chosen, length, join, sizeof(join) - 1, in, in_length) !=
            OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return SSL_TLSEXT_ERR_OK;
}

int transport_identity(struct transport *transport, struct identity *identity)
{
    SSL_CTX *context;
    int error = identity_context(identity, &context);

    if (error)
        return error;
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
    SSL_CTX_free(transport->context);
    transport->context = context;
    transport->options.identity = identity;
    return 0;
}

void transport_renew(struct transport *transport)
{
    transport->generation++;
}

/* ---- making and closing ---- */

static void set_defaults(struct transport_options *options)
{
#define DEFAULT(name, value)                                                                       \
    if (!options->name)                                                                            \
    options->name = (value)
    DEFAULT(software, "");
    DEFAULT(version_min, TRANSPORT_VERSION_MIN);
    DEFAULT(version_max, TRANSPORT_VERSION_MAX);
    DEFAULT(queue, (size_t)4 << 20);
    DEFAULT(ping_ms, 1000);
    DEFAULT(silent_ms, 5000);
    DEFAULT(handshake_ms, 5000);
    DEFAULT(backoff_min_ms, 50);
    DEFAULT(backoff_max_ms, 2000);
    DEFAULT(defer_ms, 300);
    DEFAULT(unknown_max, 64);
#undef DEFAULT
}

static void events_set(struct env_net *net, const struct env_events *events)
{
    ((struct transport *)net)->events = *events;
}

static bool fill_hello(struct transport *transport)
{
    struct wire_hello *hello = &transport->hello;
    const struct transport_options *options = &transport->options;

    *hello = (struct wire_hello){.version_min = options->version_min,
                                 .version_max = options->version_max,
                                 .node = options->identity->name.node};
    memcpy(hello->site, options->identity->name.site, sizeof(hello->site));
    snprintf(hello->software, sizeof(hello->software), "%s", options->software);
    return RAND_bytes((unsigned char *)&hello->life, sizeof(hello->life)) == 1;
}

int transport_new(struct transport **out, uv_loop_t *loop, const struct transport_options *options)
{
    struct transport *transport = calloc(1, sizeof(*transport));

    if (!transport)
        return CULVERT_ENOMEM;
    transport->net = (struct env_net){.send = transport_send, .events = events_set};
    transport->loop = loop;
    transport->options = *options;
    set_defaults(&transport->options);
    if (!fill_hello(transport) || transport_identity(transport, options->identity)) {
        free(transport);
        return CULVERT_ENOMEM;
    }
    uv_idle_init(loop, &transport->idle);
    transport->idle.data = transport;
    transport->objects = 1;
    *out = transport;
    return 0;
}

void transport_object_freed(struct transport *transport)
{
    void (*closed)(void *arg) = transport->closed;
    void *arg = transport->closed_arg;

    if (--transport->objects)
        return;
    SSL_CTX_free(transport->context);
    free(transport);
    if (closed)
        closed(arg);
}

static void on_idle_closed(uv_handle_t *handle)
{
    transport_object_freed(handle->data);
}

static void listener_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct transport *transport = listener->transport;

    if (--listener->handles)
        return;
    free(listener);
    transport_object_freed(transport);
}

static void listener_close(struct listener *listener)
{
    uv_close((uv_handle_t *)&listener->tcp, listener_handle_closed);
}

void transport_close(struct transport *transport, void (*closed)(void *arg), void *arg)
{
    transport->closing = true;
    transport->closed = closed;
    transport->closed_arg = arg;
    if (transport->listener)
        listener_close(transport->listener);
    transport->listener = NULL;
    while (transport->peers)
        peer_close(transport->peers);
    for (struct connection *one = transport->connections; one; one = one->next)
        connection_close(one, TRANSPORT_CLOSED, NULL);
    uv_close((uv_handle_t *)&transport->idle, on_idle_closed);
}

/* ---- listening ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    if (!status)
        connection_accept(stream->data);
}

static void on_spare(uv_stream_t *stream)
{
    connection_accept(stream->data);
}

static void on_spare_closed(uv_stream_t *stream)
{
    listener_handle_closed((uv_handle_t *)stream);
}

static int listen_at(struct listener *listener, const struct endpoint *endpoint)
{
    struct transport *transport = listener->transport;
    struct sockaddr_storage address;
    struct endpoint real;
    int length = sizeof(address), status;

    endpoint_to_socket(endpoint, &address);
    status = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&address, 0);
    if (!status)
        status = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (!status)
        status = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &length);
    if (status)
        return status == UV_EACCES       ? CULVERT_EACCES
               : status == UV_EADDRINUSE ? CULVERT_EBUSY
                                         : CULVERT_ESYSTEM;
    endpoint_from_socket(&address, &real);
    transport->port = real.port;
    return 0;
}

int transport_listen(struct transport *transport, const struct endpoint *endpoint)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    int error;

    if (!listener)
        return CULVERT_ENOMEM;
    listener->transport = transport;
    uv_tcp_init(transport->loop, &listener->tcp);
    listener->tcp.data = listener;
    listener->spare = (struct accept_spare){
        .listener = (uv_stream_t *)&listener->tcp, .again = on_spare, .closed = on_spare_closed};
    listener->handles = 1;
    transport->objects++;
    error = listen_at(listener, endpoint);
    if (error) {
        listener_close(listener);
        return error;
    }
    if (transport->listener)
        listener_close(transport->listener);
    transport->listener = listener;
    return 0;
}

uint16_t transport_port(const struct transport *transport)
{
    return transport->port;
}

void transport_stats(const struct transport *transport, struct transport_stats *out)
{
    *out = transport->stats;
}

struct env_net *transport_net(struct transport *transport)
{
    return &transport->net;
}
