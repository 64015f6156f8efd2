/* SPDX-License-Identifier: Apache-2.0 */
/* The rate, with a clock of the test's own; and the sums by address of cores that share nothing. */
#include "tests/dataplane/pktgen/helper.h"

#include "dataplane/pktgen/pace.h"

#define START 7000000000ull
#define BURST 32u
#define UDP "--interface v0 --profile udp --to 192.0.2.1:80 "

static void open_pace(struct pace *pace, const char *line, unsigned number, unsigned count)
{
    struct options options;

    assert_int_equal(helper_parse(&options, line), 0);
    pace_start(pace, &options, number, count, START);
}

/* Sends for a while, looking at the clock every `step` ns. Returns the largest burst. */
static uint32_t send_for(struct pace *pace, uint64_t *now, uint64_t ns, uint64_t step,
                         uint64_t *sent)
{
    uint32_t largest = 0;

    for (uint64_t end = *now + ns; *now < end; *now += step) {
        uint32_t due = pace_due(pace, *now, *sent, BURST);

        largest = due > largest ? due : largest;
        *sent += due;
    }
    return largest;
}

static void test_a_rate_is_kept_in_small_bursts(void **state)
{
    uint64_t now = START, sent = 0;
    struct pace pace;

    open_pace(&pace, UDP "--rate 1M", 0, 1);
    assert_int_equal(send_for(&pace, &now, 1000000000, 1000, &sent), 1);
    assert_in_range(sent, 999998, 1000000);
}

static void test_what_was_missed_is_caught_up_on(void **state)
{
    uint64_t now = START, sent = 0;
    struct pace pace;

    open_pace(&pace, UDP "--rate 1M", 0, 1);
    now += 5000000; /* stopped for 5 ms */
    assert_int_equal(send_for(&pace, &now, 1000000, 1000, &sent), BURST);
    assert_in_range(sent, 5998, 6000);
    now += 3000000000; /* and for 3 s: not that */
    assert_int_equal(pace_due(&pace, now, sent, BURST), BURST);
    sent += BURST;
    assert_true(send_for(&pace, &now, 1000000, 1000, &sent) <= BURST);
    assert_in_range(sent, 6998, 7000 + BURST);
}

static void test_cores_share_count_and_rate(void **state)
{
    uint64_t total = 0;
    double rate = 0;

    for (unsigned i = 0; i < 3; i++) {
        struct pace pace;

        open_pace(&pace, UDP "--rate 30k --count 10001", i, 3);
        assert_in_range(pace.limit, 3333, 3334);
        assert_true(pace.end == UINT64_MAX);
        total += pace.limit;
        rate += pace.rate;
    }
    assert_int_equal(total, 10001);
    assert_true(rate > 29999 && rate < 30001);
}

static void test_ends(void **state)
{
    struct pace pace;

    open_pace(&pace, UDP "--count 1", 0, 2); /* the other one sends it */
    assert_int_equal(pace.limit, 0);
    open_pace(&pace, UDP, 0, 1);
    assert_true(pace.limit == UINT64_MAX && pace.end == UINT64_MAX);
    assert_int_equal(pace_due(&pace, START, 5, BURST), BURST);
    open_pace(&pace, UDP "--duration 2s", 0, 1);
    assert_true(pace.limit == UINT64_MAX);
    assert_true(pace.end == START + 2000000000);
    open_pace(&pace, UDP "--duration 2s --rate 1k", 0, 1);
    assert_int_equal(pace.limit, 2000);
    assert_true(pace.end > START + 2000000000);
    assert_int_equal(pace_due(&pace, START + 2000000000, 1990, BURST), 10);
}

/* ---- cores of the host's store ---- */

static void test_cores_start_apart(void **state)
{
    struct options options;
    struct templates templates = {.schedule_length = 1, .flows = 1000};
    struct host host;

    assert_int_equal(helper_parse(&options, UDP), 0);
    templates.count = 1;
    templates.all = calloc(1, sizeof(*templates.all));
    assert_int_equal(host_open(&host, 2, &options, &templates, NULL), 0);
    assert_int_equal(host.store[0].sender.flow, 0);
    assert_int_equal(host.store[1].sender.flow, 500);
    assert_true(host.store[0].sender.number != host.store[1].sender.number);
    host_close(&host);
    free(templates.all);
}

static void test_addresses_are_summed_and_bounded(void **state)
{
    static struct engine_backend backends[PKTGEN_BACKENDS_MAX];
    struct pktgen_backend_key key = {1, 2, 0};
    struct options options;
    struct host host;

    assert_int_equal(helper_parse(&options, "--interface v0 --count-only"), 0);
    assert_int_equal(host_open(&host, 2, &options, NULL, NULL), 0);
    store_backend(&host.store[0], &key)->packets = 3;
    store_backend(&host.store[1], &key)->packets = 4;
    assert_ptr_equal(store_backend(&host.store[0], &key), store_backend(&host.store[0], &key));
    assert_int_equal(host_backends(&host, backends, PKTGEN_BACKENDS_MAX), 1);
    assert_int_equal(backends[0].sums.packets, 7);
    for (key.b = 0; key.b < PKTGEN_BACKENDS_MAX + 1; key.b++) {
        bool room = key.b != PKTGEN_BACKENDS_MAX;

        assert_true((store_backend(&host.store[0], &key) != NULL) == room);
    }
    assert_int_equal(host_backends(&host, backends, PKTGEN_BACKENDS_MAX), PKTGEN_BACKENDS_MAX);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rate_is_kept_in_small_bursts),
        cmocka_unit_test(test_what_was_missed_is_caught_up_on),
        cmocka_unit_test(test_cores_share_count_and_rate),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_cores_start_apart),
        cmocka_unit_test(test_addresses_are_summed_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
