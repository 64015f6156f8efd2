/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would become of a frame: the fast path's own code, run here over the live region. Nothing is
 * counted, metered or noted.
 */
#ifndef CULVERT_PLANE_EXPLAIN_H
#define CULVERT_PLANE_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/tables/tables.h"

#define EXPLAIN_FRAME_MAX 9216u /* bytes */

/* {"verdict", "reason", "text", "steps": [{"stage", "what", "a", "b"}], "frame": "hex"}, or
 * {"error": "..."}; malloc'ed and NUL-terminated. NULL: out of memory. `rtnl` and `devices` answer
 * the fast path's questions for the kernel's way to an address. */
char *explain_frame(struct tables *tables, struct rtnl *rtnl, const struct devices *devices,
                    uint32_t ifindex, const void *frame, size_t length);

#endif
