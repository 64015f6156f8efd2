/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum sim_bug sim_bug = SIM_BUG_NONE;
struct sim *sim_current; /* whose log may be full */

struct sim *story_cluster(unsigned voters, unsigned slots, unsigned groups)
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

void story_end(struct sim *sim)
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

void story_run_for(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->now + ms * SIM_MS;

    while (sim->queue.count && sim->queue.heap[0]->at <= until)
        sim_next(sim);
    sim->now = until;
}

struct group *story_at(struct sim *sim, int slot, unsigned group)
{
    assert_true(slot >= 0);
    return node_group(sim->slot[slot].node, group);
}

int story_leader(struct sim *sim, unsigned group)
{
    for (unsigned i = 0; i < 100 && sim_leader(sim, group) < 0; i++)
        story_run_for(sim, 50);
    return sim_leader(sim, group);
}

void story_proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    *(int *)arg = status;
}

void story_ended(void *arg, int status)
{
    *(int *)arg = status;
}

void story_wait_for(struct sim *sim, const int *status)
{
    for (unsigned i = 0; i < 5000 && *status == STORY_PENDING; i++)
        story_run_for(sim, 1);
}

int story_propose(struct sim *sim, int slot, unsigned group, int *status)
{
    struct sim_command command = {.kind = SIM_APPEND, .value = 1};

    return group_propose(story_at(sim, slot, group), &command, sizeof(command), story_proposed,
                         status);
}

void story_write_all(struct sim *sim, unsigned group, unsigned count)
{
    while (count--) {
        int status = STORY_PENDING;

        assert_int_equal(story_propose(sim, story_leader(sim, group), group, &status), 0);
        assert_int_equal(status, STORY_PENDING); /* never inside the call */
        story_wait_for(sim, &status);
        assert_int_equal(status, 0);
    }
}

struct group_status story_status_of(struct sim *sim, int slot, unsigned group)
{
    struct group_status status;

    group_status(story_at(sim, slot, group), &status);
    return status;
}
