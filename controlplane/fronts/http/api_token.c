/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens: made, listed, revoked. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define LIFE_DEFAULT (90 * 86400) /* seconds */

static const char *text_of(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));

    return text ? text : "";
}

/* What is known here may be old: waits. False: it can't, and that was answered. */
static bool wait_current(struct http_exchange *exchange, void (*done)(void *arg, int status))
{
    const struct daemon *daemon = exchange->app;
    int error = daemon->cluster
                    ? kv_service_barrier(cluster_service(daemon->cluster), done, exchange)
                    : CULVERT_EBUSY;

    if (error)
        api_respond_error(exchange, error, daemon->store_problem);
    return !error;
}

/* ---- the list ---- */

static void write_token(void *arg, const struct access_record *record)
{
    struct buffer *json = arg;

    if (json->data[json->length - 1] == '}')
        buffer_char(json, ',');
    buffer_format(json, "{\"id\":\"%016" PRIx64 "\",\"name\":", record->id);
    buffer_json_text(json, record->name);
    buffer_format(json,
                  ",\"role\":\"%s\",\"created\":%lld,\"expires\":", access_role_name(record->role),
                  (long long)record->created);
    if (record->expires)
        buffer_format(json, "%lld", (long long)record->expires);
    else
        buffer_text(json, "null");
    buffer_format(json, ",\"expired\":%s,\"author\":",
                  record->expires && time(NULL) >= record->expires ? "true" : "false");
    buffer_json_text(json, record->author);
    buffer_char(json, '}');
}

static void on_current_list(void *arg, int status)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    struct buffer json = {0};

    buffer_text(&json, "{\"tokens\":[");
    if (!status)
        status = daemon->cluster ? json.error : CULVERT_EBUSY;
    if (!status)
        status = cluster_access_list(daemon->cluster, write_token, &json);
    buffer_text(&json, "]}");
    if (!status) {
        api_respond(exchange, 200, &json);
        return;
    }
    buffer_free(&json);
    api_respond_error(exchange, status, daemon->store_problem);
}

void api_tokens(struct http_exchange *exchange)
{
    wait_current(exchange, on_current_list);
}

/* ---- changes ---- */

static void on_created(void *arg, int status, const char *text)
{
    struct http_exchange *exchange = arg;

    if (status == CULVERT_EEXIST) {
        http_respond_error(exchange, 409, "there is a token of that name",
                           "another name, or revoke that one");
        return;
    }
    api_respond_token(exchange, status, text);
}

/* False: the request is wrong, and that was answered. */
static bool read_create(struct http_exchange *exchange, yyjson_val *root,
                        struct access_record *record)
{
    yyjson_val *life = yyjson_obj_get(root, "life");
    int64_t seconds = life ? yyjson_get_sint(life) : LIFE_DEFAULT;
    const char *name = text_of(root, "name");

    if (!access_name_valid(name) ||
        (strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16)) {
        http_respond_error(exchange, 400,
                           "`name` must be 1 to 63 letters, digits, \"-\", \"_\", \".\" or \"@\"",
                           "and not look like a token's id");
        return false;
    }
    record->role = access_role_parse(text_of(root, "role"));
    if (record->role == ACCESS_NONE) {
        http_respond_error(exchange, 400, "`role` must be admin, operator or reader", NULL);
        return false;
    }
    if (!yyjson_is_null(life) && (seconds < 1 || seconds > ACCESS_LIFE_MAX)) {
        http_respond_error(exchange, 400, "`life` must be 1 second to 10 years, or null for ever",
                           NULL);
        return false;
    }
    snprintf(record->name, sizeof(record->name), "%s", name);
    snprintf(exchange->note, sizeof(exchange->note), "%s, %s", name,
             access_role_name(record->role));
    for (size_t i = 0; exchange->user[i]; i++) /* a record holds ASCII */
        record->author[i] =
            exchange->user[i] < ' ' || exchange->user[i] > '~' ? '?' : exchange->user[i];
    record->created = time(NULL);
    record->expires = yyjson_is_null(life) ? 0 : record->created + seconds;
    return true;
}

static void on_current_create(void *arg, int status)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    yyjson_doc *doc = api_read_object(exchange);
    struct access_record record = {0};

    if (doc && read_create(exchange, yyjson_doc_get_root(doc), &record)) {
        if (!status)
            status = daemon->cluster
                         ? cluster_access_create(daemon->cluster, &record, on_created, exchange)
                         : CULVERT_EBUSY;
        if (status == CULVERT_EFULL)
            http_respond_error(exchange, 409, "there are 1024 tokens", "revoke some");
        else if (status)
            api_respond_error(exchange, status, daemon->store_problem);
    }
    yyjson_doc_free(doc);
}

void api_token_create(struct http_exchange *exchange)
{
    wait_current(exchange, on_current_create);
}

static void on_revoked(void *arg, int status, const char *text)
{
    struct http_exchange *exchange = arg;
    struct buffer json = {0};

    if (status == CULVERT_ENOTFOUND) {
        http_respond_error(exchange, 404, "there is no such token", "see `culvert token list`");
    } else if (status) {
        api_respond_error(exchange, status, text);
    } else {
        snprintf(exchange->note, sizeof(exchange->note), "%s", text);
        buffer_text(&json, "{\"name\":");
        buffer_json_text(&json, text);
        buffer_char(&json, '}');
        api_respond(exchange, 200, &json);
    }
}

static void on_current_revoke(void *arg, int status)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    yyjson_doc *doc = api_read_object(exchange);

    if (doc) {
        if (!status)
            status = daemon->cluster
                         ? cluster_access_revoke(daemon->cluster,
                                                 text_of(yyjson_doc_get_root(doc), "token"),
                                                 on_revoked, exchange)
                         : CULVERT_EBUSY;
        if (status)
            on_revoked(exchange, status, daemon->store_problem);
    }
    yyjson_doc_free(doc);
}

void api_token_revoke(struct http_exchange *exchange)
{
    wait_current(exchange, on_current_revoke);
}
