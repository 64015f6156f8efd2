/* SPDX-License-Identifier: Apache-2.0 */
/* What opening makes of segments written by hand. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/crc32c.h"
#include "controlplane/base/error.h"
#include "wal_craft.h"
#include "wal_rig.h"

#define SEGMENT 8192u

static struct rig rig;
static struct craft craft;

static int setup(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void segment_begin(uint64_t sequence)
{
    struct wal_header header = {
        .id = 1000 + sequence, .sequence = sequence, .size = SEGMENT, .low = 1};

    craft_begin(&craft, rig.disk, &header);
}

static void term(uint64_t group, uint8_t flags)
{
    struct wal_record record = {
        .kind = WAL_TERM, .flags = flags, .group = group, .term = 9, .index = 1};

    craft_record(&craft, &record);
}

static void entry(uint64_t group, uint64_t index)
{
    struct wal_record record = {
        .kind = WAL_ENTRY, .type = 1, .group = group, .term = 1, .index = index};

    craft_record(&craft, &record);
}

static void seal(uint64_t next)
{
    struct wal_record record = {.kind = WAL_SEAL, .index = next};

    craft_record(&craft, &record);
}

/* Opens: the error, and whether its text names the place. */
static int open_log(struct wal **wal, const char *named)
{
    struct wal_options options = {.segment = SEGMENT};
    char *problem;
    int error;

    *wal = NULL;
    error = wal_open(wal, &rig.env, &options, &problem);
    assert_true(!named || strstr(problem, named));
    free(problem);
    return error;
}

static bool knows(struct wal *wal, uint64_t group)
{
    struct wal_group found;

    return !wal_group(wal, group, &found);
}

/* A write of several records of which the first is torn: the others of it prove nothing, one that
 * begins a later write does. */
static void torn(bool later)
{
    struct wal *wal;

    segment_begin(1);
    term(1, WAL_FLAG_FIRST);
    craft.offset += WAL_RECORD_BYTES; /* the torn one */
    term(2, 0);
    term(3, later ? WAL_FLAG_FIRST : 0);
    craft_end(&craft);
    if (later) {
        assert_int_equal(open_log(&wal, "wal-0000000000000001 at byte 4136"), CULVERT_ECORRUPT);
        return;
    }
    assert_int_equal(open_log(&wal, NULL), 0);
    assert_true(knows(wal, 1) && !knows(wal, 2) && !knows(wal, 3));
    wal_close(wal);
    rig_run(&rig);
}

static void test_torn(void **state)
{
    (void)state;
    torn(false);
}

static void test_damaged(void **state)
{
    (void)state;
    torn(true);
}

static void done(struct wal_sync *sync, int status)
{
    *(int *)sync->arg = status;
}

static void sync_log(struct wal *wal)
{
    int status = 1;
    struct wal_sync sync = {.done = done, .arg = &status};

    wal_sync(wal, &sync);
    rig_run(&rig);
    assert_int_equal(status, 0);
}

/* Records of a write that was cut must not follow what is written in its place. */
static void test_cut(void **state)
{
    struct wal *wal;

    (void)state;
    segment_begin(1);
    term(1, WAL_FLAG_FIRST);
    craft.offset += WAL_RECORD_BYTES;
    term(2, 0);
    craft_end(&craft);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(open_log(&wal, NULL), 0);
        assert_true(knows(wal, 1) && !knows(wal, 2));
        if (!round)
            assert_int_equal(wal_set_term(wal, 3, 1, 1), 0);
        sync_log(wal);
        wal_close(wal);
        rig_run(&rig);
    }
}

/* The seal is gone: the next segment's first write proves that it was there. */
static void test_seal_gone(void **state)
{
    struct wal *wal;

    (void)state;
    segment_begin(1);
    term(1, WAL_FLAG_FIRST);
    craft_end(&craft);
    segment_begin(2);
    craft.offset += WAL_RECORD_BYTES;
    term(2, WAL_FLAG_FIRST);
    craft_end(&craft);
    assert_int_equal(open_log(&wal, "wal-0000000000000001 at byte 4136"), CULVERT_ECORRUPT);
}

/* The seal is gone and the next segment has rests of a write that was never done: they don't come
 * back when the log gets there. */
static void test_rests(void **state)
{
    struct wal *wal;

    (void)state;
    segment_begin(1);
    term(1, WAL_FLAG_FIRST);
    craft_end(&craft);
    segment_begin(2);
    craft.offset += WAL_RECORD_BYTES;
    for (unsigned i = 0; i < 10; i++)
        term(2, 0);
    craft_end(&craft);
    for (uint64_t round = 0; round < 300; round++) {
        assert_int_equal(open_log(&wal, NULL), 0);
        assert_true(knows(wal, 1) && !knows(wal, 2));
        assert_int_equal(wal_set_term(wal, 3, round, 1), 0);
        sync_log(wal);
        wal_close(wal);
        rig_run(&rig);
    }
}

static void test_missing_next(void **state)
{
    struct wal *wal;

    (void)state;
    segment_begin(1);
    term(1, WAL_FLAG_FIRST);
    seal(2);
    craft_end(&craft);
    assert_int_equal(open_log(&wal, "wal-0000000000000002 at byte 0: the file is missing"),
                     CULVERT_ECORRUPT);
}

/* Entries that hang in the air, and records that no log writes. */
static void test_senseless(void **state)
{
    struct wal_record records[] = {
        {.kind = WAL_ENTRY, .type = 1, .term = 1, .index = 0},
        {.kind = WAL_ENTRY, .type = 1, .term = 1, .index = UINT64_MAX},
        {.kind = WAL_ENTRY, .type = 0, .term = 1, .index = 1},
        {.kind = WAL_ENTRY, .type = 1, .term = 0, .index = 1},
        {.kind = WAL_ENTRY, .type = 1, .term = 1, .index = 7},
        {.kind = WAL_SEAL, .index = 7},
        {.kind = WAL_SNAPSHOT, .index = 7, .length = 8, .body = (const uint8_t *)"\0\0\0\0\0\0\0"},
        {.kind = WAL_SNAPSHOT, .index = 7, .length = 8, .body = (const uint8_t *)"\x9\0\0\0\0\0\0"},
    };
    struct wal *wal;

    (void)state;
    for (unsigned i = 0; i < sizeof(records) / sizeof(*records); i++) {
        segment_begin(1);
        craft_record(&craft, &records[i]);
        craft_end(&craft);
        assert_int_equal(open_log(&wal, "wal-0000000000000001 at byte "), CULVERT_ECORRUPT);
    }
    segment_begin(1);
    entry(1, 1);
    entry(1, 2);
    craft_end(&craft);
    assert_int_equal(open_log(&wal, NULL), 0);
    wal_close(wal);
}

/* A record is one only with its segment's id and at its place. */
static void test_identity(void **state)
{
    struct wal_record record = {.kind = WAL_TERM, .term = 1}, again;
    uint8_t bytes[WAL_RECORD_BYTES];

    (void)state;
    wal_record_write(&record, 1, 2, bytes);
    assert_true(wal_record_read(&again, 1, 2, bytes));
    assert_false(wal_record_read(&again, 1, 3, bytes));
    assert_false(wal_record_read(&again, 2, 2, bytes));
}

/* A header of another version is whole; it is not taken for damage. */
static void test_header(void **state)
{
    struct wal_header header = {.id = 1, .sequence = 1, .size = SEGMENT, .low = 1}, again;
    uint8_t bytes[WAL_HEADER_BYTES];
    uint32_t checksum;

    (void)state;
    wal_header_write(&header, bytes);
    assert_int_equal(wal_header_read(&again, bytes), 0);
    assert_memory_equal(&header, &again, sizeof(header));
    for (unsigned i = 0; i < 8 * WAL_HEADER_BYTES; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(wal_header_read(&again, bytes), CULVERT_ECORRUPT);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    bytes[8] = WAL_VERSION + 1;
    memset(bytes + 12, 0, sizeof(checksum));
    checksum = htole32(crc32c(0, bytes, sizeof(bytes)));
    memcpy(bytes + 12, &checksum, sizeof(checksum));
    assert_int_equal(wal_header_read(&again, bytes), CULVERT_EUNSUPPORTED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_torn),      TEST(test_damaged),  TEST(test_cut),
        TEST(test_seal_gone), TEST(test_rests),    TEST(test_missing_next),
        TEST(test_senseless), TEST(test_identity), TEST(test_header),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
