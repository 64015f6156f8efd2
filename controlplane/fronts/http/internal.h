/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by this folder's files only. */
#ifndef CULVERT_FRONTS_HTTP_INTERNAL_H
#define CULVERT_FRONTS_HTTP_INTERNAL_H

#include "controlplane/base/accept_spare.h"
#include "controlplane/base/tls_stream.h"
#include "controlplane/fronts/http/server.h"

#define CONNECTIONS_MAX 64u
#define BODIES_MAX (256ull << 20)
#define READ_BYTES (64u << 10)
#define PIECE_BYTES (256u << 10)  /* of an answer, encrypted at once */
#define BODY_RATE 16384u          /* bytes/s, the least */
#define LINGER_MS 2000u           /* for a refused body to run out */
#define LINGER_BYTES (256u << 20) /* of it, at most */
#define RESPONSE_HEADER_MAX 512u

union peer_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
};

struct http_listener {
    struct http_listener *next, *prev;
    struct http_server *server;
    union peer_handle peer;
    struct accept_spare spare;
    unsigned handles;
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    struct http_listener *listeners;
    struct connection *connections; /* newest first */
    unsigned count, open;           /* connections; those that are not dead */
    uint64_t bodies;                /* bytes of memory that accepted bodies may take */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

enum phase {
    PHASE_IDLE, /* between requests */
    PHASE_HEADER,
    PHASE_BODY,
    PHASE_ANSWER, /* the handler has it */
    PHASE_GATE,   /* the gate has it */
    PHASE_REFUSE, /* refused, which is to be told later */
    PHASE_WRITE,
    PHASE_LINGER, /* answered, to be closed: what still comes is thrown away */
};

struct connection {
    struct http_server *server;
    struct connection *next, *prev;
    union peer_handle peer;
    uv_timer_t timer;
    unsigned handles;       /* open: peer and timer */
    struct tls_stream *tls; /* NULL: in the clear */
    struct http_reader *reader;
    struct http_exchange exchange;
    struct http_match match;
    enum phase phase;
    bool reading, paused, advancing, again;
    bool admitted;     /* this request was let in */
    bool known;        /* one was */
    bool close_after;  /* no further request */
    bool dead;         /* closed; an exchange may still be out */
    bool head;         /* no body in the answer */
    uint64_t reserved; /* of server->bodies */
    uint64_t phase_start, received;
    char *buffer;        /* READ_BYTES of the wire */
    struct buffer plain; /* the same without TLS, with it */
    const char *data;    /* either of them: what was read, and how much of it was used */
    size_t have, at;
    const char *refusal, *refusal_hint; /* of PHASE_REFUSE */
    int refusal_status;
    /* What is to be sent: */
    uv_write_t write;
    struct buffer wire; /* with TLS, the piece under way */
    bool writing, continue_due, ending;
    char *answer;
    size_t answer_length, answer_at, header_length;
    char answer_header[RESPONSE_HEADER_MAX];
};

static inline struct connection *connection_of(const struct http_exchange *exchange)
{
    return (struct connection *)((char *)exchange - offsetof(struct connection, exchange));
}

/* ---- server.c ---- */

/* Frees it once its handles are closed and nobody has its exchange. */
void http_connection_maybe_free(struct connection *connection);

/* ---- connection.c ---- */

/* A connection that was accepted begins. */
void http_connection_start(struct connection *connection);
/* Closes at once; frees when it can. */
void http_connection_close(struct connection *connection);
/* Answers an error that ends the connection, from any point of a request. */
void http_connection_refuse(struct connection *connection, int status, const char *message);
/* Goes on with what was read until more is needed or somebody else has the turn. */
void http_connection_advance(struct connection *connection);
/* Enters a phase and starts its clock. */
void http_connection_enter(struct connection *connection, enum phase phase);
void http_connection_read(struct connection *connection, bool on);

/* ---- answer.c ---- */

/* Sends what there is, one write at a time. */
void http_connection_flush(struct connection *connection);

#endif
