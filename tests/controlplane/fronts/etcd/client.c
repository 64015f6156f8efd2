/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/fronts/etcd/client.h"

#include <stdlib.h>
#include <string.h>

#include "tests/controlplane/fronts/etcd/service.h"

#define PREFIX 5u

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void no_wake(struct etcd_connection *connection)
{
    (void)connection;
}

/* ---- the session's callbacks ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *arg)
{
    struct client_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (stream && name_length == 11 && !memcmp(name, "grpc-status", 11))
        stream->status = atoi((const char *)value); /* NOLINT(cert-err34-c): ours */
    if (stream && name_length == 12 && !memcmp(name, "grpc-message", 12) &&
        length < sizeof(stream->message))
        memcpy(stream->message, value, length);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *arg)
{
    struct client_stream *stream = nghttp2_session_get_stream_user_data(session, id);

    if (stream)
        buffer_add(&stream->in, data, length);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct client_stream *stream = nghttp2_session_get_stream_user_data(session, id);

    if (!stream)
        return 0;
    stream->closed = true;
    stream->error = error;
    return 0;
}

static nghttp2_ssize read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct client_stream *stream = source->ptr;
    size_t have = stream->out.length - stream->out_at;

    if (have > length)
        have = length;
    if (have)
        memcpy(to, stream->out.data + stream->out_at, have);
    stream->out_at += have;
    if (stream->finished && stream->out_at == stream->out.length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (!have)
        return NGHTTP2_ERR_DEFERRED;
    return (nghttp2_ssize)have;
}

/* ---- life ---- */

void client_open(struct client *client, const struct etcd_options *options)
{
    nghttp2_session_callbacks *callbacks;

    memset(client, 0, sizeof(*client));
    must(!uv_loop_init(&client->loop));
    client->service = single_open(&client->loop);
    must(!etcd_front_new(&client->front, &client->loop, client->service, options));
    etcd_connection_init(&client->connection, client->front);
    client->connection.wake = no_wake;
    must(!nghttp2_session_callbacks_new(&callbacks));
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    must(!nghttp2_session_client_new(&client->session, callbacks, client));
    nghttp2_session_callbacks_del(callbacks);
    must(!nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0));
    client_run(client);
}

static void on_front_closed(void *arg)
{
    struct client *client = arg;

    single_close(client->service);
}

void client_close(struct client *client)
{
    etcd_connection_clear(&client->connection);
    nghttp2_session_del(client->session);
    for (size_t i = 0; i < client->stream_count; i++) {
        buffer_free(&client->streams[i].in);
        buffer_free(&client->streams[i].out);
    }
    single_pause(client->service, false);
    etcd_front_close(client->front, on_front_closed, client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    must(!uv_loop_close(&client->loop));
}

static void around(struct client *client, bool begin)
{
    if (client->around)
        client->around(begin);
}

/* What the client has to say. */
static bool send_some(struct client *client)
{
    const uint8_t *data;
    nghttp2_ssize length = nghttp2_session_mem_send2(client->session, &data);

    must(length >= 0);
    if (!length)
        return false;
    around(client, true);
    if (!client->broken && etcd_connection_input(&client->connection, data, (size_t)length))
        client->broken = true;
    around(client, false);
    return true;
}

static bool receive_some(struct client *client)
{
    struct buffer bytes = {0};
    bool some;

    if (client->deaf || client->broken)
        return false;
    around(client, true);
    if (etcd_connection_output(&client->connection, &bytes, 1 << 20))
        client->broken = true;
    around(client, false);
    some = bytes.length > 0;
    if (some)
        must(nghttp2_session_mem_recv2(client->session, (const uint8_t *)bytes.data,
                                       bytes.length) == (nghttp2_ssize)bytes.length);
    buffer_free(&bytes);
    return some;
}

void client_run(struct client *client)
{
    bool moved;

    do {
        moved = false;
        while (send_some(client))
            moved = true;
        for (unsigned i = 0; i < 4; i++)
            uv_run(&client->loop, UV_RUN_NOWAIT);
        while (receive_some(client))
            moved = true;
    } while (moved);
}

/* ---- calls ---- */

static void add_message(struct client_stream *stream, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *room = buffer_room(&stream->out, PREFIX + length);

    must(room);
    room[0] = 0;
    room[1] = (uint8_t)(length >> 24);
    room[2] = (uint8_t)(length >> 16);
    room[3] = (uint8_t)(length >> 8);
    room[4] = (uint8_t)length;
    protobuf_c_message_pack(message, room + PREFIX);
}

#define FIELD(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0}

struct client_stream *client_call(struct client *client, const char *path,
                                  const ProtobufCMessage *message, bool more, const char *timeout)
{
    struct client_stream *stream = &client->streams[client->stream_count];
    nghttp2_data_provider2 provider = {.source.ptr = stream, .read_callback = read_out};
    nghttp2_nv fields[] = {
        FIELD(":method", "POST"),
        FIELD(":scheme", "http"),
        FIELD(":path", path),
        FIELD(":authority", "test"),
        FIELD("content-type", "application/grpc"),
        FIELD("hasleader", client->wants_leader ? "true" : "false"),
        FIELD("grpc-timeout", timeout ? timeout : ""),
    };

    must(client->stream_count++ < CLIENT_STREAMS);
    stream->client = client;
    stream->status = -1;
    stream->finished = !more;
    if (message)
        add_message(stream, message);
    stream->id =
        nghttp2_submit_request2(client->session, NULL, fields, timeout ? 7 : 6, &provider, stream);
    must(stream->id > 0);
    return stream;
}

void client_send(struct client_stream *stream, const ProtobufCMessage *message)
{
    add_message(stream, message);
    nghttp2_session_resume_data(stream->client->session, stream->id);
}

void client_send_raw(struct client_stream *stream, const void *bytes, size_t length)
{
    buffer_add(&stream->out, bytes, length);
    nghttp2_session_resume_data(stream->client->session, stream->id);
}

void client_finish(struct client_stream *stream)
{
    stream->finished = true;
    nghttp2_session_resume_data(stream->client->session, stream->id);
}

void client_reset(struct client_stream *stream)
{
    must(!nghttp2_submit_rst_stream(stream->client->session, NGHTTP2_FLAG_NONE, stream->id,
                                    NGHTTP2_CANCEL));
}

/* The place of a message; NULL: it has not come whole. */
static const uint8_t *message_at(const struct client_stream *stream, size_t number, size_t *length)
{
    const uint8_t *data = (const uint8_t *)stream->in.data;
    size_t at = 0;

    while (stream->in.length - at >= PREFIX) {
        *length = (size_t)data[at + 1] << 24 | (size_t)data[at + 2] << 16 |
                  (size_t)data[at + 3] << 8 | data[at + 4];
        if (stream->in.length - at - PREFIX < *length)
            return NULL;
        if (!number--)
            return data + at + PREFIX;
        at += PREFIX + *length;
    }
    return NULL;
}

size_t client_count(const struct client_stream *stream)
{
    size_t count = 0, length;

    while (message_at(stream, count, &length))
        count++;
    return count;
}

ProtobufCMessage *client_message(const struct client_stream *stream, size_t number,
                                 const ProtobufCMessageDescriptor *descriptor)
{
    size_t length;
    const uint8_t *data = message_at(stream, number, &length);
    ProtobufCMessage *message;

    must(data);
    message = protobuf_c_message_unpack(descriptor, NULL, length, data);
    must(message);
    return message;
}
