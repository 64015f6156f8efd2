/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions, generations and look-ups, one story a test. */
#include "tests/dataplane/tables/helper.h"

#define REGION (16 * MIB)

static int setup(void **state)
{
    *state = tables_new(REGION, 2);
    return 0;
}

static int teardown(void **state)
{
    tables_end(*state);
    return 0;
}

static size_t used_of(struct tables *tables)
{
    struct tables_usage usage;

    tables_usage(tables, &usage);
    return usage.used;
}

static void commit(struct tables *tables, uint64_t site_generation)
{
    assert_int_equal(tables_commit(tables, site_generation), 0);
}

static void test_new_region_is_empty(void **state)
{
    struct tables_usage usage;
    struct tables_cursor cursor = {0};
    struct fp_key key;
    const void *body;
    size_t length;

    tables_usage(*state, &usage);
    assert_int_equal(usage.entries, 0);
    assert_int_equal(usage.region, REGION);
    assert_true(usage.used + usage.free <= REGION && usage.used + usage.free > REGION - 4096);
    assert_false(tables_next(*state, &cursor, &key, &body, &length));
    assert_int_equal(tables_site_generation(*state), 0);
    for (unsigned part = 0; part < TABLES_PARTS; part++)
        assert_int_equal(tables_digests(*state)[part], 0);
}

static void test_seen_from_commit_on(void **state)
{
    struct fp_key dns = dns_key(1), backend = slot_key(FP_KIND_BACKEND, 7);
    uint32_t before = root_of(*state)->generation;

    assert_int_equal(tables_begin(*state), 0);
    assert_int_equal(put_dns(*state, 1, 'x', 80), 0);
    assert_int_equal(put_backend(*state, 7, 1), 0);
    assert_null(find_at(*state, before, &dns));
    assert_null(find_at(*state, before, &backend));
    assert_null(tables_get_committed(*state, &dns, NULL));
    assert_non_null(tables_get(*state, &dns, NULL));
    commit(*state, 42);
    assert_int_equal(root_of(*state)->generation, before + 1);
    assert_int_equal(tables_site_generation(*state), 42);
    assert_non_null(find_now(*state, &dns));
    assert_non_null(find_now(*state, &backend));
    assert_null(find_at(*state, before, &dns));
    assert_null(find_at(*state, before, &backend));
    assert_int_equal(find_now(*state, &dns)->length, 80);
}

static void test_replaced_entry_has_two_versions(void **state)
{
    struct fp_key key = dns_key(1);
    uint32_t old;

    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 1);
    old = root_of(*state)->generation;
    tables_begin(*state);
    put_dns(*state, 1, 'b', 200);
    commit(*state, 2);
    assert_int_equal(find_at(*state, old, &key)->length, 100);
    assert_int_equal(find_now(*state, &key)->length, 200);
    reclaim_all(*state);
    assert_int_equal(find_now(*state, &key)->prev, 0);
}

static void test_deleted_entry_has_its_old_version(void **state)
{
    struct fp_key key = dns_key(1), backend = slot_key(FP_KIND_BACKEND, 9);
    size_t used = used_of(*state);
    uint32_t old;

    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    put_backend(*state, 9, 9);
    commit(*state, 1);
    old = root_of(*state)->generation;
    tables_begin(*state);
    assert_int_equal(delete_dns(*state, 1), 0);
    assert_int_equal(tables_delete(*state, &backend), 0);
    assert_non_null(find_at(*state, old, &key));
    commit(*state, 2);
    assert_non_null(find_at(*state, old, &key));
    assert_non_null(find_at(*state, old, &backend));
    assert_null(find_now(*state, &key));
    assert_null(find_now(*state, &backend));
    assert_null(tables_get(*state, &key, NULL));
    reclaim_all(*state);
    assert_null(find_now(*state, &key));
    assert_int_equal(used_of(*state), used);
}

static void test_abort_leaves_nothing(void **state)
{
    struct fp_key one = dns_key(1), two = dns_key(2), three = dns_key(3);
    uint64_t digests[TABLES_PARTS];
    size_t used;

    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    put_dns(*state, 2, 'a', 100);
    commit(*state, 1);
    reclaim_all(*state);
    used = used_of(*state);
    memcpy(digests, tables_digests(*state), sizeof(digests));
    tables_begin(*state);
    put_dns(*state, 1, 'b', 300);
    put_dns(*state, 1, 'c', 500);
    delete_dns(*state, 2);
    put_dns(*state, 3, 'd', 64);
    tables_abort(*state);
    assert_int_equal(find_now(*state, &one)->length, 100);
    assert_non_null(find_now(*state, &two));
    assert_null(find_now(*state, &three));
    assert_memory_equal(digests, tables_digests(*state), sizeof(digests));
    reclaim_all(*state);
    assert_int_equal(used_of(*state), used);
    tables_abort(*state); /* none is open: nothing happens */
}

static void test_same_key_again_and_again(void **state)
{
    struct fp_key key = dns_key(1), other = dns_key(2);
    uint32_t old;
    size_t used;

    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 1);
    reclaim_all(*state);
    used = used_of(*state);
    old = root_of(*state)->generation;
    tables_begin(*state);
    put_dns(*state, 1, 'b', 200);
    delete_dns(*state, 1);
    delete_dns(*state, 1);
    put_dns(*state, 1, 'c', 300);
    put_dns(*state, 2, 'c', 300);
    delete_dns(*state, 2);
    assert_int_equal(find_at(*state, old, &key)->length, 100);
    assert_null(find_at(*state, old, &other));
    commit(*state, 2);
    assert_int_equal(find_at(*state, old, &key)->length, 100);
    assert_int_equal(find_now(*state, &key)->length, 300);
    assert_null(find_now(*state, &other));
    tables_begin(*state);
    delete_dns(*state, 1);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 3);
    reclaim_all(*state);
    assert_int_equal(used_of(*state), used);
}

static void test_unchanged_body_is_no_change(void **state)
{
    struct fp_key key = dns_key(1);
    struct fp_rec *rec;
    uint32_t generation;

    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 1);
    rec = find_now(*state, &key);
    generation = root_of(*state)->generation;
    tables_begin(*state);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 2);
    assert_ptr_equal(find_now(*state, &key), rec);
    assert_int_equal(root_of(*state)->generation, generation);
    assert_int_equal(tables_site_generation(*state), 2);
    /* Away and back within one transaction. */
    tables_begin(*state);
    put_dns(*state, 1, 'b', 100);
    put_dns(*state, 1, 'a', 100);
    delete_dns(*state, 1);
    put_dns(*state, 1, 'a', 100);
    commit(*state, 3);
    assert_ptr_equal(find_now(*state, &key), rec);
}

static void test_full_region_says_so_and_goes_on(void **state)
{
    struct tables_usage usage;
    struct fp_key key;
    uint64_t count = 0;
    int rc = 0;

    tables_begin(*state);
    put_dns(*state, 1u << 30, 'k', 80);
    commit(*state, 1);
    tables_begin(*state);
    while (!rc)
        rc = put_dns(*state, count++, 'a', 4000);
    assert_int_equal(rc, CULVERT_EFULL);
    tables_abort(*state);
    tables_usage(*state, &usage);
    assert_int_equal(usage.entries, 1);
    /* What was aborted is used again: the same fits twice as often as once. */
    for (int round = 0; round < 3; round++) {
        tables_begin(*state);
        for (uint64_t i = 0; i < count / 2 - 1; i++)
            assert_int_equal(put_dns(*state, i, (uint8_t)round, 4000), 0);
        commit(*state, 2);
    }
    key = dns_key(1u << 30);
    assert_non_null(find_now(*state, &key));
}

static void test_large_bodies(void **state)
{
    for (int round = 0; round < 20; round++) {
        tables_begin(*state);
        assert_int_equal(put_dns(*state, 1, (uint8_t)round, TABLES_BODY_MAX), 0);
        assert_int_equal(put_dns(*state, 2, (uint8_t)round, TABLES_BODY_MAX / 2), 0);
        commit(*state, (uint64_t)round);
    }
}

static void test_index_grows_and_shrinks(void **state)
{
    uint32_t log2 = root_of(*state)->index >> 32;
    size_t used = used_of(*state);

    tables_begin(*state);
    for (uint64_t i = 0; i < 50000; i++)
        assert_int_equal(put_dns(*state, i, 'a', 64), 0);
    commit(*state, 1);
    for (uint64_t i = 0; i < 50000; i++) {
        struct fp_key key = dns_key(i);

        assert_non_null(find_now(*state, &key));
    }
    assert_true(root_of(*state)->index >> 32 > log2 + 4);
    tables_begin(*state);
    for (uint64_t i = 0; i < 50000; i++)
        assert_int_equal(delete_dns(*state, i), 0);
    commit(*state, 2);
    reclaim_all(*state);
    assert_int_equal(root_of(*state)->index >> 32, log2);
    assert_int_equal(used_of(*state), used);
}

static void test_local_entries(void **state)
{
    struct fp_key key = slot_key(FP_KIND_NEXTHOP, 5), pool = slot_key(FP_KIND_POOL, 5);
    struct fp_nexthop nexthop = {.ifindex = 3};
    uint32_t generation = root_of(*state)->generation;
    size_t used = used_of(*state);
    struct tables_usage usage;

    assert_int_equal(tables_put_local(*state, &pool, &nexthop, sizeof(nexthop)), CULVERT_EINVAL);
    assert_int_equal(tables_put_local(*state, &key, &nexthop, 5), CULVERT_EINVAL);
    assert_int_equal(tables_put_local(*state, &key, &nexthop, sizeof(nexthop)), 0);
    assert_non_null(find_at(*state, generation, &key));
    assert_non_null(find_at(*state, generation - 1, &key)); /* a packet still on its way */
    for (unsigned i = 0; i < 5000; i++) {
        nexthop.mtu = (fp_u16)i;
        assert_int_equal(tables_put_local(*state, &key, &nexthop, sizeof(nexthop)), 0);
    }
    /* Also while a transaction is open, with no part in it. */
    tables_begin(*state);
    put_backend(*state, 5, 1);
    nexthop.ifindex = 4;
    assert_int_equal(tables_put_local(*state, &key, &nexthop, sizeof(nexthop)), 0);
    tables_abort(*state);
    assert_int_equal(((struct fp_nexthop *)(find_now(*state, &key) + 1))->ifindex, 4);
    for (unsigned part = 0; part < TABLES_PARTS; part++)
        assert_int_equal(tables_digests(*state)[part], 0);
    tables_usage(*state, &usage);
    assert_int_equal(usage.kind[FP_KIND_NEXTHOP], 1);
    assert_int_equal(tables_delete_local(*state, &key), 0);
    assert_null(find_now(*state, &key));
    assert_int_equal(tables_delete_local(*state, &key), 0);
    reclaim_all(*state);
    assert_int_equal(used_of(*state), used);
}

static int count_entry(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    unsigned *counts = arg;

    assert_non_null(body);
    counts[key->kind]++;
    return counts[key->kind] == 7 ? 77 : 0;
}

static int count_key(void *arg, const struct fp_key *key)
{
    ++*(unsigned *)arg;
    return 0;
}

static void test_each_next_and_changes(void **state)
{
    unsigned counts[FP_KIND_COUNT] = {0}, changes = 0;

    tables_begin(*state);
    for (unsigned i = 1; i <= 5; i++) {
        put_dns(*state, i, 'a', 64);
        put_backend(*state, i, 1);
    }
    commit(*state, 1);
    tables_changes(*state, count_key, &changes);
    assert_int_equal(changes, 10);
    tables_begin(*state);
    delete_dns(*state, 1);
    put_backend(*state, 6, 1);
    put_backend(*state, 6, 2);
    tables_each(*state, FP_KIND_DNS, count_entry, counts); /* committed ones only */
    assert_int_equal(counts[FP_KIND_DNS], 5);
    commit(*state, 2);
    changes = 0;
    tables_changes(*state, count_key, &changes);
    assert_int_equal(changes, 2);
    memset(counts, 0, sizeof(counts));
    assert_int_equal(tables_each(*state, FP_KIND_COUNT, count_entry, counts), 0);
    assert_int_equal(counts[FP_KIND_DNS], 4);
    assert_int_equal(counts[FP_KIND_BACKEND], 6);
    assert_int_equal(tables_each(*state, FP_KIND_BACKEND, count_entry, counts), 77);
    assert_int_equal(tables_each(*state, FP_KIND_POOL, count_entry, counts), 0);
}

static void test_digests_follow_the_content(void **state)
{
    struct tables *other = tables_new(REGION, 0);

    tables_begin(*state);
    for (unsigned i = 1; i < 500; i++)
        put_dns(*state, i, 'a', 64 + i % 5);
    put_backend(*state, 3, 3);
    commit(*state, 1);
    tables_begin(*state);
    for (unsigned i = 1; i < 400; i++)
        delete_dns(*state, i);
    put_dns(*state, 450, 'b', 64);
    commit(*state, 2);
    tables_begin(other);
    put_dns(other, 450, 'b', 64);
    put_backend(other, 3, 3);
    for (unsigned i = 499; i >= 400; i--)
        if (i != 450)
            put_dns(other, i, 'a', 64 + i % 5);
    commit(other, 9);
    assert_memory_equal(tables_digests(*state), tables_digests(other),
                        TABLES_PARTS * sizeof(uint64_t));
    tables_end(other);
}

static void test_one_transaction_at_a_time(void **state)
{
    assert_int_equal(tables_begin(*state), 0);
    assert_int_equal(tables_begin(*state), CULVERT_EBUSY);
    commit(*state, 1);
}

static void graces_count(void *arg)
{
    ++*(unsigned *)arg;
}

static void test_memory_waits_for_the_grace_period(void **state)
{
    unsigned graces = 0;
    struct tables_options options = {
        .base = region_new(REGION), .size = REGION, .grace = graces_count, .grace_arg = &graces};
    struct tables *tables;

    assert_int_equal(tables_open(&tables, &options), 0);
    tables_begin(tables);
    put_dns(tables, 1, 'a', 64);
    commit(tables, 1);
    assert_int_equal(graces, 0);
    tables_begin(tables);
    assert_int_equal(graces, 1);
    delete_dns(tables, 1);
    commit(tables, 2);
    assert_true(tables_reclaim(tables)); /* the entry goes, its tombstone is unlinked */
    assert_int_equal(graces, 2);
    assert_false(tables_reclaim(tables)); /* the tombstone goes */
    assert_int_equal(graces, 3);
    assert_false(tables_reclaim(tables));
    tables_begin(tables);
    assert_int_equal(graces, 3);
    tables_end(tables);
}

static void test_old_records_stay_visible_for_ever(void **state)
{
    struct fp_key key = dns_key(1), hop = slot_key(FP_KIND_NEXTHOP, 5);
    struct fp_nexthop nexthop = {.ifindex = 3};

    tables_begin(*state);
    put_dns(*state, 1, 'a', 64);
    commit(*state, 1);
    tables_put_local(*state, &hop, &nexthop, sizeof(nexthop));
    /* 2^32 generations in steps that a year of transactions would take one by one. */
    for (unsigned i = 0; i < 17; i++) {
        reclaim_all(*state);
        root_of(*state)->generation = ((root_of(*state)->generation >> 28) + 1) << 28;
        tables_begin(*state);
        put_backend(*state, 1, (uint8_t)i);
        commit(*state, i);
        assert_non_null(find_now(*state, &key));
        assert_non_null(find_now(*state, &hop));
    }
}

static void test_open_refuses_what_it_cant_use(void **state)
{
    struct tables_options options = {.base = region_new(REGION), .size = 64 * 1024};
    struct tables *tables;

    assert_int_equal(tables_open(&tables, &options), CULVERT_EINVAL); /* too small */
    memset(options.base, 0, 4096);
    options.size = REGION;
    assert_int_equal(tables_open(&tables, &options), 0);
    assert_false(options.recovered);
    tables_close(tables);
    ((struct fp_root *)options.base)->layout++;
    assert_int_equal(tables_open(&tables, &options), CULVERT_ELAYOUT);
    ((struct fp_root *)options.base)->layout--;
    options.size = REGION / 2;
    assert_int_equal(tables_open(&tables, &options), CULVERT_ELAYOUT);
    options.size = REGION;
    ((struct fp_root *)options.base)->heap += 64;
    assert_int_equal(tables_open(&tables, &options), CULVERT_ECORRUPT);
    ((struct fp_root *)options.base)->heap -= 64;
    assert_int_equal(tables_open(&tables, &options), 0);
    assert_true(options.recovered);
    tables_end(tables);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_new_region_is_empty),
        TEST(test_seen_from_commit_on),
        TEST(test_replaced_entry_has_two_versions),
        TEST(test_deleted_entry_has_its_old_version),
        TEST(test_abort_leaves_nothing),
        TEST(test_same_key_again_and_again),
        TEST(test_unchanged_body_is_no_change),
        TEST(test_full_region_says_so_and_goes_on),
        TEST(test_large_bodies),
        TEST(test_index_grows_and_shrinks),
        TEST(test_local_entries),
        TEST(test_each_next_and_changes),
        TEST(test_digests_follow_the_content),
        TEST(test_one_transaction_at_a_time),
        TEST(test_memory_waits_for_the_grace_period),
        TEST(test_old_records_stay_visible_for_ever),
        TEST(test_open_refuses_what_it_cant_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
