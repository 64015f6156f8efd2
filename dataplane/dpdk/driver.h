/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK as a driver of plane/plane.h. */
#ifndef CULVERT_DPDK_DRIVER_H
#define CULVERT_DPDK_DRIVER_H

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/dpdk/settings.h"
#include "dataplane/plane/instance.h"
#include "dataplane/tables/tables.h"

/* Runs until SIGTERM, SIGINT or a hand-over. All is borrowed. Returns 0, or an error after having
 * logged it. */
int driver_run(const struct instance *instance, struct ports *ports, struct tables *tables,
               struct settings_watch *watch, const struct eal_plan *plan);

#endif
