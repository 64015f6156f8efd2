/* SPDX-License-Identifier: Apache-2.0 */
/* XDP as a driver of plane/plane.h: interfaces by BPF links, ports in the program's map. */
#ifndef CULVERT_XDP_DRIVER_H
#define CULVERT_XDP_DRIVER_H

#include "dataplane/plane/instance.h"
#include "dataplane/tables/tables.h"
#include "dataplane/xdp/program.h"

/* Runs until SIGTERM, SIGINT or a hand-over; what is attached stays so. The tables are the
 * program's region. Returns 0, or an error after having logged it. */
int driver_run(const struct instance *instance, struct program *program, struct tables *tables);

#endif
