/* SPDX-License-Identifier: Apache-2.0 */
/* A group's log written by hand, and the machine dying at every call of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <raft.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"
#include "controlplane/core/group_rewrite.h"
#include "wal_rig.h"

#define SEGMENT ((uint64_t)1 << 20)
#define NODE 77
#define ADDRESS "10.0.0.1:7480"

static struct rig rig;
static struct wal *wal;

static int open_log(void)
{
    struct wal_options options = {.segment = SEGMENT};
    char *problem = NULL;
    int error = wal_open(&wal, &rig.env, &options, &problem);

    free(problem);
    return error;
}

static void close_log(void)
{
    wal_close(wal);
    wal = NULL;
    rig_run(&rig);
}

static void synced(struct wal_sync *sync, int status)
{
    *(int *)sync->arg = status;
}

/* 0: it is on the disk. */
static int keep(void)
{
    int status = CULVERT_EIO;
    struct wal_sync sync = {.done = synced, .arg = &status};

    wal_sync(wal, &sync);
    rig_run(&rig);
    return status;
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    assert_int_equal(open_log(), 0);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    close_log();
    rig_close(&rig);
    return 0;
}

static void reopen(void)
{
    close_log();
    assert_int_equal(open_log(), 0);
}

/* The members are this node alone, a voter. */
static void check_sole(const void *bytes, size_t length)
{
    struct raft_buffer encoded = {.base = (void *)bytes, .len = length};
    struct raft_configuration members;

    assert_int_equal(raft_configuration_decode(&encoded, &members), 0);
    assert_int_equal(members.n, 1);
    assert_int_equal(members.servers[0].id, NODE);
    assert_string_equal(members.servers[0].address, ADDRESS);
    assert_int_equal(members.servers[0].role, RAFT_VOTER);
    raft_configuration_close(&members);
}

static void append(uint64_t index, uint64_t term)
{
    struct wal_entry entry = {.term = term, .type = MESSAGE_MEMBERS + 1, .data = "x", .length = 1};

    assert_int_equal(wal_append(wal, 0, index, &entry, 1), 0);
}

/* ---- a state that becomes a new group's beginning ---- */

/* With so many entries behind it. */
static void check_begun(uint64_t index, uint64_t entries)
{
    struct wal_group log;

    assert_int_equal(wal_group(wal, 0, &log), 0);
    assert_int_equal(log.snapshot_index, index);
    assert_int_equal(log.snapshot_term, 1);
    assert_int_equal(log.term, 1);
    assert_int_equal(log.vote, 0);
    assert_true(entries ? log.last == index + entries : log.last < log.first);
    assert_true(log.meta_length > 8 && bytes_number(log.meta, 8) == index);
    check_sole((const uint8_t *)log.meta + 8, log.meta_length - 8);
}

static void test_begin(void **state)
{
    (void)state;
    assert_int_equal(group_rewrite_begin(wal, 0, 4711, NODE, ADDRESS), 0);
    check_begun(4711, 0);
    assert_int_equal(keep(), 0);
    reopen();
    check_begun(4711, 0);
    /* The log goes on behind the state. */
    append(4712, 1);
    assert_int_equal(keep(), 0);
    /* It was begun: not once more. */
    assert_int_equal(group_rewrite_begin(wal, 0, 4711, NODE, ADDRESS), CULVERT_EEXIST);
    /* Another group is none of its business. */
    assert_int_equal(group_rewrite_begin(wal, 1, 3, NODE, ADDRESS), 0);
    check_begun(4711, 1);
}

/* ---- a survivor ---- */

static void check_survivor(uint64_t last, uint64_t term)
{
    struct wal_group log;
    struct wal_entry entry;
    void *memory;

    assert_int_equal(wal_group(wal, 0, &log), 0);
    assert_int_equal(log.last, last + 1);
    assert_int_equal(log.term, term + 1);
    assert_int_equal(log.vote, NODE);
    assert_int_equal(wal_read(wal, 0, last + 1, 1, SEGMENT, &entry, &memory), 1);
    assert_int_equal(entry.term, term + 1);
    assert_int_equal(entry.type, MESSAGE_MEMBERS);
    check_sole(entry.data, entry.length);
    free(memory);
}

static void test_sole(void **state)
{
    struct wal_entry entry;
    void *memory;

    (void)state;
    assert_int_equal(group_rewrite_sole(wal, 0, NODE, ADDRESS), CULVERT_ENOTFOUND);
    assert_int_equal(wal_set_term(wal, 0, 5, 3), 0);
    for (uint64_t index = 1; index <= 9; index++)
        append(index, index < 5 ? 2 : 5);
    assert_int_equal(keep(), 0);
    assert_int_equal(group_rewrite_sole(wal, 0, NODE, ADDRESS), 0);
    assert_int_equal(keep(), 0);
    reopen();
    check_survivor(9, 5);
    /* What it had before is there. */
    assert_int_equal(wal_read(wal, 0, 4, 1, SEGMENT, &entry, &memory), 1);
    assert_int_equal(entry.term, 2);
    free(memory);
    /* Asked twice, as after a crash before it was noted: one more change in one more term. */
    assert_int_equal(group_rewrite_sole(wal, 0, NODE, ADDRESS), 0);
    check_survivor(10, 6);
}

/* All entries are in a snapshot: the change comes behind that. */
static void test_sole_behind_a_snapshot(void **state)
{
    (void)state;
    assert_int_equal(wal_set_term(wal, 0, 4, 0), 0);
    assert_int_equal(wal_snapshot(wal, 0, 1000, 3, 0, "m", 1), 0);
    assert_int_equal(group_rewrite_sole(wal, 0, NODE, ADDRESS), 0);
    assert_int_equal(keep(), 0);
    reopen();
    check_survivor(1000, 4);
}

/* ---- deaths ---- */

/* What is there after a death is as before, or as after; another try ends as it should. */
static void revive_and_check(bool begins)
{
    struct wal_group log;
    int error;

    rig_revive(&rig);
    assert_int_equal(open_log(), 0);
    error = wal_group(wal, 0, &log);
    if (begins && (error == CULVERT_ENOTFOUND || !log.snapshot_index)) {
        if (!error) {
            /* The term alone: whoever restores a backup removes the log before it tries again. */
            assert_true(log.term == 1 && log.last < log.first);
            return;
        }
        assert_int_equal(group_rewrite_begin(wal, 0, 4711, NODE, ADDRESS), 0);
        assert_int_equal(keep(), 0);
        reopen();
        check_begun(4711, 0);
    } else if (begins) {
        check_begun(4711, 0);
    } else {
        assert_int_equal(error, 0);
        assert_true(log.last == 9 || log.last == 10);
        if (log.last == 10)
            check_survivor(9, 5);
        else
            assert_true(log.term == 5 || log.term == 6);
    }
}

/* True: it died on the way. */
static bool die_at(uint64_t call, bool begins)
{
    bool died;

    rig_open(&rig, call);
    assert_int_equal(open_log(), 0);
    if (!begins) {
        assert_int_equal(wal_set_term(wal, 0, 5, 3), 0);
        for (uint64_t index = 1; index <= 9; index++)
            append(index, 5);
        assert_int_equal(keep(), 0);
    }
    rig.crash_at = rig.calls + call;
    if (begins)
        assert_int_equal(group_rewrite_begin(wal, 0, 4711, NODE, ADDRESS), 0);
    else
        assert_int_equal(group_rewrite_sole(wal, 0, NODE, ADDRESS), 0);
    keep();
    died = rig.dead;
    close_log();
    if (died)
        revive_and_check(begins);
    close_log();
    rig_close(&rig);
    return died;
}

static void test_deaths(void **state)
{
    (void)state;
    for (int begins = 0; begins < 2; begins++) {
        uint64_t call = 1;

        while (die_at(call, begins))
            call++;
        assert_true(call > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_sole, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_sole_behind_a_snapshot, open_rig, close_rig),
        cmocka_unit_test(test_deaths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
