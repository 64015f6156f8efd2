/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees what transactions and local changes have replaced, when the data plane is idle. The wait
 * for packets under way (XDP: 5-30 ms) is spent in a thread, so that the next transaction doesn't.
 */
#ifndef CULVERT_PLANE_RECLAIM_H
#define CULVERT_PLANE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "dataplane/tables/tables.h"

struct reclaim {
    struct tables *tables;
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    bool waiting, stopped;
    uint64_t replaced, waited; /* changes noted, and covered by the wait under way */
};

/* Nothing is noted yet. Both are borrowed. */
void reclaim_start(struct reclaim *reclaim, uv_loop_t *loop, struct tables *tables);

/* Something was replaced: what it held is freed a little later. */
void reclaim_note(struct reclaim *reclaim);

/* Closes the timer; the loop runs on until a wait under way has ended. */
void reclaim_stop(struct reclaim *reclaim);

#endif
