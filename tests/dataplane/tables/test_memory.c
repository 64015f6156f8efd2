/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once, in turn: an error comes back, nothing is lost and nothing leaks. */
#include "dataplane/tables/channel_apply.h"
#include "dataplane/tables/channel_sync.h"
#include "tests/allocator.h"
#include "tests/dataplane/tables/helper.h"

#define REGION (16 * MIB)

static long countdown = -1; /* the allocation to fail; below 0: none */

bool allocation_fails(void)
{
    if (countdown < 0)
        return false;
    countdown--;
    return countdown < 0;
}

/* Opens, changes, closes. Returns the first error. */
static int tables_story(void *base)
{
    struct tables_options options = {.base = base, .size = REGION};
    struct tables *tables;
    int rc = tables_open(&tables, &options);

    if (rc)
        return rc;
    rc = tables_begin(tables);
    for (unsigned i = 0; !rc && i < 600; i++)
        rc = put_dns(tables, i, 'n', 100);
    for (unsigned i = 0; !rc && i < 100; i++)
        rc = delete_dns(tables, i);
    if (rc)
        tables_abort(tables);
    else
        rc = tables_commit(tables, 2);
    reclaim_all(tables);
    tables_close(tables);
    return rc;
}

static void test_tables(void **state)
{
    long turn = 0;
    int rc;

    do {
        struct tables *tables = tables_new(REGION, 0);
        struct tables_options options = {.base = tables_base(tables), .size = REGION};
        struct fp_key key = dns_key(1);

        assert_int_equal(tables_begin(tables), 0);
        for (unsigned i = 0; i < 300; i++)
            assert_int_equal(put_dns(tables, i, 'o', 60), 0);
        assert_int_equal(tables_commit(tables, 1), 0);
        tables_close(tables);
        countdown = turn++;
        rc = tables_story(options.base);
        countdown = -1;
        assert_true(rc == 0 || rc == CULVERT_ENOMEM);
        assert_int_equal(tables_open(&tables, &options), 0);
        if (rc) /* all of it or none */
            assert_int_equal(find_now(tables, &key)->length, 60);
        else
            assert_null(find_now(tables, &key));
        index_check(tables);
        tables_end(tables);
    } while (rc);
    assert_true(turn > 5);
}

struct pair {
    struct channel_sync *sync;
    struct channel_apply *apply;
};

static int down(struct pair *pair, size_t *moved)
{
    const void *data;
    size_t room;
    void *to;
    int rc = channel_sync_output(pair->sync, &data, moved);

    if (rc || !*moved)
        return rc;
    channel_apply_room(pair->apply, &to, &room);
    *moved = room < *moved ? room : *moved;
    memcpy(to, data, *moved);
    channel_sync_sent(pair->sync, *moved);
    return channel_apply_add(pair->apply, *moved);
}

static int up(struct pair *pair, size_t *moved)
{
    const void *data;
    size_t room;
    void *to;
    int rc = channel_apply_output(pair->apply, &data, moved);

    if (rc || !*moved)
        return rc;
    channel_sync_room(pair->sync, &to, &room);
    *moved = room < *moved ? room : *moved;
    memcpy(to, data, *moved);
    channel_apply_sent(pair->apply, *moved);
    return channel_sync_add(pair->sync, *moved);
}

static int channel_story(struct tables *ours, struct tables *theirs)
{
    struct pair pair = {0};
    size_t down_bytes = 1, up_bytes = 0;
    int rc = channel_sync_new(&pair.sync, ours, NULL);

    if (!rc)
        rc = channel_apply_new(&pair.apply, theirs, "test", NULL);
    if (!rc)
        rc = channel_apply_start(pair.apply);
    while (!rc && down_bytes + up_bytes) {
        rc = down(&pair, &down_bytes);
        if (!rc)
            rc = up(&pair, &up_bytes);
    }
    if (!rc)
        rc = channel_sync_ask_stats(pair.sync, 1);
    if (!rc)
        rc = channel_sync_update(pair.sync);
    if (!rc && memcmp(tables_digests(ours), tables_digests(theirs), TABLES_PARTS * 8))
        rc = CULVERT_ENOMEM; /* refused: they had no memory */
    channel_apply_free(pair.apply);
    channel_sync_free(pair.sync);
    return rc;
}

static void test_channel(void **state)
{
    struct tables *ours = tables_new(REGION, 0);
    long turn = 0;
    int rc;

    assert_int_equal(tables_begin(ours), 0);
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(put_dns(ours, i, 'o', 60 + i), 0);
    assert_int_equal(put_dns(ours, 10000, 'o', 1 << 19), 0);
    assert_int_equal(tables_commit(ours, 1), 0);
    do {
        struct tables *theirs = tables_new(REGION, 0);

        assert_int_equal(tables_begin(theirs), 0);
        for (unsigned i = 2000; i < 4000; i++)
            assert_int_equal(put_dns(theirs, i, 'o', 60), 0);
        assert_int_equal(tables_commit(theirs, 5), 0);
        countdown = turn++;
        rc = channel_story(ours, theirs);
        countdown = -1;
        assert_true(rc == 0 || rc == CULVERT_ENOMEM);
        tables_end(theirs);
    } while (rc);
    assert_true(turn > 10);
    tables_end(ours);
}

/* A filter that can't be narrowed for want of memory is narrowed later. */
static void test_filter(void **state)
{
    struct tables *tables = tables_new(REGION, 0);
    struct fp_key key = {.a = 0x20, .c = 48, .kind = FP_KIND_ACCESS};
    struct fp_access access = {.action = FP_ACCESS_DENY};
    struct fp_access_filter *filter =
        (struct fp_access_filter *)((char *)root_of(tables) + root_of(tables)->access_filter);

    tables_begin(tables);
    assert_int_equal(tables_put(tables, &key, &access, sizeof(access)), 0);
    tables_commit(tables, 1);
    assert_int_equal(filter->v6[0x20][0], 1ull << 48);
    tables_begin(tables);
    tables_delete(tables, &key);
    tables_commit(tables, 2);
    countdown = 0;
    reclaim_all(tables);
    countdown = -1;
    assert_int_equal(filter->v6[0x20][0], 1ull << 48);
    assert_int_equal(root_of(tables)->access_count, 0);
    tables_begin(tables);
    put_dns(tables, 1, 'a', 60);
    tables_commit(tables, 3);
    reclaim_all(tables);
    assert_int_equal(filter->v6[0x20][0], 0);
    tables_end(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_channel),
        cmocka_unit_test(test_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
