/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that the site gives to driver dpdk: each is a DPDK device and beside it a TAP
 * device with the interface's name, by which the kernel gets what the fast path leaves to it, and
 * sends (ARP, neighbour discovery, SSH, routing, DNS over TCP). The TAP stays when the process
 * ends, with the addresses and routes on it.
 *
 * The event loop's thread opens and closes ports; the workers see a *layout* of those that are
 * open, which is replaced as a whole.
 */
#ifndef CULVERT_DPDK_PORTS_H
#define CULVERT_DPDK_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/plane/status.h"
#include "dataplane/tables/tables.h"

#define PORTS_MAX STATUS_INTERFACES_MAX
#define PORT_QUEUES_MAX 16
#define PORT_BURST 64 /* frames taken from a queue at once */
#define PORT_REASON_BYTES 256

/* One direction out: the queue of a worker, or one that workers share. */
struct port_out {
    uint16_t id; /* of the DPDK device */
    uint16_t queues;
    bool shared; /* fewer queues than workers: `lock` is taken */
    rte_spinlock_t lock[PORT_QUEUES_MAX];
    uint64_t full; /* frames dropped, for the queue had no room; atomic */
};

struct port {
    char name[DEVICE_NAME_BYTES];
    char device[104]; /* as in struct fp_interface */
    uint8_t queues_wanted;
    bool wanted, open, up;
    bool reset;       /* the device asks to be opened anew; set by DPDK's thread, atomic */
    uint16_t queues;  /* to receive from */
    uint32_t ifindex; /* of the TAP device */
    uint32_t mtu;
    uint64_t link_losses; /* that the link went down; since the process's start */
    uint64_t resets;      /* that the device asked to be opened anew */
    struct port_out nic, tap;
    char reason[PORT_REASON_BYTES]; /* why it is not open */
};

/* What the workers run on; never changed once published. */
struct ports_layout {
    unsigned count;
    struct port *port[PORTS_MAX];
};

struct rte_mempool;

struct ports {
    struct port *all[PORTS_MAX];
    size_t count;
    struct rte_mempool *pool;
    unsigned workers;
    struct devices *devices;     /* borrowed */
    struct rtnl *rtnl;           /* borrowed */
    struct ports_layout *layout; /* atomic: workers load it */
    void (*wait)(void);          /* until no worker holds an older layout */
    uint64_t lost;               /* frames, when last looked */
    bool changed;                /* cleared by its reader */
};

/* `mbufs` packet buffers. Returns 0, or CULVERT_ENOMEM (logged). */
int ports_open(struct ports *ports, unsigned mbufs, unsigned workers, void (*wait)(void));
void ports_close(struct ports *ports);

/* Makes the ports agree with the INTERFACE table. */
void ports_sync(struct ports *ports, struct tables *tables);

/* Opens what is not open, follows the links' state, opens anew what asks for it. */
void ports_retry(struct ports *ports);

/* Marks the TAP devices of open ports as those that take frames. True: a mark changed. */
bool ports_mark(struct ports *ports);

/* What the status tells of them, valid until the next change. Returns how many. */
size_t ports_status(const struct ports *ports, struct status_interface out[PORTS_MAX]);

/* The port with that TAP, for 0 any one that is open; NULL: none. */
const struct port *port_find(const struct ports *ports, uint32_t ifindex);

#endif
