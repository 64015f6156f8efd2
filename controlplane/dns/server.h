/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over sockets: TCP, and UDP for what the fast path leaves to the kernel. Answers come from
 * the region's compiled entries, by the fast path's own code.
 *
 * Runs on the caller's libuv loop; single-threaded. Everything is bounded: connections in all and
 * per source address, bytes buffered per connection, and the time a connection may be idle or
 * slow. Addresses need not be assigned yet (IP_FREEBIND).
 */
#ifndef CULVERT_DNS_SERVER_H
#define CULVERT_DNS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/base/error.h"

struct dns_server;

struct dns_server_options {
    const void *region;          /* tables_base() of culvertd's copy; outlives the server */
    unsigned connections;        /* in all; 0: default 1024 */
    unsigned connections_source; /* per source address; 0: default 64 */
    unsigned idle_ms;            /* without a whole query, or without draining; 0: default 10 s */
};

/* One address to listen on, UDP and TCP. */
struct dns_listen {
    uint8_t address[16]; /* network order, IPv4 as ::ffff:a.b.c.d */
    uint16_t port;       /* host order; 0: one that the kernel chooses, the same for both */
};

/* What became of one (address, protocol). Strings are valid until the next set or close. */
struct dns_listener_state {
    const char *address;  /* text */
    uint16_t port;        /* the real one */
    const char *protocol; /* "tcp", "udp" */
    bool listening;
    const char *error; /* why it isn't, or NULL */
};

struct dns_server_stats {
    uint64_t tcp_queries, udp_queries, answers;
    uint64_t accepted, refused_total, refused_source; /* connections; refused at a bound */
    uint64_t refused_memory;                          /* for want of it */
    uint64_t closed_idle, closed_slow, closed_protocol;
    unsigned connections; /* now */
};

/* Makes a server that listens nowhere. CULVERT_ENOMEM. `options` is copied. */
int dns_server_new(struct dns_server **out, uv_loop_t *loop,
                   const struct dns_server_options *options);

/* Listens on these addresses and on no others; those that stay are not touched, so is a connection
 * whose listener goes. One that fails doesn't stop the rest: returns CULVERT_ESYSTEM when any did
 * (dns_server_listeners has the text), CULVERT_ENOMEM, or 0. To try again, call it again. */
int dns_server_set_listen(struct dns_server *server, const struct dns_listen *list, size_t count);

/* Calls `each` for every listener, in the order of the list, tcp before udp. */
void dns_server_listeners(struct dns_server *server,
                          void (*each)(void *arg, const struct dns_listener_state *state),
                          void *arg);

/* Copies the counts since the server was made. */
void dns_server_stats(const struct dns_server *server, struct dns_server_stats *stats);

/* Closes every socket; frees the server when the loop has closed them all and then calls `closed`
 * (or NULL). */
void dns_server_close(struct dns_server *server, void (*closed)(void *arg), void *arg);

#endif
