/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running driver: the event loop over culvertd's channel, the kernel's notifications, the
 * clock and signals. Events only note what they touch; each turn of the loop then settles it, in
 * bounded pieces, so that a burst costs as much as one event.
 */
#ifndef CULVERT_XDP_DRIVER_H
#define CULVERT_XDP_DRIVER_H

#include "dataplane/tables/tables.h"
#include "dataplane/xdp/options.h"
#include "dataplane/xdp/program.h"

/* Runs until SIGTERM, SIGINT or a hand-over; what is attached stays so. The tables are the
 * program's region; `recovered` tells whether it was in use before. Returns 0, or an error after
 * having logged it. */
int driver_run(const struct options *options, struct program *program, struct tables *tables);

#endif
