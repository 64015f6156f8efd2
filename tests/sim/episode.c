/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/store.h"

#define TROUBLE_MS 8000u  /* how long there are faults, at most */
#define HEALING_MS 30000u /* and how long it may take to be well after */
#define EVENTS_MAX 5000000u

struct sim *sim_current;

static void setup(struct sim *sim)
{
    static const unsigned voters[] = {1, 1, 3, 3, 3, 3, 3, 3, 5, 5, 2, 2, 4, 7};
    static const unsigned groups[] = {1, 1, 2, 2, 3, 16};
    static const unsigned entries[] = {4, 10, 10, 40, 40, 1000};
    struct sim_random *random = &sim->random;

    sim->voters = voters[sim_random_below(random, sizeof(voters) / sizeof(voters[0]))];
    sim->slots = sim->voters + (unsigned)sim_random_below(random, 4);
    if (sim->slots > SIM_SLOTS)
        sim->slots = SIM_SLOTS;
    sim->groups = groups[sim_random_below(random, sizeof(groups) / sizeof(groups[0]))];
    sim->clients = 1 + (unsigned)sim_random_below(random, SIM_CLIENTS);
    sim->options = (struct group_options){
        .election_ms = 300,
        .heartbeat_ms = 60,
        .snapshot_entries = entries[sim_random_below(random, sizeof(entries) / sizeof(entries[0]))],
        .trailing = 1 + (unsigned)sim_random_below(random, 20),
        .chunk = 8 + sim_random_below(random, 40),
    };
    if (sim_store_only || sim->seed % 4 == 3) {
        sim->groups = 1;
        sim->options.chunk = 64 + sim_random_below(random, 1000);
        sim_store_new(sim);
    }
    sim->delay_min = 50000;
    sim->delay_max = SIM_MS;
    sim->duplicate = sim_random_percent(random, 25) ? (unsigned)sim_random_below(random, 100) : 0;
    sim->ops = calloc(SIM_OPS, sizeof(*sim->ops));
    for (unsigned g = 0; g < sim->groups; g++) {
        sim->command_at[g] = calloc(SIM_INDEXES, sizeof(uint64_t));
        sim->state_at[g] = calloc(SIM_INDEXES, sizeof(uint64_t));
        if (!sim->command_at[g] || !sim->state_at[g])
            abort();
    }
    if (!sim->ops)
        abort();
}

static void run_until(struct sim *sim, uint64_t until)
{
    while (!sim->finding[0] && sim->queue.count && sim->queue.heap[0]->at <= until) {
        sim_next(sim);
        if (sim->events > EVENTS_MAX)
            sim_finding(sim, "no end of events");
    }
    if (sim->now < until)
        sim->now = until;
}

struct want {
    uint64_t id;
    bool replicated;
};

static int is_wanted(void *arg, const struct group_member *member)
{
    struct want *want = arg;

    if (member->id == want->id)
        want->replicated = member->role != GROUP_SPARE;
    return 0;
}

static const char *describe(const struct group_status *status, char text[48])
{
    snprintf(text, 48, "applied %lu of %lu-%lu (%lu)", (unsigned long)status->applied,
             (unsigned long)status->first, (unsigned long)status->last,
             (unsigned long)status->snapshot);
    return text;
}

/* Every node that a group's leader counts as a member has applied as much as the leader. Says why
 * not in the finding's words. */
static bool level(struct sim *sim, unsigned group, char why[128])
{
    int leader = sim_leader(sim, group);
    struct group_status first, other;
    char one[48], two[48];

    snprintf(why, 128, "no leader");
    if (leader < 0)
        return false;
    group_status(node_group(sim->slot[leader].node, group), &first);
    for (unsigned i = 0; i < sim->slots; i++) {
        struct want want = {.id = sim->slot[i].id};

        if (!sim->slot[i].env || sim->slot[i].failed) {
            snprintf(why, 128, "node %u is down", (unsigned)sim->slot[i].id);
            return false;
        }
        group_members(node_group(sim->slot[leader].node, group), is_wanted, &want);
        group_status(node_group(sim->slot[i].node, group), &other);
        if (want.replicated && other.applied != first.applied) {
            snprintf(why, 128, "node %u %s%s, leader %u %s", (unsigned)sim->slot[i].id,
                     describe(&other, one), other.loading ? " loading" : "",
                     (unsigned)sim->slot[leader].id, describe(&first, two));
            return false;
        }
    }
    return true;
}

/* The last operations of a history: a write and a read of each key, at a leader. */
static bool last_words(struct sim *sim, unsigned group)
{
    unsigned client = sim->clients; /* one of its own */

    for (unsigned key = 0; key < SIM_KEYS; key++)
        for (unsigned kind = 0; kind < 2; kind++) {
            struct sim_command command;
            unsigned at = sim->ops_count;
            uint64_t until = sim->now + 2000 * SIM_MS;
            int leader = sim_leader(sim, group);

            memset(&command, 0, sizeof(command));
            command.id = ++sim->order;
            command.key = (uint8_t)key;
            command.kind = kind ? SIM_GET : SIM_PUT;
            command.value = command.id;
            if (leader < 0 || !sim_operate(sim, client, leader, group, &command))
                return false;
            while (!sim->ops[at].ended && sim->now < until && !sim->finding[0])
                run_until(sim, sim->now + 5 * SIM_MS);
            if (!sim->ops[at].back)
                return false;
        }
    return true;
}

static void recover(struct sim *sim)
{
    uint64_t deadline;
    unsigned well = 0;
    bool said = false;
    char why[128] = "";

    sim_heal(sim);
    deadline = sim->now + HEALING_MS * SIM_MS;
    while (!sim->finding[0] && well < sim->groups) {
        run_until(sim, sim->now + 100 * SIM_MS);
        if (sim->now > deadline) {
            sim_finding(sim, "not well %u s after everything was mended: group %u: %s",
                        HEALING_MS / 1000, well, said ? why : "it takes no commands");
            return;
        }
        if (sim->now + (HEALING_MS - 2000) * SIM_MS > deadline)
            sim->clients_stop = true;
        if (sim_administer(sim) || !sim->clients_stop)
            continue;
        said = said || last_words(sim, well);
        if (said && level(sim, well, why) &&
            (!sim->store || sim_store_level(sim, sim_leader(sim, 0), why))) {
            well++;
            said = false;
        }
    }
}

static void check_leaders(void *arg)
{
    struct sim *sim = arg;

    for (unsigned i = 0; i < sim->slots; i++)
        sim_check_leaders(sim, i);
    if (sim->store)
        sim_store_leases_check(sim);
    if (!sim->over)
        sim_at(sim, sim->now + 20 * SIM_MS, check_leaders, sim);
}

static void release(struct sim *sim)
{
    sim->over = sim->clients_stop = sim->healing = true;
    sim_cluster_free(sim);
    if (sim->store)
        sim_store_free(sim);
    for (unsigned g = 0; g < sim->groups; g++) {
        free(sim->command_at[g]);
        free(sim->state_at[g]);
    }
    free(sim->client);
    free(sim->ops);
}

bool sim_run(struct sim *sim, uint64_t seed, bool verbose)
{
    memset(sim, 0, sizeof(*sim));
    sim->seed = seed;
    sim->verbose = verbose;
    sim->random.state = seed;
    sim_current = sim;
    sim->trace_hash = 0xcbf29ce484222325u;
    sim_random(&sim->random);
    setup(sim);
    sim_trace(sim, -1, "seed %lu: %u nodes, %u voters, %u groups, %u clients%s",
              (unsigned long)seed, sim->slots, sim->voters, sim->groups, sim->clients,
              sim->store ? ", the store" : "");
    sim_cluster_new(sim);
    sim_clients_start(sim);
    if (sim->store)
        sim_store_start(sim);
    sim_at(sim, 0, check_leaders, sim);
    sim_faults_start(sim);
    run_until(sim, (2000 + sim_random_below(&sim->random, TROUBLE_MS - 2000)) * SIM_MS);
    if (!sim->finding[0])
        recover(sim);
    if (!sim->finding[0])
        sim_check_history(sim);
    if (!sim->finding[0] && sim->store)
        sim_store_check(sim);
    sim_trace(sim, -1, "end: %u done, %u unknown, %u reads, %u crashes, %u loads, %u changes",
              sim->counts[SIM_ACKED], sim->counts[SIM_UNKNOWN], sim->counts[SIM_READS],
              sim->counts[SIM_CRASHES], sim->counts[SIM_LOADS], sim->counts[SIM_CHANGES]);
    release(sim);
    return !sim->finding[0];
}
