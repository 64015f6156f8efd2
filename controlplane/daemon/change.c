/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An apply, step by step: what was acknowledged anywhere is there to be read (barrier), a view of
 * the store, on a worker what is to be done (compile into an open transaction), into the store,
 * commit and stream. Whatever fails before the revision is stored leaves everything as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

#define TRIES_MAX 8u /* on new bases, when others make revisions too */

static struct daemon_change *change_of(struct job *job)
{
    return (struct daemon_change *)job;
}

/* ---- the end ---- */

/* Ends a plan that isn't to be committed, and what was to be stored with it. */
static void drop_plan(struct daemon_change *change)
{
    site_abort(change->job.daemon->engine, change->plan);
    change->plan = NULL;
    history_append_free(&change->append);
    change->append = (struct history_append){0};
}

static void note_failure(struct daemon_change *change)
{
    struct daemon *daemon = change->job.daemon;
    char problem[sizeof(daemon->problem)];

    if (change->error == CULVERT_EREJECTED || change->error == CULVERT_ECONFLICT ||
        change->error == CULVERT_EBUSY || change->error == CULVERT_ENOTFOUND)
        return;
    snprintf(problem, sizeof(problem), "%s: %s", change->what,
             change->problem[0] ? change->problem : culvert_strerror(change->error));
    if (strcmp(problem, daemon->problem) != 0) /* an expiry is tried again and again */
        log_error("%s", problem);
    memcpy(daemon->problem, problem, sizeof(problem));
}

static void note_audit(struct daemon_change *change)
{
    struct history_audit audit = {.time_ms = change->now,
                                  .author = change->author,
                                  .comment = change->comment,
                                  .caller = change->caller,
                                  .what = change->what,
                                  .outcome = change->problem[0] ? change->problem
                                                                : culvert_strerror(change->error)};

    if (!change->dry_run && change->was_read && change->job.daemon->history)
        history_note(change->job.daemon->history, &audit);
}

static void change_end(struct daemon_change *change)
{
    drop_plan(change);
    history_view_close(change->view);
    change->view = NULL;
    change->revision = change->job.daemon->revision;
    if (change->error) {
        note_failure(change);
        note_audit(change);
    }
    job_end(&change->job);
    change->ended(change);
}

void daemon_change_free(struct daemon_change *change)
{
    site_errors_free(&change->errors);
    free(change->diff);
}

/* ---- into the store ---- */

static void change_begin(struct job *job);

static void explain_failure(struct daemon_change *change, const char *why)
{
    const struct daemon *daemon = change->job.daemon;

    if (change->error == CULVERT_ECONFLICT)
        snprintf(change->problem, sizeof(change->problem),
                 "the site was changed meanwhile: look at `culvert history` and try again");
    else if (change->error == CULVERT_EBUSY)
        snprintf(change->problem, sizeof(change->problem),
                 "revision %llu waits to be confirmed: `culvert confirm`, or `culvert rollback` to "
                 "the one before",
                 (unsigned long long)history_pending(daemon->history)->revision);
    else if (change->error == CULVERT_ENOTLEADER)
        snprintf(change->problem, sizeof(change->problem),
                 "no node leads the site, so nothing was changed: are most of its voters up?");
    else if (change->error == CULVERT_EUNKNOWN)
        snprintf(change->problem, sizeof(change->problem),
                 "it is not known whether the revision was stored: look at `culvert history`");
    else
        snprintf(change->problem, sizeof(change->problem),
                 "the revision could not be stored, so nothing was changed: %s", why);
}

static void on_appended(struct history_append *append, int status)
{
    struct daemon_change *change = append->arg;
    struct daemon *daemon = change->job.daemon;

    if (!status) {
        daemon->problem[0] = 0;
        change->deadline_ms = append->deadline_ms;
        daemon_commit(daemon, change->plan, append->revision->number, change->author);
        change->plan = NULL;
        change_end(change);
        return;
    }
    drop_plan(change);
    if (status == CULVERT_ECONFLICT && !change->has_condition &&
        change->pends != HISTORY_PENDS_EXPIRE && ++change->tries < TRIES_MAX) {
        history_view_close(change->view);
        change->view = NULL;
        change_begin(&change->job);
        return;
    }
    change->error = daemon->store_error ? daemon->store_error : status;
    explain_failure(change, daemon->store_error ? daemon->store_problem : culvert_strerror(status));
    change_end(change);
}

/* ---- on the worker ---- */

/* Puts the revision together, as a patch if that will do. */
static void prepare_append(struct daemon_change *change)
{
    struct history_append *append = &change->append;
    bool whole = true;

    append->revision = site_plan_revision(change->plan);
    change->error = history_wants_whole(change->view, change->latest, append->revision, &whole);
    if (!change->error && whole)
        change->error = site_plan_whole(change->plan);
    if (change->error)
        return;
    append->revision->time_ms = change->now;
    append->revision->author = change->author;
    append->revision->comment = change->comment;
    append->blobs = site_plan_blobs(change->plan, &append->blob_count);
    append->base = change->latest;
    append->what = change->what;
    append->caller = change->caller;
    append->pends = change->pends;
    append->deadline_ms = change->confirm_ms ? change->now + (int64_t)change->confirm_ms : 0;
    append->done = on_appended;
    append->arg = change;
    change->error = history_append_prepare(append, change->view);
}

static void prepare_plan(struct daemon_change *change)
{
    struct site_engine *engine = change->job.daemon->engine;
    size_t paths;

    site_errors_free(&change->errors);
    free(change->diff);
    change->diff = NULL;
    change->error = site_prepare(engine, &change->source, history_view_blobs(change->view),
                                 change->now, &change->plan, &change->errors);
    if (change->error)
        return;
    change->changed = site_plan_changed(change->plan);
    change->diff = strdup(site_plan_diff(change->plan, &paths));
    if (!change->diff)
        change->error = CULVERT_ENOMEM;
    else if (change->changed && !change->dry_run)
        prepare_append(change);
    if (change->error || !change->changed || change->dry_run)
        drop_plan(change);
}

static void check_base(struct daemon_change *change)
{
    if (change->has_condition && change->if_revision != change->latest) {
        change->error = CULVERT_ECONFLICT;
        snprintf(change->problem, sizeof(change->problem), "the current revision is %llu, not %llu",
                 (unsigned long long)change->latest, (unsigned long long)change->if_revision);
    } else if (change->confirm_ms && !change->latest) {
        change->error = CULVERT_ECONFLICT;
        snprintf(change->problem, sizeof(change->problem),
                 "there is no revision to go back to: apply the first one without --confirm");
    }
}

static void change_work(struct job *job)
{
    struct daemon_change *change = change_of(job);
    struct daemon *daemon = job->daemon;

    change->now = daemon_clock_ms();
    if (!change->was_read)
        change->error = change->read(change, change->view);
    if (change->error)
        return;
    change->was_read = true;
    change->error = history_view_latest(change->view, &change->latest);
    if (!change->error && change->latest != daemon->revision) {
        change->adopted = change->latest;
        change->error = daemon_adopt(daemon, change->view, &change->adopted, &change->plan,
                                     change->problem, sizeof(change->problem));
        change->adopts = !change->error;
        return;
    }
    if (!change->error)
        check_base(change);
    if (!change->error)
        prepare_plan(change);
}

/* ---- on the loop ---- */

static void change_done(struct job *job)
{
    struct daemon_change *change = change_of(job);
    int error;

    if (change->adopts) {
        change->adopts = false;
        daemon_commit(job->daemon, change->plan, change->adopted, "another node");
        change->plan = NULL;
        job_work(job);
        return;
    }
    if (!change->plan) {
        change_end(change);
        return;
    }
    error = history_append_start(job->daemon->history, &change->append);
    if (error)
        on_appended(&change->append, error);
}

static void look(struct daemon_change *change)
{
    change->error = history_view_open(&change->view, change->job.daemon->history);
    if (change->error)
        change_end(change);
    else
        job_work(&change->job);
}

static void on_current(void *arg, int status)
{
    struct daemon_change *change = arg;
    struct daemon *daemon = change->job.daemon;

    if (!status || change->dry_run) { /* what this node has is good enough to look at */
        change->error = 0;
        look(change);
        return;
    }
    change->error = daemon->store_error ? daemon->store_error : status;
    explain_failure(change, daemon->store_error ? daemon->store_problem : culvert_strerror(status));
    change_end(change);
}

static void change_begin(struct job *job)
{
    struct daemon_change *change = change_of(job);
    struct daemon *daemon = job->daemon;
    char why[300];

    change->error = daemon_may_store(daemon, why, sizeof(why));
    if (change->error && (!change->dry_run || !daemon->history)) {
        explain_failure(change, why);
        change_end(change);
        return;
    }
    change->error = 0;
    if (daemon->store_error) {
        look(change);
        return;
    }
    change->error = kv_service_barrier(cluster_service(daemon->cluster), on_current, change);
    if (change->error)
        on_current(change, change->error);
}

int daemon_change(struct daemon *daemon, struct daemon_change *change)
{
    change->job = (struct job){
        .start = change_begin, .work = change_work, .done = change_done, .writes = true};
    return daemon_submit(daemon, &change->job);
}
