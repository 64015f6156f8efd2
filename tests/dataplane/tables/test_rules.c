/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that breaks the rules of the channel is cut off; its transactions leave nothing. */
#include "tests/dataplane/tables/pair.h"

static void test_bad_entry_is_refused_whole(void **state)
{
    struct pair *pair = *state;
    struct fp_key good = dns_key(1), bad = slot_key(FP_KIND_NEXTHOP, 1);
    struct channel_writer writer = {.bound = MIB};
    struct fp_nexthop nexthop = {0};
    uint64_t generation = 9, body = 0;
    const struct channel_ack *ack;
    const void *data;
    size_t room;
    void *to;

    channel_write(&writer, CHANNEL_BEGIN, NULL, 0, NULL, 0);
    channel_write(&writer, CHANNEL_PUT, &good, sizeof(good), &body, sizeof(body));
    channel_write(&writer, CHANNEL_PUT, &bad, sizeof(bad), &nexthop, sizeof(nexthop));
    channel_write(&writer, CHANNEL_PUT, &good, sizeof(good), &body, sizeof(body));
    channel_write(&writer, CHANNEL_COMMIT, &generation, sizeof(generation), NULL, 0);
    channel_apply_output(pair->apply, &data, &room);
    channel_apply_sent(pair->apply, room);
    channel_apply_room(pair->apply, &to, &room);
    memcpy(to, writer.data, writer.length);
    assert_int_equal(channel_apply_add(pair->apply, writer.length), 0);
    channel_apply_output(pair->apply, &data, &room);
    ack = (const struct channel_ack *)((const struct channel_header *)data + 1);
    assert_int_equal(((const struct channel_header *)data)->type, CHANNEL_ACK);
    assert_int_equal(ack->error, CULVERT_EINVAL);
    assert_int_equal(ack->generation, 9);
    assert_null(tables_get(pair->theirs, &good, NULL));
    channel_writer_free(&writer);
}

static int apply_says(struct pair *pair, enum channel_type type, const void *payload, size_t length)
{
    struct channel_writer writer = {.bound = MIB};
    size_t room;
    void *to;
    int rc;

    assert_int_equal(channel_write(&writer, type, payload, length, NULL, 0), 0);
    channel_apply_room(pair->apply, &to, &room);
    memcpy(to, writer.data, writer.length);
    rc = channel_apply_add(pair->apply, writer.length);
    channel_writer_free(&writer);
    return rc;
}

static int sync_says(struct pair *pair, enum channel_type type, const void *payload, size_t length)
{
    struct channel_writer writer = {.bound = MIB};
    size_t room;
    void *to;
    int rc;

    assert_int_equal(channel_write(&writer, type, payload, length, NULL, 0), 0);
    channel_sync_room(pair->sync, &to, &room);
    memcpy(to, writer.data, writer.length);
    rc = channel_sync_add(pair->sync, writer.length);
    channel_writer_free(&writer);
    return rc;
}

static void test_apply_cuts_off_who_breaks_the_rules(void **state)
{
    struct pair *pair = *state;
    struct fp_key key = dns_key(1);
    uint64_t generation = 1;
    uint8_t part = 3;

    assert_int_equal(apply_says(pair, CHANNEL_DELETE, &key, sizeof(key)), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_COMMIT, &generation, 8), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_ENTRIES_END, NULL, 0), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_BEGIN, NULL, 0), 0);
    assert_int_equal(apply_says(pair, CHANNEL_BEGIN, NULL, 0), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_BEGIN, NULL, 0), 0);
    assert_int_equal(apply_says(pair, CHANNEL_LIST, &part, 1), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_LIST, &part, 1), 0);
    assert_int_equal(apply_says(pair, CHANNEL_LIST, &part, 1), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
    assert_int_equal(apply_says(pair, CHANNEL_LIST, &part, 1), 0);
    assert_int_equal(apply_says(pair, CHANNEL_BEGIN, NULL, 0), CULVERT_EPROTO);
    channel_apply_start(pair->apply);
}

static void test_sync_cuts_off_who_breaks_the_rules(void **state)
{
    struct pair *pair = *state;
    struct channel_hello hello = {.version = CHANNEL_VERSION, .layout = FP_REGION_LAYOUT};
    struct channel_entry entry = {.key = dns_key(1)};
    struct channel_ack ack = {0};

    assert_int_equal(sync_says(pair, CHANNEL_STATE, NULL, 0), CULVERT_EPROTO);
    sync_connect(pair);
    hello.version++;
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), CULVERT_ELAYOUT);
    sync_connect(pair);
    hello.version--;
    hello.layout++;
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), CULVERT_ELAYOUT);
    sync_connect(pair);
    hello.layout--;
    memset(hello.name, 'n', sizeof(hello.name));
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), CULVERT_EPROTO);
    sync_connect(pair);
    hello.name[3] = 0;
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), CULVERT_EPROTO);
    sync_connect(pair);
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ENTRIES, &entry, sizeof(entry)), CULVERT_EPROTO);
    sync_connect(pair);
    hello.digest[tables_part(&entry.key)] = 1;
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ENTRIES, &entry, sizeof(entry)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ACK, &ack, sizeof(ack)), CULVERT_EPROTO);
    sync_connect(pair);
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ENTRIES_END, NULL, 0), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ENTRIES_END, NULL, 0), CULVERT_EPROTO);
    sync_connect(pair);
    entry.key = slot_key(FP_KIND_NEXTHOP, 1);
    memset(hello.digest, 1, sizeof(hello.digest));
    assert_int_equal(sync_says(pair, CHANNEL_HELLO, &hello, sizeof(hello)), 0);
    assert_int_equal(sync_says(pair, CHANNEL_ENTRIES, &entry, sizeof(entry)), CULVERT_EPROTO);
    sync_connect(pair);
    assert_int_equal(sync_says(pair, CHANNEL_BEGIN, NULL, 0), CULVERT_EPROTO);
}

static void test_asking_without_reading_has_a_bound(void **state)
{
    struct pair *pair = *state;
    struct fp_root *root = root_of(pair->theirs);
    struct fp_counters *counters = (struct fp_counters *)((char *)root + root->counters);
    uint32_t cookie = 1;
    int rc = 0;

    tables_begin(pair->theirs);
    for (unsigned i = 1; i < 3000; i++) { /* for long answers */
        put_backend(pair->theirs, i, 1);
        counters[0].backend[i].packets = 1;
    }
    tables_commit(pair->theirs, 1);
    for (unsigned i = 0; !rc && i < 1000; i++)
        rc = apply_says(pair, CHANNEL_STATS, &cookie, sizeof(cookie));
    assert_int_equal(rc, CULVERT_EFULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_entry_is_refused_whole),
        TEST(test_apply_cuts_off_who_breaks_the_rules),
        TEST(test_sync_cuts_off_who_breaks_the_rules),
        TEST(test_asking_without_reading_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
