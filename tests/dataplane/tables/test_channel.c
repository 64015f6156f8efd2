/* SPDX-License-Identifier: Apache-2.0 */
/* Messages through the reader and the writer, whole, in pieces, and wrong. */
#include "dataplane/tables/channel.h"
#include "tests/dataplane/tables/helper.h"

static const size_t least[CHANNEL_TYPE_COUNT] = {
    [CHANNEL_HELLO] = sizeof(struct channel_hello),
    [CHANNEL_ENTRIES] = sizeof(struct channel_entry),
    [CHANNEL_PUT] = sizeof(struct fp_key),
    [CHANNEL_DELETE] = sizeof(struct fp_key),
    [CHANNEL_COMMIT] = 8,
    [CHANNEL_ACK] = sizeof(struct channel_ack),
    [CHANNEL_STATS] = 4,
    [CHANNEL_STATS_REPLY] = 8,
    [CHANNEL_EXPLAIN] = 8,
    [CHANNEL_EXPLAIN_REPLY] = 8,
};

static void feed(struct channel_reader *reader, const void *data, size_t length)
{
    while (length) {
        size_t room;
        void *to;

        channel_reader_room(reader, &to, &room);
        assert_true(room);
        if (room > length)
            room = length;
        memcpy(to, data, room);
        channel_reader_add(reader, room);
        data = (const uint8_t *)data + room;
        length -= room;
        if (length) { /* a longer message: the reader makes room only when asked for it */
            enum channel_type type;
            const void *payload;
            size_t bytes;

            assert_int_equal(channel_reader_next(reader, &type, &payload, &bytes), 0);
        }
    }
}

/* What the reader says to a header of that type and length. */
static int header_answer(unsigned type, size_t length, uint16_t zero)
{
    struct channel_header header = {(uint32_t)length, (uint16_t)type, zero};
    struct channel_reader *reader;
    enum channel_type got;
    const void *payload;
    int rc;

    assert_int_equal(channel_reader_new(&reader), 0);
    feed(reader, &header, sizeof(header));
    rc = channel_reader_next(reader, &got, &payload, &length);
    channel_reader_free(reader);
    return rc;
}

static void test_lengths_are_checked_by_type(void **state)
{
    for (unsigned type = 1; type < CHANNEL_TYPE_COUNT; type++) {
        assert_int_equal(header_answer(type, least[type], 0), least[type] ? 0 : 1);
        assert_int_equal(header_answer(type, least[type], 1), CULVERT_EPROTO);
        if (least[type])
            assert_int_equal(header_answer(type, least[type] - 1, 0), CULVERT_EPROTO);
        assert_int_equal(header_answer(type, CHANNEL_MESSAGE_MAX + 1, 0), CULVERT_EPROTO);
        assert_int_equal(header_answer(type, UINT32_MAX, 0), CULVERT_EPROTO);
    }
    assert_int_equal(header_answer(0, 0, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_TYPE_COUNT, 0, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(UINT16_MAX, 0, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_LIST, TABLES_PARTS + 1, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_ENTRIES, sizeof(struct channel_entry) + 1, 0),
                     CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_STATS_REPLY, 9, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_DELETE, 25, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_ACK, 16 + 2000, 0), CULVERT_EPROTO);
    assert_int_equal(header_answer(CHANNEL_BEGIN, 1, 0), CULVERT_EPROTO);
}

/* Messages of growing, odd lengths, cut into pieces of each size. */
static void test_pieces_of_any_size(void **state)
{
    static uint8_t text[300000];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7);
    for (size_t piece = 1; piece < 70000; piece = piece * 3 + 1) {
        struct channel_writer writer = {.bound = 64 * MIB};
        struct channel_reader *reader;
        size_t read = 0, at = 0;

        for (size_t length = 0; length < sizeof(text); length = length * 2 + 3)
            assert_int_equal(channel_write(&writer, CHANNEL_STATE, text, length / 2,
                                           text + length / 2, length - length / 2),
                             0);
        assert_int_equal(channel_reader_new(&reader), 0);
        while (at < writer.length) {
            size_t room, length;
            enum channel_type type;
            const void *payload;
            void *to;
            int rc;

            channel_reader_room(reader, &to, &room);
            assert_true(room >= 1);
            room = room < piece ? room : piece;
            room = room < writer.length - at ? room : writer.length - at;
            memcpy(to, writer.data + at, room);
            at += room;
            channel_reader_add(reader, room);
            while ((rc = channel_reader_next(reader, &type, &payload, &length)) > 0) {
                assert_int_equal(type, CHANNEL_STATE);
                assert_int_equal((uintptr_t)payload % 8, 0);
                assert_int_equal(length, read);
                if (length)
                    assert_memory_equal(payload, text, length);
                read = read * 2 + 3;
            }
            assert_int_equal(rc, 0);
        }
        assert_true(read > sizeof(text));
        channel_reader_free(reader);
        channel_writer_free(&writer);
    }
}

static void test_writer_has_a_bound(void **state)
{
    struct channel_writer writer = {.bound = 100};
    uint8_t key[sizeof(struct fp_key)] = {0};

    assert_int_equal(channel_write(&writer, CHANNEL_DELETE, key, sizeof(key), NULL, 0), 0);
    assert_int_equal(channel_write(&writer, CHANNEL_PUT, key, sizeof(key), key, 12), 0);
    assert_int_equal(writer.length, 32 + 44);
    assert_int_equal(channel_write(&writer, CHANNEL_DELETE, key, sizeof(key), NULL, 0),
                     CULVERT_EFULL);
    assert_int_equal(writer.length, 32 + 44);
    channel_writer_sent(&writer, 32);
    assert_int_equal(writer.length, 44);
    assert_int_equal(((struct channel_header *)writer.data)->type, CHANNEL_PUT);
    assert_int_equal(channel_write(&writer, CHANNEL_DELETE, key, sizeof(key), NULL, 0), 0);
    assert_int_equal(channel_write(&writer, CHANNEL_DELETE, key, 3, NULL, 0), CULVERT_EINVAL);
    assert_int_equal(channel_write(&writer, 0, NULL, 0, NULL, 0), CULVERT_EINVAL);
    assert_int_equal(channel_write(&writer, CHANNEL_STATE, key, SIZE_MAX, key, 2), CULVERT_EINVAL);
    channel_writer_free(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_are_checked_by_type),
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_writer_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
