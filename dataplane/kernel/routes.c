/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/routes.h"

#include <errno.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/neighbour.h>

#include "controlplane/base/error.h"

#define FP_VLAN_TAGGED 0x1000u

/* ---- routes ---- */

static void take_via(const struct rtattr *attribute, struct route *route)
{
    const struct rtvia *via = RTA_DATA(attribute);

    if (RTA_PAYLOAD(attribute) == sizeof(*via) + 16 && via->rtvia_family == AF_INET6) {
        memcpy(route->gateway, via->rtvia_addr, 16);
        route->onlink = false;
    }
}

struct route_answer {
    struct route *route;
    uint8_t type; /* RTN_*; RTN_UNSPEC: no answer */
};

static int take_route(void *arg, const struct nlmsghdr *message)
{
    struct route_answer *answer = arg;
    struct route *route = answer->route;
    const struct rtmsg *info = NLMSG_DATA(message);
    const struct rtattr *at[RTA_VIA + 1];
    const struct rtattr *metric[RTAX_MTU + 1];

    if (message->nlmsg_type != RTM_NEWROUTE ||
        !rtnl_attributes(message, sizeof(*info), at, RTA_VIA))
        return 0;
    answer->type = info->rtm_type;
    route->ifindex = rtnl_u32(at[RTA_OIF]);
    rtnl_address(at[RTA_PREFSRC], route->source);
    if (rtnl_address(at[RTA_GATEWAY], route->gateway))
        route->onlink = false;
    else if (at[RTA_VIA])
        take_via(at[RTA_VIA], route);
    if (rtnl_nested(at[RTA_METRICS], metric, RTAX_MTU))
        route->mtu = rtnl_u32(metric[RTAX_MTU]);
    return 0;
}

static const char *explain_type(uint8_t type)
{
    switch (type) {
    case RTN_LOCAL:
        return "the address is this host's own";
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
        return "the address is not one machine's";
    default:
        return "no route leads there";
    }
}

int route_find(struct rtnl *rtnl, const uint8_t address[16], struct route *route, const char **why)
{
    struct route_answer answer = {.route = route};
    struct rtnl_request request;
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(address, &length);
    struct rtmsg body = {
        .rtm_family = (unsigned char)rtnl_family(address),
        .rtm_dst_len = (unsigned char)(length * 8),
    };

    memset(route, 0, sizeof(*route));
    memcpy(route->gateway, address, sizeof(route->gateway));
    route->onlink = true;
    rtnl_begin(&request, RTM_GETROUTE, 0, &body, sizeof(body));
    rtnl_add(&request, RTA_DST, bytes, length);
    if (rtnl_talk(rtnl, &request, take_route, &answer)) {
        *why = strerrordesc_np(rtnl->errnum);
        if (!*why)
            *why = "the kernel refuses the route look-up";
        return CULVERT_ENOTFOUND;
    }
    if (answer.type != RTN_UNICAST || !route->ifindex) {
        *why = explain_type(answer.type);
        return CULVERT_ENOTFOUND;
    }
    return 0;
}

/* ---- neighbours ---- */

bool neighbour_is_usable(const struct neighbour *neighbour)
{
    return neighbour->state &
           (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE);
}

bool neighbour_parse(const struct nlmsghdr *message, uint32_t *ifindex, uint8_t address[16],
                     struct neighbour *neighbour)
{
    const struct ndmsg *info = NLMSG_DATA(message);
    const struct rtattr *at[NDA_PROTOCOL + 1];

    if (!rtnl_attributes(message, sizeof(*info), at, NDA_PROTOCOL))
        return false;
    if ((info->ndm_family != AF_INET && info->ndm_family != AF_INET6) ||
        !rtnl_address(at[NDA_DST], address))
        return false;
    memset(neighbour, 0, sizeof(*neighbour));
    *ifindex = (uint32_t)info->ndm_ifindex;
    neighbour->ours = rtnl_u8(at[NDA_PROTOCOL]) == RTNL_PROTOCOL_CULVERT;
    if (message->nlmsg_type == RTM_DELNEIGH)
        return true;
    neighbour->state = info->ndm_state;
    if (at[NDA_LLADDR] && RTA_PAYLOAD(at[NDA_LLADDR]) == sizeof(neighbour->mac))
        memcpy(neighbour->mac, RTA_DATA(at[NDA_LLADDR]), sizeof(neighbour->mac));
    else if (neighbour_is_usable(neighbour)) /* an entry without Ethernet address is none to us */
        neighbour->state = NUD_NONE;
    return true;
}

static int take_neighbour(void *arg, const struct nlmsghdr *message)
{
    uint8_t address[16];
    uint32_t ifindex;

    if (message->nlmsg_type == RTM_NEWNEIGH)
        neighbour_parse(message, &ifindex, address, arg);
    return 0;
}

static void begin_neighbour(struct rtnl_request *request, uint16_t type, uint16_t flags,
                            uint32_t ifindex, const uint8_t address[16], uint8_t entry_flags)
{
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(address, &length);
    struct ndmsg body = {
        .ndm_family = (unsigned char)rtnl_family(address),
        .ndm_ifindex = (int)ifindex,
        .ndm_flags = entry_flags,
    };

    rtnl_begin(request, type, flags, &body, sizeof(body));
    rtnl_add(request, NDA_DST, bytes, length);
}

int neighbour_find(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16],
                   struct neighbour *neighbour)
{
    struct rtnl_request request;
    int error;

    memset(neighbour, 0, sizeof(*neighbour));
    begin_neighbour(&request, RTM_GETNEIGH, 0, ifindex, address, 0);
    error = rtnl_talk(rtnl, &request, take_neighbour, neighbour);
    return error == CULVERT_ESYSTEM && rtnl->errnum == ENOENT ? 0 : error;
}

int neighbour_manage(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16])
{
    struct rtnl_request request;
    uint32_t managed = NTF_EXT_MANAGED;
    uint8_t protocol = RTNL_PROTOCOL_CULVERT;

    /* Learned from outside: so the kernel's garbage collection leaves it alone. */
    begin_neighbour(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, address,
                    NTF_EXT_LEARNED);
    rtnl_add(&request, NDA_FLAGS_EXT, &managed, sizeof(managed));
    rtnl_add(&request, NDA_PROTOCOL, &protocol, sizeof(protocol));
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int neighbour_drop(struct rtnl *rtnl, uint32_t ifindex, const uint8_t address[16])
{
    struct rtnl_request request;

    begin_neighbour(&request, RTM_DELNEIGH, 0, ifindex, address, 0);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

#define DROP_BATCH 256

struct drop_batch {
    struct {
        uint32_t ifindex;
        uint8_t address[16];
    } entry[DROP_BATCH];
    size_t count;
};

static int collect_ours(void *arg, const struct nlmsghdr *message)
{
    struct drop_batch *batch = arg;
    struct neighbour neighbour;
    uint32_t ifindex;
    uint8_t address[16];

    if (batch->count == DROP_BATCH || !neighbour_parse(message, &ifindex, address, &neighbour) ||
        !neighbour.ours)
        return 0;
    batch->entry[batch->count].ifindex = ifindex;
    memcpy(batch->entry[batch->count].address, address, sizeof(address));
    batch->count++;
    return 0;
}

int neighbour_drop_ours(struct rtnl *rtnl)
{
    struct drop_batch batch;
    int total = 0;

    do {
        struct ndmsg body = {.ndm_family = AF_UNSPEC};
        struct rtnl_request request;
        int dropped = 0;
        int error;

        batch.count = 0;
        rtnl_begin(&request, RTM_GETNEIGH, NLM_F_DUMP, &body, sizeof(body));
        error = rtnl_talk(rtnl, &request, collect_ours, &batch);
        if (error)
            return error;
        for (size_t i = 0; i < batch.count; i++)
            dropped += !neighbour_drop(rtnl, batch.entry[i].ifindex, batch.entry[i].address);
        total += dropped;
        if (!dropped)
            break;
    } while (batch.count == DROP_BATCH);
    return total;
}

/* ---- both together ---- */

static bool device_takes_frames(const struct devices *devices, uint32_t ifindex)
{
    const struct device *device = device_by_index(devices, ifindex);

    return device && device->takes_frames;
}

int nexthop_compose(const struct devices *devices, const struct route *route, const uint8_t mac[6],
                    struct fp_nexthop *out, const char **why)
{
    const struct device *device = device_by_index(devices, route->ifindex);
    uint32_t mtu;

    memset(out, 0, sizeof(*out));
    *why = "the route's device is gone";
    if (!device)
        return CULVERT_EUNSUPPORTED;
    *why = "the route's device is not an Ethernet device";
    if (device->type != ARPHRD_ETHER)
        return CULVERT_EUNSUPPORTED;
    *why = "the route leads through a bridge or bond: not supported";
    if (strcmp(device->kind, "bridge") == 0 || strcmp(device->kind, "bond") == 0)
        return CULVERT_EUNSUPPORTED;
    mtu = route->mtu && route->mtu < device->mtu ? route->mtu : device->mtu;
    memcpy(out->smac, device->mac, sizeof(out->smac));
    out->ifindex = device->ifindex;
    if (strcmp(device->kind, "vlan") == 0) {
        const struct device *parent = device_by_index(devices, device->parent);

        *why = "the VLAN stands on another VLAN, a bridge or a bond: not supported";
        if (!parent || strcmp(parent->kind, "vlan") == 0 || strcmp(parent->kind, "bridge") == 0 ||
            strcmp(parent->kind, "bond") == 0)
            return CULVERT_EUNSUPPORTED;
        out->ifindex = parent->ifindex;
        out->vlan = (uint16_t)(FP_VLAN_TAGGED | (device->vlan & 0xfff));
    }
    *why = "the route's device takes no frames from the data plane";
    if (!device_takes_frames(devices, out->ifindex))
        return CULVERT_EUNSUPPORTED;
    memcpy(out->dmac, mac, sizeof(out->dmac));
    memcpy(out->source, route->source, sizeof(out->source));
    out->mtu = (uint16_t)(mtu > UINT16_MAX ? UINT16_MAX : mtu);
    out->flags = route->onlink ? FP_NEXTHOP_ONLINK : 0;
    *why = NULL;
    return 0;
}

int way_find(struct rtnl *rtnl, const struct devices *devices, const uint8_t address[16],
             struct fp_nexthop *out)
{
    struct neighbour neighbour;
    struct route route;
    const char *why;

    if (route_find(rtnl, address, &route, &why))
        return CULVERT_ENOTFOUND;
    if (neighbour_find(rtnl, route.ifindex, route.gateway, &neighbour) ||
        !neighbour_is_usable(&neighbour) ||
        nexthop_compose(devices, &route, neighbour.mac, out, &why))
        *out = (struct fp_nexthop){.ifindex = 0};
    return 0;
}
