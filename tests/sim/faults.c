/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and what an operator does meanwhile. Each seed has its own mix. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"
#include "tests/sim/store.h"

enum fault {
    CRASH,
    CRASH_AT_WRITE,
    POWER_CUT,
    STOP,
    PARTITION,
    ONE_WAY,
    MEND,
    RECONNECT,
    DELAY,
    LOSS,
    SLOW_DISK,
    FULL_DISK,
    FULL_LOG,
    CLOCK,
    TRANSFER,
    MEMBERS,
    ROT,
    FAULTS
};

static uint64_t dice(struct sim *sim, uint64_t bound)
{
    return sim_random_below(&sim->random, bound);
}

static void crash(struct sim *sim, unsigned slot)
{
    if (!sim->slot[slot].env)
        return;
    sim_crash(sim, slot);
    sim_start_in(sim, slot, sim_outage(sim));
}

static void partition(struct sim *sim, bool one_way)
{
    unsigned side = 1 + (unsigned)dice(sim, (1u << sim->slots) - 2);

    sim_trace(sim, -1, "%s: %x", one_way ? "cut one way" : "partition", side);
    for (unsigned a = 0; a < sim->slots; a++)
        for (unsigned b = 0; b < sim->slots; b++)
            if ((side >> a & 1) && !(side >> b & 1)) {
                sim->link[a][b].cut = true;
                if (!one_way)
                    sim->link[b][a].cut = true;
            }
}

static void mend(struct sim *sim)
{
    sim_trace(sim, -1, "the network is mended");
    for (unsigned a = 0; a < sim->slots; a++)
        for (unsigned b = 0; b < sim->slots; b++) {
            if (sim->link[a][b].cut && a != b)
                sim_reset_link(sim, a, b);
            sim->link[a][b].cut = false;
        }
}

/* ---- members ---- */

struct view {
    uint64_t ids[GROUP_MEMBERS_MAX];
    enum group_role roles[GROUP_MEMBERS_MAX];
    unsigned count, voters;
};

static int collect(void *arg, const struct group_member *member)
{
    struct view *view = arg;

    view->ids[view->count] = member->id;
    view->roles[view->count++] = member->role;
    view->voters += member->role == GROUP_VOTER;
    return 0;
}

static struct group *group_at(struct sim *sim, unsigned slot, unsigned group)
{
    return node_group(sim->slot[slot].node, group);
}

static int role_in(const struct view *view, uint64_t id)
{
    for (unsigned i = 0; i < view->count; i++)
        if (view->ids[i] == id)
            return (int)view->roles[i];
    return -1;
}

static void changed(void *arg, int status)
{
    struct sim *sim = arg;

    if (!status)
        sim->counts[SIM_CHANGES]++;
    sim_trace(sim, -1, "change of members, or transfer: %s",
              status ? culvert_strerror(status) : "done");
}

/* One change towards the slot having a role in the group. */
static int change(struct sim *sim, unsigned leader, unsigned group, unsigned slot, int now,
                  int wanted)
{
    struct group *at = group_at(sim, leader, group);
    const struct sim_slot *other = &sim->slot[slot];
    struct group_member member = {
        .id = other->id, .address = other->address, .role = (enum group_role)wanted};

    sim_trace(sim, (int)leader, "group %u: node %u is to be %s", group, (unsigned)other->id,
              wanted < 0 ? "removed" : (const char *[]){"standby", "voter", "spare"}[wanted]);
    if (wanted < 0)
        return group_member_remove(at, other->id, changed, sim);
    if (now < 0) {
        if (wanted == GROUP_VOTER)
            member.role = GROUP_STANDBY;
        return group_member_add(at, &member, changed, sim);
    }
    return group_member_assign(at, other->id, (enum group_role)wanted, changed, sim);
}

static void change_members(struct sim *sim)
{
    unsigned group = (unsigned)dice(sim, sim->groups), slot = (unsigned)dice(sim, sim->slots);
    int leader = sim_leader(sim, group), now, wanted;
    struct view view = {0};

    if (leader < 0 || sim->dead_id) {
        sim_administer(sim);
        return;
    }
    group_members(group_at(sim, (unsigned)leader, group), collect, &view);
    now = role_in(&view, sim->slot[slot].id);
    do
        wanted = (int)dice(sim, 4) - 1;
    while (wanted == now);
    if (now == GROUP_VOTER && view.voters <= sim->voters && dice(sim, 3))
        return;
    change(sim, (unsigned)leader, group, slot, now, wanted);
}

static bool dead_member(struct sim *sim, unsigned group, struct view *view, int *leader)
{
    *view = (struct view){0};
    *leader = sim_leader(sim, group);
    if (*leader < 0)
        return sim->dead_id != 0;
    group_members(group_at(sim, (unsigned)*leader, group), collect, view);
    return sim->dead_id && role_in(view, sim->dead_id) >= 0;
}

bool sim_administer(struct sim *sim)
{
    bool busy = false;

    for (unsigned g = 0; g < sim->groups; g++) {
        struct view view;
        int leader;

        if (!dead_member(sim, g, &view, &leader))
            continue;
        busy = true;
        if (leader < 0)
            continue;
        sim_trace(sim, leader, "group %u: node %u is dead, to be removed", g,
                  (unsigned)sim->dead_id);
        group_member_remove(group_at(sim, (unsigned)leader, g), sim->dead_id, changed, sim);
    }
    if (!busy)
        sim->dead_id = 0;
    return busy;
}

/* All are up and of one mind about the members, and the slot can be spared for good. */
static bool can_lose(struct sim *sim, unsigned slot)
{
    for (unsigned g = 0; g < sim->groups; g++) {
        struct view first = {0};

        for (unsigned i = 0; i < sim->slots; i++) {
            struct view view = {0};

            if (!sim->slot[i].env || sim->slot[i].failed)
                return false;
            group_members(group_at(sim, i, g), collect, &view);
            if (!view.count || role_in(&view, sim->slot[i].id) < 0)
                continue;
            if (!first.count)
                first = view;
            if (memcmp(&first, &view, sizeof(view)) != 0)
                return false;
        }
        if (first.voters < 3 && role_in(&first, sim->slot[slot].id) == GROUP_VOTER)
            return false;
    }
    return !sim->dead_id;
}

struct oldest {
    char name[64];
    unsigned files;
};

/* The oldest of several: damage to the log's very end can't be told from a torn write. */
static int find_oldest(void *arg, const char *name)
{
    struct oldest *oldest = arg;

    oldest->files++;
    if (!oldest->name[0] || strcmp(name, oldest->name) < 0)
        snprintf(oldest->name, sizeof(oldest->name), "%s", name);
    return 0;
}

static void rot(struct sim *sim, unsigned slot)
{
    struct oldest oldest = {0};
    bool done = false;

    if (!can_lose(sim, slot))
        return;
    sim_crash(sim, slot);
    sim_disk_list(sim->slot[slot].disk, find_oldest, &oldest);
    if (oldest.files > 2)
        for (unsigned i = 0; i < 1 + dice(sim, 20); i++)
            done |= sim_disk_rot(sim->slot[slot].disk, oldest.name, dice(sim, 8192),
                                 (uint8_t)(1 + dice(sim, 255)));
    sim_trace(sim, (int)slot, "bits rot in %s", done ? oldest.name : "nothing");
    sim->slot[slot].rotten = done;
    sim_start(sim, slot);
}

/* ---- the mix ---- */

static void inject(struct sim *sim, enum fault fault)
{
    unsigned slot = (unsigned)dice(sim, sim->slots), other = (unsigned)dice(sim, sim->slots);
    unsigned group = (unsigned)dice(sim, sim->groups);
    int leader = sim_leader(sim, group);

    switch (fault) {
    case CRASH:
        crash(sim, leader >= 0 && dice(sim, 2) ? (unsigned)leader : slot);
        break;
    case CRASH_AT_WRITE:
        sim->slot[leader >= 0 && dice(sim, 2) ? (unsigned)leader : slot].crash_at =
            1 + (unsigned)dice(sim, 20);
        break;
    case POWER_CUT:
        for (unsigned i = 0; i < sim->slots; i++)
            crash(sim, i);
        break;
    case STOP:
        sim_stop(sim, slot);
        sim_start_in(sim, slot, 1000 * SIM_MS);
        break;
    case PARTITION:
    case ONE_WAY:
        if (sim->slots > 1)
            partition(sim, fault == ONE_WAY);
        break;
    case MEND:
        mend(sim);
        break;
    case RECONNECT:
        if (slot != other)
            sim_reset_link(sim, slot, other);
        break;
    case DELAY:
        sim->delay_max = sim->delay_min + dice(sim, (dice(sim, 4) ? 10 : 300) * SIM_MS);
        break;
    case LOSS:
        sim->loss = dice(sim, 2) ? 0 : (unsigned)dice(sim, 200);
        sim->duplicate = (unsigned)dice(sim, 50);
        break;
    case SLOW_DISK:
        sim->slot[slot].slow_ns = dice(sim, 2) ? 0 : dice(sim, 400 * SIM_MS);
        break;
    case FULL_DISK:
        sim_disk_faults(sim->slot[slot].disk)->capacity = 1 + dice(sim, 400000);
        sim->slot[slot].filled = true;
        if (sim->store && dice(sim, 2))
            sim_store_full(sim, slot);
        break;
    case FULL_LOG:
        sim->full_log = dice(sim, 2) ? 0 : (unsigned)dice(sim, 200);
        break;
    case CLOCK:
        sim->slot[slot].wall_offset += (int64_t)dice(sim, 20000000) - 10000000;
        break;
    case TRANSFER:
        if (leader >= 0)
            group_transfer(group_at(sim, (unsigned)leader, group), 0, changed, sim);
        break;
    case MEMBERS:
        change_members(sim);
        break;
    default:
        rot(sim, slot);
        break;
    }
}

static void strike(void *arg)
{
    struct sim *sim = arg;
    unsigned at = (unsigned)dice(sim, FAULTS);

    if (sim->healing)
        return;
    while (!(sim->faults >> at & 1))
        at = (at + 1) % FAULTS;
    inject(sim, (enum fault)at);
    sim_at(sim, sim->now + dice(sim, sim->pace), strike, sim);
}

void sim_faults_start(struct sim *sim)
{
    sim->faults = (unsigned)sim_random(&sim->random) & ((1u << FAULTS) - 1);
    sim->faults |= 1u << MEND;
    if (!dice(sim, 20))
        sim->faults = 0; /* fair weather */
    if (dice(sim, 3))
        sim->faults &= ~(1u << POWER_CUT);
    sim->pace = (20 + dice(sim, 800)) * SIM_MS;
    sim_trace(sim, -1, "faults %x every %u ms", sim->faults, (unsigned)(sim->pace / SIM_MS));
    if (sim->faults)
        sim_at(sim, sim->now + 500 * SIM_MS, strike, sim);
}

void sim_heal(struct sim *sim)
{
    sim->healing = true;
    sim_trace(sim, -1, "everything is mended");
    mend(sim);
    sim->loss = sim->duplicate = sim->full_log = 0;
    if (sim->store)
        sim_store_heal(sim);
    sim->delay_max = sim->delay_min + SIM_MS;
    for (unsigned i = 0; i < sim->slots; i++) {
        sim->slot[i].slow_ns = 0;
        sim->slot[i].crash_at = 0;
        sim_disk_faults(sim->slot[i].disk)->capacity = 0;
        if (sim->slot[i].failed)
            continue; /* comes back by itself */
        sim_start_in(sim, i, 10 * SIM_MS);
    }
}
