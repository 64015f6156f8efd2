/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of a few nodes without faults, on the simulator's machines. */
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

static void test_write_and_read(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0), other = (first + 1) % 3, status = STORY_PENDING;

    story_write_all(sim, 0, 10);
    story_run_for(sim, 200);
    for (int i = 0; i < 3; i++)
        assert_int_equal(story_status_of(sim, i, 0).applied,
                         story_status_of(sim, first, 0).applied);
    /* A follower says who leads, and serves reads. */
    assert_int_equal(story_propose(sim, other, 0, &status), CULVERT_ENOTLEADER);
    assert_int_equal(story_status_of(sim, other, 0).leader, sim->slot[first].id);
    assert_int_equal(group_read(story_at(sim, other, 0), story_ended, &status), 0);
    assert_int_equal(status, STORY_PENDING);
    story_wait_for(sim, &status);
    assert_int_equal(status, 0);
    story_end(sim);
}

/* Lone writes, after which nothing else is sent: all have applied them long before a heartbeat. */
static void hear_soon(struct sim *sim, unsigned rounds)
{
    struct group_status first, other;
    int status;

    for (unsigned round = 0; round < rounds; round++) {
        status = STORY_PENDING;
        assert_int_equal(story_propose(sim, story_leader(sim, 0), 0, &status), 0);
        story_wait_for(sim, &status);
        assert_int_equal(status, 0);
        story_run_for(sim, 4);
        group_status(story_at(sim, story_leader(sim, 0), 0), &first);
        for (int i = 0; i < 3; i++) {
            group_status(story_at(sim, i, 0), &other);
            assert_int_equal(other.applied, first.applied);
        }
        story_run_for(sim, 37);
    }
}

static void test_followers_hear_soon(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);

    hear_soon(sim, 5);
    story_end(sim);
}

/* Also when one was away, and its heartbeats are due at other times than the other one's. */
static void test_followers_hear_soon_again(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0), away = (first + 1) % 3;

    for (int i = 0; i < 3; i++)
        sim->link[i][away].cut = sim->link[away][i].cut = true;
    for (unsigned i = 0; i < 20; i++) {
        story_write_all(sim, 0, 1);
        story_run_for(sim, 25);
    }
    for (int i = 0; i < 3; i++)
        sim->link[i][away].cut = sim->link[away][i].cut = false;
    story_write_all(sim, 0, 1);
    story_run_for(sim, 200);
    hear_soon(sim, 20);
    story_end(sim);
}

/* A command that takes longer than followers wait for a leader: nobody is thought to be gone. */
static void test_long_command(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0);
    uint64_t term = story_status_of(sim, first, 0).term;

    story_write_all(sim, 0, 1);
    for (unsigned i = 0; i < 5; i++) {
        sim->apply_ns = 700 * SIM_MS;
        story_write_all(sim, 0, 1);
        story_run_for(sim, 20);
        sim->apply_ns = 0;
        story_run_for(sim, 1000);
        assert_int_equal(story_leader(sim, 0), first);
        assert_int_equal(story_status_of(sim, first, 0).term, term);
    }
    story_end(sim);
}

static void slow(struct sim *sim, int slot, uint64_t ms)
{
    sim->slot[slot].slow_ns = ms * SIM_MS;
}

/* Proposals that come while others are on their way go together, once those are on the leader's
 * disk, or on a quorum's if the leader's is the slow one. */
static void test_batches(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0), status[12];
    uint64_t last;

    (void)state;
    story_write_all(sim, 0, 1);
    last = story_status_of(sim, first, 0).last;
    for (int i = 0; i < 3; i++)
        slow(sim, i, 100);
    for (unsigned i = 0; i < 12; i++) {
        status[i] = STORY_PENDING;
        assert_int_equal(story_propose(sim, first, 0, &status[i]), 0);
        story_run_for(sim, 2);
        assert_int_equal(story_status_of(sim, first, 0).last, last + 1);
    }
    story_wait_for(sim, &status[0]);
    story_run_for(sim, 1);
    assert_int_equal(story_status_of(sim, first, 0).last, last + 12);
    story_wait_for(sim, &status[11]);
    assert_int_equal(status[11], 0);
    for (int i = 0; i < 3; i++)
        slow(sim, i, i == first ? 1000 : 0);
    for (unsigned i = 0; i < 4; i++) {
        status[i] = STORY_PENDING;
        assert_int_equal(story_propose(sim, first, 0, &status[i]), 0);
        story_run_for(sim, 20);
        assert_int_equal(status[i], 0);
    }
    story_end(sim);
}

/* A change of the members goes behind the proposals that wait; if the log has no room for these, it
 * is refused. */
static void test_change_behind_full_log(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0), status[2] = {STORY_PENDING, STORY_PENDING},
        changed = STORY_PENDING;
    uint64_t other = sim->slot[(first + 1) % 3].id;

    (void)state;
    story_write_all(sim, 0, 1);
    for (int i = 0; i < 3; i++)
        slow(sim, i, 100);
    assert_int_equal(story_propose(sim, first, 0, &status[0]), 0);
    story_run_for(sim, 2);
    assert_int_equal(story_propose(sim, first, 0, &status[1]), 0);
    sim_current = sim;
    sim->full_log = 1000;
    assert_int_equal(group_member_remove(story_at(sim, first, 0), other, story_ended, &changed),
                     CULVERT_EBUSY);
    sim_current = NULL;
    story_wait_for(sim, &status[1]);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
    assert_int_equal(changed, STORY_PENDING);
    story_end(sim);
}

/* Nodes make what they have durable at different times, if no later than they have to. */
static void test_flushes_are_staggered(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    unsigned apart = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct group_status status[3];

        story_write_all(sim, 0, 1);
        for (int slot = 0; slot < 3; slot++) {
            status[slot] = story_status_of(sim, slot, 0);
            assert_true(status[slot].applied - status[slot].snapshot <= 22);
        }
        apart +=
            status[0].snapshot != status[1].snapshot || status[1].snapshot != status[2].snapshot;
    }
    assert_true(apart > 50);
    story_end(sim);
}

/* Without a quorum nothing is acknowledged, and a leader that hears nobody stops being one. */
static void test_no_quorum(void **state)
{
    struct sim *sim = story_cluster(3, 3, 1);
    int first = story_leader(sim, 0), write = STORY_PENDING, read = STORY_PENDING;

    story_write_all(sim, 0, 1);
    for (int i = 0; i < 3; i++)
        if (i != first)
            sim->link[first][i].cut = sim->link[i][first].cut = true;
    assert_int_equal(story_propose(sim, first, 0, &write), 0);
    assert_int_equal(group_read(story_at(sim, first, 0), story_ended, &read), 0);
    story_run_for(sim, 1500);
    assert_int_equal(write, CULVERT_EUNKNOWN);
    assert_int_equal(read, CULVERT_ENOTLEADER);
    assert_int_not_equal(story_leader(sim, 0), first);
    story_end(sim);
}

static void test_stop_hands_over(void **state)
{
    struct sim *sim = story_cluster(3, 3, 4);

    story_run_for(sim, 2000);
    for (unsigned g = 0; g < 4; g++)
        story_write_all(sim, g, 3);
    sim_stop(sim, (unsigned)story_leader(sim, 0));
    story_run_for(sim, 30); /* much less than an election timeout */
    for (unsigned g = 0; g < 4; g++)
        assert_true(sim_leader(sim, g) >= 0);
    story_end(sim);
}

static void test_bounds(void **state)
{
    static const uint8_t large[GROUP_COMMAND_MAX + 1];
    struct sim *sim = story_cluster(1, 1, 1);
    int first, status = STORY_PENDING, many[10];
    unsigned taken = 0;

    first = story_leader(sim, 0);
    assert_int_equal(
        group_propose(story_at(sim, first, 0), large, sizeof(large), story_proposed, &status),
        CULVERT_EINVAL);
    sim_crash(sim, 0);
    sim->options.proposals_max = 4;
    sim_start(sim, 0);
    assert_int_equal(story_leader(sim, 0), 0);
    for (unsigned i = 0; i < 10; i++) {
        many[i] = STORY_PENDING;
        taken += !story_propose(sim, 0, 0, &many[i]);
    }
    assert_int_equal(taken, 4);
    assert_int_equal(story_propose(sim, 0, 0, &status), CULVERT_EFULL);
    story_run_for(sim, 100);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(many[i], 0);
    story_end(sim);
}

static void test_sixteen_groups(void **state)
{
    struct sim *sim = story_cluster(3, 3, 16);

    story_run_for(sim, 3000);
    for (unsigned g = 0; g < 16; g++)
        story_write_all(sim, g, 2);
    for (unsigned i = 0; i < 3; i++)
        sim_crash(sim, i); /* the power is cut */
    for (unsigned i = 0; i < 3; i++)
        sim_start(sim, i);
    story_run_for(sim, 3000);
    for (unsigned g = 0; g < 16; g++) {
        story_write_all(sim, g, 1);
        assert_int_equal(sim_machine_get(sim->slot[story_leader(sim, g)].machines[g], 0),
                         (1 * 31 + 1) * 31 + 1);
    }
    story_end(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_no_quorum),
        cmocka_unit_test(test_stop_hands_over),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_sixteen_groups),
        cmocka_unit_test(test_followers_hear_soon),
        cmocka_unit_test(test_followers_hear_soon_again),
        cmocka_unit_test(test_long_command),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_flushes_are_staggered),
        cmocka_unit_test(test_change_behind_full_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
