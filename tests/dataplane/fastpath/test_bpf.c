/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential test: the corpus, each packet cut short and with changed bytes, through the
 * host's fast path and through the real eBPF program, over the same region bytes. Verdict, reason
 * and frame must be equal. Needs root.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/dataplane/fastpath/corpus.h"
#include "tests/dataplane/fastpath/site.h"

#include "culvert.skel.h"

#define SKIPPED 77 /* what meson takes for "skipped" */
#define ROOM (FP_HOST_ROOM + 2 * CORPUS_FRAME_MAX)
#define TEST_RUN_MIN 14u /* the shortest frame that the kernel's test-run takes */

struct pair {
    struct culvert *program;
    struct tables *tables; /* over the arena */
    void *copy;            /* of the region, for the host */
    uint64_t seen[FP_COUNT_REASONS];
    unsigned long runs;
};

/* What a packet came to. */
struct outcome {
    unsigned verdict; /* enum xdp_action */
    unsigned reason;
    uint8_t frame[ROOM];
    size_t length;
};

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    struct tables_options options = {.size = SITE_BYTES, .meters_log2 = 8, .flows_log2 = 8};

    assert_non_null(pair);
    /* Of its own: the kernel has no routes there, so the way back of mode nat is the kernel's. */
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    pair->program = culvert__open();
    assert_non_null(pair->program);
    assert_int_equal(
        bpf_map__set_max_entries(pair->program->maps.arena, (uint32_t)(SITE_BYTES / 4096)), 0);
    assert_int_equal(culvert__load(pair->program), 0);
    options.base = bpf_map__initial_value(pair->program->maps.arena, &(size_t){0});
    options.cpus = (unsigned)libbpf_num_possible_cpus();
    assert_int_equal(tables_open(&pair->tables, &options), 0);
    site_fill(pair->tables);
    pair->copy = mmap(NULL, SITE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(pair->copy != MAP_FAILED);
    memcpy(pair->copy, options.base, ((struct fp_root *)options.base)->heap_end);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    if (!pair)
        return 0;
    tables_close(pair->tables);
    munmap(pair->copy, SITE_BYTES);
    culvert__destroy(pair->program);
    free(pair);
    return 0;
}

/* The kernel has no route anywhere: what it says for the site's backends' answers. */
static int no_route(void *arg, const fp_u8 address[16], struct fp_nexthop *out)
{
    (void)arg;
    (void)address;
    *out = (struct fp_nexthop){.ifindex = 0};
    return 1;
}

static void run_host(struct pair *pair, const uint8_t *bytes, size_t length, struct outcome *out)
{
    static uint8_t room[ROOM];
    struct fp_env env = {.base = pair->copy, .route = no_route};
    struct fp_host_frame frame;
    struct fp_result result;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    env.now = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) << FP_TIME_SHIFT;
    assert_int_equal(fp_host_load(&frame, room, sizeof(room), bytes, length), 0);
    result = fp_host_run(&env, &frame, SITE_IFINDEX);
    out->reason = result.reason;
    switch (result.verdict) {
    case FP_VERDICT_PASS:
        out->verdict = XDP_PASS;
        break;
    case FP_VERDICT_TX:
        out->verdict = XDP_TX;
        break;
    case FP_VERDICT_FORWARD:
        out->verdict = result.ifindex == SITE_IFINDEX ? XDP_TX : XDP_REDIRECT;
        break;
    default:
        out->verdict = XDP_DROP;
    }
    out->length = frame.length;
    memcpy(out->frame, room + frame.start, frame.length);
}

/* The reason whose counter moved, FP_REASON_LIMIT unless it is just one, by one. */
static unsigned reason_counted(struct pair *pair)
{
    unsigned reason = FP_REASON_LIMIT;

    for (unsigned i = 0; i < FP_COUNT_REASONS; i++) {
        uint64_t now =
            tables_counter(pair->tables, offsetof(struct fp_counters, reason), i).packets;

        if (now == pair->seen[i])
            continue;
        assert_int_equal(now, pair->seen[i] + 1);
        assert_int_equal(reason, FP_REASON_LIMIT);
        pair->seen[i] = now;
        reason = i;
    }
    return reason;
}

static void run_kernel(struct pair *pair, const uint8_t *bytes, size_t length, struct outcome *out)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = (uint32_t)length,
                .data_out = out->frame, .data_size_out = sizeof(out->frame));

    assert_int_equal(
        bpf_prog_test_run_opts(bpf_program__fd(pair->program->progs.culvert_xdp), &options), 0);
    out->verdict = options.retval;
    out->length = options.data_size_out;
    out->reason = reason_counted(pair);
    pair->runs++;
}

/* Runs a frame both ways. True when they agree; says how they don't. */
static bool agree(struct pair *pair, const char *name, const uint8_t *bytes, size_t length,
                  unsigned *reason)
{
    static struct outcome host, kernel;

    site_hide_access4(tables_base(pair->tables), pair->runs % 2);
    site_hide_access4(pair->copy, pair->runs % 3 == 0);
    run_host(pair, bytes, length, &host);
    run_kernel(pair, bytes, length, &kernel);
    *reason = kernel.reason;
    if (host.verdict == kernel.verdict && host.reason == kernel.reason &&
        (host.verdict == XDP_DROP ||
         (host.length == kernel.length && !memcmp(host.frame, kernel.frame, host.length))))
        return true;
    fprintf(stderr, "%s: host %s (XDP %u), kernel %s (XDP %u)\n", name, corpus_reason(host.reason),
            host.verdict, corpus_reason(kernel.reason), kernel.verdict);
    corpus_dump("  in    ", bytes, length);
    corpus_dump("  host  ", host.frame, host.length);
    corpus_dump("  kernel", kernel.frame, kernel.length);
    return false;
}

static void test_packets(void **state)
{
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;
    unsigned wrong = 0;

    while (corpus_next(file, &item)) {
        unsigned reason;

        if (item.length < TEST_RUN_MIN)
            continue;
        wrong += !agree(pair, item.name, item.frame, item.length, &reason);
        if (strcmp(corpus_reason(reason), item.reason) && strncmp(item.name, "nat-back", 8)) {
            fprintf(stderr, "%s: %s, not %s\n", item.name, corpus_reason(reason), item.reason);
            wrong++;
        }
    }
    fclose(file);
    assert_int_equal(wrong, 0);
}

static void test_cut_at_every_length(void **state)
{
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;
    unsigned wrong = 0, reason;

    while (corpus_next(file, &item) && wrong < 5) {
        size_t longest = item.length < 200 ? item.length : 200;

        for (size_t length = TEST_RUN_MIN; length < longest && wrong < 5; length++)
            wrong += !agree(pair, item.name, item.frame, length, &reason);
    }
    fclose(file);
    assert_int_equal(wrong, 0);
}

static void test_changed_bytes(void **state)
{
    static const uint8_t flips[] = {0x01, 0xf0};
    struct pair *pair = *state;
    FILE *file = corpus_open();
    struct corpus_case item;
    unsigned wrong = 0, reason;

    while (corpus_next(file, &item) && wrong < 5) {
        size_t longest = item.length < 140 ? item.length : 140;

        if (item.length < TEST_RUN_MIN)
            continue;
        for (size_t at = 12; at < longest && wrong < 5; at++) {
            for (size_t i = 0; i < sizeof(flips); i++) {
                item.frame[at] ^= flips[i];
                wrong += !agree(pair, item.name, item.frame, item.length, &reason);
                item.frame[at] ^= flips[i];
            }
        }
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    print_message("%lu frames through both\n", pair->runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_changed_bytes),
    };

    if (geteuid() != 0) {
        fprintf(stderr, "root is needed to load eBPF programs\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
