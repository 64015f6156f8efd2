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

static uint64_t seed;

static uint32_t random_below(uint32_t end)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) % end);
}

static const char zone_head[] = "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

static void random_pools(struct buffer *text)
{
    buffer_text(text, "pools:\n");
    for (unsigned i = 0; i < 5; i++) {
        if (i && !random_below(4))
            continue;
        buffer_format(text,
                      "  p%u:\n    buckets: 64\n    backends:\n      z: { address: 10.1.%u.1 }\n",
                      i, i);
        for (unsigned j = 0; j < 4; j++)
            if (random_below(3))
                buffer_format(text, "      b%u: { address: 10.0.%u.%u, weight: %u, drain: %s }\n",
                              j, i, j + 1 + random_below(2) * 10, 1 + random_below(100),
                              random_below(5) ? "false" : "true");
    }
}

static void random_zones(struct buffer *text)
{
    static const char *const names[] = {"example.com", "a.example.com", "b.a.example.com",
                                        "example.net"};

    buffer_text(text, "zones:\n  com:\n    file: com.zone\n");
    for (unsigned i = 0; i < 4; i++) {
        if (!random_below(3))
            continue;
        buffer_format(text,
                      "  %s:\n    soa: { mname: ns1, rname: hm }\n    records:\n"
                      "      \"@\": { NS: ns1 }\n      ns1: { A: 192.0.2.%u }\n"
                      "      www: { pool: p0 }\n",
                      names[i], random_below(3));
        if (random_below(2))
            buffer_format(text, "      x.b.a: { TXT: hello }\n");
    }
}

static char *random_site(void)
{
    struct buffer text = {0};

    buffer_text(&text, "site: s\n");
    random_pools(&text);
    buffer_text(&text, "limits:\n  l: { per: source/24, packets: 10/s }\n");
    for (unsigned i = 0; i < 3; i++)
        if (random_below(2))
            buffer_format(&text, "  l%u: { per: vip, packets: %u/s }\n", i, 1 + random_below(3));
    buffer_text(&text, "vips:\n");
    for (unsigned i = 0; i < 6; i++)
        if (random_below(4))
            buffer_format(&text,
                          "  v%u: { address: 192.0.2.%u, ports: [%u, %u], pool: p0, "
                          "mode: %s, limits: [l] }\n",
                          i, 10 + i % 3, 80 + 10 * i, 81 + 10 * i + random_below(2),
                          random_below(2) ? "nat" : "dsr-l2");
    buffer_text(&text, "access:\n  - { deny: 203.0.113.0/24 }\n");
    for (unsigned i = 0; i < 4; i++)
        if (random_below(2))
            buffer_format(&text, "  - { %s: 198.51.%u.0/24 }\n", random_below(2) ? "deny" : "allow",
                          i);
    buffer_format(&text, "dns: { listen: [192.0.2.%u], key: 0001020304050607080900010203040%u }\n",
                  10 + random_below(4), random_below(6) == 0);
    random_zones(&text);
    return buffer_take(&text);
}

static void random_file(struct rig *rig)
{
    char *text = text_of("%sx%u A 192.0.2.1\ny.example A 192.0.2.2\n"
                         "z.a.example A 192.0.2.%u\n",
                         zone_head, random_below(4), random_below(3));

    rig_file(rig, "com.zone", text);
    free(text);
}

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

/* Every entry of one is, byte for byte, in the other. */
static int equal_each(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct other *other = arg;
    size_t other_length;
    const void *same = tables_get(other->rig->tables, key, &other_length);

    other->missing += !same || other_length != length || memcmp(same, body, length);
    return 0;
}

static void check_equal(struct rig *rig, struct rig *follower)
{
    struct other other = {.rig = follower};
    struct tables_usage a, b;

    assert_int_equal(tables_each(rig->tables, FP_KIND_COUNT, equal_each, &other), 0);
    assert_int_equal(other.missing, 0);
    tables_usage(rig->tables, &a);
    tables_usage(follower->tables, &b);
    assert_int_equal(a.entries, b.entries);
    assert_int_equal(rig_digest(rig), rig_digest(follower));
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
        check_equal(&node[i - 1], &node[i]);
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

            seed = (run * 1000 + step) * 0x9e3779b97f4a7c15ull;
            random_below(2);
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

            seed = (run * 1000 + step) * 0x9e3779b97f4a7c15ull;
            random_below(2);
            text = random_site();
            random_file(&rig);
            rig_good(&rig, text);
            rig.now += 1000;
            assert_int_equal(rig_good(&rig, text), 0);
            rig_open(&fresh);
            seed = (run * 1000 + step) * 0x9e3779b97f4a7c15ull;
            random_below(2);
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
