/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An apply: compile into an open transaction, store the revision, commit, stream. Whatever fails
 * before the revision is on the disk leaves everything as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

static void store_failed(struct daemon *daemon, struct daemon_change *change)
{
    const char *detail = store_problem(daemon->store);

    snprintf(change->problem, sizeof(change->problem),
             "the revision could not be stored, so nothing was changed: %s",
             *detail ? detail : culvert_strerror(change->error));
}

/* Ends a plan that isn't to be committed. */
static void drop_plan(struct daemon *daemon, struct daemon_change *change)
{
    site_abort(daemon->engine, change->plan);
    change->plan = NULL;
}

static void store_plan(struct daemon *daemon, struct daemon_change *change)
{
    struct store_revision *revision = site_plan_revision(change->plan);
    const struct store_blob *blobs;
    size_t count;

    blobs = site_plan_blobs(change->plan, &count);
    revision->time_ms = change->now;
    revision->author = change->author;
    revision->comment = change->comment;
    change->error = store_append(daemon->store, revision, blobs, count);
    if (change->error) {
        store_failed(daemon, change);
        drop_plan(daemon, change);
        return;
    }
    change->revision = revision->number;
}

void daemon_change_work(struct daemon *daemon, struct daemon_change *change)
{
    size_t paths;

    change->revision = store_latest(daemon->store);
    if (change->has_condition && change->if_revision != change->revision) {
        change->error = CULVERT_ECONFLICT;
        snprintf(change->problem, sizeof(change->problem), "the current revision is %llu, not %llu",
                 (unsigned long long)change->revision, (unsigned long long)change->if_revision);
        return;
    }
    change->error =
        site_prepare(daemon->engine, &change->source, change->now, &change->plan, &change->errors);
    if (change->error) {
        change->plan = NULL;
        return;
    }
    change->changed = site_plan_changed(change->plan);
    change->diff = strdup(site_plan_diff(change->plan, &paths));
    if (!change->diff) {
        change->error = CULVERT_ENOMEM;
        drop_plan(daemon, change);
    } else if (change->dry_run || !change->changed) {
        drop_plan(daemon, change);
    } else {
        store_plan(daemon, change);
    }
}

void daemon_change_finish(struct daemon *daemon, struct daemon_change *change)
{
    struct site_changes changes;

    if (!change->plan) {
        if (change->error && change->error != CULVERT_EREJECTED &&
            change->error != CULVERT_ECONFLICT) {
            snprintf(daemon->problem, sizeof(daemon->problem), "apply: %s",
                     change->problem[0] ? change->problem : culvert_strerror(change->error));
            log_error("%s", daemon->problem);
        }
        return;
    }
    daemon->problem[0] = 0;
    daemon->revision = change->revision;
    daemon->generation++;
    site_commit(daemon->engine, change->plan, daemon->generation, &changes);
    change->plan = NULL;
    log_info("revision %llu: %zu table changes, generation %llu, by %s",
             (unsigned long long)daemon->revision, changes.count,
             (unsigned long long)daemon->generation, change->author);
    daemon_publish_settings(daemon);
    planes_update(daemon->planes);
    daemon_after_commit(daemon);
}

void daemon_change_free(struct daemon_change *change)
{
    site_errors_free(&change->errors);
    free(change->diff);
}

/* ---- after a commit ---- */

#define LISTEN_RETRY_MS 5000u

int64_t daemon_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void listen_dns(struct daemon *daemon);

static void on_listen_timer(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    if (daemon_is_written(daemon)) /* the list is the engine's */
        uv_timer_start(timer, on_listen_timer, 100, 0);
    else
        listen_dns(daemon);
}

static void listen_dns(struct daemon *daemon)
{
    const struct address *addresses;
    size_t count = site_listen(daemon->engine, &addresses);
    struct dns_listen *list = calloc(count + 1, sizeof(*list));

    for (size_t i = 0; list && i < count; i++) {
        memcpy(list[i].address, addresses[i].bytes, sizeof(list[i].address));
        list[i].port = 53;
    }
    if (!list || dns_server_set_listen(daemon->dns, list, count))
        uv_timer_start(&daemon->listen, on_listen_timer, LISTEN_RETRY_MS, 0);
    else
        uv_timer_stop(&daemon->listen);
    free(list);
}

static void arm_tick(struct daemon *daemon);

static void on_tick(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct site_changes changes;
    int count = daemon_is_written(daemon) ? CULVERT_EBUSY
                                          : site_tick(daemon->engine, daemon->generation + 1,
                                                      daemon_clock_ms(), &changes);

    if (count < 0) {
        uv_timer_start(timer, on_tick, 200, 0);
        return;
    }
    if (count > 0) {
        daemon->generation++;
        planes_update(daemon->planes);
    }
    arm_tick(daemon);
}

static void arm_tick(struct daemon *daemon)
{
    int64_t deadline = site_deadline(daemon->engine), now = daemon_clock_ms();

    if (deadline < 0)
        uv_timer_stop(&daemon->tick);
    else
        uv_timer_start(&daemon->tick, on_tick, deadline > now ? (uint64_t)(deadline - now) : 1, 0);
}

void daemon_after_commit(struct daemon *daemon)
{
    site_counts(daemon->engine, &daemon->counts);
    listen_dns(daemon);
    arm_tick(daemon);
}
