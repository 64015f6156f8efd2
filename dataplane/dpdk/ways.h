/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways back to clients (mode nat): what XDP asks the kernel for packet by packet
 * (bpf_fib_lookup), kept here as a cache that workers read. What isn't in it goes the kernel's way
 * (through the TAP) until the event loop has asked for it. Any change of the kernel's routes,
 * neighbours or addresses empties it, and nothing in it is older than a second.
 */
#ifndef CULVERT_DPDK_WAYS_H
#define CULVERT_DPDK_WAYS_H

#include <uv.h>

#include "dataplane/fastpath/region.h"
#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"

struct ways;

/* Both are borrowed. CULVERT_ENOMEM. */
int ways_new(struct ways **out, struct rtnl *rtnl, const struct devices *devices);
void ways_free(struct ways *ways); /* no worker runs, the loop has been left */

/* Has the loop answer the workers' questions. Returns 0, or CULVERT_ESYSTEM. */
int ways_enter(struct ways *ways, uv_loop_t *loop);
void ways_leave(struct ways *ways);

/* The kernel's tables have changed. */
void ways_forget(struct ways *ways);

/* fp_env.route of a worker: 1 with the way (ifindex 0: the kernel's), 0: an address of this
 * machine. `arg` is the struct ways. */
int ways_find(void *arg, const fp_u8 address[16], struct fp_nexthop *out);

#endif
