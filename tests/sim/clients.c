/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: each does one operation after another, and gives up waiting after a while; what it gave
 * up may yet have happened. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"
#include "tests/sim/store.h"

#define PATIENCE (1500 * SIM_MS)

struct client {
    struct sim *sim;
    unsigned number;
    struct sim_op *op; /* under way */
    uint64_t seen[SIM_GROUPS][SIM_KEYS];
    struct sim_event *wake;
};

static void act(void *arg);

static void wake_in(struct client *client, uint64_t wait)
{
    if (client->wake)
        client->wake->fn = NULL;
    client->wake = sim_at(client->sim, client->sim->now + wait, act, client);
}

static struct client *client_of(const struct sim_op *op)
{
    return op->client < op->sim->clients ? &op->sim->client[op->client] : NULL;
}

void sim_op_ended(struct sim_op *op, int status)
{
    struct client *client = client_of(op);
    struct sim *sim = op->sim;

    op->ended = true;
    if (!status) {
        op->back = ++sim->order;
        sim->counts[op->command.kind == SIM_GET ? SIM_READS : SIM_ACKED]++;
    } else if (op->command.kind == SIM_GET || status == CULVERT_ENOTLEADER ||
               status == CULVERT_EFULL) {
        op->dropped = true;
    } else {
        sim->counts[SIM_UNKNOWN]++;
    }
    sim_trace(sim, op->slot, "client %u: %s group %u key %u: %s, %lx", op->client,
              (const char *[]){"get", "put", "cas", "append"}[op->command.kind], op->group,
              op->command.key, status ? culvert_strerror(status) : "done",
              (unsigned long)op->result);
    if (client && client->op == op) {
        client->op = NULL;
        if (!status)
            client->seen[op->group][op->command.key] = sim_command_apply(&op->command, op->result);
        wake_in(client, (1 + sim_random_below(&sim->random, 40)) * SIM_MS);
    }
}

static void proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct sim_op *op = arg;

    if (!status && result->length == sizeof(op->result))
        memcpy(&op->result, result->data, sizeof(op->result));
    sim_op_ended(op, status);
}

static void read_done(void *arg, int status)
{
    struct sim_op *op = arg;

    if (!status)
        op->result = sim_machine_get(op->sim->slot[op->slot].machines[op->group], op->command.key);
    sim_op_ended(op, status);
}

bool sim_operate(struct sim *sim, unsigned number, int slot, unsigned group,
                 const struct sim_command *command)
{
    struct sim_op *op = &sim->ops[sim->ops_count];
    struct group *at = node_group(sim->slot[slot].node, group);
    struct group_status status;
    int error = 0;

    if (sim->ops_count == SIM_OPS)
        return false;
    *op = (struct sim_op){.sim = sim,
                          .client = number,
                          .group = group,
                          .slot = slot,
                          .command = *command,
                          .call = ++sim->order};
    if (command->kind == SIM_GET && sim_bug == SIM_BUG_STALE_READ && !sim->store) {
        group_status(at, &status);
        if (!status.leading)
            return false;
        sim->ops_count++;
        read_done(op, 0);
        return true;
    }
    if (sim->store)
        error = sim_store_operate(sim, op) ? 0 : CULVERT_EFULL;
    else if (command->kind == SIM_GET)
        error = group_read(at, read_done, op);
    else
        error = group_propose(at, command, sizeof(*command), proposed, op);
    if (error)
        return false;
    sim->ops_count++;
    if (number < sim->clients)
        sim->client[number].op = op;
    return true;
}

static void choose(struct client *client, struct sim_command *command, unsigned group)
{
    struct sim_random *random = &client->sim->random;
    unsigned dice = (unsigned)sim_random_below(random, 100);

    memset(command, 0, sizeof(*command));
    command->id = ((uint64_t)client->sim->order << 8) | client->number;
    command->key = (uint8_t)sim_random_below(random, SIM_KEYS);
    command->value = sim_random(random) >> 32;
    command->expected = client->seen[group][command->key];
    command->kind = dice < 40 ? SIM_GET : dice < 70 ? SIM_PUT : dice < 85 ? SIM_CAS : SIM_APPEND;
}

static void act(void *arg)
{
    struct client *client = arg;
    struct sim *sim = client->sim;
    unsigned group = (unsigned)sim_random_below(&sim->random, sim->groups);
    struct sim_command command;
    int slot = -1;

    client->wake = NULL;
    if (sim->store && client->op && client->op->env == sim->slot[client->op->slot].env)
        sim_finding(sim, "slot %d does not answer client %u", client->op->slot, client->number);
    client->op = NULL; /* given up, if it is still there */
    if (sim->clients_stop)
        return;
    wake_in(client, (10 + sim_random_below(&sim->random, 60)) * SIM_MS);
    if (client->number % 3 == 2) /* sticks to a machine, whatever it is by now */
        slot = (int)(client->number % sim->slots);
    else if (sim_random_percent(&sim->random, 60))
        slot = sim_leader(sim, group);
    if (slot < 0)
        slot = (int)sim_random_below(&sim->random, sim->slots);
    if (!sim->slot[slot].env || sim->slot[slot].failed)
        return;
    choose(client, &command, group);
    if (sim_operate(sim, client->number, slot, group, &command) && client->op)
        wake_in(client, PATIENCE);
}

void sim_clients_start(struct sim *sim)
{
    sim->client = calloc(sim->clients, sizeof(*sim->client));
    if (!sim->client)
        abort();
    for (unsigned i = 0; i < sim->clients; i++) {
        sim->client[i].sim = sim;
        sim->client[i].number = i;
        wake_in(&sim->client[i], sim_random_below(&sim->random, 200 * SIM_MS));
    }
}

static int by_call(const void *x, const void *y)
{
    const struct sim_op *a = *(struct sim_op *const *)x, *b = *(struct sim_op *const *)y;

    return a->call < b->call ? -1 : a->call > b->call;
}

/* The operations of a history, each with its call and its return in the order of things. */
static void show(struct sim *sim, struct sim_op *const *ops, size_t count)
{
    static const char *const kinds[] = {"get", "put", "cas", "append"};

    for (size_t i = 0; i < count; i++)
        sim_trace(sim, ops[i]->slot, "%6lu to %6lu: client %u %s %lx (if %lx), before it: %lx",
                  (unsigned long)ops[i]->call, (unsigned long)ops[i]->back, ops[i]->client,
                  kinds[ops[i]->command.kind], (unsigned long)ops[i]->command.value,
                  (unsigned long)ops[i]->command.expected, (unsigned long)ops[i]->result);
}

void sim_check_history(struct sim *sim)
{
    struct sim_op **list = calloc(sim->ops_count + 1, sizeof(struct sim_op *));

    if (!list)
        abort();
    for (unsigned group = 0; group < sim->groups; group++)
        for (unsigned key = 0; key < SIM_KEYS && !sim->finding[0]; key++) {
            bool undecided = false;
            size_t count = 0;

            for (unsigned i = 0; i < sim->ops_count; i++)
                if (sim->ops[i].group == group && sim->ops[i].command.key == key &&
                    !sim->ops[i].dropped && (sim->ops[i].back || sim->ops[i].command.kind))
                    list[count++] = &sim->ops[i];
            qsort(list, count, sizeof(struct sim_op *), by_call);
            if (!sim_linearizable(list, count, &undecided)) {
                show(sim, list, count);
                sim_finding(sim, "group %u: the history of key %u is not linearizable (%zu ops)",
                            group, key, count);
            }
            sim->undecided += undecided;
        }
    free(list);
}
