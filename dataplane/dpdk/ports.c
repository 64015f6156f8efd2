/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/ports.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/dpdk/device.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/taps.h"

static void set_reason(struct ports *ports, struct port *port, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs a reason only when it is news. */
static void set_reason(struct ports *ports, struct port *port, const char *format, ...)
{
    char reason[PORT_REASON_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    if (strcmp(port->reason, reason) == 0)
        return;
    memcpy(port->reason, reason, sizeof(reason));
    ports->changed = true;
    if (reason[0])
        log_warn("%s: %s", port->name, reason);
}

/* ---- the layout ---- */

/* Publishes what is open and wanted, and waits until no worker uses what is not. */
static void publish(struct ports *ports)
{
    struct ports_layout *layout = calloc(1, sizeof(*layout)), *old = ports->layout;

    if (!layout)
        abort();
    for (size_t i = 0; i < ports->count; i++) {
        struct port *port = ports->all[i];

        if (port->open && port->wanted)
            layout->port[layout->count++] = port;
    }
    __atomic_store_n(&ports->layout, layout, __ATOMIC_RELEASE);
    ports->wait();
    free(old);
}

/* ---- one port ---- */

static void out_init(struct port_out *out, uint16_t id, uint16_t queues, unsigned workers)
{
    out->id = id;
    out->queues = queues;
    out->shared = queues < workers;
    for (unsigned i = 0; i < PORT_QUEUES_MAX; i++)
        rte_spinlock_init(&out->lock[i]);
}

/* Opens the TAP device with the NIC's MAC address. */
static int open_tap(struct ports *ports, struct port *port)
{
    const struct device_request request = {
        .pool = ports->pool,
        .receive = 1,
        .send = 1,
        .mtu = port->mtu,
    };
    struct rte_ether_addr mac;
    char arguments[96];
    uint16_t id, queues = 1, ignored = 1;
    int error;

    snprintf(arguments, sizeof(arguments), "net_tap_%s,iface=%s,persist", port->name, port->name);
    error = device_open(arguments, &request, &id, &ignored, &queues);
    if (error) {
        set_reason(ports, port, "no TAP device for the kernel's side: %s", eal_complaint());
        return error;
    }
    out_init(&port->tap, id, queues, ports->workers);
    if (rte_eth_macaddr_get(port->nic.id, &mac) == 0)
        rte_eth_dev_default_mac_addr_set(id, &mac);
    port->ifindex = if_nametoindex(port->name);
    if (!port->ifindex) {
        set_reason(ports, port, "its TAP device is not there: %s", strerror(errno));
        device_close(id);
        return CULVERT_ESYSTEM;
    }
    if (taps_mark(ports->rtnl, port->ifindex))
        log_warn("%s: its TAP device is not marked as ours: --detach will leave it", port->name);
    return 0;
}

static int on_reset(uint16_t id, enum rte_eth_event_type type, void *arg, void *result)
{
    struct port *port = arg;

    (void)id;
    (void)type;
    (void)result;
    __atomic_store_n(&port->reset, true, __ATOMIC_RELEASE);
    return 0;
}

static void open_port(struct ports *ports, struct port *port)
{
    uint16_t wanted = port->queues_wanted ? port->queues_wanted : 1;
    struct device_request request = {.pool = ports->pool, .send = (uint16_t)ports->workers};
    char why[PORT_REASON_BYTES];
    uint16_t id, queues, sends;

    request.receive = wanted < ports->workers ? wanted : (uint16_t)ports->workers;
    if (device_open_named(port->device, &request, &id, &queues, &sends, why, sizeof(why))) {
        set_reason(ports, port, "%s", why);
        return;
    }
    out_init(&port->nic, id, sends, ports->workers);
    port->queues = queues;
    port->mtu = device_mtu(id);
    if (open_tap(ports, port)) {
        device_close(id);
        return;
    }
    rte_eth_dev_callback_register(id, RTE_ETH_EVENT_INTR_RESET, on_reset, port);
    port->open = true;
    port->reset = false;
    port->up = device_is_linked(port->nic.id);
    set_reason(ports, port, "%s", "");
    ports->changed = true;
    log_info("%s: device %s, %u queue%s, MTU %u", port->name, port->device, queues,
             queues == 1 ? "" : "s", port->mtu);
}

/* No worker uses it any more. */
static void close_port(struct ports *ports, struct port *port)
{
    if (!port->open)
        return;
    rte_eth_dev_callback_unregister(port->nic.id, RTE_ETH_EVENT_INTR_RESET, on_reset, port);
    device_close(port->tap.id);
    device_close(port->nic.id);
    port->open = false;
    port->up = false;
    ports->changed = true;
}

/* ---- all of them ---- */

int ports_open(struct ports *ports, unsigned mbufs, unsigned workers, void (*wait)(void))
{
    *ports = (struct ports){.workers = workers, .wait = wait};
    ports->pool = eal_buffers(mbufs);
    if (!ports->pool)
        return CULVERT_ENOMEM;
    ports->layout = calloc(1, sizeof(*ports->layout));
    return ports->layout ? 0 : CULVERT_ENOMEM;
}

void ports_close(struct ports *ports)
{
    for (size_t i = 0; i < ports->count; i++) {
        close_port(ports, ports->all[i]);
        free(ports->all[i]);
    }
    ports->count = 0;
    free(ports->layout);
    rte_mempool_free(ports->pool);
}

static int take_wanted(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    const struct fp_interface *entry = body;
    struct ports *ports = arg;
    struct port *port;

    (void)key;
    (void)length;
    if (entry->driver != FP_DRIVER_DPDK)
        return 0;
    for (size_t i = 0; i < ports->count; i++) {
        port = ports->all[i];
        if (strcmp(port->name, entry->name) == 0 && strcmp(port->device, entry->device) == 0 &&
            port->queues_wanted == entry->queues) {
            port->wanted = true;
            return 0;
        }
    }
    port = ports->count < PORTS_MAX ? calloc(1, sizeof(*port)) : NULL;
    if (!port) {
        log_error("%s: more than %d interfaces", entry->name, PORTS_MAX);
        return 0;
    }
    memcpy(port->name, entry->name, sizeof(port->name));
    memcpy(port->device, entry->device, sizeof(port->device));
    port->queues_wanted = entry->queues;
    port->wanted = true;
    ports->all[ports->count++] = port;
    ports->changed = true;
    return 0;
}

/* Closes and forgets what the site does not have any more. */
static void prune(struct ports *ports)
{
    size_t kept = 0;

    for (size_t i = 0; i < ports->count; i++) {
        struct port *port = ports->all[i];

        if (port->wanted) {
            ports->all[kept++] = port;
            continue;
        }
        log_info("%s: no longer in the site, closed", port->name);
        close_port(ports, port);
        free(port);
        ports->changed = true;
    }
    ports->count = kept;
}

void ports_sync(struct ports *ports, struct tables *tables)
{
    for (size_t i = 0; i < ports->count; i++)
        ports->all[i]->wanted = false;
    tables_each(tables, FP_KIND_INTERFACE, take_wanted, ports);
    publish(ports);
    prune(ports);
    ports_retry(ports);
}

/* A device that asked for it is closed, to be opened anew. */
static bool reset_ports(struct ports *ports)
{
    bool any = false;

    for (size_t i = 0; i < ports->count; i++) {
        struct port *port = ports->all[i];

        if (!port->open || !__atomic_load_n(&port->reset, __ATOMIC_ACQUIRE))
            continue;
        log_warn("%s: the device was reset: opening it anew", port->name);
        port->wanted = false;
        any = true;
    }
    if (!any)
        return false;
    publish(ports);
    for (size_t i = 0; i < ports->count; i++) {
        if (!ports->all[i]->wanted)
            close_port(ports, ports->all[i]);
        ports->all[i]->wanted = true;
    }
    return true;
}

void ports_retry(struct ports *ports)
{
    bool news = reset_ports(ports);

    for (size_t i = 0; i < ports->count; i++) {
        struct port *port = ports->all[i];
        bool up;

        if (!port->open) {
            open_port(ports, port);
            news |= port->open;
            continue;
        }
        up = device_is_linked(port->nic.id);
        if (up != port->up) {
            log_info("%s: link %s", port->name, up ? "up" : "down");
            ports->changed = true;
        }
        port->up = up;
    }
    if (news)
        publish(ports);
}

const struct port *port_find(const struct ports *ports, uint32_t ifindex)
{
    for (size_t i = 0; i < ports->count; i++) {
        if (ports->all[i]->open && (!ifindex || ports->all[i]->ifindex == ifindex))
            return ports->all[i];
    }
    return NULL;
}

bool ports_mark(struct ports *ports)
{
    bool changed = false;

    for (size_t i = 0; i < ports->devices->count; i++) {
        struct device *device = &ports->devices->all[i];
        bool takes = port_find(ports, device->ifindex) != NULL;

        changed |= takes != device->takes_frames;
        device->takes_frames = takes;
    }
    return changed;
}

size_t ports_status(const struct ports *ports, struct status_interface out[PORTS_MAX])
{
    for (size_t i = 0; i < ports->count; i++) {
        const struct port *port = ports->all[i];

        out[i] = (struct status_interface){
            .name = port->name,
            .ifindex = port->ifindex,
            .attached = port->open,
            .up = port->up,
            .state = port->open ? "attached" : "failed",
            .mode = "poll",
            .mtu = port->mtu,
            .counts = port->open,
            .lost_in = port->open ? device_lost(port->nic.id) : 0,
            .lost_out = __atomic_load_n(&port->nic.full, __ATOMIC_RELAXED),
            .reason = port->reason,
        };
    }
    return ports->count;
}
