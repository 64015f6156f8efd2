/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of the channel against each other, byte by byte if need be: after any history the
 * data plane's tables equal the control plane's, and little more than the difference travelled.
 */
#include "tests/dataplane/tables/pair.h"

static int entry_check(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    size_t other;
    const void *theirs = tables_get(arg, key, &other);

    assert_non_null(theirs);
    assert_int_equal(length, other);
    assert_memory_equal(body, theirs, length);
    return 0;
}

static void equal_check(struct pair *pair)
{
    struct channel_sync_status status;
    struct tables_usage ours, theirs;

    tables_each(pair->ours, FP_KIND_COUNT, entry_check, pair->theirs);
    tables_usage(pair->ours, &ours);
    tables_usage(pair->theirs, &theirs);
    assert_int_equal(ours.entries, theirs.entries - theirs.kind[FP_KIND_NEXTHOP]);
    assert_memory_equal(tables_digests(pair->ours), tables_digests(pair->theirs),
                        TABLES_PARTS * sizeof(uint64_t));
    assert_int_equal(tables_site_generation(pair->ours), tables_site_generation(pair->theirs));
    channel_sync_status(pair->sync, &status);
    assert_true(status.greeted && status.in_sync);
    assert_int_equal(status.generation, tables_site_generation(pair->ours));
    assert_int_equal(status.error, 0);
    assert_int_equal(status.waiting, 0);
}

static void dns_commit(struct tables *tables, unsigned from, unsigned to, uint8_t fill,
                       uint64_t generation)
{
    assert_int_equal(tables_begin(tables), 0);
    for (unsigned i = from; i < to; i++)
        assert_int_equal(put_dns(tables, i, fill, 80), 0);
    assert_int_equal(tables_commit(tables, generation), 0);
}

static void test_empty_gets_everything(void **state)
{
    struct pair *pair = *state;

    dns_commit(pair->ours, 0, 30000, 'a', 1);
    talk(pair);
    equal_check(pair);
    assert_int_equal(pair->commits, 1);
    /* Produced in pieces: never was much more waiting than a piece. */
    assert_true(pair->down > 3 * MIB);
    assert_in_range(pair->most_waiting, 1, 300 * 1024);
}

static void test_nothing_differs_nothing_travels(void **state)
{
    struct pair *pair = *state;

    dns_commit(pair->ours, 0, 1000, 'a', 1);
    dns_commit(pair->theirs, 0, 1000, 'a', 1);
    sync_connect(pair);
    talk(pair);
    equal_check(pair);
    assert_int_equal(pair->commits, 0);
    assert_int_equal(pair->down, sizeof(struct channel_header)); /* an empty LIST */
    /* The same content by another generation: an empty transaction. */
    tables_begin(pair->ours);
    tables_commit(pair->ours, 2);
    sync_connect(pair);
    talk(pair);
    equal_check(pair);
    assert_true(pair->down < 100);
}

static void test_only_the_difference_travels(void **state)
{
    struct pair *pair = *state;
    struct fp_key hop = slot_key(FP_KIND_NEXTHOP, 5);
    struct fp_nexthop nexthop = {.ifindex = 3};
    struct channel_sync_status status;

    dns_commit(pair->ours, 0, 20000, 'a', 7);
    dns_commit(pair->theirs, 100, 20100, 'a', 3); /* 100 missing, 100 too many */
    tables_begin(pair->theirs);
    for (unsigned i = 500; i < 520; i++) /* 20 differ */
        put_dns(pair->theirs, i, 'x', 90);
    for (unsigned i = 1; i < 10; i++)
        put_backend(pair->theirs, i, 1);
    tables_commit(pair->theirs, 4);
    tables_put_local(pair->theirs, &hop, &nexthop, sizeof(nexthop)); /* stays */
    sync_connect(pair);
    talk(pair);
    equal_check(pair);
    channel_sync_status(pair->sync, &status);
    assert_int_equal(status.puts, 120);
    assert_int_equal(status.deletes, 109);
    assert_true(pair->down < 229 * 150);
    assert_true(pair->up > 350 * 1024);
    assert_in_range(pair->most_waiting, 1, 300 * 1024);
    assert_non_null(tables_get(pair->theirs, &hop, NULL));
}

static void test_each_change_follows(void **state)
{
    struct pair *pair = *state;

    talk(pair);
    for (unsigned i = 1; i < 50; i++) {
        tables_begin(pair->ours);
        put_dns(pair->ours, i, (uint8_t)i, 80);
        if (i > 5)
            delete_dns(pair->ours, i - 5);
        tables_commit(pair->ours, i);
        assert_int_equal(channel_sync_update(pair->sync), 0);
        talk(pair);
        equal_check(pair);
        assert_int_equal(pair->acks, i);
    }
}

static void change_random(struct pair *pair, uint64_t generation)
{
    unsigned changes = random_next(&pair->random) % 2000;

    assert_int_equal(tables_begin(pair->ours), 0);
    for (unsigned i = 0; i < changes; i++) {
        unsigned number = random_next(&pair->random) % 20000;

        if (random_next(&pair->random) % 3)
            assert_int_equal(put_dns(pair->ours, number, (uint8_t)i, 16 + i % 200), 0);
        else
            assert_int_equal(delete_dns(pair->ours, number), 0);
    }
    assert_int_equal(tables_commit(pair->ours, generation), 0);
    assert_int_equal(channel_sync_update(pair->sync), 0);
}

/* Changes come at any moment: while entries are listed, while a transaction is being sent or
 * waits for its acknowledgement; and the connection breaks at any moment. */
static void test_changes_and_breaks_at_any_moment(void **state)
{
    struct pair *pair = *state;
    uint64_t generation = 1;

    dns_commit(pair->ours, 0, 5000, 'a', generation);
    dns_commit(pair->theirs, 1000, 6000, 'b', 77);
    sync_connect(pair);
    for (unsigned round = 0; round < 120; round++) {
        unsigned what = random_next(&pair->random) % 8;

        talk_until(pair, pair->down + random_next(&pair->random) % 300000);
        if (what < 6)
            change_random(pair, ++generation);
        else if (what == 6)
            sync_connect(pair);
        /* An open transaction of ours is not looked at. */
        tables_begin(pair->ours);
        put_dns(pair->ours, 1, 'u', 1000);
        delete_dns(pair->ours, 2);
        talk_until(pair, pair->down + random_next(&pair->random) % 100000);
        tables_abort(pair->ours);
        if (round % 10 == 9) {
            talk(pair);
            equal_check(pair);
        }
    }
}

static void test_refused_then_tried_again(void **state)
{
    struct pair *pair = *state;
    struct channel_sync_status status;
    struct fp_key key = dns_key(1);
    unsigned count = 0;

    dns_commit(pair->ours, 0, 10, 'a', 1);
    talk(pair);
    /* Theirs is nearly full: ours doesn't fit. */
    tables_begin(pair->theirs);
    while (put_dns(pair->theirs, 1000000 + count, 'f', 60000) == 0)
        count++;
    tables_abort(pair->theirs);
    dns_commit(pair->theirs, 1000000, 1000000 + 10, 'f', 1);
    tables_begin(pair->theirs);
    for (unsigned i = 0; i < count - 10; i++)
        assert_int_equal(put_dns(pair->theirs, 2000000 + i, 'f', 60000), 0);
    tables_commit(pair->theirs, 1);
    tables_begin(pair->ours);
    for (unsigned i = 0; i < 60; i++)
        put_dns(pair->ours, i, 'b', 60000);
    tables_commit(pair->ours, 2);
    channel_sync_update(pair->sync);
    talk(pair);
    assert_int_equal(pair->acked_error, CULVERT_EFULL);
    assert_non_null(strstr(pair->text, "DNS"));
    channel_sync_status(pair->sync, &status);
    assert_false(status.in_sync);
    assert_int_equal(status.error, CULVERT_EFULL);
    assert_int_equal(status.generation, 1);
    assert_int_equal(find_now(pair->theirs, &key)->length, 80);
    /* The next change brings all: also what they have and shouldn't is found by the comparison. */
    dns_commit(pair->ours, 0, 60, 'c', 3);
    channel_sync_update(pair->sync);
    talk(pair);
    equal_check(pair);
}

static void test_stats_explain_and_state(void **state)
{
    struct pair *pair = *state;
    struct fp_counters *counters;
    uint8_t frame[60] = {0};

    tables_begin(pair->ours);
    for (unsigned i = 1; i < 3000; i++)
        put_backend(pair->ours, i, 1);
    tables_commit(pair->ours, 1);
    talk(pair);
    counters =
        (struct fp_counters *)((char *)root_of(pair->theirs) + root_of(pair->theirs)->counters);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        counters[cpu].reason[3].packets = 10;
        for (unsigned i = 1; i < 3000; i++)
            counters[cpu].backend[i].packets = i;
    }
    assert_int_equal(tables_counter(pair->theirs, offsetof(struct fp_counters, reason), 3).packets,
                     20);
    assert_int_equal(channel_sync_ask_stats(pair->sync, 5), 0);
    assert_int_equal(channel_sync_ask_explain(pair->sync, 6, 3, frame, sizeof(frame)), 0);
    assert_int_equal(channel_apply_send(pair->apply, CHANNEL_STATE, "{", 1, "}", 1), 0);
    assert_int_equal(channel_apply_send(pair->apply, CHANNEL_ACK, NULL, 0, NULL, 0),
                     CULVERT_EINVAL);
    talk(pair);
    assert_int_equal(pair->replies, 1);
    assert_int_equal(pair->explained, 1);
    assert_int_equal(pair->states, 1);
    assert_int_equal(pair->stats_packets, 20 + 2999 * 3000);
}

static void test_a_broken_connection_leaves_no_half(void **state)
{
    struct pair *pair = *state;
    struct fp_key key = dns_key(3);

    talk(pair);
    dns_commit(pair->ours, 0, 20000, 'a', 1);
    channel_sync_update(pair->sync);
    talk_until(pair, pair->down + MIB);
    assert_non_null(tables_get(pair->theirs, &key, NULL)); /* staged */
    channel_apply_stop(pair->apply);
    assert_null(tables_get(pair->theirs, &key, NULL));
    assert_int_equal(channel_apply_send(pair->apply, CHANNEL_STATE, "{}", 2, NULL, 0), 0);
    sync_connect(pair);
    talk(pair);
    equal_check(pair);
}

static void test_long_names_are_refused(void **state)
{
    struct pair *pair = *state;
    struct channel_apply *apply;

    assert_int_equal(
        channel_apply_new(&apply, pair->theirs, "12345678901234567890123456789012", NULL),
        CULVERT_EINVAL);
    assert_null(apply);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty_gets_everything),
        TEST(test_nothing_differs_nothing_travels),
        TEST(test_only_the_difference_travels),
        TEST(test_each_change_follows),
        TEST(test_changes_and_breaks_at_any_moment),
        TEST(test_refused_then_tried_again),
        TEST(test_stats_explain_and_state),
        TEST(test_a_broken_connection_leaves_no_half),
        TEST(test_long_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
