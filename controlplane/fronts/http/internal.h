/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by this folder's files only. */
#ifndef CULVERT_FRONTS_HTTP_INTERNAL_H
#define CULVERT_FRONTS_HTTP_INTERNAL_H

#include "controlplane/fronts/http/server.h"

#define CONNECTIONS_MAX 64u
#define BODIES_MAX (256ull << 20)
#define READ_BYTES (64u << 10)
#define BODY_RATE 16384u          /* bytes/s, the least */
#define LINGER_MS 2000u           /* for a refused body to run out */
#define LINGER_BYTES (256u << 20) /* of it, at most */
#define RESPONSE_HEADER_MAX 512u

struct http_server {
    uv_loop_t *loop;
    uv_pipe_t listener;
    struct http_server_options options;
    struct connection *connections;
    unsigned count;
    uint64_t bodies; /* bytes of memory that accepted bodies may take */
    bool closing, listener_closed;
    void (*closed)(void *arg);
    void *closed_arg;
};

enum phase {
    PHASE_IDLE, /* between requests */
    PHASE_HEADER,
    PHASE_BODY,
    PHASE_ANSWER, /* the handler has it */
    PHASE_WRITE,
    PHASE_LINGER, /* answered, to be closed: what still comes is thrown away */
};

struct connection {
    struct http_server *server;
    struct connection *next, *prev;
    uv_pipe_t pipe;
    uv_timer_t timer;
    unsigned handles; /* open: pipe and timer */
    struct http_reader *reader;
    struct http_exchange exchange;
    struct http_match match;
    enum phase phase;
    bool reading, paused, advancing, again;
    bool close_after;  /* no further request */
    bool dead;         /* closed; an exchange may still be out */
    bool head;         /* no body in the answer */
    uint64_t reserved; /* of server->bodies */
    uint64_t phase_start, received;
    char *buffer;
    size_t have, at;
    uv_write_t write;
    char *answer;
    char answer_header[RESPONSE_HEADER_MAX];
};

/* ---- server.c ---- */

/* Closes at once; frees when it can. */
void http_connection_close(struct connection *connection);
/* Frees it once its handles are closed and no handler has its exchange. */
void http_connection_maybe_free(struct connection *connection);
/* Goes on with what was read until more is needed or somebody else has the turn. */
void http_connection_advance(struct connection *connection);
/* Enters a phase and starts its clock. */
void http_connection_enter(struct connection *connection, enum phase phase);
void http_connection_read(struct connection *connection, bool on);

#endif
