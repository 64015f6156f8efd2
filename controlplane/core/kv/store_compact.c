/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction. A command names the revision before which the past is forgotten; nobody can read it
 * from then on. Its records are removed by the commands that follow, a bounded number each and the
 * same on all nodes, so that nothing stalls and sizes stay equal. Removal walks the changes up to
 * the compacted revision: each one names the version that it replaced, which goes; a deletion goes
 * itself. The cost is that of the changes, however many keys there are.
 */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

int kv_compact(struct kv_work *work, uint64_t revision)
{
    struct kv_meta *meta = &work->meta;

    if (revision > meta->revision)
        return kv_refuse(work, CULVERT_EFUTURE);
    if (revision <= meta->compacted)
        return kv_refuse(work, CULVERT_ECOMPACTED);
    if (meta->tidied.main == meta->compacted) {
        /* What was spared of that revision goes now. */
        meta->seam = meta->tidied;
        if (!meta->tidying)
            meta->seam.sub = LAYOUT_SUB_LAST;
        meta->tidied.sub = 0;
    }
    meta->compacted = revision;
    meta->tidying = true;
    return 0;
}

/* Removes a record of so many bytes with its entry in the index. */
static int remove_point(struct kv_work *work, struct kv_slice key, struct kv_point point,
                        size_t size)
{
    layout_history_key(&work->key, point);
    if (work->key.error)
        return work->key.error;
    kv_work_remove(work, kv_buffer_slice(&work->key), size);
    layout_index_key(&work->key, key, point);
    kv_work_remove(work, kv_buffer_slice(&work->key), 1);
    return work->key.error;
}

/* Whether what the change replaced was removed when the change was looked at for the first time. */
static bool removed_before(const struct kv_meta *meta, struct kv_point point,
                           struct kv_point replaced)
{
    return point.main == meta->seam.main && point.sub < meta->seam.sub &&
           replaced.main < meta->seam.main;
}

/* One change at or before the compacted revision. Watches may start at that one: its own changes
 * are spared. */
static int tidy_change(struct kv_work *work, struct kv_point point, struct kv_slice record)
{
    const struct kv_meta *meta = &work->meta;
    struct kv_history history;
    int error = 0;

    if (!layout_history_decode(&history, record))
        return CULVERT_ECORRUPT;
    if (history.before.main && history.before.main < meta->compacted &&
        !removed_before(meta, point, history.before))
        error = remove_point(work, history.key, history.before, history.before_size);
    if (!error && !history.put && point.main < meta->compacted)
        error = remove_point(work, history.key, point, record.length);
    return error;
}

static int tidy_walk(struct kv_work *work, struct kv_iterator *iterator, size_t records)
{
    struct kv_meta *meta = &work->meta;
    int error;

    layout_history_key(&work->record, meta->tidied);
    if (work->record.error)
        return work->record.error;
    for (iterator->ops->seek(iterator, kv_buffer_slice(&work->record));
         records && iterator->ops->valid(iterator); iterator->ops->next(iterator), records--) {
        if (!layout_point_decode(&meta->tidied, iterator->ops->key(iterator)))
            return CULVERT_ECORRUPT;
        error = tidy_change(work, meta->tidied, iterator->ops->value(iterator));
        if (error)
            return error;
        meta->tidied.sub++;
    }
    error = iterator->ops->error(iterator);
    if (!error && records) {
        meta->tidying = false;
        meta->tidied = (struct kv_point){meta->compacted, 0};
    }
    return error;
}

int kv_tidy(struct kv_work *work, size_t records)
{
    struct kv_engine *engine = work->store->engine;
    struct buffer from = {0}, to = {0};
    struct kv_iterator *iterator;
    int error;

    if (!work->meta.tidying || !records)
        return 0;
    layout_history_key(&from, work->meta.tidied);
    layout_history_key(&to, (struct kv_point){work->meta.compacted + 1, 0});
    error = from.error ? from.error : to.error;
    if (!error)
        error = engine->ops->iterator(engine, NULL, kv_buffer_slice(&from), kv_buffer_slice(&to),
                                      &iterator);
    if (!error) {
        error = tidy_walk(work, iterator, records < KV_TIDY_MAX ? records : KV_TIDY_MAX);
        iterator->ops->close(iterator);
    }
    buffer_free(&from);
    buffer_free(&to);
    return error;
}

static uint64_t quota_of(const struct kv_meta *meta)
{
    return meta->quota ? meta->quota : KV_QUOTA_DEFAULT;
}

/* An eighth of the quota is free: the alarm is off. */
static bool has_room(const struct kv_meta *meta)
{
    return meta->size <= quota_of(meta) - quota_of(meta) / 8;
}

int kv_quota_check(struct kv_work *work, uint64_t bytes)
{
    if (!work->meta.alarm && work->meta.size + bytes <= quota_of(&work->meta))
        return 0;
    if (!has_room(&work->meta))
        work->meta.alarm = true;
    return kv_refuse(work, CULVERT_EQUOTA);
}

void kv_quota_relax(struct kv_work *work)
{
    if (has_room(&work->meta))
        work->meta.alarm = false;
}
