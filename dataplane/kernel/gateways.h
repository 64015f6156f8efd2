/* SPDX-License-Identifier: Apache-2.0 */
/* The neighbours that backends are reached by: found by device and address, named by number. */
#ifndef CULVERT_KERNEL_GATEWAYS_H
#define CULVERT_KERNEL_GATEWAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/kernel/routes.h"

struct gateway {
    uint8_t address[16];
    uint32_t ifindex;
    uint32_t chain; /* next of the same hash, or next free one */
    uint32_t first; /* of its backends */
    bool stale;     /* ask the kernel for the entry */
    bool lost;      /* the kernel has given it up since it was last usable */
    struct neighbour neighbour;
};

struct gateways {
    struct gateway *all; /* number 0 is "none" */
    uint32_t *chain;     /* hash heads */
    uint32_t free;       /* linked by `chain` */
};

/* Room for `max` neighbours. CULVERT_ENOMEM. */
int gateways_init(struct gateways *gateways, uint32_t max);
void gateways_free(struct gateways *gateways);

/* The number of one, 0: not known. */
uint32_t gateway_find(const struct gateways *gateways, uint32_t ifindex, const uint8_t address[16]);

/* The same, made when missing. Never called for more than `max` at once (asserted). */
uint32_t gateway_make(struct gateways *gateways, uint32_t ifindex, const uint8_t address[16]);

/* Forgets one; an entry that we made leaves the kernel. */
void gateway_release(struct gateways *gateways, struct rtnl *rtnl, uint32_t number);

/* Reads the kernel's entry and has the kernel keep it resolved, unless it is a static one. */
void gateway_refresh(struct gateway *gateway, struct rtnl *rtnl);

#endif
