/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an API client, through the request reader, the routes and the handlers that read a
 * body; the daemon behind them is a stub. The low four bits of the first byte say how many bytes
 * of piece lengths follow, used in turn; then comes the stream. It is read twice, whole and in
 * those pieces, and both must tell the same story.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/revision.h"
#include "controlplane/fronts/http/api.h"
#include "controlplane/fronts/http/explain_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUTS_MAX 15u

struct cuts {
    uint8_t length[CUTS_MAX];
    size_t count; /* 0: all in one */
};

/* A connection's life as one number: requests and answers, and whether it ended badly. */
struct story {
    uint64_t hash;
    unsigned answers;
    int status; /* of the last answer */
};

static struct story *now;

static void tell(const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++)
        now->hash = (now->hash ^ bytes[i]) * 0x100000001b3ull;
    now->hash = (now->hash ^ 0x1ffu) * 0x100000001b3ull; /* an end that no byte is */
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* ---- the daemon's part, as far as the handlers need it ---- */

void http_respond(struct http_exchange *exchange, int status, char *body, size_t length)
{
    must(!body == !length);
    now->answers++;
    now->status = status;
    free(body);
}

void http_respond_error(struct http_exchange *exchange, int status, const char *message,
                        const char *hint)
{
    tell(message, strlen(message));
    http_respond(exchange, status, NULL, 0);
}

int64_t daemon_clock_ms(void)
{
    return 1;
}

/* Every text that the client gave is read to its end. */
static void tell_change(struct daemon_change *change)
{
    const struct site_source *source = &change->source;

    tell(source->name, strlen(source->name));
    tell(source->text, source->length);
    tell(change->author, strlen(change->author));
    tell(change->comment, strlen(change->comment));
    tell(&change->confirm_ms, sizeof(change->confirm_ms));
    for (size_t i = 0; i < source->upload_count; i++) {
        tell(source->uploads[i].name, strlen(source->uploads[i].name));
        must(digest_valid(source->uploads[i].digest));
    }
    if (change->has_condition && change->if_revision != 1)
        change->error = CULVERT_ECONFLICT;
    change->revision = 1;
    change->diff = strdup("[]");
}

int daemon_change(struct daemon *daemon, struct daemon_change *change)
{
    change->error = change->read(change, NULL);
    if (!change->error)
        tell_change(change);
    change->ended(change);
    return 0;
}

void daemon_change_free(struct daemon_change *change)
{
    free(change->diff);
}

int revision_source_read(struct revision_source *out, struct history_view *view, uint64_t number)
{
    if (number != 1)
        return CULVERT_ENOTFOUND;
    out->source = (struct site_source){.name = "old", .text = "site: old\n", .length = 10};
    return 0;
}

void revision_source_free(struct revision_source *source)
{
}

const struct history_pending *history_pending(const struct history *history)
{
    static const struct history_pending pending = {.revision = 2, .back = 1};

    return &pending;
}

int history_confirm(struct history *history, const struct history_audit *audit,
                    void (*done)(void *arg, int status), void *arg)
{
    tell(audit->author, strlen(audit->author));
    tell(audit->comment, strlen(audit->comment));
    done(arg, 0);
    return 0;
}

void planes_each(struct planes *planes, void (*each)(void *arg, const struct plane_info *info),
                 void *arg)
{
    const struct plane_info info = {
        .connected = true, .state = "{\"interfaces\":[{\"name\":\"eth0\",\"ifindex\":2}]}"};

    each(arg, &info);
}

int planes_ask_explain(struct planes *planes, const char *name, uint32_t ifindex, const void *frame,
                       size_t length, planes_explain_fn done, void *arg)
{
    tell(frame, length);
    return CULVERT_ENOTFOUND;
}

void explain_step(struct daemon *daemon, const char *what, uint64_t a, uint64_t b,
                  struct buffer *text)
{
}

void explain_leaves(uint8_t *frame, size_t length, const char *reason, struct buffer *text)
{
}

/* ---- the gate has let them in ---- */

struct history_caller api_caller(const struct http_exchange *exchange)
{
    return (struct history_caller){.user = exchange->user, .role = "admin", .from = "local"};
}

const char *api_author(const struct http_exchange *exchange)
{
    return exchange->user;
}

/* ---- handlers that read no body, or that of the cluster, which is not here ---- */

static void answer(struct http_exchange *exchange)
{
    char path[256], from[16];

    if (http_query_get(exchange->request->query, "path", path, sizeof(path)))
        tell(path, strlen(path));
    if (http_query_get(exchange->request->query, "from", from, sizeof(from)))
        tell(from, strlen(from));
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        tell(exchange->param[i], strlen(exchange->param[i]));
    http_respond(exchange, 200, NULL, 0);
}

#define ANSWER(name)                                                                               \
    void name(struct http_exchange *exchange)                                                      \
    {                                                                                              \
        answer(exchange);                                                                          \
    }
ANSWER(api_head_blob)
ANSWER(api_site)
ANSWER(api_audit)
ANSWER(api_history)
ANSWER(api_revision)
ANSWER(api_revision_diff)
ANSWER(api_status)
ANSWER(api_counters)
ANSWER(api_nodes)
ANSWER(api_node_token)
ANSWER(api_node_join)
ANSWER(api_node_remove)
ANSWER(api_node_promote)
ANSWER(api_node_recover)
ANSWER(api_node_rotate_ca)
ANSWER(api_tokens)
ANSWER(api_token_create)
ANSWER(api_token_revoke)
ANSWER(api_backup)
ANSWER(api_backup_next)

#define SINK_FAILS_AT '!'

/* A blob goes to a sink: its sum, that pieces may make up. */
static int sink_add(void *arg, const char *data, size_t length)
{
    uint64_t *sum = arg;

    for (size_t i = 0; i < length; i++)
        *sum = *sum * 31 + (uint8_t)data[i];
    return memchr(data, SINK_FAILS_AT, length) ? CULVERT_EIO : 0;
}

void api_begin_blob(struct http_exchange *exchange)
{
    static uint64_t sum;

    sum = 0;
    exchange->sink = sink_add;
    exchange->sink_arg = &sum;
}

void api_put_blob(struct http_exchange *exchange)
{
    tell(exchange->sink_arg, sizeof(uint64_t));
    http_respond(exchange, 201, NULL, 0);
}

void api_begin_restore(struct http_exchange *exchange)
{
    api_begin_blob(exchange);
}

void api_restore(struct http_exchange *exchange)
{
    api_put_blob(exchange);
}

/* ---- a connection, as server.c has it ---- */

struct connection {
    struct http_reader *reader;
    struct http_exchange exchange;
    struct http_match match;
};

/* Finds the route and lets the body in; false: refused, the connection ends. */
static bool header_arrived(struct connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    const struct http_request *request = http_reader_request(connection->reader);
    struct http_match *match = &connection->match;
    size_t count;
    const struct http_route *routes = api_routes(&count);

    *exchange = (struct http_exchange){.request = request, .uid = (uid_t)-1};
    exchange->app = calloc(1, sizeof(struct daemon));
    must(exchange->app);
    http_route_find(routes, count, request->method, request->path, match);
    exchange->route = match->route;
    for (unsigned i = 0; i < HTTP_PARAMS_MAX; i++)
        exchange->param[i] = match->param[i];
    if (!match->route)
        return false;
    if (match->route->begin)
        match->route->begin(exchange);
    return !http_reader_accept(connection->reader, exchange->sink, exchange->sink_arg);
}

static void request_whole(struct connection *connection)
{
    const struct http_request *request = connection->exchange.request;
    unsigned answers = now->answers;

    must(!http_reader_busy(connection->reader));
    must(!request->body || !request->body[request->body_length]);
    tell(request->path, strlen(request->path));
    tell(request->query, strlen(request->query));
    tell(request->body ? request->body : "", request->body_length);
    tell(&(uint8_t){(uint8_t)(request->keep_alive | request->expect_continue << 1)}, 1);
    connection->match.route->handle(&connection->exchange);
    must(now->answers == answers + 1);
    tell(&now->status, sizeof(now->status));
}

/* Feeds one piece from memory of its own length; false: the connection ended. */
static bool take_piece(struct connection *connection, const uint8_t *data, size_t length)
{
    char *piece = malloc(length ? length : 1);
    enum http_event event;
    size_t at = 0, used;
    bool goes_on = true;

    must(piece);
    memcpy(piece, data, length);
    do {
        event = http_reader_feed(connection->reader, piece + at, length - at, &used);
        must(used <= length - at);
        at += used;
        if (event == HTTP_EVENT_HEADER) {
            free(connection->exchange.app);
            goes_on = header_arrived(connection);
            tell("header", goes_on);
        } else if (event == HTTP_EVENT_REQUEST) {
            request_whole(connection);
        } else if (event == HTTP_EVENT_BAD) {
            must(http_reader_status(connection->reader) >= 400);
            tell("bad", *http_reader_reason(connection->reader) != 0);
            goes_on = false;
        }
    } while (goes_on && event != HTTP_EVENT_MORE);
    must(!goes_on || at == length);
    free(piece);
    return goes_on;
}

static struct story read_stream(const uint8_t *data, size_t size, const struct cuts *cuts)
{
    struct story story = {.hash = 0xcbf29ce484222325ull};
    struct connection connection = {.reader = http_reader_new()};
    size_t turn = 0, length;

    must(connection.reader);
    now = &story;
    do {
        length = cuts->count ? cuts->length[turn++ % cuts->count] : size;
        if (cuts->count && turn % cuts->count == 0)
            length++; /* so that no row of zeros stays in place */
        length = length < size ? length : size;
        if (!take_piece(&connection, data, length))
            break;
        data += length;
        size -= length;
    } while (size);
    free(connection.exchange.app);
    http_reader_free(connection.reader);
    return story;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cuts whole = {0};
    struct cuts cuts = {0};
    struct story first, second;

    if (!size)
        return 0;
    cuts.count = data[0] & CUTS_MAX;
    if (size < 1 + cuts.count)
        return 0;
    memcpy(cuts.length, data + 1, cuts.count);
    data += 1 + cuts.count;
    size -= 1 + cuts.count;
    first = read_stream(data, size, &whole);
    second = read_stream(data, size, &cuts);
    must(first.hash == second.hash && first.answers == second.answers);
    return 0;
}
