/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that talk over the loopback address, each with a loop of its own, so that one can stand
 * still while others go on.
 */
#ifndef TESTS_CONTROLPLANE_CORE_TRANSPORT_RIG_H
#define TESTS_CONTROLPLANE_CORE_TRANSPORT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/core/transport.h"

#define RIG_NODES 8

struct rig_node {
    uv_loop_t loop;
    struct transport *transport; /* NULL: not running */
    struct identity *identity;
    struct transport_options options; /* of the next start */
    struct endpoint endpoint;
    bool frozen;
    bool closed;

    unsigned ups, downs, writable;
    uint64_t connected; /* bits by node id */
    size_t messages, bytes;
    void (*on_message)(struct rig_node *node, uint64_t from, const uint8_t *bytes, size_t length);
    void *arg;
};

struct rig {
    struct rig_node node[RIG_NODES]; /* by id; [0] is none */
    struct identity *site;           /* of node 1, which founded it */
};

int64_t rig_now(void); /* seconds since 1970 */
/* Node `id` of the site; its options are short-tempered: 20 ms pings, 50 ms back-off at most. */
void rig_open(struct rig *rig, unsigned nodes);
void rig_close(struct rig *rig);
/* An identity of the site, the caller's. */
struct identity *rig_identity(const struct identity *site, uint64_t node);

/* Starts a node, listening, with those of the rig that run as peers; they get to know it. */
void rig_start(struct rig *rig, unsigned id);
void rig_start_alone(struct rig *rig, unsigned id);
void rig_stop(struct rig *rig, unsigned id);
void rig_introduce(struct rig *rig, unsigned a, unsigned b);

/* Lets all loops run once, waiting a moment when there is nothing to do. `fd` (or -1) with `events`
 * ends the waiting, too. */
void rig_step(struct rig *rig, int fd, short events);
/* Lets them run until the condition holds; the test fails after a while. */
#define rig_until(rig, condition)                                                                  \
    do {                                                                                           \
        uint64_t rig_end = uv_hrtime() + 20000000000ull;                                           \
        while (!(condition)) {                                                                     \
            if (uv_hrtime() > rig_end)                                                             \
                fail_msg("waited in vain for: %s", #condition);                                    \
            rig_step(rig, -1, 0);                                                                  \
        }                                                                                          \
    } while (0)

bool rig_connected(const struct rig *rig, unsigned a, unsigned b); /* both think so */
/* All of the first nodes are, by one connection a pair: what they dialed at once is settled. */
bool rig_settled(const struct rig *rig, unsigned nodes);
/* Starts the first nodes and lets them settle. Each has then seen the others come up once: what was
 * dialed twice is forgotten. */
void rig_meet(struct rig *rig, unsigned nodes);
int rig_send(struct rig *rig, unsigned from, unsigned to, const void *data, size_t length);
struct transport_stats rig_stats(const struct rig *rig, unsigned id);
uint64_t rig_ended(const struct rig *rig, unsigned id, enum transport_reason reason);

/* A plain TCP connection to a node, non-blocking. */
int rig_dial(struct rig *rig, unsigned id);
/* TLS over such a descriptor, as the identity (NULL: without a certificate), handshake done. */
struct rig_tls {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
};
void rig_tls_open(struct rig *rig, struct rig_tls *tls, unsigned id,
                  const struct identity *identity, const char *alpn);
void rig_tls_send(struct rig *rig, struct rig_tls *tls, const void *data, size_t length);
void rig_tls_close(struct rig_tls *tls);

#endif
