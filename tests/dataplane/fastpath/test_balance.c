/* SPDX-License-Identifier: Apache-2.0 */
/* The flow hash, the flow table, and buckets that move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/dataplane/fastpath/site.h"

#define TICK (1ull << FP_FLOW_TICK)

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

static struct fp_parsed flow(unsigned number, unsigned family)
{
    struct fp_parsed parsed = {.family = (fp_u8)family, .protocol = FP_IP_TCP, .dport = 80};
    fp_u8 address[16];

    site_address(address, family == 4 ? "198.18.0.0" : "2001:db8:c::");
    address[14] = (fp_u8)(number >> 8 & 15);
    address[15] = (fp_u8)number;
    fp_build_key(address, &parsed.source[0], &parsed.source[1]);
    site_address(address, family == 4 ? "192.0.2.10" : "2001:db8::10");
    fp_build_key(address, &parsed.destination[0], &parsed.destination[1]);
    parsed.sport = (fp_u16)(1024 + (number >> 12));
    return parsed;
}

/* Chi-squared over 256 buckets: 255 degrees of freedom, 330 is past one in a thousand. */
static void assert_even(unsigned family, unsigned shift)
{
    enum { FLOWS = 1 << 16, BUCKETS = 256 };
    unsigned count[BUCKETS] = {0};
    double chi = 0, expected = (double)FLOWS / BUCKETS;

    for (unsigned i = 0; i < FLOWS; i++) {
        struct fp_parsed parsed = flow(i, family);

        count[fp_flow_hash(&parsed, fp_flow_word(&parsed), 3) >> shift & (BUCKETS - 1)]++;
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        chi += (count[i] - expected) * (count[i] - expected) / expected;
    assert_true(chi < 330);
    assert_true(chi > 180);
}

static void test_hash_is_even(void **state)
{
    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        assert_even(family, 0);  /* lines of the flow table */
        assert_even(family, 16); /* buckets of a pool */
        assert_even(family, 32); /* tags */
        assert_even(family, 56);
    }
}

/* Every part of the 5-tuple and the seed counts. */
static void test_hash_takes_all(void **state)
{
    struct fp_parsed parsed = flow(1, 6), other = parsed;
    fp_u64 hash = fp_flow_hash(&parsed, fp_flow_word(&parsed), 3);

    (void)state;
    assert_int_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
    assert_int_not_equal(fp_flow_hash(&parsed, fp_flow_word(&parsed), 4), hash);
    other.sport++;
    assert_int_not_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
    other = parsed;
    other.dport++;
    assert_int_not_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
    other = parsed;
    other.protocol = FP_IP_UDP;
    assert_int_not_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
    for (int i = 0; i < 2; i++) {
        other = parsed;
        other.source[i] ^= 1ull << 40;
        assert_int_not_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
        other = parsed;
        other.destination[i] ^= 1ull << 40;
        assert_int_not_equal(fp_flow_hash(&other, fp_flow_word(&other), 3), hash);
    }
}

static void test_noted_and_found(void **state)
{
    struct fp_env env = site_env(tables);

    (void)state;
    assert_int_equal(fp_flow_find(&env, 77, 10), FP_FLOW_NONE);
    fp_flow_note(&env, 77, 5);
    assert_int_equal(fp_flow_find(&env, 77, 10), 5);
    fp_flow_note(&env, 77, 65535);
    assert_int_equal(fp_flow_find(&env, 77, 10), 65535);
    env.now += 10 * TICK;
    assert_int_equal(fp_flow_find(&env, 77, 10), 65535); /* seen: young again */
    env.now += 10 * TICK;
    assert_int_equal(fp_flow_find(&env, 77, 10), 65535);
    env.now += 11 * TICK;
    assert_int_equal(fp_flow_find(&env, 77, 10), FP_FLOW_NONE);
}

/* The line of 8 is full: the entry that was used longest ago goes. */
static void test_oldest_gives_way(void **state)
{
    struct fp_env env = site_env(tables);

    (void)state;
    for (fp_u64 i = 1; i <= FP_FLOW_WAYS; i++, env.now += TICK)
        fp_flow_note(&env, i << 32, (fp_u32)i);
    assert_int_equal(fp_flow_find(&env, 1ull << 32, 100), 1); /* used: now 2 is the oldest */
    fp_flow_note(&env, 99ull << 32, 99);
    assert_int_equal(fp_flow_find(&env, 99ull << 32, 100), 99);
    assert_int_equal(fp_flow_find(&env, 2ull << 32, 100), FP_FLOW_NONE);
    assert_int_equal(fp_flow_find(&env, 1ull << 32, 100), 1);
    assert_int_equal(fp_flow_find(&env, 3ull << 32, 100), 3);
}

static void test_dry_notes_nothing(void **state)
{
    struct fp_env env = site_env(tables);

    (void)state;
    env.dry = 1;
    fp_flow_note(&env, 77, 5);
    env.dry = 0;
    assert_int_equal(fp_flow_find(&env, 77, 10), FP_FLOW_NONE);
}

/* SYN to the new backend and noted; what isn't noted and what isn't TCP to the previous one. */
static void test_moving(void **state)
{
    struct fp_env env = site_env(tables);
    struct fp_parsed parsed = flow(1, 4);

    (void)state;
    fp_env_begin(&env);
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_MOVING), 42),
                     SITE_TAGGED);
    parsed.flags = FP_PARSED_SYN;
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_MOVING), 42),
                     SITE_V4);
    parsed.flags = 0;
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_MOVING), 42),
                     SITE_V4);
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_MOVING), 43),
                     SITE_TAGGED);
    parsed.protocol = FP_IP_UDP;
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_MOVING), 42),
                     SITE_TAGGED);
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, SITE_POOL_EMPTY), 42), 0);
    assert_int_equal(fp_balance(&env, &parsed, fp_balance_pool(&env, 99), 42), 0);
}

/* The hash's bits choose the bucket: all of a pool's buckets are used. */
static void test_buckets(void **state)
{
    uint32_t body[2 + 4] = {2, 0, 1, 2, 3, 4}; /* struct fp_pool: log2, flags, buckets */
    struct fp_env env = site_env(tables);
    struct fp_parsed parsed = flow(1, 4);
    unsigned seen = 0;

    (void)state;
    assert_int_equal(tables_begin(tables), 0);
    site_put(tables, site_number(FP_KIND_POOL, 20), body, sizeof(body));
    assert_int_equal(tables_commit(tables, 2), 0);
    fp_env_begin(&env);
    for (fp_u64 i = 0; i < 4; i++)
        seen |= 1u << fp_balance(&env, &parsed, fp_balance_pool(&env, 20), i << 16);
    assert_int_equal(seen, 0x1e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_even),
        cmocka_unit_test(test_hash_takes_all),
        cmocka_unit_test_setup_teardown(test_noted_and_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oldest_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dry_notes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moving, setup, teardown),
        cmocka_unit_test_setup_teardown(test_buckets, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
