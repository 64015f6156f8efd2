/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/devices.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_link.h>

#include "controlplane/base/error.h"

#define IFF_LOWER_UP_BIT (1u << 16) /* IFF_LOWER_UP of linux/if.h, which net/if.h lacks */

/* The device that a message tells. False: not one of ours to know. */
static bool parse(const struct nlmsghdr *message, struct device *device)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    const struct rtattr *at[IFLA_XDP + 1];
    const struct rtattr *xdp[IFLA_XDP_PROG_ID + 1];
    const struct rtattr *kind[IFLA_INFO_DATA + 1];
    const struct rtattr *vlan[IFLA_VLAN_ID + 1];

    if (!rtnl_attributes(message, sizeof(*info), at, IFLA_XDP))
        return false;
    if (info->ifi_family != AF_UNSPEC) /* bridge ports are told twice */
        return false;
    memset(device, 0, sizeof(*device));
    device->ifindex = (uint32_t)info->ifi_index;
    device->type = info->ifi_type;
    device->flags = info->ifi_flags;
    device->mtu = rtnl_u32(at[IFLA_MTU]);
    rtnl_string(at[IFLA_IFNAME], device->name, sizeof(device->name));
    if (at[IFLA_ADDRESS] && RTA_PAYLOAD(at[IFLA_ADDRESS]) == sizeof(device->mac))
        memcpy(device->mac, RTA_DATA(at[IFLA_ADDRESS]), sizeof(device->mac));
    if (rtnl_nested(at[IFLA_XDP], xdp, IFLA_XDP_PROG_ID))
        device->xdp = rtnl_u32(xdp[IFLA_XDP_PROG_ID]);
    if (!rtnl_nested(at[IFLA_LINKINFO], kind, IFLA_INFO_DATA))
        return true;
    rtnl_string(kind[IFLA_INFO_KIND], device->kind, sizeof(device->kind));
    if (strcmp(device->kind, "vlan") == 0 &&
        rtnl_nested(kind[IFLA_INFO_DATA], vlan, IFLA_VLAN_ID)) {
        device->vlan = rtnl_u16(vlan[IFLA_VLAN_ID]);
        device->parent = rtnl_u32(at[IFLA_LINK]);
    }
    return true;
}

static bool is_same(const struct device *x, const struct device *y)
{
    return x->ifindex == y->ifindex && strcmp(x->name, y->name) == 0 &&
           strcmp(x->kind, y->kind) == 0 && memcmp(x->mac, y->mac, sizeof(x->mac)) == 0 &&
           x->type == y->type && x->vlan == y->vlan && x->flags == y->flags && x->mtu == y->mtu &&
           x->parent == y->parent && x->xdp == y->xdp;
}

static struct device *find(const struct devices *devices, uint32_t ifindex)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (devices->all[i].ifindex == ifindex)
            return &devices->all[i];
    }
    return NULL;
}

static int put(struct devices *devices, const struct device *device)
{
    struct device *old = find(devices, device->ifindex);

    if (old) {
        *old = *device;
        return 0;
    }
    if (devices->count == devices->capacity) {
        size_t capacity = devices->capacity ? devices->capacity * 2 : 64;
        struct device *all = realloc(devices->all, capacity * sizeof(*all));

        if (!all)
            return CULVERT_ENOMEM;
        devices->all = all;
        devices->capacity = capacity;
    }
    devices->all[devices->count++] = *device;
    return 0;
}

static int take_dumped(void *arg, const struct nlmsghdr *message)
{
    struct device device;

    if (message->nlmsg_type != RTM_NEWLINK || !parse(message, &device))
        return 0;
    return put(arg, &device);
}

int devices_load(struct devices *devices, struct rtnl *rtnl)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct rtnl_request request;

    devices->count = 0;
    rtnl_begin(&request, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
    return rtnl_talk(rtnl, &request, take_dumped, devices);
}

void devices_free(struct devices *devices)
{
    free(devices->all);
    memset(devices, 0, sizeof(*devices));
}

bool devices_update(struct devices *devices, const struct nlmsghdr *message, struct device *changed)
{
    struct device *old;

    if (!parse(message, changed))
        return false;
    old = find(devices, changed->ifindex);
    if (message->nlmsg_type == RTM_DELLINK) {
        if (!old)
            return false;
        *changed = *old;
        *old = devices->all[--devices->count];
        return true;
    }
    changed->takes_frames = old && old->takes_frames;
    if (old && is_same(old, changed))
        return false;
    return put(devices, changed) == 0;
}

const struct device *device_by_index(const struct devices *devices, uint32_t ifindex)
{
    return find(devices, ifindex);
}

const struct device *device_by_name(const struct devices *devices, const char *name)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (strcmp(devices->all[i].name, name) == 0)
            return &devices->all[i];
    }
    return NULL;
}

bool device_is_up(const struct device *device)
{
    return (device->flags & IFF_UP) && (device->flags & IFF_LOWER_UP_BIT);
}
