/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the NEXTHOP table: for every backend the way there, as the kernel's routes and neighbours
 * say it. (Measured: bpf_fib_lookup() costs 105-120 ns a packet and asks for forwarding sysctls,
 * this table 2-5 ns; docs/decisions/0004.)
 *
 * Work is queued by backend and done in bounded steps, so that 65,536 backends and a busy routing
 * daemon can't hold up the event loop. A way once known stays in the table until the kernel says
 * that it is gone: a driver that takes over must not forget what its predecessor knew.
 */
#ifndef CULVERT_KERNEL_NEXTHOPS_H
#define CULVERT_KERNEL_NEXTHOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/tables/tables.h"

struct nexthops;

/* All three are borrowed and outlive the next hops. */
int nexthops_new(struct nexthops **out, struct tables *tables, struct rtnl *rtnl,
                 const struct devices *devices);
void nexthops_free(struct nexthops *nexthops);

/* The BACKEND table has changed: takes up new ones, forgets those that are gone. */
void nexthops_sync(struct nexthops *nexthops);

/* An RTM_*NEIGH or RTM_*ROUTE message. */
void nexthops_event(struct nexthops *nexthops, const struct nlmsghdr *message);

/* Asks for everything anew (addresses, rules or devices changed, events were lost). */
void nexthops_refresh(struct nexthops *nexthops);

/* Does up to `budget` backends' work; no transaction may be open. True: there is more to do. */
bool nexthops_work(struct nexthops *nexthops, size_t budget);
bool nexthops_idle(const struct nexthops *nexthops);

/* True once after anything that the status shows has changed. */
bool nexthops_take_changed(struct nexthops *nexthops);

struct nexthops_count {
    size_t backends, resolved;
    int error; /* of the last put: the region is full; else 0 */
};
void nexthops_count(const struct nexthops *nexthops, struct nexthops_count *count);

/* Calls `each` for backends without a next hop, at most `max` of them. `why` is valid during the
 * call. */
typedef void (*nexthops_each_fn)(void *arg, uint32_t number, const uint8_t address[16],
                                 const char *why);
void nexthops_unresolved(const struct nexthops *nexthops, size_t max, nexthops_each_fn each,
                         void *arg);

#endif
