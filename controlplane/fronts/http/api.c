/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/api.h"

#include "controlplane/base/error.h"

static void api_version(struct http_exchange *exchange)
{
    struct buffer json = {0};

    buffer_text(&json, "{\"version\":\"" CULVERT_VERSION "\",\"api\":1}");
    api_respond(exchange, 200, &json);
}

/* The one table of who may what. What the history notes itself has no name here. */
static const struct http_route routes[] = {
    {HTTP_METHOD_GET, "/v1/version", api_version, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_HEAD, "/v1/blobs/:digest", api_head_blob, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_PUT, "/v1/blobs/:digest", api_put_blob, api_begin_blob, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_POST, "/v1/apply", api_apply, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_POST, "/v1/diff", api_diff, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_POST, "/v1/rollback", api_rollback, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_POST, "/v1/confirm", api_confirm, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_GET, "/v1/site", api_site, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/history", api_history, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/audit", api_audit, NULL, ACCESS_OPERATOR, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number", api_revision, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number/diff", api_revision_diff, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/status", api_status, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/counters", api_counters, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_POST, "/v1/explain", api_explain, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_GET, "/v1/nodes", api_nodes, NULL, ACCESS_READER, NULL},
    {HTTP_METHOD_POST, "/v1/node/token", api_node_token, NULL, ACCESS_ADMIN, "node token"},
    {HTTP_METHOD_POST, "/v1/node/join", api_node_join, NULL, ACCESS_ADMIN, "node join"},
    {HTTP_METHOD_POST, "/v1/node/remove", api_node_remove, NULL, ACCESS_ADMIN, "node remove"},
    {HTTP_METHOD_POST, "/v1/node/promote", api_node_promote, NULL, ACCESS_ADMIN, "node promote"},
    {HTTP_METHOD_POST, "/v1/node/rotate-ca", api_node_rotate_ca, NULL, ACCESS_ADMIN,
     "node rotate-ca"},
    {HTTP_METHOD_POST, "/v1/node/recover", api_node_recover, NULL, ACCESS_ADMIN, "node recover"},
    {HTTP_METHOD_GET, "/v1/tokens", api_tokens, NULL, ACCESS_ADMIN, NULL},
    {HTTP_METHOD_POST, "/v1/tokens", api_token_create, NULL, ACCESS_ADMIN, "token create"},
    {HTTP_METHOD_POST, "/v1/tokens/revoke", api_token_revoke, NULL, ACCESS_ADMIN, "token revoke"},
    {HTTP_METHOD_POST, "/v1/backup", api_backup, NULL, ACCESS_ADMIN, "backup"},
    {HTTP_METHOD_GET, "/v1/backup/:id", api_backup_next, NULL, ACCESS_ADMIN, NULL},
    {HTTP_METHOD_PUT, "/v1/restore", api_restore, api_begin_restore, ACCESS_ADMIN, "restore"},
};

const struct http_route *api_routes(size_t *count)
{
    *count = sizeof(routes) / sizeof(routes[0]);
    return routes;
}

void api_respond(struct http_exchange *exchange, int status, struct buffer *json)
{
    size_t length = json->length;
    char *body = buffer_take(json);

    buffer_free(json);
    if (body)
        http_respond(exchange, status, body, length);
    else
        http_respond_error(exchange, 503, "out of memory", NULL);
}

static int error_status(int error)
{
    switch (error) {
    case CULVERT_EINVAL:
        return 400;
    case CULVERT_ENOTFOUND:
        return 404;
    case CULVERT_ECONFLICT:
        return 409;
    case CULVERT_EREJECTED:
        return 422;
    case CULVERT_EFULL:
    case CULVERT_EBUSY:
    case CULVERT_ENOMEM:
    case CULVERT_ENOTLEADER:
        return 503;
    case CULVERT_ETIMEOUT:
    case CULVERT_EUNKNOWN:
        return 504;
    case CULVERT_ENOSPC:
    case CULVERT_EQUOTA:
        return 507;
    default:
        return 500;
    }
}

void api_respond_error(struct http_exchange *exchange, int error, const char *detail)
{
    http_respond_error(exchange, error_status(error),
                       detail && *detail ? detail : culvert_strerror(error), NULL);
}

void api_respond_token(void *arg, int status, const char *text)
{
    struct http_exchange *exchange = arg;
    struct buffer json = {0};

    if (status) {
        api_respond_error(exchange, status, text);
        return;
    }
    buffer_text(&json, "{\"token\":");
    buffer_json_text(&json, text);
    buffer_char(&json, '}');
    api_respond(exchange, 200, &json);
}

yyjson_doc *api_read_object(struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    yyjson_doc *doc = request->body ? yyjson_read(request->body, request->body_length, 0) : NULL;

    if (yyjson_is_obj(yyjson_doc_get_root(doc)))
        return doc;
    yyjson_doc_free(doc);
    http_respond_error(exchange, 400, "the body must be a JSON object", NULL);
    return NULL;
}
