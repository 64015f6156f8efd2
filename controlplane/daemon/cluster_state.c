/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start may find prepared: a node that joins another site (cluster_identity.c), one that
 * goes on alone, or a backup that begins a new site.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/core/group_rewrite.h"
#include "controlplane/core/kv/dump_file.h"
#include "controlplane/daemon/cluster_internal.h"
#include "controlplane/daemon/daemon.h"

#define LOAD_BYTES ((size_t)1 << 20)

/* ---- joining ---- */

struct cluster_join {
    struct cluster *cluster;
    struct token token;
    struct endpoint at;
    struct join_options options;
    struct join_result result;
};

static int count_member(void *arg, const struct group_member *member)
{
    (void)member;
    ++*(unsigned *)arg;
    return 0;
}

bool cluster_is_fresh(struct cluster *cluster)
{
    unsigned members = 0;

    group_members(cluster->group, count_member, &members);
    return members == 1 && !history_latest(cluster->history);
}

int cluster_join_new(struct cluster_join **out, struct cluster *cluster, const char *token,
                     const char *at, char problem[CLUSTER_TEXT])
{
    struct cluster_join *join = calloc(1, sizeof(*join));
    const char *why = NULL;
    int error;

    *out = NULL;
    if (!join)
        return CULVERT_ENOMEM;
    join->cluster = cluster;
    if (token_parse(token, &join->token))
        why = "this is not a join token, or it is mistyped: get one by `culvert node token` on a "
              "node of the site";
    else if (units_parse_endpoint(at, &join->at))
        why = "a node's address is such as 10.0.0.2:7480";
    else if (!cluster_net_address(cluster))
        why = "this node has no address for others: start culvertd with --listen or --advertise";
    else if (units_parse_endpoint(cluster->address, &join->options.address))
        why = "this node's address is not one";
    if (why) {
        snprintf(problem, CLUSTER_TEXT, "%s", why);
        free(join);
        return CULVERT_EINVAL;
    }
    join->options.token = &join->token;
    join->options.software = protocol_own.software;
    join->options.version_min = protocol_own.min;
    join->options.version_max = protocol_own.max;
    /* The same key at every try: an answer that was lost is given again. */
    error = cluster->join_key ? 0 : certificate_key_make(&cluster->join_key);
    if (!error && EVP_PKEY_up_ref(cluster->join_key) == 1)
        join->options.key = cluster->join_key;
    else
        error = CULVERT_ENOMEM;
    if (error)
        cluster_join_free(join);
    else
        *out = join;
    return error;
}

static void explain(const struct join_result *result, int error, char problem[CLUSTER_TEXT])
{
    const char *text = result->text;

    if (error == CULVERT_EACCES && result->status)
        text = result->status == CULVERT_EACCES     ? "the site does not know this token"
               : result->status == CULVERT_ETIMEOUT ? "the token has expired"
               : result->status == CULVERT_EEXIST   ? "another node has used this token"
               : result->status == CULVERT_ENOTLEADER
                   ? "no node leads the site: are most of its voters up?"
               : result->status == CULVERT_EUNSUPPORTED
                   ? "its culvertd and this one have no protocol version in common"
                   : culvert_strerror(result->status);
    snprintf(problem, CLUSTER_TEXT, "the site did not let this node in: %s",
             *text ? text : culvert_strerror(error));
}

int cluster_join_run(struct cluster_join *join, char problem[CLUSTER_TEXT])
{
    int error = join_run(&join->at, &join->options, &join->result);

    if (error)
        explain(&join->result, error, problem);
    return error;
}

int cluster_join_take(struct cluster_join *join, char problem[CLUSTER_TEXT])
{
    int error = cluster_identity_replace(join->cluster, join->result.identity, join->result.members,
                                         join->result.count);
    if (error)
        snprintf(problem, CLUSTER_TEXT, "%s: %s", join->cluster->options.state_dir,
                 culvert_strerror(error));
    return error;
}

void cluster_join_free(struct cluster_join *join)
{
    if (!join)
        return;
    identity_free(join->result.identity);
    EVP_PKEY_free(join->options.key);
    free(join);
}

/* ---- what is asked for by a file ---- */

static int make_file(struct cluster *cluster, const char *name)
{
    const char *path = cluster_path(cluster, name);

    return path ? file_write(AT_FDCWD, path, "", 0) : CULVERT_ENOMEM;
}

int cluster_recover(struct cluster *cluster)
{
    return make_file(cluster, "recover");
}

int cluster_restore(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "restore.tmp");
    char *from = path ? strdup(path) : NULL;
    const char *to = from ? cluster_path(cluster, "restore.dump") : NULL;
    int error = CULVERT_ENOMEM;

    if (to)
        error = rename(from, to) ? file_error(errno) : 0;
    free(from);
    return error;
}

/* ---- at the start ---- */

static void on_synced(struct wal_sync *sync, int status)
{
    *(int *)sync->arg = status ? status : 1;
}

/* Writes the group's log by hand; env and store are open, the node isn't yet. */
static int rewrite(struct cluster *cluster, uint64_t begin)
{
    struct wal_options options = {.segment = CLUSTER_SEGMENT};
    int done = 0, error;
    struct wal_sync sync = {.done = on_synced, .arg = &done};
    struct wal *wal;
    char *problem = NULL;

    error = wal_open(&wal, cluster_env(cluster), &options, &problem);
    if (error) {
        log_error("%s/log: %s", cluster->options.state_dir,
                  problem ? problem : culvert_strerror(error));
        free(problem);
        return error;
    }
    error = begin ? group_rewrite_begin(wal, 0, begin, cluster->node_id, cluster->member)
                  : group_rewrite_sole(wal, 0, cluster->node_id, cluster->member);
    if (!error) {
        wal_sync(wal, &sync);
        while (!done)
            uv_run(cluster->options.loop, UV_RUN_ONCE);
        error = done < 0 ? done : 0;
    }
    wal_close(wal);
    while (!env_uv_is_idle(cluster->uv))
        uv_run(cluster->options.loop, UV_RUN_ONCE);
    return error;
}

static int load(struct cluster *cluster, int fd, uint64_t *index)
{
    struct machine *machine = kv_store_machine(cluster->store);
    char *chunk = malloc(LOAD_BYTES);
    int error = chunk ? kv_dump_index(fd, index) : CULVERT_ENOMEM;
    ssize_t got = 0;
    bool begun;

    if (!error)
        error = machine->ops->load_begin(machine, *index);
    begun = !error;
    while (!error && (got = read(fd, chunk, LOAD_BYTES)) > 0) {
        error = machine->ops->load_chunk(machine, chunk, (size_t)got);
        /* It may be long until the loop runs again, and the start may be what waits. */
        daemon_notify("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000");
    }
    if (!error && got < 0)
        error = file_error(errno);
    if (!error)
        error = machine->ops->load_commit(machine);
    else if (begun)
        machine->ops->load_abort(machine);
    free(chunk);
    return error;
}

static int restore(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "restore.dump");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, error;
    uint64_t index = 0;

    if (fd < 0)
        return path && errno == ENOENT ? 0 : CULVERT_EIO;
    error = load(cluster, fd, &index);
    close(fd);
    if (!error)
        error = rewrite(cluster, index);
    if (error) {
        log_error("the backup can't be restored: %s; it lies at %s/restore.dump",
                  culvert_strerror(error), cluster->options.state_dir);
        return error;
    }
    unlink(cluster_path(cluster, "restore.dump"));
    log_info("a backup was restored");
    return 0;
}

static int recover(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "recover");
    int error;

    if (!path)
        return CULVERT_ENOMEM;
    if (access(path, F_OK))
        return 0;
    error = rewrite(cluster, 0);
    if (error)
        return error;
    unlink(cluster_path(cluster, "recover"));
    cluster->peer_count = 0;
    log_warn("this node is now the only one of its site: the others must never come back as they "
             "are, `culvert node rebuild` them");
    return 0;
}

int cluster_state_open(struct cluster *cluster)
{
    int error = restore(cluster);

    return error ? error : recover(cluster);
}
