/* SPDX-License-Identifier: Apache-2.0 */
/* The store's semantics, a story each, on both engines. */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/core/kv/view.h"
#include "tests/controlplane/core/kv/rig.h"

static struct kv_info info_of(struct rig *rig)
{
    struct kv_info info;

    kv_store_info(rig->store, &info);
    return info;
}

static void test_revisions_count_changes(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(info_of(rig).revision, 1);
    assert_int_equal(rig_put(rig, "a", "1"), 0);
    assert_int_equal(rig->result.revision, 2);
    assert_int_equal(rig_put(rig, "a", "2"), 0);
    assert_int_equal(rig_delete(rig, "none", ""), 0);
    assert_int_equal(rig->result.revision, 3); /* nothing was changed */
    assert_int_equal(rig_put(rig, "b", "3"), 0);
    assert_string_equal(rig_range(rig, "a", "*", 0), "a=2@3 b=3@4");
}

static void test_past_can_be_read(void **state)
{
    struct rig *rig = *state;

    rig_put(rig, "a", "1");
    rig_put(rig, "a", "2");
    rig_delete(rig, "a", "");
    rig_put(rig, "a", "3");
    assert_string_equal(rig_range(rig, "a", "", 2), "a=1@2");
    assert_string_equal(rig_range(rig, "a", "", 3), "a=2@3");
    assert_string_equal(rig_range(rig, "a", "", 4), "");
    assert_string_equal(rig_range(rig, "a", "*", 5), "a=3@5");
    assert_string_equal(rig_range(rig, "a", "", 6), "the revision is in the future");
}

/* Keys that begin like others, and hold zeros, keep their order in the past as now. */
static void test_odd_keys(void **state)
{
    struct rig *rig = *state;
    struct kv_command put = {.kind = KV_PUT, .op.kind = KV_PUT};

    put.op.put = (struct kv_put){.key = {(const uint8_t *)"a\0b", 3}, .value = kv_text("zero")};
    rig_put(rig, "a", "short");
    assert_int_equal(rig_apply(rig, &put)->status, 0);
    rig_put(rig, "a\x01", "one");
    rig_put(rig, "z", "last");
    assert_string_equal(rig_range(rig, "a", "", 4), "a=short@2");
    assert_int_equal(rig->result.op.count, 1);
    rig_range(rig, "a", "b", 4);
    assert_int_equal(rig->result.op.pairs.count, 3);
    assert_int_equal(rig->result.op.pairs.list[1].key.length, 3);
    assert_int_equal(rig->result.op.pairs.list[1].key.data[1], 0);
}

static void test_create_and_version(void **state)
{
    struct rig *rig = *state;
    const struct kv_pair *pair;

    rig_put(rig, "a", "1");
    rig_put(rig, "a", "2");
    rig_range(rig, "a", "", 0);
    pair = rig->result.op.pairs.list;
    assert_true(pair->create == 2 && pair->mod == 3 && pair->version == 2);
    rig_delete(rig, "a", "");
    rig_put(rig, "a", "3");
    rig_range(rig, "a", "", 0);
    pair = rig->result.op.pairs.list;
    assert_true(pair->create == 5 && pair->mod == 5 && pair->version == 1);
}

/* What a transaction does is one revision; it reads its own writes, but compares before them. */
static void test_transaction(void **state)
{
    struct rig *rig = *state;
    struct kv_compare compare = {.keys.key = kv_text("a"), .compared = KV_IF_VERSION};
    struct kv_op ops[] = {
        {.kind = KV_PUT, .put = {.key = kv_text("a"), .value = kv_text("1")}},
        {.kind = KV_PUT, .put = {.key = kv_text("b"), .value = kv_text("2")}},
        {.kind = KV_RANGE, .range.keys = {kv_text("a"), kv_text("z")}},
        {.kind = KV_RANGE, .range = {.keys = {kv_text("a"), kv_text("z")}, .revision = 1}},
    };
    struct kv_op other = {.kind = KV_RANGE, .range.keys.key = kv_text("b")};
    struct kv_command txn = {.kind = KV_TXN, .op.kind = KV_TXN};

    txn.op.txn = (struct kv_txn){&compare, 1, {{&other, 1}, {ops, 4}}};
    assert_int_equal(rig_apply(rig, &txn)->status, 0);
    assert_true(rig->result.op.succeeded);
    assert_int_equal(rig->result.revision, 2);
    assert_int_equal(rig->result.op.results[2].pairs.count, 2);
    assert_int_equal(rig->result.op.results[2].pairs.list[1].mod, 2);
    assert_int_equal(rig->result.op.results[3].pairs.count, 0);
    assert_int_equal(rig_apply(rig, &txn)->status, 0);
    assert_false(rig->result.op.succeeded);
    assert_int_equal(rig->result.op.results[0].pairs.count, 1);
    assert_int_equal(rig->result.revision, 2);
}

/* What is refused changes nothing, also not what came before in the same transaction. */
static void test_refused_whole(void **state)
{
    struct rig *rig = *state;
    struct kv_op ops[] = {
        {.kind = KV_PUT, .put = {.key = kv_text("a"), .value = kv_text("1")}},
        {.kind = KV_PUT, .put = {.key = kv_text("b"), .lease = 9}},
    };
    struct kv_command txn = {.kind = KV_TXN, .op.kind = KV_TXN};

    txn.op.txn.branch[1] = (struct kv_ops){ops, 2};
    assert_int_equal(rig_apply(rig, &txn)->status, CULVERT_ENOLEASE);
    assert_string_equal(rig_range(rig, "a", "*", 0), "");
    ops[1] = (struct kv_op){.kind = KV_PUT, .put = {.key = kv_text("b"), .ignore_value = true}};
    assert_int_equal(rig_apply(rig, &txn)->status, CULVERT_ENOTFOUND);
    ops[1] = (struct kv_op){.kind = KV_PUT, .put.key = kv_text("a")};
    assert_int_equal(rig_apply(rig, &txn)->status, CULVERT_EDUPLICATE);
    ops[1] = (struct kv_op){.kind = KV_RANGE, .range = {.keys.key = kv_text("a"), .revision = 77}};
    assert_int_equal(rig_apply(rig, &txn)->status, CULVERT_EFUTURE);
    assert_int_equal(info_of(rig).revision, 1);
    assert_int_equal(info_of(rig).applied, 4);
}

static void test_garbage_is_applied_as_nothing(void **state)
{
    struct rig *rig = *state;
    struct machine *machine = kv_store_machine(rig->store);
    struct buffer result = {0};
    struct kv_result decoded;

    assert_int_equal(machine->ops->apply(machine, 7, "garbage", 7, &result), 0);
    assert_int_equal(kv_result_decode(&decoded, &rig->arena, kv_buffer_slice(&result)), 0);
    assert_int_equal(decoded.status, CULVERT_EUNSUPPORTED);
    buffer_clear(&result);
    assert_int_equal(machine->ops->apply(machine, 9, "\1\2\3", 3, &result), 0);
    assert_int_equal(kv_result_decode(&decoded, &rig->arena, kv_buffer_slice(&result)), 0);
    assert_int_equal(decoded.status, CULVERT_EPROTO);
    assert_int_equal(machine->ops->applied(machine), 9);
    assert_int_equal(machine->ops->apply(machine, 9, "\1\2\3", 3, NULL), CULVERT_EINVAL);
    assert_int_equal(info_of(rig).revision, 1);
    buffer_free(&result);
}

static void test_compaction(void **state)
{
    struct rig *rig = *state;
    uint64_t size;

    for (unsigned i = 0; i < 100; i++)
        rig_put(rig, "a", "1");
    rig_put(rig, "b", "1");
    rig_delete(rig, "b", "");
    size = info_of(rig).size;
    assert_int_equal(rig_compact(rig, 500), CULVERT_EFUTURE);
    assert_int_equal(rig_compact(rig, 103), 0);
    assert_int_equal(rig_compact(rig, 103), CULVERT_ECOMPACTED);
    assert_string_equal(rig_range(rig, "a", "", 102), "the revision has been compacted");
    assert_string_equal(rig_range(rig, "a", "*", 103), "a=1@101");
    assert_true(info_of(rig).tidying);
    while (info_of(rig).tidying)
        rig_apply(rig, &(struct kv_command){.kind = KV_TIDY, .records = 10});
    assert_true(info_of(rig).size < size / 10);
    assert_string_equal(rig_range(rig, "a", "*", 103), "a=1@101");
    assert_string_equal(rig_range(rig, "b", "", 103), "");
}

/* How far a node has come with removing what is compacted doesn't show in the hash. */
static void test_hash_leaves_compacted_out(void **state)
{
    struct rig *rig = *state;
    uint64_t hash, revision;

    for (unsigned i = 0; i < 5; i++)
        rig_put(rig, "before", "1");
    for (unsigned i = 0; i < 300; i++)
        rig_put(rig, i % 2 ? "a" : "b", "1");
    rig_delete(rig, "b", "");
    rig_put(rig, "c", "1");
    rig_compact(rig, rig->result.revision);
    rig_put(rig, "before", "2");
    rig_delete(rig, "c", "");
    revision = rig->result.revision;
    hash = rig_hash(rig, revision);
    assert_int_not_equal(hash, rig_hash(rig, revision - 1));
    assert_true(info_of(rig).tidying);
    while (info_of(rig).tidying) {
        rig_apply(rig, &(struct kv_command){.kind = KV_TIDY, .records = 7});
        assert_int_equal(rig_hash(rig, revision), hash);
    }
}

/* Removal goes on with any command, in steps, and ends. */
static void test_commands_tidy_on_their_way(void **state)
{
    struct rig *rig = *state;
    unsigned commands = 0;

    for (unsigned i = 0; i < 10 * KV_TIDY_STEP; i++)
        rig_put(rig, "a", "1");
    rig_compact(rig, rig->result.revision);
    for (; info_of(rig).tidying; commands++)
        rig_put(rig, "b", "1");
    assert_in_range(commands, 9, 11);
}

static void test_lease(void **state)
{
    struct rig *rig = *state;
    struct kv_lease lease;

    assert_int_equal(rig_put_lease(rig, "a", "1", 5), CULVERT_ENOLEASE);
    assert_int_equal(rig_grant(rig, 5, 60), 0);
    assert_int_equal(rig_grant(rig, 5, 60), CULVERT_EEXIST);
    assert_int_equal(rig_grant(rig, 6, 0), CULVERT_ETTL);
    assert_int_equal(rig_grant(rig, 6, 90), 0);
    rig_put_lease(rig, "a", "1", 5);
    rig_put_lease(rig, "b", "1", 5);
    rig_put_lease(rig, "c", "1", 5);
    rig_put_lease(rig, "b", "2", 6); /* moves */
    rig_put_lease(rig, "c", "2", 0); /* leaves */
    assert_int_equal(rig_revoke(rig, 5), 0);
    assert_int_equal(rig->result.revision, 7);
    assert_string_equal(rig_range(rig, "a", "*", 0), "b=2@5 c=2@6");
    assert_int_equal(kv_store_lease(rig->store, 5, &lease), CULVERT_ENOLEASE);
    assert_int_equal(kv_store_lease(rig->store, 6, &lease), 0);
    assert_int_equal(lease.ttl, 90);
    assert_int_equal(rig_revoke(rig, 5), CULVERT_ENOLEASE);
    assert_int_equal(info_of(rig).leases, 1);
}

static void test_checkpoint(void **state)
{
    struct rig *rig = *state;
    struct kv_lease list[] = {{.id = 5, .remaining = 17}, {.id = 99, .remaining = 1}}, lease;
    struct kv_command command = {.kind = KV_LEASE_CHECKPOINT, .checkpoint = {list, 2}};
    uint64_t size;

    rig_grant(rig, 5, 60);
    size = info_of(rig).size;
    assert_int_equal(rig_apply(rig, &command)->status, 0);
    rig_reopen(rig, true);
    assert_int_equal(kv_store_lease(rig->store, 5, &lease), 0);
    assert_true(lease.ttl == 60 && lease.remaining == 17);
    assert_int_equal(info_of(rig).size, size);
}

/* Keys "000000" to below `count`. */
static void put_many(struct rig *rig, unsigned count)
{
    struct kv_op ops[100];
    char keys[100][8];

    for (unsigned i = 0; i < count; i += 100) {
        struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
        size_t n = count - i < 100 ? count - i : 100;

        for (unsigned j = 0; j < n; j++) {
            snprintf(keys[j], sizeof(keys[j]), "%06u", i + j);
            ops[j] = (struct kv_op){.kind = KV_PUT, .put.key = kv_text(keys[j])};
        }
        command.op.txn.branch[1] = (struct kv_ops){ops, n};
        assert_int_equal(rig_apply(rig, &command)->status, 0);
    }
}

/* As many as the loop can wait for, and nothing at all when there are more; also in one transaction
 * together. */
static void test_delete_many(void **state)
{
    struct rig *rig = *state;
    struct kv_op halves[2] = {
        {.kind = KV_DELETE, .delete.keys = {.key = kv_text("0"), .end = kv_text("030000")}},
        {.kind = KV_DELETE, .delete.keys = {.key = kv_text("030000"), .end = kv_text("1")}}};
    struct kv_command both = {.kind = KV_TXN, .op.kind = KV_TXN};

    both.op.txn.branch[1] = (struct kv_ops){halves, 2};
    put_many(rig, KV_DELETE_MAX + 1);
    assert_int_equal(rig_delete(rig, "0", "1"), CULVERT_EMANYKEYS);
    assert_int_equal(rig_apply(rig, &both)->status, CULVERT_EMANYKEYS);
    assert_int_equal(info_of(rig).keys, KV_DELETE_MAX + 1);
    assert_int_equal(rig_delete(rig, "000000", ""), 0);
    assert_int_equal(rig_delete(rig, "0", "1"), 0);
    assert_int_equal(info_of(rig).keys, 0);
}

/* The engine's failure is the node's: nothing is applied, and it can be tried again. It shows when
 * changes go there, which is soon after. */
static void test_disk_full(void **state)
{
    struct rig *rig = *state;
    struct machine *machine = kv_store_machine(rig->store);
    struct buffer result = {0};
    uint64_t applied, revision;
    int error = 0;

    if (rig->kind != RIG_MEMORY)
        return;
    rig_put(rig, "a", "1");
    rig->disk.fail = CULVERT_ENOSPC;
    do {
        applied = machine->ops->applied(machine);
        revision = info_of(rig).revision;
        buffer_clear(&result);
        error = machine->ops->apply(machine, applied + 1, rig->log[0].bytes, rig->log[0].length,
                                    &result);
    } while (!error && applied < 1000);
    assert_int_equal(error, CULVERT_ENOSPC);
    assert_int_equal(result.length, 0);
    assert_int_equal(machine->ops->applied(machine), applied);
    assert_int_equal(info_of(rig).revision, revision);
    rig->disk.fail = 0;
    assert_int_equal(
        machine->ops->apply(machine, applied + 1, rig->log[0].bytes, rig->log[0].length, &result),
        0);
    assert_int_equal(info_of(rig).revision, revision + 1);
    buffer_free(&result);
}

static void test_dump_is_checked(void **state)
{
    struct rig *rig = *state, other;
    struct buffer dump = {0}, cut = {0};

    for (unsigned i = 0; i < 50; i++)
        rig_put(rig, i % 2 ? "a" : "b", "value");
    rig_dump(rig, 100, &dump);
    rig_open(&other, rig->kind);
    rig_put(&other, "mine", "stays");
    for (size_t at = 0; at < dump.length; at += 1 + dump.length / 97) {
        dump.data[at] ^= 1;
        assert_int_not_equal(rig_load(&other, &dump, 1000, rig->index), 0);
        dump.data[at] ^= 1;
        buffer_clear(&cut);
        buffer_add(&cut, dump.data, at);
        assert_int_equal(rig_load(&other, &cut, 1000, rig->index), CULVERT_EPROTO);
    }
    assert_int_equal(rig_load(&other, &dump, 1000, rig->index + 1), CULVERT_EPROTO);
    assert_string_equal(rig_range(&other, "a", "*", 0), "mine=stays@2");
    assert_int_equal(rig_load(&other, &dump, 7, rig->index), 0);
    kv_store_close(other.store);
    other.store = NULL;
    rig_close(&other);
    buffer_free(&dump);
    buffer_free(&cut);
}

/* A dump is of one moment, whatever is applied while it is read. */
static void test_dump_while_applying(void **state)
{
    struct rig *rig = *state;
    struct machine *machine = kv_store_machine(rig->store);
    struct buffer before = {0}, after = {0};
    struct machine_dump *dump;
    uint64_t index;

    for (unsigned i = 0; i < 50; i++)
        rig_put(rig, i % 2 ? "a" : "b", "value");
    rig_dump(rig, 100, &before);
    assert_int_equal(machine->ops->dump_open(machine, &dump, &index), 0);
    while (machine->ops->dump_next(dump, 100, &after) == 1)
        rig_put(rig, "c", "later");
    machine->ops->dump_close(dump);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, after.length);
    buffer_free(&before);
    buffer_free(&after);
}

/* A view stays as it was, in all that can be read. */
static void test_view(void **state)
{
    struct rig *rig = *state;
    struct kv_compare compare = {.keys.key = kv_text("a"), .compared = KV_IF_MOD, .number = 3};
    struct kv_op ops[] = {
        {.kind = KV_RANGE, .range.keys = {kv_text("a"), kv_text("z")}},
        {.kind = KV_RANGE, .range = {.keys.key = kv_text("a"), .revision = 2}},
        {.kind = KV_RANGE, .range.keys.key = kv_text("a")},
    };
    struct kv_command txn = {.kind = KV_TXN, .op.kind = KV_TXN};
    struct buffer before = {0}, after = {0};
    struct kv_view *view;

    txn.op.txn = (struct kv_txn){&compare, 1, {{0}, {ops, 3}}};
    rig_put(rig, "a", "1");
    rig_put(rig, "a", "2");
    assert_int_equal(kv_view_open(&view, rig->store), 0);
    assert_int_equal(kv_view_read(view, &txn, &before), 0);
    rig_put(rig, "a", "3");
    rig_put(rig, "b", "1");
    rig_compact(rig, 5);
    assert_int_equal(kv_view_read(view, &txn, &after), 0);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, after.length);
    assert_int_equal(kv_result_decode(&rig->result, &rig->arena, kv_buffer_slice(&after)), 0);
    assert_true(rig->result.op.succeeded && rig->result.revision == 3);
    assert_int_equal(rig->result.op.results[1].pairs.list[0].mod, 2);
    assert_string_equal(rig_range(rig, "a", "*", 0), "a=3@4 b=1@5");
    kv_view_close(view);
    buffer_free(&before);
    buffer_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_revisions_count_changes),
        RIG_BOTH(test_past_can_be_read),
        RIG_BOTH(test_odd_keys),
        RIG_BOTH(test_create_and_version),
        RIG_BOTH(test_transaction),
        RIG_BOTH(test_refused_whole),
        RIG_BOTH(test_garbage_is_applied_as_nothing),
        RIG_BOTH(test_compaction),
        RIG_BOTH(test_hash_leaves_compacted_out),
        RIG_BOTH(test_commands_tidy_on_their_way),
        RIG_BOTH(test_lease),
        RIG_BOTH(test_checkpoint),
        RIG_BOTH(test_delete_many),
        RIG_BOTH(test_disk_full),
        RIG_BOTH(test_view),
        RIG_BOTH(test_dump_is_checked),
        RIG_BOTH(test_dump_while_applying),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
