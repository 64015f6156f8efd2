/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes' side of an episode of the store, and its history. */
#include "tests/sim/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/tree.h"

#define PUMP_MS 30u

/* ---- the history ---- */

uint64_t sim_store_value(const struct sim_store *store, unsigned key, uint64_t revision)
{
    for (; revision; revision--)
        for (unsigned i = store->revisions[revision].count; i-- > 0;)
            if (store->revisions[revision].changes[i].key == key)
                return store->revisions[revision].changes[i].value;
    return 0;
}

static bool is_same(const struct sim_revision *x, const struct sim_revision *y)
{
    if (x->chain != y->chain || x->count != y->count)
        return false;
    for (unsigned i = 0; i < x->count; i++)
        if (x->changes[i].key != y->changes[i].key || x->changes[i].value != y->changes[i].value)
            return false;
    return true;
}

static void append(struct sim_life *life, uint64_t revision, const struct sim_revision *what)
{
    struct sim_store *store = life->sim->store;

    if (revision != store->newest + 1)
        sim_finding(life->sim, "node %u: revision %lu after %lu",
                    (unsigned)life->sim->slot[life->slot].id, (unsigned long)revision,
                    (unsigned long)store->newest);
    store->newest = revision;
    store->revisions[revision] = *what;
    for (unsigned i = 0; i < what->count; i++) {
        uint64_t value = what->changes[i].value;

        if (value >= STORE_VALUES || (value && store->written[value]))
            sim_finding(life->sim, "value %lu is written again, at revision %lu",
                        (unsigned long)value, (unsigned long)revision);
        else if (value)
            store->written[value] = revision;
    }
}

static void changed(void *arg, uint64_t revision, const struct kv_event *events, size_t count)
{
    struct sim_life *life = arg;
    struct sim_store *store = life->sim->store;
    struct sim_revision what = {.count = (unsigned)count};

    if (!events || !count || count > STORE_CHANGES || revision >= STORE_REVISIONS) {
        sim_finding(life->sim, "revision %lu with %zu changes", (unsigned long)revision, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (events[i].now.key.length != 2) {
            sim_finding(life->sim, "revision %lu of another key", (unsigned long)revision);
            return;
        }
        what.changes[i].key = (uint8_t)(events[i].now.key.data[1] - '0');
        what.changes[i].value = events[i].put ? sim_store_number(events[i].now.value) : 0;
    }
    if (kv_store_chain(life->store, revision, &what.chain))
        sim_finding(life->sim, "no hash of revision %lu", (unsigned long)revision);
    if (!store->revisions[revision].count)
        append(life, revision, &what);
    else if (!is_same(&what, &store->revisions[revision]))
        sim_finding(life->sim, "node %u: another revision %lu",
                    (unsigned)life->sim->slot[life->slot].id, (unsigned long)revision);
}

static void lease_changed(void *arg, const struct kv_lease *lease, bool there)
{
    struct sim_life *life = arg;

    if (!there && lease->id > 0 && lease->id < STORE_LEASES)
        sim_store_lease_gone(life->sim, (uint32_t)lease->id);
}

static void replaced(void *arg)
{
    struct sim_life *life = arg;
    struct kv_info info;
    uint64_t chain = 0;

    kv_store_info(life->store, &info);
    life->sim->counts[SIM_LOADS]++;
    sim_trace(life->sim, (int)life->slot, "revision %lu loaded", (unsigned long)info.revision);
    if (info.revision > info.compacted && info.revision > 1 &&
        (kv_store_chain(life->store, info.revision, &chain) ||
         chain != life->sim->store->revisions[info.revision].chain))
        sim_finding(life->sim, "node %u loaded another revision %lu",
                    (unsigned)life->sim->slot[life->slot].id, (unsigned long)info.revision);
}

/* ---- a node ---- */

static void pump(void *arg)
{
    struct sim_life *life = arg;
    struct sim_random *random = &life->sim->random;

    kv_watch_pump(life->hub, 1 + sim_random_below(random, 20));
    life->env->ops->timer_set(life->env, &life->pump,
                              life->sim->now + sim_random_below(random, PUMP_MS * SIM_MS));
}

static struct machine *node_open_store(struct sim *sim, unsigned slot, struct env *env)
{
    struct sim_life *life = calloc(1, sizeof(*life));
    struct kv_engine *engine;

    if (!life)
        abort();
    life->sim = sim;
    life->slot = slot;
    life->env = env;
    life->disk.root = kv_tree_hold(sim->store->rest[slot].root);
    if (kv_memory_open(&engine, &life->disk) || kv_store_open(&life->store, engine, env) ||
        kv_watch_hub_open(&life->hub, life->store))
        abort();
    life->observer = (struct kv_observer){
        .arg = life, .changed = changed, .lease = lease_changed, .replaced = replaced};
    kv_store_observe(life->store, &life->observer); /* before the hub's: the last one is first */
    life->pump = (struct env_timer){.fn = pump, .arg = life};
    sim->store->life[slot] = life;
    return kv_store_machine(life->store);
}

static void node_serve(struct sim *sim, unsigned slot)
{
    struct sim_life *life = sim->store->life[slot];

    if (kv_service_open(&life->service, life->env, node_group(sim->slot[slot].node, 0), life->store,
                        &sim->store->options))
        abort();
    pump(life);
}

/* What a flush that is under way writes from now on is nowhere. */
static void node_close_store(struct sim *sim, unsigned slot)
{
    struct sim_store *store = sim->store;
    struct sim_life *life = store->life[slot];

    if (!life)
        return;
    store->life[slot] = NULL;
    kv_memory_disk_free(&store->rest[slot]);
    store->rest[slot].root = kv_tree_hold(life->disk.root);
    life->disk.fail = CULVERT_EIO;
    life->env->ops->timer_stop(life->env, &life->pump);
    kv_service_close(life->service);
    sim_store_watch_lost(sim, life);
    kv_store_forget(life->store, &life->observer);
    kv_watch_hub_close(life->hub);
    life->next = store->ended;
    store->ended = life;
}

static void node_wipe(struct sim *sim, unsigned slot)
{
    kv_memory_disk_free(&sim->store->rest[slot]);
}

static const struct sim_nodes nodes = {node_open_store, node_serve, node_close_store, node_wipe};

int sim_store_pick(struct sim *sim)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned slot = (unsigned)sim_random_below(&sim->random, sim->slots);

        if (sim->slot[slot].env && !sim->slot[slot].failed && sim->store->life[slot])
            return (int)slot;
    }
    return -1;
}

/* ---- the end ---- */

static uint64_t hash_of(struct kv_store *store, uint64_t revision, uint64_t *compacted)
{
    struct kv_hasher *hasher;
    uint64_t hash = 0;
    int status;

    if (kv_hasher_open(&hasher, store, revision, compacted))
        abort();
    do
        status = kv_hasher_step(hasher, 100, &hash);
    while (status == 1);
    kv_hasher_close(hasher);
    return hash;
}

static void compare(struct sim *sim, const struct kv_info *first, uint64_t hash, unsigned slot)
{
    struct kv_info info;
    uint64_t compacted, other;

    kv_store_info(sim->store->life[slot]->store, &info);
    other = hash_of(sim->store->life[slot]->store, info.revision, &compacted);
    if (info.revision != first->revision || info.compacted != first->compacted ||
        info.size != first->size || info.keys != first->keys || info.leases != first->leases ||
        hash != other)
        sim_finding(sim,
                    "node %u has another state at index %lu: revision %lu and %lu, compacted %lu "
                    "and %lu, size %lu and %lu, hash %lx and %lx",
                    (unsigned)sim->slot[slot].id, (unsigned long)info.applied,
                    (unsigned long)info.revision, (unsigned long)first->revision,
                    (unsigned long)info.compacted, (unsigned long)first->compacted,
                    (unsigned long)info.size, (unsigned long)first->size, (unsigned long)other,
                    (unsigned long)hash);
}

bool sim_store_level(struct sim *sim, int leader, char why[128])
{
    struct kv_store *store = sim->store->life[leader]->store;
    struct kv_info first, other;
    uint64_t hash, compacted;

    kv_store_info(store, &first);
    if (first.leases) {
        snprintf(why, 128, "%lu leases are left", (unsigned long)first.leases);
        return false;
    }
    for (unsigned key = SIM_KEYS; key < STORE_KEYS; key++)
        if (sim_store_value(sim->store, key, first.revision))
            sim_finding(sim, "key %u is there without its lease", key);
    if (!sim_store_watch_level(sim, why))
        return false;
    hash = hash_of(store, first.revision, &compacted);
    for (unsigned i = 0; i < sim->slots; i++) {
        if (!sim->store->life[i])
            continue;
        kv_store_info(sim->store->life[i]->store, &other);
        if (other.applied == first.applied)
            compare(sim, &first, hash, i);
    }
    return true;
}

void sim_store_new(struct sim *sim)
{
    struct sim_store *store = calloc(1, sizeof(*store));
    static const enum kv_compactor_mode modes[] = {KV_COMPACT_REVISIONS, KV_COMPACT_REVISIONS,
                                                   KV_COMPACT_PERIOD, KV_COMPACT_OFF};
    struct sim_random *random = &sim->random;

    if (!store)
        abort();
    sim->store = store;
    sim->nodes = &nodes;
    store->revisions = calloc(STORE_REVISIONS, sizeof(*store->revisions));
    store->written = calloc(STORE_VALUES, sizeof(*store->written));
    if (!store->revisions || !store->written)
        abort();
    store->newest = store->acked = 1; /* of an empty store */
    store->options = (struct kv_service_options){
        .timeout_ms = 200 + (unsigned)sim_random_below(random, 800),
        .compact = modes[sim_random_below(random, sizeof(modes) / sizeof(modes[0]))],
        .requests_max = sim_random_percent(random, 10) ? 3 : 0,
    };
    if (sim_random_percent(random, 10))
        sim->options.proposals_max = sim->options.reads_max = 2;
    store->options.keep =
        1 + sim_random_below(random, store->options.compact == KV_COMPACT_PERIOD ? 2000 : 60);
}

void sim_store_full(struct sim *sim, unsigned slot)
{
    if (sim->store->life[slot])
        sim->store->life[slot]->disk.fail = CULVERT_ENOSPC;
}

void sim_store_heal(struct sim *sim)
{
    for (unsigned i = 0; i < sim->slots; i++)
        if (sim->store->life[i])
            sim->store->life[i]->disk.fail = 0;
}

void sim_store_start(struct sim *sim)
{
    sim_store_leases_start(sim);
    sim_store_watch_start(sim);
}

/* After the last event. */
void sim_store_free(struct sim *sim)
{
    struct sim_store *store = sim->store;
    struct sim_life *next;

    for (struct sim_life *life = store->ended; life; life = next) {
        next = life->next;
        kv_store_close(life->store);
        kv_memory_disk_free(&life->disk);
        free(life);
    }
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        kv_memory_disk_free(&store->rest[i]);
    free(store->revisions);
    free(store->written);
    free(store);
    sim->store = NULL;
}
