/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/base/tcp_socket.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define LOOK_MS 5000u
#define REFUSED_MS 60000u
#define BACKLOG 128

/* ---- TLS ---- */

/* Takes over the node's certificate when it is another one. */
static int follow_certificate(struct daemon *daemon)
{
    struct remote *remote = &daemon->remote;
    const X509 *now;
    SSL_CTX *context;
    int error;

    if (!daemon->cluster)
        return remote->context ? 0 : CULVERT_EBUSY;
    now = cluster_certificate(daemon->cluster);
    if (remote->context && !X509_cmp(now, remote->certificate))
        return 0;
    error = cluster_api_context(daemon->cluster, &context);
    if (error)
        return error;
    SSL_CTX_free(remote->context);
    X509_free(remote->certificate);
    remote->context = context;
    remote->certificate = SSL_CTX_get0_certificate(context);
    X509_up_ref(remote->certificate);
    if (remote->server)
        http_server_set_tls(remote->server, context);
    return 0;
}

static int open_server(struct daemon *daemon)
{
    struct http_server_options options = {
        .app = daemon, .gate = api_gate, .answered = api_answered};
    int error = follow_certificate(daemon);

    if (error || daemon->remote.server)
        return error;
    options.tls = daemon->remote.context;
    options.routes = api_routes(&options.route_count);
    return http_server_new(&daemon->remote.server, &daemon->loop, &options);
}

/* ---- addresses ---- */

static void set_problem(struct remote_address *at, const char *why)
{
    char text[UNITS_TEXT], problem[sizeof(at->problem)];

    units_write_endpoint(&at->endpoint, text);
    snprintf(problem, sizeof(problem), "API: %.63s: %.80s", text, why);
    if (strcmp(problem, at->problem) != 0)
        log_error("%s", problem);
    memcpy(at->problem, problem, sizeof(problem));
}

static void listen_on(struct daemon *daemon, struct remote_address *at)
{
    int error = open_server(daemon), fd;
    char text[UNITS_TEXT];

    at->elsewhere = false;
    if (error) {
        set_problem(at, culvert_strerror(error));
        return;
    }
    fd = tcp_socket_listen(&at->endpoint, BACKLOG);
    if (fd < 0 && errno == EADDRNOTAVAIL) {
        at->elsewhere = true;
        at->problem[0] = 0;
        return;
    }
    if (fd < 0) {
        set_problem(at, strerror(errno));
        return;
    }
    error = http_server_listen(daemon->remote.server, fd, &at->listener);
    if (error) {
        at->listener = NULL;
        close(fd);
        set_problem(at, culvert_strerror(error));
        return;
    }
    at->problem[0] = 0;
    units_write_endpoint(&at->endpoint, text);
    log_info("the API is at https://%s", text);
}

static void on_look(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct remote *remote = &daemon->remote;
    int error = remote->server ? follow_certificate(daemon) : 0;

    if (error)
        log_error("the API's certificate can't be renewed: %s", culvert_strerror(error));
    for (size_t i = 0; i < remote->count; i++)
        if (!remote->list[i].listener)
            listen_on(daemon, &remote->list[i]);
}

static struct remote_address *find(struct remote *remote, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < remote->count; i++) {
        const struct endpoint *one = &remote->list[i].endpoint;

        if (one->port == endpoint->port && address_equal(&one->address, &endpoint->address))
            return &remote->list[i];
    }
    return NULL;
}

void remote_follow(struct daemon *daemon)
{
    struct remote *remote = &daemon->remote;
    struct remote_address list[SITE_API_LISTEN_MAX] = {0}, *old;
    struct endpoint endpoints[SITE_API_LISTEN_MAX];
    size_t count = site_api_listen(daemon->engine, endpoints);

    for (size_t i = 0; i < count; i++) {
        old = find(remote, &endpoints[i]);
        list[i].endpoint = endpoints[i];
        if (!old)
            continue;
        list[i] = *old;
        old->listener = NULL;
    }
    /* What is left goes first: a new one may need its port. */
    for (size_t i = 0; i < remote->count; i++)
        if (remote->list[i].listener)
            http_listener_close(remote->list[i].listener);
    memcpy(remote->list, list, sizeof(list));
    remote->count = count;
    if (count)
        uv_timer_start(&remote->timer, on_look, 0, LOOK_MS);
    else
        uv_timer_stop(&remote->timer);
}

void remote_each(const struct daemon *daemon,
                 void (*each)(void *arg, const char *address, bool listens, const char *problem),
                 void *arg)
{
    const struct remote *remote = &daemon->remote;
    bool some = false, tried = true;
    char text[UNITS_TEXT];

    for (size_t i = 0; i < remote->count; i++) {
        some |= remote->list[i].listener || remote->list[i].problem[0];
        tried &= remote->list[i].elsewhere;
    }
    for (size_t i = 0; i < remote->count; i++) {
        const struct remote_address *at = &remote->list[i];
        const char *problem = at->problem[0] ? at->problem : NULL;

        if (!some && tried)
            problem = "API: no address of api.listen is one of this node";
        units_write_endpoint(&at->endpoint, text);
        each(arg, text, at->listener, problem);
        tried = false; /* it is said once */
    }
}

/* ---- refusals ---- */

static void write_refusals(struct daemon *daemon)
{
    struct refusals *refusals = &daemon->remote.refusals;
    struct refusal one;

    while (refusals_take(refusals, uv_now(&daemon->loop), &one)) {
        const char *user = *one.user ? one.user : "unknown", *from = *one.from ? one.from : "local";
        char outcome[sizeof(one.what) + 40];
        struct history_audit audit = {.time_ms = daemon_clock_ms(),
                                      .author = user,
                                      .comment = "",
                                      .caller = {.user = user, .role = one.role, .from = from},
                                      .what = "refused",
                                      .outcome = outcome};

        if (one.count > 1)
            snprintf(outcome, sizeof(outcome), "%llu times, the last: %s",
                     (unsigned long long)one.count, one.what);
        else
            snprintf(outcome, sizeof(outcome), "%s", one.what);
        log_warn("the API refused %s from %s: %s", user, from, outcome);
        if (daemon->history)
            history_note(daemon->history, &audit);
    }
}

static void on_refused(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    write_refusals(daemon);
    if (!refusals_wait(&daemon->remote.refusals))
        uv_timer_stop(timer);
}

void daemon_refused(struct daemon *daemon, const char *user, const char *role, const char *from,
                    const char *what)
{
    struct remote *remote = &daemon->remote;

    refusals_add(&remote->refusals, uv_now(&daemon->loop), user, role, from, what);
    write_refusals(daemon);
    if (!daemon->stopping && !uv_is_active((uv_handle_t *)&remote->refused))
        uv_timer_start(&remote->refused, on_refused, REFUSED_MS, REFUSED_MS);
}

/* ---- life ---- */

int remote_open(struct daemon *daemon)
{
    struct remote *remote = &daemon->remote;

    uv_timer_init(&daemon->loop, &remote->timer);
    uv_timer_init(&daemon->loop, &remote->refused);
    remote->timer.data = remote->refused.data = daemon;
    return 0;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void remote_close(struct daemon *daemon)
{
    struct remote *remote = &daemon->remote;
    bool closed = !remote->server;

    uv_close((uv_handle_t *)&remote->timer, NULL);
    uv_timer_stop(&remote->refused);
    remote->count = 0;
    if (remote->server)
        http_server_close(remote->server, on_closed, &closed);
    remote->server = NULL;
    while (!closed)
        uv_run(&daemon->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&remote->refused, NULL);
    SSL_CTX_free(remote->context);
    X509_free(remote->certificate);
}
