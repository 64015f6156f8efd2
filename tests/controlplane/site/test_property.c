/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a site: what the engine made of them step by step is what it makes of the
 * last document alone, but for numbers and bucket tables; and a restart makes the same again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper.h"
#include "random_site.h"

struct other {
    struct rig *rig;
    size_t missing;
};

/* Kinds whose entries hold no numbers, and the presence of those that do. */
static int compare_each(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct other *other = arg;
    size_t other_length;
    const void *same = tables_get(other->rig->tables, key, &other_length);

    switch (key->kind) {
    case FP_KIND_ACCESS:
        other->missing += !same || other_length != length || memcmp(same, body, length);
        break;
    case FP_KIND_VIP:
    case FP_KIND_NATBACK:
    case FP_KIND_ADDRESS:
    case FP_KIND_CONFIG:
    case FP_KIND_DNS:
        other->missing += !same || other_length != length;
        break;
    default:
        break;
    }
    return 0;
}

static void check_same(struct rig *rig, struct rig *fresh)
{
    struct other other = {.rig = fresh};
    struct tables_usage a, b;

    assert_int_equal(tables_each(rig->tables, FP_KIND_COUNT, compare_each, &other), 0);
    assert_int_equal(other.missing, 0);
    tables_usage(rig->tables, &a);
    tables_usage(fresh->tables, &b);
    for (unsigned kind = 0; kind < FP_KIND_COUNT; kind++)
        assert_int_equal(a.kind[kind], b.kind[kind]);
}

static void random_tick(struct rig *rig)
{
    struct site_changes changes;

    if (random_below(2) && site_tick(rig->engine, rig->generation + 1, rig->now, &changes) > 0)
        rig->generation++;
}

/* At one time, all nodes have the same. */
static void check_settled(struct rig *node, unsigned count)
{
    int64_t now = 0;

    for (unsigned i = 0; i < count; i++)
        now = node[i].now > now ? node[i].now : now;
    for (unsigned i = 0; i < count; i++) {
        struct site_changes changes;

        node[i].now = now;
        if (site_tick(node[i].engine, node[i].generation + 1, now, &changes) > 0)
            node[i].generation++;
    }
    for (unsigned i = 1; i < count; i++)
        rig_check_equal(&node[i - 1], &node[i]);
}

/* Nodes take turns to make revisions; the others adopt them all, or only some. */
static void test_followers(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 12; run++) {
        struct rig node[3];
        struct rig *maker;

        for (unsigned i = 0; i < 3; i++)
            rig_open(&node[i]);
        for (unsigned step = 0; step < 15; step++) {
            struct rig *next = &node[random_below(2)]; /* the third lags */
            char *text;

            random_start(run * 1000 + step);
            maker = next;
            text = random_site();
            random_file(maker);
            rig_good(maker, text);
            free(text);
            for (unsigned i = 0; i < 3; i++) {
                node[i].now += random_below(3) * 20000; /* clocks differ, and buckets drain */
                random_tick(&node[i]);
                if (&node[i] != maker && (i < 2 || !random_below(3)))
                    rig_adopt(&node[i], maker);
                if (!random_below(10) && node[i].latest.number)
                    rig_restart(&node[i]);
            }
            if (random_below(2)) {
                rig_adopt(&node[2], maker);
                check_settled(node, 3);
            }
        }
        for (unsigned i = 0; i < 3; i++)
            rig_close(&node[i]);
    }
}

static void test_histories(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 5; run++) {
        struct rig rig;

        rig_open(&rig);
        for (unsigned step = 0; step < 12; step++) {
            uint64_t before;
            struct rig fresh;
            char *text;

            random_start(run * 1000 + step);
            text = random_site();
            random_file(&rig);
            rig_good(&rig, text);
            rig.now += 1000;
            assert_int_equal(rig_good(&rig, text), 0);
            rig_open(&fresh);
            random_start(run * 1000 + step);
            free(random_site());
            random_file(&fresh);
            rig_good(&fresh, text);
            check_same(&rig, &fresh);
            rig_close(&fresh);
            before = rig_digest(&rig);
            if (step % 4 == 3) {
                rig_restart(&rig);
                assert_int_equal(rig_digest(&rig), before);
            }
            free(text);
        }
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories),
                                       cmocka_unit_test(test_followers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
