/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/pace.h"

#include "dataplane/pktgen/clock.h"

#define NS_PER_S ((double)PKTGEN_NS_PER_S)
#define TICK_NS 200000 /* a paced thread wakes this often, at most */
#define BEHIND_S 0.1   /* what a late sender catches up on, at most */

/* One sender's part of the packets: what --count says, or what the rate gives in the time. */
static uint64_t limit(const struct options *options, unsigned number, unsigned count)
{
    double timed = options->rate * (double)options->duration_ms / 1000;
    uint64_t total = options->count;

    if (options->rate > 0 && options->duration_ms && (!total || timed < (double)total))
        total = timed < 1 ? 1 : (uint64_t)timed;
    return total ? (total + number) / count : UINT64_MAX;
}

void pace_start(struct pace *pace, const struct options *options, unsigned number, unsigned count,
                uint64_t start)
{
    uint64_t duration = options->duration_ms * 1000000;

    pace->rate = options->rate / count;
    pace->limit = limit(options, number, count);
    pace->origin = start;
    /* Paced packets end by their number; time only ends a rate that can't be reached. */
    if (pace->rate > 0 && duration)
        duration += PKTGEN_NS_PER_S / 10 + (uint64_t)(NS_PER_S / pace->rate);
    pace->end = duration ? start + duration : UINT64_MAX;
}

uint32_t pace_due(struct pace *pace, uint64_t now, uint64_t sent, uint32_t most)
{
    double due;

    if (pace->limit - sent < most)
        most = (uint32_t)(pace->limit - sent);
    if (pace->rate <= 0)
        return most;
    due = (double)(now - pace->origin) * pace->rate / NS_PER_S - (double)sent;
    if (due > pace->rate * BEHIND_S && due > most) {
        /* Too far behind to catch up: the rate counts from here on. */
        pace->origin = now - (uint64_t)((double)sent / pace->rate * NS_PER_S);
        due = most;
    }
    if (due < 1)
        return 0;
    return due < most ? (uint32_t)due : most;
}

uint64_t pace_next(const struct pace *pace, uint64_t sent)
{
    double tick = pace->rate * TICK_NS / NS_PER_S;

    return pace->origin +
           (uint64_t)(((double)sent + (tick > 1 ? tick : 1)) / pace->rate * NS_PER_S) + 1;
}
