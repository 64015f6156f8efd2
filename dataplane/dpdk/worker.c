/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/worker.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_common.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include "controlplane/base/error.h"
#include "dataplane/fastpath/burst.h"
#include "dataplane/plane/clock.h"

#define SPIN_TURNS 2000 /* empty turns before the first sleep: some ten microseconds */

/* Sleeps of a worker without frames, with the timer's slack set to 1 ns: the longer it has had
 * none, the longer the next one may wait. A frame takes back some naps, not all: those that come
 * now and then (ARP, neighbour discovery) don't keep the core awake, traffic does. */
static const struct {
    unsigned before; /* this many naps */
    long ns;
} naps[] = {
    {2000, 20000},         /* the first tenth of a second */
    {2000 + 4000, 200000}, /* up to a second */
    {UINT_MAX, 1000000},
};
#define NAPS_A_FRAME 100

_Static_assert(PORT_BURST <= FP_BURST_MAX, "a burst is processed at once");

/* Frames on their way out of one device. */
struct outbox {
    struct rte_mbuf *frame[PORT_BURST];
    uint16_t count;
};

struct worker {
    unsigned number;
    const struct ports *ports;
    struct fp_env env;
    struct fp_straight straight;
    struct fp_packet packet[PORT_BURST];
    struct fp_result result[PORT_BURST];
    struct outbox nic[PORTS_MAX], tap[PORTS_MAX]; /* by place in the layout */
    unsigned empty, naps;
    uint64_t frames; /* taken in; atomic, written by the worker alone */
} __rte_cache_aligned;

static struct rte_rcu_qsbr *readers;
static struct worker *workers;
static unsigned workers_count;
static bool stopping;

/* ---- out ---- */

/* Sends what waits; what the device has no room for is dropped and counted. */
static void flush(const struct worker *worker, struct port_out *out, struct outbox *box)
{
    uint16_t queue = (uint16_t)(worker->number % out->queues), sent;

    if (!box->count)
        return;
    if (out->shared)
        rte_spinlock_lock(&out->lock[queue]);
    sent = rte_eth_tx_burst(out->id, queue, box->frame, box->count);
    if (out->shared)
        rte_spinlock_unlock(&out->lock[queue]);
    if (sent < box->count) {
        __atomic_fetch_add(&out->full, (uint64_t)(box->count - sent), __ATOMIC_RELAXED);
        rte_pktmbuf_free_bulk(&box->frame[sent], box->count - sent);
    }
    box->count = 0;
}

static inline void put(const struct worker *worker, struct port_out *out, struct outbox *box,
                       struct rte_mbuf *frame)
{
    box->frame[box->count++] = frame;
    if (box->count == PORT_BURST)
        flush(worker, out, box);
}

static void flush_all(struct worker *worker, const struct ports_layout *layout)
{
    for (unsigned i = 0; i < layout->count; i++) {
        flush(worker, &layout->port[i]->nic, &worker->nic[i]);
        flush(worker, &layout->port[i]->tap, &worker->tap[i]);
    }
}

/* The place of the port whose TAP has that number; `place` is tried first. -1: none. */
static inline int place_of(const struct ports_layout *layout, unsigned place, uint32_t ifindex)
{
    if (layout->port[place]->ifindex == ifindex)
        return (int)place;
    for (unsigned i = 0; i < layout->count; i++) {
        if (layout->port[i]->ifindex == ifindex)
            return (int)i;
    }
    return -1;
}

/* Carries out the verdict on a frame that came in at `place`. False: it is to be dropped. */
static inline bool carry_out(struct worker *worker, const struct ports_layout *layout,
                             unsigned place, struct rte_mbuf *frame, const struct fp_packet *packet,
                             const struct fp_result *result)
{
    int to = (int)place;

    if (result->verdict == FP_VERDICT_DROP)
        return false;
    frame->data_off = (uint16_t)(packet->data - (uint8_t *)frame->buf_addr);
    frame->data_len = (uint16_t)(packet->end - packet->data);
    frame->pkt_len = frame->data_len;
    if (result->verdict == FP_VERDICT_PASS) {
        put(worker, &layout->port[place]->tap, &worker->tap[place], frame);
        return true;
    }
    if (result->verdict == FP_VERDICT_FORWARD)
        to = place_of(layout, place, result->ifindex);
    if (to < 0)
        return false;
    put(worker, &layout->port[to]->nic, &worker->nic[to], frame);
    return true;
}

/* ---- in ---- */

/* A frame in pieces (larger than a buffer) is made one piece, or dropped where it can't. */
static uint16_t make_whole(struct rte_mbuf **frame, uint16_t count)
{
    uint16_t kept = 0;

    for (uint16_t i = 0; i < count; i++) {
        if (frame[i]->nb_segs == 1 || rte_pktmbuf_linearize(frame[i]) == 0)
            frame[kept++] = frame[i];
        else
            rte_pktmbuf_free(frame[i]);
    }
    return kept;
}

static void process(struct worker *worker, const struct ports_layout *layout, unsigned place,
                    struct rte_mbuf **frame, uint16_t count)
{
    uint32_t ifindex = layout->port[place]->ifindex;
    unsigned dropped = 0;

    count = make_whole(frame, count);
    for (uint16_t i = 0; i < count; i++) {
        struct fp_packet *packet = &worker->packet[i];

        packet->head = frame[i]->buf_addr;
        packet->limit = packet->head + frame[i]->buf_len;
        packet->data = packet->head + frame[i]->data_off;
        packet->end = packet->data + frame[i]->data_len;
        packet->ifindex = ifindex;
    }
    worker->env.now = plane_now();
    fp_process_burst(&worker->env, &worker->straight, worker->packet, count, worker->result);
    for (uint16_t i = 0; i < count; i++) {
        if (!carry_out(worker, layout, place, frame[i], &worker->packet[i], &worker->result[i]))
            frame[dropped++] = frame[i];
    }
    rte_pktmbuf_free_bulk(frame, dropped);
}

/* One look at every queue that is this worker's. Returns how many frames there were. */
static unsigned turn(struct worker *worker, const struct ports_layout *layout)
{
    struct rte_mbuf *frame[PORT_BURST];
    unsigned total = 0;
    uint16_t count;

    for (unsigned place = 0; place < layout->count; place++) {
        struct port *port = layout->port[place];

        for (uint16_t queue = (uint16_t)worker->number; queue < port->queues;
             queue = (uint16_t)(queue + workers_count)) {
            count = rte_eth_rx_burst(port->nic.id, queue, frame, PORT_BURST);
            total += count;
            if (count)
                process(worker, layout, place, frame, count);
        }
        /* What the kernel sends is its own business: out as it is. */
        if (place % workers_count == worker->number) {
            count = rte_eth_rx_burst(port->tap.id, 0, frame, PORT_BURST);
            total += count;
            for (uint16_t i = 0; i < count; i++)
                put(worker, &port->nic, &worker->nic[place], frame[i]);
        }
    }
    flush_all(worker, layout);
    return total;
}

/* ---- the loop ---- */

static void rest(struct worker *worker)
{
    struct timespec nap = {0};
    unsigned step = 0;

    if (++worker->empty < SPIN_TURNS) {
        rte_pause();
        return;
    }
    while (worker->naps >= naps[step].before)
        step++;
    if (naps[step].before != UINT_MAX)
        worker->naps++;
    nap.tv_nsec = naps[step].ns;
    rte_rcu_qsbr_thread_offline(readers, worker->number);
    nanosleep(&nap, NULL);
    rte_rcu_qsbr_thread_online(readers, worker->number);
}

static int run(void *arg)
{
    struct worker *worker = &workers[rte_lcore_id() - 1]; /* eal.c: lcore 0 is the main one */

    (void)arg;
    prctl(PR_SET_TIMERSLACK, 1ul);
    rte_rcu_qsbr_thread_register(readers, worker->number);
    rte_rcu_qsbr_thread_online(readers, worker->number);
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        const struct ports_layout *layout =
            __atomic_load_n(&worker->ports->layout, __ATOMIC_ACQUIRE);

        unsigned count = turn(worker, layout);

        if (count) {
            worker->empty = 0;
            worker->naps -= RTE_MIN(worker->naps, count * NAPS_A_FRAME);
            __atomic_store_n(&worker->frames, worker->frames + count, __ATOMIC_RELAXED);
        } else {
            rest(worker);
        }
        rte_rcu_qsbr_quiescent(readers, worker->number);
    }
    rte_rcu_qsbr_thread_offline(readers, worker->number);
    rte_rcu_qsbr_thread_unregister(readers, worker->number);
    return 0;
}

/* ---- all of them ---- */

int workers_start(const struct ports *ports, void *base, struct ways *ways)
{
    workers_count = rte_lcore_count() - 1;
    readers = rte_zmalloc("readers", rte_rcu_qsbr_get_memsize(workers_count), RTE_CACHE_LINE_SIZE);
    workers = rte_zmalloc("workers", workers_count * sizeof(*workers), RTE_CACHE_LINE_SIZE);
    if (!readers || !workers || rte_rcu_qsbr_init(readers, workers_count)) {
        rte_free(workers);
        rte_free(readers);
        readers = NULL;
        return CULVERT_ENOMEM;
    }
    stopping = false;
    for (unsigned i = 0; i < workers_count; i++) {
        workers[i].number = i;
        workers[i].ports = ports;
        workers[i].env.base = base;
        workers[i].env.cpu = i;
        workers[i].env.route = ways ? ways_find : NULL;
        workers[i].env.route_arg = ways;
    }
    return rte_eal_mp_remote_launch(run, NULL, SKIP_MAIN) ? CULVERT_ESYSTEM : 0;
}

void workers_stop(void)
{
    if (!readers)
        return;
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    rte_eal_mp_wait_lcore();
    rte_free(workers);
    rte_free(readers);
    workers = NULL;
    readers = NULL;
}

uint64_t worker_frames(unsigned number)
{
    return workers ? __atomic_load_n(&workers[number].frames, __ATOMIC_RELAXED) : 0;
}

void workers_wait(void)
{
    if (readers)
        rte_rcu_qsbr_synchronize(readers, RTE_QSBR_THRID_INVALID);
}
