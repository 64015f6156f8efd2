/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other nodes have made: every node takes over the latest revision; whoever leads takes back
 * one that was not confirmed in time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

#define AGAIN_MS 2000u
#define LOOK_MS 10000u /* the wall clock may be set meanwhile */
#define NEAR 16u       /* revisions that are taken over one by one */

/* ---- the latest revision ---- */

/* The first of the errors that a stored revision has now. */
static void describe(char *problem, size_t size, uint64_t number, int error,
                     const struct site_errors *errors)
{
    const struct site_error *first = errors->count ? errors->list : NULL;

    snprintf(problem, size, "revision %" PRIu64 " can't be taken over: %s%s%s%s%s", number,
             culvert_strerror(error), first ? ": " : "", first && first->field ? first->field : "",
             first && first->field ? ": " : "", first ? first->message : "");
}

static int adopt(struct daemon *daemon, struct history_view *view, struct site_revision *revision,
                 struct site_plan **plan, struct site_errors *errors)
{
    int error = site_adopt(daemon->engine, revision, history_view_blobs(view), daemon_clock_ms(),
                           plan, errors);

    history_revision_free(revision);
    return error;
}

/* The next revision by its patch, in time that doesn't grow with the site. */
static int adopt_next(struct daemon *daemon, struct history_view *view, struct site_plan **plan)
{
    struct site_revision *revision;
    struct site_errors errors = {0};
    int error = history_view_patch(view, daemon->revision + 1, &revision);

    if (!error)
        error = adopt(daemon, view, revision, plan, &errors);
    site_errors_free(&errors); /* it is read whole then, and says so again */
    return error;
}

int daemon_adopt(struct daemon *daemon, struct history_view *view, uint64_t *number,
                 struct site_plan **plan, char *problem, size_t size)
{
    struct site_revision *revision = NULL;
    struct site_errors errors = {0};
    int error;

    *plan = NULL;
    if (daemon->revision && *number > daemon->revision && *number - daemon->revision <= NEAR &&
        !adopt_next(daemon, view, plan)) {
        *number = daemon->revision + 1;
        return 0;
    }
    error = history_view_get(view, *number, &revision);
    if (!error)
        error = adopt(daemon, view, revision, plan, &errors);
    if (error)
        describe(problem, size, *number, error, &errors);
    site_errors_free(&errors);
    return error;
}

struct follow {
    struct job job;
    struct history_view *view;
    struct site_plan *plan;
    uint64_t number; /* of the plan */
    int error;
    char problem[300];
};

static void follow_work(struct job *job)
{
    struct follow *follow = (struct follow *)job;

    follow->error = history_view_latest(follow->view, &follow->number);
    if (follow->error)
        snprintf(follow->problem, sizeof(follow->problem), "the store: %s",
                 culvert_strerror(follow->error));
    else if (follow->number != job->daemon->revision)
        follow->error = daemon_adopt(job->daemon, follow->view, &follow->number, &follow->plan,
                                     follow->problem, sizeof(follow->problem));
}

static void on_follow_timer(uv_timer_t *timer)
{
    daemon_follow(timer->data);
}

static void follow_done(struct job *job)
{
    struct follow *follow = (struct follow *)job;
    struct daemon *daemon = job->daemon;

    if (follow->plan) {
        daemon->problem[0] = 0;
        daemon_commit(daemon, follow->plan, follow->number, "another node");
    }
    if (follow->error) {
        if (strcmp(daemon->problem, follow->problem) != 0) /* said once, tried again and again */
            log_error("%s", follow->problem);
        snprintf(daemon->problem, sizeof(daemon->problem), "%s", follow->problem);
        uv_timer_start(&daemon->follow, on_follow_timer, AGAIN_MS, 0);
    }
    daemon->following = false;
    history_view_close(follow->view);
    job_end(job);
    if (!follow->error)
        daemon_follow(daemon); /* there may be more by now */
    free(follow);
}

static void follow_start(struct job *job)
{
    struct follow *follow = (struct follow *)job;
    struct daemon *daemon = job->daemon;

    if (daemon->history && history_latest(daemon->history) != daemon->revision &&
        !history_view_open(&follow->view, daemon->history)) {
        job_work(job);
        return;
    }
    daemon->following = false;
    job_end(job);
    free(follow);
}

static void follow_latest(struct daemon *daemon)
{
    struct follow *follow;

    if (daemon->following || history_latest(daemon->history) == daemon->revision)
        return;
    follow = calloc(1, sizeof(*follow));
    if (follow) {
        follow->job = (struct job){
            .start = follow_start, .work = follow_work, .done = follow_done, .writes = true};
        daemon->following = !daemon_submit(daemon, &follow->job);
    }
    if (daemon->following)
        return;
    free(follow);
    uv_timer_start(&daemon->follow, on_follow_timer, AGAIN_MS, 0);
}

/* ---- a revision that was not confirmed ---- */

struct expiry {
    struct daemon_change change; /* first */
    struct history_pending pending;
    struct revision_source source;
    char comment[128];
};

static int expiry_read(struct daemon_change *change, struct history_view *view)
{
    struct expiry *expiry = (struct expiry *)change;
    int error = revision_source_read(&expiry->source, view, expiry->pending.back);

    change->source = expiry->source.source;
    return error;
}

static void arm_expiry(struct daemon *daemon, uint64_t wait);

static void on_settled(void *arg, int status)
{
    (void)status; /* what is still there is seen again */
    arm_expiry(arg, AGAIN_MS);
}

static void expiry_ended(struct daemon_change *change)
{
    struct expiry *expiry = (struct expiry *)change;
    struct daemon *daemon = change->job.daemon;
    struct history_audit audit = {.time_ms = change->now,
                                  .author = change->author,
                                  .comment = change->comment,
                                  .what = change->what};

    daemon->expiring = false;
    /* The content is that already: there is nothing to take back. */
    if (change->error || change->changed || !daemon->history ||
        history_confirm(daemon->history, &audit, on_settled, daemon))
        arm_expiry(daemon, AGAIN_MS);
    daemon_change_free(change);
    revision_source_free(&expiry->source);
    free(expiry);
}

static void take_back(struct daemon *daemon, const struct history_pending *pending)
{
    struct expiry *expiry = calloc(1, sizeof(*expiry));

    if (!expiry)
        return;
    expiry->pending = *pending;
    snprintf(expiry->comment, sizeof(expiry->comment),
             "revision %" PRIu64 " was not confirmed: back to %" PRIu64, pending->revision,
             pending->back);
    expiry->change = (struct daemon_change){.read = expiry_read,
                                            .ended = expiry_ended,
                                            .author = "culvertd",
                                            .comment = expiry->comment,
                                            .what = "expire",
                                            .has_condition = true,
                                            .if_revision = pending->revision,
                                            .pends = HISTORY_PENDS_EXPIRE};
    daemon->expiring = !daemon_change(daemon, &expiry->change);
    if (!daemon->expiring)
        free(expiry);
}

static void on_expire(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    const struct history_pending *pending;

    if (!daemon->history)
        return;
    pending = history_pending(daemon->history);
    if (pending->revision && !daemon->expiring && pending->deadline_ms <= daemon_clock_ms() &&
        history_leads(daemon->history))
        take_back(daemon, pending);
    arm_expiry(daemon, AGAIN_MS);
}

/* `wait`: at least so long; ms. */
static void arm_expiry(struct daemon *daemon, uint64_t wait)
{
    const struct history_pending *pending =
        daemon->history ? history_pending(daemon->history) : NULL;
    int64_t left;

    if (!pending || !pending->revision || daemon->stopping) {
        uv_timer_stop(&daemon->expire);
        return;
    }
    left = pending->deadline_ms - daemon_clock_ms();
    if (left > (int64_t)wait)
        wait = left < LOOK_MS ? (uint64_t)left : LOOK_MS;
    uv_timer_start(&daemon->expire, on_expire, wait, 0);
}

void daemon_follow(struct daemon *daemon)
{
    if (!daemon->history || daemon->stopping)
        return;
    follow_latest(daemon);
    arm_expiry(daemon, 0);
}
