/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 over Unix sockets, or over TLS and TCP, on the caller's libuv loop. Single-threaded.
 *
 * Bounds: 64 connections, one request at a time on each (the rest of a pipeline waits unread in the
 * socket), 256 MiB of bodies in memory over all, and time: 10 s for a header (with TLS for the
 * handshake, too), a body at no less than 16 KiB/s after the first 30 s, 60 s idle or for taking a
 * piece of an answer. One Unix connection more is told 503. One TLS connection more takes the place
 * of the oldest that no request was let in on, if there is one, else it is closed.
 *
 * With a gate, nothing of a request but its header is read before the gate has let it in.
 */
#ifndef CULVERT_FRONTS_HTTP_SERVER_H
#define CULVERT_FRONTS_HTTP_SERVER_H

#include <openssl/ssl.h>
#include <sys/types.h>
#include <uv.h>

#include "controlplane/base/units.h"
#include "controlplane/fronts/http/request.h"
#include "controlplane/fronts/http/route.h"

#define HTTP_USER_MAX 80u  /* bytes, with the NUL */
#define HTTP_NOTE_MAX 128u /* likewise */

struct http_server;
struct http_listener;

/* One request and the place for its answer. Valid until answered; a peer that goes away in the
 * meantime changes nothing for the handler. */
struct http_exchange {
    const struct http_request *request;
    const struct http_route *route; /* NULL: none */
    const char *param[HTTP_PARAMS_MAX];
    uid_t uid;             /* of a Unix socket's peer (SO_PEERCRED); (uid_t)-1: unknown */
    char from[UNITS_TEXT]; /* the peer's address and port; "" for a Unix socket's */
    void *app;             /* of http_server_options */
    /* The gate's, for the handler: who asks, and what it may. */
    char user[HTTP_USER_MAX];
    unsigned level;
    char note[HTTP_NOTE_MAX]; /* the handler's, for `answered`: what it was about */
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
    unsigned refuse; /* 1000, with TLS: that http_refuse_late() waits */
};

struct http_server_options {
    SSL_CTX *tls; /* NULL: its listeners are Unix sockets; a reference is taken */
    const struct http_route *routes; /* outlives the server */
    size_t route_count;
    void *app;
    /* Decides on every request, known path or not, once its header is there: calls http_admit() or
     * answers, now or later. NULL: all are let in. */
    void (*gate)(struct http_exchange *exchange);
    /* Is told of every answer to a request that was let in, before it leaves. May be NULL. */
    void (*answered)(struct http_exchange *exchange, int status);
    struct http_server_times times;
};

/* Makes a server that listens nowhere. CULVERT_ENOMEM. */
int http_server_new(struct http_server **out, uv_loop_t *loop,
                    const struct http_server_options *options);
/* Connections from now on use this context, of which a reference is taken. */
void http_server_set_tls(struct http_server *server, SSL_CTX *tls);

/* Stops listening, closes connections (those with an exchange: once it is answered), frees the
 * server and calls `closed` when all are gone. */
void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg);

/* Listens on a socket that listens already, non-blocking; it is the server's from a success on.
 * CULVERT_ENOMEM, CULVERT_ESYSTEM. */
int http_server_listen(struct http_server *server, int fd, struct http_listener **out);
/* Listens there no further; its connections stay. */
void http_listener_close(struct http_listener *listener);

/* For the gate: the request may go on. It may be answered within the call. */
void http_admit(struct http_exchange *exchange);
/* For the gate: answers an error after a while (over TLS), so that guessing is slow. Texts are
 * static. */
void http_refuse_late(struct http_exchange *exchange, int status, const char *message,
                      const char *hint);
/* Whether a Unix socket's peer is a member of the group. */
bool http_peer_in_group(const struct http_exchange *exchange, gid_t group);

/* Answers with JSON text. `body` is taken over (malloc); NULL: no body. */
void http_respond(struct http_exchange *exchange, int status, char *body, size_t length);

/* Answers {"errors": [{"message", "hint"}]}; `hint` may be NULL. */
void http_respond_error(struct http_exchange *exchange, int status, const char *message,
                        const char *hint);

/* For a sink: no more body (nor `handle`) until resumed. May be called from the sink. */
void http_exchange_pause(struct http_exchange *exchange);
void http_exchange_resume(struct http_exchange *exchange);

#endif
