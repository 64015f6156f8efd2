/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/cluster.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <yyjson.h>

#include "controlplane/base/env_uv.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/core/node.h"
#include "controlplane/core/wal.h"

#define NODE_FILE "node.json"
#define NODE_FILE_MAX 65536u
#define SEGMENT_BYTES ((uint64_t)32 << 20) /* of the log; two of them are there at the least */
#define HISTORY_MS (600u * 1000)           /* that the store keeps versions of keys */

struct cluster {
    struct cluster_options options;
    uint64_t node_id, site_id;
    char address[64]; /* among the members of the group */
    char *path;       /* scratch */
    struct env_uv *uv;
    struct kv_store *store;
    struct node *node;
    struct group *group;
    struct kv_service *service;
    struct history *history;
    bool failed, stopped, settled;
};

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

/* The path of something in the state folder, until the next call. NULL: out of memory. */
static const char *path_of(struct cluster *cluster, const char *name)
{
    free(cluster->path);
    if (asprintf(&cluster->path, "%s/%s", cluster->options.state_dir, name) < 0)
        cluster->path = NULL;
    return cluster->path;
}

/* ---- identity ---- */

static bool parse_id(yyjson_val *root, const char *name, uint64_t *id)
{
    const char *text = yyjson_get_str(yyjson_obj_get(root, name));
    char *end = NULL;

    *id = text ? strtoull(text, &end, 16) : 0;
    return *id && !*end;
}

static int identity_read(struct cluster *cluster)
{
    const char *path = path_of(cluster, NODE_FILE);
    size_t length = 0;
    char *text = NULL;
    int error = path ? file_read(AT_FDCWD, path, NODE_FILE_MAX, &text, &length) : CULVERT_ENOMEM;
    yyjson_doc *doc = error ? NULL : yyjson_read(text, length, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);

    free(text);
    if (error == CULVERT_ENOTFOUND)
        return error;
    if (!error &&
        (!parse_id(root, "node", &cluster->node_id) || !parse_id(root, "site", &cluster->site_id)))
        error = CULVERT_ECORRUPT;
    yyjson_doc_free(doc);
    if (error)
        log_error("%s: %s; restore it from a backup", path ? path : NODE_FILE,
                  culvert_strerror(error));
    return error;
}

static uint64_t random_id(void)
{
    uint64_t id = 0;

    while (!id)
        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
            abort(); /* a kernel without getrandom() is none that we run on */
    return id;
}

static int identity_make(struct cluster *cluster)
{
    struct buffer json = {0};
    const char *path = path_of(cluster, "log");
    int error;

    if (path && !access(path, F_OK)) {
        log_error("%s/" NODE_FILE " is missing, but there is a log: restore it from a backup",
                  cluster->options.state_dir);
        return CULVERT_ECORRUPT;
    }
    cluster->node_id = random_id();
    cluster->site_id = random_id();
    buffer_format(&json,
                  "{\"node\":\"%016" PRIx64 "\",\"site\":\"%016" PRIx64 "\",\"address\":\"\"}\n",
                  cluster->node_id, cluster->site_id);
    path = path_of(cluster, NODE_FILE);
    error = json.error ? json.error : path ? 0 : CULVERT_ENOMEM;
    if (!error)
        error = file_write(AT_FDCWD, path, json.data, json.length);
    if (error)
        log_error("%s: %s", path ? path : NODE_FILE, culvert_strerror(error));
    buffer_free(&json);
    return error;
}

static int open_identity(struct cluster *cluster)
{
    const char *folder = cluster->options.state_dir;
    int error = file_make_folder(folder);

    if (error) {
        log_error("%s: %s", folder, culvert_strerror(error));
        return error;
    }
    error = identity_read(cluster);
    if (error == CULVERT_ENOTFOUND)
        error = identity_make(cluster);
    /* Alone it has none; members must differ. */
    snprintf(cluster->address, sizeof(cluster->address), "%016" PRIx64, cluster->node_id);
    return error;
}

/* ---- the core ---- */

static int open_env(struct cluster *cluster)
{
    const char *path = path_of(cluster, "log");
    int error =
        path ? env_uv_open(&cluster->uv, cluster->options.loop, path, NULL) : CULVERT_ENOMEM;

    if (error == CULVERT_EBUSY)
        log_error("%s is in use by another culvertd", cluster->options.state_dir);
    else if (error)
        log_error("%s: %s", path ? path : "log", culvert_strerror(error));
    return error;
}

static int open_store(struct cluster *cluster)
{
    const char *path = path_of(cluster, "db");
    struct kv_engine *engine;
    int error = path ? kv_rocksdb_open(&engine, path, NULL) : CULVERT_ENOMEM;

    if (!error)
        error = kv_store_open(&cluster->store, engine, cluster_env(cluster));
    if (error == CULVERT_ENOSPC || error == CULVERT_ENOMEM)
        log_error("%s: %s", path ? path : "db", culvert_strerror(error));
    else if (error)
        log_error(
            "%s can't be opened: %s; restore %s from a backup, or make it anew from the other "
            "nodes by `culvert node rebuild`",
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
                                   .address = cluster->address,
                                   .wal = {.segment = SEGMENT_BYTES},
                                   .failed = on_failed,
                                   .arg = cluster};
    struct group_member self = {
        .id = cluster->node_id, .role = GROUP_VOTER, .address = cluster->address};
    struct group_options group = {0};
    char *problem = NULL;
    int error = node_open(&cluster->node, cluster_env(cluster), &options, &problem);

    if (!error)
        error = node_group_open(cluster->node, 0, kv_store_machine(cluster->store), &group, &self,
                                1, &cluster->group);
    if (error)
        log_error(
            "%s/log: %s%s", cluster->options.state_dir, problem ? problem : culvert_strerror(error),
            error == CULVERT_ECORRUPT ? " A site of one node is restored from a backup." : "");
    free(problem);
    return error;
}

static int open_service(struct cluster *cluster)
{
    struct kv_service_options service = {
        .site = cluster->site_id, .compact = KV_COMPACT_PERIOD, .keep = HISTORY_MS};
    struct history_options history = {.node = cluster->options.name,
                                      .changed = cluster->options.changed,
                                      .arg = cluster->options.arg};
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
    if (kv_service_barrier(cluster->service, on_settled, cluster))
        return;
    while (!cluster->settled && !cluster->failed)
        uv_run(cluster->options.loop, UV_RUN_ONCE);
}

int cluster_open(struct cluster **out, const struct cluster_options *options)
{
    static int (*const steps[])(struct cluster *cluster) = {open_identity, open_env, open_store,
                                                            open_node, open_service};
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    int error = 0;

    if (!cluster)
        return CULVERT_ENOMEM;
    cluster->options = *options;
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

static void wait_idle(struct cluster *cluster)
{
    while (!env_uv_is_idle(cluster->uv))
        uv_run(cluster->options.loop, UV_RUN_ONCE);
}

void cluster_close(struct cluster *cluster)
{
    if (!cluster)
        return;
    if (cluster->service && !cluster->failed) {
        node_stop(cluster->node, on_stopped, cluster);
        while (!cluster->stopped)
            uv_run(cluster->options.loop, UV_RUN_ONCE);
    }
    if (cluster->uv)
        wait_idle(cluster);
    history_close(cluster->history);
    node_close(cluster->node);
    kv_service_close(cluster->service);
    if (cluster->uv)
        wait_idle(cluster); /* the log ends its last work */
    kv_store_close(cluster->store);
    env_uv_close(cluster->uv);
    free(cluster->path);
    free(cluster);
}
