/* SPDX-License-Identifier: Apache-2.0 */
/* What the log does on a bad disk: bits that rot, files that are gone, a full disk, errors of any
 * call, memory that runs out. The linker puts our allocator in place of the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_format.h"
#include "tests/allocator.h"
#include "wal_model.h"
#include "wal_rig.h"

#define SEGMENT 8192u
#define NAMES 64u

static struct model model;
static struct rig rig;
static uint64_t allocations, fail_at; /* this allocation of the log fails; 0: none */
static bool in_log;                   /* what is allocated now is the log's, or its disk's */

/* Counts the log's allocations: those of the environment and the tests don't fail. */
bool allocation_fails(void)
{
    return in_log && !rig.inside && ++allocations == fail_at;
}

static int log_open(struct wal **wal, char **problem)
{
    struct wal_options options = {.segment = SEGMENT};

    *wal = NULL;
    return wal_open(wal, &rig.env, &options, problem);
}

static struct wal *log_open_well(void)
{
    struct wal *wal;
    char *problem;
    int error = log_open(&wal, &problem);

    if (error)
        print_message("%s\n", problem);
    assert_int_equal(error, 0);
    return wal;
}

static void log_close(struct wal *wal)
{
    wal_close(wal);
    rig_run(&rig);
}

static void append(struct wal *wal, uint64_t group, uint64_t index, size_t length)
{
    static const uint8_t data[WAL_ENTRY_MAX] = {1, 2, 3};
    struct wal_entry entry = {.term = 1, .type = 1, .data = data, .length = length};

    assert_int_equal(wal_append(wal, group, index, &entry, 1), 0);
}

/* A log of so many changes, all synced. */
static void log_make(unsigned changes, uint64_t seed)
{
    struct sim_random random = {.state = seed};
    struct wal *wal = log_open_well();
    struct model_sync sync;

    model_init(&model);
    for (unsigned i = 0; i < changes; i++) {
        assert_int_equal(model_change(&model, wal, &random), 0);
        model_sync(&model, wal, &sync);
        rig_run(&rig);
        assert_true(sync.done && !sync.status);
    }
    log_close(wal);
}

static int name_add(void *arg, const char *name)
{
    char(*names)[WAL_NAME_BYTES] = arg;
    unsigned i = 0;

    while (names[i][0])
        i++;
    strcpy(names[i], name);
    return 0;
}

/* Of the names, the file in which a position of all files together lies. */
static const char *place_find(struct sim_disk *disk, char (*names)[WAL_NAME_BYTES], uint64_t *at)
{
    for (unsigned i = 0; names[i][0]; i++) {
        struct env_file *file;
        uint64_t size = 0;

        assert_int_equal(sim_disk_open(disk, names[i], 0, &file), 0);
        sim_disk_size(disk, file, &size);
        sim_disk_close(disk, file);
        if (*at < size)
            return names[i];
        *at -= size;
    }
    return NULL;
}

/* Each byte of the files rots in turn. What was acknowledged is all there, or the log is refused
 * by file and place; only the last write may be taken for one that a crash cut short. */
static void test_rot(void **state)
{
    char names[NAMES][WAL_NAME_BYTES] = {{0}};
    struct sim_disk *whole;
    unsigned refused = 0, cut = 0, same = 0;

    (void)state;
    rig_open(&rig, 1);
    log_make(24, 3);
    whole = rig.disk;
    assert_int_equal(sim_disk_list(whole, name_add, names), 0);
    for (uint64_t at = 0;; at++) {
        uint64_t offset = at;
        const char *name = place_find(whole, names, &offset);
        char *problem;
        struct wal *wal;
        int error;

        if (!name)
            break;
        rig.disk = sim_disk_clone(whole);
        assert_true(sim_disk_rot(rig.disk, name, offset, (uint8_t)(1u << at % 8)));
        error = log_open(&wal, &problem);
        if (error) {
            assert_int_equal(error, CULVERT_ECORRUPT);
            assert_non_null(strstr(problem, name));
            assert_non_null(strstr(problem, "culvert node rebuild"));
            assert_non_null(strstr(problem, "at byte "));
            assert_true(strtoull(strstr(problem, "at byte ") + 8, NULL, 10) <= offset);
            refused++;
        } else {
            int64_t found = model_find(&model, wal, model.count - 4);

            assert_true(found >= 0); /* the last change is of up to four records */
            cut += (uint64_t)found < model.count;
            same += (uint64_t)found == model.count;
        }
        free(problem);
        log_close(wal);
        sim_disk_free(rig.disk);
    }
    print_message("%u refused, %u cut, %u without effect\n", refused, cut, same);
    assert_true(refused > 5000 && cut > 50 && cut < 4 * 800);
    rig.disk = whole;
    rig_close(&rig);
}

/* Any segment that goes missing is missed, except the one made ahead. */
static void test_missing(void **state)
{
    char names[NAMES][WAL_NAME_BYTES] = {{0}};
    struct sim_disk *whole;
    unsigned refused = 0, count = 0;

    (void)state;
    rig_open(&rig, 1);
    log_make(60, 4);
    whole = rig.disk;
    sim_disk_list(whole, name_add, names);
    for (; names[count][0]; count++) {
        char *problem;
        struct wal *wal;

        rig.disk = sim_disk_clone(whole);
        assert_int_equal(sim_disk_remove(rig.disk, names[count]), 0);
        if (log_open(&wal, &problem)) {
            assert_non_null(strstr(problem, names[count]));
            refused++;
        } else {
            assert_int_equal(model_find(&model, wal, model.count), (int64_t)model.count);
        }
        free(problem);
        log_close(wal);
        sim_disk_free(rig.disk);
    }
    assert_true(count >= 4);
    assert_int_equal(refused, count - 1);
    rig.disk = whole;
    rig_close(&rig);
}

/* Does changes until one fails or there were enough. */
static int live(struct wal *wal, unsigned changes, uint64_t seed, struct model_sync *sync)
{
    struct sim_random random = {.state = seed};
    int error = 0;

    sync->done = true;
    sync->status = 0;
    for (unsigned i = 0; i < changes && !error && !sync->status; i++) {
        error = model_change(&model, wal, &random);
        if (i % 2 || error)
            continue;
        model_sync(&model, wal, sync);
        rig_run(&rig);
        assert_true(sync->done);
    }
    return error;
}

/* After a sync has failed all do, and appends too, also when the disk is well again. */
static void check_failed(struct wal *wal, int with)
{
    struct wal_entry entry = {.term = 1, .type = 1};
    struct model_sync sync;

    assert_int_equal(wal_append(wal, 1, 1, &entry, 1), CULVERT_EIO);
    model_sync(&model, wal, &sync);
    rig_run(&rig);
    assert_true(sync.done && sync.status == with);
}

/* A call of the disk fails, then the power does; false: there were not so many calls. */
static bool fail_once(uint64_t at, int with, unsigned *failed)
{
    struct model_sync sync = {.status = 0};
    struct wal *wal;
    bool reached;
    int error;

    rig_open(&rig, at);
    model_init(&model);
    *sim_disk_faults(rig.disk) =
        (struct sim_disk_faults){.fail_after = at, .fail_with = with, .lost = true, .torn = true};
    error = log_open(&wal, NULL);
    if (!error)
        error = live(wal, 60, 5, &sync);
    reached = !sim_disk_faults(rig.disk)->fail_after;
    assert_true(error == 0 || error == with || error == CULVERT_EIO);
    if (wal && (sync.status || rig.write_failed)) {
        check_failed(wal, with);
        ++*failed;
    }
    sim_disk_faults(rig.disk)->fail_after = 0;
    log_close(wal);
    sim_disk_crash(rig.disk, &rig.random);
    wal = log_open_well();
    assert_true(model_find(&model, wal, model.acknowledged) >= 0);
    log_close(wal);
    rig_close(&rig);
    return reached;
}

static void fail_everywhere(int with)
{
    unsigned failed = 0;
    uint64_t at = 1;

    while (fail_once(at, with, &failed))
        at++;
    print_message("%llu calls, %u failed syncs\n", (unsigned long long)at, failed);
    assert_true(at > 100 && failed > 20);
}

static void test_full(void **state)
{
    (void)state;
    fail_everywhere(CULVERT_ENOSPC);
}

static void test_broken(void **state)
{
    (void)state;
    fail_everywhere(CULVERT_EIO);
}

/* The disk fails while writes and works are under way: every sync is called back, also when the
 * log failed for another reason than the write that is still under way. */
static void test_under_way(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 1000; at++) {
        struct model_sync syncs[40];
        struct wal *wal;
        unsigned count = 0;
        int error = 0;

        rig_open(&rig, at);
        model_init(&model);
        wal = log_open_well();
        sim_disk_faults(rig.disk)->fail_after = 1 + at % 40;
        sim_disk_faults(rig.disk)->fail_with = CULVERT_EIO;
        while (count < 40 && !error) {
            error = wal_set_term(wal, 1, count, 1);
            assert_true(error == 0 || error == CULVERT_EIO);
            model_sync(&model, wal, &syncs[count++]);
            if (!error)
                rig_step(&rig);
        }
        rig_run(&rig);
        while (count)
            assert_true(syncs[--count].done);
        log_close(wal);
        rig_close(&rig);
    }
}

/* A disk with room for two segments: there is no third to go on with. */
static void test_no_room(void **state)
{
    struct model_sync sync = {.done = false};
    struct wal *wal;

    (void)state;
    rig_open(&rig, 1);
    model_init(&model);
    sim_disk_faults(rig.disk)->capacity = 2 * SEGMENT + 100;
    wal = log_open_well();
    for (uint64_t i = 1; i <= 20; i++)
        append(wal, 1, i, 500);
    model_sync(&model, wal, &sync);
    rig_run(&rig);
    assert_int_equal(sync.status, CULVERT_ENOSPC);
    log_close(wal);
    sim_disk_faults(rig.disk)->capacity = 0;
    wal = log_open_well();
    append(wal, 2, 1, 500);
    model_sync(&model, wal, &sync);
    rig_run(&rig);
    assert_int_equal(sync.status, 0);
    log_close(wal);
    rig_close(&rig);
}

/* The disk doesn't answer: what waits is bounded. */
static void test_bounded(void **state)
{
    static const uint8_t data[1 << 20];
    struct wal_entry entry = {.term = 1, .type = 1, .data = data, .length = sizeof(data)};
    struct model_sync sync;
    struct wal *wal;
    uint64_t taken = 0;

    (void)state;
    rig_open(&rig, 1);
    model_init(&model);
    assert_int_equal(wal_open(&wal, &rig.env, NULL, NULL), 0);
    while (wal_append(wal, 1, taken + 1, &entry, 1) == 0)
        taken++;
    assert_in_range(taken, 30, 32);
    assert_int_equal(wal_append(wal, 1, taken + 1, &entry, 1), CULVERT_EFULL);
    model_sync(&model, wal, &sync);
    rig_run(&rig);
    assert_int_equal(sync.status, 0);
    assert_int_equal(wal_append(wal, 1, taken + 1, &entry, 1), 0);
    log_close(wal);
    rig_close(&rig);
}

/* Closed after any number of callbacks, with a write or a work under way. */
static void test_close(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 20; steps++) {
        struct wal *wal;

        rig_open(&rig, steps);
        assert_int_equal(wal_open(&wal, &rig.env, NULL, NULL), 0);
        append(wal, 1, 1, 2 << 20); /* is written without being asked for */
        for (unsigned i = 0; i < steps; i++)
            rig_step(&rig);
        log_close(wal);
        assert_int_equal(wal_open(&wal, &rig.env, NULL, NULL), 0);
        log_close(wal);
        rig_close(&rig);
    }
}

/* Three entries at the end of a group: all of them or, without memory, none. */
static int append_three(struct wal *wal, uint64_t term)
{
    static const uint8_t data[3000];
    struct wal_entry entries[3] = {{.term = term, .type = 1},
                                   {.term = term + 1, .type = 1},
                                   {.term = term + 1, .type = 1, .data = data, .length = 3000}};
    struct wal_group before = {0}, after = {0};
    int error;

    wal_group(wal, 9, &before);
    in_log = true;
    error = wal_append(wal, 9, before.last + 1, entries, 3);
    if (!error && term % 8 == 7)
        wal_snapshot(wal, 9, before.last + 3, term + 1, 1, "meta", 4);
    in_log = false;
    wal_group(wal, 9, &after);
    assert_int_equal(after.last, before.last + (error ? 0 : 3));
    return error;
}

/* An allocation fails, while the log is opened or lives; false: there were not so many. What was
 * refused is not there after a restart either. */
static bool starve(uint64_t at)
{
    struct wal_group before = {0}, after = {0};
    struct model_sync sync;
    struct wal *wal;
    int error;

    rig_open(&rig, 7);
    log_make(30, 7);
    allocations = 0;
    fail_at = at;
    in_log = true;
    error = log_open(&wal, NULL);
    in_log = false;
    assert_true(error == 0 || error == CULVERT_ENOMEM);
    for (uint64_t i = 1; i < 30 && !error; i++) {
        error = append_three(wal, i);
        assert_true(error == 0 || error == CULVERT_ENOMEM || error == CULVERT_EIO);
        model_sync(&model, wal, &sync);
        in_log = true;
        rig_run(&rig);
        in_log = false;
        assert_true(sync.done && (!sync.status || sync.status == CULVERT_ENOMEM));
    }
    fail_at = 0;
    if (wal)
        wal_group(wal, 9, &before);
    log_close(wal);
    wal = log_open_well();
    wal_group(wal, 9, &after);
    assert_true(after.last == before.last || error == CULVERT_EIO);
    log_close(wal);
    rig_close(&rig);
    return allocations >= at;
}

static void test_memory(void **state)
{
    uint64_t at = 1;

    (void)state;
    while (starve(at))
        at++;
    print_message("%llu allocations\n", (unsigned long long)at);
    assert_true(at > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rot),       cmocka_unit_test(test_missing),
        cmocka_unit_test(test_full),      cmocka_unit_test(test_broken),
        cmocka_unit_test(test_under_way), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_bounded),   cmocka_unit_test(test_close),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
