/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that frames may be redirected to: the program's map `ports`, by ifindex. */
#ifndef CULVERT_XDP_PORTS_H
#define CULVERT_XDP_PORTS_H

#include <stdbool.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/xdp/interfaces.h"

#define PORTS_MAX 64 /* max_entries of the map */

/* Asks which devices take frames (NETDEV_XDP_ACT_NDO_XMIT; those we are attached to; any, when an
 * interface runs in generic mode), marks them so (takes_frames) and makes the map agree. True when
 * any mark changed. */
bool ports_update(int map, struct devices *devices, const struct interfaces *interfaces);

#endif
