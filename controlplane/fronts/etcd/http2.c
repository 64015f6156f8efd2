/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (RFC 9113; grpc/doc/PROTOCOL-HTTP2.md): streams are calls, DATA carries
 * messages with five bytes before each, trailers carry the status.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"

#define PREFIX 5u /* bytes before a message: compressed or not, length */
#define STREAM_WINDOW (256 << 10)
#define CONNECTION_WINDOW (1 << 20)
#define HEADER_LIST_MAX (32u << 10)

struct etcd_http2 {
    nghttp2_session *session;
};

static nghttp2_session *session_of(const struct etcd_call *call)
{
    return call->connection->http2->session;
}

#define FIELD(name_text, value_text, value_length)                                                 \
    {(uint8_t *)(name_text), (uint8_t *)(value_text), sizeof(name_text) - 1, (value_length),       \
     NGHTTP2_NV_FLAG_NO_COPY_NAME}

/* ---- answers ---- */

/* What is not printable ASCII, and '%', as %XX; as much as fits. */
static size_t encode_message(const char *text, char *to, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (const unsigned char *at = (const unsigned char *)text; *at && n + 3 < size; at++) {
        if (*at >= 0x20 && *at < 0x7f && *at != '%') {
            to[n++] = (char)*at;
            continue;
        }
        to[n++] = '%';
        to[n++] = digits[*at >> 4];
        to[n++] = digits[*at & 15];
    }
    return n;
}

struct trailer {
    char code[12], message[3 * sizeof(((struct etcd_call *)NULL)->text)];
    size_t code_length, message_length;
};

static void trailer_write(struct trailer *trailer, const struct etcd_call *call)
{
    trailer->code_length =
        (size_t)snprintf(trailer->code, sizeof(trailer->code), "%u", (unsigned)call->code);
    trailer->message_length =
        encode_message(call->text, trailer->message, sizeof(trailer->message));
}

static nghttp2_ssize read_out(nghttp2_session *session, int32_t stream, uint8_t *to, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct etcd_call *call = source->ptr;
    size_t have = call->out.length - call->out_at;
    struct trailer trailer;

    (void)arg;
    if (have > length)
        have = length;
    if (have) {
        memcpy(to, call->out.data + call->out_at, have);
        call->out_at += have;
        etcd_call_taken(call);
    }
    if (call->out_at == call->out.length && call->ended) {
        trailer_write(&trailer, call);
        nghttp2_nv fields[] = {
            FIELD("grpc-status", trailer.code, trailer.code_length),
            FIELD("grpc-message", trailer.message, trailer.message_length),
        };
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream, fields, trailer.message_length ? 2 : 1))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        return (nghttp2_ssize)have;
    }
    return have ? (nghttp2_ssize)have : NGHTTP2_ERR_DEFERRED;
}

static void begin_answer(struct etcd_call *call)
{
    nghttp2_data_provider2 provider = {.source.ptr = call, .read_callback = read_out};
    nghttp2_nv fields[] = {
        FIELD(":status", "200", 3),
        FIELD("content-type", "application/grpc", 16),
    };

    call->answered = true;
    nghttp2_submit_response2(session_of(call), call->stream, fields, 2, &provider);
}

/* No message was sent: head and trailers in one. */
static void answer_status_only(struct etcd_call *call)
{
    struct trailer trailer;

    trailer_write(&trailer, call);
    nghttp2_nv fields[] = {
        FIELD(":status", "200", 3),
        FIELD("content-type", "application/grpc", 16),
        FIELD("grpc-status", trailer.code, trailer.code_length),
        FIELD("grpc-message", trailer.message, trailer.message_length),
    };
    call->answered = true;
    nghttp2_submit_response2(session_of(call), call->stream, fields, trailer.message_length ? 4 : 3,
                             NULL);
}

static void call_wake(struct etcd_call *call)
{
    if (!call->answered)
        begin_answer(call);
    else
        nghttp2_session_resume_data(session_of(call), call->stream);
    call->connection->wake(call->connection);
}

static void call_end(struct etcd_call *call)
{
    if (!call->answered && call->out.length == call->out_at)
        answer_status_only(call);
    else if (!call->answered)
        begin_answer(call);
    else
        nghttp2_session_resume_data(session_of(call), call->stream);
    call->connection->wake(call->connection);
}

static void call_send(struct etcd_call *call, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *room = length <= UINT32_MAX ? buffer_room(&call->out, PREFIX + length) : NULL;

    if (!room) {
        call->out.error = CULVERT_ENOMEM;
        return;
    }
    room[0] = 0;
    room[1] = (uint8_t)(length >> 24);
    room[2] = (uint8_t)(length >> 16);
    room[3] = (uint8_t)(length >> 8);
    room[4] = (uint8_t)length;
    protobuf_c_message_pack(message, room + PREFIX);
}

static const struct etcd_transport grpc = {
    .send = call_send,
    .end = call_end,
    .wake = call_wake,
};

/* ---- requests ---- */

/* grpc-timeout: up to eight digits and a unit. In ms, at least 1; 0: not one. */
static uint64_t parse_timeout(const uint8_t *value, size_t length)
{
    uint64_t number = 0;

    if (length < 2 || length > 9)
        return 0;
    for (size_t i = 0; i < length - 1; i++) {
        if (value[i] < '0' || value[i] > '9')
            return 0;
        number = number * 10 + value[i] - '0';
    }
    switch (value[length - 1]) {
    case 'H':
        return number * 3600000 + 1;
    case 'M':
        return number * 60000 + 1;
    case 'S':
        return number * 1000 + 1;
    case 'm':
        return number + 1;
    case 'u':
        return number / 1000 + 1;
    case 'n':
        return number / 1000000 + 1;
    default:
        return 0;
    }
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct etcd_connection *connection = arg;
    struct etcd_call *call;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    call = connection->leaving ? NULL : etcd_call_new(connection, &grpc);
    if (!call)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    call->stream = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, call->stream, call);
    return 0;
}

static bool same(const uint8_t *name, size_t length, const char *text)
{
    return length == strlen(text) && !memcmp(name, text, length);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *arg)
{
    struct etcd_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    uint64_t timeout;

    (void)flags;
    (void)arg;
    if (!call || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (same(name, name_length, ":path")) {
        call->method = etcd_method_find((const char *)value, length);
    } else if (same(name, name_length, "grpc-timeout")) {
        timeout = parse_timeout(value, length);
        if (timeout)
            etcd_call_deadline(call, timeout);
    } else if (same(name, name_length, "hasleader")) {
        call->wants_leader = same(value, length, "true");
    } else if ((same(name, name_length, "token") || same(name, name_length, "authorization")) &&
               length < sizeof(call->token)) {
        memcpy(call->token, value, length);
        call->token[length] = 0;
    }
    return 0;
}

static uint32_t message_length(const struct etcd_call *call, size_t at)
{
    const uint8_t *prefix = (const uint8_t *)call->in.data + at;

    return (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 |
           prefix[4];
}

/* Hands on the whole messages: a stream's at once, a unary call's when there is no more. */
static void take_messages(struct etcd_call *call)
{
    size_t at = 0, length;

    while (etcd_call_open(call) && call->in.length - at >= PREFIX) {
        length = message_length(call, at);
        if (call->in.data[at])
            etcd_call_end(call, ETCD_COMPRESSED);
        else if (length > call->front->options.message_max)
            etcd_call_end(call, ETCD_MESSAGE_TOO_LARGE);
        if (!etcd_call_open(call) || call->in.length - at - PREFIX < length)
            break;
        if (!call->method->stream && !call->half_closed)
            break;
        if (!call->method->stream && call->delivered)
            etcd_call_end(call, ETCD_NO_MESSAGE);
        else
            etcd_call_deliver(call, (const uint8_t *)call->in.data + at + PREFIX, length);
        at += PREFIX + length;
    }
    if (call->in.length && (at || !etcd_call_open(call))) {
        at = etcd_call_open(call) ? at : call->in.length;
        memmove(call->in.data, call->in.data + at, call->in.length - at);
        call->in.length -= at;
    }
    etcd_call_account(call);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *arg)
{
    struct etcd_call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)flags;
    (void)arg;
    if (!call || !etcd_call_open(call))
        return 0;
    buffer_add(&call->in, data, length);
    if (call->in.error)
        etcd_call_end(call, ETCD_NO_MEMORY);
    else if (!etcd_call_account(call))
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
    take_messages(call);
    return 0;
}

static void half_close(struct etcd_call *call)
{
    call->half_closed = true;
    take_messages(call);
    if (!call->method->stream && !call->delivered)
        etcd_call_end(call, ETCD_NO_MESSAGE);
    else if (call->method->reader && !call->holds)
        etcd_call_end(call, ETCD_OK);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct etcd_call *call;

    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!call)
        return 0;
    if (!call->method)
        etcd_call_end(call, ETCD_UNKNOWN_METHOD);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    if (etcd_call_open(call))
        half_close(call);
    call->half_closed = true;
    return 0;
}

/* An answer that is complete before the request is: the rest of that isn't wanted. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct etcd_call *call;

    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call && !call->half_closed)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t why, void *arg)
{
    struct etcd_call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)why;
    (void)arg;
    if (!call)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream, NULL);
    etcd_call_leave(call);
    return 0;
}

/* ---- the session ---- */

static int session_start(struct etcd_connection *connection, nghttp2_session_callbacks *callbacks,
                         nghttp2_option *option)
{
    const struct etcd_options *options = &connection->front->options;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_MAX},
    };
    struct etcd_http2 *http2 = connection->http2;

    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, 4096);
    if (nghttp2_session_server_new2(&http2->session, callbacks, connection, option) ||
        nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof(settings) / sizeof(settings[0])) ||
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW))
        return CULVERT_ENOMEM;
    return 0;
}

int etcd_http2_new(struct etcd_connection *connection)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int error = CULVERT_ENOMEM;

    connection->http2 = calloc(1, sizeof(*connection->http2));
    if (connection->http2 && !nghttp2_session_callbacks_new(&callbacks) &&
        !nghttp2_option_new(&option))
        error = session_start(connection, callbacks, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return error;
}

void etcd_http2_free(struct etcd_http2 *http2)
{
    if (!http2)
        return;
    nghttp2_session_del(http2->session);
    free(http2);
}

int etcd_http2_input(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    nghttp2_ssize taken = nghttp2_session_mem_recv2(connection->http2->session, data, length);

    connection->wake(connection);
    return taken == (nghttp2_ssize)length ? 0 : CULVERT_EPROTO;
}

int etcd_http2_output(struct etcd_connection *connection, struct buffer *to, size_t bound)
{
    const uint8_t *data;
    nghttp2_ssize length;

    while (to->length < bound) {
        length = nghttp2_session_mem_send2(connection->http2->session, &data);
        if (length < 0)
            return CULVERT_EPROTO;
        if (!length)
            break;
        buffer_add(to, data, (size_t)length);
    }
    return to->error;
}

bool etcd_http2_done(const struct etcd_connection *connection)
{
    nghttp2_session *session = connection->http2->session;

    if (nghttp2_session_want_write(session))
        return false;
    return !nghttp2_session_want_read(session) || (connection->leaving && !connection->call_count);
}

void etcd_http2_leave(struct etcd_connection *connection)
{
    nghttp2_session *session = connection->http2 ? connection->http2->session : NULL;

    if (!session)
        return; /* it has not said a word yet */
    nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR, NULL,
                          0);
}

void etcd_http2_ping(struct etcd_connection *connection)
{
    nghttp2_submit_ping(connection->http2->session, NGHTTP2_FLAG_NONE, NULL);
}
