/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to data planes: counters and explain. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/clock.h"
#include "controlplane/base/error.h"
#include "controlplane/planes/internal.h"

#define STATS_FRESH_NS 200000000ull
#define STATS_WAIT_MS 1000u
#define EXPLAIN_WAIT_MS 2000u

static uint32_t next_cookie(struct planes *planes)
{
    if (!++planes->cookie)
        planes->cookie = 1;
    return planes->cookie;
}

/* The place of a counter in a plane's flat array, or PLANES_COUNTERS: no such. */
static size_t counter_index(unsigned kind, unsigned number)
{
    static const size_t count[] = {FP_COUNT_REASONS, FP_COUNT_VIPS, FP_COUNT_BACKENDS,
                                   FP_COUNT_ZONES, FP_COUNT_LIMITS};
    size_t base = 0;

    if (kind >= sizeof(count) / sizeof(count[0]) || number >= count[kind])
        return PLANES_COUNTERS;
    for (unsigned i = 0; i < kind; i++)
        base += count[i];
    return base + number;
}

struct fp_counter planes_counter(struct planes *planes, enum channel_stat_kind kind,
                                 unsigned number)
{
    size_t index = counter_index(kind, number);
    struct fp_counter sum = {0};

    for (struct plane *plane = planes->list; plane; plane = plane->next) {
        if (!plane->counters || index == PLANES_COUNTERS || !plane_is_current(plane))
            continue;
        sum.packets += plane->counters[index].packets;
        sum.bytes += plane->counters[index].bytes;
    }
    return sum;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct planes *planes)
{
    uint64_t now = uv_now(planes->loop), next = planes->stats_deadline;

    for (unsigned i = 0; i < PLANES_ASKS_MAX; i++) {
        struct explain_ask *ask = &planes->explain_asks[i];

        if (ask->plane && (!next || ask->deadline < next))
            next = ask->deadline;
    }
    if (planes->closing)
        return;
    if (next)
        uv_timer_start(&planes->timer, on_timer, next > now ? next - now : 1, 0);
    else
        uv_timer_stop(&planes->timer);
}

/* ---- counters ---- */

static void stats_end(struct planes *planes)
{
    struct stats_ask asks[PLANES_ASKS_MAX];
    unsigned count = planes->stats_ask_count;

    planes->stats_deadline = 0;
    planes->stats_time_ns = clock_ns();
    planes->stats_ask_count = 0;
    memcpy(asks, planes->stats_asks, sizeof(asks));
    for (unsigned i = 0; i < count; i++)
        asks[i].done(asks[i].arg, planes->stats_time_ns);
}

static void stats_check(struct planes *planes)
{
    if (!planes->stats_deadline)
        return;
    for (struct plane *plane = planes->list; plane; plane = plane->next)
        if (plane->stats_cookie)
            return;
    stats_end(planes);
    arm_timer(planes);
}

static void ask_plane_stats(struct plane *plane, uint32_t cookie)
{
    if (!plane->fresh)
        plane->fresh = calloc(PLANES_COUNTERS, sizeof(*plane->fresh));
    if (!plane->fresh || channel_sync_ask_stats(plane->sync, cookie))
        return;
    memset(plane->fresh, 0, PLANES_COUNTERS * sizeof(*plane->fresh));
    plane->stats_cookie = cookie;
}

int planes_ask_stats(struct planes *planes, planes_stats_fn done, void *arg)
{
    uint32_t cookie;

    if (planes->stats_time_ns && clock_ns() - planes->stats_time_ns < STATS_FRESH_NS) {
        done(arg, planes->stats_time_ns);
        return 0;
    }
    if (planes->stats_ask_count == PLANES_ASKS_MAX)
        return CULVERT_EFULL;
    planes->stats_asks[planes->stats_ask_count++] = (struct stats_ask){done, arg};
    if (planes->stats_deadline)
        return 0;
    planes->stats_deadline = uv_now(planes->loop) + STATS_WAIT_MS;
    planes->stats_held = planes->held;
    cookie = next_cookie(planes);
    for (struct plane *plane = planes->list; plane; plane = plane->next)
        if (plane->greeted && plane->sync && plane_is_current(plane))
            ask_plane_stats(plane, cookie);
    for (struct plane *plane = planes->list; plane; plane = plane->next)
        if (plane->stats_cookie == cookie)
            plane_pump(plane);
    arm_timer(planes);
    stats_check(planes);
    return 0;
}

void plane_on_stats(void *arg, uint32_t cookie, const struct channel_stat *stats, size_t count,
                    bool more)
{
    struct plane *plane = arg;
    struct fp_counter *whole;

    if (!cookie || cookie != plane->stats_cookie)
        return; /* too late */
    for (size_t i = 0; i < count; i++) {
        size_t index = counter_index(stats[i].kind, stats[i].number);

        if (index < PLANES_COUNTERS)
            plane->fresh[index] = (struct fp_counter){stats[i].packets, stats[i].bytes};
    }
    if (more)
        return;
    whole = plane->fresh;
    plane->fresh = plane->counters;
    plane->counters = whole;
    plane->stats_cookie = 0;
    stats_check(plane->planes);
}

/* ---- explain ---- */

static void explain_end(struct explain_ask *ask, int error, const char *json, size_t length)
{
    planes_explain_fn done = ask->done;

    ask->plane = NULL;
    done(ask->arg, error, json, length);
}

int planes_ask_explain(struct planes *planes, const char *name, uint32_t ifindex, const void *frame,
                       size_t length, planes_explain_fn done, void *arg)
{
    struct explain_ask *ask = planes->explain_asks;
    struct plane *plane = planes->list;
    uint32_t cookie = next_cookie(planes);

    while (plane && !(plane->sync && plane->greeted && (!name || !strcmp(plane->name, name))))
        plane = plane->next;
    if (!plane)
        return CULVERT_ENOTFOUND;
    while (ask < planes->explain_asks + PLANES_ASKS_MAX && ask->plane)
        ask++;
    if (ask == planes->explain_asks + PLANES_ASKS_MAX ||
        channel_sync_ask_explain(plane->sync, cookie, ifindex, frame, length))
        return CULVERT_EFULL;
    *ask = (struct explain_ask){plane, cookie, uv_now(planes->loop) + EXPLAIN_WAIT_MS, done, arg};
    arm_timer(planes);
    plane_pump(plane);
    return 0;
}

void plane_on_explained(void *arg, uint32_t cookie, const char *json, size_t length)
{
    struct plane *plane = arg;
    struct planes *planes = plane->planes;

    for (unsigned i = 0; i < PLANES_ASKS_MAX; i++) {
        struct explain_ask *ask = &planes->explain_asks[i];

        if (ask->plane == plane && ask->cookie == cookie)
            explain_end(ask, 0, json, length);
    }
    arm_timer(planes);
}

/* ---- ends ---- */

static void give_up_stats(struct plane *plane)
{
    if (plane->stats_cookie && !plane->silent_since && !plane->planes->stats_held)
        plane->silent_since = plane->planes->stats_deadline - STATS_WAIT_MS;
    plane->stats_cookie = 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct planes *planes = timer->data;
    uint64_t now = uv_now(planes->loop);

    for (unsigned i = 0; i < PLANES_ASKS_MAX; i++) {
        struct explain_ask *ask = &planes->explain_asks[i];

        if (ask->plane && ask->deadline <= now)
            explain_end(ask, CULVERT_ETIMEOUT, NULL, 0);
    }
    if (planes->stats_deadline && planes->stats_deadline <= now) {
        for (struct plane *plane = planes->list; plane; plane = plane->next)
            give_up_stats(plane);
        stats_end(planes);
    }
    arm_timer(planes);
}

void planes_ask_plane_gone(struct planes *planes, struct plane *plane)
{
    for (unsigned i = 0; i < PLANES_ASKS_MAX; i++)
        if (planes->explain_asks[i].plane == plane)
            explain_end(&planes->explain_asks[i], CULVERT_ENOTFOUND, NULL, 0);
    plane->stats_cookie = 0;
    stats_check(planes);
}
