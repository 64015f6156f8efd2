/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"

/* RFC 9113 section 3.4 */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

void etcd_connection_init(struct etcd_connection *connection, struct etcd_front *front)
{
    connection->front = front;
    connection->protocol = ETCD_UNKNOWN;
}

void etcd_connection_clear(struct etcd_connection *connection)
{
    while (connection->calls) {
        struct etcd_call *call = connection->calls;

        call->ended = true;
        etcd_call_leave(call);
    }
    etcd_http2_free(connection->http2);
    etcd_http1_free(connection->http1);
    connection->http2 = NULL;
    connection->http1 = NULL;
}

/* The protocol is known, unless there is no memory for it. */
static int set_protocol(struct etcd_connection *connection, enum etcd_protocol protocol)
{
    int error = protocol == ETCD_HTTP2 ? etcd_http2_new(connection) : etcd_http1_new(connection);

    connection->protocol = error ? ETCD_UNKNOWN : protocol;
    return error;
}

/* Tells HTTP/2 from HTTP/1 by the first bytes. */
static int guess(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    size_t room = sizeof(preface) - 1 - connection->first_length;
    size_t take = length < room ? length : room;

    memcpy(connection->first + connection->first_length, data, take);
    connection->first_length += take;
    if (memcmp(connection->first, preface, connection->first_length) != 0)
        return set_protocol(connection, ETCD_HTTP1);
    return connection->first_length < sizeof(preface) - 1 ? 0
                                                          : set_protocol(connection, ETCD_HTTP2);
}

static int input_known(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    if (!length)
        return 0;
    return connection->protocol == ETCD_HTTP2 ? etcd_http2_input(connection, data, length)
                                              : etcd_http1_input(connection, data, length);
}

int etcd_connection_input(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    size_t before = connection->first_length;
    int error;

    if (connection->protocol != ETCD_UNKNOWN)
        return input_known(connection, data, length);
    error = guess(connection, data, length);
    if (error || connection->protocol == ETCD_UNKNOWN)
        return error;
    error = input_known(connection, connection->first, connection->first_length);
    before = connection->first_length - before;
    return error ? error : input_known(connection, data + before, length - before);
}

int etcd_connection_output(struct etcd_connection *connection, struct buffer *to, size_t bound)
{
    switch (connection->protocol) {
    case ETCD_HTTP2:
        return etcd_http2_output(connection, to, bound);
    case ETCD_HTTP1:
        return etcd_http1_output(connection, to, bound);
    default:
        return 0;
    }
}

bool etcd_connection_done(const struct etcd_connection *connection)
{
    switch (connection->protocol) {
    case ETCD_HTTP2:
        return etcd_http2_done(connection);
    case ETCD_HTTP1:
        return etcd_http1_done(connection);
    default:
        return connection->leaving;
    }
}

void etcd_connection_leave(struct etcd_connection *connection)
{
    struct etcd_call *next;

    connection->leaving = true;
    for (struct etcd_call *call = connection->calls; call; call = next) {
        next = call->next;
        if (!call->method || call->method->stream || call->method->waits || !call->delivered)
            etcd_call_end(call, ETCD_STOPPED);
    }
    if (connection->protocol == ETCD_HTTP2)
        etcd_http2_leave(connection);
}

void etcd_connection_ping(struct etcd_connection *connection)
{
    if (connection->protocol == ETCD_HTTP2)
        etcd_http2_ping(connection);
}

void etcd_connection_check(struct etcd_connection *connection, uint64_t now)
{
    uint64_t patience = connection->front->options.slow_s * 1000ull;
    struct etcd_call *next;

    for (struct etcd_call *call = connection->calls; call; call = next) {
        next = call->next;
        if (call->wants_leader && connection->front->leaderless >= ETCD_LEADERLESS_S)
            etcd_call_end(call, ETCD_NO_LEADER);
        if (call->out.length > call->out_at && now > call->taken_at + patience)
            etcd_call_end(call, ETCD_SLOW);
    }
}
