/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 over a Unix socket, on the caller's libuv loop. Single-threaded.
 *
 * Bounds: 64 connections (more are told 503), one request at a time on each (the rest of a
 * pipeline waits unread in the socket), 256 MiB of bodies in memory over all, and time: 10 s for a
 * header, a body at no less than 16 KiB/s after the first 30 s, 60 s idle or for taking an answer.
 */
#ifndef CULVERT_FRONTS_HTTP_SERVER_H
#define CULVERT_FRONTS_HTTP_SERVER_H

#include <sys/types.h>
#include <uv.h>

#include "controlplane/fronts/http/request.h"
#include "controlplane/fronts/http/route.h"

struct http_server;

/* One request and the place for its answer. Valid until answered; a peer that goes away in the
 * meantime changes nothing for the handler. */
struct http_exchange {
    const struct http_request *request;
    const char *param[HTTP_PARAMS_MAX];
    uid_t uid; /* of the peer (SO_PEERCRED); (uid_t)-1: unknown */
    void *app; /* of http_server_options */
    /* For a route's `begin`: where the body goes, and what ends it early (called once when the
     * request dies before it is whole; then the exchange is gone). */
    http_sink_fn sink;
    void (*sink_abort)(void *arg);
    void *sink_arg;
    uint64_t sink_max; /* bytes, set with the sink; 0: HTTP_STREAM_MAX */
    int sink_status;   /* set by a sink that fails: the answer's status and message (static) */
    const char *sink_problem;
};

/* Milliseconds; 0: the default said above. */
struct http_server_times {
    unsigned header, body, idle;
};

struct http_server_options {
    int fd; /* listening, non-blocking; owned by the server from a successful new */
    const struct http_route *routes; /* outlives the server */
    size_t route_count;
    void *app;
    struct http_server_times times;
};

/* Returns 0, CULVERT_ENOMEM or CULVERT_ESYSTEM. */
int http_server_new(struct http_server **out, uv_loop_t *loop,
                    const struct http_server_options *options);

/* Stops listening, closes connections (those with an exchange: once it is answered), frees the
 * server and calls `closed` when all are gone. */
void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg);

/* Answers with JSON text. `body` is taken over (malloc); NULL: no body. */
void http_respond(struct http_exchange *exchange, int status, char *body, size_t length);

/* Answers {"errors": [{"message", "hint"}]}; `hint` may be NULL. */
void http_respond_error(struct http_exchange *exchange, int status, const char *message,
                        const char *hint);

/* For a sink: no more body (nor `handle`) until resumed. May be called from the sink. */
void http_exchange_pause(struct http_exchange *exchange);
void http_exchange_resume(struct http_exchange *exchange);

#endif
