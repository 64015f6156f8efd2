/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/device.h"

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_bus_pci.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/dpdk/eal.h"

#define DESCRIPTORS 1024
#define MTU_DEFAULT 1500

/* ---- PCI ---- */

/* The name of the kernel driver that has a PCI device; empty: none. */
static void kernel_driver(const char *address, char *name, size_t size)
{
    char path[128], target[PATH_MAX];
    ssize_t length;

    name[0] = '\0';
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
    length = readlink(path, target, sizeof(target) - 1);
    if (length <= 0)
        return;
    target[length] = '\0';
    snprintf(name, size, "%s", basename(target));
}

static bool has_iommu(const char *address)
{
    char path[128], mode = 'N';
    FILE *file;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
    if (access(path, F_OK) == 0)
        return true;
    file = fopen("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "r");
    if (file && fread(&mode, 1, 1, file) != 1)
        mode = 'N';
    if (file)
        fclose(file);
    return mode == 'Y';
}

static bool pci_is_there(const char *address, char *why, size_t size)
{
    static const char *const ours[] = {"vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core",
                                       "mlx4_core"};
    char path[96], name[64];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
    if (access(path, F_OK)) {
        snprintf(why, size, "no PCI device %s: `lspci -D` lists them", address);
        return false;
    }
    kernel_driver(address, name, sizeof(name));
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(name, ours[i]) != 0)
            continue;
        if (strcmp(name, "vfio-pci") == 0 && !has_iommu(address)) {
            snprintf(why, size,
                     "PCI device %s has no IOMMU: switch it on in the firmware (and intel_iommu=on "
                     "on the kernel's command line), or bind the device to uio_pci_generic",
                     address);
            return false;
        }
        return true;
    }
    snprintf(why, size, "PCI device %s is %s%s: hand it over with `culvert nic attach %s`", address,
             name[0] ? "in the hands of the kernel's driver " : "bound to no driver", name,
             address);
    return false;
}

/* False: the PCI device is absent, or not bound to a driver that leaves it to us. */
static bool device_is_there(const char *arguments, char *why, size_t size)
{
    struct rte_pci_addr address;
    char text[PCI_PRI_STR_SIZE + 1], first[32];

    snprintf(first, sizeof(first), "%.*s", (int)strcspn(arguments, ","), arguments);
    if (rte_pci_addr_parse(first, &address))
        return true; /* a virtual one: opening it tells */
    rte_pci_device_name(&address, text, sizeof(text));
    return pci_is_there(text, why, size);
}

/* ---- any device ---- */

static int find_id(const char *arguments, uint16_t *id)
{
    struct rte_pci_addr address;
    char name[RTE_ETH_NAME_MAX_LEN];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(arguments, ","), arguments);
    if (rte_pci_addr_parse(name, &address) == 0)
        rte_pci_device_name(&address, name, sizeof(name));
    return rte_eth_dev_get_port_by_name(name, id) ? CULVERT_ENOTFOUND : 0;
}

static uint16_t lower(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

static int configure(uint16_t id, const struct device_request *request,
                     const struct rte_eth_dev_info *info, uint16_t receive, uint16_t send)
{
    struct rte_eth_conf conf = {0};

    if (receive > 1) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
    }
    if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)
        conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    if (rte_eth_dev_configure(id, receive, send, &conf))
        return CULVERT_ESYSTEM;
    if (request->mtu && rte_eth_dev_set_mtu(id, (uint16_t)request->mtu))
        log_debug("port %u keeps its MTU", id);
    return 0;
}

static int set_up_queues(uint16_t id, const struct device_request *request, uint16_t receive,
                         uint16_t send)
{
    uint16_t receive_size = DESCRIPTORS, send_size = DESCRIPTORS;
    unsigned socket = rte_eth_dev_socket_id(id) >= 0 ? (unsigned)rte_eth_dev_socket_id(id) : 0;

    if (rte_eth_dev_adjust_nb_rx_tx_desc(id, &receive_size, &send_size))
        return CULVERT_ESYSTEM;
    for (uint16_t queue = 0; queue < receive; queue++) {
        if (rte_eth_rx_queue_setup(id, queue, receive_size, socket, NULL, request->pool))
            return CULVERT_ESYSTEM;
    }
    for (uint16_t queue = 0; queue < send; queue++) {
        if (rte_eth_tx_queue_setup(id, queue, send_size, socket, NULL))
            return CULVERT_ESYSTEM;
    }
    return 0;
}

static int start(uint16_t id, const struct device_request *request, uint16_t *receive,
                 uint16_t *send)
{
    struct rte_eth_dev_info info;
    int error;

    if (rte_eth_dev_info_get(id, &info))
        return CULVERT_ESYSTEM;
    *receive = lower(request->receive, info.max_rx_queues);
    *send = lower(request->send, info.max_tx_queues);
    error = configure(id, request, &info, *receive, *send);
    if (error && *send > *receive) { /* some devices have their queues in pairs */
        *send = *receive;
        error = configure(id, request, &info, *receive, *send);
    }
    if (!error)
        error = set_up_queues(id, request, *receive, *send);
    if (!error && rte_eth_dev_start(id))
        error = CULVERT_ESYSTEM;
    if (!error)
        rte_eth_allmulticast_enable(id); /* neighbour discovery; refused where there is no filter */
    return error;
}

int device_open(const char *arguments, const struct device_request *request, uint16_t *id,
                uint16_t *receive, uint16_t *send)
{
    int error;

    eal_complaint_clear();
    error = rte_dev_probe(arguments);
    if (error && error != -EEXIST)
        return CULVERT_ESYSTEM;
    error = find_id(arguments, id);
    if (error)
        return error;
    error = start(*id, request, receive, send);
    if (error)
        device_close(*id);
    return error;
}

int device_open_named(const char *arguments, const struct device_request *request, uint16_t *id,
                      uint16_t *receive, uint16_t *send, char *why, size_t size)
{
    int error;

    if (!device_is_there(arguments, why, size))
        return CULVERT_ENOTFOUND;
    error = device_open(arguments, request, id, receive, send);
    if (error)
        snprintf(why, size, "device %s can't be opened: %s (is it there, and used by nobody else?)",
                 arguments, eal_complaint()[0] ? eal_complaint() : "DPDK says no more");
    return error;
}

void device_close(uint16_t id)
{
    struct rte_eth_dev_info info = {0};
    bool known = rte_eth_dev_info_get(id, &info) == 0;

    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
    if (known && info.device)
        rte_dev_remove(info.device);
}

/* What the kernel says of a device that it has too. */
static bool kernel_is_linked(uint32_t ifindex)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool linked = fd >= 0 && if_indextoname(ifindex, request.ifr_name) &&
                  ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_RUNNING;

    if (fd >= 0)
        close(fd);
    return linked;
}

bool device_is_linked(uint16_t id)
{
    struct rte_eth_link link = {0};

    /* DPDK says of AF_XDP that it is up, whatever comes. */
    if (device_kernel_index(id))
        return kernel_is_linked(device_kernel_index(id));
    return rte_eth_link_get_nowait(id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

uint32_t device_kernel_index(uint16_t id)
{
    struct rte_eth_dev_info info = {0};

    return rte_eth_dev_info_get(id, &info) ? 0 : info.if_index;
}

uint64_t device_lost(uint16_t id)
{
    struct rte_eth_stats stats = {0};

    return rte_eth_stats_get(id, &stats) ? 0 : stats.imissed + stats.rx_nombuf;
}

uint32_t device_mtu(uint16_t id)
{
    uint16_t mtu;

    return rte_eth_dev_get_mtu(id, &mtu) == 0 && mtu ? mtu : MTU_DEFAULT;
}
