/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by this folder's files only: the front, its connections and what carries them. */
#ifndef CULVERT_FRONTS_ETCD_INTERNAL_H
#define CULVERT_FRONTS_ETCD_INTERNAL_H

#include "controlplane/base/tls_stream.h"
#include "controlplane/core/kv/watch.h"
#include "controlplane/fronts/etcd/call.h"
#include "controlplane/fronts/etcd/front.h"
#include "rpc.pb-c.h"

struct etcd_auth;
struct etcd_http1;
struct etcd_http2;
struct etcd_socket;

#define ETCD_TICK_MS 100u
#define ETCD_CLOSE_MS 5000u         /* for unary calls to be answered while closing */
#define ETCD_LEADERLESS_S 3u        /* that streams which want a leader last without one */
#define ETCD_SPARE_CALLS 256u       /* kept for the next ones */
#define ETCD_SPARE_BYTES (8u << 10) /* of a buffer that is kept */
#define ETCD_OUT_BYTES (256u << 10) /* handed to the socket at once */
#define ETCD_READ_BYTES (64u << 10)

/* What version the server says it is: clients derive from it what they may ask for. */
#define ETCD_VERSION "3.5.16"
#define ETCD_VERSION_CLUSTER "3.5.0"

struct etcd_listener {
    struct etcd_front *front;
    uv_tcp_t tcp;
    SSL_CTX *tls;
};

struct etcd_front {
    uv_loop_t *loop;
    struct kv_service *service;
    struct etcd_options options;
    struct etcd_listener listeners[ETCD_LISTENERS_MAX];
    unsigned listener_count, handles; /* open ones: listeners and those below */
    struct etcd_socket *sockets;
    struct etcd_socket *dirty; /* those with something to send */
    unsigned socket_count;
    struct etcd_call *spare, *timed, *turns;
    unsigned spare_count, calls, waiters;
    size_t held;
    struct arena scratch;
    uv_prepare_t flush;
    uv_idle_t busy; /* while there is work for the next turn */
    uv_timer_t tick;
    bool handles_open, busy_on;
    unsigned leaderless; /* seconds without a leader */
    bool pump;           /* there may be watches that are behind */
    uint64_t ticks, close_at, progress_at;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct kv_watch_hub *hub;
    struct etcd_auth *auth;
    struct kv_observer observer;
    struct kv_status status; /* as of the last second; its revision as of now */
    uint8_t *read_buffer;    /* of whichever socket reads */
};

/* ---- front.c ---- */

/* How the group and the store are; not for what is asked often. */
const struct kv_status *etcd_front_status(struct etcd_front *front);
/* The store's revision. */
uint64_t etcd_front_revision(const struct etcd_front *front);
/* Fills the head of a response; `revision` 0 leaves it out. */
void etcd_front_header(struct etcd_front *front, Etcdserverpb__ResponseHeader *header,
                       uint64_t revision);
/* The same with the revision of now. */
void etcd_front_header_now(struct etcd_front *front, Etcdserverpb__ResponseHeader *header);
/* The loop must turn again soon; and watches have something to read then. */
void etcd_front_busy(struct etcd_front *front);
void etcd_front_pump(struct etcd_front *front);
/* Frees the front when it is closing and nothing of it is open or under way. */
void etcd_front_maybe_free(struct etcd_front *front);

/* ---- connection.c: one connection's bytes, without I/O ---- */

enum etcd_protocol { ETCD_UNKNOWN, ETCD_HTTP2, ETCD_HTTP1 };

struct etcd_connection {
    struct etcd_front *front;
    enum etcd_protocol protocol;
    struct etcd_http2 *http2;
    struct etcd_http1 *http1;
    struct etcd_call *calls;
    unsigned call_count;
    uint8_t first[24]; /* bytes, before it is known what they are */
    size_t first_length;
    bool partial;              /* a request (HTTP/1) has begun and is not whole */
    bool leaving;              /* no new calls; closed when the present ones are done */
    char user[ETCD_TOKEN_MAX]; /* of the client's certificate; "": none */
    void (*wake)(struct etcd_connection *connection); /* there is something to send */
};

/* A zeroed one is made ready; and all of it is freed, its calls are gone. */
void etcd_connection_init(struct etcd_connection *connection, struct etcd_front *front);
void etcd_connection_clear(struct etcd_connection *connection);
/* Takes bytes. Not 0: it is to be closed, when what etcd_connection_output() gives is sent. */
int etcd_connection_input(struct etcd_connection *connection, const uint8_t *data, size_t length);
/* Appends up to about `bound` bytes to send. */
int etcd_connection_output(struct etcd_connection *connection, struct buffer *to, size_t bound);
/* Whether it can be closed: it is leaving, and nothing is left to answer. */
bool etcd_connection_done(const struct etcd_connection *connection);
/* No new calls; streams are ended. */
void etcd_connection_leave(struct etcd_connection *connection);
/* Asks for a sign of life. */
void etcd_connection_ping(struct etcd_connection *connection);
/* Ends calls whose client takes nothing, or wants a leader where there is none. */
void etcd_connection_check(struct etcd_connection *connection, uint64_t now);

/* ---- http2.c ---- */

/* The same for a connection that is known to be of this protocol. */
int etcd_http2_new(struct etcd_connection *connection);
void etcd_http2_free(struct etcd_http2 *http2);
int etcd_http2_input(struct etcd_connection *connection, const uint8_t *data, size_t length);
int etcd_http2_output(struct etcd_connection *connection, struct buffer *to, size_t bound);
bool etcd_http2_done(const struct etcd_connection *connection);
void etcd_http2_leave(struct etcd_connection *connection);
void etcd_http2_ping(struct etcd_connection *connection);

/* ---- http1.c ---- */

/* Likewise. */
int etcd_http1_new(struct etcd_connection *connection);
void etcd_http1_free(struct etcd_http1 *http1);
int etcd_http1_input(struct etcd_connection *connection, const uint8_t *data, size_t length);
int etcd_http1_output(struct etcd_connection *connection, struct buffer *to, size_t bound);
bool etcd_http1_done(const struct etcd_connection *connection);

/* ---- socket.c ---- */

struct etcd_socket {
    struct etcd_connection connection; /* the first member */
    struct etcd_socket *next, *prev, *next_dirty;
    uv_tcp_t tcp;
    struct tls_stream *tls; /* NULL: in the clear */
    struct buffer out;      /* what the connection made, before TLS */
    struct buffer wire;     /* being written */
    uv_write_t write;
    bool dirty, writing, ending, closed;
    /* ms of the loop; 0: not */
    uint64_t opened, heard, idle_since, write_since, pinged, partial_since;
};

/* A connection that came in on a listener. */
void etcd_socket_accept(struct etcd_listener *listener);
/* Sends what there is. */
void etcd_socket_flush(struct etcd_socket *socket);
/* Looks after its times. */
void etcd_socket_check(struct etcd_socket *socket, uint64_t now);
/* Ends it: at once, or (leave) when its calls are done. */
void etcd_socket_close(struct etcd_socket *socket);
void etcd_socket_leave(struct etcd_socket *socket);

/* ---- tls.c ---- */

/* Common name of the client's certificate, "" without one. */
void etcd_tls_user(struct tls_stream *tls, char *user, size_t size);

/* ---- watch.c ---- */

/* Tells watches that want to know how far they have seen. */
void etcd_watch_tell_progress(struct etcd_front *front);

/* ---- wire.c ---- */

/* Whether bytes are a message with sane nesting and number of parts, before they are unpacked. */
bool etcd_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                     size_t length);

#endif
