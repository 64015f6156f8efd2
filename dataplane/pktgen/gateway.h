/* SPDX-License-Identifier: Apache-2.0 */
/* The Ethernet header and our address on the way to a target. */
#ifndef CULVERT_PKTGEN_GATEWAY_H
#define CULVERT_PKTGEN_GATEWAY_H

#include <stdint.h>

#include "controlplane/base/units.h"

#define GATEWAY_TAGGED 0x1000u

struct gateway {
    uint8_t dmac[6], smac[6];
    uint16_t vlan;      /* 0, or GATEWAY_TAGGED | VLAN id */
    uint8_t source[16]; /* all 0: none known */
};

/* Finds the way to a target; waits up to some seconds for a neighbour's answer. An error has been
 * told on standard error. */
typedef int (*gateway_find)(void *arg, const struct address *target, struct gateway *gateway);

#endif
