/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's way to an address, put together to what the fast path needs to send there itself:
 * route (RTM_GETROUTE), neighbour (RTM_GETNEIGH) and device.
 *
 * Neighbours that the fast path uses are marked NTF_EXT_MANAGED: the kernel then keeps them
 * resolved by itself, although it sees none of the traffic, also while no culvert-xdp runs.
 */
#ifndef CULVERT_KERNEL_ROUTES_H
#define CULVERT_KERNEL_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/fastpath/region.h"
#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"

struct route {
    uint8_t gateway[16]; /* the address whose neighbour entry counts */
    uint8_t source[16];  /* ours on that path; all 0: none */
    uint32_t ifindex;    /* of the device that the route names */
    uint32_t mtu;        /* of the route; 0: as the device's */
    bool onlink;         /* gateway is the address itself */
};

/* Asks for the way to `address`. Returns 0; CULVERT_ENOTFOUND: there is none that leads to another
 * machine; `why` is a static text. */
int route_find(struct rtnl *rtnl, const uint8_t address[16], struct route *route, const char **why);

struct neighbour {
    uint16_t state; /* NUD_*; 0: no entry */
    bool ours;      /* made by us: RTNL_PROTOCOL_CULVERT */
    uint8_t mac[6];
};

/* True when packets may be sent to the neighbour's MAC address. */
bool neighbour_is_usable(const struct neighbour *neighbour);

/* Asks for one entry. No entry is no error: its state is 0. */
int neighbour_find(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16],
                   struct neighbour *neighbour);

/* The entry that a RTM_NEWNEIGH or RTM_DELNEIGH tells. False: not an IP neighbour. */
bool neighbour_parse(const struct nlmsghdr *message, uint32_t *ifindex, uint8_t address[16],
                     struct neighbour *neighbour);

/* Has the kernel resolve the neighbour now and keep it resolved. Never to be called on an entry
 * in state NUD_PERMANENT or NUD_NOARP: it would lose that. */
int neighbour_manage(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16]);

/* Takes the entry away (the kernel makes one anew when it needs it). */
int neighbour_drop(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16]);

/* Drops every entry that carries our number. Returns how many, or an error. */
int neighbour_drop_ours(struct rtnl *rtnl);

/* The next hop's entry. Returns 0, or CULVERT_EUNSUPPORTED with a static text in `why`: the data
 * plane can't send by that device. */
int nexthop_compose(const struct devices *devices, const struct route *route, const uint8_t mac[6],
                    struct fp_nexthop *out, const char **why);

/* All of that at once: the way to an address as it is now. Returns 0 with the entry, whose ifindex
 * is 0 when only the kernel can send there (a neighbour to be resolved, a device that takes no
 * frames); or CULVERT_ENOTFOUND: it is an address of this machine, or there is no route. */
int way_find(struct rtnl *rtnl, const struct devices *devices, const uint8_t address[16],
             struct fp_nexthop *out);

#endif
