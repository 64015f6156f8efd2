/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/dpdk/lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/receive.h"
#include "dataplane/pktgen/send.h"

#define REFUSED_NS 1000000 /* what the device takes nothing of for so long, it refuses */
#define SPIN_TURNS 2000    /* empty turns before a core that doesn't send takes naps */
#define NAP_NS 20000

/* ---- sending ---- */

/* Offers the device what waits; what it refuses is counted and gone. */
static void offer(const struct lanes *lanes, struct lane *lane, uint64_t now)
{
    uint16_t queue = (uint16_t)(lane - lanes->one), left = (uint16_t)(lane->last - lane->first);
    uint16_t sent = rte_eth_tx_burst(lanes->port, queue, lane->waiting + lane->first, left);

    lane->first = (uint16_t)(lane->first + sent);
    if (sent)
        lane->waiting_since = now;
    if (sent == left || now - lane->waiting_since < REFUSED_NS)
        return;
    lane->store->counters.refused += left - sent;
    rte_pktmbuf_free_bulk(lane->waiting + lane->first, left - sent);
    lane->first = lane->last;
}

/* Makes up to `count` frames, which then wait. */
static void make_burst(const struct lanes *lanes, struct lane *lane, uint32_t count)
{
    struct pktgen_store *store = lane->store;
    struct rte_mbuf **frames = lane->waiting;
    struct fp_packet packet;

    lane->first = lane->last = 0;
    if (rte_pktmbuf_alloc_bulk(lanes->pool, frames, count))
        return; /* the device has them all: it gives them back */
    for (uint32_t i = 0; i < count; i++)
        rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
    for (uint32_t i = 0; i < count; i++) {
        struct rte_mbuf *frame = frames[i];
        uint32_t bytes;

        lane_packet(&packet, frame);
        packet.end = packet.limit;
        bytes = make_frame(store, &packet, &store->sender);
        if (!bytes) {
            rte_pktmbuf_free(frame);
            continue;
        }
        frame->data_len = (uint16_t)bytes;
        frame->pkt_len = bytes;
        frames[lane->last++] = frame;
    }
    lane->made += count;
}

static void end_sending(struct lanes *lanes, struct lane *lane, uint64_t now)
{
    lane->sending = false;
    lane->ended = true;
    lane->end = now;
    atomic_fetch_sub(&lanes->running, 1);
}

/* Sends what is due, at most a burst. Returns how many frames. */
static uint32_t send_turn(struct lanes *lanes, struct lane *lane)
{
    uint64_t now = pktgen_clock();
    uint32_t due;

    if (lane->first != lane->last) {
        offer(lanes, lane, now);
        return 1;
    }
    if (lane->made >= lane->pace.limit || now >= lane->pace.end ||
        atomic_load_explicit(&lanes->stop, memory_order_relaxed)) {
        end_sending(lanes, lane, now);
        return 0;
    }
    due = pace_due(&lane->pace, now, lane->made, LANE_BURST);
    if (!due)
        return 0;
    make_burst(lanes, lane, due);
    lane->waiting_since = now;
    if (lane->first != lane->last)
        offer(lanes, lane, now);
    return due;
}

/* ---- receiving ---- */

bool lanes_send_bytes(const struct lanes *lanes, uint16_t queue, const void *bytes, size_t length)
{
    struct rte_mbuf *frame = rte_pktmbuf_alloc(lanes->pool);

    if (!frame)
        return false;
    memcpy(rte_pktmbuf_append(frame, (uint16_t)length), bytes, length);
    if (rte_eth_tx_burst(lanes->port, queue, &frame, 1) == 1)
        return true;
    rte_pktmbuf_free(frame);
    return false;
}

void lanes_answer(const struct lanes *lanes, uint16_t queue, struct fp_packet *packet)
{
    uint8_t answer[NEIGHBOURS_FRAME_MAX];
    size_t length = neighbours_answer(&lanes->neighbours, packet, answer);

    if (length)
        lanes_send_bytes(lanes, queue, answer, length);
}

static uint16_t receive_queue(const struct lanes *lanes, struct lane *lane, uint16_t queue)
{
    struct pktgen_store *store = lane->store;
    struct rte_mbuf *frame[LANE_BURST];
    uint16_t count = rte_eth_rx_burst(lanes->port, queue, frame, LANE_BURST);
    struct fp_packet packet;

    for (uint16_t i = 0; i < count; i++)
        rte_prefetch0(rte_pktmbuf_mtod(frame[i], void *));
    for (uint16_t i = 0; i < count; i++) {
        /* One that can't be made whole is looked at as far as its first part goes. */
        if (frame[i]->nb_segs > 1)
            rte_pktmbuf_linearize(frame[i]);
        lane_packet(&packet, frame[i]);
        if (receive_frame(store, &packet, &store->counters) == RECEIVE_PASS)
            lanes_answer(lanes, (uint16_t)(lane - lanes->one), &packet);
    }
    rte_pktmbuf_free_bulk(frame, count);
    return count;
}

static uint32_t receive_turn(const struct lanes *lanes, struct lane *lane)
{
    uint32_t count = 0;

    for (uint16_t queue = (uint16_t)(lane - lanes->one); queue < lanes->receive;
         queue = (uint16_t)(queue + lanes->count))
        count += receive_queue(lanes, lane, queue);
    return count;
}

/* ---- the loop ---- */

static void rest(struct lane *lane)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};

    if (lane->sending || ++lane->empty < SPIN_TURNS)
        rte_pause();
    else
        nanosleep(&nap, NULL);
}

static int run(void *arg)
{
    struct lanes *lanes = arg;
    unsigned number = rte_lcore_id() - 1; /* eal.c: lcore 0 is the main one */
    struct lane *lane = &lanes->one[number];

    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    while (!atomic_load_explicit(&lanes->quit, memory_order_relaxed)) {
        uint32_t work = receive_turn(lanes, lane);

        if (!lane->sending && !lane->ended &&
            atomic_load_explicit(&lanes->go, memory_order_acquire)) {
            pace_start(&lane->pace, lanes->options, number, lanes->count, lanes->start);
            lane->sending = true;
        }
        if (lane->sending)
            work += send_turn(lanes, lane);
        if (work)
            lane->empty = 0;
        else
            rest(lane);
    }
    return 0;
}

/* ---- all of them ---- */

int lanes_open(struct lanes *lanes, const struct host *host)
{
    lanes->one = aligned_alloc(64, host->count * sizeof(*lanes->one));
    if (!lanes->one)
        return CULVERT_ENOMEM;
    memset(lanes->one, 0, host->count * sizeof(*lanes->one));
    lanes->count = host->count;
    for (unsigned i = 0; i < lanes->count; i++)
        lanes->one[i].store = &host->store[i];
    return rte_eal_mp_remote_launch(run, lanes, SKIP_MAIN) ? CULVERT_ESYSTEM : 0;
}

void lanes_close(struct lanes *lanes)
{
    if (!lanes->one)
        return;
    atomic_store(&lanes->quit, true);
    rte_eal_mp_wait_lcore();
    free(lanes->one);
    lanes->one = NULL;
}

void lanes_start(struct lanes *lanes)
{
    lanes->start = pktgen_clock();
    atomic_store(&lanes->running, lanes->count);
    atomic_store(&lanes->go, true);
}

void lanes_stop(struct lanes *lanes)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};

    atomic_store(&lanes->stop, true);
    while (atomic_load(&lanes->running))
        nanosleep(&nap, NULL);
}

uint64_t lanes_end(const struct lanes *lanes)
{
    uint64_t end = lanes->start;

    for (unsigned i = 0; i < lanes->count; i++) {
        if (lanes->one[i].end > end)
            end = lanes->one[i].end;
    }
    return end;
}
