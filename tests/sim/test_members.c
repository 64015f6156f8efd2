/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of members that come and go, and of leaders that don't know of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <raft.h>

#include "controlplane/base/error.h"
#include "tests/sim/story.h"

static void test_members(void **state)
{
    struct sim *sim = story_cluster(3, 4, 1);
    int first = story_leader(sim, 0), status = STORY_PENDING;
    struct group_member fourth = {.id = 4, .role = GROUP_STANDBY, .address = "n4"};

    story_write_all(sim, 0, 50); /* what the log no longer has comes as a snapshot */
    assert_int_equal(group_member_add(story_at(sim, first, 0), &fourth, story_ended, &status), 0);
    assert_int_equal(group_member_remove(story_at(sim, first, 0), 4, story_ended, &status),
                     CULVERT_EBUSY);
    story_wait_for(sim, &status);
    assert_int_equal(status, 0);
    assert_int_equal(group_member_add(story_at(sim, first, 0), &fourth, story_ended, &status),
                     CULVERT_EEXIST);
    status = STORY_PENDING;
    assert_int_equal(
        group_member_assign(story_at(sim, first, 0), 4, GROUP_VOTER, story_ended, &status), 0);
    story_wait_for(sim, &status);
    assert_int_equal(status, 0);
    story_run_for(sim, 200);
    assert_int_equal(story_status_of(sim, 3, 0).role, GROUP_VOTER);
    assert_int_equal(story_status_of(sim, 3, 0).applied, story_status_of(sim, first, 0).applied);
    assert_true(sim->counts[SIM_LOADS] > 0);
    /* The leader itself: it hands over, the next one removes it. */
    assert_int_equal(
        group_member_remove(story_at(sim, first, 0), sim->slot[first].id, story_ended, &status),
        CULVERT_ENOTLEADER);
    story_run_for(sim, 200);
    assert_int_not_equal(story_leader(sim, 0), first);
    story_write_all(sim, 0, 1);
    status = STORY_PENDING;
    assert_int_equal(group_member_remove(story_at(sim, story_leader(sim, 0), 0),
                                         sim->slot[first].id, story_ended, &status),
                     0);
    story_wait_for(sim, &status);
    assert_int_equal(status, 0);
    story_write_all(sim, 0, 3);
    story_end(sim);
}

/* A leader that has not committed in its term may not know of a change that is. */
static void test_early_change(void **state)
{
    struct sim *sim = story_cluster(3, 4, 1);
    struct group_member fourth = {.id = 4, .role = GROUP_STANDBY, .address = "n4"};
    int first, status = STORY_PENDING;

    while (sim_leader(sim, 0) < 0)
        sim_next(sim);
    first = sim_leader(sim, 0);
    assert_int_equal(group_member_add(story_at(sim, first, 0), &fourth, story_ended, &status),
                     CULVERT_EBUSY);
    story_run_for(sim, 100);
    assert_int_equal(group_member_add(story_at(sim, first, 0), &fourth, story_ended, &status), 0);
    story_wait_for(sim, &status);
    assert_int_equal(status, 0);
    story_end(sim);
}

/* A leader that was replaced and hasn't heard of it, and a follower that hasn't either and asks it
 * for a read: those who know of the new term must not confirm the old one. */
static void test_replaced_leader(void **state)
{
    struct sim *sim = story_cluster(5, 5, 1);
    int first = story_leader(sim, 0), next = (first + 1) % 5, late = (first + 2) % 5;
    int handed = STORY_PENDING, write = STORY_PENDING, read = STORY_PENDING;
    uint64_t before;

    story_write_all(sim, 0, 3);
    story_run_for(sim, 200);
    before = sim_machine_get(sim->slot[late].machines[0], 0);
    sim->link[next][first].cut = sim->link[next][late].cut = true;
    assert_int_equal(
        group_transfer(story_at(sim, first, 0), sim->slot[next].id, story_ended, &handed), 0);
    while (!story_status_of(sim, next, 0).leading)
        sim_next(sim);
    assert_int_equal(story_propose(sim, next, 0, &write), 0);
    while (write == STORY_PENDING)
        sim_next(sim);
    assert_int_equal(write, 0);
    assert_true(story_status_of(sim, first, 0).leading || handed == 0);
    assert_int_equal(story_status_of(sim, late, 0).leader, sim->slot[first].id);
    assert_int_equal(group_read(story_at(sim, late, 0), story_ended, &read), 0);
    story_wait_for(sim, &read);
    assert_true(read != 0 || sim_machine_get(sim->slot[late].machines[0], 0) != before);
    story_end(sim);
}

static struct raft_buffer members_of(unsigned count)
{
    struct raft_configuration members;
    struct raft_buffer encoded;

    raft_configuration_init(&members);
    for (unsigned i = 0; i < count; i++) {
        char address[16];

        snprintf(address, sizeof(address), "n%u", i + 1);
        assert_int_equal(
            raft_configuration_add(&members, i + 1, address, i < 3 ? RAFT_VOTER : RAFT_STANDBY), 0);
    }
    assert_int_equal(raft_configuration_encode(&members, &encoded), 0);
    raft_configuration_close(&members);
    return encoded;
}

/* Entries from another node, as the leader of a term. */
static void append(struct sim *sim, uint64_t from, uint64_t term, uint64_t prev, uint64_t prev_term,
                   struct wal_entry *entries, unsigned count)
{
    struct message message = {.kind = MESSAGE_APPEND, .term = term};
    struct buffer bytes = {0};

    message.append.prev_index = prev;
    message.append.prev_term = prev_term;
    message.append.commit = 1;
    message.append.entries = entries;
    message.append.count = count;
    message_encode(&message, &bytes);
    sim_env_deliver(sim->slot[0].env, from, (const uint8_t *)bytes.data, bytes.length);
    buffer_free(&bytes);
    story_run_for(sim, 20);
}

static int count_members(void *arg, const struct group_member *member)
{
    ++*(unsigned *)arg;
    return 0;
}

/* Two changes in one message; then another leader takes the second back, but not the first. */
static void test_change_taken_back(void **state)
{
    struct sim *sim = story_cluster(3, 1, 1);
    struct raft_buffer four = members_of(4), five = members_of(5);
    struct wal_entry changes[] = {
        {.term = 2, .type = MESSAGE_BARRIER, .data = "", .length = 0},
        {.term = 2, .type = MESSAGE_MEMBERS, .data = four.base, .length = four.len},
        {.term = 2, .type = MESSAGE_BARRIER, .data = "", .length = 0},
        {.term = 2, .type = MESSAGE_MEMBERS, .data = five.base, .length = five.len}};
    struct wal_entry other = {.term = 3, .type = MESSAGE_BARRIER, .data = "", .length = 0};
    unsigned count = 0;

    append(sim, 2, 2, 1, 1, changes, 4);
    group_members(story_at(sim, 0, 0), count_members, &count);
    assert_int_equal(count, 5);
    append(sim, 3, 3, 4, 2, &other, 1);
    count = 0;
    group_members(story_at(sim, 0, 0), count_members, &count);
    assert_int_equal(count, 4);
    raft_free(four.base);
    raft_free(five.base);
    story_end(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_early_change),
        cmocka_unit_test(test_replaced_leader),
        cmocka_unit_test(test_change_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
