/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node dies at any call of its environment, also while it starts again, on a disk that loses,
 * tears and reorders what was not synced: all that was acknowledged is there, and what is there is
 * what was appended, up to some point. CULVERT_SEEDS=N runs N seeds instead of a few.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "wal_model.h"
#include "wal_rig.h"

#define SEGMENT 8192u

static struct model model;
static struct rig rig;

static struct wal *open_log(void)
{
    struct wal_options options = {.segment = SEGMENT};
    struct wal *wal = NULL;
    char *problem;
    int error = wal_open(&wal, &rig.env, &options, &problem);

    if (error && !rig.dead)
        print_message("%s\n", problem);
    free(problem);
    assert_true(error == 0 || (rig.dead && error == CULVERT_EIO));
    return wal;
}

/* Changes and syncs until the node dies or there were enough. */
static void live(struct wal *wal, unsigned changes, struct sim_random *random)
{
    struct model_sync syncs[256];
    unsigned count = 0;

    for (unsigned i = 0; i < changes && !rig.dead; i++) {
        int error = model_change(&model, wal, random);

        assert_true(error == 0 || (rig.dead && error == CULVERT_EIO));
        if (sim_random_percent(random, model.longest ? 50 : 10) && count < 256)
            model_sync(&model, wal, &syncs[count++]);
        if (sim_random_percent(random, 5))
            assert_true(model_find(&model, wal, model.count) >= 0 || rig.dead);
        for (uint64_t steps = sim_random_below(random, 4); steps; steps--)
            rig_step(&rig);
    }
    rig_run(&rig);
    for (unsigned i = 0; i < count; i++)
        assert_true(syncs[i].done && (rig.dead || !syncs[i].status));
    wal_close(wal);
    rig_run(&rig);
}

/* Opens what the death left, maybe dying again at it, and checks. */
static void recover(struct sim_random *random)
{
    struct wal *wal = NULL;
    int64_t at;

    rig_revive(&rig);
    while (!wal) {
        rig.kill = sim_random_percent(random, 30);
        if (sim_random_percent(random, 50))
            rig.crash_at = rig.calls + 1 + sim_random_below(random, 40);
        wal = open_log();
        if (rig.dead) {
            wal_close(wal);
            wal = NULL;
            rig_revive(&rig);
        }
    }
    rig.crash_at = 0;
    rig.kill = false;
    at = model_find(&model, wal, model.acknowledged);
    assert_true(at >= 0);
    model_rewind(&model, (uint64_t)at);
    live(wal, 10, random);
    assert_int_equal(model.acknowledged <= model.count, 1);
    wal = open_log();
    assert_true(model_find(&model, wal, model.acknowledged) >= 0);
    wal_close(wal);
    rig_run(&rig);
}

/* One life up to a call, and what comes after; false: it ended before the call. */
static bool die_at(uint64_t seed, uint64_t call, unsigned changes, bool torn)
{
    struct sim_random random = {.state = seed};
    struct sim_random after = {.state = seed ^ call << 32};
    struct wal *wal;
    bool died;

    rig_open(&rig, seed);
    *sim_disk_faults(rig.disk) = (struct sim_disk_faults){.lost = true, .torn = torn};
    model_init(&model);
    rig.crash_at = call;
    rig.kill = sim_random_percent(&after, 30);
    wal = open_log();
    if (wal)
        live(wal, changes, &random);
    died = rig.dead;
    if (died)
        recover(&after);
    rig_close(&rig);
    return died;
}

static void everywhere(uint64_t seed, unsigned changes)
{
    uint64_t call = 1;

    while (die_at(seed, call, changes, true) && die_at(seed, call, changes, false))
        call++;
    print_message("seed %llu: %llu places to die\n", (unsigned long long)seed,
                  (unsigned long long)call);
    assert_true(call > changes);
}

static void test_everywhere(void **state)
{
    (void)state;
    everywhere(1, 120);
    everywhere(2, 60);
}

/* Many lives of one log, each ending at a call of chance. */
static void lives(uint64_t seed, unsigned count)
{
    struct sim_random random = {.state = seed};

    rig_open(&rig, seed);
    model_init(&model);
    if (seed % 2)
        model.longest = 0; /* records of one size: what was cut would fit in again */
    for (unsigned i = 0; i < count; i++) {
        struct wal *wal = open_log();
        int64_t at = model_find(&model, wal, model.acknowledged);

        assert_true(at >= 0);
        model_rewind(&model, (uint64_t)at);
        *sim_disk_faults(rig.disk) = (struct sim_disk_faults){.lost = i % 3, .torn = i % 2};
        rig.kill = sim_random_percent(&random, 50);
        rig.crash_at = rig.calls + 1 + sim_random_below(&random, i % 5 ? 400 : 60);
        live(wal, 40, &random);
        rig_revive(&rig);
    }
    rig_close(&rig);
}

static void test_lives(void **state)
{
    const char *more = getenv("CULVERT_SEEDS");
    uint64_t seeds = more ? strtoull(more, NULL, 10) : 30;

    (void)state;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        lives(seed, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everywhere),
        cmocka_unit_test(test_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
