/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/request.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX 32u /* the names that matter are shorter */
/* ...and of such a field; one byte more tells that it is too long */
#define VALUE_MAX (HTTP_AUTHORIZATION_MAX + 1)

struct http_reader {
    llhttp_t parser;
    llhttp_settings_t settings;
    struct http_request request;
    char target[HTTP_TARGET_MAX + 1];
    size_t target_length;
    size_t header_bytes;
    char field[FIELD_MAX + 1];
    size_t field_length;
    char value[VALUE_MAX + 1];
    size_t value_length;
    bool busy, header_done, whole, accepted;
    int status;
    const char *reason;
    http_sink_fn sink;
    void *sink_arg;
    size_t body_room;
    uint64_t streamed, stream_max;
};

static int refuse(struct http_reader *reader, int status, const char *reason)
{
    if (!reader->status) {
        reader->status = status;
        reader->reason = reason;
    }
    return HPE_USER;
}

static void begin_request(struct http_reader *reader)
{
    struct http_request *request = &reader->request;

    free(request->body);
    request->body = NULL;
    request->body_length = 0;
    request->keep_alive = request->expect_continue = request->has_length = false;
    request->length = 0;
    request->path[0] = request->query[0] = request->authorization[0] = 0;
    reader->target_length = reader->header_bytes = 0;
    reader->field_length = reader->value_length = 0;
    reader->header_done = reader->whole = reader->accepted = false;
    reader->sink = NULL;
    reader->body_room = 0;
    reader->streamed = 0;
    reader->stream_max = HTTP_STREAM_MAX;
}

static int on_begin(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;

    begin_request(reader);
    reader->busy = true;
    return 0;
}

static int count_header(struct http_reader *reader, size_t length)
{
    reader->header_bytes += length;
    if (reader->header_bytes > HTTP_HEADER_MAX)
        return refuse(reader, 431, "the header is longer than 16 KiB");
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = parser->data;

    if (length > HTTP_TARGET_MAX - reader->target_length)
        return refuse(reader, 414, "the request target is longer than 4096 bytes");
    memcpy(reader->target + reader->target_length, at, length);
    reader->target_length += length;
    return count_header(reader, length);
}

/* Appends as far as there is room; a longer one can't be a name or value that matters. */
static void append_bounded(char *to, size_t *have, size_t max, const char *at, size_t length)
{
    if (length > max - *have)
        length = max - *have;
    memcpy(to + *have, at, length);
    *have += length;
    to[*have] = 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = parser->data;

    append_bounded(reader->field, &reader->field_length, FIELD_MAX, at, length);
    return count_header(reader, length);
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = parser->data;

    append_bounded(reader->value, &reader->value_length, VALUE_MAX, at, length);
    return count_header(reader, length);
}

static int on_value_complete(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;

    if (!strcasecmp(reader->field, "expect") && !strcasecmp(reader->value, "100-continue"))
        reader->request.expect_continue = true;
    else if (!strcasecmp(reader->field, "authorization") &&
             reader->value_length <= HTTP_AUTHORIZATION_MAX)
        strcpy(reader->request.authorization, reader->value);
    reader->field_length = reader->value_length = 0;
    reader->field[0] = reader->value[0] = 0;
    return count_header(reader, 4); /* ": " and the line's end */
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; false for a bad escape, an encoded NUL, or no room. */
static bool decode_percent(const char *from, size_t length, char *to, size_t size, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < length; i++) {
        char c = from[i];

        if (c == '%') {
            int high = i + 2 < length ? hex_value(from[i + 1]) : -1;
            int low = i + 2 < length ? hex_value(from[i + 2]) : -1;

            if (high < 0 || low < 0 || !(high | low))
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (n + 1 >= size)
            return false;
        to[n++] = c;
    }
    to[n] = 0;
    return true;
}

static int split_target(struct http_reader *reader)
{
    struct http_request *request = &reader->request;
    char *target = reader->target, *mark;
    size_t length;

    target[reader->target_length] = 0;
    if (target[0] != '/')
        return refuse(reader, 400, "the request target must be a path");
    mark = strchr(target, '?');
    length = mark ? (size_t)(mark - target) : reader->target_length;
    if (!decode_percent(target, length, request->path, sizeof(request->path), false))
        return refuse(reader, 400, "the request target is badly encoded");
    if (mark)
        strcpy(request->query, mark + 1); /* shorter than target, which is as long as query */
    return 0;
}

static enum http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return HTTP_METHOD_GET;
    case HTTP_HEAD:
        return HTTP_METHOD_HEAD;
    case HTTP_PUT:
        return HTTP_METHOD_PUT;
    case HTTP_POST:
        return HTTP_METHOD_POST;
    default:
        return HTTP_METHOD_OTHER;
    }
}

static int on_header(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;
    struct http_request *request = &reader->request;

    if (parser->http_major != 1)
        return refuse(reader, 505, "HTTP/1.1 only");
    if (parser->upgrade)
        return refuse(reader, 400, "no upgrade is offered");
    request->method = method_of(parser);
    request->keep_alive = llhttp_should_keep_alive(parser);
    request->has_length = parser->flags & F_CONTENT_LENGTH;
    request->length = request->has_length ? parser->content_length : 0;
    if (split_target(reader))
        return HPE_USER;
    reader->header_done = true;
    return HPE_PAUSED;
}

static int grow_body(struct http_reader *reader, size_t need)
{
    size_t room = reader->body_room ? reader->body_room : 4096;
    char *body;

    while (room < need)
        room *= 2;
    if (room == reader->body_room)
        return 0;
    body = realloc(reader->request.body, room);
    if (!body)
        return refuse(reader, 503, "out of memory");
    reader->request.body = body;
    reader->body_room = room;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = parser->data;
    struct http_request *request = &reader->request;

    if (reader->sink) {
        reader->streamed += length;
        if (reader->streamed > reader->stream_max)
            return refuse(reader, 413, "the body is longer than is taken here");
        return reader->sink(reader->sink_arg, at, length)
                   ? refuse(reader, 500, "the body could not be stored")
                   : 0;
    }
    if (length > HTTP_BODY_MAX - request->body_length)
        return refuse(reader, 413, "the body is longer than 64 MiB");
    if (grow_body(reader, request->body_length + length + 1))
        return HPE_USER;
    memcpy(request->body + request->body_length, at, length);
    request->body_length += length;
    request->body[request->body_length] = 0;
    return 0;
}

static int on_whole(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;

    reader->whole = true;
    reader->busy = false;
    return HPE_PAUSED;
}

struct http_reader *http_reader_new(void)
{
    struct http_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    llhttp_settings_init(&reader->settings);
    reader->settings.on_message_begin = on_begin;
    reader->settings.on_url = on_url;
    reader->settings.on_header_field = on_field;
    reader->settings.on_header_value = on_value;
    reader->settings.on_header_value_complete = on_value_complete;
    reader->settings.on_headers_complete = on_header;
    reader->settings.on_body = on_body;
    reader->settings.on_message_complete = on_whole;
    llhttp_init(&reader->parser, HTTP_REQUEST, &reader->settings);
    reader->parser.data = reader;
    return reader;
}

void http_reader_free(struct http_reader *reader)
{
    if (!reader)
        return;
    free(reader->request.body);
    free(reader);
}

enum http_event http_reader_feed(struct http_reader *reader, const char *data, size_t length,
                                 size_t *used)
{
    llhttp_errno_t error;

    *used = 0;
    if (reader->status)
        return HTTP_EVENT_BAD;
    if (reader->header_done && !reader->whole && !reader->accepted)
        return HTTP_EVENT_HEADER;
    if (llhttp_get_errno(&reader->parser) == HPE_PAUSED)
        llhttp_resume(&reader->parser);
    error = llhttp_execute(&reader->parser, data, length);
    if (error == HPE_OK) {
        *used = length;
        return HTTP_EVENT_MORE;
    }
    if (error == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&reader->parser) - data);
        return reader->whole ? HTTP_EVENT_REQUEST : HTTP_EVENT_HEADER;
    }
    if (!reader->status)
        refuse(reader, 400, llhttp_get_error_reason(&reader->parser));
    return HTTP_EVENT_BAD;
}

void http_reader_limit(struct http_reader *reader, uint64_t bytes)
{
    reader->stream_max = bytes;
}

int http_reader_accept(struct http_reader *reader, http_sink_fn sink, void *arg)
{
    struct http_request *request = &reader->request;
    bool chunked = reader->parser.flags & F_CHUNKED;
    uint64_t max = sink ? reader->stream_max : HTTP_BODY_MAX;

    if ((request->method == HTTP_METHOD_POST || request->method == HTTP_METHOD_PUT) && !chunked &&
        !request->has_length)
        return 411;
    if (request->length > max)
        return 413;
    reader->sink = sink;
    reader->sink_arg = arg;
    reader->accepted = true;
    return 0;
}

struct http_request *http_reader_request(struct http_reader *reader)
{
    return &reader->request;
}

bool http_reader_busy(const struct http_reader *reader)
{
    return reader->busy;
}

int http_reader_status(const struct http_reader *reader)
{
    return reader->status;
}

const char *http_reader_reason(const struct http_reader *reader)
{
    return reader->reason && reader->reason[0] ? reader->reason : "malformed request";
}

bool http_query_get(const char *query, const char *name, char *to, size_t size)
{
    size_t name_length = strlen(name);

    while (*query) {
        size_t length = strcspn(query, "&");

        if (length > name_length && !strncmp(query, name, name_length) && query[name_length] == '=')
            return decode_percent(query + name_length + 1, length - name_length - 1, to, size,
                                  true);
        query += length;
        if (*query)
            query++;
    }
    return false;
}
