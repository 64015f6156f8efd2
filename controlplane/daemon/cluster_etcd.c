/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd front on its addresses. */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/base/tcp_socket.h"
#include "controlplane/daemon/cluster_internal.h"

#define LISTEN_TICKS (5u * 1000 / CLUSTER_TICK_MS)
#define BACKLOG 256

/* ---- addresses ---- */

static int add_address(struct cluster *cluster, const char *text, bool tls)
{
    struct etcd_address *to = &cluster->etcds[cluster->etcd_count];

    if (!strcmp(text, "none"))
        return 0;
    if (units_parse_endpoint(text, &to->endpoint)) {
        log_error("--etcd%s takes an address and port such as 10.0.0.2:2379, or none, not `%s`",
                  tls ? "-tls" : "", text);
        return CULVERT_EINVAL;
    }
    to->tls = tls;
    cluster->etcd_count++;
    return 0;
}

static int parse(struct cluster *cluster)
{
    const struct cluster_addresses *addresses = cluster->options.addresses;
    int error = 0;

    if (!addresses->etcd_count && !addresses->etcd_tls_count)
        return add_address(cluster, CLUSTER_ETCD, false);
    for (unsigned i = 0; i < addresses->etcd_count && !error; i++)
        error = add_address(cluster, addresses->etcd[i], false);
    for (unsigned i = 0; i < addresses->etcd_tls_count && !error; i++)
        error = add_address(cluster, addresses->etcd_tls[i], true);
    return error;
}

/* ---- certificates ---- */

/* What tells that one of the files is another one than before. */
static uint64_t files_mark(const struct cluster_addresses *addresses)
{
    const char *const paths[] = {addresses->etcd_certificate, addresses->etcd_key,
                                 addresses->etcd_ca};
    uint64_t mark = 0;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct stat stat_of = {0};
        uint64_t parts[4] = {0};

        if (paths[i] && !stat(paths[i], &stat_of)) {
            parts[0] = stat_of.st_ino;
            parts[1] = (uint64_t)stat_of.st_size;
            parts[2] = (uint64_t)stat_of.st_mtim.tv_sec;
            parts[3] = (uint64_t)stat_of.st_mtim.tv_nsec;
        }
        for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
            mark = (mark ^ parts[k]) * 0x100000001b3u; /* FNV-1a's prime */
    }
    return mark;
}

static int load_tls(struct cluster *cluster, SSL_CTX **tls, char *problem, size_t size)
{
    const struct cluster_addresses *addresses = cluster->options.addresses;
    int error;

    cluster->etcd_files = files_mark(addresses); /* before they are read: a later change shows */
    error = etcd_tls_context(tls, addresses->etcd_certificate, addresses->etcd_key,
                             addresses->etcd_ca, problem, size);
    if (error && !problem[0])
        snprintf(problem, size, "%s", culvert_strerror(error));
    return error;
}

static int open_tls(struct cluster *cluster)
{
    const struct cluster_addresses *addresses = cluster->options.addresses;
    char problem[256] = "";
    int error;

    if (!addresses->etcd_tls_count)
        return 0;
    if (!addresses->etcd_certificate || !addresses->etcd_key) {
        log_error("--etcd-tls needs --etcd-cert FILE and --etcd-key FILE");
        return CULVERT_EINVAL;
    }
    error = load_tls(cluster, &cluster->etcd_tls, problem, sizeof(problem));
    if (error)
        log_error("etcd: %s", problem);
    return error;
}

/* Files that were renewed are for the connections from now on. While they don't fit together, as
 * when only one of them is there, what was read before stays. */
static void renew_tls(struct cluster *cluster)
{
    SSL_CTX *tls = NULL;
    char problem[256] = "";

    if (!cluster->etcd_tls || cluster->etcd_files == files_mark(cluster->options.addresses))
        return;
    if (load_tls(cluster, &tls, problem, sizeof(problem))) {
        log_error("etcd: %s; the certificate of before stays", problem);
        return;
    }
    etcd_front_renew_tls(cluster->etcd, tls);
    SSL_CTX_free(cluster->etcd_tls);
    cluster->etcd_tls = tls;
    log_info("etcd: the certificate was read anew");
}

/* ---- its address ---- */

void cluster_etcd_address(const struct cluster *cluster, char text[UNITS_TEXT])
{
    struct endpoint endpoint, own;

    text[0] = 0;
    if (!cluster->etcd_count)
        return;
    endpoint = cluster->etcds[0].endpoint;
    units_write_endpoint(&endpoint, text);
    /* All addresses: the one that other nodes use will do. */
    if ((!strncmp(text, "0.0.0.0:", 8) || !strncmp(text, "[::]:", 5)) &&
        !units_parse_endpoint(cluster->address, &own)) {
        own.port = endpoint.port;
        units_write_endpoint(&own, text);
    }
}

/* ---- listening ---- */

static void listen_on(struct cluster *cluster, struct etcd_address *at)
{
    char text[UNITS_TEXT], problem[sizeof(at->problem)];
    int fd = tcp_socket_listen(&at->endpoint, BACKLOG);

    units_write_endpoint(&at->endpoint, text);
    if (fd >= 0 && !etcd_front_listen(cluster->etcd, fd, at->tls ? cluster->etcd_tls : NULL)) {
        at->up = true;
        log_info("etcd clients at %s%s", text, at->tls ? ", over TLS" : "");
        return;
    }
    snprintf(problem, sizeof(problem), "no etcd client can reach %s: %s", text, strerror(errno));
    if (strcmp(problem, at->problem) != 0)
        log_error("%s", problem);
    memcpy(at->problem, problem, sizeof(problem));
    if (fd >= 0)
        close(fd);
}

void cluster_etcd_tick(struct cluster *cluster)
{
    if (cluster->ticks % LISTEN_TICKS || !cluster->etcd || cluster->waits)
        return;
    renew_tls(cluster);
    for (unsigned i = 0; i < cluster->etcd_count; i++)
        if (!cluster->etcds[i].up)
            listen_on(cluster, &cluster->etcds[i]);
}

/* ---- changes of the members ---- */

struct member_call {
    etcd_member_done done;
    void *arg;
    uint64_t id;
};

static void on_member(void *arg, int status, const char *text)
{
    struct member_call *call = arg;

    (void)text;
    call->done(call->arg, status == CULVERT_ETIMEOUT ? 0 : status, call->id);
    free(call);
}

static int change(struct cluster *cluster, uint64_t id, enum cluster_change change,
                  etcd_member_done done, void *arg)
{
    struct member_call *call = malloc(sizeof(*call));
    int error;

    if (!call)
        return CULVERT_ENOMEM;
    *call = (struct member_call){.done = done, .arg = arg, .id = id};
    error = cluster_node_change(cluster, id, change, on_member, call);
    if (error)
        free(call);
    return error;
}

static int hook_remove(void *arg, uint64_t id, etcd_member_done done, void *done_arg)
{
    return change(arg, id, CLUSTER_REMOVE, done, done_arg);
}

static int hook_promote(void *arg, uint64_t id, etcd_member_done done, void *done_arg)
{
    return change(arg, id, CLUSTER_PROMOTE, done, done_arg);
}

/* ---- life ---- */

int cluster_etcd_open(struct cluster *cluster)
{
    /* A node is added by its token, not by its address. */
    struct etcd_options options = {
        .members = {.arg = cluster, .remove = hook_remove, .promote = hook_promote}};
    int error = parse(cluster);

    if (!error)
        error = open_tls(cluster);
    if (error || !cluster->etcd_count)
        return error;
    error = etcd_front_new(&cluster->etcd, cluster->options.loop, cluster->service, &options);
    if (error)
        log_error("the etcd front: %s", culvert_strerror(error));
    return error;
}

static void on_closed(void *arg)
{
    struct cluster *cluster = arg;

    cluster->closing--;
}

void cluster_etcd_close(struct cluster *cluster)
{
    if (cluster->etcd) {
        cluster->closing++;
        etcd_front_close(cluster->etcd, on_closed, cluster);
    }
    cluster->etcd = NULL;
    while (cluster->closing)
        uv_run(cluster->options.loop, UV_RUN_ONCE);
    SSL_CTX_free(cluster->etcd_tls);
    cluster->etcd_tls = NULL;
}
