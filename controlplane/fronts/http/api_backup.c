/* SPDX-License-Identifier: Apache-2.0 */
/* The whole store out as a file, in pieces that the client asks for, and in again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/kv/dump_file.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

/* ---- backup ---- */

/* What this node has is dumped when it is known to be all that was acknowledged. */
static void on_current(void *arg, int status)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    struct buffer json = {0};
    uint64_t id = 0;

    if (status == CULVERT_ENOTLEADER) {
        http_respond_error(exchange, 503, "no node leads the site: are most of its voters up?",
                           "`--stale` takes what this node has");
        return;
    }
    if (!status)
        status = daemon->cluster ? cluster_backup_begin(daemon->cluster, &id) : CULVERT_EBUSY;
    if (status) {
        api_respond_error(exchange, status, NULL);
        return;
    }
    buffer_format(&json, "{\"id\":\"%llu\"}", (unsigned long long)id);
    api_respond(exchange, 200, &json);
}

void api_backup(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    char stale[8] = "";
    int error;

    http_query_get(exchange->request->query, "stale", stale, sizeof(stale));
    if (!daemon->cluster) {
        api_respond_error(exchange, CULVERT_EBUSY, daemon->store_problem);
        return;
    }
    if (!strcmp(stale, "true")) {
        on_current(exchange, 0);
        return;
    }
    error = kv_service_barrier(cluster_service(daemon->cluster), on_current, exchange);
    if (error)
        on_current(exchange, error);
}

/* The next piece: bytes, of which none say that the one before was the last. */
void api_backup_next(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    struct buffer chunk = {0};
    int error =
        daemon->cluster
            ? cluster_backup_next(daemon->cluster, strtoull(exchange->param[0], NULL, 10), &chunk)
            : CULVERT_EBUSY;

    if (error) {
        buffer_free(&chunk);
        api_respond_error(exchange, error,
                          error == CULVERT_ENOTFOUND ? "this backup was cut off" : NULL);
    } else if (!chunk.length) {
        buffer_free(&chunk);
        http_respond(exchange, 200, NULL, 0);
    } else {
        api_respond(exchange, 200, &chunk);
    }
}

/* ---- restore ---- */

#define RESTORE_MAX (1ull << 42)            /* bytes of a backup */
#define RESTORE_SPARE ((uint64_t)256 << 20) /* for the log, and what the store makes of it */

/* The file is written by the loop as it comes, then checked by the worker. */
struct restore {
    struct job job;
    struct http_exchange *exchange;
    int fd, error;
};

static bool restoring; /* one at a time */

static void restore_free(void *arg)
{
    struct restore *restore = arg;

    close(restore->fd);
    free(restore);
    restoring = false;
}

static int restore_write(void *arg, const char *data, size_t length)
{
    const struct restore *restore = arg;

    while (length) {
        ssize_t count = write(restore->fd, data, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            int error = file_error(errno);

            restore->exchange->sink_status = error == CULVERT_ENOSPC ? 507 : 500;
            restore->exchange->sink_problem = culvert_strerror(error);
            return error;
        }
        data += count;
        length -= (size_t)count;
    }
    return 0;
}

static int open_restore(const struct daemon *daemon)
{
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/restore.tmp", daemon->options.state_dir) >=
        (int)sizeof(path))
        return -1;
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* False, and answered: the disk has no room for a file of that length and the store from it. */
static bool has_room(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    const struct http_request *request = exchange->request;
    struct statvfs disk;
    char text[160];
    uint64_t free_bytes;

    if (!request->has_length || request->length > RESTORE_MAX ||
        statvfs(daemon->options.state_dir, &disk))
        return true;
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= 2 * request->length + RESTORE_SPARE)
        return true;
    snprintf(text, sizeof(text),
             "the state folder's disk needs %llu MiB for this backup, %llu MiB "
             "are free",
             (unsigned long long)((2 * request->length + RESTORE_SPARE) >> 20),
             (unsigned long long)(free_bytes >> 20));
    http_respond_error(exchange, 507, text, NULL);
    return false;
}

void api_begin_restore(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    struct restore *restore;

    if (!daemon->cluster || restoring) {
        api_respond_error(exchange, CULVERT_EBUSY, daemon->store_problem);
        return;
    }
    if (!cluster_is_fresh(daemon->cluster)) {
        http_respond_error(exchange, 409, "this node has a site of its own already",
                           "`culvert node rebuild` sets it aside");
        return;
    }
    if (!has_room(exchange))
        return;
    restore = calloc(1, sizeof(*restore));
    if (!restore) {
        api_respond_error(exchange, CULVERT_ENOMEM, NULL);
        return;
    }
    restore->exchange = exchange;
    restore->fd = open_restore(daemon);
    if (restore->fd < 0) {
        free(restore);
        api_respond_error(exchange, file_error(errno), NULL);
        return;
    }
    restoring = true;
    exchange->sink = restore_write;
    exchange->sink_abort = restore_free;
    exchange->sink_arg = restore;
    exchange->sink_max = RESTORE_MAX;
}

static void restore_work(struct job *job)
{
    struct restore *restore = (struct restore *)job;

    restore->error = fsync(restore->fd) ? file_error(errno) : kv_dump_check(restore->fd);
}

static void restore_done(struct job *job)
{
    struct restore *restore = (struct restore *)job;
    struct http_exchange *exchange = restore->exchange;
    const struct daemon *daemon = job->daemon;
    int error = restore->error;

    job_end(job);
    restore_free(restore);
    if (error == CULVERT_EPROTO || error == CULVERT_ECORRUPT) {
        http_respond_error(exchange, 422,
                           error == CULVERT_EPROTO ? "this is not a backup of a store"
                                                   : "the backup is not whole, or was changed",
                           "`culvert backup` writes one");
        return;
    }
    if (!error)
        error = daemon->cluster && cluster_is_fresh(daemon->cluster)
                    ? cluster_restore(daemon->cluster)
                    : CULVERT_EBUSY;
    if (error)
        api_respond_error(exchange, error, NULL);
    else
        api_reopen(exchange);
}

void api_restore(struct http_exchange *exchange)
{
    struct restore *restore = exchange->sink_arg;
    int error;

    restore->job = (struct job){.work = restore_work, .done = restore_done};
    error = daemon_submit(exchange->app, &restore->job);
    if (error) {
        restore_free(restore);
        api_respond_error(exchange, error, NULL);
    }
}
