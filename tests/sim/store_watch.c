/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers: each must see all changes of its keys once and in order, wherever it goes on. */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "tests/sim/store.h"

/* All keys; one register; the keys of the holders of leases. */
static struct kv_keys keys_of(const struct sim_watcher *watcher)
{
    if (watcher->number % 3 == 1)
        return (struct kv_keys){.key = sim_store_key(watcher->number % SIM_KEYS)};
    if (watcher->number % 3 == 2)
        return (struct kv_keys){sim_store_key(SIM_KEYS), kv_text("k:")};
    return (struct kv_keys){kv_text("k"), kv_text("l")};
}

static bool wants(const struct sim_watcher *watcher, unsigned key)
{
    if (watcher->number % 3 == 1)
        return key == watcher->number % SIM_KEYS;
    return watcher->number % 3 != 2 || key >= SIM_KEYS;
}

/* Goes to the next change that the watcher has to see, up to a revision; NULL: there is none. */
static const struct sim_change *seek(struct sim_watcher *watcher, uint64_t last)
{
    const struct sim_store *store = watcher->sim->store;

    for (; watcher->next <= last && watcher->next <= store->newest;
         watcher->next++, watcher->taken = 0) {
        const struct sim_revision *revision = &store->revisions[watcher->next];
        unsigned match = 0;

        for (unsigned i = 0; i < revision->count; i++)
            if (wants(watcher, revision->changes[i].key) && match++ == watcher->taken)
                return &revision->changes[i];
    }
    return NULL;
}

static void see(struct sim_watcher *watcher, const struct kv_watch_event *event)
{
    const struct kv_pair *now = &event->event->now;
    const struct sim_change *change = seek(watcher, UINT64_MAX - 1);
    unsigned key = (unsigned)(now->key.data[1] - '0');
    uint64_t value = event->event->put ? sim_store_number(now->value) : 0, before;

    if (!change || event->event->at.main != watcher->next || now->mod != watcher->next ||
        change->key != key || change->value != value) {
        sim_finding(watcher->sim,
                    "watcher %u is told of key %u, value %lu at revision %lu; to be seen is "
                    "revision %lu",
                    watcher->number, key, (unsigned long)value,
                    (unsigned long)event->event->at.main, (unsigned long)watcher->next);
        return;
    }
    before = sim_store_value(watcher->sim->store, key, watcher->next - 1);
    if (event->previous && sim_store_number(event->previous->value) != before)
        sim_finding(watcher->sim, "watcher %u is told of another value before", watcher->number);
    watcher->taken++;
}

static bool take(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    struct sim_watcher *watcher = arg;

    (void)watch;
    if (sim_random_percent(&watcher->sim->random, 10)) {
        watcher->full = true;
        return false;
    }
    for (size_t i = 0; i < news->count && !watcher->sim->finding[0]; i++)
        see(watcher, &news->events[i]);
    if (news->more)
        return true;
    if (seek(watcher, news->revision))
        sim_finding(watcher->sim, "watcher %u misses revision %lu, is told of %lu", watcher->number,
                    (unsigned long)watcher->next, (unsigned long)news->revision);
    if (watcher->next <= news->revision)
        watcher->next = news->revision + 1;
    return true;
}

/* From the oldest revision that is left: the compacted one is there. */
static void end(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    struct sim_watcher *watcher = arg;

    (void)watch;
    if (error && error == watcher->life->disk.fail) { /* the node will end, too */
        watcher->watch = NULL;
        return;
    }
    if (error != CULVERT_ECOMPACTED || watcher->next > compacted)
        sim_finding(watcher->sim, "watcher %u ends at revision %lu, %lu is compacted: %s",
                    watcher->number, (unsigned long)watcher->next, (unsigned long)compacted,
                    culvert_strerror(error));
    sim_trace(watcher->sim, (int)watcher->life->slot, "watcher %u: compacted, goes on at %lu",
              watcher->number, (unsigned long)compacted);
    watcher->next = compacted;
    watcher->taken = 0;
    watcher->watch = NULL;
}

static void create(struct sim_watcher *watcher)
{
    struct sim *sim = watcher->sim;
    int slot = sim->healing ? sim_leader(sim, 0) : sim_store_pick(sim);
    struct kv_watch_options options = {
        .keys = keys_of(watcher), .start = watcher->next, .previous = watcher->number & 1};
    const struct kv_watch_receiver receiver = {.arg = watcher, .take = take, .end = end};

    if (slot < 0)
        return;
    watcher->life = sim->store->life[slot];
    watcher->taken = 0; /* a revision that it has not seen to its end, it sees again */
    watcher->full = false;
    if (kv_watch_create(&watcher->watch, watcher->life->hub, &options, &receiver))
        abort();
}

static void act(void *arg)
{
    struct sim_watcher *watcher = arg;
    struct sim *sim = watcher->sim;
    int leader = sim_leader(sim, 0);

    if (sim->over)
        return;
    if (watcher->watch && watcher->full) {
        watcher->full = false;
        kv_watch_ready(watcher->watch);
    } else if (watcher->watch &&
               (sim->healing ? leader >= 0 && watcher->life != sim->store->life[leader]
                             : sim_random_percent(&sim->random, 10))) {
        kv_watch_cancel(watcher->watch);
        watcher->watch = NULL;
    }
    if (!watcher->watch)
        create(watcher);
    else if (sim_random_percent(&sim->random, 20))
        kv_watch_progress(watcher->life->hub, watcher->watch);
    sim_at(sim, sim->now + sim_random_below(&sim->random, 200 * SIM_MS), act, watcher);
}

void sim_store_watch_lost(struct sim *sim, const struct sim_life *life)
{
    for (unsigned i = 0; i < STORE_WATCHERS; i++)
        if (sim->store->watchers[i].life == life)
            sim->store->watchers[i].watch = NULL;
}

bool sim_store_watch_level(struct sim *sim, char why[128])
{
    for (unsigned i = 0; i < STORE_WATCHERS; i++) {
        struct sim_watcher *watcher = &sim->store->watchers[i];
        struct kv_info info;

        snprintf(why, 128, "watcher %u is at revision %lu of %lu", i,
                 (unsigned long)(watcher->watch ? kv_watch_next(watcher->watch) : 0),
                 (unsigned long)sim->store->newest);
        if (!watcher->watch)
            return false;
        kv_store_info(watcher->life->store, &info);
        if (kv_watch_next(watcher->watch) <= info.revision)
            return false;
        if (seek(watcher, info.revision))
            sim_finding(sim, "watcher %u has not seen revision %lu", i,
                        (unsigned long)watcher->next);
    }
    return true;
}

void sim_store_watch_start(struct sim *sim)
{
    for (unsigned i = 0; i < STORE_WATCHERS; i++) {
        sim->store->watchers[i] = (struct sim_watcher){.sim = sim, .number = i, .next = 1};
        sim_at(sim, sim_random_below(&sim->random, 200 * SIM_MS), act, &sim->store->watchers[i]);
    }
}
