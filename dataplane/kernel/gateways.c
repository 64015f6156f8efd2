/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/gateways.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>

#include "controlplane/base/error.h"

#define CHAINS_LOG2 16u

int gateways_init(struct gateways *gateways, uint32_t max)
{
    gateways->all = calloc((size_t)max + 1, sizeof(*gateways->all));
    gateways->chain = calloc((size_t)1 << CHAINS_LOG2, sizeof(*gateways->chain));
    if (!gateways->all || !gateways->chain) {
        gateways_free(gateways);
        return CULVERT_ENOMEM;
    }
    for (uint32_t number = 1; number < max; number++)
        gateways->all[number].chain = number + 1;
    gateways->free = 1;
    return 0;
}

void gateways_free(struct gateways *gateways)
{
    free(gateways->all);
    free(gateways->chain);
    memset(gateways, 0, sizeof(*gateways));
}

static uint32_t *chain_of(const struct gateways *gateways, uint32_t ifindex,
                          const uint8_t address[16])
{
    uint64_t part[2];
    uint64_t hash;

    memcpy(part, address, sizeof(part));
    hash = (part[0] ^ ifindex) * 0x9e3779b97f4a7c15ull;
    hash = (hash ^ (hash >> 32) ^ part[1]) * 0xd6e8feb86659fd93ull;
    return &gateways->chain[hash >> (64 - CHAINS_LOG2)];
}

uint32_t gateway_find(const struct gateways *gateways, uint32_t ifindex, const uint8_t address[16])
{
    uint32_t number = *chain_of(gateways, ifindex, address);

    while (number) {
        const struct gateway *gateway = &gateways->all[number];

        if (gateway->ifindex == ifindex && memcmp(gateway->address, address, 16) == 0)
            return number;
        number = gateway->chain;
    }
    return 0;
}

uint32_t gateway_make(struct gateways *gateways, uint32_t ifindex, const uint8_t address[16])
{
    uint32_t number = gateway_find(gateways, ifindex, address);
    uint32_t *chain = chain_of(gateways, ifindex, address);
    struct gateway *gateway;

    if (number)
        return number;
    number = gateways->free;
    assert(number);
    gateway = &gateways->all[number];
    gateways->free = gateway->chain;
    memset(gateway, 0, sizeof(*gateway));
    memcpy(gateway->address, address, sizeof(gateway->address));
    gateway->ifindex = ifindex;
    gateway->stale = true;
    gateway->chain = *chain;
    *chain = number;
    return number;
}

void gateway_release(struct gateways *gateways, struct rtnl *rtnl, uint32_t number)
{
    struct gateway *gateway = &gateways->all[number];
    uint32_t *link = chain_of(gateways, gateway->ifindex, gateway->address);

    while (*link != number)
        link = &gateways->all[*link].chain;
    *link = gateway->chain;
    if (gateway->neighbour.ours)
        neighbour_drop(rtnl, gateway->ifindex, gateway->address);
    gateway->chain = gateways->free;
    gateways->free = number;
}

void gateway_refresh(struct gateway *gateway, struct rtnl *rtnl)
{
    gateway->stale = false;
    if (neighbour_find(rtnl, gateway->ifindex, gateway->address, &gateway->neighbour))
        return;
    if (neighbour_is_usable(&gateway->neighbour))
        gateway->lost = false;
    if (gateway->neighbour.ours || (gateway->neighbour.state & (NUD_PERMANENT | NUD_NOARP)))
        return;
    if (neighbour_manage(rtnl, gateway->ifindex, gateway->address) == 0)
        gateway->neighbour.ours = true;
}
