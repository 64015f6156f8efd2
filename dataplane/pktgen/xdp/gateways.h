/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to targets as the kernel would choose them. */
#ifndef CULVERT_PKTGEN_XDP_GATEWAYS_H
#define CULVERT_PKTGEN_XDP_GATEWAYS_H

#include <stdint.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/pktgen/gateway.h"
#include "dataplane/pktgen/options.h"

struct gateways {
    const struct options *options;
    struct rtnl rtnl;
    struct devices devices;
    uint32_t ifindex;
};

/* Opens rtnetlink and checks that the interface is there, carries Ethernet and is up; keeps
 * `options`. An error has been told on standard error. Ends with gateways_close(). */
int gateways_open(struct gateways *gateways, const struct options *options);
void gateways_close(struct gateways *gateways);

/* Finds the way to a target; waits up to two seconds for the kernel to resolve the neighbour. An
 * error has been told on standard error. */
int gateways_find(struct gateways *gateways, const struct address *target, struct gateway *gateway);

#endif
