/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/reclaim.h"

#include "dataplane/plane/grace.h"

#define RECLAIM_MS 20 /* after the last change */

static void wait_in_thread(uv_work_t *work)
{
    grace_wait(NULL);
}

static void on_waited(uv_work_t *work, int status)
{
    struct reclaim *reclaim = work->data;

    reclaim->waiting = false;
    if (reclaim->stopped || status)
        return;
    if (tables_is_open(reclaim->tables) || reclaim->replaced != reclaim->waited) {
        uv_timer_again(&reclaim->timer); /* the wait does not cover what came meanwhile */
        return;
    }
    grace_cover(true);
    tables_reclaim(reclaim->tables);
    grace_cover(false);
}

static void on_idle(uv_timer_t *timer)
{
    struct reclaim *reclaim = timer->data;

    if (reclaim->waiting || tables_is_open(reclaim->tables))
        return;
    uv_timer_stop(timer);
    reclaim->waited = reclaim->replaced;
    reclaim->waiting = uv_queue_work(reclaim->loop, &reclaim->work, wait_in_thread, on_waited) == 0;
}

void reclaim_start(struct reclaim *reclaim, uv_loop_t *loop, struct tables *tables)
{
    reclaim->tables = tables;
    reclaim->loop = loop;
    reclaim->work.data = reclaim;
    uv_timer_init(loop, &reclaim->timer);
    reclaim->timer.data = reclaim;
}

void reclaim_note(struct reclaim *reclaim)
{
    reclaim->replaced++;
    uv_timer_start(&reclaim->timer, on_idle, RECLAIM_MS, RECLAIM_MS);
}

void reclaim_stop(struct reclaim *reclaim)
{
    reclaim->stopped = true;
    uv_close((uv_handle_t *)&reclaim->timer, NULL);
}
