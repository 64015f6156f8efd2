/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/api.h"

#include "controlplane/base/error.h"

static void api_version(struct http_exchange *exchange)
{
    struct buffer json = {0};

    buffer_text(&json, "{\"version\":\"" CULVERT_VERSION "\",\"api\":1}");
    api_respond(exchange, 200, &json);
}

static const struct http_route routes[] = {
    {HTTP_METHOD_GET, "/v1/version", api_version, NULL},
    {HTTP_METHOD_HEAD, "/v1/blobs/:digest", api_head_blob, NULL},
    {HTTP_METHOD_PUT, "/v1/blobs/:digest", api_put_blob, api_begin_blob},
    {HTTP_METHOD_POST, "/v1/apply", api_apply, NULL},
    {HTTP_METHOD_POST, "/v1/diff", api_diff, NULL},
    {HTTP_METHOD_POST, "/v1/rollback", api_rollback, NULL},
    {HTTP_METHOD_POST, "/v1/confirm", api_confirm, NULL},
    {HTTP_METHOD_GET, "/v1/site", api_site, NULL},
    {HTTP_METHOD_GET, "/v1/history", api_history, NULL},
    {HTTP_METHOD_GET, "/v1/audit", api_audit, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number", api_revision, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number/diff", api_revision_diff, NULL},
    {HTTP_METHOD_GET, "/v1/status", api_status, NULL},
    {HTTP_METHOD_GET, "/v1/counters", api_counters, NULL},
    {HTTP_METHOD_GET, "/v1/nodes", api_nodes, NULL},
    {HTTP_METHOD_POST, "/v1/node/token", api_node_token, NULL},
    {HTTP_METHOD_POST, "/v1/node/join", api_node_join, NULL},
    {HTTP_METHOD_POST, "/v1/node/remove", api_node_remove, NULL},
    {HTTP_METHOD_POST, "/v1/node/promote", api_node_promote, NULL},
    {HTTP_METHOD_POST, "/v1/node/rotate-ca", api_node_rotate_ca, NULL},
    {HTTP_METHOD_POST, "/v1/node/recover", api_node_recover, NULL},
    {HTTP_METHOD_POST, "/v1/backup", api_backup, NULL},
    {HTTP_METHOD_GET, "/v1/backup/:id", api_backup_next, NULL},
    {HTTP_METHOD_PUT, "/v1/restore", api_restore, api_begin_restore},
    {HTTP_METHOD_POST, "/v1/explain", api_explain, NULL},
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
