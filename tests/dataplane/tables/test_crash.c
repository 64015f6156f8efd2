/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Death at every instruction: a child writes to a shared region, single-stepped; wherever the
 * region has changed, a copy of it is recovered as after a kill there. It must hold what was
 * committed, whole, and be good to go on with.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/fastpath/access.h"
#include "tests/dataplane/tables/helper.h"

#define REGION (8 * MIB)
#define KEYS 300u
#define HEAP_USED (96u << 10) /* the stories touch no more, but for the heap's end */

/* What a recovered region must equal, by its generation. */
struct state {
    uint32_t generation;
    size_t entries;
    uint64_t digests[TABLES_PARTS];
};

static void state_take(struct tables *tables, struct state *state)
{
    struct tables_usage usage;

    tables_usage(tables, &usage);
    state->generation = root_of(tables)->generation;
    state->entries = usage.entries;
    memcpy(state->digests, tables_digests(tables), sizeof(state->digests));
}

/* An IPv4 prefix. None is deleted here: narrowing the filter takes two million instructions. */
static void access_put(struct tables *tables, unsigned number, uint32_t action)
{
    struct fp_key key = {
        .b = FP_KEY_IPV4(fp_htonl(0xcb007100u + (number << 8))), .c = 120, .kind = FP_KIND_ACCESS};
    struct fp_access access = {.action = action};

    assert_int_equal(tables_put(tables, &key, &access, sizeof(access)), 0);
}

/* Leaves a committed transaction whose memory is not reclaimed: replaced, deleted, new. */
static void region_prepare(struct tables *tables, unsigned entries)
{
    tables_begin(tables);
    for (unsigned i = 0; i < entries; i++)
        assert_int_equal(put_dns(tables, i, 'a', 48 + i % 8 * 16), 0);
    put_backend(tables, 1, 1);
    put_backend(tables, 2, 2);
    tables_commit(tables, 1);
    tables_begin(tables);
    for (unsigned i = 0; i < 6; i++)
        put_dns(tables, i * 3, 'b', 100);
    for (unsigned i = 0; i < 6; i++)
        delete_dns(tables, i * 3 + 1);
    for (unsigned i = 0; i < 3; i++)
        access_put(tables, i, FP_ACCESS_DENY);
    tables_commit(tables, 2);
}

/* ---- what is stepped through: each begins by reclaiming the former transaction's memory ---- */

static void story_change(struct tables *tables)
{
    tables_begin(tables);
    put_dns(tables, 6, 'n', 300);
    put_dns(tables, 6, 'm', 90);
    put_dns(tables, 250, 'n', 90);
    delete_dns(tables, 8);
    delete_dns(tables, 250);
    put_dns(tables, 251, 'n', 90);
    put_backend(tables, 2, 3);
    put_backend(tables, 3, 3);
    access_put(tables, 1, FP_ACCESS_ALLOW);
    access_put(tables, 3, FP_ACCESS_DENY);
    tables_commit(tables, 3);
    reclaim_all(tables);
}

static void story_abort(struct tables *tables)
{
    tables_begin(tables);
    put_dns(tables, 6, 'n', 300);
    put_dns(tables, 6, 'm', 90);
    put_dns(tables, 250, 'n', 90);
    delete_dns(tables, 8);
    put_backend(tables, 2, 3);
    put_backend(tables, 3, 3);
    tables_abort(tables);
    reclaim_all(tables);
}

/* Past three fifths of 64 buckets of 7: a new bucket array. */
static void story_growth(struct tables *tables)
{
    tables_begin(tables);
    for (unsigned i = 270; i < 279; i++)
        put_dns(tables, i, 'g', 48);
    tables_commit(tables, 3);
}

static void story_local(struct tables *tables)
{
    struct fp_key key = slot_key(FP_KIND_NEXTHOP, 5);
    struct fp_nexthop nexthop = {.ifindex = 3};

    tables_put_local(tables, &key, &nexthop, sizeof(nexthop));
    nexthop.ifindex = 4;
    tables_put_local(tables, &key, &nexthop, sizeof(nexthop));
    tables_delete_local(tables, &key);
    reclaim_all(tables);
}

/* ---- */

static struct tables *region_open(void *base)
{
    struct tables_options options = {.base = base, .size = REGION};
    struct tables *tables;

    assert_int_equal(tables_open(&tables, &options), 0);
    return tables;
}

static int digest_add(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    if (key->kind != FP_KIND_NEXTHOP)
        ((uint64_t *)arg)[tables_part(key)] += tables_entry_digest(key, body, length);
    return 0;
}

/* The lines of IPv4 access entries tell what the entries say. */
static int access_check(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct fp_env env = env_of(arg, root_of(arg)->generation);

    assert_int_equal(
        fp_access4_find(&env, (uint32_t)(key->b >> 32), 1ull << (key->c - FP_MAPPED_LENGTH)),
        ((const struct fp_access *)body)->action);
    return 0;
}

static void recovered_check(struct tables *tables, const struct state *want)
{
    uint64_t digests[TABLES_PARTS] = {0};
    struct tables_usage usage;

    assert_int_equal(root_of(tables)->generation, want->generation);
    tables_usage(tables, &usage);
    assert_int_equal(usage.entries - usage.kind[FP_KIND_NEXTHOP], want->entries);
    tables_each(tables, FP_KIND_COUNT, digest_add, digests);
    assert_memory_equal(digests, want->digests, sizeof(digests));
    assert_memory_equal(tables_digests(tables), want->digests, sizeof(digests));
    assert_int_equal(root_of(tables)->access_count, usage.kind[FP_KIND_ACCESS]);
    tables_each(tables, FP_KIND_ACCESS, access_check, tables);
    index_check(tables);
}

/* All memory is there again once everything is deleted: none is lost, none used twice. */
static void recovered_use(struct tables *tables, size_t empty)
{
    struct tables_usage usage;
    struct tables_cursor cursor;
    struct fp_key key;
    const void *body;
    size_t length;

    tables_begin(tables);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(put_dns(tables, i, 'z', 120), 0);
    tables_commit(tables, 9);
    tables_begin(tables);
    memset(&cursor, 0, sizeof(cursor));
    while (tables_next(tables, &cursor, &key, &body, &length))
        if (key.kind == FP_KIND_NEXTHOP)
            assert_int_equal(tables_delete_local(tables, &key), 0);
        else
            assert_int_equal(tables_delete(tables, &key), 0);
    tables_commit(tables, 10);
    reclaim_all(tables);
    tables_usage(tables, &usage);
    assert_int_equal(usage.entries, 0);
    assert_in_range(usage.used, empty, empty + 128); /* the index may stand askew in its block */
}

struct stepper {
    uint8_t *region, *seen, *copy;
    size_t empty;
    struct state before, after;
    unsigned steps, recovered;
};

static void snapshot_recover(struct stepper *stepper, bool use)
{
    struct tables *tables;
    uint32_t generation;

    memcpy(stepper->copy, stepper->seen, REGION);
    tables = region_open(stepper->copy);
    generation = root_of(tables)->generation;
    recovered_check(tables,
                    generation == stepper->before.generation ? &stepper->before : &stepper->after);
    if (use)
        recovered_use(tables, stepper->empty);
    tables_close(tables);
    stepper->recovered++;
}

static bool part_update(struct stepper *stepper, size_t at, size_t bytes)
{
    if (!memcmp(stepper->seen + at, stepper->region + at, bytes))
        return false;
    memcpy(stepper->seen + at, stepper->region + at, bytes);
    return true;
}

/* Takes over what changed since the last time; false: nothing. The access filter is taken along
 * with other changes: by itself it says nothing. */
static bool snapshot_update(struct stepper *stepper)
{
    struct fp_root *root = (struct fp_root *)stepper->region;
    bool changed = part_update(stepper, 0, 4096);

    for (unsigned kind = 0; kind < FP_KIND_COUNT; kind++)
        if (root->slots[kind]) /* numbers in use here are small */
            changed |= part_update(stepper, root->slots[kind], 256);
    changed |= part_update(stepper, root->heap, HEAP_USED);
    changed |= part_update(stepper, root->heap_end - 64, 64);
    if (changed)
        part_update(stepper, root->access_filter, sizeof(struct fp_access_filter));
    return changed;
}

static void child_step(struct stepper *stepper, pid_t child)
{
    unsigned changes = 0;
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    for (;;) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status))
            break;
        assert_true(WIFSTOPPED(status));
        stepper->steps++;
        if (snapshot_update(stepper))
            snapshot_recover(stepper, ++changes % 16 == 0);
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    snapshot_update(stepper);
    assert_memory_equal(stepper->seen, stepper->region,
                        ((struct fp_root *)stepper->region)->heap_end);
    snapshot_recover(stepper, true);
}

static void story_run(void (*story)(struct tables *), unsigned entries)
{
    struct stepper stepper = {
        .region = region_new(REGION), .seen = region_new(REGION), .copy = region_new(REGION)};
    struct tables *tables = region_open(stepper.region);
    struct tables_usage usage;
    pid_t child;

    tables_usage(tables, &usage);
    stepper.empty = usage.used;
    region_prepare(tables, entries);
    state_take(tables, &stepper.before);
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(1);
        raise(SIGSTOP);
        story(tables);
        _exit(0);
    }
    memcpy(stepper.seen, stepper.region, REGION);
    /* The same story here, on a copy, says how it ends. */
    memcpy(stepper.copy, stepper.region, REGION);
    tables_close(tables);
    tables = region_open(stepper.copy);
    story(tables);
    state_take(tables, &stepper.after);
    tables_close(tables);
    child_step(&stepper, child);
    print_message("%u instructions, %u recoveries\n", stepper.steps, stepper.recovered);
    assert_true(stepper.recovered > 20);
    munmap(stepper.region, REGION);
    munmap(stepper.seen, REGION);
    munmap(stepper.copy, REGION);
}

static void test_death_in_a_transaction(void **state)
{
    story_run(story_change, 40);
}

static void test_death_in_an_abort(void **state)
{
    story_run(story_abort, 40);
}

static void test_death_in_index_growth(void **state)
{
    story_run(story_growth, 267);
}

static void test_death_in_local_changes(void **state)
{
    story_run(story_local, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_death_in_a_transaction),
        cmocka_unit_test(test_death_in_an_abort),
        cmocka_unit_test(test_death_in_index_growth),
        cmocka_unit_test(test_death_in_local_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
