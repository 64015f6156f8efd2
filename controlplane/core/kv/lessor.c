/* SPDX-License-Identifier: Apache-2.0 */
/* Leases by id in a hash table, and in a heap by the time when something is to be done. */
#include "controlplane/core/kv/lessor.h"

#include <stdlib.h>

#include "controlplane/base/error.h"

#define NS_PER_MS 1000000u
#define MS_PER_S 1000u
#define BUCKETS_FIRST 64u

struct timed {
    struct timed *next; /* in its bucket */
    struct kv_lease lease;
    uint64_t expiry, checkpoint; /* ms; checkpoint UINT64_MAX: none is due */
    bool noted;                  /* a checkpoint of less than all was proposed */
    uint64_t wake;               /* ms: the earlier one, or a retry */
    size_t place;                /* in the heap */
};

struct kv_lessor {
    struct kv_observer observer;
    struct kv_store *store;
    struct env *env;
    bool leads;
    bool stale; /* a lease is missing, for want of memory: they are to be read anew */
    struct timed **buckets;
    size_t bucket_count;
    struct timed **heap;
    size_t count, capacity;
};

static uint64_t now_ms(const struct kv_lessor *lessor)
{
    return env_now(lessor->env) / NS_PER_MS;
}

/* When a time to live that begins now is over: rounded up, early is not safe. */
static uint64_t expiry_of(const struct kv_lessor *lessor, uint64_t seconds)
{
    return (env_now(lessor->env) + NS_PER_MS - 1) / NS_PER_MS + seconds * MS_PER_S;
}

/* ---- the heap ---- */

static void heap_place(struct kv_lessor *lessor, size_t place, struct timed *timed)
{
    lessor->heap[place] = timed;
    timed->place = place;
}

/* Moves a lease to where its time belongs. */
static void heap_sift(struct kv_lessor *lessor, struct timed *timed)
{
    size_t place = timed->place, child;

    while (place && lessor->heap[(place - 1) / 2]->wake > timed->wake) {
        heap_place(lessor, place, lessor->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    while ((child = 2 * place + 1) < lessor->count) {
        if (child + 1 < lessor->count && lessor->heap[child + 1]->wake < lessor->heap[child]->wake)
            child++;
        if (lessor->heap[child]->wake >= timed->wake)
            break;
        heap_place(lessor, place, lessor->heap[child]);
        place = child;
    }
    heap_place(lessor, place, timed);
}

static void heap_remove(struct kv_lessor *lessor, const struct timed *timed)
{
    struct timed *last = lessor->heap[--lessor->count];

    if (last == timed)
        return;
    last->place = timed->place;
    heap_sift(lessor, last);
}

static void wake_at(struct kv_lessor *lessor, struct timed *timed)
{
    timed->wake = timed->expiry < timed->checkpoint ? timed->expiry : timed->checkpoint;
    heap_sift(lessor, timed);
}

/* ---- the table ---- */

static struct timed **bucket_of(const struct kv_lessor *lessor, int64_t id)
{
    uint64_t hash = (uint64_t)id * 0x9e3779b97f4a7c15ull;

    return &lessor->buckets[(hash >> 32) & (lessor->bucket_count - 1)];
}

static struct timed *timed_find(const struct kv_lessor *lessor, int64_t id)
{
    struct timed *timed = lessor->bucket_count ? *bucket_of(lessor, id) : NULL;

    while (timed && timed->lease.id != id)
        timed = timed->next;
    return timed;
}

/* Room for one more lease in both table and heap. */
static int grow(struct kv_lessor *lessor)
{
    size_t capacity = lessor->capacity ? 2 * lessor->capacity : BUCKETS_FIRST;
    struct timed **heap, **buckets, **bucket;

    if (lessor->count < lessor->capacity)
        return 0;
    heap = realloc(lessor->heap, capacity * sizeof(*heap));
    if (!heap)
        return CULVERT_ENOMEM;
    lessor->heap = heap;
    buckets = calloc(capacity, sizeof(*buckets));
    if (!buckets)
        return CULVERT_ENOMEM;
    free(lessor->buckets);
    lessor->buckets = buckets;
    lessor->bucket_count = lessor->capacity = capacity;
    for (size_t i = 0; i < lessor->count; i++) {
        bucket = bucket_of(lessor, heap[i]->lease.id);
        heap[i]->next = *bucket;
        *bucket = heap[i];
    }
    return 0;
}

static void plan_checkpoint(struct timed *timed, uint64_t now)
{
    bool due = timed->expiry > now && timed->expiry - now > KV_LEASE_CHECKPOINT_MS;

    timed->checkpoint = due ? now + KV_LEASE_CHECKPOINT_MS : UINT64_MAX;
}

static int timed_add(struct kv_lessor *lessor, const struct kv_lease *lease, uint64_t extend)
{
    struct timed **bucket, *timed;
    uint64_t now = now_ms(lessor);

    if (grow(lessor))
        return CULVERT_ENOMEM;
    timed = calloc(1, sizeof(*timed));
    if (!timed)
        return CULVERT_ENOMEM;
    timed->lease = *lease;
    timed->expiry = expiry_of(lessor, lease->remaining ? lease->remaining : lease->ttl) + extend;
    plan_checkpoint(timed, now);
    bucket = bucket_of(lessor, lease->id);
    timed->next = *bucket;
    *bucket = timed;
    timed->place = lessor->count++;
    wake_at(lessor, timed);
    return 0;
}

static void timed_remove(struct kv_lessor *lessor, struct timed *timed)
{
    struct timed **link = bucket_of(lessor, timed->lease.id);

    while (*link != timed)
        link = &(*link)->next;
    *link = timed->next;
    heap_remove(lessor, timed);
    free(timed);
}

static void forget_all(struct kv_lessor *lessor)
{
    for (size_t i = 0; i < lessor->count; i++)
        free(lessor->heap[i]);
    if (lessor->bucket_count)
        memset(lessor->buckets, 0, lessor->bucket_count * sizeof(*lessor->buckets));
    lessor->count = 0;
}

/* ---- what the store tells ---- */

/* One that was proposed before that comes before in the log, too. */
static void timed_set(struct timed *timed, const struct kv_lease *lease)
{
    timed->lease = *lease;
    if (!lease->remaining)
        timed->noted = false;
}

static void lease_changed(void *arg, const struct kv_lease *lease, bool there)
{
    struct kv_lessor *lessor = arg;
    struct timed *timed;

    if (!lessor->leads)
        return;
    timed = timed_find(lessor, lease->id);
    if (!there && timed)
        timed_remove(lessor, timed);
    else if (there && timed)
        timed_set(timed, lease);
    else if (there && timed_add(lessor, lease, 0))
        lessor->stale = true;
}

static void store_changed(void *arg, uint64_t revision, const struct kv_event *events, size_t count)
{
}

static void store_replaced(void *arg)
{
    struct kv_lessor *lessor = arg;

    kv_lessor_demote(lessor); /* only who follows is sent a state */
}

/* ---- the leader's side ---- */

struct loading {
    struct kv_lessor *lessor;
    uint64_t extend;
};

/* Leases that are known keep their time. */
static int load_lease(void *arg, const struct kv_lease *lease)
{
    struct loading *loading = arg;

    return timed_find(loading->lessor, lease->id)
               ? 0
               : timed_add(loading->lessor, lease, loading->extend);
}

int kv_lessor_promote(struct kv_lessor *lessor, uint64_t extend_ms)
{
    struct loading loading = {lessor, extend_ms};
    int error;

    forget_all(lessor);
    error = kv_store_leases(lessor->store, load_lease, &loading);
    lessor->leads = !error;
    lessor->stale = false;
    if (error)
        forget_all(lessor);
    return error;
}

void kv_lessor_demote(struct kv_lessor *lessor)
{
    forget_all(lessor);
    lessor->leads = false;
}

int kv_lessor_renew(struct kv_lessor *lessor, int64_t id, uint64_t *ttl, bool *reset)
{
    struct timed *timed = timed_find(lessor, id);
    uint64_t now = now_ms(lessor);

    if (!lessor->leads)
        return CULVERT_EUNSUPPORTED;
    if (!timed || timed->expiry <= now)
        return CULVERT_ENOLEASE;
    timed->expiry = expiry_of(lessor, timed->lease.ttl);
    plan_checkpoint(timed, now);
    wake_at(lessor, timed);
    *ttl = timed->lease.ttl;
    *reset = timed->lease.remaining || timed->noted;
    return 0;
}

static uint64_t seconds_left(const struct timed *timed, uint64_t now)
{
    return timed->expiry > now ? (timed->expiry - now + MS_PER_S - 1) / MS_PER_S : 0;
}

int kv_lessor_lookup(struct kv_lessor *lessor, int64_t id, struct kv_lease *lease)
{
    const struct timed *timed = timed_find(lessor, id);
    uint64_t now = now_ms(lessor);

    if (!lessor->leads)
        return CULVERT_EUNSUPPORTED;
    if (!timed || timed->expiry <= now)
        return CULVERT_ENOLEASE;
    *lease = timed->lease;
    lease->remaining = seconds_left(timed, now);
    return 0;
}

size_t kv_lessor_poll(struct kv_lessor *lessor, struct kv_lease_action *actions, size_t max)
{
    struct loading loading = {lessor, 0};
    uint64_t now = now_ms(lessor);
    struct timed *timed;
    size_t count = 0;

    if (lessor->stale)
        lessor->stale = kv_store_leases(lessor->store, load_lease, &loading) != 0;
    while (count < max && lessor->count && lessor->heap[0]->wake <= now) {
        timed = lessor->heap[0];
        actions[count++] = (struct kv_lease_action){timed->lease.id, timed->expiry <= now,
                                                    seconds_left(timed, now)};
        if (timed->expiry <= now) {
            timed->wake = now + KV_LEASE_RETRY_MS;
            heap_sift(lessor, timed);
        } else {
            timed->noted = true;
            plan_checkpoint(timed, now);
            wake_at(lessor, timed);
        }
    }
    return count;
}

uint64_t kv_lessor_next(const struct kv_lessor *lessor)
{
    return lessor->stale ? 0 : lessor->count ? lessor->heap[0]->wake : UINT64_MAX;
}

int kv_lessor_open(struct kv_lessor **out, struct kv_store *store, struct env *env)
{
    struct kv_lessor *lessor = calloc(1, sizeof(*lessor));

    if (!lessor)
        return CULVERT_ENOMEM;
    lessor->store = store;
    lessor->env = env;
    lessor->observer = (struct kv_observer){.arg = lessor,
                                            .changed = store_changed,
                                            .lease = lease_changed,
                                            .replaced = store_replaced};
    kv_store_observe(store, &lessor->observer);
    *out = lessor;
    return 0;
}

void kv_lessor_close(struct kv_lessor *lessor)
{
    if (!lessor)
        return;
    kv_store_forget(lessor->store, &lessor->observer);
    forget_all(lessor);
    free(lessor->heap);
    free(lessor->buckets);
    free(lessor);
}
