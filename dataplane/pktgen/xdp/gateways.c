/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/xdp/gateways.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <time.h>

#include <linux/neighbour.h>

#include "controlplane/base/error.h"
#include "dataplane/kernel/routes.h"
#include "dataplane/tool/options.h"

#define RESOLVE_TRIES 100
#define RESOLVE_PAUSE_NS 20000000

int gateways_open(struct gateways *gateways, const struct options *options)
{
    const char *interface = options->interface;
    const struct device *device;
    int error = CULVERT_ENOTFOUND;

    memset(gateways, 0, sizeof(*gateways));
    gateways->options = options;
    if (rtnl_open(&gateways->rtnl)) {
        tool_say("rtnetlink: %s", gateways->rtnl.text);
        return CULVERT_ESYSTEM;
    }
    if (devices_load(&gateways->devices, &gateways->rtnl))
        tool_say("rtnetlink: %s", gateways->rtnl.text);
    else if (!(device = device_by_name(&gateways->devices, interface)))
        tool_say("%s: no such interface", interface);
    else if (device->type != ARPHRD_ETHER)
        tool_say("%s: not an Ethernet interface", interface);
    else if (!device_is_up(device))
        tool_say("%s: the interface is down", interface);
    else
        error = 0;
    if (error) {
        gateways_close(gateways);
        return error;
    }
    gateways->ifindex = device->ifindex;
    return 0;
}

void gateways_close(struct gateways *gateways)
{
    devices_free(&gateways->devices);
    rtnl_close(&gateways->rtnl);
}

/* Has the kernel ask for the neighbour as if it had something to send (`ip neigh ... use`). */
static void ask_neighbour(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16])
{
    struct rtnl_request request;
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(address, &length);
    struct ndmsg body = {
        .ndm_family = (unsigned char)rtnl_family(address),
        .ndm_ifindex = (int)ifindex,
        .ndm_flags = NTF_USE,
    };

    rtnl_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE, &body, sizeof(body));
    rtnl_add(&request, NDA_DST, bytes, length);
    rtnl_talk(rtnl, &request, NULL, NULL);
}

static int resolve(struct rtnl *rtnl, const struct route *route, uint8_t mac[6])
{
    struct timespec pause = {.tv_nsec = RESOLVE_PAUSE_NS};

    for (int i = 0; i < RESOLVE_TRIES; i++) {
        struct neighbour neighbour;

        if (neighbour_find(rtnl, route->ifindex, route->gateway, &neighbour))
            return CULVERT_ESYSTEM;
        if (neighbour_is_usable(&neighbour)) {
            memcpy(mac, neighbour.mac, 6);
            return 0;
        }
        if (neighbour.state & NUD_FAILED && i)
            return CULVERT_ETIMEOUT;
        if (!(neighbour.state & NUD_INCOMPLETE))
            ask_neighbour(rtnl, route->ifindex, route->gateway);
        nanosleep(&pause, NULL);
    }
    return CULVERT_ETIMEOUT;
}

/* The way that was given; the kernel's route, if there is one, tells our address. */
static int take_given(struct gateways *gateways, const struct address *target,
                      struct gateway *gateway)
{
    const struct options *options = gateways->options;
    const struct device *device = device_by_index(&gateways->devices, gateways->ifindex);
    struct route route;
    const char *why;

    memcpy(gateway->dmac, options->gateway_mac, 6);
    memcpy(gateway->smac, device->mac, 6);
    gateway->vlan = (uint16_t)(options->vlan ? GATEWAY_TAGGED | options->vlan : 0);
    if (!route_find(&gateways->rtnl, target->bytes, &route, &why))
        memcpy(gateway->source, route.source, 16);
    return 0;
}

/* The device that frames of a route leave by: of a VLAN's device the one below, with its tag. */
static const struct device *leaving_device(const struct gateways *gateways, uint32_t ifindex,
                                           uint16_t *vlan)
{
    const struct device *device = device_by_index(&gateways->devices, ifindex);

    *vlan = 0;
    if (!device || strcmp(device->kind, "vlan") != 0)
        return device;
    *vlan = (uint16_t)(GATEWAY_TAGGED | (device->vlan & 0xfff));
    return device_by_index(&gateways->devices, device->parent);
}

int gateways_find(struct gateways *gateways, const struct address *target, struct gateway *gateway)
{
    const struct options *options = gateways->options;
    char text[UNITS_TEXT], via[UNITS_TEXT];
    const struct device *device;
    struct address address;
    struct route route;
    const char *why;

    memset(gateway, 0, sizeof(*gateway));
    if (options->gateway_given)
        return take_given(gateways, target, gateway);
    units_write_address(target, text);
    if (route_find(&gateways->rtnl, target->bytes, &route, &why)) {
        tool_say("%s: %s; give --gateway-mac", text, why);
        return CULVERT_ENOTFOUND;
    }
    memcpy(address.bytes, route.gateway, 16);
    units_write_address(&address, via);
    device = leaving_device(gateways, route.ifindex, &gateway->vlan);
    if (!device || device->ifindex != gateways->ifindex) {
        tool_say("%s: the route leads out of another interface than %s; give --gateway-mac", text,
                 options->interface);
        return CULVERT_ENOTFOUND;
    }
    if (resolve(&gateways->rtnl, &route, gateway->dmac)) {
        tool_say("%s: the gateway %s doesn't answer on %s; give --gateway-mac", text, via,
                 options->interface);
        return CULVERT_ETIMEOUT;
    }
    memcpy(gateway->smac, device->mac, 6);
    memcpy(gateway->source, route.source, 16);
    return 0;
}
