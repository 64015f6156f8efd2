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
#include "tests/sim/sim.h"

enum sim_bug sim_bug = SIM_BUG_NONE;
struct sim *sim_current; /* whose log may be full */

#define PENDING 1 /* no callback yet */

static struct sim *cluster(unsigned voters, unsigned slots, unsigned groups)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    assert_non_null(sim);
    sim->random.state = voters + slots;
    sim->voters = voters;
    sim->slots = slots;
    sim->groups = groups;
    sim->options = (struct group_options){
        .election_ms = 300, .heartbeat_ms = 60, .snapshot_entries = 20, .trailing = 2, .chunk = 16};
    sim->delay_min = 50000;
    sim->delay_max = SIM_MS;
    for (unsigned g = 0; g < groups; g++) {
        sim->command_at[g] = calloc(SIM_INDEXES, sizeof(uint64_t));
        sim->state_at[g] = calloc(SIM_INDEXES, sizeof(uint64_t));
        assert_true(sim->command_at[g] && sim->state_at[g]);
    }
    sim_cluster_new(sim);
    return sim;
}

static void end(struct sim *sim)
{
    assert_string_equal(sim->finding, "");
    sim->over = true;
    sim_cluster_free(sim);
    for (unsigned g = 0; g < sim->groups; g++) {
        free(sim->command_at[g]);
        free(sim->state_at[g]);
    }
    free(sim);
}

static void run_for(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->now + ms * SIM_MS;

    while (sim->queue.count && sim->queue.heap[0]->at <= until)
        sim_next(sim);
    sim->now = until;
}

static struct group *at(struct sim *sim, int slot, unsigned group)
{
    assert_true(slot >= 0);
    return node_group(sim->slot[slot].node, group);
}

static int leader(struct sim *sim, unsigned group)
{
    for (unsigned i = 0; i < 100 && sim_leader(sim, group) < 0; i++)
        run_for(sim, 50);
    return sim_leader(sim, group);
}

static void proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    *(int *)arg = status;
}

static void ended(void *arg, int status)
{
    *(int *)arg = status;
}

static void wait_for(struct sim *sim, const int *status)
{
    for (unsigned i = 0; i < 5000 && *status == PENDING; i++)
        run_for(sim, 1);
}

static int propose(struct sim *sim, int slot, unsigned group, int *status)
{
    struct sim_command command = {.kind = SIM_APPEND, .value = 1};

    return group_propose(at(sim, slot, group), &command, sizeof(command), proposed, status);
}

static void write_all(struct sim *sim, unsigned group, unsigned count)
{
    while (count--) {
        int status = PENDING;

        assert_int_equal(propose(sim, leader(sim, group), group, &status), 0);
        assert_int_equal(status, PENDING); /* never inside the call */
        wait_for(sim, &status);
        assert_int_equal(status, 0);
    }
}

static struct group_status status_of(struct sim *sim, int slot, unsigned group)
{
    struct group_status status;

    group_status(at(sim, slot, group), &status);
    return status;
}

static void test_write_and_read(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0), other = (first + 1) % 3, status = PENDING;

    write_all(sim, 0, 10);
    run_for(sim, 200);
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of(sim, i, 0).applied, status_of(sim, first, 0).applied);
    /* A follower says who leads, and serves reads. */
    assert_int_equal(propose(sim, other, 0, &status), CULVERT_ENOTLEADER);
    assert_int_equal(status_of(sim, other, 0).leader, sim->slot[first].id);
    assert_int_equal(group_read(at(sim, other, 0), ended, &status), 0);
    assert_int_equal(status, PENDING);
    wait_for(sim, &status);
    assert_int_equal(status, 0);
    end(sim);
}

/* Without a quorum nothing is acknowledged, and a leader that hears nobody stops being one. */
/* Lone writes, after which nothing else is sent: all have applied them long before a heartbeat. */
static void hear_soon(struct sim *sim, unsigned rounds)
{
    struct group_status first, other;
    int status;

    for (unsigned round = 0; round < rounds; round++) {
        status = PENDING;
        assert_int_equal(propose(sim, leader(sim, 0), 0, &status), 0);
        wait_for(sim, &status);
        assert_int_equal(status, 0);
        run_for(sim, 4);
        group_status(at(sim, leader(sim, 0), 0), &first);
        for (int i = 0; i < 3; i++) {
            group_status(at(sim, i, 0), &other);
            assert_int_equal(other.applied, first.applied);
        }
        run_for(sim, 37);
    }
}

static void test_followers_hear_soon(void **state)
{
    struct sim *sim = cluster(3, 3, 1);

    hear_soon(sim, 5);
    end(sim);
}

/* Also when one was away, and its heartbeats are due at other times than the other one's. */
static void test_followers_hear_soon_again(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0), away = (first + 1) % 3;

    for (int i = 0; i < 3; i++)
        sim->link[i][away].cut = sim->link[away][i].cut = true;
    for (unsigned i = 0; i < 20; i++) {
        write_all(sim, 0, 1);
        run_for(sim, 25);
    }
    for (int i = 0; i < 3; i++)
        sim->link[i][away].cut = sim->link[away][i].cut = false;
    write_all(sim, 0, 1);
    run_for(sim, 200);
    hear_soon(sim, 20);
    end(sim);
}

/* A command that takes longer than followers wait for a leader: nobody is thought to be gone. */
static void test_long_command(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0);
    uint64_t term = status_of(sim, first, 0).term;

    write_all(sim, 0, 1);
    for (unsigned i = 0; i < 5; i++) {
        sim->apply_ns = 700 * SIM_MS;
        write_all(sim, 0, 1);
        run_for(sim, 20);
        sim->apply_ns = 0;
        run_for(sim, 1000);
        assert_int_equal(leader(sim, 0), first);
        assert_int_equal(status_of(sim, first, 0).term, term);
    }
    end(sim);
}

static void slow(struct sim *sim, int slot, uint64_t ms)
{
    sim->slot[slot].slow_ns = ms * SIM_MS;
}

/* Proposals that come while others are on their way go together, once those are on the leader's
 * disk, or on a quorum's if the leader's is the slow one. */
static void test_batches(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0), status[12];
    uint64_t last;

    (void)state;
    write_all(sim, 0, 1);
    last = status_of(sim, first, 0).last;
    for (int i = 0; i < 3; i++)
        slow(sim, i, 100);
    for (unsigned i = 0; i < 12; i++) {
        status[i] = PENDING;
        assert_int_equal(propose(sim, first, 0, &status[i]), 0);
        run_for(sim, 2);
        assert_int_equal(status_of(sim, first, 0).last, last + 1);
    }
    wait_for(sim, &status[0]);
    run_for(sim, 1);
    assert_int_equal(status_of(sim, first, 0).last, last + 12);
    wait_for(sim, &status[11]);
    assert_int_equal(status[11], 0);
    for (int i = 0; i < 3; i++)
        slow(sim, i, i == first ? 1000 : 0);
    for (unsigned i = 0; i < 4; i++) {
        status[i] = PENDING;
        assert_int_equal(propose(sim, first, 0, &status[i]), 0);
        run_for(sim, 20);
        assert_int_equal(status[i], 0);
    }
    end(sim);
}

/* A change of the members goes behind the proposals that wait; if the log has no room for these, it
 * is refused. */
static void test_change_behind_full_log(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0), status[2] = {PENDING, PENDING}, changed = PENDING;
    uint64_t other = sim->slot[(first + 1) % 3].id;

    (void)state;
    write_all(sim, 0, 1);
    for (int i = 0; i < 3; i++)
        slow(sim, i, 100);
    assert_int_equal(propose(sim, first, 0, &status[0]), 0);
    run_for(sim, 2);
    assert_int_equal(propose(sim, first, 0, &status[1]), 0);
    sim_current = sim;
    sim->full_log = 1000;
    assert_int_equal(group_member_remove(at(sim, first, 0), other, ended, &changed), CULVERT_EBUSY);
    sim_current = NULL;
    wait_for(sim, &status[1]);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
    assert_int_equal(changed, PENDING);
    end(sim);
}

/* Nodes make what they have durable at different times, if no later than they have to. */
static void test_flushes_are_staggered(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    unsigned apart = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct group_status status[3];

        write_all(sim, 0, 1);
        for (int slot = 0; slot < 3; slot++) {
            status[slot] = status_of(sim, slot, 0);
            assert_true(status[slot].applied - status[slot].snapshot <= 22);
        }
        apart +=
            status[0].snapshot != status[1].snapshot || status[1].snapshot != status[2].snapshot;
    }
    assert_true(apart > 50);
    end(sim);
}

static void test_no_quorum(void **state)
{
    struct sim *sim = cluster(3, 3, 1);
    int first = leader(sim, 0), write = PENDING, read = PENDING;

    write_all(sim, 0, 1);
    for (int i = 0; i < 3; i++)
        if (i != first)
            sim->link[first][i].cut = sim->link[i][first].cut = true;
    assert_int_equal(propose(sim, first, 0, &write), 0);
    assert_int_equal(group_read(at(sim, first, 0), ended, &read), 0);
    run_for(sim, 1500);
    assert_int_equal(write, CULVERT_EUNKNOWN);
    assert_int_equal(read, CULVERT_ENOTLEADER);
    assert_int_not_equal(leader(sim, 0), first);
    end(sim);
}

static void test_stop_hands_over(void **state)
{
    struct sim *sim = cluster(3, 3, 4);

    run_for(sim, 2000);
    for (unsigned g = 0; g < 4; g++)
        write_all(sim, g, 3);
    sim_stop(sim, (unsigned)leader(sim, 0));
    run_for(sim, 30); /* much less than an election timeout */
    for (unsigned g = 0; g < 4; g++)
        assert_true(sim_leader(sim, g) >= 0);
    end(sim);
}

static void test_members(void **state)
{
    struct sim *sim = cluster(3, 4, 1);
    int first = leader(sim, 0), status = PENDING;
    struct group_member fourth = {.id = 4, .role = GROUP_STANDBY, .address = "n4"};

    write_all(sim, 0, 50); /* what the log no longer has comes as a snapshot */
    assert_int_equal(group_member_add(at(sim, first, 0), &fourth, ended, &status), 0);
    assert_int_equal(group_member_remove(at(sim, first, 0), 4, ended, &status), CULVERT_EBUSY);
    wait_for(sim, &status);
    assert_int_equal(status, 0);
    assert_int_equal(group_member_add(at(sim, first, 0), &fourth, ended, &status), CULVERT_EEXIST);
    status = PENDING;
    assert_int_equal(group_member_assign(at(sim, first, 0), 4, GROUP_VOTER, ended, &status), 0);
    wait_for(sim, &status);
    assert_int_equal(status, 0);
    run_for(sim, 200);
    assert_int_equal(status_of(sim, 3, 0).role, GROUP_VOTER);
    assert_int_equal(status_of(sim, 3, 0).applied, status_of(sim, first, 0).applied);
    assert_true(sim->counts[SIM_LOADS] > 0);
    /* The leader itself: it hands over, the next one removes it. */
    assert_int_equal(group_member_remove(at(sim, first, 0), sim->slot[first].id, ended, &status),
                     CULVERT_ENOTLEADER);
    run_for(sim, 200);
    assert_int_not_equal(leader(sim, 0), first);
    write_all(sim, 0, 1);
    status = PENDING;
    assert_int_equal(
        group_member_remove(at(sim, leader(sim, 0), 0), sim->slot[first].id, ended, &status), 0);
    wait_for(sim, &status);
    assert_int_equal(status, 0);
    write_all(sim, 0, 3);
    end(sim);
}

/* A leader that has not committed in its term may not know of a change that is. */
static void test_early_change(void **state)
{
    struct sim *sim = cluster(3, 4, 1);
    struct group_member fourth = {.id = 4, .role = GROUP_STANDBY, .address = "n4"};
    int first, status = PENDING;

    while (sim_leader(sim, 0) < 0)
        sim_next(sim);
    first = sim_leader(sim, 0);
    assert_int_equal(group_member_add(at(sim, first, 0), &fourth, ended, &status), CULVERT_EBUSY);
    run_for(sim, 100);
    assert_int_equal(group_member_add(at(sim, first, 0), &fourth, ended, &status), 0);
    wait_for(sim, &status);
    assert_int_equal(status, 0);
    end(sim);
}

/* A leader that was replaced and hasn't heard of it, and a follower that hasn't either and asks it
 * for a read: those who know of the new term must not confirm the old one. */
static void test_replaced_leader(void **state)
{
    struct sim *sim = cluster(5, 5, 1);
    int first = leader(sim, 0), next = (first + 1) % 5, late = (first + 2) % 5;
    int handed = PENDING, write = PENDING, read = PENDING;
    uint64_t before;

    write_all(sim, 0, 3);
    run_for(sim, 200);
    before = sim_machine_get(sim->slot[late].machines[0], 0);
    sim->link[next][first].cut = sim->link[next][late].cut = true;
    assert_int_equal(group_transfer(at(sim, first, 0), sim->slot[next].id, ended, &handed), 0);
    while (!status_of(sim, next, 0).leading)
        sim_next(sim);
    assert_int_equal(propose(sim, next, 0, &write), 0);
    while (write == PENDING)
        sim_next(sim);
    assert_int_equal(write, 0);
    assert_true(status_of(sim, first, 0).leading || handed == 0);
    assert_int_equal(status_of(sim, late, 0).leader, sim->slot[first].id);
    assert_int_equal(group_read(at(sim, late, 0), ended, &read), 0);
    wait_for(sim, &read);
    assert_true(read != 0 || sim_machine_get(sim->slot[late].machines[0], 0) != before);
    end(sim);
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
    run_for(sim, 20);
}

static int count_members(void *arg, const struct group_member *member)
{
    ++*(unsigned *)arg;
    return 0;
}

/* Two changes in one message; then another leader takes the second back, but not the first. */
static void test_change_taken_back(void **state)
{
    struct sim *sim = cluster(3, 1, 1);
    struct raft_buffer four = members_of(4), five = members_of(5);
    struct wal_entry changes[] = {
        {.term = 2, .type = MESSAGE_BARRIER, .data = "", .length = 0},
        {.term = 2, .type = MESSAGE_MEMBERS, .data = four.base, .length = four.len},
        {.term = 2, .type = MESSAGE_BARRIER, .data = "", .length = 0},
        {.term = 2, .type = MESSAGE_MEMBERS, .data = five.base, .length = five.len}};
    struct wal_entry other = {.term = 3, .type = MESSAGE_BARRIER, .data = "", .length = 0};
    unsigned count = 0;

    append(sim, 2, 2, 1, 1, changes, 4);
    group_members(at(sim, 0, 0), count_members, &count);
    assert_int_equal(count, 5);
    append(sim, 3, 3, 4, 2, &other, 1);
    count = 0;
    group_members(at(sim, 0, 0), count_members, &count);
    assert_int_equal(count, 4);
    raft_free(four.base);
    raft_free(five.base);
    end(sim);
}

static void test_bounds(void **state)
{
    static const uint8_t large[GROUP_COMMAND_MAX + 1];
    struct sim *sim = cluster(1, 1, 1);
    int first, status = PENDING, many[10];
    unsigned taken = 0;

    first = leader(sim, 0);
    assert_int_equal(group_propose(at(sim, first, 0), large, sizeof(large), proposed, &status),
                     CULVERT_EINVAL);
    sim_crash(sim, 0);
    sim->options.proposals_max = 4;
    sim_start(sim, 0);
    assert_int_equal(leader(sim, 0), 0);
    for (unsigned i = 0; i < 10; i++) {
        many[i] = PENDING;
        taken += !propose(sim, 0, 0, &many[i]);
    }
    assert_int_equal(taken, 4);
    assert_int_equal(propose(sim, 0, 0, &status), CULVERT_EFULL);
    run_for(sim, 100);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(many[i], 0);
    end(sim);
}

static void test_sixteen_groups(void **state)
{
    struct sim *sim = cluster(3, 3, 16);

    run_for(sim, 3000);
    for (unsigned g = 0; g < 16; g++)
        write_all(sim, g, 2);
    for (unsigned i = 0; i < 3; i++)
        sim_crash(sim, i); /* the power is cut */
    for (unsigned i = 0; i < 3; i++)
        sim_start(sim, i);
    run_for(sim, 3000);
    for (unsigned g = 0; g < 16; g++) {
        write_all(sim, g, 1);
        assert_int_equal(sim_machine_get(sim->slot[leader(sim, g)].machines[g], 0),
                         (1 * 31 + 1) * 31 + 1);
    }
    end(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_no_quorum),
        cmocka_unit_test(test_stop_hands_over),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_early_change),
        cmocka_unit_test(test_replaced_leader),
        cmocka_unit_test(test_change_taken_back),
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
