/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The etcd v3 front: gRPC over HTTP/2 and the JSON gateway over HTTP/1.1, on the same ports (the
 * first bytes tell), over TLS or in the clear, on the caller's libuv loop. It translates requests
 * into those of the key-value service (core/kv/service.h) and keeps nothing that must survive.
 *
 * docs/ETCD.md says what is offered and how it is bounded.
 */
#ifndef CULVERT_FRONTS_ETCD_FRONT_H
#define CULVERT_FRONTS_ETCD_FRONT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/core/kv/service.h"

struct etcd_front;

#define ETCD_LISTENERS_MAX 8u
#define ETCD_URLS_MAX 16u

/* What came of a change of the members. 0, CULVERT_ENOTFOUND: no such member, CULVERT_EEXIST,
 * CULVERT_EINVAL: bad addresses, CULVERT_ENOTLEADER, CULVERT_EUNKNOWN, CULVERT_ECONFLICT: not
 * now. */
typedef void (*etcd_member_done)(void *arg, int status, uint64_t id);

/* Changes of the members, which belong to somebody else. A hook returns 0 and calls `done` later,
 * or an error of the above at once. NULL: not offered. */
struct etcd_member_hooks {
    void *arg;
    int (*add)(void *arg, const char *const *urls, size_t count, bool learner,
               etcd_member_done done, void *done_arg);
    int (*remove)(void *arg, uint64_t id, etcd_member_done done, void *done_arg);
    int (*update)(void *arg, uint64_t id, const char *const *urls, size_t count,
                  etcd_member_done done, void *done_arg);
    int (*promote)(void *arg, uint64_t id, etcd_member_done done, void *done_arg);
};

/* Zero is the default of each. */
struct etcd_options {
    unsigned connections_max; /* 1024; more are closed at once */
    unsigned calls_max;       /* 32768 under way over all, streams included */
    unsigned waiters_max;     /* 8192 of them for a lock or an election, or what one proclaims */
    unsigned streams_max;     /* 1024 of a connection */
    size_t message_max;       /* 2 MiB of a request, in any form */
    size_t held_max;          /* 256 MiB of unfinished requests and answers not yet taken */
    unsigned first_s;         /* 10: for the first bytes, TLS included */
    unsigned idle_s;          /* 600: a connection without a call */
    unsigned ping_s;          /* 60: of silence under a call, until it is asked for a sign */
    unsigned slow_s;          /* 20: for that sign, and for taking what was sent */
    unsigned progress_s;      /* 600: between a watch's notes of progress */
    struct etcd_member_hooks members;
};

/* The service outlives the front. CULVERT_ENOMEM, CULVERT_ESYSTEM. */
int etcd_front_new(struct etcd_front **out, uv_loop_t *loop, struct kv_service *service,
                   const struct etcd_options *options);

/* Answers on a listening, non-blocking TCP socket, which is the front's from then on. `tls` (see
 * etcd_tls_context(); not taken over, NULL: in the clear) outlives the front. On CULVERT_ESYSTEM
 * the socket is the caller's still. CULVERT_EFULL: there are ETCD_LISTENERS_MAX. */
int etcd_front_listen(struct etcd_front *front, int fd, SSL_CTX *tls);

/* Connections over TLS have this context from now on; those that are there keep theirs. Not taken
 * over; the one before it may be freed. */
void etcd_front_renew_tls(struct etcd_front *front, SSL_CTX *tls);

/* Stops listening, tells clients to go, ends streams, lets unary calls finish for 5 s at most,
 * frees the front and calls `closed`. Requests that the service still has are waited for. */
void etcd_front_close(struct etcd_front *front, void (*closed)(void *arg), void *arg);

/* A TLS context of the files (PEM). With `ca` clients must have a certificate of it; the common
 * name of which is then their user. CULVERT_EIO: a file can't be read or doesn't fit, with one
 * line for the operator in `problem`; CULVERT_ENOMEM. Freed by SSL_CTX_free(). */
int etcd_tls_context(SSL_CTX **out, const char *certificate, const char *key, const char *ca,
                     char *problem, size_t size);

#endif
