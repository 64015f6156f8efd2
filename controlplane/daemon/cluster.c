/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/cluster.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define HISTORY_MS (600u * 1000) /* that the store keeps versions of keys */
#define NS_PER_MS 1000000u

struct env *cluster_env(const struct cluster *cluster)
{
    return env_uv_env(cluster->uv);
}

struct kv_service *cluster_service(const struct cluster *cluster)
{
    return cluster->service;
}

struct history *cluster_history(const struct cluster *cluster)
{
    return cluster->history;
}

const char *cluster_path(struct cluster *cluster, const char *name)
{
    free(cluster->path);
    if (asprintf(&cluster->path, "%s/%s", cluster->options.state_dir, name) < 0)
        cluster->path = NULL;
    return cluster->path;
}

/* ---- the core ---- */

static int open_env(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "log");
    int error = path ? env_uv_open(&cluster->uv, cluster->options.loop, path,
                                   transport_net(cluster->transport))
                     : CULVERT_ENOMEM;

    if (error)
        log_error("%s: %s", path ? path : "log", culvert_strerror(error));
    return error;
}

static int open_store(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "db");
    struct kv_engine *engine;
    int error = path ? kv_rocksdb_open(&engine, path, NULL) : CULVERT_ENOMEM;

    if (!error)
        error = kv_store_open(&cluster->store, engine, cluster_env(cluster));
    if (error == CULVERT_ENOSPC || error == CULVERT_ENOMEM)
        log_error("%s: %s", path ? path : "db", culvert_strerror(error));
    else if (error)
        log_error("%s can't be opened: %s; restore %s from a backup, or set all aside by "
                  "`culvert node rebuild` and join the other nodes again",
                  path ? path : "db", culvert_strerror(error), cluster->options.state_dir);
    return error;
}

static void on_failed(void *arg, int error, const char *problem)
{
    struct cluster *cluster = arg;

    cluster->failed = true;
    cluster->options.failed(cluster->options.arg, error, problem);
}

static int open_node(struct cluster *cluster)
{
    struct node_options options = {.id = cluster->node_id,
                                   .address = cluster->member,
                                   .wal = {.segment = CLUSTER_SEGMENT},
                                   .failed = on_failed,
                                   .arg = cluster};
    struct group_member self = {
        .id = cluster->node_id, .role = GROUP_VOTER, .address = cluster->member};
    struct group_options group = {0};
    char *problem = NULL;
    int error = node_open(&cluster->node, cluster_env(cluster), &options, &problem);

    if (!error)
        error = node_group_open(cluster->node, 0, kv_store_machine(cluster->store), &group, &self,
                                cluster->founds, &cluster->group);
    if (error)
        log_error("%s/log: %s%s", cluster->options.state_dir,
                  problem ? problem : culvert_strerror(error),
                  error == CULVERT_ECORRUPT
                      ? " `culvert node rebuild` sets all aside to join the other nodes again; a "
                        "site of one node is restored from a backup."
                      : "");
    free(problem);
    return error;
}

static int open_service(struct cluster *cluster)
{
    struct kv_service_options service = {
        .site = cluster->site_id, .compact = KV_COMPACT_PERIOD, .keep = HISTORY_MS};
    struct history_options history = {
        .node = cluster->name, .changed = cluster->options.changed, .arg = cluster->options.arg};
    int error = kv_service_open(&cluster->service, cluster_env(cluster), cluster->group,
                                cluster->store, &service);

    history.env = cluster_env(cluster);
    history.service = cluster->service;
    if (!error)
        error = history_open(&cluster->history, &history);
    if (error)
        log_error("the store: %s", culvert_strerror(error));
    return error;
}

/* ---- now and then ---- */

static void set_tick(struct cluster *cluster)
{
    struct env *env = cluster_env(cluster);

    env->ops->timer_set(env, &cluster->tick, env_now(env) + (uint64_t)CLUSTER_TICK_MS * NS_PER_MS);
}

static void note_leader(struct cluster *cluster)
{
    struct group_status status;

    group_status(cluster->group, &status);
    if (status.leader)
        cluster->led = env_now(cluster_env(cluster));
}

int64_t cluster_age(struct cluster *cluster)
{
    struct group_status status;
    uint64_t age = env_now(cluster_env(cluster)) - cluster->led;

    group_status(cluster->group, &status);
    if (status.leader)
        return 0;
    return cluster->led ? (int64_t)(age / NS_PER_MS) : -1;
}

static void on_tick(void *arg)
{
    struct cluster *cluster = arg;

    set_tick(cluster);
    cluster_net_tick(cluster);
    note_leader(cluster);
    if (!cluster->failed && !cluster->removed) {
        cluster_ca_tick(cluster);
        cluster_keep_tick(cluster);
    }
    cluster_identity_tick(cluster);
    cluster_etcd_tick(cluster);
    cluster_backup_tick(cluster);
    cluster->ticks++;
}

static int start_ticking(struct cluster *cluster)
{
    cluster->tick = (struct env_timer){.fn = on_tick, .arg = cluster};
    cluster->ticking = true;
    on_tick(cluster);
    return 0;
}

/* ---- opening ---- */

static void on_settled(void *arg, int status)
{
    struct cluster *cluster = arg;

    cluster->settled = true;
    if (status)
        log_warn("no node leads yet (%s): going on with what this node has",
                 culvert_strerror(status));
}

/* What is in the log and not yet known to be committed is applied first. */
static void settle(struct cluster *cluster)
{
    if (!cluster->options.settle || kv_service_barrier(cluster->service, on_settled, cluster))
        return;
    while (!cluster->settled && !cluster->failed && !cluster->removed)
        uv_run(cluster->options.loop, UV_RUN_ONCE);
}

int cluster_open(struct cluster **out, const struct cluster_options *options)
{
    static int (*const steps[])(struct cluster *cluster) = {
        cluster_identity_open, cluster_net_open, open_env,     open_store,
        cluster_state_open,    open_node,        open_service, cluster_etcd_open,
        start_ticking,
    };
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    int error = 0;

    if (!cluster)
        return CULVERT_ENOMEM;
    cluster->options = *options;
    cluster->lock = -1;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !error; i++)
        error = steps[i](cluster);
    if (error) {
        cluster_close(cluster);
        return error;
    }
    settle(cluster);
    *out = cluster;
    return 0;
}

/* ---- closing ---- */

static void on_stopped(void *arg)
{
    struct cluster *cluster = arg;

    cluster->stopped = true;
}

static void on_part_closed(void *arg)
{
    struct cluster *cluster = arg;

    cluster->closing--;
}

static void wait_idle(struct cluster *cluster)
{
    while (!env_uv_is_idle(cluster->uv))
        uv_run(cluster->options.loop, UV_RUN_ONCE);
}

static void stop(struct cluster *cluster)
{
    struct env *env = cluster->uv ? cluster_env(cluster) : NULL;

    if (env && cluster->ticking)
        env->ops->timer_stop(env, &cluster->tick);
    if (cluster->service && !cluster->failed) {
        node_stop(cluster->node, on_stopped, cluster);
        while (!cluster->stopped)
            uv_run(cluster->options.loop, UV_RUN_ONCE);
    }
    cluster_etcd_close(cluster);
    if (!env)
        return;
    wait_idle(cluster);
    env->ops->events(env, &(struct env_events){0}); /* the node is no longer there for them */
}

static void close_transport(struct cluster *cluster)
{
    if (!cluster->transport)
        return;
    cluster->closing++;
    transport_close(cluster->transport, on_part_closed, cluster);
    while (cluster->closing)
        uv_run(cluster->options.loop, UV_RUN_ONCE);
}

void cluster_close(struct cluster *cluster)
{
    if (!cluster)
        return;
    stop(cluster);
    history_close(cluster->history);
    node_close(cluster->node);
    kv_service_close(cluster->service);
    cluster->group = NULL; /* the transport's events come on */
    cluster->service = NULL;
    cluster_keep_close(cluster);
    if (cluster->uv)
        wait_idle(cluster); /* the log ends its last work */
    cluster_backup_close(cluster);
    kv_store_close(cluster->store);
    env_uv_close(cluster->uv);
    close_transport(cluster);
    identity_free(cluster->identity);
    EVP_PKEY_free(cluster->join_key);
    if (cluster->lock >= 0)
        close(cluster->lock);
    free(cluster->path);
    free(cluster);
}
