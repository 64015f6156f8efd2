/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing table: method and path pattern to handler. A segment `:name` of a pattern matches
 * any one segment and is handed to the handler as a parameter.
 */
#ifndef CULVERT_FRONTS_HTTP_ROUTE_H
#define CULVERT_FRONTS_HTTP_ROUTE_H

#include "controlplane/fronts/http/request.h"

#define HTTP_PARAMS_MAX 2
#define HTTP_PARAM_MAX 127u /* bytes of one parameter; a longer one matches nothing */

struct http_exchange;

typedef void (*http_handler_fn)(struct http_exchange *exchange);

struct http_route {
    enum http_method method;
    const char *pattern;
    /* Called once the request is whole. Must answer, now or later. */
    http_handler_fn handle;
    /* Called once the header is there, for a body too big for memory: sets the exchange's sink or
     * answers (then `handle` isn't called). NULL: the body is held in memory. */
    http_handler_fn begin;
    unsigned level;    /* what a gate asks for; its meaning is the gate's */
    const char *audit; /* what it is called where it is noted; NULL: it isn't */
};

struct http_match {
    const struct http_route *route; /* NULL: none */
    bool path_known;                /* some route has that path: 405, not 404 */
    char allow[64];                 /* the methods of that path, for the Allow header */
    char param[HTTP_PARAMS_MAX][HTTP_PARAM_MAX + 1];
};

/* Finds the route of a request in a table of `count`. HEAD is served by GET's route when it has
 * none of its own. */
void http_route_find(const struct http_route *table, size_t count, enum http_method method,
                     const char *path, struct http_match *match);

/* The method as it is written in a request. */
const char *http_method_text(enum http_method method);
/* The reason phrase of a status (RFC 9110 section 15). */
const char *http_status_text(int status);

#endif
