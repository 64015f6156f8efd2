/* SPDX-License-Identifier: Apache-2.0 */
/* The encoding of commands, and what of them is refused before any store sees it. */
#include <stdlib.h>

#include "tests/controlplane/core/kv/rig.h"

static int decode(struct arena *arena, const void *bytes, size_t length)
{
    struct kv_command command;

    return kv_command_decode(&command, arena, (struct kv_slice){bytes, length});
}

static int check(const struct kv_command *command, size_t ops, size_t bytes)
{
    struct kv_limits limits = {ops, bytes};
    struct buffer encoded = {0};
    int error;

    kv_command_encode(command, &encoded);
    error = kv_command_check(command, encoded.length, &limits);
    buffer_free(&encoded);
    return error;
}

/* All that a transaction can hold. */
static struct kv_command large_command(void)
{
    static struct kv_compare compares[] = {
        {.keys = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}},
         .compared = KV_IF_VALUE,
         .relation = KV_NOT_EQUAL,
         .value = {(const uint8_t *)"v", 1}},
        {.keys = {.key = {(const uint8_t *)"a", 1}}, .compared = KV_IF_LEASE, .number = -7},
    };
    static struct kv_op inner[] = {
        {.kind = KV_PUT, .put = {.key = {(const uint8_t *)"p", 1}, .lease = -1, .prev = true}},
        {.kind = KV_DELETE, .delete = {.keys = {.key = {(const uint8_t *)"d", 1}}, .prev = true}},
    };
    static struct kv_op outer[] = {
        {.kind = KV_RANGE,
         .range = {.keys = {{(const uint8_t *)"r", 1}, {(const uint8_t *)"", 1}},
                   .limit = 300,
                   .revision = 1ull << 62,
                   .order = KV_ORDER_DESCEND,
                   .target = KV_BY_VALUE,
                   .keys_only = true,
                   .max_create = 9}},
        {.kind = KV_TXN, .txn = {.branch = {{0}, {inner, 2}}}},
    };

    return (struct kv_command){
        .kind = KV_TXN, .op = {.kind = KV_TXN, .txn = {compares, 2, {{inner, 1}, {outer, 2}}}}};
}

static void test_decoded_is_what_was_encoded(void **state)
{
    struct kv_command command = large_command(), decoded;
    struct buffer first = {0}, again = {0};
    struct arena arena = {0};

    kv_command_encode(&command, &first);
    assert_int_equal(kv_command_decode(&decoded, &arena, kv_buffer_slice(&first)), 0);
    kv_command_encode(&decoded, &again);
    assert_int_equal(first.length, again.length);
    assert_memory_equal(first.data, again.data, first.length);
    assert_int_equal(decoded.op.txn.compares[1].number, -7);
    assert_int_equal(decoded.op.txn.branch[1].list[0].range.revision, 1ull << 62);
    for (size_t length = 0; length < first.length; length++)
        assert_int_equal(decode(&arena, first.data, length), CULVERT_EPROTO);
    buffer_char(&first, 0);
    assert_int_equal(decode(&arena, first.data, first.length), CULVERT_EPROTO);
    buffer_free(&first);
    buffer_free(&again);
    arena_free(&arena);
}

static void test_other_versions(void **state)
{
    struct arena arena = {0};

    assert_int_equal(decode(&arena, "\2\5\1", 3), CULVERT_EUNSUPPORTED);
    assert_int_equal(decode(&arena, "\0\5\1", 3), CULVERT_EPROTO);
    assert_int_equal(decode(&arena, "\1\5\1", 3), 0);
    assert_int_equal(decode(&arena, "\1\5\201\0", 4), CULVERT_EPROTO); /* not the shortest form */
    arena_free(&arena);
}

static void test_lists_are_bounded(void **state)
{
    struct arena arena = {0};
    uint8_t bytes[100] = {1, KV_TXN, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    struct kv_slice many;
    size_t length = 2;

    assert_int_equal(decode(&arena, bytes, sizeof(bytes)), CULVERT_EPROTO);
    assert_int_equal(arena.total, 0);
    many.length = KV_COMMAND_MAX;
    many.data = calloc(1, many.length);
    assert_non_null(many.data);
    memcpy((uint8_t *)many.data, "\1\4\201\200\1", 5); /* 16385 comparisons */
    assert_int_equal(decode(&arena, many.data, many.length), CULVERT_ETOOMANY);
    assert_int_equal(arena.total, 0);
    assert_int_equal(decode(&arena, many.data, many.length + 1), CULVERT_ETOOLARGE);
    free((uint8_t *)many.data);
    for (unsigned depth = 0; depth < KV_DEPTH_MAX + 1; depth++) {
        bytes[length++] = 0; /* no comparison, no failure ops, one success op: a transaction */
        bytes[length++] = 0;
        bytes[length++] = 1;
        bytes[length++] = KV_TXN;
    }
    assert_int_equal(decode(&arena, bytes, sizeof(bytes)), CULVERT_ETOOMANY);
    arena_free(&arena);
}

static void test_limits(void **state)
{
    struct kv_command command = large_command();

    assert_int_equal(check(&command, 4, 1000), 0);
    assert_int_equal(check(&command, 3, 1000), CULVERT_ETOOMANY); /* 2 and, within, 2 */
    assert_int_equal(check(&command, 4, 10), CULVERT_ETOOLARGE);
}

static int check_two(struct kv_op x, struct kv_op y)
{
    struct kv_op ops[] = {x, y};
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};

    command.op.txn.branch[1] = (struct kv_ops){ops, 2};
    return check(&command, 128, 1000);
}

#define PUT(name) {.kind = KV_PUT, .put.key = {(const uint8_t *)(name), 1}}

static void test_a_key_is_changed_once(void **state)
{
    struct kv_op put_a = PUT("a"), put_b = PUT("b"), txn = {.kind = KV_TXN};
    struct kv_op range = {.kind = KV_DELETE,
                          .delete.keys = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}}};

    assert_int_equal(check_two(put_a, put_b), 0);
    assert_int_equal(check_two(put_a, put_a), CULVERT_EDUPLICATE);
    assert_int_equal(check_two(put_a, range), CULVERT_EDUPLICATE);
    assert_int_equal(check_two(range, put_b), 0);
    assert_int_equal(check_two(range, range), 0);
    txn.txn.branch[0] = (struct kv_ops){&put_a, 1};
    assert_int_equal(check_two(put_a, txn), CULVERT_EDUPLICATE);
    assert_int_equal(check_two(put_b, txn), 0);
    txn.txn.branch[1] = (struct kv_ops){&put_a, 1}; /* one of both happens */
    assert_int_equal(check_two(put_b, txn), 0);
    txn.txn.branch[1] = (struct kv_ops){&range, 1};
    txn.txn.branch[0] = (struct kv_ops){0};
    assert_int_equal(check_two(put_a, txn), CULVERT_EDUPLICATE);
}

static void test_empty_keys_and_contradictions(void **state)
{
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};

    assert_int_equal(check(&command, 128, 1000), CULVERT_EINVAL);
    command.op.put =
        (struct kv_put){.key = kv_text("a"), .value = kv_text("v"), .ignore_value = true};
    assert_int_equal(check(&command, 128, 1000), CULVERT_EINVAL);
    command.op.put = (struct kv_put){.key = kv_text("a"), .lease = 3, .ignore_lease = true};
    assert_int_equal(check(&command, 128, 1000), CULVERT_EINVAL);
    command = (struct kv_command){.kind = KV_RANGE, .op.kind = KV_RANGE};
    assert_int_equal(check(&command, 128, 1000), CULVERT_EINVAL);
    command = (struct kv_command){.kind = KV_LEASE_GRANT, .lease = {1, KV_TTL_MAX + 1, 0}};
    assert_int_equal(check(&command, 128, 1000), CULVERT_ETTL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoded_is_what_was_encoded),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_key_is_changed_once),
        cmocka_unit_test(test_empty_keys_and_contradictions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
