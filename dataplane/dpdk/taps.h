/* SPDX-License-Identifier: Apache-2.0 */
/* The TAP devices that outlive the process: marked by an alias, so that only ours are removed. */
#ifndef CULVERT_DPDK_TAPS_H
#define CULVERT_DPDK_TAPS_H

#include <stdint.h>

#include "dataplane/kernel/rtnl.h"

/* Returns 0 or an error of rtnl_talk(). */
int taps_mark(struct rtnl *rtnl, uint32_t ifindex);

/* Removes those that are marked. Returns how many, or an error. */
int taps_remove(struct rtnl *rtnl);

#endif
