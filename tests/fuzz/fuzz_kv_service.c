/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a hostile peer as what the service says to its like: each input is a sequence of
 * messages, a length of two bytes and who sends it before each. A node of three takes them while it
 * has requests of its own under way. The first byte chooses which node: one that leads, or follows.
 * Then every request has had its answer.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"
#include "tests/sim/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum sim_bug sim_bug = SIM_BUG_NONE;
bool sim_store_only;

static unsigned waiting;

static void run_for(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->now + ms * SIM_MS;

    while (sim->queue.count && sim->queue.heap[0]->at <= until)
        sim_next(sim);
    sim->now = until;
}

static void answered(void *arg, int status, const struct kv_result *result)
{
    if (status > 0 || (!status && !result))
        abort();
    waiting--;
}

static void kept(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    if (status > 0)
        abort();
    waiting--;
}

/* Requests that the bytes may pretend to answer: their ids are the first ones, of life 0. */
static void ask(struct kv_service *service)
{
    struct kv_command command = {.kind = KV_DELETE, .op = {.kind = KV_DELETE}};

    service->life = 0;
    command.op.delete.keys.key = kv_text("k0");
    waiting += !kv_service_propose(service, &command, answered, NULL);
    waiting += !kv_service_lease_keep(service, 7, kept, NULL);
}

static struct sim *begin(uint8_t first)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    if (!sim)
        abort();
    sim->random.state = 1;
    sim->voters = sim->slots = 3;
    sim->groups = 1;
    sim->options = (struct group_options){.election_ms = 300, .heartbeat_ms = 60};
    sim->delay_min = 50000;
    sim->delay_max = SIM_MS;
    sim->tolerant = true;
    sim_store_new(sim);
    sim->store->options = (struct kv_service_options){.timeout_ms = 500};
    sim_cluster_new(sim);
    run_for(sim, first & 2 ? 1500 : 10);
    return sim;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_service *service;
    struct sim *sim;
    int slot;

    if (!size)
        return 0;
    sim = begin(data[0]);
    waiting = 0;
    slot = sim_leader(sim, 0);
    slot = slot < 0 ? 0 : (slot + (data[0] & 1)) % 3;
    service = sim->store->life[slot]->service;
    ask(service);
    data++;
    size--;
    while (size > 3) {
        size_t length = (size_t)(data[0] | data[1] << 8);

        length = length < size - 3 ? length : size - 3;
        peer_told(service, 1 + data[2] % 3, data + 3, length);
        run_for(sim, 7);
        data += 3 + length;
        size -= 3 + length;
    }
    run_for(sim, 1000);
    if (waiting)
        abort();
    sim->over = true;
    sim_cluster_free(sim);
    sim_store_free(sim);
    free(sim);
    return 0;
}
