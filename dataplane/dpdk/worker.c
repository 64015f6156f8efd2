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

#define TAP_TURNS 8     /* of a busy worker, until it looks at a TAP again */
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

/* Frames on their way out of one device, or to be freed. Never more than a burst's before another
 * burst is processed (flush_more()), which then fits in without a look. */
struct outbox {
    uint16_t count;
    struct rte_mbuf *frame[2 * PORT_BURST];
};
_Static_assert(FP_BURST_MAX <= PORT_BURST, "what is processed at once fits in");

struct worker {
    unsigned number;
    const struct ports *ports;
    struct fp_env env;
    struct fp_straight straight;
    struct fp_packet packet[FP_BURST_MAX];
    struct fp_result result[FP_BURST_MAX];
    struct outbox nic[PORTS_MAX], tap[PORTS_MAX]; /* by place in the layout */
    struct outbox dropped;
    unsigned turns, empty, naps;
    uint64_t frames; /* taken in; atomic, written by the worker alone */
} __rte_cache_aligned;

static struct rte_rcu_qsbr *readers;
static struct worker *workers;
static unsigned workers_count;
static bool stopping;

/* A number that many have, as one of `count`: most often it is. */
static inline uint16_t share(unsigned number, unsigned count)
{
    return (uint16_t)(likely(number < count) ? number : number % count);
}

/* ---- out ---- */

/* Sends what waits; what the device has no room for is dropped and counted. */
static void flush(const struct worker *worker, struct port_out *out, struct outbox *box)
{
    uint16_t queue = share(worker->number, out->queues), sent;

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

/* Sends what waits where it is `more` than so many frames. */
static inline void flush_more(struct worker *worker, const struct ports_layout *layout,
                              uint16_t more)
{
    for (unsigned i = 0; i < layout->count; i++) {
        if (worker->nic[i].count > more)
            flush(worker, &layout->port[i]->nic, &worker->nic[i]);
        if (worker->tap[i].count > more)
            flush(worker, &layout->port[i]->tap, &worker->tap[i]);
    }
}

/* Where frames go out of the port whose TAP has that number; nowhere: to be dropped. */
static __attribute__((noinline)) struct outbox *
outbox_of_port(struct worker *worker, const struct ports_layout *layout, uint32_t ifindex)
{
    for (unsigned i = 0; i < layout->count; i++) {
        if (layout->port[i]->ifindex == ifindex)
            return &worker->nic[i];
    }
    return &worker->dropped;
}

/* Where the verdict sends a frame that came in at `place`, the port with that number. */
static inline struct outbox *outbox_of(struct worker *worker, const struct ports_layout *layout,
                                       unsigned place, uint32_t ifindex,
                                       const struct fp_result *result)
{
    if (result->verdict == FP_VERDICT_FORWARD) {
        if (likely(result->ifindex == ifindex))
            return &worker->nic[place];
        return outbox_of_port(worker, layout, result->ifindex);
    }
    if (result->verdict == FP_VERDICT_DROP)
        return &worker->dropped;
    return result->verdict == FP_VERDICT_PASS ? &worker->tap[place] : &worker->nic[place];
}

/* ---- in ---- */

/* Frames in pieces (larger than a buffer) are made one piece, or dropped where they can't. Returns
 * how many are left. */
static __attribute__((noinline)) uint16_t make_whole(struct rte_mbuf **frame, uint16_t count)
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

/* Says where a frame is, and asks for its memory. */
static inline void describe(struct fp_packet *packet, const struct rte_mbuf *frame,
                            uint32_t ifindex)
{
    packet->head = frame->buf_addr;
    packet->limit = packet->head + frame->buf_len;
    packet->data = packet->head + frame->data_off;
    packet->end = packet->data + frame->data_len;
    packet->ifindex = ifindex;
    rte_prefetch0(packet->data);
    rte_prefetch0(packet->end - 1); /* most queries end in the line behind */
}

static void process(struct worker *worker, const struct ports_layout *layout, unsigned place,
                    struct rte_mbuf **frame, uint16_t count)
{
    uint32_t ifindex = layout->port[place]->ifindex;
    struct outbox *to = &worker->nic[place];
    uint16_t filled = to->count;
    unsigned pieces = 0;

    for (uint16_t i = 0; i < count; i++) {
        pieces |= frame[i]->nb_segs;
        describe(&worker->packet[i], frame[i], ifindex);
    }
    if (unlikely(pieces != 1)) {
        count = make_whole(frame, count);
        for (uint16_t i = 0; i < count; i++)
            describe(&worker->packet[i], frame[i], ifindex);
    }
    worker->env.now = 0; /* until somebody wants to know */
    fp_process_burst(&worker->env, &worker->straight, worker->packet, count, worker->result);
    for (uint16_t i = 0; i < count; i++) {
        const struct fp_packet *packet = &worker->packet[i];
        const uint8_t *data = packet->data;
        uint16_t length = (uint16_t)(packet->end - data);
        struct outbox *box = outbox_of(worker, layout, place, ifindex, &worker->result[i]);
        struct rte_mbuf *out = frame[i];

        out->data_off = (uint16_t)(data - packet->head);
        out->data_len = length;
        out->pkt_len = length;
        if (unlikely(box != to)) {
            to->count = filled; /* kept here else: a count in memory would hold up the next frame */
            to = box;
            filled = box->count;
        }
        box->frame[filled++] = out;
    }
    to->count = filled;
    if (worker->dropped.count)
        rte_pktmbuf_free_bulk(worker->dropped.frame, worker->dropped.count);
    worker->dropped.count = 0;
    flush_more(worker, layout, PORT_BURST);
}

/* One look at every queue that is this worker's. Returns how many frames there were. */
static unsigned turn(struct worker *worker, const struct ports_layout *layout)
{
    struct rte_mbuf *frame[PORT_BURST];
    unsigned total = 0;

    worker->turns++;
    for (unsigned place = 0; place < layout->count; place++) {
        struct port *port = layout->port[place];
        uint16_t count = 0;

        for (uint16_t queue = (uint16_t)worker->number; queue < port->queues;
             queue = (uint16_t)(queue + workers_count)) {
            count = rte_eth_rx_burst(port->nic.id, queue, frame, PORT_BURST);
            total += count;
            for (uint16_t done = 0; done < count; done = (uint16_t)(done + FP_BURST_MAX))
                process(worker, layout, place, frame + done,
                        RTE_MIN((uint16_t)(count - done), (uint16_t)FP_BURST_MAX));
        }
        /* What the kernel sends is its own business: out as it is. While the queues are full it is
         * looked at now and then, which costs less. */
        if (share(place, workers_count) == worker->number &&
            (count < PORT_BURST || !(worker->turns % TAP_TURNS))) {
            count = rte_eth_rx_burst(port->tap.id, 0, frame, PORT_BURST);
            total += count;
            for (uint16_t i = 0; i < count; i++)
                worker->nic[place].frame[worker->nic[place].count++] = frame[i];
            flush_more(worker, layout, PORT_BURST);
        }
    }
    flush_more(worker, layout, 0);
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
        workers[i].env.clock = plane_now;
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
