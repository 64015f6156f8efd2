/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of our own code fails in turn while a command is applied, a state is dumped and
 * loaded, and watches read: there is an error, nothing has changed, and a second try works. The
 * linker puts our calls in place of the real ones.
 */
#include <stdlib.h>

#include "controlplane/core/kv/lessor.h"
#include "controlplane/core/kv/watch.h"
#include "tests/allocator.h"
#include "tests/controlplane/core/kv/rig.h"

static long countdown = -1; /* allocations until one fails; -1: none does */

bool allocation_fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

static void fill(struct rig *rig)
{
    rig_grant(rig, 7, 60);
    for (unsigned i = 0; i < 20; i++)
        rig_put_lease(rig, i % 2 ? "a" : "b", "value", i % 3 ? 7 : 0);
    rig_compact(rig, 9);
}

/* A command that does some of all. */
static struct kv_command work_command(void)
{
    static struct kv_op inner[] = {
        {.kind = KV_PUT,
         .put = {.key = {(const uint8_t *)"c", 1}, .value = {(const uint8_t *)"1", 1}, .lease = 7}},
        {.kind = KV_DELETE,
         .delete = {.keys = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}}, .prev = true}},
    };
    static struct kv_op ops[] = {
        {.kind = KV_PUT, .put = {.key = {(const uint8_t *)"b", 1}, .prev = true}},
        {.kind = KV_TXN, .txn.branch = {{0}, {inner, 2}}},
        {.kind = KV_RANGE,
         .range = {.keys = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"", 1}},
                   .target = KV_BY_MOD,
                   .order = KV_ORDER_DESCEND}},
        {.kind = KV_RANGE,
         .range = {.keys = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"", 1}}, .revision = 15}},
    };

    return (struct kv_command){.kind = KV_TXN,
                               .op = {.kind = KV_TXN, .txn.branch = {{0}, {ops, 4}}}};
}

static bool take(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    *(size_t *)arg += news->count;
    return true;
}

static void ended(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    assert_int_equal(error, CULVERT_ENOMEM);
}

static void test_command(void **state)
{
    struct kv_command command = work_command();
    struct buffer bytes = {0}, result = {0}, before = {0}, after = {0};
    struct machine *machine;
    struct rig rig;
    long failures = 0;
    int error;

    kv_command_encode(&command, &bytes);
    rig_open(&rig, RIG_MEMORY);
    fill(&rig);
    machine = kv_store_machine(rig.store);
    rig_dump(&rig, 1000, &before);
    for (;; failures++) {
        countdown = failures;
        error = machine->ops->apply(machine, rig.index + 1, bytes.data, bytes.length, &result);
        if (countdown >= 0)
            break;
        assert_int_equal(error, CULVERT_ENOMEM);
        buffer_free(&result);
        buffer_clear(&after);
        rig_dump(&rig, 1000, &after);
        assert_int_equal(before.length, after.length);
        assert_memory_equal(before.data, after.data, after.length);
    }
    countdown = -1;
    assert_int_equal(error, 0);
    assert_true(failures > 30);
    assert_int_equal(machine->ops->applied(machine), rig.index + 1);
    assert_string_equal(rig_range(&rig, "a", "*", 0), "b=@22 c=1@22");
    rig_close(&rig);
    buffer_free(&bytes);
    buffer_free(&result);
    buffer_free(&before);
    buffer_free(&after);
}

static int try_load(struct rig *rig, const struct buffer *dump, uint64_t index)
{
    struct machine *machine = kv_store_machine(rig->store);
    struct machine_dump *reader = NULL;
    struct buffer chunk = {0};
    uint64_t at;
    int error = machine->ops->dump_open(machine, &reader, &at);

    while (!error && (error = machine->ops->dump_next(reader, 100, &chunk)) == 1)
        error = 0;
    machine->ops->dump_close(reader);
    buffer_free(&chunk);
    return error ? error : rig_load(rig, dump, 500, index);
}

static void test_dump_and_load(void **state)
{
    struct buffer dump = {0};
    struct rig rig, other;
    long failures = 0;
    int error = -1;

    rig_open(&rig, RIG_MEMORY);
    rig_open(&other, RIG_MEMORY);
    fill(&rig);
    rig_dump(&rig, 1000, &dump);
    for (; error; failures++) {
        countdown = failures;
        error = try_load(&other, &dump, rig.index);
        countdown = -1;
        if (error)
            assert_int_equal(error, CULVERT_ENOMEM);
        assert_string_equal(rig_range(&other, "a", "*", 0), error ? "" : "a=value@21 b=value@20");
    }
    assert_true(failures > 30);
    rig_close(&rig);
    rig_close(&other);
    buffer_free(&dump);
}

/* A watch or a lessor may fail, but neither crashes, nor takes a command down with it. */
static void test_observers(void **state)
{
    struct kv_watch_receiver receiver = {.take = take, .end = ended};
    struct kv_watch_options options = {
        .keys = {kv_text("a"), kv_text("z")}, .start = 10, .previous = true};
    struct kv_lease_action actions[4];
    struct kv_watch_hub *hub;
    struct kv_lessor *lessor;
    struct kv_watch *watch;
    bool failed = true;
    struct rig rig;
    size_t events;

    rig_open(&rig, RIG_MEMORY);
    fill(&rig);
    receiver.arg = &events;
    for (long after = 0; failed; after++) {
        hub = NULL;
        lessor = NULL;
        events = 0;
        countdown = after;
        if (!kv_watch_hub_open(&hub, rig.store) &&
            !kv_watch_create(&watch, hub, &options, &receiver))
            kv_watch_pump(hub, 1000);
        if (!kv_lessor_open(&lessor, rig.store, &rig.env.env) && !kv_lessor_promote(lessor, 0))
            kv_lessor_poll(lessor, actions, 4);
        failed = countdown < 0;
        countdown = -1;
        kv_watch_hub_close(hub);
        kv_lessor_close(lessor);
    }
    assert_int_equal(events, 12);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_dump_and_load),
        cmocka_unit_test(test_observers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
