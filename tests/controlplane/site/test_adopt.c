/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions of other nodes: what site_adopt shares, what it takes over, and what it refuses. */
#include "helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POOLS 40u

static const char zone[] = "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

/* Pools and virtual IPs but `without` (POOLS: all are there), the first with that weight. */
static char *site_text(unsigned without, unsigned weight)
{
    struct buffer text = {0};

    buffer_text(&text, "site: lab\npools:\n");
    for (unsigned i = 0; i < POOLS; i++)
        if (i != without)
            buffer_format(&text,
                          "  p%02u: { drain: 10s, backends: { a: { address: 10.0.%u.1, weight: %u "
                          "}, b: { address: 10.0.%u.2 } } }\n",
                          i, i, i ? 100 : weight, i);
    buffer_text(&text, "vips:\n");
    for (unsigned i = 0; i < POOLS; i++)
        if (i != without)
            buffer_format(&text,
                          "  v%02u: { address: 192.0.2.%u, ports: [80], pool: p%02u, mode: nat }\n",
                          i, i + 1, i);
    buffer_text(&text, "zones: { example.com: { file: example.com.zone } }\n");
    return buffer_take(&text);
}

static void apply(struct rig *rig, unsigned without, unsigned weight)
{
    char *text = site_text(without, weight);

    rig_good(rig, text);
    free(text);
}

static void open_two(struct rig *maker, struct rig *follower)
{
    rig_open(maker);
    rig_open(follower);
    rig_file(maker, "example.com.zone", zone);
    rig_file(follower, "example.com.zone", zone);
    apply(maker, POOLS, 100);
    rig_adopt(follower, maker);
    assert_int_equal(rig_digest(maker), rig_digest(follower));
}

/* The follower's transaction is the maker's, not all of the site. */
static void test_small_change(void **state)
{
    struct rig maker, follower;

    (void)state;
    open_two(&maker, &follower);
    apply(&maker, POOLS, 50);
    assert_true(maker.changes.count < 5);
    assert_int_equal(rig_adopt(&follower, &maker), maker.changes.count);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    assert_int_equal(rig_adopt(&follower, &maker), 0); /* and once more: there is nothing to do */
    rig_file(&maker, "example.com.zone",
             "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n");
    apply(&maker, POOLS, 50);
    assert_int_equal(rig_adopt(&follower, &maker), maker.changes.count);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

/* Buckets that move have their marks from the maker's clock, whatever the follower's says. */
static void test_moving_buckets(void **state)
{
    struct rig maker, follower;
    struct site_changes changes;

    (void)state;
    open_two(&maker, &follower);
    follower.now += 3000;
    apply(&maker, POOLS, 10);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    assert_int_equal(site_deadline(maker.engine), site_deadline(follower.engine));
    maker.now += 10000;
    assert_true(site_tick(maker.engine, ++maker.generation, maker.now, &changes) > 0);
    assert_true(rig_digest(&maker) != rig_digest(&follower));
    apply(&maker, 7, 10); /* the pool is what it was, but for marks that are over */
    follower.now = maker.now;
    site_tick(follower.engine, ++follower.generation, follower.now, &changes);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

/* Names that came again under other numbers while the follower was away. */
static void test_other_numbers(void **state)
{
    struct rig maker, follower;

    (void)state;
    open_two(&maker, &follower);
    apply(&maker, 7, 100);
    apply(&maker, POOLS, 100);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    apply(&maker, POOLS, 60);
    assert_int_equal(rig_adopt(&follower, &maker), maker.changes.count);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    /* The follower goes on as the maker. */
    apply(&follower, 3, 60);
    rig_adopt(&maker, &follower);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

/* A document that is what it was, though its buckets are not: the follower has missed between. */
static void test_back_again(void **state)
{
    struct rig maker, follower;
    uint64_t before;

    (void)state;
    open_two(&maker, &follower);
    before = rig_digest(&maker);
    apply(&maker, POOLS, 10);
    maker.now += 60000;
    apply(&maker, POOLS, 100);
    assert_true(rig_digest(&maker) != before); /* marks, at the least */
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

static const char idle[] = "site: lab\n"
                           "pools: { p: { backends: { a: { address: 10.0.0.1 }, b: { address: "
                           "10.0.0.2, drain: true } } } }\n";
static const char without_idle[] = "site: lab\n"
                                   "pools: { p: { backends: { a: { address: 10.0.0.1 } } } }\n";
static const char no_pools[] = "site: lab\n";

/* A backend without buckets has another number, and the table is the same. */
static void test_idle_backend(void **state)
{
    struct rig maker, follower;

    (void)state;
    rig_open(&maker);
    rig_open(&follower);
    rig_good(&maker, idle);
    rig_adopt(&follower, &maker);
    rig_good(&maker, without_idle);
    rig_good(&maker, idle);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

/* A number that was freed by the revision that is taken over is not given out by the next one. */
static void test_freed(void **state)
{
    struct rig maker, follower;

    (void)state;
    rig_open(&maker);
    rig_open(&follower);
    rig_good(&maker, without_idle);
    rig_good(&maker, no_pools);
    rig_adopt(&follower, &maker);
    rig_good(&maker, without_idle);
    rig_good(&follower, without_idle);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

static void test_refused(void **state)
{
    struct site_revision revision;
    struct rig maker, follower;
    struct site_plan *plan;
    uint64_t before;

    (void)state;
    open_two(&maker, &follower);
    before = rig_digest(&follower);
    apply(&maker, POOLS, 50);
    revision = maker.latest;
    revision.state = "[";
    assert_int_equal(
        site_adopt(follower.engine, &revision, &maker.blobs, follower.now, &plan, &follower.errors),
        CULVERT_ECORRUPT);
    assert_null(plan);
    revision = maker.latest;
    revision.site = "{\"site\":\"lab\",\"vips\":{\"a\":{\"pool\":\"none\"}}}";
    assert_int_equal(
        site_adopt(follower.engine, &revision, &maker.blobs, follower.now, &plan, &follower.errors),
        CULVERT_EREJECTED);
    assert_true(follower.errors.count > 0);
    assert_int_equal(rig_digest(&follower), before);
    rig_file(&maker, "example.com.zone",
             "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.54\n");
    apply(&maker, POOLS, 50);
    /* Without the new zone file. */
    assert_int_equal(site_adopt(follower.engine, &maker.latest, &follower.blobs, follower.now,
                                &plan, &follower.errors),
                     CULVERT_EREJECTED);
    assert_int_equal(rig_digest(&follower), before);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

static void test_abort(void **state)
{
    struct rig maker, follower;
    struct site_plan *plan, *second;
    uint64_t before;

    (void)state;
    open_two(&maker, &follower);
    before = rig_digest(&follower);
    apply(&maker, POOLS, 50);
    assert_int_equal(site_adopt(follower.engine, &maker.latest, &maker.blobs, follower.now, &plan,
                                &follower.errors),
                     0);
    assert_int_equal(site_adopt(follower.engine, &maker.latest, &maker.blobs, follower.now, &second,
                                &follower.errors),
                     CULVERT_EBUSY);
    site_abort(follower.engine, plan);
    assert_int_equal(rig_digest(&follower), before);
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&maker), rig_digest(&follower));
    rig_close(&maker);
    rig_close(&follower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_change),  cmocka_unit_test(test_moving_buckets),
        cmocka_unit_test(test_other_numbers), cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_idle_backend),  cmocka_unit_test(test_freed),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
