/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/route.h"

#include <stdio.h>
#include <string.h>

const char *http_method_text(enum http_method method)
{
    static const char *const text[] = {"GET", "HEAD", "PUT", "POST", "OTHER"};

    return text[method];
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } list[] = {
        {200, "OK"},
        {201, "Created"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {422, "Unprocessable Content"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i].status == status)
            return list[i].text;
    return "Unknown";
}

/* Matches a path with a pattern, both beginning with `/`, segment by segment. */
static bool match_path(const char *pattern, const char *path,
                       char param[HTTP_PARAMS_MAX][HTTP_PARAM_MAX + 1])
{
    unsigned params = 0;

    while (*pattern == '/' && *path == '/') {
        size_t want = strcspn(++pattern, "/");
        size_t have = strcspn(++path, "/");

        if (*pattern == ':') {
            if (!have || have > HTTP_PARAM_MAX || params == HTTP_PARAMS_MAX)
                return false;
            memcpy(param[params], path, have);
            param[params++][have] = 0;
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
    }
    return !*pattern && !*path;
}

static void add_allow(struct http_match *match, enum http_method method)
{
    size_t length = strlen(match->allow);

    snprintf(match->allow + length, sizeof(match->allow) - length, "%s%s", length ? ", " : "",
             http_method_text(method));
}

void http_route_find(const struct http_route *table, size_t count, enum http_method method,
                     const char *path, struct http_match *match)
{
    const struct http_route *get = NULL;

    memset(match, 0, sizeof(*match));
    for (size_t i = 0; i < count; i++) {
        if (!match_path(table[i].pattern, path, match->param))
            continue;
        match->path_known = true;
        add_allow(match, table[i].method);
        if (table[i].method == HTTP_METHOD_GET)
            get = &table[i];
        if (table[i].method == method)
            match->route = &table[i];
    }
    if (!match->route && method == HTTP_METHOD_HEAD)
        match->route = get;
}
