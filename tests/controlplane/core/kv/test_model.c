/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random commands on a store in memory, one on RocksDB and the model: all three must say the same.
 * Between the commands the stores crash, are dumped, and take over each other's dumps.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/controlplane/core/kv/model.h"
#include "tests/controlplane/core/kv/rig.h"

#define STEPS 1500u
#define META_BYTES 92u /* of the store's own record, which doesn't count for its size */

struct world {
    struct model model;
    struct rig rig[2];
    unsigned seed;
    uint32_t state;
    struct arena arena; /* of the command at hand */
};

static unsigned roll(struct world *world, unsigned sides)
{
    world->state = world->state * 1664525u + 1013904223u;
    return (unsigned)(((uint64_t)world->state * sides) >> 32);
}

/* ---- commands ---- */

static struct kv_slice random_key(struct world *world)
{
    static const char letters[] = {0, 'a', 'b', (char)0xff};
    struct kv_slice key = {NULL, 1 + roll(world, 3)};
    uint8_t *bytes = arena_alloc(&world->arena, key.length);

    assert_non_null(bytes);
    for (size_t i = 0; i < key.length; i++)
        bytes[i] = (uint8_t)letters[roll(world, 4)];
    key.data = bytes;
    return key;
}

static struct kv_slice random_value(struct world *world)
{
    char text[16];
    int length = roll(world, 8) ? snprintf(text, sizeof(text), "%u", roll(world, 40)) : 0;

    return (struct kv_slice){(const uint8_t *)arena_copy(&world->arena, text, (size_t)length),
                             (size_t)length};
}

static struct kv_keys random_keys(struct world *world)
{
    struct kv_keys keys = {random_key(world), {(const uint8_t *)"", roll(world, 8) == 0}};

    if (!keys.end.length && roll(world, 2))
        keys.end = random_key(world);
    return keys;
}

/* A revision, mostly one that can be read. */
static uint64_t random_revision(struct world *world)
{
    return roll(world, 3) ? 0 : roll(world, (unsigned)world->model.revision + 3);
}

static void random_range(struct world *world, struct kv_range *range)
{
    *range = (struct kv_range){.keys = random_keys(world), .revision = random_revision(world)};
    range->limit = roll(world, 3) ? 0 : roll(world, 5);
    range->order = (uint8_t)roll(world, 3);
    range->target = (uint8_t)roll(world, 5);
    if (range->target != KV_BY_KEY && range->order == KV_ORDER_NONE)
        range->order = KV_ORDER_ASCEND;
    range->keys_only = !roll(world, 6);
    range->count_only = !roll(world, 8);
    if (!roll(world, 5))
        range->min_mod = roll(world, (unsigned)world->model.revision);
    if (!roll(world, 5))
        range->max_mod = roll(world, (unsigned)world->model.revision);
    if (!roll(world, 5))
        range->min_create = roll(world, (unsigned)world->model.revision);
    if (!roll(world, 5))
        range->max_create = roll(world, (unsigned)world->model.revision);
}

static void random_compare(struct world *world, struct kv_compare *compare)
{
    *compare = (struct kv_compare){
        .keys = random_keys(world),
        .compared = (uint8_t)roll(world, 5),
        .relation = (uint8_t)roll(world, 4),
    };
    if (compare->compared == KV_IF_VALUE)
        compare->value = random_value(world);
    else
        compare->number = roll(world, compare->compared == KV_IF_VERSION ? 3 : 60);
}

static void random_op(struct world *world, struct kv_op *op, unsigned depth);

static void random_txn(struct world *world, struct kv_txn *txn, unsigned depth)
{
    *txn = (struct kv_txn){.compare_count = roll(world, 3)};
    txn->compares = arena_alloc(&world->arena, 3 * sizeof(*txn->compares));
    for (size_t i = 0; i < txn->compare_count; i++)
        random_compare(world, &txn->compares[i]);
    for (unsigned way = 0; way < 2; way++) {
        txn->branch[way].count = roll(world, 4);
        txn->branch[way].list = arena_alloc(&world->arena, 4 * sizeof(struct kv_op));
        for (size_t i = 0; i < txn->branch[way].count; i++)
            random_op(world, &txn->branch[way].list[i], depth + 1);
    }
}

static void random_op(struct world *world, struct kv_op *op, unsigned depth)
{
    static const enum kv_kind kinds[] = {KV_RANGE, KV_PUT, KV_PUT, KV_DELETE, KV_TXN};

    *op = (struct kv_op){.kind = kinds[roll(world, depth < 3 ? 5 : 4)]};
    if (op->kind == KV_RANGE) {
        random_range(world, &op->range);
    } else if (op->kind == KV_PUT) {
        op->put = (struct kv_put){.key = random_key(world), .prev = roll(world, 2)};
        op->put.ignore_value = !roll(world, 8);
        if (!op->put.ignore_value)
            op->put.value = random_value(world);
        op->put.ignore_lease = !roll(world, 8);
        if (!op->put.ignore_lease && !roll(world, 3))
            op->put.lease = roll(world, MODEL_LEASES);
    } else if (op->kind == KV_DELETE) {
        op->delete = (struct kv_delete){.keys = random_keys(world), .prev = roll(world, 2)};
        if (roll(world, 3))
            op->delete.keys.end.length = 0;
    } else {
        random_txn(world, &op->txn, depth);
    }
}

static void random_command(struct world *world, struct kv_command *command)
{
    unsigned what = roll(world, 40);

    *command = (struct kv_command){0};
    if (what < 34) {
        random_op(world, &command->op, 0);
        command->kind = command->op.kind;
    } else if (what < 36) {
        command->kind = KV_LEASE_GRANT;
        command->lease = (struct kv_lease){1 + roll(world, MODEL_LEASES - 1), 60, 0};
    } else if (what < 37) {
        command->kind = KV_LEASE_REVOKE;
        command->lease.id = 1 + roll(world, MODEL_LEASES - 1);
    } else if (what < 38) {
        command->kind = KV_COMPACT;
        command->revision = world->model.compacted + roll(world, 30);
    } else {
        command->kind = KV_TIDY;
        command->records = roll(world, 20);
    }
}

/* ---- comparisons ---- */

static void compare_results(struct world *world, unsigned step, const struct kv_result *expected,
                            bool read, const struct kv_command *command)
{
    struct buffer want = {0}, got = {0};

    rig_print(&want, expected);
    for (unsigned i = 0; i < 2; i++) {
        struct rig *rig = &world->rig[i];

        buffer_clear(&got);
        rig_print(&got, read ? rig_read(rig, command) : rig_apply(rig, command));
        if (strcmp(want.data, got.data) != 0)
            fail_msg("seed %u step %u store %u\n  wanted %s\n  got    %s", world->seed, step, i,
                     want.data, got.data);
    }
    buffer_free(&want);
    buffer_free(&got);
}

struct history {
    struct world *world;
    uint64_t seen;
};

/* A change that the store tells is the model's. */
static int same_change(void *arg, const struct kv_event *event)
{
    struct history *history = arg;
    struct model *model = &history->world->model;
    struct buffer want = {0}, got = {0};
    bool found = false;

    for (size_t i = 0; i < model->key_count && !found; i++) {
        for (size_t j = 0; j < model->keys[i].count && !found; j++) {
            const struct model_version *version = &model->keys[i].versions[j];

            found = version->main == event->at.main && version->sub == event->at.sub;
            if (!found)
                continue;
            assert_int_equal(version->put, event->put);
            rig_print_pair(&want, &version->pair);
            rig_print_pair(&got, &event->now);
            assert_string_equal(want.data, got.data);
        }
    }
    assert_true(found);
    history->seen += event->at.main >= model->compacted;
    buffer_free(&want);
    buffer_free(&got);
    return 0;
}

static void compare_history(struct world *world)
{
    uint64_t changes = 0;

    for (size_t i = 0; i < world->model.key_count; i++)
        for (size_t j = 0; j < world->model.keys[i].count; j++)
            changes += world->model.keys[i].versions[j].main >= world->model.compacted;
    for (unsigned i = 0; i < 2; i++) {
        struct history history = {.world = world};
        struct kv_point next = {world->model.compacted, 0};

        while (next.main <= world->model.revision)
            assert_int_equal(kv_store_changes(world->rig[i].store, &next, 5, same_change, &history),
                             0);
        assert_int_equal(history.seen, changes);
    }
}

static void compare_hashes(struct world *world)
{
    uint64_t revision = world->model.revision, low = world->model.compacted;
    uint64_t chain[2];

    if (revision > low + 1)
        revision = low + 1 + roll(world, (unsigned)(revision - low));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(kv_store_chain(world->rig[i].store, revision, &chain[i]), 0);
    assert_int_equal(chain[0], chain[1]);
    assert_int_equal(rig_hash(&world->rig[0], revision), rig_hash(&world->rig[1], revision));
}

/* Removing what was compacted doesn't change the hash of what is there. */
static void tidy_keeps_hash(struct world *world)
{
    struct kv_info info;

    kv_store_info(world->rig[0].store, &info);
    while (info.tidying) {
        uint64_t before = rig_hash(&world->rig[0], info.revision);

        for (unsigned i = 0; i < 2; i++)
            rig_apply(&world->rig[i], &(struct kv_command){.kind = KV_TIDY, .records = 3});
        assert_int_equal(rig_hash(&world->rig[0], info.revision), before);
        kv_store_info(world->rig[0].store, &info);
    }
}

/* What the store says of its size is what is there, once a snapshot has had it all written, but for
 * the second copy of present values. */
static void compare_size(struct world *world)
{
    const struct kv_command all = {
        .kind = KV_RANGE,
        .op = {.kind = KV_RANGE,
               .range.keys = {{(const uint8_t *)"", 1}, {(const uint8_t *)"", 1}}}};
    const struct kv_pairs *pairs = &rig_read(&world->rig[0], &all)->op.pairs;
    struct kv_info info;
    uint64_t twice = 0;

    for (size_t i = 0; i < pairs->count; i++)
        twice += pairs->list[i].value.length;
    kv_store_info(world->rig[0].store, &info);
    rig_hash(&world->rig[0], info.revision);
    kv_store_info(world->rig[0].store, &info);
    assert_int_equal(info.disk, info.size + twice + META_BYTES);
}

static void exchange_dumps(struct world *world)
{
    struct buffer dump[2] = {{0}, {0}};
    unsigned from = roll(world, 2);

    rig_dump(&world->rig[0], 1 + roll(world, 5000), &dump[0]);
    rig_dump(&world->rig[1], 1 + roll(world, 5000), &dump[1]);
    assert_int_equal(dump[0].length, dump[1].length);
    assert_memory_equal(dump[0].data, dump[1].data, dump[0].length);
    assert_int_equal(
        rig_load(&world->rig[!from], &dump[from], 1 + roll(world, 3000), world->rig[0].index), 0);
    buffer_clear(&dump[0]);
    rig_dump(&world->rig[!from], 4096, &dump[0]);
    assert_int_equal(dump[0].length, dump[1].length);
    assert_memory_equal(dump[0].data, dump[1].data, dump[0].length);
    buffer_free(&dump[0]);
    buffer_free(&dump[1]);
}

static void disturb(struct world *world)
{
    unsigned which = roll(world, 2);

    switch (roll(world, 40)) {
    case 0:
        rig_reopen(&world->rig[which], roll(world, 2));
        break;
    case 1:
    case 2:
        rig_flush(&world->rig[which]);
        break;
    case 3:
        exchange_dumps(world);
        break;
    case 4:
        compare_history(world);
        break;
    case 5:
        compare_hashes(world);
        break;
    case 6:
        tidy_keeps_hash(world);
        break;
    case 7:
        compare_size(world);
        break;
    default:
        break;
    }
}

static void test_random_commands(void **state)
{
    struct world *world = *state;
    struct kv_command command;
    struct kv_result expected;

    for (unsigned step = 0; step < STEPS; step++) {
        random_command(world, &command);
        model_apply(&world->model, &command, &world->arena, &expected);
        compare_results(world, step, &expected, false, &command);
        command = (struct kv_command){.kind = KV_RANGE, .op.kind = KV_RANGE};
        random_range(world, &command.op.range);
        model_apply(&world->model, &command, &world->arena, &expected);
        compare_results(world, step, &expected, true, &command);
        disturb(world);
        arena_free(&world->arena);
    }
    compare_history(world);
    exchange_dumps(world);
}

static int make(void **state)
{
    static unsigned seed;
    const char *chosen = getenv("KV_MODEL_SEED");
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->seed = chosen ? (unsigned)strtoul(chosen, NULL, 10) : ++seed;
    world->state = world->seed * 2654435761u;
    world->model.revision = 1;
    rig_open(&world->rig[0], RIG_MEMORY);
    rig_open(&world->rig[1], RIG_ROCKSDB);
    *state = world;
    return 0;
}

static int unmake(void **state)
{
    struct world *world = *state;

    rig_close(&world->rig[0]);
    rig_close(&world->rig[1]);
    model_free(&world->model);
    arena_free(&world->arena);
    free(world);
    return 0;
}

#define RANDOM cmocka_unit_test_setup_teardown(test_random_commands, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {RANDOM, RANDOM, RANDOM, RANDOM, RANDOM, RANDOM};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
