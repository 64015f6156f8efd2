/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON gateway over HTTP/1.1: a request is one call; its body is a message, or several one
 * after the other for a method that takes a stream. What a stream answers comes in lines of
 * {"result": ...}, chunked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"
#include "controlplane/fronts/etcd/json.h"
#include "controlplane/fronts/http/request.h"

#define PIPELINE_MAX ((size_t)64 << 10) /* bytes of further requests that wait for an answer */

struct etcd_http1 {
    struct http_reader *reader;
    struct etcd_call *call; /* the request under way; NULL: none */
    struct buffer waiting;  /* bytes behind that request */
    struct buffer text;     /* scratch */
    struct buffer plain;    /* answers without a call */
    bool close;             /* after what is to be sent */
    bool keep_alive;
};

static const struct {
    enum etcd_code code;
    int status;
    const char *reason;
} http_statuses[] = {
    {ETCD_CODE_OK, 200, "OK"},
    {ETCD_CODE_CANCELLED, 408, "Request Timeout"},
    {ETCD_CODE_INVALID_ARGUMENT, 400, "Bad Request"},
    {ETCD_CODE_DEADLINE_EXCEEDED, 504, "Gateway Timeout"},
    {ETCD_CODE_NOT_FOUND, 404, "Not Found"},
    {ETCD_CODE_PERMISSION_DENIED, 403, "Forbidden"},
    {ETCD_CODE_RESOURCE_EXHAUSTED, 429, "Too Many Requests"},
    {ETCD_CODE_FAILED_PRECONDITION, 400, "Bad Request"},
    {ETCD_CODE_OUT_OF_RANGE, 400, "Bad Request"},
    {ETCD_CODE_UNIMPLEMENTED, 501, "Not Implemented"},
    {ETCD_CODE_UNAVAILABLE, 503, "Service Unavailable"},
    {ETCD_CODE_UNAUTHENTICATED, 401, "Unauthorized"},
};

static int http_status(enum etcd_code code, const char **reason)
{
    for (size_t i = 0; i < sizeof(http_statuses) / sizeof(http_statuses[0]); i++)
        if (http_statuses[i].code == code) {
            *reason = http_statuses[i].reason;
            return http_statuses[i].status;
        }
    *reason = "Internal Server Error";
    return 500;
}

/* ---- answers ---- */

static void write_answer(struct buffer *to, int status, const char *reason, bool keep_alive,
                         const struct buffer *body)
{
    buffer_format(to,
                  "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s"
                  "\r\n",
                  status, reason, body->length, keep_alive ? "" : "Connection: close\r\n");
    buffer_add(to, body->data, body->length);
}

static void write_chunk(struct buffer *to, const struct buffer *text)
{
    buffer_format(to, "%zx\r\n", text->length);
    buffer_add(to, text->data, text->length);
    buffer_text(to, "\r\n");
}

static void call_send(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct etcd_http1 *http1 = call->connection->http1;
    bool lines = call->method->stream || call->method->ready;

    buffer_clear(&http1->text);
    if (lines)
        buffer_text(&http1->text, "{\"result\":");
    etcd_json_write(&http1->text, message);
    if (lines)
        buffer_text(&http1->text, "}\n");
    if (!lines)
        write_answer(&call->out, 200, "OK", http1->keep_alive, &http1->text);
    else if (!call->answered)
        buffer_text(&call->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n");
    if (lines)
        write_chunk(&call->out, &http1->text);
    call->answered = true;
    if (http1->text.error)
        call->out.error = http1->text.error;
    if (http1->text.capacity > ETCD_OUT_BYTES)
        buffer_free(&http1->text);
}

/* A stream that has begun ends with its error in a line. */
static void end_lines(struct etcd_call *call)
{
    struct etcd_http1 *http1 = call->connection->http1;
    const char *reason;
    int status = http_status(call->code, &reason);

    if (call->code != ETCD_CODE_OK) {
        buffer_clear(&http1->text);
        buffer_format(&http1->text,
                      "{\"error\":{\"grpc_code\":%d,\"http_code\":%d,\"message\":", call->code,
                      status);
        buffer_json_text(&http1->text, call->text);
        buffer_format(&http1->text, ",\"http_status\":\"%s\"}}\n", reason);
        write_chunk(&call->out, &http1->text);
    }
    buffer_text(&call->out, "0\r\n\r\n");
}

static void end_error(struct etcd_call *call)
{
    struct etcd_http1 *http1 = call->connection->http1;
    const char *reason;
    int status = http_status(call->code, &reason);

    buffer_clear(&http1->text);
    buffer_text(&http1->text, "{\"error\":");
    buffer_json_text(&http1->text, call->text);
    buffer_format(&http1->text, ",\"code\":%d,\"message\":", call->code);
    buffer_json_text(&http1->text, call->text);
    buffer_char(&http1->text, '}');
    write_answer(&call->out, status, reason, http1->keep_alive, &http1->text);
}

static void call_end(struct etcd_call *call)
{
    bool lines = call->method && (call->method->stream || call->method->ready);

    if (!call->answered)
        end_error(call);
    else if (lines)
        end_lines(call);
    else if (call->code != ETCD_CODE_OK)
        call->connection->http1->close = true; /* the answer was begun and can't be whole */
    if (call->out.error)
        call->connection->http1->close = true;
    call->connection->wake(call->connection);
}

static void call_wake(struct etcd_call *call)
{
    call->connection->wake(call->connection);
}

static const struct etcd_transport json = {
    .send = call_send,
    .end = call_end,
    .wake = call_wake,
};

/* Answers a request that is no call. */
static void answer_plain(struct etcd_connection *connection, int status, const char *reason,
                         const char *body)
{
    struct etcd_http1 *http1 = connection->http1;

    buffer_clear(&http1->text);
    buffer_text(&http1->text, body);
    write_answer(&http1->plain, status, reason, http1->keep_alive, &http1->text);
    if (!http1->keep_alive)
        http1->close = true;
    connection->wake(connection);
}

/* ---- requests ---- */

/* The messages of a body, one after the other. */
static void deliver_body(struct etcd_call *call)
{
    const yyjson_read_flag flags = YYJSON_READ_STOP_WHEN_DONE;
    size_t at = 0;
    ProtobufCMessage *message;
    yyjson_doc *document;
    int error;

    do {
        document = yyjson_read_opts(call->in.data + at, call->in.length - at, flags, NULL, NULL);
        error = document ? etcd_json_read(&message, call->method->request,
                                          yyjson_doc_get_root(document), &call->front->scratch)
                         : CULVERT_EPROTO;
        at += document ? yyjson_doc_get_read_size(document) : 0;
        yyjson_doc_free(document);
        if (error) {
            etcd_call_end_text(call, ETCD_CODE_INVALID_ARGUMENT,
                               error == CULVERT_EPROTO ? "the body is not such a message"
                                                       : culvert_strerror(error));
            return;
        }
        etcd_call_handle(call, message);
        while (at < call->in.length && strchr(" \t\r\n", call->in.data[at]))
            at++;
    } while (call->method->stream && at < call->in.length && etcd_call_open(call));
}

static void begin_call(struct etcd_connection *connection, const struct http_request *request)
{
    struct etcd_http1 *http1 = connection->http1;
    struct etcd_call *call = http1->call;

    snprintf(call->token, sizeof(call->token), "%s", request->authorization);
    call->half_closed = true;
    if (call->in.error)
        etcd_call_end(call, ETCD_MESSAGE_TOO_LARGE);
    else if (!call->in.length)
        buffer_text(&call->in, "{}");
    if (etcd_call_open(call))
        deliver_body(call);
    buffer_free(&call->in);
    etcd_call_account(call);
    if (call->method->reader && !call->holds)
        etcd_call_end(call, ETCD_OK);
}

/* The path without the version of the API; NULL: it has none. */
static const char *path_of_version(const char *path)
{
    static const char *const versions[] = {"/v3/", "/v3beta/", "/v3alpha/"};

    for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (!strncmp(path, versions[i], strlen(versions[i])))
            return path + strlen(versions[i]) - 1;
    return NULL;
}

/* What is asked by GET. */
static void answer_get(struct etcd_connection *connection, const char *path)
{
    const struct kv_status *status = etcd_front_status(connection->front);

    if (!strcmp(path, "/version"))
        answer_plain(connection, 200, "OK",
                     "{\"etcdserver\":\"" ETCD_VERSION "\",\"etcdcluster\":\"" ETCD_VERSION_CLUSTER
                     "\"}");
    else if (strcmp(path, "/health") != 0)
        answer_plain(connection, 404, "Not Found", "{\"error\":\"Not Found\",\"code\":5}");
    else if (!status->leader)
        answer_plain(connection, 503, "Service Unavailable",
                     "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}");
    else if (status->store.alarm)
        answer_plain(connection, 503, "Service Unavailable",
                     "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}");
    else
        answer_plain(connection, 200, "OK", "{\"health\":\"true\",\"reason\":\"\"}");
}

static int take_body(void *arg, const char *data, size_t length)
{
    struct etcd_call *call = arg;

    if (call->in.length + length > 2 * call->front->options.message_max)
        return CULVERT_EFULL;
    buffer_add(&call->in, data, length);
    return etcd_call_account(call) ? call->in.error : CULVERT_EFULL;
}

static int throw_away(void *arg, const char *data, size_t length)
{
    (void)arg;
    (void)data;
    return length > PIPELINE_MAX ? CULVERT_EFULL : 0;
}

/* The header is there: a call, if it is one. Else the request's end is waited for. Returns 0 or the
 * status to refuse with. */
static int header_arrived(struct etcd_connection *connection)
{
    struct etcd_http1 *http1 = connection->http1;
    const struct http_request *request = http_reader_request(http1->reader);
    const char *path = path_of_version(request->path);
    const struct etcd_method *method = path ? etcd_method_find_json(path) : NULL;

    http1->keep_alive = request->keep_alive && !connection->leaving;
    if (method && request->method == HTTP_METHOD_POST && !connection->leaving) {
        http1->call = etcd_call_new(connection, &json);
        if (!http1->call)
            return 503;
        http1->call->method = method;
    }
    if (request->expect_continue)
        buffer_text(&http1->plain, "HTTP/1.1 100 Continue\r\n\r\n");
    connection->wake(connection);
    return http_reader_accept(http1->reader, http1->call ? take_body : throw_away, http1->call);
}

static void request_whole(struct etcd_connection *connection)
{
    struct etcd_http1 *http1 = connection->http1;
    const struct http_request *request = http_reader_request(http1->reader);

    if (http1->call)
        begin_call(connection, request);
    else if (request->method == HTTP_METHOD_GET)
        answer_get(connection, request->path);
    else if (path_of_version(request->path) && request->method == HTTP_METHOD_POST)
        answer_plain(connection, 404, "Not Found", "{\"error\":\"Not Found\",\"code\":5}");
    else
        answer_plain(connection, 405, "Method Not Allowed",
                     "{\"error\":\"Method Not Allowed\",\"code\":12}");
}

/* Says why, and ends. */
static void refuse(struct etcd_connection *connection, int status, const char *why)
{
    struct etcd_http1 *http1 = connection->http1;

    http1->keep_alive = false;
    if (http1->call) {
        http1->call->ended = true;
        etcd_call_leave(http1->call);
        http1->call = NULL;
    }
    buffer_clear(&http1->text);
    buffer_text(&http1->text, "{\"error\":");
    buffer_json_text(&http1->text, why);
    buffer_char(&http1->text, '}');
    write_answer(&http1->plain, status, "Bad Request", false, &http1->text);
    http1->close = true;
    connection->wake(connection);
}

static bool request_open(const struct etcd_http1 *http1)
{
    return http1->close || (http1->call && http1->call->half_closed);
}

/* Goes on with bytes until a request waits for its answer; returns how many were taken. */
static size_t advance(struct etcd_connection *connection, const char *data, size_t length)
{
    struct etcd_http1 *http1 = connection->http1;
    size_t at = 0, used;
    bool header = false; /* a request without a body is whole after it, without more bytes */
    int status;

    while ((at < length || header) && !request_open(http1)) {
        header = false;
        switch (http_reader_feed(http1->reader, data + at, length - at, &used)) {
        case HTTP_EVENT_HEADER:
            header = true;
            status = header_arrived(connection);
            if (status)
                refuse(connection, status,
                       status == 411 ? "the request needs a Content-Length" : "too much at once");
            break;
        case HTTP_EVENT_REQUEST:
            request_whole(connection);
            break;
        case HTTP_EVENT_BAD:
            refuse(connection, http_reader_status(http1->reader),
                   http_reader_reason(http1->reader));
            break;
        default:
            break;
        }
        at += used;
    }
    return at;
}

int etcd_http1_input(struct etcd_connection *connection, const uint8_t *data, size_t length)
{
    struct etcd_http1 *http1 = connection->http1;
    size_t used = 0;

    if (!http1->waiting.length)
        used = advance(connection, (const char *)data, length);
    connection->partial = http_reader_busy(http1->reader);
    if (used == length || http1->close)
        return 0;
    buffer_add(&http1->waiting, data + used, length - used);
    return http1->waiting.error;
}

/* The answer is out: the call is over, and the next request has its turn. */
static void answer_sent(struct etcd_connection *connection)
{
    struct etcd_http1 *http1 = connection->http1;
    struct buffer next = http1->waiting;
    size_t used;

    etcd_call_leave(http1->call);
    http1->call = NULL;
    if (!http1->keep_alive)
        http1->close = true;
    buffer_init(&http1->waiting, PIPELINE_MAX);
    if (next.length) {
        used = advance(connection, next.data, next.length);
        buffer_add(&http1->waiting, next.data + used, next.length - used);
    }
    buffer_free(&next);
    connection->partial = http_reader_busy(http1->reader);
}

static void move_bytes(struct buffer *to, struct etcd_call *call)
{
    size_t length = call->out.length - call->out_at;

    if (!length)
        return;
    buffer_add(to, call->out.data + call->out_at, length);
    call->out_at += length;
    etcd_call_taken(call);
}

int etcd_http1_output(struct etcd_connection *connection, struct buffer *to, size_t bound)
{
    struct etcd_http1 *http1 = connection->http1;

    while (to->length < bound) {
        buffer_add(to, http1->plain.data, http1->plain.length);
        buffer_clear(&http1->plain);
        if (!http1->call || !http1->call->half_closed)
            break;
        move_bytes(to, http1->call);
        if (!http1->call->ended || http1->call->out.length > http1->call->out_at)
            break;
        answer_sent(connection);
    }
    return to->error;
}

bool etcd_http1_done(const struct etcd_connection *connection)
{
    const struct etcd_http1 *http1 = connection->http1;

    return (http1->close || connection->leaving) && !http1->call && !http1->plain.length;
}

/* ---- life ---- */

int etcd_http1_new(struct etcd_connection *connection)
{
    struct etcd_http1 *http1 = calloc(1, sizeof(*http1));

    if (!http1)
        return CULVERT_ENOMEM;
    connection->http1 = http1;
    http1->reader = http_reader_new();
    buffer_init(&http1->waiting, PIPELINE_MAX);
    return http1->reader ? 0 : CULVERT_ENOMEM;
}

void etcd_http1_free(struct etcd_http1 *http1)
{
    if (!http1)
        return;
    http_reader_free(http1->reader);
    buffer_free(&http1->waiting);
    buffer_free(&http1->text);
    buffer_free(&http1->plain);
    free(http1);
}
