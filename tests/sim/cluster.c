/* SPDX-License-Identifier: Apache-2.0 */
/* The machines of the cluster: started, crashed, stopped, rebuilt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"

#define SEGMENT 8192u /* bytes of a log's file */

struct of_slot {
    struct sim *sim;
    unsigned slot;
    struct env *life;
};

static void later(struct sim *sim, unsigned slot, uint64_t wait, void (*fn)(void *arg))
{
    struct of_slot *of = malloc(sizeof(*of));

    if (!of)
        abort();
    *of = (struct of_slot){.sim = sim, .slot = slot, .life = sim->slot[slot].env};
    sim_at(sim, sim->now + wait, fn, of);
}

static void start_later(void *arg)
{
    struct of_slot of = *(struct of_slot *)arg;

    free(arg);
    if (!of.sim->over)
        sim_start(of.sim, of.slot);
}

void sim_start_in(struct sim *sim, unsigned slot, uint64_t wait)
{
    later(sim, slot, wait, start_later);
}

uint64_t sim_outage(struct sim *sim)
{
    return sim_random_below(&sim->random,
                            (sim_random_percent(&sim->random, 50) ? 20 : 3000) * SIM_MS);
}

static void crash_later(void *arg)
{
    struct of_slot of = *(struct of_slot *)arg;

    free(arg);
    if (of.sim->over || !of.life || of.sim->slot[of.slot].env != of.life)
        return;
    sim_crash(of.sim, of.slot);
    sim_start_in(of.sim, of.slot, sim_outage(of.sim));
}

/* In an event to come: the write has begun, and messages have left. */
void sim_wrote(struct sim *sim, unsigned slot)
{
    if (!sim->slot[slot].crash_at || --sim->slot[slot].crash_at)
        return;
    later(sim, slot,
          sim_random_percent(&sim->random, 60) ? 0 : sim_random_below(&sim->random, 2 * SIM_MS),
          crash_later);
}

int sim_slot_of(const struct sim *sim, uint64_t id)
{
    for (unsigned i = 0; i < sim->slots; i++)
        if (sim->slot[i].id == id)
            return (int)i;
    return -1;
}

static void restart_failed(void *arg)
{
    struct of_slot of = *(struct of_slot *)arg;

    free(arg);
    if (of.sim->slot[of.slot].env != of.life)
        return;
    if (of.life)
        sim_crash(of.sim, of.slot);
    sim_disk_faults(of.sim->slot[of.slot].disk)->capacity = 0;
    sim_start(of.sim, of.slot);
}

static void failed(void *arg, int error, const char *problem)
{
    struct sim_slot *slot = arg;
    struct sim *sim = slot->sim;
    unsigned i = (unsigned)(slot - sim->slot);

    sim_trace(sim, (int)i, "fails: %s (%s)", problem, culvert_strerror(error));
    slot->failed = true;
    if (sim->tolerant)
        return;
    if (!((slot->filled && (error == CULVERT_ENOSPC || error == CULVERT_EIO)) ||
          (slot->rotten && error == CULVERT_ECORRUPT)))
        sim_finding(sim, "node %u failed: %s", (unsigned)slot->id, problem);
    later(sim, i, 300 * SIM_MS, restart_failed);
}

/* The log was found damaged: the machine comes back empty, as another node. */
static void rebuild(struct sim *sim, unsigned i, const char *problem)
{
    struct sim_slot *slot = &sim->slot[i];

    sim_trace(sim, (int)i, "refused: %s; to be rebuilt", problem ? problem : "damaged");
    if (!slot->rotten) {
        sim_finding(sim, "node %u refuses a log that nothing has damaged: %s", (unsigned)slot->id,
                    problem ? problem : "group and machine");
        return;
    }
    sim->counts[SIM_REBUILDS]++;
    sim->dead_id = slot->id;
    if (sim->old_disks_count == sizeof(sim->old_disks) / sizeof(sim->old_disks[0]))
        abort();
    sim->old_disks[sim->old_disks_count++] = slot->disk; /* the log may still close its files */
    slot->disk = sim_disk_new();
    memset(slot->durable, 0, sizeof(slot->durable));
    if (sim->nodes)
        sim->nodes->wipe(sim, i);
    slot->rotten = false;
    slot->lives++;
    slot->id = 100 * slot->lives + i + 1;
    snprintf(slot->address, sizeof(slot->address), "n%u", (unsigned)slot->id);
    sim_start(sim, i);
}

static void bury(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];

    if (sim->graves_count == sizeof(sim->graves) / sizeof(sim->graves[0]))
        abort();
    sim->graves[sim->graves_count++] = slot->env;
    sim_env_kill(slot->env);
    slot->env = NULL;
    node_close(slot->node);
    slot->node = NULL;
    if (sim->nodes)
        sim->nodes->close(sim, i);
    for (unsigned g = 0; g < SIM_GROUPS; g++) {
        sim_machine_free(slot->machines[g]);
        slot->machines[g] = NULL;
    }
    slot->stopping = slot->failed = false;
}

static int open_groups(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];
    struct group_member members[SIM_SLOTS];
    char addresses[SIM_SLOTS][16];
    bool first = i < sim->voters && !slot->lives;
    int error = 0;

    for (unsigned j = 0; j < sim->voters; j++) {
        snprintf(addresses[j], sizeof(addresses[j]), "n%u", j + 1);
        members[j] =
            (struct group_member){.id = j + 1, .role = GROUP_VOTER, .address = addresses[j]};
    }
    for (unsigned g = 0; g < sim->groups && !error; g++) {
        struct machine *machine;

        if (sim->nodes)
            machine = sim->nodes->open(sim, i, slot->env);
        else
            machine = slot->machines[g] = sim_machine_new(sim, i, g, slot->env, &slot->durable[g]);
        error = node_group_open(slot->node, g, machine, &sim->options, first ? members : NULL,
                                first ? sim->voters : 0, NULL);
    }
    if (!error && sim->nodes)
        sim->nodes->serve(sim, i);
    return error;
}

void sim_start(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];
    struct node_options options = {.id = slot->id,
                                   .address = slot->address,
                                   .wal.segment = SEGMENT,
                                   .failed = failed,
                                   .arg = slot};
    char *problem = NULL;
    int error;

    if (slot->env || sim->finding[0])
        return;
    slot->filled = sim_disk_faults(slot->disk)->capacity;
    slot->env = sim_env_new(sim, i);
    sim->starting = true;
    error = node_open(&slot->node, slot->env, &options, &problem);
    if (!error)
        error = open_groups(sim, i);
    sim->starting = false;
    if (error) {
        bury(sim, i);
        if (error == CULVERT_ECORRUPT)
            rebuild(sim, i, problem);
        else if (sim_disk_faults(slot->disk)->capacity)
            later(sim, i, 300 * SIM_MS, restart_failed);
        else
            sim_finding(sim, "node %u doesn't start: %s: %s", (unsigned)slot->id,
                        culvert_strerror(error), problem ? problem : "");
    } else {
        sim_trace(sim, (int)i, "starts");
        for (unsigned j = 0; sim->nodes && j < sim->slots; j++)
            if (j != i && sim->slot[j].env)
                sim_reset_link(sim, i, j);
    }
    free(problem);
}

void sim_crash(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];

    if (!slot->env)
        return;
    sim_trace(sim, (int)i, "crashes");
    sim->counts[SIM_CRASHES]++;
    slot->crash_at = 0;
    for (unsigned j = 0; j < sim->slots; j++) {
        sim->link[i][j].connection++;
        sim->link[j][i].connection++;
    }
    sim_disk_crash(slot->disk, &sim->random);
    bury(sim, i);
    for (unsigned j = 0; sim->nodes && j < sim->slots; j++) /* a power cut is not seen at once */
        if (sim->slot[j].env && sim_random_percent(&sim->random, 50))
            sim_env_connected(sim->slot[j].env, slot->id, false);
}

static void stop_done(void *arg)
{
    struct of_slot of = *(struct of_slot *)arg;

    free(arg);
    if (of.sim->slot[of.slot].env == of.life)
        sim_crash(of.sim, of.slot);
}

static void stopped(void *arg)
{
    struct sim_slot *slot = arg;

    later(slot->sim, (unsigned)(slot - slot->sim->slot), 0, stop_done);
}

void sim_stop(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];

    if (!slot->env || slot->stopping || slot->failed)
        return;
    sim_trace(sim, (int)i, "stops in good order");
    slot->stopping = true;
    node_stop(slot->node, stopped, slot);
}

int sim_leader(const struct sim *sim, unsigned group)
{
    uint64_t term = 0;
    int leader = -1;

    for (unsigned i = 0; i < sim->slots; i++) {
        struct group_status status;

        if (!sim->slot[i].env || sim->slot[i].failed)
            continue;
        group_status(node_group(sim->slot[i].node, group), &status);
        if (status.leading && status.term > term) {
            term = status.term;
            leader = (int)i;
        }
    }
    return leader;
}

void sim_check_leaders(struct sim *sim, unsigned i)
{
    struct sim_slot *slot = &sim->slot[i];

    for (unsigned g = 0; slot->env && g < sim->groups; g++) {
        struct group_status status;

        group_status(node_group(slot->node, g), &status);
        if (!status.leading || status.term >= SIM_TERMS)
            continue;
        if (!sim->leader_of[g][status.term]) {
            sim->leader_of[g][status.term] = slot->id;
            sim_trace(sim, (int)i, "leads group %u in term %u", g, (unsigned)status.term);
        } else if (sim->leader_of[g][status.term] != slot->id) {
            sim_finding(sim, "group %u: nodes %u and %u lead in term %u", g,
                        (unsigned)sim->leader_of[g][status.term], (unsigned)slot->id,
                        (unsigned)status.term);
        }
    }
}

void sim_cluster_new(struct sim *sim)
{
    for (unsigned i = 0; i < sim->slots; i++) {
        struct sim_slot *slot = &sim->slot[i];

        slot->sim = sim;
        slot->id = i + 1;
        snprintf(slot->address, sizeof(slot->address), "n%u", i + 1);
        slot->disk = sim_disk_new();
        if (!slot->disk)
            abort();
        sim_disk_faults(slot->disk)->lost = true;
        sim_disk_faults(slot->disk)->torn = true;
    }
    for (unsigned i = 0; i < sim->slots; i++)
        sim_start(sim, i);
}

/* The events go first: some hold what lies in the nodes. */
void sim_cluster_free(struct sim *sim)
{
    for (unsigned i = 0; i < sim->slots; i++)
        if (sim->slot[i].env)
            bury(sim, i);
    while (sim_next(sim)) /* all are of dead environments, or free what they hold */
        continue;
    sim_queue_free(sim);
    for (unsigned i = 0; i < sim->slots; i++)
        sim_disk_free(sim->slot[i].disk);
    for (unsigned i = 0; i < sim->old_disks_count; i++)
        sim_disk_free(sim->old_disks[i]);
    for (unsigned i = 0; i < sim->graves_count; i++)
        sim_env_free(sim->graves[i]);
}
