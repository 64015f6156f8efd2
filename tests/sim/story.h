/* SPDX-License-Identifier: Apache-2.0 */
/* What the stories of a few nodes are told with: without faults, on the simulator's machines. */
#ifndef CULVERT_SIM_STORY_H
#define CULVERT_SIM_STORY_H

#include "tests/sim/sim.h"

#define STORY_PENDING 1 /* a status before the callback */

/* `slots` nodes of which the first are voters, each in all groups; for story_end(). */
struct sim *story_cluster(unsigned voters, unsigned slots, unsigned groups);
/* Frees it; it fails the test when something was found. */
void story_end(struct sim *sim);

/* Lets so much of the simulated time pass. */
void story_run_for(struct sim *sim, uint64_t ms);
/* A node's member of a group. */
struct group *story_at(struct sim *sim, int slot, unsigned group);
/* Waits for a leader; its slot, or -1. */
int story_leader(struct sim *sim, unsigned group);
/* What that member says of itself. */
struct group_status story_status_of(struct sim *sim, int slot, unsigned group);

/* Callbacks whose argument is an int, which gets the status. */
void story_proposed(void *arg, uint64_t index, int status, const struct buffer *result);
void story_ended(void *arg, int status);
/* Until that is no longer STORY_PENDING, at most 5 s. */
void story_wait_for(struct sim *sim, const int *status);

/* Appends a 1 at that node; what group_propose() returns. */
int story_propose(struct sim *sim, int slot, unsigned group, int *status);
/* The same `count` times at the leader, each acknowledged. */
void story_write_all(struct sim *sim, unsigned group, unsigned count);

#endif
