/* SPDX-License-Identifier: Apache-2.0 */
/* How much a store takes, and answers, on both engines. */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/core/kv/compactor.h"
#include "tests/controlplane/core/kv/rig.h"

static struct kv_info info_of(struct rig *rig)
{
    struct kv_info info;

    kv_store_info(rig->store, &info);
    return info;
}

/* A full store refuses what makes it larger, and comes back by deletion and compaction alone. */
static void test_quota(void **state)
{
    struct rig *rig = *state;
    char value[1001];
    int status = 0;

    memset(value, 'x', 1000);
    value[1000] = 0;
    rig_apply(rig, &(struct kv_command){.kind = KV_QUOTA, .quota = 100000});
    for (unsigned i = 0; i < 200 && !status; i++)
        status = rig_put(rig, i % 2 ? "a" : "b", value);
    assert_int_equal(status, CULVERT_EQUOTA);
    assert_true(info_of(rig).alarm);
    assert_true(info_of(rig).size <= 100000 + 2500);
    assert_int_equal(rig_put(rig, "small", ""), CULVERT_EQUOTA);
    assert_int_equal(rig_grant(rig, 3, 60), CULVERT_EQUOTA);
    assert_int_equal(rig_delete(rig, "a", ""), 0);
    assert_int_equal(rig_compact(rig, info_of(rig).revision), 0);
    while (info_of(rig).tidying)
        rig_apply(rig, &(struct kv_command){.kind = KV_TIDY, .records = 100});
    assert_false(info_of(rig).alarm);
    assert_int_equal(rig_put(rig, "a", value), 0);
    rig_apply(rig, &(struct kv_command){.kind = KV_ALARM, .alarm = true});
    assert_int_equal(rig_put(rig, "a", "1"), CULVERT_EQUOTA);
    rig_apply(rig, &(struct kv_command){.kind = KV_ALARM, .alarm = false});
    assert_int_equal(rig_put(rig, "a", "1"), 0);
}

/* With the leader's compactor, as culvertd has it, nobody need do anything but delete. */
static void test_space_comes_back(void **state)
{
    struct kv_compactor compactor = {.mode = KV_COMPACT_PERIOD, .keep = 600000};
    struct rig *rig = *state;
    struct kv_command command;
    struct kv_info info;
    char value[1001] = "", key[4] = "aa";
    unsigned keys = 0, commands = 0;

    memset(value, 'x', 1000);
    rig_apply(rig, &(struct kv_command){.kind = KV_QUOTA, .quota = 100000});
    while (!rig_put(rig, key, value)) {
        key[1] = (char)('a' + ++keys % 26);
        key[0] = (char)('a' + keys / 26);
    }
    assert_true(info_of(rig).alarm);
    assert_int_equal(rig_delete(rig, "a", "b"), 0);
    for (info = info_of(rig); kv_compactor_due(&compactor, 1000, &info, &command);
         info = info_of(rig), commands++)
        assert_int_equal(rig_apply(rig, &command)->status, 0);
    assert_in_range(commands, 1, 10);
    assert_false(info.alarm);
    assert_true(info.size < 100000 - 26 * 1000);
    assert_int_equal(rig_put(rig, "aa", value), 0);
}

/* What counts for the quota: each version that is kept once, with its value and its records. */
static void test_size_counts_a_value_once(void **state)
{
    enum { VALUE = 100000, RECORDS = 200 };
    static char value[VALUE + 1];
    struct rig *rig = *state;
    uint64_t empty = info_of(rig).size;

    memset(value, 'x', VALUE);
    rig_put(rig, "a", value);
    assert_in_range(info_of(rig).size - empty, VALUE, VALUE + RECORDS);
    rig_put(rig, "a", value);
    assert_in_range(info_of(rig).size - empty, 2 * VALUE, 2 * (VALUE + RECORDS));
    rig_delete(rig, "a", "");
    assert_in_range(info_of(rig).size - empty, 2 * VALUE, 2 * VALUE + 3 * RECORDS);
    rig_compact(rig, info_of(rig).revision);
    while (info_of(rig).tidying)
        rig_apply(rig, &(struct kv_command){.kind = KV_TIDY, .records = 100});
    assert_in_range(info_of(rig).size - empty, 0, RECORDS);
}

/* A command whose result were too large for its client has no effect, whether anybody wants the
 * result or not: other nodes don't. */
static void test_answer_too_large(void **state)
{
    enum { VALUE = 1 << 20, COUNT = KV_ANSWER_MAX / VALUE };
    static char value[VALUE + 1];
    const struct kv_keys all = {kv_text("a"), kv_text("b")};
    struct kv_op ops[2] = {{.kind = KV_PUT, .put = {.key = kv_text("b"), .value = kv_text("1")}},
                           {.kind = KV_RANGE, .range.keys = all}};
    struct kv_op halves[3] = {ops[0], ops[1], ops[1]};
    struct kv_command txn = {.kind = KV_TXN, .op.kind = KV_TXN};
    struct kv_command delete = {.kind = KV_DELETE, .op = {.kind = KV_DELETE}};
    struct kv_command range = {.kind = KV_RANGE, .op = {.kind = KV_RANGE, .range.keys = all}};
    struct kv_info before;
    char key[3] = "a";

    memset(value, 'x', VALUE);
    for (int i = 0; i < COUNT; i++) {
        key[1] = (char)('a' + i);
        assert_int_equal(rig_put(*state, key, value), 0);
    }
    txn.op.txn.branch[0] = (struct kv_ops){ops, 2};
    txn.op.txn.branch[1] = txn.op.txn.branch[0];
    delete.op.delete = (struct kv_delete){.keys = all, .prev = true};
    before = info_of(*state);
    assert_int_equal(rig_apply(*state, &txn)->status, CULVERT_EANSWER);
    halves[1].range.keys.end = halves[2].range.keys.key = kv_text("ah");
    txn.op.txn.branch[1] = (struct kv_ops){halves, 3};
    assert_int_equal(rig_apply(*state, &txn)->status, CULVERT_EANSWER);
    txn.op.txn.branch[1] = txn.op.txn.branch[0];
    assert_int_equal(rig_apply(*state, &delete)->status, CULVERT_EANSWER);
    ops[1].range.target = KV_BY_VALUE;
    assert_int_equal(rig_apply(*state, &txn)->status, CULVERT_EANSWER);
    rig_reopen(*state, false); /* which applies them again, and wants no results */
    assert_int_equal(info_of(*state).revision, before.revision);
    assert_int_equal(info_of(*state).keys, before.keys);
    assert_int_equal(info_of(*state).size, before.size);
    assert_int_equal(rig_read(*state, &range)->status, 0); /* a read may be larger */
    assert_int_equal(((struct rig *)*state)->result.op.count, COUNT);
    ops[1].range.keys_only = true;
    ops[1].range.target = KV_BY_KEY;
    delete.op.delete.prev = false;
    assert_int_equal(rig_apply(*state, &txn)->status, 0);
    assert_int_equal(rig_apply(*state, &delete)->status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_quota),
        RIG_BOTH(test_space_comes_back),
        RIG_BOTH(test_size_counts_a_value_once),
        RIG_BOTH(test_answer_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
