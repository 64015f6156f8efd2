/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a hostile peer as a node's messages: each input is a sequence of messages, a length of
 * two bytes before each. They are decoded, and what decodes must encode to the same bytes; then a
 * node of three takes them, on a disk in memory, while its clock goes on. The first byte chooses
 * how far it is before they come: a follower of a leader, a candidate, a leader itself.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/message.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum sim_bug sim_bug = SIM_BUG_NONE;

static void same_bytes(const uint8_t *bytes, size_t length)
{
    struct message message;
    struct buffer out = {0};

    if (message_decode(bytes, length, &message))
        return;
    message_encode(&message, &out);
    if (out.error || out.length != length || memcmp(out.data, bytes, length) != 0)
        abort();
    buffer_free(&out);
    message_free(&message);
}

static void run_for(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->now + ms * SIM_MS;

    while (sim->queue.count && sim->queue.heap[0]->at <= until)
        sim_next(sim);
    sim->now = until;
}

/* A message of the group's kinds from one of the other nodes, whose term is near this node's. */
static void send(struct sim *sim, const uint8_t *bytes, size_t length)
{
    if (length && sim->slot[0].env)
        sim_env_deliver(sim->slot[0].env, 2 + bytes[0] % 3, bytes + 1, length - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim *sim;

    if (!size)
        return 0;
    sim = calloc(1, sizeof(*sim));
    if (!sim)
        abort();
    sim->random.state = data[0];
    sim->voters = 3;
    sim->slots = data[0] & 1 ? 1 : 3;
    sim->groups = 1;
    sim->options = (struct group_options){.election_ms = 300, .heartbeat_ms = 60, .chunk = 16};
    sim->delay_min = 50000;
    sim->delay_max = SIM_MS;
    sim->command_at[0] = calloc(SIM_INDEXES, sizeof(uint64_t));
    sim->state_at[0] = calloc(SIM_INDEXES, sizeof(uint64_t));
    if (!sim->command_at[0] || !sim->state_at[0])
        abort();
    sim->tolerant = true;
    sim_cluster_new(sim);
    run_for(sim, data[0] & 2 ? 1000 : 10);
    data++;
    size--;
    while (size > 2) {
        size_t length = (size_t)(data[0] | data[1] << 8);

        length = length < size - 2 ? length : size - 2;
        if (length)
            same_bytes(data + 3, length - 1);
        send(sim, data + 2, length);
        run_for(sim, 7);
        data += 2 + length;
        size -= 2 + length;
    }
    run_for(sim, 1000);
    sim->over = true;
    sim_cluster_free(sim);
    free(sim->command_at[0]);
    free(sim->state_at[0]);
    free(sim);
    return 0;
}
