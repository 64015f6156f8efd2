/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real workers without devices: ports whose NIC and TAP are rings of this process. What is put
 * into a ring is received, what is sent is taken out of one; frames keep their buffer on the way.
 */
#ifndef CULVERT_TESTS_DPDK_RING_RIG_H
#define CULVERT_TESTS_DPDK_RING_RIG_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/dpdk/worker.h"

#define RIG_SKIPPED 77 /* what meson takes for "skipped" */
#define RIG_WORKERS_MAX 2u
#define RIG_RING 2048u /* frames of a ring, one less fit */
#define RIG_FRAMES 2047u

struct rig_port {
    struct port port;
    struct rte_ring *in[RIG_WORKERS_MAX], *out; /* of the NIC: one queue in for each worker */
    struct rte_ring *kernel_in, *kernel_out;    /* of the TAP: "in" is what the kernel sends */
};

struct rig {
    unsigned workers;
    cpu_set_t others; /* cores that don't poll */
    struct rte_mempool *pool;
    struct ports ports;
    struct ports_layout layout;
    struct rig_port port[2];
};

static inline void rig_need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "rig: %s: %s\n", what, eal_complaint());
    abort();
}

/* The cores after the first that this process may use, at most `workers`, as a list for EAL. */
static inline unsigned rig_cores(struct rig *rig, unsigned workers, char *list, size_t size)
{
    size_t length = 0;
    unsigned usable = 0;

    list[0] = '\0';
    rig_need(sched_getaffinity(0, sizeof(rig->others), &rig->others) == 0, "affinity");
    for (int core = 0; core < CPU_SETSIZE && usable <= workers; core++) {
        if (!CPU_ISSET(core, &rig->others) || !usable++)
            continue;
        length += (size_t)snprintf(list + length, size - length, "%s%d", length ? "," : "", core);
        CPU_CLR(core, &rig->others);
    }
    return usable ? usable - 1 : 0;
}

/* Starts EAL with at most `workers` polling cores, no hugepages. False: there is one core only. */
static inline bool rig_open(struct rig *rig, unsigned workers)
{
    char cores[64];
    const struct eal_options options = {.program = "rig",
                                        .buffer_memory = 128,
                                        .mbufs = RIG_FRAMES,
                                        .no_huge = true,
                                        .cores = cores,
                                        .main_core = -1};

    memset(rig, 0, sizeof(*rig));
    rig->workers = rig_cores(rig, workers, cores, sizeof(cores));
    if (!rig->workers)
        return false;
    rig_need(eal_open(&options) == (int)rig->workers, "EAL");
    rig_need(!ports_open(&rig->ports, RIG_FRAMES, rig->workers, workers_wait), "buffers");
    free(rig->ports.layout);
    rig->ports.layout = &rig->layout;
    rig->pool = rig->ports.pool;
    return true;
}

static inline struct rte_ring *rig_ring(const char *name, const char *what, unsigned number)
{
    char text[RTE_RING_NAMESIZE];
    struct rte_ring *ring;

    snprintf(text, sizeof(text), "%s-%s%u", name, what, number);
    ring = rte_ring_create(text, RIG_RING, SOCKET_ID_ANY, 0);
    rig_need(ring != NULL, text);
    return ring;
}

/* A started device over rings. */
static inline void rig_device(struct rig *rig, struct port_out *out, const char *name,
                              struct rte_ring **in, unsigned queues, struct rte_ring **to)
{
    struct rte_eth_conf conf = {0};
    int id = rte_eth_from_rings(name, in, queues, to, 1, 0);

    rig_need(id >= 0, name);
    out->id = (uint16_t)id;
    out->queues = 1;
    out->shared = rig->workers > 1;
    rig_need(!rte_eth_dev_configure(out->id, (uint16_t)queues, 1, &conf), "configure");
    for (unsigned queue = 0; queue < queues; queue++)
        rig_need(!rte_eth_rx_queue_setup(out->id, (uint16_t)queue, 0, 0, NULL, rig->pool),
                 "queue in");
    rig_need(!rte_eth_tx_queue_setup(out->id, 0, 0, 0, NULL), "queue out");
    rig_need(!rte_eth_dev_start(out->id), "start");
}

/* Adds a port with that interface number. Before workers_start(). */
static inline struct rig_port *rig_port(struct rig *rig, const char *name, uint32_t ifindex)
{
    struct rig_port *at = &rig->port[rig->layout.count];
    char tap[24];

    for (unsigned i = 0; i < rig->workers; i++)
        at->in[i] = rig_ring(name, "in", i);
    at->out = rig_ring(name, "out", 0);
    at->kernel_in = rig_ring(name, "kernel-in", 0);
    at->kernel_out = rig_ring(name, "kernel-out", 0);
    snprintf(tap, sizeof(tap), "%s-tap", name);
    rig_device(rig, &at->port.nic, name, at->in, rig->workers, &at->out);
    rig_device(rig, &at->port.tap, tap, &at->kernel_in, 1, &at->kernel_out);
    at->port.queues = (uint16_t)rig->workers;
    at->port.ifindex = ifindex;
    rig->layout.port[rig->layout.count++] = &at->port;
    return at;
}

/* A frame in a new buffer, marked by a number that stays with it. */
static inline struct rte_mbuf *rig_frame(struct rig *rig, const void *bytes, size_t length,
                                         uint32_t number)
{
    struct rte_mbuf *frame = rte_pktmbuf_alloc(rig->pool);

    if (!frame)
        abort();
    memcpy(rte_pktmbuf_append(frame, (uint16_t)length), bytes, length);
    frame->hash.usr = number;
    return frame;
}

/* Ends all; the frames must be back in the pool. Returns how many are not. */
static inline unsigned rig_close(struct rig *rig)
{
    unsigned lost;

    workers_stop();
    lost = rte_mempool_in_use_count(rig->pool);
    for (unsigned i = 0; i < rig->layout.count; i++) {
        rte_eth_dev_stop(rig->port[i].port.nic.id);
        rte_eth_dev_close(rig->port[i].port.nic.id);
        rte_eth_dev_stop(rig->port[i].port.tap.id);
        rte_eth_dev_close(rig->port[i].port.tap.id);
        for (unsigned queue = 0; queue < rig->workers; queue++)
            rte_ring_free(rig->port[i].in[queue]);
        rte_ring_free(rig->port[i].out);
        rte_ring_free(rig->port[i].kernel_in);
        rte_ring_free(rig->port[i].kernel_out);
    }
    rig->ports.layout = NULL;
    ports_close(&rig->ports);
    eal_close();
    return lost;
}

#endif
