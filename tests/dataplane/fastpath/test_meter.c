/* SPDX-License-Identifier: Apache-2.0 */
/* Meters, by what comes through: bursts, rates, shared prefixes, lines that are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/dataplane/fastpath/site.h"

#define SECOND (1000000000ull << FP_TIME_SHIFT)

static struct tables *tables;

static int setup(void **state)
{
    (void)state;
    tables = site_open();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    site_close(tables);
    return 0;
}

/* Sends a TCP packet of 40 bytes of IP and `data` bytes at `time`; its reason. */
static unsigned send_from(const char *source, const char *vip, uint16_t port, size_t data,
                          uint64_t time)
{
    static uint8_t room[4096], bytes[2048], payload[1500];
    struct fp_build_spec spec = {.family = strchr(source, ':') ? 6 : 4,
                                 .protocol = FP_IP_TCP,
                                 .sport = 40000,
                                 .dport = port,
                                 .tcp_flags = FP_TCP_ACK,
                                 .payload = payload,
                                 .payload_bytes = data};
    struct fp_env env = site_env(tables);
    struct fp_host_frame frame;

    site_address(spec.source, source);
    site_address(spec.destination, vip);
    env.now = time;
    fp_host_load(&frame, room, sizeof(room), bytes, fp_build_frame(bytes, sizeof(bytes), &spec));
    return fp_host_run(&env, &frame, SITE_IFINDEX).reason;
}

static unsigned send_at(uint64_t time)
{
    return send_from("198.18.0.1", "192.0.2.18", 80, 0, time);
}

/* A burst of two, then one a second. */
static void test_rate_and_burst(void **state)
{
    uint64_t now = SITE_NOW;

    (void)state;
    assert_int_equal(send_at(now), FP_LB_IPIP);
    assert_int_equal(send_at(now), FP_LB_IPIP);
    assert_int_equal(send_at(now), FP_DROP_LIMIT);
    assert_int_equal(send_at(now + SECOND - 1), FP_DROP_LIMIT);
    assert_int_equal(send_at(now + SECOND), FP_LB_IPIP);
    assert_int_equal(send_at(now + SECOND), FP_DROP_LIMIT);
    assert_int_equal(send_at(now + 10 * SECOND), FP_LB_IPIP);
    assert_int_equal(send_at(now + 10 * SECOND), FP_LB_IPIP);
    assert_int_equal(send_at(now + 10 * SECOND), FP_DROP_LIMIT);
    assert_int_equal(
        tables_counter(tables, offsetof(struct fp_counters, limit), SITE_LIMIT_SOURCE).packets, 4);
    assert_int_equal(
        tables_counter(tables, offsetof(struct fp_counters, limit), SITE_LIMIT_SOURCE).bytes,
        4 * 40);
}

/* One bucket for a source prefix (here /24), one for each. */
static void test_prefix(void **state)
{
    (void)state;
    assert_int_equal(send_from("198.18.1.1", "192.0.2.18", 80, 0, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.1.255", "192.0.2.18", 80, 0, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.1.9", "192.0.2.18", 80, 0, SITE_NOW), FP_DROP_LIMIT);
    assert_int_equal(send_from("198.18.2.9", "192.0.2.18", 80, 0, SITE_NOW), FP_LB_IPIP);
}

/* A thousand bytes a second; an empty bucket lets any one packet pass. */
static void test_bytes(void **state)
{
    (void)state;
    assert_int_equal(send_from("198.18.0.1", "192.0.2.18", 81, 360, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.0.1", "192.0.2.18", 81, 360, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.0.1", "192.0.2.18", 81, 360, SITE_NOW), FP_DROP_LIMIT_BYTES);
    assert_int_equal(send_from("198.18.0.1", "192.0.2.18", 81, 160, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.0.2", "192.0.2.18", 81, 1400, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.0.2", "192.0.2.18", 81, 0, SITE_NOW), FP_DROP_LIMIT_BYTES);
}

/* Per virtual IP: all sources share it. */
static void test_per_vip(void **state)
{
    (void)state;
    assert_int_equal(send_from("198.18.0.1", "192.0.2.18", 82, 0, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.18.9.1", "192.0.2.18", 82, 0, SITE_NOW), FP_LB_IPIP);
    assert_int_equal(send_from("198.19.0.1", "192.0.2.18", 82, 0, SITE_NOW), FP_DROP_LIMIT);
}

/* More sources at once than there are meters: new ones are let in, each with a fresh bucket, and
 * idle buckets are used again. */
static void test_full(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 8192; i++) {
            char source[32];

            snprintf(source, sizeof(source), "10.%u.%u.1", i >> 8, i & 255);
            assert_int_equal(
                send_from(source, "192.0.2.18", 80, 0, SITE_NOW + (uint64_t)round * 5 * SECOND),
                FP_LB_IPIP);
        }
    }
}

/* `culvert explain` sees the limit but takes nothing from it. */
static void test_dry(void **state)
{
    struct fp_env env = site_env(tables);
    fp_u64 key = 12345;

    (void)state;
    env.dry = 1;
    for (int i = 0; i < 5; i++)
        assert_true(fp_meter_take(&env, key, SECOND, SECOND));
    env.dry = 0;
    assert_true(fp_meter_take(&env, key, SECOND, SECOND));
    assert_false(fp_meter_take(&env, key, SECOND, SECOND));
    env.dry = 1;
    assert_false(fp_meter_take(&env, key, SECOND, SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rate_and_burst, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_per_vip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dry, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
