/* SPDX-License-Identifier: Apache-2.0 */
/* The Ethernet header and our address on the way to a target, as the kernel would choose them. */
#ifndef CULVERT_PKTGEN_GATEWAY_H
#define CULVERT_PKTGEN_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/base/units.h"
#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/pktgen/options.h"

struct gateway {
    uint8_t dmac[6], smac[6];
    uint16_t vlan;      /* 0, or 0x1000 | VLAN id */
    uint8_t source[16]; /* all 0: none known */
};

struct gateways {
    struct rtnl rtnl;
    struct devices devices;
    uint32_t ifindex;
};

/* Opens rtnetlink and checks that the interface is there, carries Ethernet and is up. An error
 * has been told on standard error. Ends with gateways_close(). */
int gateways_open(struct gateways *gateways, const char *interface);
void gateways_close(struct gateways *gateways);

/* Finds the way to a target; waits up to two seconds for the kernel to resolve the neighbour. An
 * error has been told on standard error. */
int gateway_find(struct gateways *gateways, const struct options *options,
                 const struct address *target, struct gateway *gateway);

#endif
