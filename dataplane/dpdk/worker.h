/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The polling cores: each runs its queues to completion, receive, fast path, send, and shares
 * nothing that is written but the meters and flows. An idle one sleeps, first for moments, then
 * longer, so that it does not burn its core.
 */
#ifndef CULVERT_DPDK_WORKER_H
#define CULVERT_DPDK_WORKER_H

#include <stdint.h>

#include "dataplane/dpdk/ports.h"
#include "dataplane/dpdk/ways.h"

/* Starts them all over the region at `base`, on the layout that `ports` publishes; `ways` NULL:
 * the kernel knows the ways to clients, nobody else. Returns 0, or
 * CULVERT_ENOMEM. */
int workers_start(const struct ports *ports, void *base, struct ways *ways);

/* Ends them and waits for that. */
void workers_stop(void);

/* How many frames a worker has taken in, from NICs and TAPs. In any thread, while they run. */
uint64_t worker_frames(unsigned number);

/* Returns when every frame that a worker held at the call is done with. In any thread. */
void workers_wait(void);

#endif
