/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network: between each two nodes a connection each way, in order; it may be cut, slow, lose
 * messages, or be replaced by a new one, when what is still under way may come late or twice.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"

#define QUEUE_MAX ((size_t)256 << 10) /* bytes under way on a link */
#define SMALL 4096u                   /* messages up to that have room beyond, as the transport's */
#define RESERVE ((size_t)64 << 10)

struct letter {
    struct sim *sim;
    unsigned from, to;
    uint64_t from_id, connection;
    struct env *at; /* the receiver's life that the connection was made to */
    size_t length;
    uint8_t bytes[];
};

static void deliver(void *arg)
{
    struct letter *letter = arg;
    struct sim *sim = letter->sim;
    struct sim_link *link = &sim->link[letter->from][letter->to];
    struct sim_slot *to = &sim->slot[letter->to];
    bool current = letter->connection == link->connection;

    link->queued -= letter->length;
    if (to->env && to->env == letter->at && !link->cut &&
        (current || sim_random_percent(&sim->random, 50))) {
        sim_env_deliver(to->env, letter->from_id, letter->bytes, letter->length);
        sim_check_leaders(sim, letter->to);
    }
    if (link->was_full && link->queued < QUEUE_MAX / 2) {
        link->was_full = false;
        if (sim->slot[letter->from].env)
            sim_env_writable(sim->slot[letter->from].env, to->id);
    }
    free(letter);
}

static void post(struct sim *sim, unsigned from, unsigned to, const struct iovec *parts,
                 unsigned count, size_t length, bool in_order)
{
    struct sim_link *link = &sim->link[from][to];
    struct letter *letter = malloc(sizeof(*letter) + length);
    uint64_t at = sim->now + sim->delay_min +
                  sim_random_below(&sim->random, sim->delay_max - sim->delay_min + 1);
    size_t filled = 0;

    if (!letter)
        abort();
    *letter = (struct letter){.sim = sim,
                              .from = from,
                              .to = to,
                              .from_id = sim->slot[from].id,
                              .connection = link->connection,
                              .at = sim->slot[to].env,
                              .length = length};
    for (unsigned i = 0; i < count; i++) {
        memcpy(letter->bytes + filled, parts[i].iov_base, parts[i].iov_len);
        filled += parts[i].iov_len;
    }
    if (in_order) {
        if (at <= link->last_at)
            at = link->last_at + 1;
        link->last_at = at;
    } else { /* late, of a connection before */
        at += sim_random_below(&sim->random, 300 * SIM_MS);
    }
    link->queued += length;
    sim_at(sim, at, deliver, letter);
}

int sim_send(struct sim *sim, unsigned from, uint64_t to, const struct iovec *parts, unsigned count)
{
    int slot = sim_slot_of(sim, to);
    struct sim_link *link;
    size_t length = 0;

    for (unsigned i = 0; i < count; i++)
        length += parts[i].iov_len;
    if (length > ENV_MESSAGE_MAX)
        abort();
    if (slot < 0 || !sim->slot[slot].env)
        return CULVERT_ENOTFOUND;
    link = &sim->link[from][slot];
    if (link->queued && link->queued + length > QUEUE_MAX + (length <= SMALL ? RESERVE : 0)) {
        link->was_full = true;
        return CULVERT_EFULL;
    }
    if (link->cut || sim_random_below(&sim->random, 1000) < sim->loss)
        return 0;
    post(sim, from, (unsigned)slot, parts, count, length, true);
    if (sim_random_below(&sim->random, 1000) < sim->duplicate)
        post(sim, from, (unsigned)slot, parts, count, length, false);
    return 0;
}

void sim_reset_link(struct sim *sim, unsigned a, unsigned b)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_link *link = i ? &sim->link[b][a] : &sim->link[a][b];

        link->connection++;
        link->last_at = 0;
    }
    if (sim->slot[a].env && sim->slot[b].env) {
        sim_env_connected(sim->slot[a].env, sim->slot[b].id, true);
        sim_env_connected(sim->slot[b].env, sim->slot[a].id, true);
    }
}
