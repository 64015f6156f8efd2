/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"

#define SETTLE_MS 100u

static void start_next(struct daemon *daemon);

static void on_work(uv_work_t *work)
{
    struct daemon *daemon = work->data;

    daemon->running->work(daemon->running);
}

static void on_done(uv_work_t *work, int status)
{
    struct daemon *daemon = work->data;

    (void)status;
    daemon->running->done(daemon->running);
}

void job_work(struct job *job)
{
    struct daemon *daemon = job->daemon;

    if (job->writes)
        planes_hold(daemon->planes, true);
    daemon->work.data = daemon;
    uv_queue_work(&daemon->loop, &daemon->work, on_work, on_done); /* fails only without on_work */
}

static void on_settle(uv_timer_t *timer)
{
    start_next(timer->data);
}

void job_end(struct job *job)
{
    struct daemon *daemon = job->daemon;

    daemon->running = NULL;
    if (job->writes) {
        planes_hold(daemon->planes, false);
        daemon->settle_end = uv_now(&daemon->loop) + SETTLE_MS;
    }
    uv_timer_start(&daemon->settle, on_settle, 0, 0);
}

/* A writing job stops the stream to the data planes: they have the last change first, as far as
 * they take it in a short time. */
static bool must_settle(struct daemon *daemon)
{
    return daemon->jobs->writes && uv_now(&daemon->loop) < daemon->settle_end &&
           !planes_settled(daemon->planes);
}

static void start_next(struct daemon *daemon)
{
    struct job *job = daemon->jobs;

    if (daemon->running || !job)
        return;
    if (must_settle(daemon)) {
        uv_timer_start(&daemon->settle, on_settle, 1, 0);
        return;
    }
    daemon->jobs = job->next;
    if (!daemon->jobs)
        daemon->jobs_end = &daemon->jobs;
    daemon->job_count--;
    daemon->running = job;
    if (job->start)
        job->start(job);
    else
        job_work(job);
}

int daemon_submit(struct daemon *daemon, struct job *job)
{
    if (daemon->job_count == DAEMON_JOBS_MAX)
        return CULVERT_EFULL;
    job->daemon = daemon;
    job->next = NULL;
    *daemon->jobs_end = job;
    daemon->jobs_end = &job->next;
    daemon->job_count++;
    if (!daemon->running)
        uv_timer_start(&daemon->settle, on_settle, 0, 0);
    return 0;
}

bool daemon_is_written(const struct daemon *daemon)
{
    return daemon->running && daemon->running->writes;
}
