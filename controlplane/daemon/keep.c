/* SPDX-License-Identifier: Apache-2.0 */
/* The store, opened and kept: again after it failed, and rid of what nobody needs any more. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

#define REOPEN_MS 2000u
#define COLLECT_MS (10u * 60 * 1000)
#define BLOB_AGE_MS (3600 * 1000)

/* ---- opening ---- */

static void on_failed(void *arg, int error, const char *problem)
{
    daemon_store_failed(arg, error, problem);
}

static void on_changed(void *arg)
{
    struct daemon *daemon = arg;

    if (daemon->planes) /* not while it starts */
        daemon_follow(daemon);
}

static void on_removed(void *arg)
{
    struct daemon *daemon = arg;

    daemon->removed = daemon->ending = true;
    uv_stop(&daemon->loop);
}

int daemon_open_cluster(struct daemon *daemon)
{
    struct cluster_options options = {.loop = &daemon->loop,
                                      .state_dir = daemon->options.state_dir,
                                      .host = daemon->host,
                                      .addresses = &daemon->options.addresses,
                                      .settle = !daemon->planes, /* at the start */
                                      .failed = on_failed,
                                      .changed = on_changed,
                                      .removed = on_removed,
                                      .arg = daemon};
    int error = cluster_open(&daemon->cluster, &options);

    if (error)
        daemon->cluster = NULL;
    daemon->history = error ? NULL : cluster_history(daemon->cluster);
    return error;
}

#define RESERVE_BYTES ((uint64_t)48 << 20) /* the next piece of the log, and of the store */

static bool has_room(const struct daemon *daemon)
{
    struct statvfs disk;

    return statvfs(daemon->options.state_dir, &disk) ||
           (uint64_t)disk.f_bavail * disk.f_frsize >= RESERVE_BYTES;
}

int daemon_may_store(const struct daemon *daemon, char *problem, size_t size)
{
    if (daemon->store_error) {
        snprintf(problem, size, "%s", daemon->store_problem);
        return daemon->store_error;
    }
    if (has_room(daemon))
        return 0;
    snprintf(problem, size, "%s: %s: less than %u MiB are free", daemon->options.state_dir,
             culvert_strerror(CULVERT_ENOSPC), (unsigned)(RESERVE_BYTES >> 20));
    return CULVERT_ENOSPC;
}

/* ---- opening again ---- */

struct reopen {
    struct job job;
    void (*done)(void *arg, int status); /* NULL: it failed and is tried again */
    void *arg;
};

static void on_reopen(uv_timer_t *timer);

/* The loop turns meanwhile: nobody finds what is being closed. */
static int open_anew(struct daemon *daemon)
{
    struct cluster *cluster = daemon->cluster;

    daemon->history = NULL;
    daemon->cluster = NULL;
    if (!daemon->store_error) {
        snprintf(daemon->store_problem, sizeof(daemon->store_problem), "%s: the store is closed",
                 daemon->options.state_dir);
        daemon->store_error = CULVERT_EBUSY;
    }
    cluster_close(cluster);
    daemon->store_failed = false; /* it may fail anew while it is opened */
    if (!daemon_open_cluster(daemon) && !daemon->store_failed) {
        daemon->store_error = 0;
        log_info("the store is open again");
        daemon->problem[0] = 0;
        daemon_follow(daemon);
        return 0;
    }
    if (!daemon->store_failed && daemon->store_error == CULVERT_EBUSY)
        snprintf(daemon->store_problem, sizeof(daemon->store_problem),
                 "%s: it can't be opened; see the log", daemon->options.state_dir);
    uv_timer_start(&daemon->reopen, on_reopen, REOPEN_MS, 0);
    return daemon->store_error;
}

static void reopen_end(struct reopen *reopen, int status)
{
    struct daemon *daemon = reopen->job.daemon;

    daemon->due = NULL;
    daemon->reopening = false;
    job_end(&reopen->job);
    if (reopen->done)
        reopen->done(reopen->arg, status);
    free(reopen);
}

void daemon_reopen_due(struct daemon *daemon)
{
    struct reopen *reopen = daemon->due;

    if (!reopen)
        return;
    uv_timer_stop(&daemon->reopen);
    reopen_end(reopen, daemon->ending ? CULVERT_EBUSY : open_anew(daemon));
}

/* A loop that turns within a callback of its own misses what waits behind that: it is left
 * first. */
static void reopen_start(struct job *job)
{
    struct daemon *daemon = job->daemon;

    daemon->due = (struct reopen *)job;
    if (daemon->ending)
        daemon_reopen_due(daemon);
    else
        uv_stop(&daemon->loop);
}

int daemon_reopen(struct daemon *daemon, void (*done)(void *arg, int status), void *arg)
{
    struct reopen *reopen = calloc(1, sizeof(*reopen));
    int error;

    if (!reopen)
        return CULVERT_ENOMEM;
    *reopen = (struct reopen){.job = {.start = reopen_start}, .done = done, .arg = arg};
    error = daemon_submit(daemon, &reopen->job);
    if (error)
        free(reopen);
    else
        daemon->reopening = true;
    return error;
}

static void on_reopen(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    bool full = daemon->store_error == CULVERT_ENOSPC && !has_room(daemon);

    if (daemon->reopening || daemon->stopping)
        return;
    /* On a disk that is still full it would come up, take part, and fail again. */
    if (full || daemon_reopen(daemon, NULL, NULL))
        uv_timer_start(&daemon->reopen, on_reopen, REOPEN_MS, 0);
}

void daemon_store_failed(struct daemon *daemon, int error, const char *problem)
{
    daemon->store_error = error;
    snprintf(daemon->store_problem, sizeof(daemon->store_problem), "%s: %s (%s)%s",
             daemon->options.state_dir, problem, culvert_strerror(error),
             error == CULVERT_ENOSPC ? "; it goes on by itself once 48 MiB are free" : "");
    log_error("nothing can be stored: %s", daemon->store_problem);
    if (daemon->planes)
        uv_timer_start(&daemon->reopen, on_reopen, REOPEN_MS, 0);
}

/* ---- collecting ---- */

struct collect_job {
    struct job job;
    struct history_view *view;
    struct history_collection *found;
    int error;
};

static void collect_end(struct collect_job *collect)
{
    history_view_close(collect->view);
    if (collect->error && collect->error != CULVERT_ECONFLICT)
        log_warn("old revisions and files are not removed: %s", culvert_strerror(collect->error));
    job_end(&collect->job);
    free(collect);
}

static void on_collected(void *arg, int status)
{
    struct collect_job *collect = arg;

    collect->error = status;
    collect_end(collect);
}

static void collect_work(struct job *job)
{
    struct collect_job *collect = (struct collect_job *)job;

    collect->error = history_collect_find(&collect->found, job->daemon->history, collect->view,
                                          daemon_clock_ms(), BLOB_AGE_MS);
}

static void collect_done(struct job *job)
{
    struct collect_job *collect = (struct collect_job *)job;

    if (!collect->error && collect->found) {
        collect->error =
            history_collect(job->daemon->history, collect->found, on_collected, collect);
        if (!collect->error)
            return;
    }
    collect_end(collect);
}

static void collect_start(struct job *job)
{
    struct collect_job *collect = (struct collect_job *)job;
    struct daemon *daemon = job->daemon;

    if (!daemon->history || !history_leads(daemon->history) ||
        history_view_open(&collect->view, daemon->history))
        collect_end(collect);
    else
        job_work(job);
}

static void on_collect(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct collect_job *collect = daemon->stopping ? NULL : calloc(1, sizeof(*collect));

    if (!collect)
        return;
    collect->job = (struct job){.start = collect_start, .work = collect_work, .done = collect_done};
    if (daemon_submit(daemon, &collect->job))
        free(collect); /* busy: next time */
}

void daemon_collect_start(struct daemon *daemon)
{
    uv_timer_start(&daemon->collect, on_collect, COLLECT_MS, COLLECT_MS);
}
