/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder: who this node is, and what takes the place of what. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define PEERS_FILE "peers"
#define REMOVED_FILE "removed"
/* In the state folder: by `culvert node rebuild`; then beside the identity. */
#define WAITS_FILE "waits"
#define PEERS_BYTES 8192u
#define RENEW_TICKS (60u * 1000 / CLUSTER_TICK_MS)

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

/* Removes a folder with all in it. */
static int remove_tree(const char *path)
{
    if (!path)
        return CULVERT_ENOMEM;
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT ? file_error(errno)
                                                                               : 0;
}

static int open_folder(struct cluster *cluster, const char *name)
{
    const char *path = cluster_path(cluster, name);
    int folder;

    if (!path || file_make_folder(path))
        return -1;
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        fchmod(folder, 0700);
    return folder;
}

/* ---- peers ---- */

static int write_peers(int folder, const struct join_member *peers, size_t count)
{
    struct buffer text = {0};
    char address[UNITS_TEXT];
    int error;

    for (size_t i = 0; i < count; i++) {
        units_write_endpoint(&peers[i].address, address);
        buffer_format(&text, "%016" PRIx64 " %s\n", peers[i].node, address);
    }
    error = text.error ? text.error
                       : file_write(folder, PEERS_FILE, text.data ? text.data : "", text.length);
    buffer_free(&text);
    return error;
}

static void read_peers(struct cluster *cluster, int folder)
{
    char *text = NULL, *save = NULL;
    size_t length;

    if (file_read(folder, PEERS_FILE, PEERS_BYTES, &text, &length))
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct join_member *peer = &cluster->peers[cluster->peer_count];
        char *address;

        if (cluster->peer_count == JOIN_MEMBERS_MAX)
            break;
        peer->node = strtoull(line, &address, 16);
        if (peer->node && *address == ' ' && !units_parse_endpoint(address + 1, &peer->address))
            cluster->peer_count++;
    }
    free(text);
}

int cluster_peers_save(struct cluster *cluster)
{
    int folder = open_folder(cluster, "identity"), error;

    if (folder < 0)
        return CULVERT_EIO;
    error = write_peers(folder, cluster->peers, cluster->peer_count);
    close(folder);
    return error;
}

/* ---- another identity takes the place of the first ---- */

int cluster_identity_replace(struct cluster *cluster, const struct identity *identity,
                             const struct join_member *peers, size_t count)
{
    int error = remove_tree(cluster_path(cluster, "identity.new"));
    int folder = error ? -1 : open_folder(cluster, "identity.new");

    if (folder < 0)
        return error ? error : CULVERT_EIO;
    error = write_peers(folder, peers, count);
    if (!error)
        error = identity_save(identity, folder);
    close(folder);
    return error;
}

/* Does what cluster_identity_replace() or a restore has prepared; a crash in between does no harm:
 * the next start does the rest. */
static int finish_replacing(struct cluster *cluster)
{
    const char *restore = cluster_path(cluster, "restore.dump");
    bool anew = restore && !access(restore, F_OK);
    const char *path = cluster_path(cluster, "identity.new/node.pem");
    bool joins = path && !access(path, F_OK);
    char *from, *to;
    int error = 0;

    if (!restore || !path)
        return CULVERT_ENOMEM;
    if (anew || joins) {
        error = remove_tree(cluster_path(cluster, "log"));
        if (!error)
            error = remove_tree(cluster_path(cluster, "db"));
        if (!error)
            error = remove_tree(cluster_path(cluster, "identity"));
    }
    if (error || !joins)
        return error ? error : remove_tree(cluster_path(cluster, "identity.new"));
    from = strdup(cluster_path(cluster, "identity.new"));
    to = strdup(cluster_path(cluster, "identity"));
    if (!from || !to)
        error = CULVERT_ENOMEM;
    else if (rename(from, to))
        error = file_error(errno);
    free(from);
    free(to);
    return error;
}

/* ---- the first start ---- */

static uint64_t random_id(void)
{
    uint64_t id = 0;

    while (!id)
        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
            abort(); /* a kernel without getrandom() is none that we run on */
    return id;
}

static int found(struct cluster *cluster, int folder)
{
    const char *path = cluster_path(cluster, "log");
    int error;

    if (path && !access(path, F_OK)) {
        log_error("%s/identity/node.pem is missing, but there is a log: restore it from a backup, "
                  "or set all aside by `culvert node rebuild`",
                  cluster->options.state_dir);
        return CULVERT_ECORRUPT;
    }
    path = cluster_path(cluster, WAITS_FILE);
    error = path ? identity_found(&cluster->identity, random_id(), time(NULL)) : CULVERT_ENOMEM;
    if (!error && (cluster->options.addresses->joins || !access(path, F_OK)))
        error = file_write(folder, WAITS_FILE, "", 0);
    if (!error)
        error = identity_save(cluster->identity, folder);
    if (error)
        log_error("%s/identity: %s", cluster->options.state_dir, culvert_strerror(error));
    else
        log_info("a new site %s of node %016" PRIx64, cluster->identity->name.site,
                 cluster->identity->name.node);
    return error;
}

static int load(struct cluster *cluster, int folder)
{
    char problem[CLUSTER_TEXT] = "";
    int error;

    if (!faccessat(folder, REMOVED_FILE, F_OK, 0)) {
        log_error("this node was removed from its site: `culvert node rebuild --state-dir %s` sets "
                  "what it has aside; then start culvertd, and `culvert node join`",
                  cluster->options.state_dir);
        return CULVERT_EACCES;
    }
    error = identity_load(&cluster->identity, folder, problem, sizeof(problem));
    if (error == CULVERT_ENOTFOUND)
        return found(cluster, folder);
    if (error)
        log_error("%s/identity/%s; restore it from a backup, or set all aside by `culvert node "
                  "rebuild` and join the site again",
                  cluster->options.state_dir, problem);
    return error;
}

static int lock_folder(struct cluster *cluster)
{
    const char *path = cluster_path(cluster, "lock");

    cluster->lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (cluster->lock < 0) {
        int error = path ? file_error(errno) : CULVERT_ENOMEM;

        log_error("%s/lock: %s", cluster->options.state_dir, culvert_strerror(error));
        return error;
    }
    if (!flock(cluster->lock, LOCK_EX | LOCK_NB))
        return 0;
    log_error("%s is in use by another culvertd", cluster->options.state_dir);
    return CULVERT_EBUSY;
}

int cluster_identity_open(struct cluster *cluster)
{
    const char *folder = cluster->options.state_dir;
    int error = file_make_folder(folder), at = -1;
    char first[17];

    if (error)
        log_error("%s: %s", folder, culvert_strerror(error));
    else
        error = lock_folder(cluster);
    if (error)
        return error;
    error = finish_replacing(cluster);
    if (!error) {
        at = open_folder(cluster, "identity");
        error = at < 0 ? CULVERT_EIO : 0;
    }
    if (error)
        log_error("%s/identity: %s", folder, culvert_strerror(error));
    else
        error = load(cluster, at);
    if (!error) {
        cluster->waits = !faccessat(at, WAITS_FILE, F_OK, 0);
        unlink(cluster_path(cluster, WAITS_FILE));
        cluster->founds = faccessat(at, PEERS_FILE, F_OK, 0);
        read_peers(cluster, at);
        cluster->node_id = cluster->identity->name.node;
        snprintf(first, sizeof(first), "%.16s", cluster->identity->name.site);
        cluster->site_id = strtoull(first, NULL, 16);
    }
    if (at >= 0)
        close(at);
    return error;
}

/* ---- later ---- */

/* What has come of changing the identity. */
static void note_change(struct cluster *cluster, int error)
{
    cluster->unsaved = error != 0;
    if (!error)
        error = transport_identity(cluster->transport, cluster->identity);
    if (error)
        log_error("the node's certificate can't be renewed: %s", culvert_strerror(error));
    else
        log_info("the node's certificate was renewed");
}

void cluster_identity_tick(struct cluster *cluster)
{
    int64_t now = time(NULL);
    bool due = now >= identity_renew_at(cluster->identity);
    int folder, error;

    if (cluster->ticks % RENEW_TICKS || (!due && !cluster->unsaved))
        return;
    folder = open_folder(cluster, "identity");
    error = folder < 0 ? CULVERT_EIO : 0;
    if (!error && due)
        error = identity_renew(cluster->identity, now);
    if (!error)
        error = identity_save(cluster->identity, folder);
    note_change(cluster, error);
    if (folder >= 0)
        close(folder);
}

int cluster_identity_follow(struct cluster *cluster, const struct rollover *rollover)
{
    int folder = open_folder(cluster, "identity"), error = CULVERT_EIO;

    if (folder >= 0) {
        error = rollover_follow(rollover, cluster->identity, folder, time(NULL));
        close(folder);
    }
    cluster->unsaved = error != 0;
    return error ? error : transport_identity(cluster->transport, cluster->identity);
}

void cluster_identity_removed(struct cluster *cluster)
{
    int folder = open_folder(cluster, "identity");

    if (folder < 0)
        return;
    file_write(folder, REMOVED_FILE, "", 0);
    close(folder);
}
