/* SPDX-License-Identifier: Apache-2.0 */
/* Holders of leases: each is granted one, puts keys under it, keeps it alive for a while at
 * whatever node, and revokes it or lets it run out. Now and then they compact the history. */
#include <endian.h>
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "tests/sim/store.h"

#define SECOND (1000 * SIM_MS)
#define SLACK (500 * SIM_MS)

static void act(void *arg);

static struct sim_lease *lease_of(const struct sim_holder *holder)
{
    return &holder->sim->store->leases[holder->lease];
}

static void act_in(struct sim_holder *holder, uint64_t wait)
{
    sim_at(holder->sim, holder->sim->now + wait, act, holder);
}

/* It ended, or its end is known: not before its time. */
static void check_time(struct sim *sim, uint32_t id)
{
    const struct sim_lease *lease = &sim->store->leases[id];

    if (lease->gone && !lease->revoked && lease->gone < lease->until)
        sim_finding(sim, "lease %u ended at %.3f ms, was to be there until %.3f ms", id,
                    (double)lease->gone / SIM_MS, (double)lease->until / SIM_MS);
}

void sim_store_lease_gone(struct sim *sim, uint32_t id)
{
    struct sim_lease *lease = &sim->store->leases[id];

    if (lease->gone)
        return;
    lease->gone = sim->now;
    check_time(sim, id);
}

/* Somebody says that it is not there. */
static void lost(struct sim_holder *holder)
{
    const struct sim_lease *lease = lease_of(holder);

    if (!lease->revoked && holder->sim->now < lease->until)
        sim_finding(holder->sim, "lease %u is not found, was to be there until %.3f ms",
                    holder->lease, (double)lease->until / SIM_MS);
    holder->lease = 0;
}

static void ask_ended(struct sim_holder *holder, const char *what, int status)
{
    struct sim *sim = holder->sim;
    uint64_t ttl = lease_of(holder)->ttl;

    sim_trace(sim, holder->slot, "holder %u: lease %u: %s: %s", holder->number, holder->lease, what,
              status ? culvert_strerror(status) : "done");
    holder->asking = false;
    if (!sim->over)
        act_in(holder, sim_random_below(&sim->random, 1 + (ttl ? ttl : 1) * SECOND * 6 / 10));
}

static void alive(struct sim_holder *holder)
{
    struct sim_lease *lease = lease_of(holder);
    uint64_t until = holder->asked + lease->ttl * SECOND;

    if (until > lease->until)
        lease->until = until;
    check_time(holder->sim, holder->lease);
}

static void on_granted(void *arg, int status, const struct kv_result *result)
{
    struct sim_holder *holder = arg;

    if (!status)
        sim_store_seen(holder->sim, holder->slot, holder->floor, result->revision);
    if (!status && (result->status || result->lease.id != holder->lease))
        sim_finding(holder->sim, "lease %u is not granted: %s", holder->lease,
                    culvert_strerror(result->status));
    ask_ended(holder, "grant", status);
    if (status)
        holder->lease = 0; /* it may be there, and runs out */
    else
        alive(holder);
}

static void on_put(void *arg, int status, const struct kv_result *result)
{
    struct sim_holder *holder = arg;

    if (!status)
        sim_store_seen(holder->sim, holder->slot, holder->floor, result->revision);
    holder->put = !status && !result->status;
    ask_ended(holder, "put", status ? status : result->status);
    if (!status && result->status == CULVERT_ENOLEASE)
        lost(holder);
}

static void on_revoked(void *arg, int status, const struct kv_result *result)
{
    struct sim_holder *holder = arg;

    ask_ended(holder, "revoke", status ? status : result->status);
    if (!status && !result->status && !lease_of(holder)->gone)
        sim_finding(holder->sim, "lease %u is revoked, and there", holder->lease);
    holder->lease = 0;
}

static void on_compacted(void *arg, int status, const struct kv_result *result)
{
    ask_ended(arg, "compact", status ? status : result->status);
}

static void on_kept(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct sim_holder *holder = arg;

    if (!status && (remaining != lease_of(holder)->ttl || granted != remaining))
        sim_finding(holder->sim, "lease %u of %lu s is kept for %lu of %lu s", holder->lease,
                    (unsigned long)lease_of(holder)->ttl, (unsigned long)remaining,
                    (unsigned long)granted);
    ask_ended(holder, "keep", status);
    if (!status)
        alive(holder);
    else if (status == CULVERT_ENOLEASE)
        lost(holder);
}

static void on_time(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct sim_holder *holder = arg;

    ask_ended(holder, "time", status);
    if (status == CULVERT_ENOLEASE)
        lost(holder);
    else if (!status && granted != lease_of(holder)->ttl)
        sim_finding(holder->sim, "lease %u has another time to live: %lu s", holder->lease,
                    (unsigned long)granted);
}

/* ---- questions ---- */

static int grant(struct sim_holder *holder, struct kv_service *service)
{
    struct sim_store *store = holder->sim->store;
    struct kv_command command = {.kind = KV_LEASE_GRANT};

    if (store->leases_count + 1 == STORE_LEASES)
        abort();
    holder->lease = ++store->leases_count;
    holder->put = false;
    lease_of(holder)->ttl = 1 + sim_random_below(&holder->sim->random, 3);
    command.lease = (struct kv_lease){.id = holder->lease, .ttl = lease_of(holder)->ttl};
    return kv_service_propose(service, &command, on_granted, holder);
}

static int put(struct sim_holder *holder, struct kv_service *service)
{
    struct sim_store *store = holder->sim->store;
    uint64_t values[2] = {htobe64(store->values + 1), htobe64(store->values + 2)};
    struct kv_op ops[2];
    struct kv_command command = {
        .kind = KV_TXN,
        .op = {.kind = KV_TXN, .txn = {.branch = {{0}, {.list = ops, .count = 2}}}}};

    store->values += 2;
    for (unsigned i = 0; i < 2; i++)
        ops[i] = (struct kv_op){.kind = KV_PUT,
                                .put = {.key = sim_store_key(SIM_KEYS + 2 * holder->number + i),
                                        .value = {(const uint8_t *)&values[i], sizeof(values[i])},
                                        .lease = holder->lease}};
    return kv_service_propose(service, &command, on_put, holder);
}

static int revoke(struct sim_holder *holder, struct kv_service *service)
{
    struct kv_command command = {.kind = KV_LEASE_REVOKE, .lease.id = holder->lease};

    lease_of(holder)->revoked = true;
    return kv_service_propose(service, &command, on_revoked, holder);
}

static int compact(struct sim_holder *holder, struct kv_service *service)
{
    uint64_t newest = holder->sim->store->acked;
    uint64_t back = sim_random_below(&holder->sim->random, newest < 40 ? newest : 40);
    struct kv_command command = {.kind = KV_COMPACT, .revision = newest - back};

    return kv_service_propose(service, &command, on_compacted, holder);
}

static int ask(struct sim_holder *holder, struct kv_service *service)
{
    unsigned dice = (unsigned)sim_random_below(&holder->sim->random, 100);

    if (dice < 8)
        return compact(holder, service);
    if (!holder->lease)
        return grant(holder, service);
    if (!holder->put && dice < 70)
        return put(holder, service);
    if (dice < 14)
        return revoke(holder, service);
    if (dice < 24)
        return kv_service_lease_time(service, holder->lease, on_time, holder);
    return kv_service_lease_keep(service, holder->lease, on_kept, holder);
}

static void act(void *arg)
{
    struct sim_holder *holder = arg;
    struct sim *sim = holder->sim;
    int slot = sim_store_pick(sim), error = CULVERT_EFULL;

    if (sim->clients_stop)
        return;
    if (sim_random_percent(&sim->random, 5))
        holder->lease = 0; /* lets it run out */
    holder->asked = sim->now;
    holder->floor = sim->store->acked;
    holder->slot = slot;
    if (slot >= 0) {
        holder->env = sim->slot[slot].env;
        error = ask(holder, sim->store->life[slot]->service);
    }
    holder->asking = !error;
    if (error && error != CULVERT_EFULL)
        sim_finding(sim, "slot %d refuses holder %u: %s", slot, holder->number,
                    culvert_strerror(error));
    if (error)
        act_in(holder, 20 * SIM_MS);
}

void sim_store_leases_check(struct sim *sim)
{
    uint64_t patience = sim->store->options.timeout_ms * SIM_MS + SLACK;

    for (unsigned i = 0; i < STORE_HOLDERS; i++) {
        const struct sim_holder *holder = &sim->store->holders[i];

        if (holder->asking && sim->now > holder->asked + patience)
            sim_finding(sim, "slot %d does not answer holder %u", holder->slot, i);
    }
}

void sim_store_leases_start(struct sim *sim)
{
    for (unsigned i = 0; i < STORE_HOLDERS; i++) {
        sim->store->holders[i] = (struct sim_holder){.sim = sim, .number = i};
        act_in(&sim->store->holders[i], sim_random_below(&sim->random, 500 * SIM_MS));
    }
}
