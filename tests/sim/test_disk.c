/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk forgets what it should, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "tests/sim/disk.h"

#define SECTORS 8u

static struct sim_disk *disk;
static struct sim_random chance;
static struct env_file *file;

static int setup(void **state)
{
    (void)state;
    disk = sim_disk_new();
    if (!disk || sim_disk_open(disk, "f", ENV_FILE_CREATE, &file) ||
        sim_disk_allocate(disk, file, (uint64_t)SECTORS * SIM_SECTOR))
        return -1;
    *sim_disk_faults(disk) = (struct sim_disk_faults){.lost = true, .torn = true};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_close(disk, file);
    sim_disk_free(disk);
    return 0;
}

/* Fills all sectors with a byte. */
static int fill(uint8_t byte, bool sync)
{
    uint8_t bytes[SECTORS * SIM_SECTOR];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct env_write write = {.file = file, .parts = &part, .count = 1, .sync = sync};

    memset(bytes, byte, sizeof(bytes));
    sim_disk_write_begin(disk, &write);
    return sim_disk_write_end(disk, &write);
}

/* Reads all sectors, each of one byte's value: those values. */
static void sectors_read(uint8_t values[SECTORS])
{
    uint8_t bytes[SECTORS * SIM_SECTOR];

    assert_int_equal(sim_disk_read(disk, file, 0, bytes, sizeof(bytes)), sizeof(bytes));
    for (unsigned i = 0; i < SECTORS; i++) {
        values[i] = bytes[(size_t)i * SIM_SECTOR];
        for (unsigned j = 0; j < SIM_SECTOR; j++)
            assert_int_equal(bytes[(size_t)i * SIM_SECTOR + j], values[i]);
    }
}

static void reopen(void)
{
    sim_disk_close(disk, file);
    assert_int_equal(sim_disk_open(disk, "f", 0, &file), 0);
}

/* Of two writes that were not synced each sector has the one before, the first or the second. */
static void test_torn(void **state)
{
    unsigned seen[4] = {0}, mixed = 0;

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        uint8_t values[SECTORS];
        bool same = true;

        assert_int_equal(fill(1, true), 0);
        assert_int_equal(fill(2, false), 0);
        assert_int_equal(fill(3, false), 0);
        sim_disk_crash(disk, &chance);
        reopen();
        sectors_read(values);
        for (unsigned i = 0; i < SECTORS; i++) {
            assert_in_range(values[i], 1, 3);
            seen[values[i]]++;
            same &= values[i] == values[0];
        }
        mixed += !same;
    }
    assert_true(seen[1] && seen[2] && seen[3] && mixed && mixed < 200);
}

static void test_synced(void **state)
{
    uint8_t values[SECTORS];

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        assert_int_equal(fill(2, false), 0);
        assert_int_equal(fill((uint8_t)round, true), 0); /* with all before it */
        sim_disk_crash(disk, &chance);
        reopen();
        sectors_read(values);
        for (unsigned i = 0; i < SECTORS; i++)
            assert_int_equal(values[i], round);
    }
}

/* A killed node's writes are seen, and may still be lost with the power. */
static void test_killed(void **state)
{
    unsigned lost = 0;
    uint8_t values[SECTORS];

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        assert_int_equal(fill(1, true), 0);
        assert_int_equal(fill(2, false), 0);
        sim_disk_kill(disk);
        assert_int_equal(fill(3, true), CULVERT_EIO);
        reopen();
        sectors_read(values);
        assert_int_equal(values[0], 2);
        sim_disk_crash(disk, &chance);
        reopen();
        sectors_read(values);
        lost += values[0] == 1;
    }
    assert_true(lost && lost < 50);
}

/* A name that was removed may come back, until the folder is synced by another name's making. */
static void test_removed(void **state)
{
    unsigned back = 0;

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct env_file *other;
        bool synced = round % 2;

        assert_int_equal(sim_disk_open(disk, "r", ENV_FILE_CREATE, &other), 0);
        sim_disk_close(disk, other);
        assert_int_equal(sim_disk_remove(disk, "r"), 0);
        assert_int_equal(sim_disk_open(disk, "r", 0, &other), CULVERT_ENOTFOUND);
        if (synced)
            assert_int_equal(sim_disk_rename(disk, "f", "f"), 0);
        sim_disk_crash(disk, &chance);
        if (sim_disk_open(disk, "r", 0, &other))
            continue;
        assert_false(synced);
        back++;
        sim_disk_close(disk, other);
    }
    assert_true(back && back < 25);
}

static void test_faults(void **state)
{
    struct sim_disk_faults *faults = sim_disk_faults(disk);
    struct sim_disk *copy;
    uint64_t size;
    uint8_t byte;

    (void)state;
    faults->capacity = (uint64_t)SECTORS * SIM_SECTOR + 10;
    assert_int_equal(sim_disk_allocate(disk, file, faults->capacity + 1), CULVERT_ENOSPC);
    assert_int_equal(sim_disk_allocate(disk, file, faults->capacity), 0);
    faults->fail_after = 2;
    faults->fail_with = CULVERT_EIO;
    assert_int_equal(sim_disk_size(disk, file, &size), 0);
    assert_int_equal(sim_disk_size(disk, file, &size), CULVERT_EIO);
    assert_int_equal(sim_disk_size(disk, file, &size), 0);
    faults->fail_after = 1;
    faults->fail_for_good = true;
    assert_int_equal(fill(1, true), CULVERT_EIO);
    assert_int_equal(fill(1, true), CULVERT_EIO);
    *faults = (struct sim_disk_faults){0};
    assert_int_equal(fill(5, true), 0);
    copy = sim_disk_clone(disk);
    assert_true(sim_disk_rot(disk, "f", 3, 0x80));
    assert_false(sim_disk_rot(disk, "f", size, 0x80));
    assert_int_equal(sim_disk_read(disk, file, 3, &byte, 1), 1);
    assert_int_equal(byte, 0x85);
    sim_disk_close(disk, file);
    assert_int_equal(sim_disk_open(copy, "f", 0, &file), 0);
    assert_int_equal(sim_disk_read(copy, file, 3, &byte, 1), 1);
    assert_int_equal(byte, 5);
    sim_disk_free(disk);
    disk = copy;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_torn),    TEST(test_synced), TEST(test_killed),
        TEST(test_removed), TEST(test_faults),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
