/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/store.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

static struct kv_store *store_of(struct machine *machine)
{
    return (struct kv_store *)machine;
}

int kv_meta_read(struct kv_engine *engine, struct kv_meta *meta)
{
    static const uint8_t name = LAYOUT_META;
    struct buffer record = {0};
    int error = engine->ops->get(engine, NULL, (struct kv_slice){&name, 1}, &record);

    *meta = (struct kv_meta){.revision = 1};
    if (!error && !layout_meta_decode(meta, kv_buffer_slice(&record)))
        error = CULVERT_ECORRUPT;
    buffer_free(&record);
    return error == CULVERT_ENOTFOUND ? 0 : error;
}

/* ---- durability ---- */

static uint64_t store_durable(struct machine *machine)
{
    return store_of(machine)->durable;
}

static uint64_t store_applied(struct machine *machine)
{
    return store_of(machine)->meta.applied;
}

static void flush_run(struct env_work *work)
{
    struct kv_store *store = work->arg;

    if (!store->flush.status)
        store->flush.status = store->engine->ops->flush(store->engine);
}

static void flush_done(struct env_work *work)
{
    struct kv_store *store = work->arg;

    if (!store->flush.status && !store->flush.stale)
        store->durable = store->flush.index;
    store->flush.done(store->flush.arg, store->flush.status);
}

static void store_flush(struct machine *machine, void (*done)(void *arg, int status), void *arg)
{
    struct kv_store *store = store_of(machine);

    store->flush.work = (struct env_work){.run = flush_run, .done = flush_done, .arg = store};
    store->flush.done = done;
    store->flush.arg = arg;
    store->flush.index = store->meta.applied;
    store->flush.status = kv_cache_settle(store->engine);
    store->flush.stale = false;
    store->env->ops->work(store->env, &store->flush.work);
}

static const struct machine_ops store_ops = {
    .durable = store_durable,
    .applied = store_applied,
    .apply = kv_apply,
    .flush = store_flush,
    .dump_open = kv_dump_open,
    .dump_next = kv_dump_next,
    .dump_close = kv_dump_close,
    .load_begin = kv_load_begin,
    .load_chunk = kv_load_chunk,
    .load_commit = kv_load_commit,
    .load_abort = kv_load_abort,
};

/* ---- opening and closing ---- */

int kv_store_open(struct kv_store **out, struct kv_engine *engine, struct env *env)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    struct kv_engine *cache = NULL;
    int error = store ? kv_cache_open(&cache, engine) : CULVERT_ENOMEM;

    if (!error) {
        engine = cache;
        error = kv_meta_read(engine, &store->meta);
    }
    if (error) {
        engine->ops->close(engine);
        free(store);
        return error;
    }
    store->machine.ops = &store_ops;
    store->engine = engine;
    store->env = env;
    store->durable = store->meta.applied;
    *out = store;
    return 0;
}

void kv_store_close(struct kv_store *store)
{
    if (!store)
        return;
    kv_load_abort(&store->machine);
    kv_batch_free(&store->batch);
    store->engine->ops->close(store->engine);
    free(store);
}

struct machine *kv_store_machine(struct kv_store *store)
{
    return &store->machine;
}

void kv_store_info(struct kv_store *store, struct kv_info *info)
{
    const struct kv_meta *meta = &store->meta;

    *info = (struct kv_info){
        .applied = meta->applied,
        .durable = store->durable,
        .revision = meta->revision,
        .compacted = meta->compacted,
        .tidying = meta->tidying,
        .alarm = meta->alarm,
        .size = meta->size,
        .quota = meta->quota ? meta->quota : KV_QUOTA_DEFAULT,
        .disk = store->engine->ops->size(store->engine),
        .keys = meta->keys,
        .leases = meta->leases,
    };
}

/* ---- observers ---- */

void kv_store_observe(struct kv_store *store, struct kv_observer *observer)
{
    observer->next = store->observers;
    store->observers = observer;
}

void kv_store_forget(struct kv_store *store, struct kv_observer *observer)
{
    struct kv_observer **link = &store->observers;

    while (*link && *link != observer)
        link = &(*link)->next;
    if (*link)
        *link = observer->next;
}
