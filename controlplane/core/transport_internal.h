/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the transport share. */
#ifndef CULVERT_CORE_TRANSPORT_INTERNAL_H
#define CULVERT_CORE_TRANSPORT_INTERNAL_H

#include "controlplane/base/accept_spare.h"
#include "controlplane/core/transport.h"
#include "controlplane/core/transport_wire.h"

#define TRANSPORT_ALPN "culvert-peer/1"
#define TRANSPORT_CIPHER_MAX ((size_t)256 << 10) /* bytes encrypted and not yet written */
#define TRANSPORT_TURN_MAX ((size_t)2 << 20)     /* bytes a connection sends in a loop's turn */
#define TRANSPORT_READ_MAX ((size_t)256 << 10)   /* bytes of one read */
#define TRANSPORT_KEEP ((size_t)64 << 10)        /* bytes of memory that an empty buffer keeps */
#define TRANSPORT_SMALL 4096u                    /* bytes of a message that may use the reserve */
#define TRANSPORT_RESERVE ((size_t)256 << 10)    /* bytes beyond the bound */
#define TRANSPORT_LINGER_MS 1000u
#define TRANSPORT_JOIN_MS 15000u /* for the store to decide */
#define TRANSPORT_DETAIL 160
#define TRANSPORT_CLOCK_REPORTS 8u   /* that a clock is judged by */
#define TRANSPORT_OUTDATED_PINGS 10u /* that an outdated connection stays for another to come */

/* Bytes that wait, from `head` on. */
struct lane {
    struct buffer bytes;
    size_t head;
    bool full; /* a message was refused; `writable` is due */
};

enum stage {
    STAGE_DIALING,
    STAGE_TLS,
    STAGE_HELLO, /* ours is sent, theirs is awaited */
    STAGE_READY, /* our ready is sent, theirs is awaited */
    STAGE_UP,
    STAGE_ASKING,  /* a node that joins: its request is awaited */
    STAGE_ASKED,   /* the answer to it is awaited */
    STAGE_LEAVING, /* the last word is said; the other side is to close */
};

struct connection {
    struct connection *next, **link;
    struct transport *transport;
    struct peer *peer; /* that it was dialed for, or that it is `up` for */
    uv_tcp_t tcp;
    uv_timer_t timer; /* of the handshake, then of pings */
    uv_connect_t connecting;
    uv_write_t writing;
    unsigned handles;
    enum stage stage;
    bool inbound, closing, dirty, is_writing;
    bool unknown; /* counted as one */
    bool ping_due, pong_due;
    uint64_t pong_time;
    unsigned silent, stalled; /* pings without a byte from it, taken by it */
    unsigned generation;      /* of the transport, when it was made */
    unsigned outdated;        /* pings since that is an earlier one */
    size_t waiting;           /* of `writing` at the last ping */
    transport_call call;
    EVP_PKEY *joining; /* the key of who asks to join */
    uint16_t version;
    char where[UNITS_TEXT];
    struct node_name name; /* of the certificate */

    SSL *ssl;
    BIO *from_net, *to_net; /* the SSL's */
    uint64_t records;       /* since the last change of keys */
    struct buffer cipher;   /* of `writing` */
    struct buffer input;    /* decrypted, not a whole frame yet */
    struct wire_reader reader;
    struct lane urgent, bulk;
    size_t piece_left; /* bytes of the bulk message that is being sent */
};

struct peer {
    struct peer *next;
    struct transport *transport;
    uint64_t node;
    struct endpoint endpoint;
    char address[UNITS_TEXT];
    struct connection *up, *dialing;
    uv_timer_t timer; /* of the next dialing */
    unsigned backoff_ms;
    bool removed;
    char software[WIRE_SOFTWARE_MAX];
    uint16_t version;
    uint64_t rtt_us;
    uint8_t report[WIRE_REPORT_MAX];
    size_t report_length;
    bool reported;
    int64_t clock_ms;   /* that it is ahead: the most of late, which came with the least delay */
    unsigned clock_age; /* reports since */
    enum transport_reason last, refused;
    char detail[TRANSPORT_DETAIL]; /* of `last` */
};

/* How often a reason was logged lately. */
struct transport_quota {
    uint64_t since;
    unsigned count, left_out;
};

struct listener {
    uv_tcp_t tcp;
    struct accept_spare spare;
    unsigned handles;
    struct transport *transport;
};

struct transport {
    struct env_net net; /* first */
    uv_loop_t *loop;
    struct transport_options options;
    struct wire_hello hello;
    struct env_events events;
    SSL_CTX *context;
    unsigned generation; /* of connections: those of an earlier one are to be made anew */
    struct listener *listener;
    uint16_t port;
    struct peer *peers;
    unsigned peer_count;
    struct connection *connections; /* newest first */
    struct transport_stats stats;
    struct transport_quota quota[TRANSPORT_REASON_COUNT];
    uv_idle_t idle; /* runs while a connection is dirty */
    transport_call last_call;
    size_t objects; /* with open handles */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    char from_net[TRANSPORT_READ_MAX];
};

/* transport.c: an object's handles are closed; the last one of a closing transport frees it. */
void transport_object_freed(struct transport *transport);
struct peer *transport_peer_find(struct transport *transport, uint64_t node);
uint64_t transport_random(uint64_t below);
uint64_t transport_clock(void); /* ms since 1970 */

/* transport_peer.c */
void peer_schedule(struct peer *peer, bool failed); /* dials when there is no connection */
void peer_dial(struct peer *peer);                  /* now, also beside a connection that is up */
/* Why there is no connection. `detail` may be NULL. */
void peer_note(struct peer *peer, enum transport_reason reason, const char *detail);
void peer_close(struct peer *peer); /* frees it when its handle is closed */

/* transport_connection.c */
struct connection *connection_new(struct transport *transport);
int connection_dial(struct connection *connection, const struct endpoint *to);
void connection_accept(struct listener *listener);
/* Ends it at once. `detail` (or NULL) goes into the log. */
void connection_close(struct connection *connection, enum transport_reason reason,
                      const char *detail);
/* Says why to the other side, then ends. */
void connection_refuse(struct connection *connection, enum transport_reason reason,
                       const char *detail);
void connection_leave(struct connection *connection); /* when what was said is read */
void connection_tls_failed(struct connection *connection);
/* The TLS handshake goes on, or what came is decrypted and handled. */
void connection_advance(struct connection *connection);

/* transport_session.c */
void session_secure(struct connection *connection); /* the handshake is done */
/* Handles the decrypted bytes in `input`. */
void session_read(struct connection *connection);
void session_ping(struct connection *connection);
/* Whether a new connection to a node is better than the one that is up; both ends agree. */
bool session_is_preferred(const struct connection *new, const struct connection *old);

/* transport_write.c */
void lane_consume(struct lane *lane, size_t length);
static inline size_t lane_length(const struct lane *lane)
{
    return lane->bytes.length - lane->head;
}
int transport_send(struct env_net *net, uint64_t node, const struct iovec *parts, unsigned count);
/* The connection has something to send: it will at the end of the loop's turn. */
void connection_dirty(struct connection *connection);
void connection_flush(struct connection *connection);
/* Frees what a quiet connection's buffers keep; with each ping, so not under load. */
void connection_trim(struct connection *connection);
void transport_flush(uv_idle_t *idle);

/* transport_join.c */
void join_read(struct connection *connection);

/* transport_log.c: one line about how a connection ended, unless there were many like it. */
void transport_note(struct transport *transport, const struct connection *connection,
                    enum transport_reason reason, const char *detail);

#endif
