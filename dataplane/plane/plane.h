/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running data plane, whatever carries its packets: the event loop over culvertd's channel, the
 * kernel's notifications, the clock and signals. Events only note what they touch; each turn of
 * the loop then settles it, in bounded pieces, so that a burst costs as much as one event.
 *
 * What differs between data planes is the driver: the interfaces.
 */
#ifndef CULVERT_PLANE_PLANE_H
#define CULVERT_PLANE_PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/plane/instance.h"
#include "dataplane/plane/status.h"
#include "dataplane/tables/tables.h"

/* All calls come from the loop's thread. `arg` is the driver's own. */
struct plane_driver {
    const char *name; /* "xdp", "dpdk" */
    void *arg;
    /* Called once, before all else, with what the driver may use until plane_run() returns. */
    int (*open)(void *arg, struct tables *tables, struct rtnl *rtnl, struct devices *devices);
    void (*close)(void *arg);
    /* Marks the devices that frames may be sent out of (takes_frames). True: a mark changed. */
    bool (*ports)(void *arg);
    /* Makes the interfaces agree with the INTERFACE table, which has changed. */
    void (*sync)(void *arg);
    /* Tries again what is not as it should be: after a device changed, or by the clock. */
    void (*retry)(void *arg);
    /* True once after anything that the status shows has changed. */
    bool (*take_changed)(void *arg);
    /* The kernel's routes, neighbours, addresses or devices have changed. NULL: no matter. */
    void (*kernel_changed)(void *arg);
    /* Opens and closes what the driver has in the loop. NULL: nothing. */
    int (*enter)(void *arg, uv_loop_t *loop);
    void (*leave)(void *arg);
    /* The kernel's number of an interface by which packets come in; 0 stands for any. */
    uint32_t (*ifindex)(void *arg, uint32_t ifindex);
    /* The interfaces for the status, valid until the next call. */
    size_t (*status)(void *arg, struct status_interface out[STATUS_INTERFACES_MAX]);
    /* What the process was started with, valid until the next call. NULL: nothing to tell. */
    void (*settings)(void *arg, struct status_settings *out);
};

struct plane_options {
    const struct plane_driver *driver;
    const struct instance *instance; /* whose lock is held */
    struct tables *tables;
    bool filled;         /* the region may be run at once, not only when culvertd has filled it */
    const char *leaving; /* what becomes of the traffic when the process ends; for the log */
};

/* Runs until SIGTERM, SIGINT or a hand-over. All is borrowed. Returns 0, or an error after having
 * logged it. */
int plane_run(const struct plane_options *options);

#endif
