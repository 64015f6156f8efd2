/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The polling cores. Each has a lane: queues of the device to send to and receive from, and
 * counters of its own. It receives from the start to the end, and sends in between.
 */
#ifndef CULVERT_PKTGEN_DPDK_LANE_H
#define CULVERT_PKTGEN_DPDK_LANE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <rte_mbuf.h>

#include "dataplane/pktgen/dpdk/neighbours.h"
#include "dataplane/pktgen/host.h"
#include "dataplane/pktgen/pace.h"

#define LANE_BURST 32u

struct lane {
    struct pktgen_store *store;
    struct pace pace;
    uint64_t made;                        /* frames, of what the pace allows */
    struct rte_mbuf *waiting[LANE_BURST]; /* frames that the device didn't take yet: */
    uint16_t first, last;                 /* those before `last` */
    uint64_t waiting_since;               /* ns */
    bool sending, ended;
    unsigned empty; /* turns without a frame */
    uint64_t end;   /* ns, when it had sent its last */
} __attribute__((aligned(64)));

struct lanes {
    struct lane *one; /* count of them */
    unsigned count;
    const struct options *options;
    uint16_t port;    /* the device */
    uint16_t receive; /* its queues to receive from; there is one to send to for each lane */
    struct rte_mempool *pool;
    struct neighbours neighbours;
    uint64_t start;   /* ns */
    atomic_bool go;   /* send: set behind `start` */
    atomic_bool stop; /* sending */
    atomic_bool quit;
    atomic_uint running; /* lanes that send */
};

/* Starts a lane on each polling core over the host's stores, as many as there are of both. The rest
 * of `lanes` is set. Returns 0, CULVERT_ENOMEM, or CULVERT_ESYSTEM. Ends with lanes_close(). */
int lanes_open(struct lanes *lanes, const struct host *host);
void lanes_close(struct lanes *lanes);

void lanes_start(struct lanes *lanes);         /* sending */
void lanes_stop(struct lanes *lanes);          /* waits until nothing is sent any more */
uint64_t lanes_end(const struct lanes *lanes); /* ns, when the last one had sent its last */

/* A frame in a buffer, as the shared code takes it. */
static inline void lane_packet(struct fp_packet *packet, struct rte_mbuf *frame)
{
    packet->head = frame->buf_addr;
    packet->limit = packet->head + frame->buf_len;
    packet->data = packet->head + frame->data_off;
    packet->end = packet->data + frame->data_len;
}

/* Answers a frame that asks for an address of ours, by a queue of the device. */
void lanes_answer(const struct lanes *lanes, uint16_t queue, struct fp_packet *packet);

/* Sends a copy of some bytes. False: no buffer, or the device has no room. */
bool lanes_send_bytes(const struct lanes *lanes, uint16_t queue, const void *bytes, size_t length);

#endif
