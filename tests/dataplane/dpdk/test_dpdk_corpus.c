/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential test of the DPDK data plane: the corpus, each packet cut short and with changed
 * bytes, in bursts through the real workers, and through the host's fast path over a copy of the
 * region. Where a frame goes, its bytes and the reasons counted must be equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/dataplane/dpdk/ring_rig.h"
#include "tests/dataplane/fastpath/corpus.h"
#include "tests/dataplane/fastpath/site.h"

#define WAIT_SECONDS 20
#define WRONG_MAX 5u /* then it ends: the rest would say the same */

/* Where a frame ends up. */
enum way { GONE, NIC, OTHER_NIC, KERNEL };

static const char *const way_name[] = {"dropped", "sent", "sent by the other", "to the kernel"};

struct sent {
    char name[64];
    uint8_t in[CORPUS_FRAME_MAX];
    size_t in_length;
    unsigned reason;
    enum way way, came;
    uint8_t frame[RTE_MBUF_DEFAULT_BUF_SIZE]; /* as it must come out */
    size_t length;
};

struct pair {
    struct rig rig;
    struct tables *tables; /* the workers' */
    void *copy;            /* of the region, for the host */
    unsigned burst;        /* frames sent at once */
    unsigned count;        /* waiting to be sent */
    struct sent sent[PORT_BURST];
    struct rte_mbuf *frame[PORT_BURST];
    uint64_t seen[FP_COUNT_REASONS];
    unsigned long runs;
    unsigned wrong;
};

static struct pair the_pair;

/* Limits of the site whose refusals don't depend on when a packet comes: two packets, or a
 * thousand bytes, in all the time that the test takes. */
static void slow_limits(struct tables *tables)
{
    uint64_t day = 86400ull * 1000000000 << FP_TIME_SHIFT;
    struct fp_limit packets = {.packet_cost = day, .packet_burst = 2 * day, .len4 = 24, .len6 = 64};
    struct fp_limit bytes = {.byte_cost = day / 1000, .byte_burst = day, .len4 = 32, .len6 = 64};

    assert_int_equal(tables_begin(tables), 0);
    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_SOURCE), &packets, sizeof(packets));
    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_BYTES), &bytes, sizeof(bytes));
    packets.per = FP_PER_VIP;
    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_VIP), &packets, sizeof(packets));
    assert_int_equal(tables_commit(tables, 2), 0);
}

static int setup(void **state)
{
    struct pair *pair = &the_pair;
    struct tables_options options = {
        .size = SITE_BYTES, .cpus = pair->rig.workers, .meters_log2 = 12, .flows_log2 = 12};

    rig_port(&pair->rig, "nic", SITE_IFINDEX);
    rig_port(&pair->rig, "other", SITE_OTHER);
    options.base = eal_tables_memory(SITE_BYTES, true);
    assert_non_null(options.base);
    assert_int_equal(tables_open(&pair->tables, &options), 0);
    site_fill(pair->tables);
    slow_limits(pair->tables);
    pair->copy = mmap(NULL, SITE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(pair->copy != MAP_FAILED);
    memcpy(pair->copy, options.base, ((struct fp_root *)options.base)->heap_end);
    assert_int_equal(workers_start(&pair->rig.ports, options.base, NULL), 0);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    if (!pair)
        return 0;
    assert_int_equal(rig_close(&pair->rig), 0);
    tables_close(pair->tables);
    munmap(pair->copy, SITE_BYTES);
    return 0;
}

static enum way way_of(const struct fp_result *result)
{
    switch (result->verdict) {
    case FP_VERDICT_PASS:
        return KERNEL;
    case FP_VERDICT_TX:
        return NIC;
    case FP_VERDICT_FORWARD:
        return result->ifindex == SITE_IFINDEX ? NIC
               : result->ifindex == SITE_OTHER ? OTHER_NIC
                                               : GONE;
    default:
        return GONE;
    }
}

/* The host's run, in a buffer with the room before and behind the frame that an mbuf has. */
static void run_host(struct pair *pair, struct sent *sent)
{
    static uint8_t room[RTE_MBUF_DEFAULT_BUF_SIZE];
    struct fp_env env = {.base = pair->copy}; /* no way back by the kernel's routes, as workers */
    struct fp_packet packet = {
        .head = room,
        .limit = room + sizeof(room),
        .data = room + RTE_PKTMBUF_HEADROOM,
        .end = room + RTE_PKTMBUF_HEADROOM + sent->in_length,
        .ifindex = SITE_IFINDEX,
    };
    struct fp_result result;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    env.now = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) << FP_TIME_SHIFT;
    memcpy(packet.data, sent->in, sent->in_length);
    result = fp_process(&env, &packet);
    sent->reason = result.reason;
    sent->way = way_of(&result);
    sent->length = (size_t)(packet.end - packet.data);
    memcpy(sent->frame, packet.data, sent->length);
}

/* Until the workers have counted every frame, and have let go of it. */
static void wait_done(struct pair *pair, uint64_t now[FP_COUNT_REASONS])
{
    time_t end = time(NULL) + WAIT_SECONDS;
    uint64_t total;

    do {
        assert_true(time(NULL) < end);
        sched_yield();
        total = 0;
        for (unsigned i = 0; i < FP_COUNT_REASONS; i++) {
            now[i] = tables_counter(pair->tables, offsetof(struct fp_counters, reason), i).packets;
            total += now[i];
        }
    } while (total < pair->runs);
    workers_wait();
}

static void say_wrong(struct pair *pair, const struct sent *sent, const char *what,
                      const struct rte_mbuf *frame)
{
    fprintf(stderr, "%s: %s: %s; must be %s (%s)\n", sent->name, what, way_name[sent->came],
            way_name[sent->way], corpus_reason(sent->reason));
    corpus_dump("  in   ", sent->in, sent->in_length);
    corpus_dump("  host ", sent->frame, sent->length);
    if (frame)
        corpus_dump("  DPDK ", rte_pktmbuf_mtod(frame, uint8_t *), rte_pktmbuf_data_len(frame));
    pair->wrong++;
}

/* Takes what came out one way. */
static void take(struct pair *pair, struct rte_ring *ring, enum way way)
{
    struct rte_mbuf *frame;

    while (rte_ring_dequeue(ring, (void **)&frame) == 0) {
        struct sent *sent = &pair->sent[frame->hash.usr];
        bool again = sent->came != GONE;

        assert_true(frame->hash.usr < pair->count);
        sent->came = way;
        if (again)
            say_wrong(pair, sent, "twice", frame);
        else if (way == sent->way &&
                 (frame->nb_segs != 1 || frame->pkt_len != sent->length ||
                  frame->data_len != sent->length ||
                  memcmp(rte_pktmbuf_mtod(frame, void *), sent->frame, sent->length) != 0))
            say_wrong(pair, sent, "another frame", frame);
        rte_pktmbuf_free(frame);
    }
}

/* The reasons that the workers counted are those of the host, each as often. */
static void check_reasons(struct pair *pair, const uint64_t now[FP_COUNT_REASONS])
{
    for (unsigned i = 0; i < pair->count; i++)
        pair->seen[pair->sent[i].reason]++;
    for (unsigned i = 0; i < FP_COUNT_REASONS; i++) {
        if (now[i] == pair->seen[i])
            continue;
        fprintf(stderr, "%s ...: %s counted %ld times too often\n", pair->sent[0].name,
                corpus_reason(i), (long)(now[i] - pair->seen[i]));
        pair->seen[i] = now[i];
        pair->wrong++;
    }
}

/* Sends what waits, in one burst, and compares. */
static void flush(struct pair *pair)
{
    uint64_t now[FP_COUNT_REASONS];
    unsigned sent =
        rte_ring_enqueue_bulk(pair->rig.port[0].in[0], (void **)pair->frame, pair->count, NULL);

    assert_int_equal(sent, pair->count);
    pair->runs += pair->count;
    wait_done(pair, now);
    take(pair, pair->rig.port[0].out, NIC);
    take(pair, pair->rig.port[1].out, OTHER_NIC);
    take(pair, pair->rig.port[0].kernel_out, KERNEL);
    for (unsigned i = 0; i < pair->count; i++) {
        if (pair->sent[i].came != pair->sent[i].way)
            say_wrong(pair, &pair->sent[i], "another way", NULL);
    }
    check_reasons(pair, now);
    pair->count = 0;
}

static void add(struct pair *pair, const struct corpus_case *item, size_t length)
{
    struct sent *sent = &pair->sent[pair->count];

    memcpy(sent->name, item->name, sizeof(sent->name));
    memcpy(sent->in, item->frame, length);
    sent->in_length = length;
    sent->came = GONE;
    run_host(pair, sent);
    pair->frame[pair->count] = rig_frame(&pair->rig, item->frame, length, pair->count);
    if (++pair->count == pair->burst)
        flush(pair);
}

/* Sends the rest of a burst, when there is one. */
static void end(struct pair *pair, FILE *file)
{
    if (pair->count)
        flush(pair);
    fclose(file);
    assert_int_equal(pair->wrong, 0);
}

/* One by one: the reason counted is the frame's own, and the one that the corpus says. */
static void test_packets(void **state)
{
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;

    pair->burst = 1;
    while (corpus_next(file, &item) && pair->wrong < WRONG_MAX) {
        add(pair, &item, item.length);
        if (strcmp(corpus_reason(pair->sent[0].reason), item.reason) &&
            strncmp(item.name, "nat-back", 8)) {
            fprintf(stderr, "%s: %s, not %s\n", item.name, corpus_reason(pair->sent[0].reason),
                    item.reason);
            pair->wrong++;
        }
    }
    end(pair, file);
    assert_true(pair->runs > 100);
}

static void test_cut_at_every_length(void **state)
{
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;

    pair->burst = PORT_BURST;
    while (corpus_next(file, &item)) {
        size_t longest = item.length < 200 ? item.length : 200;

        for (size_t length = 0; length < longest && pair->wrong < WRONG_MAX; length++)
            add(pair, &item, length);
    }
    end(pair, file);
}

static void test_changed_bytes(void **state)
{
    static const uint8_t flips[] = {0x01, 0xf0};
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;

    pair->burst = PORT_BURST;
    while (corpus_next(file, &item)) {
        size_t longest = item.length < 140 ? item.length : 140;

        for (size_t at = 0; at < longest && pair->wrong < WRONG_MAX; at++) {
            for (size_t i = 0; i < sizeof(flips); i++) {
                item.frame[at] ^= flips[i];
                add(pair, &item, item.length);
                item.frame[at] ^= flips[i];
            }
        }
    }
    end(pair, file);
    print_message("%lu frames through both\n", pair->runs);
}

/* What the kernel sends leaves as it is, uncounted, whatever it is. */
static void test_kernel_sends(void **state)
{
    struct pair *pair = *state;
    FILE *file = corpus_open();
    time_t deadline = time(NULL) + WAIT_SECONDS;
    struct corpus_case item;
    struct rte_mbuf *frame;

    while (corpus_next(file, &item)) {
        frame = rig_frame(&pair->rig, item.frame, item.length, 0);
        assert_int_equal(rte_ring_enqueue(pair->rig.port[1].kernel_in, frame), 0);
        while (rte_ring_dequeue(pair->rig.port[1].out, (void **)&frame)) {
            assert_true(time(NULL) < deadline);
            sched_yield();
        }
        assert_int_equal(rte_pktmbuf_pkt_len(frame), item.length);
        assert_memory_equal(rte_pktmbuf_mtod(frame, void *), item.frame, item.length);
        rte_pktmbuf_free(frame);
    }
    fclose(file);
    for (unsigned i = 0; i < FP_COUNT_REASONS; i++)
        assert_int_equal(
            tables_counter(pair->tables, offsetof(struct fp_counters, reason), i).packets,
            pair->seen[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_kernel_sends),
    };

    /* One worker: what is sent later must not be processed before. */
    if (!rig_open(&the_pair.rig, 1)) {
        fprintf(stderr, "two cores are needed\n");
        return RIG_SKIPPED;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
