/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/ports.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if_arp.h>

#include <linux/netdev.h>

#include "controlplane/base/log.h"

static bool is_attached(const struct interfaces *interfaces, uint32_t ifindex)
{
    return interface_find(interfaces, ifindex) != NULL;
}

static bool any_generic(const struct interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        if (interfaces->all[i].state == INTERFACE_ATTACHED && interfaces->all[i].generic)
            return true;
    }
    return false;
}

static bool has_xmit(uint32_t ifindex)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);

    return bpf_xdp_query((int)ifindex, 0, &query) == 0 &&
           (query.feature_flags & NETDEV_XDP_ACT_NDO_XMIT);
}

/* Deletes what no device stands for any more (a device that goes leaves the map by itself). */
static void prune(int map, const struct devices *devices)
{
    uint32_t gone[PORTS_MAX];
    uint32_t key, next;
    size_t count = 0;
    int error = bpf_map_get_next_key(map, NULL, &next);

    while (!error && count < PORTS_MAX) {
        const struct device *device = device_by_index(devices, next);

        key = next;
        if (!device || !device->takes_frames)
            gone[count++] = key;
        error = bpf_map_get_next_key(map, &key, &next);
    }
    while (count)
        bpf_map_delete_elem(map, &gone[--count]);
}

bool ports_update(int map, struct devices *devices, const struct interfaces *interfaces)
{
    bool generic = any_generic(interfaces);
    bool changed = false;

    for (size_t i = 0; i < devices->count; i++) {
        struct device *device = &devices->all[i];
        bool takes =
            device->type == ARPHRD_ETHER &&
            (generic || is_attached(interfaces, device->ifindex) || has_xmit(device->ifindex));

        changed |= takes != device->takes_frames;
        device->takes_frames = takes;
    }
    prune(map, devices);
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = &devices->all[i];
        uint32_t port = device->ifindex;

        if (device->takes_frames && bpf_map_update_elem(map, &port, &port, BPF_ANY))
            log_debug("%s: not in the map of ports", device->name);
    }
    return changed;
}
