/* SPDX-License-Identifier: Apache-2.0 */
/* The API for other machines: the site's `api.listen`, as far as its addresses are this node's. */
#ifndef CULVERT_DAEMON_REMOTE_H
#define CULVERT_DAEMON_REMOTE_H

#include <openssl/ssl.h>
#include <uv.h>

#include "controlplane/daemon/refusals.h"
#include "controlplane/fronts/http/server.h"
#include "controlplane/site/site.h"

struct remote_address {
    struct endpoint endpoint;
    struct http_listener *listener; /* NULL: it doesn't listen */
    bool elsewhere;                 /* the address is no one of this machine */
    char problem[160];              /* why it doesn't; "" */
};

struct remote {
    struct http_server *server; /* NULL: there was nothing to listen on yet */
    SSL_CTX *context;
    X509 *certificate; /* of the context */
    struct remote_address list[SITE_API_LISTEN_MAX];
    size_t count;
    uv_timer_t timer;   /* another try to listen, a look at the certificate */
    uv_timer_t refused; /* lines about refusals that wait */
    struct refusals refusals;
};

struct daemon;

/* Stages of the start (start.c). */
int remote_open(struct daemon *daemon);
void remote_close(struct daemon *daemon);
/* The committed site may be another one. */
void remote_follow(struct daemon *daemon);
/* Calls `each` for every address; `problem` NULL: it listens, or is another node's. */
void remote_each(const struct daemon *daemon,
                 void (*each)(void *arg, const char *address, bool listens, const char *problem),
                 void *arg);
/* A request was refused: notes that, within bounds. `user` "": nobody that is known. `from` "": a
 * Unix socket. */
void daemon_refused(struct daemon *daemon, const char *user, const char *role, const char *from,
                    const char *what);

#endif
