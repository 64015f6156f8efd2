/* SPDX-License-Identifier: Apache-2.0 */
/* The site's side of joining: a request is read, the owner asked, its answer sent. */
#include <time.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/core/transport_internal.h"

#define LENGTH_BYTES 4u

static void on_timeout(uv_timer_t *timer)
{
    connection_close(timer->data, TRANSPORT_HANDSHAKE, "joining");
}

/* Sends an answer and waits for the other side to close. */
static void answer(struct connection *connection, const struct buffer *reply)
{
    struct transport *transport = connection->transport;
    struct buffer *out = &connection->urgent.bytes;

    bytes_put_number(out, reply->length, LENGTH_BYTES);
    buffer_add(out, reply->data, reply->length);
    if (out->error || reply->error) {
        connection_close(connection, TRANSPORT_MEMORY, NULL);
        return;
    }
    transport->stats.ended[TRANSPORT_JOINED]++;
    connection_leave(connection);
}

static void take_request(struct connection *connection, const uint8_t *data, size_t length)
{
    struct transport *transport = connection->transport;
    struct join_request request;
    struct buffer reply = {0};

    if (join_request_read(data, length, &request)) {
        connection_close(connection, TRANSPORT_PROTOCOL, "not a request to join");
        return;
    }
    if (request.version_min > transport->hello.version_max ||
        request.version_max < transport->hello.version_min) {
        transport_note(transport, connection, TRANSPORT_VERSION, request.software);
        join_reply_deny(CULVERT_EUNSUPPORTED, &reply);
        answer(connection, &reply);
        buffer_free(&reply);
    } else if (EVP_PKEY_up_ref(request.key) != 1) {
        connection_close(connection, TRANSPORT_MEMORY, NULL);
    } else {
        connection->stage = STAGE_ASKED;
        connection->call = ++transport->last_call;
        connection->joining = request.key;
        uv_timer_start(&connection->timer, on_timeout, TRANSPORT_JOIN_MS, 0);
        transport->options.join(transport->options.join_arg, connection->call, &request);
    }
    join_request_free(&request);
}

void join_read(struct connection *connection)
{
    const struct buffer *input = &connection->input;
    const uint8_t *data = (const uint8_t *)input->data;
    size_t length;

    if (input->length < LENGTH_BYTES)
        return;
    length = bytes_number(data, LENGTH_BYTES);
    if (length > JOIN_REQUEST_MAX || input->length - LENGTH_BYTES > length ||
        connection->stage == STAGE_ASKED)
        connection_close(connection, TRANSPORT_PROTOCOL, "not a request to join");
    else if (input->length - LENGTH_BYTES == length)
        take_request(connection, data + LENGTH_BYTES, length);
}

static struct connection *find_call(struct transport *transport, transport_call call)
{
    for (struct connection *one = transport->connections; one; one = one->next)
        if (one->stage == STAGE_ASKED && one->call == call && !one->closing)
            return one;
    return NULL;
}

int transport_grant(struct transport *transport, transport_call call, uint64_t node,
                    const struct join_member *members, size_t count)
{
    struct connection *connection = find_call(transport, call);
    struct buffer reply = {.bound = JOIN_REPLY_MAX};
    int error;

    if (!connection)
        return CULVERT_ENOTFOUND;
    error = join_reply_grant(transport->options.identity, node, connection->joining, time(NULL),
                             members, count, &reply);
    if (!error) {
        log_info("transport: node %llu joins from %s", (unsigned long long)node, connection->where);
        answer(connection, &reply);
    }
    if (reply.data)
        OPENSSL_cleanse(reply.data, reply.length);
    buffer_free(&reply);
    return error;
}

int transport_deny(struct transport *transport, transport_call call, int status)
{
    struct connection *connection = find_call(transport, call);
    struct buffer reply = {.bound = JOIN_REPLY_MAX};

    if (!connection)
        return CULVERT_ENOTFOUND;
    log_warn("transport: a node at %s may not join: %s", connection->where,
             culvert_strerror(status));
    join_reply_deny(status, &reply);
    answer(connection, &reply);
    buffer_free(&reply);
    return 0;
}
