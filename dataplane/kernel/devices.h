/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's network devices, as rtnetlink tells them. */
#ifndef CULVERT_KERNEL_DEVICES_H
#define CULVERT_KERNEL_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/kernel/rtnl.h"

#define DEVICE_NAME_BYTES 16 /* IFNAMSIZ */

struct device {
    uint32_t ifindex;
    char name[DEVICE_NAME_BYTES];
    char kind[DEVICE_NAME_BYTES]; /* "veth", "vlan", "bridge", ...; empty: a physical device */
    uint8_t mac[6];
    uint16_t type;     /* ARPHRD_* */
    uint16_t vlan;     /* of kind vlan: its id */
    uint32_t flags;    /* IFF_* */
    uint32_t mtu;      /* bytes of the L3 packet */
    uint32_t parent;   /* ifindex of the device below, in this namespace; 0: none */
    uint32_t xdp;      /* id of the XDP program on it; 0: none, or several */
    bool takes_frames; /* of XDP; set by ports_update(), not by the kernel's messages */
};

struct devices {
    struct device *all;
    size_t count, capacity;
};

/* Reads them all anew. Returns 0 or an error of rtnl_talk(). */
int devices_load(struct devices *devices, struct rtnl *rtnl);
void devices_free(struct devices *devices);

/* Takes one RTM_NEWLINK or RTM_DELLINK. True when anything that struct device holds changed;
 * `changed` then has the device as it is (or was). */
bool devices_update(struct devices *devices, const struct nlmsghdr *message,
                    struct device *changed);

/* NULL when there is none. Valid until the next load or update. */
const struct device *device_by_index(const struct devices *devices, uint32_t ifindex);
const struct device *device_by_name(const struct devices *devices, const char *name);

/* True when the device can carry packets now: up, and its carrier too. */
bool device_is_up(const struct device *device);

#endif
