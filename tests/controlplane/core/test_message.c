/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between nodes: what is written is read back, cut or changed it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/core/message.h"

/* As libraft encodes two members: 1 at "a", a voter; 2 at "b", a standby. */
static const uint8_t members[] = {1, 2,   0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,   0, 0, 0,
                                  0, 'a', 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 'b', 0, 0, 0};

static struct wal_entry entries[] = {
    {.term = 3, .type = MESSAGE_BARRIER, .data = "", .length = 0},
    {.term = 3, .type = MESSAGE_COMMAND, .data = "put", .length = 3},
    {.term = 5, .type = MESSAGE_MEMBERS, .data = members, .length = sizeof(members)},
};

static const struct message append = {
    .kind = MESSAGE_APPEND,
    .group = 7,
    .term = 5,
    .append = {.prev_index = 9, .prev_term = 2, .commit = 8, .count = 3, .entries = entries}};

static const struct message chunk = {.kind = MESSAGE_CHUNK,
                                     .group = 1,
                                     .term = 5,
                                     .chunk = {.stream = 77,
                                               .index = 12,
                                               .index_term = 4,
                                               .members_index = 11,
                                               .last = true,
                                               .members = members,
                                               .members_length = sizeof(members),
                                               .data = "state",
                                               .length = 5}};

static void encode(const struct message *message, struct buffer *out)
{
    buffer_clear(out);
    message_encode(message, out);
    assert_int_equal(out->error, 0);
}

static int decode(const struct buffer *bytes, struct message *out)
{
    return message_decode((const uint8_t *)bytes->data, bytes->length, out);
}

static void refused(const struct message *message)
{
    struct buffer bytes = {0};
    struct message back;

    encode(message, &bytes);
    assert_int_equal(decode(&bytes, &back), CULVERT_EPROTO);
    buffer_free(&bytes);
}

static void test_append(void **state)
{
    struct buffer bytes = {0};
    struct message back;

    encode(&append, &bytes);
    assert_int_equal(decode(&bytes, &back), 0);
    assert_int_equal(back.group, 7);
    assert_int_equal(back.term, 5);
    assert_int_equal(back.append.prev_index, 9);
    assert_int_equal(back.append.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(back.append.entries[i].term, entries[i].term);
        assert_int_equal(back.append.entries[i].type, entries[i].type);
        assert_int_equal(back.append.entries[i].length, entries[i].length);
        assert_memory_equal(back.append.entries[i].data, entries[i].data, entries[i].length);
    }
    message_free(&back);
    buffer_free(&bytes);
}

static void test_chunk(void **state)
{
    struct buffer bytes = {0};
    struct message back;

    encode(&chunk, &bytes);
    assert_int_equal(decode(&bytes, &back), 0);
    assert_int_equal(back.chunk.stream, 77);
    assert_int_equal(back.chunk.members_length, sizeof(members));
    assert_memory_equal(back.chunk.data, "state", 5);
    assert_true(back.chunk.last);
    buffer_free(&bytes);
}

static void test_small_ones(void **state)
{
    for (unsigned kind = MESSAGE_APPEND_RESULT; kind <= MESSAGE_CHUNK_RESULT; kind++) {
        struct message message = {.kind = (uint8_t)kind, .term = 6}, back;
        struct buffer bytes = {0}, again = {0};

        if (kind == MESSAGE_CHUNK)
            continue;
        encode(&message, &bytes);
        assert_int_equal(decode(&bytes, &back), 0);
        encode(&back, &again);
        assert_int_equal(bytes.length, again.length);
        assert_memory_equal(bytes.data, again.data, bytes.length);
        buffer_free(&bytes);
        buffer_free(&again);
    }
}

/* Every shorter message is refused, and one that is longer. */
static void test_cut(void **state)
{
    const struct message *all[] = {&append, &chunk};

    for (unsigned i = 0; i < 2; i++) {
        struct buffer bytes = {0};
        struct message back;
        size_t length;

        encode(all[i], &bytes);
        length = bytes.length;
        for (bytes.length = 0; bytes.length < length; bytes.length++)
            assert_int_equal(decode(&bytes, &back), CULVERT_EPROTO);
        buffer_char(&bytes, 'x');
        assert_int_equal(decode(&bytes, &back), CULVERT_EPROTO);
        buffer_free(&bytes);
    }
}

/* What no honest leader sends. */
static void test_lies(void **state)
{
    struct message lie = append;
    struct wal_entry other[3];

    lie.append.prev_term = 0; /* an entry before, of no term */
    refused(&lie);
    lie.append.prev_term = 6; /* of a later term than the leader's */
    refused(&lie);
    lie = append;
    lie.append.prev_index = UINT64_MAX;
    refused(&lie);
    lie = append;
    lie.append.entries = other;
    memcpy(other, entries, sizeof(other));
    other[1].term = 2; /* terms fall */
    refused(&lie);
    other[1].term = 6; /* above the leader's */
    refused(&lie);
    memcpy(other, entries, sizeof(other));
    other[1].type = 0;
    refused(&lie);
    memcpy(other, entries, sizeof(other));
    other[2].length--; /* members that end in the middle are as good as the padding */
    other[2].length -= 4;
    refused(&lie);
    lie = chunk;
    lie.chunk.sequence = 1; /* the members come with the first one only */
    refused(&lie);
    lie = chunk;
    lie.chunk.index_term = 6;
    refused(&lie);
    lie = (struct message){.kind = 99};
    refused(&lie);
}

static void test_members(void **state)
{
    uint8_t bytes[sizeof(members)];

    assert_true(message_members_valid(members, sizeof(members)));
    assert_false(message_members_valid(members, 0));
    memcpy(bytes, members, sizeof(members));
    bytes[20] = 1; /* the id of the other one */
    assert_false(message_members_valid(bytes, sizeof(bytes)));
    memcpy(bytes, members, sizeof(members));
    bytes[28] = 'a'; /* its address */
    assert_false(message_members_valid(bytes, sizeof(bytes)));
    memcpy(bytes, members, sizeof(members));
    bytes[1] = 3; /* one more than are there */
    assert_false(message_members_valid(bytes, sizeof(bytes)));
    memcpy(bytes, members, sizeof(members));
    bytes[19] = 3; /* no such role */
    assert_false(message_members_valid(bytes, sizeof(bytes)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),     cmocka_unit_test(test_chunk),
        cmocka_unit_test(test_small_ones), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_lies),       cmocka_unit_test(test_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
