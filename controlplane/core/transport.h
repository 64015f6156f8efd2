/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network part of the environment on libuv and OpenSSL: one connection per pair of nodes, which
 * carries the messages of all Raft groups. TLS 1.3, both sides with a certificate of the site (URI
 * culvert://SITE/NODE). Nodes that join have none yet and use another ALPN name on the same port.
 *
 * Either node dials, the one with the higher id a little later. Of two connections the one that
 * the lower id dialed stays, unless the other is of a newer start of the peer. Messages of a loop's
 * turn leave together. Those that `bulk` picks travel in pieces and let others pass.
 *
 * Everything is bounded: what waits per peer, connections without a known node behind them, every
 * frame, the time of a handshake, of silence, of a peer that doesn't read. On the caller's loop;
 * single-threaded.
 */
#ifndef CULVERT_CORE_TRANSPORT_H
#define CULVERT_CORE_TRANSPORT_H

#include <uv.h>

#include "controlplane/base/env_uv.h"
#include "controlplane/base/units.h"
#include "controlplane/identity/identity.h"
#include "controlplane/identity/join.h"

struct transport;

#define TRANSPORT_VERSION_MIN 1u /* of the protocol, that this software can */
#define TRANSPORT_VERSION_MAX 2u
#define TRANSPORT_PEERS_MAX 64
#define TRANSPORT_REPORT_MAX 1024u /* bytes */

/* Why a connection ended: the counter, the metric's label and the log's text. */
#define TRANSPORT_REASONS(X)                                                                       \
    X(NONE, "none", "still open")                                                                  \
    X(ENDED, "ended", "the other side closed the connection")                                      \
    X(NETWORK, "network", "the network failed")                                                    \
    X(TLS, "tls", "TLS failed")                                                                    \
    X(CERTIFICATE, "certificate", "the certificate is not accepted")                               \
    X(SITE, "site", "it is of another site")                                                       \
    X(NODE, "node", "it is not the node that it should be")                                        \
    X(STRANGER, "stranger", "it is not a member of the site")                                      \
    X(VERSION, "version", "no protocol version in common")                                         \
    X(PROTOCOL, "protocol", "it broke the protocol")                                               \
    X(HANDSHAKE, "handshake", "no handshake within its time")                                      \
    X(CROWD, "crowd", "too many connections without a known node behind them")                     \
    X(SILENT, "silent", "nothing was heard for too long")                                          \
    X(STALLED, "stalled", "it reads too slowly, or not at all")                                    \
    X(DUPLICATE, "duplicate", "another connection to the same node stays")                         \
    X(REFUSED, "refused", "the other side refused")                                                \
    X(REMOVED, "removed", "the node is no longer a member")                                        \
    X(JOINED, "joined", "a request to join was answered")                                          \
    X(MEMORY, "memory", "out of memory")                                                           \
    X(CLOSED, "closed", "this node closes")

enum transport_reason {
#define X(name, label, text) TRANSPORT_##name,
    TRANSPORT_REASONS(X)
#undef X
        TRANSPORT_REASON_COUNT
};
/* The metric's label, and the text for people. */
const char *transport_reason_label(enum transport_reason reason);
const char *transport_reason_text(enum transport_reason reason);

/* Names a request to join until it is answered or its connection is gone. Never 0. */
typedef uint64_t transport_call;

/* Zero is the default of each that has one. */
struct transport_options {
    struct identity *identity; /* outlives the transport, or the next transport_identity() */
    const char *software;      /* this program's version, for the other side; default "" */
    uint16_t version_min, version_max; /* TRANSPORT_VERSION_MIN, _MAX */
    size_t queue;            /* 4 MiB: bytes that may wait for a peer, bulk and other apart */
    unsigned ping_ms;        /* 1000 */
    unsigned silent_ms;      /* 5000 without a byte from a peer, or without one taken by it */
    unsigned handshake_ms;   /* 5000, of dialing and of TLS and hello */
    unsigned backoff_min_ms; /* 50 */
    unsigned backoff_max_ms; /* 2000 */
    unsigned defer_ms;       /* 300: how much later the higher id dials */
    unsigned unknown_max;    /* 64 connections without a known node; the oldest gives way */
    /* True for a message that others may overtake: a snapshot's chunk. By its first part. Without
     * it all messages keep their order. */
    bool (*bulk)(const void *bytes, size_t length);
    /* A node asks to join; NULL: none may. The request is valid during the call. To be answered
     * by transport_grant() or transport_deny(), then or later. */
    void (*join)(void *arg, transport_call call, const struct join_request *request);
    void *join_arg;
    /* Writes what this node tells the others of itself with every ping, at most
     * TRANSPORT_REPORT_MAX bytes; NULL: nothing. */
    void (*report)(void *arg, struct buffer *out);
    void *report_arg;
};

struct transport_stats {
    uint64_t accepted, dialed, established;
    uint64_t ended[TRANSPORT_REASON_COUNT];
    uint64_t messages_sent, messages_received;
    uint64_t bytes_sent, bytes_received; /* of TCP */
    uint64_t full;                       /* sends refused at the bound */
    uint64_t writes;                     /* system calls that sent something */
    unsigned connections, unknown;       /* now */
};

struct transport_peer {
    uint64_t node;
    const char *address;
    bool connected;
    const char *software;  /* "" until it was connected once */
    uint16_t version;      /* of the protocol, 0 likewise */
    uint64_t rtt_us;       /* of the last ping, 0: none yet */
    const uint8_t *report; /* its last one; NULL: none over the connection that is up */
    size_t report_length;
    int64_t clock_ms;           /* with a report: that its clock is ahead of this one */
    size_t queued;              /* bytes */
    enum transport_reason last; /* why the last connection or attempt ended */
    const char *detail;         /* more of that, or "" */
    /* With TRANSPORT_REFUSED: the other side's reason, as of its software. */
    enum transport_reason refused;
};

/* Makes a transport that listens nowhere and knows no peer. CULVERT_ENOMEM. */
int transport_new(struct transport **out, uv_loop_t *loop, const struct transport_options *options);
/* Closes all; the memory is freed as the loop goes on, then `closed` (or NULL) is called. No event
 * comes any more. */
void transport_close(struct transport *transport, void (*closed)(void *arg), void *arg);

/* Listens there (port 0: one that the kernel chooses), and no longer where it did before.
 * CULVERT_EACCES, CULVERT_EBUSY: the port is taken; CULVERT_ESYSTEM; CULVERT_ENOMEM. */
int transport_listen(struct transport *transport, const struct endpoint *endpoint);
uint16_t transport_port(const struct transport *transport); /* 0: not listening */

/* Adds a node, or changes its address, which doesn't touch a connection that is up. CULVERT_EFULL:
 * TRANSPORT_PEERS_MAX; CULVERT_EINVAL: this node itself; CULVERT_ENOMEM. */
int transport_peer_set(struct transport *transport, uint64_t node, const struct endpoint *endpoint);
/* Closes its connection, without an event, and takes no other from it. CULVERT_ENOTFOUND. */
int transport_peer_remove(struct transport *transport, uint64_t node);
void transport_peers(struct transport *transport,
                     void (*each)(void *arg, const struct transport_peer *peer), void *arg);

/* From now on connections are made with this identity, of the same node; those that are up stay.
 * CULVERT_ENOMEM: nothing has changed. */
int transport_identity(struct transport *transport, struct identity *identity);

/* Makes all connections that are up anew, with the identity as it is now: who dialed one dials
 * another, which takes its place. One that nobody replaces is closed after ten pings: after a CA
 * has left, whoever has only a certificate of that one is out. */
void transport_renew(struct transport *transport);

/* Answers a request to join: signs a certificate for the node id that it was given, and tells the
 * members. CULVERT_ENOTFOUND: the connection is gone, the node will ask again with the same key;
 * CULVERT_ECORRUPT: the CA can't be used; CULVERT_ENOMEM. */
int transport_grant(struct transport *transport, transport_call call, uint64_t node,
                    const struct join_member *members, size_t count);
/* `status` is of the error table. */
int transport_deny(struct transport *transport, transport_call call, int status);

/* Copies the counts since the transport was made. */
void transport_stats(const struct transport *transport, struct transport_stats *out);
/* What env_uv_open() takes; lives as long as the transport. */
struct env_net *transport_net(struct transport *transport);

#endif
