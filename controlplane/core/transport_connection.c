/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: TCP and TLS, and how it ends. What is said inside: transport_session.c. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/transport_internal.h"

#define RECORD_PLAIN 16384u    /* bytes, RFC 8446 section 5.1 */
#define UNSENT_MAX (128 << 10) /* bytes in the kernel that TCP has not sent yet */

/* ---- making and ending ---- */

static void connection_free(struct connection *connection)
{
    struct transport *transport = connection->transport;

    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    SSL_free(connection->ssl);
    EVP_PKEY_free(connection->joining);
    wire_reader_free(&connection->reader);
    buffer_free(&connection->cipher);
    buffer_free(&connection->input);
    buffer_free(&connection->urgent.bytes);
    buffer_free(&connection->bulk.bytes);
    free(connection);
    transport->stats.connections--;
    transport_object_freed(transport);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    if (!--connection->handles)
        connection_free(connection);
}

static bool tls_make(struct connection *connection)
{
    connection->ssl = SSL_new(connection->transport->context);
    if (!connection->ssl)
        return false;
    connection->from_net = BIO_new(BIO_s_mem());
    connection->to_net = BIO_new(BIO_s_mem());
    if (!connection->from_net || !connection->to_net) {
        BIO_free(connection->from_net);
        BIO_free(connection->to_net);
        return false;
    }
    SSL_set_bio(connection->ssl, connection->from_net, connection->to_net);
    SSL_set_app_data(connection->ssl, connection);
    return true;
}

struct connection *connection_new(struct transport *transport)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->transport = transport;
    connection->generation = transport->generation;
    connection->stage = STAGE_TLS;
    connection->input.bound = ENV_MESSAGE_MAX + 2 * RECORD_PLAIN;
    if (!tls_make(connection)) {
        SSL_free(connection->ssl);
        free(connection);
        return NULL;
    }
    connection->handles = 2;
    uv_tcp_init(transport->loop, &connection->tcp);
    uv_timer_init(transport->loop, &connection->timer);
    connection->tcp.data = connection->timer.data = connection;
    connection->link = &transport->connections;
    connection->next = transport->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    transport->connections = connection;
    transport->objects++;
    transport->stats.connections++;
    return connection;
}

/* Takes the connection off its peer, which dials anew. */
static void leave_peer(struct connection *connection, enum transport_reason reason,
                       const char *detail)
{
    struct transport *transport = connection->transport;
    struct peer *peer = connection->peer;
    bool was_up = peer->up == connection;

    peer_note(peer, reason, detail);
    if (peer->dialing == connection)
        peer->dialing = NULL;
    if (was_up) {
        peer->up = NULL;
        if (!peer->removed && !transport->closing && transport->events.connected)
            transport->events.connected(transport->events.arg, peer->node, false);
    }
    connection->peer = NULL;
    peer_schedule(peer, true);
}

void connection_close(struct connection *connection, enum transport_reason reason,
                      const char *detail)
{
    struct transport *transport = connection->transport;

    if (connection->closing)
        return;
    if (connection->stage == STAGE_LEAVING)
        reason = TRANSPORT_NONE; /* it was counted when the last word was said */
    else
        transport_note(transport, connection, reason, detail);
    if (connection->unknown)
        transport->stats.unknown--;
    connection->closing = true;
    if (reason)
        transport->stats.ended[reason]++;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
    if (connection->peer)
        leave_peer(connection, reason, detail);
}

static void on_linger(uv_timer_t *timer)
{
    connection_close(timer->data, TRANSPORT_NONE, NULL);
}

void connection_leave(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->stage = STAGE_LEAVING;
    connection_flush(connection);
    if (!connection->closing)
        uv_timer_start(&connection->timer, on_linger, TRANSPORT_LINGER_MS, 0);
}

void connection_refuse(struct connection *connection, enum transport_reason reason,
                       const char *detail)
{
    struct peer *peer = connection->peer;

    if (connection->closing || connection->stage == STAGE_LEAVING)
        return;
    transport_note(connection->transport, connection, reason, detail);
    connection->transport->stats.ended[reason]++;
    wire_put_refuse(&connection->urgent.bytes, (uint16_t)reason,
                    detail ? detail : transport_reason_text(reason));
    if (peer)
        leave_peer(connection, reason, detail);
    connection_leave(connection);
}

void connection_tls_failed(struct connection *connection)
{
    long verified = SSL_get_verify_result(connection->ssl);
    unsigned long code = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(code);

    if (connection->closing)
        return;
    if (!connection->is_writing) {
        /* The alert, as far as the socket takes it at once. */
        char *data;
        long length = BIO_get_mem_data(connection->to_net, &data);
        uv_buf_t part = uv_buf_init(data, (unsigned)length);

        if (length > 0)
            uv_try_write((uv_stream_t *)&connection->tcp, &part, 1);
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        connection_close(connection, TRANSPORT_MEMORY, NULL);
    else if (verified != X509_V_OK)
        connection_close(connection, TRANSPORT_CERTIFICATE,
                         X509_verify_cert_error_string(verified));
    else
        connection_close(connection, TRANSPORT_TLS, text);
    ERR_clear_error();
}

/* ---- receiving ---- */

/* Decrypts one record's worth into `input`. False: there is no more, or it is closed. */
static bool decrypt(struct connection *connection)
{
    struct buffer *input = &connection->input;
    size_t before = input->length, got = 0;
    void *room = buffer_room(input, RECORD_PLAIN);
    int status;

    if (!room) {
        connection_close(connection, TRANSPORT_MEMORY, NULL);
        return false;
    }
    ERR_clear_error();
    status = SSL_read_ex(connection->ssl, room, RECORD_PLAIN, &got);
    input->length = before + got;
    if (status == 1)
        return true;
    switch (SSL_get_error(connection->ssl, status)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        connection_close(connection, TRANSPORT_ENDED, NULL);
        break;
    default:
        connection_tls_failed(connection);
    }
    return false;
}

/* True when the handshake is done. */
static bool shake_hands(struct connection *connection)
{
    int status;

    ERR_clear_error();
    status = SSL_do_handshake(connection->ssl);
    if (status == 1) {
        session_secure(connection);
        return !connection->closing;
    }
    if (SSL_get_error(connection->ssl, status) != SSL_ERROR_WANT_READ)
        connection_tls_failed(connection);
    return false;
}

void connection_advance(struct connection *connection)
{
    if (connection->closing)
        return;
    if (connection->stage != STAGE_TLS || shake_hands(connection)) {
        while (!connection->closing && decrypt(connection)) {
            if (connection->stage == STAGE_LEAVING)
                buffer_clear(&connection->input);
            else if (connection->stage == STAGE_ASKING || connection->stage == STAGE_ASKED)
                join_read(connection);
            else
                session_read(connection);
        }
    }
    if (!connection->closing && BIO_ctrl_pending(connection->to_net))
        connection_dirty(connection);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(connection->transport->from_net, TRANSPORT_READ_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    if (length == UV_EOF) {
        connection_close(connection, TRANSPORT_ENDED, NULL);
        return;
    }
    if (length < 0) {
        connection_close(connection, TRANSPORT_NETWORK, uv_strerror((int)length));
        return;
    }
    connection->silent = 0;
    connection->transport->stats.bytes_received += (uint64_t)length;
    if (BIO_write(connection->from_net, buffer->base, (int)length) != length) {
        connection_close(connection, TRANSPORT_MEMORY, NULL);
        return;
    }
    connection_advance(connection);
}

static void on_handshake_timeout(uv_timer_t *timer)
{
    connection_close(timer->data, TRANSPORT_HANDSHAKE, NULL);
}

static void set_socket(struct connection *connection)
{
    int unsent = UNSENT_MAX;
    unsigned silent = connection->transport->options.silent_ms;
    uv_os_fd_t fd;

    uv_tcp_nodelay(&connection->tcp, 1);
    if (uv_fileno((uv_handle_t *)&connection->tcp, &fd))
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof(silent));
}

static int start_reading(struct connection *connection)
{
    set_socket(connection);
    return uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
}

/* ---- dialing ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *connection = request->data;

    if (connection->closing)
        return;
    if (!status)
        status = start_reading(connection);
    if (status) {
        connection_close(connection, TRANSPORT_NETWORK, uv_strerror(status));
        return;
    }
    connection->stage = STAGE_TLS;
    connection_advance(connection);
}

int connection_dial(struct connection *connection, const struct endpoint *to)
{
    static const unsigned char alpn[] = "\x0e" TRANSPORT_ALPN;
    struct sockaddr_storage address;
    int status;

    units_write_endpoint(to, connection->where);
    endpoint_to_socket(to, &address);
    SSL_set_connect_state(connection->ssl);
    if (SSL_set_alpn_protos(connection->ssl, alpn, sizeof(alpn) - 1))
        return CULVERT_ENOMEM;
    connection->connecting.data = connection;
    connection->stage = STAGE_DIALING;
    status = uv_tcp_connect(&connection->connecting, &connection->tcp,
                            (const struct sockaddr *)&address, on_connected);
    if (status)
        return CULVERT_ESYSTEM;
    connection->transport->stats.dialed++;
    uv_timer_start(&connection->timer, on_handshake_timeout,
                   connection->transport->options.handshake_ms, 0);
    return 0;
}

/* ---- accepting ---- */

static void find_source(struct connection *connection)
{
    struct sockaddr_storage from;
    int length = sizeof(from);
    struct endpoint endpoint;

    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&from, &length))
        return;
    endpoint_from_socket(&from, &endpoint);
    units_write_endpoint(&endpoint, connection->where);
}

/* Closes the oldest connection that hasn't said who it is, when there are too many. */
static void keep_bound(struct transport *transport)
{
    struct connection *oldest = NULL;

    if (transport->stats.unknown <= transport->options.unknown_max)
        return;
    for (struct connection *one = transport->connections; one; one = one->next)
        if (one->unknown && !one->closing)
            oldest = one;
    if (oldest)
        connection_close(oldest, TRANSPORT_CROWD, NULL);
}

void connection_accept(struct listener *listener)
{
    struct transport *transport = listener->transport;
    struct connection *connection = connection_new(transport);

    if (!connection) {
        transport->stats.ended[TRANSPORT_MEMORY]++;
        listener->handles += accept_spare_take(&listener->spare);
        return;
    }
    connection->inbound = connection->unknown = true;
    transport->stats.unknown++;
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&connection->tcp)) {
        connection_close(connection, TRANSPORT_NETWORK, NULL);
        return;
    }
    transport->stats.accepted++;
    find_source(connection);
    SSL_set_accept_state(connection->ssl);
    uv_timer_start(&connection->timer, on_handshake_timeout, transport->options.handshake_ms, 0);
    if (start_reading(connection))
        connection_close(connection, TRANSPORT_NETWORK, NULL);
    keep_bound(transport);
}
