/* SPDX-License-Identifier: Apache-2.0 */
/* A commit of the tables and what follows: the stream, listeners, the marks of moving buckets. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

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
    remote_follow(daemon);
    arm_tick(daemon);
}

static void clean_work(struct job *job)
{
    site_clean(job->daemon->engine);
}

static void clean_done(struct job *job)
{
    job_end(job);
    free(job);
}

/* What was replaced goes on a worker: the loop has others to serve. Without it, the next commit
 * does it. */
static void clean_later(struct daemon *daemon)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return;
    *job = (struct job){.work = clean_work, .done = clean_done};
    if (daemon_submit(daemon, job))
        free(job);
}

void daemon_commit(struct daemon *daemon, struct site_plan *plan, uint64_t revision,
                   const char *author)
{
    struct site_changes changes;

    planes_hold(daemon->planes, false);
    daemon->revision = revision;
    daemon->generation++;
    site_commit(daemon->engine, plan, daemon->generation, &changes);
    log_info("revision %llu: %zu table changes, generation %llu, by %s",
             (unsigned long long)daemon->revision, changes.count,
             (unsigned long long)daemon->generation, author);
    daemon_publish_settings(daemon);
    planes_update(daemon->planes);
    daemon_after_commit(daemon);
    clean_later(daemon);
}
