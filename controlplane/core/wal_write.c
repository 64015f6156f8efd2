/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. Records are framed into batches in memory; one batch at a time is written and
 * synced. What is framed meanwhile is the next batch, whoever asked for it.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

struct wal_segment *wal_segment(const struct wal *wal, uint64_t sequence)
{
    return &wal->segments[sequence - wal->oldest];
}

int wal_segment_add(struct wal *wal, uint64_t id, uint64_t size)
{
    if (wal->oldest + wal->segment_count > WAL_SEQUENCE_MAX)
        return CULVERT_EFULL;
    if (wal->segment_count == wal->segment_room) {
        size_t room = wal->segment_room ? 2 * wal->segment_room : 8;
        struct wal_segment *segments = realloc(wal->segments, room * sizeof(*segments));

        if (!segments)
            return CULVERT_ENOMEM;
        wal->segments = segments;
        wal->segment_room = room;
    }
    wal->segments[wal->segment_count++] = (struct wal_segment){.id = id, .size = size};
    return 0;
}

void wal_batch_free(struct wal_batch *batch)
{
    free(batch->bytes);
    free(batch);
}

/* What a kept batch costs. */
static size_t batch_cost(const struct wal_batch *batch)
{
    return sizeof(*batch) + batch->length;
}

/* Room for one more in the list, by moving it to the front or by growing it. */
static int batches_reserve(struct wal *wal)
{
    size_t room = wal->batch_room ? 2 * wal->batch_room : 16;
    struct wal_batch **batches;

    if (wal->batch_end < wal->batch_room)
        return 0;
    if (wal->batch_head > wal->batch_room / 2) {
        memmove(wal->batches, wal->batches + wal->batch_head,
                (wal->batch_end - wal->batch_head) * sizeof(*wal->batches));
        wal->batch_done -= wal->batch_head;
        wal->batch_end -= wal->batch_head;
        wal->batch_head = 0;
        return 0;
    }
    batches = realloc(wal->batches, room * sizeof(*batches));
    if (!batches)
        return CULVERT_ENOMEM;
    wal->batches = batches;
    wal->batch_room = room;
    return 0;
}

static int batch_grow(struct wal_batch *batch, size_t more)
{
    size_t room = batch->room ? batch->room : 4096;
    uint8_t *bytes;

    if (batch->length + more <= batch->room)
        return 0;
    while (room < batch->length + more)
        room *= 2;
    bytes = realloc(batch->bytes, room);
    if (!bytes)
        return CULVERT_ENOMEM;
    batch->bytes = bytes;
    batch->room = room;
    return 0;
}

/* The batch that the next record goes to: NULL, if one has to be begun. */
static struct wal_batch *batch_open(const struct wal *wal)
{
    struct wal_batch *batch;

    if (wal->batch_end == wal->batch_done + wal->writing)
        return NULL;
    batch = wal->batches[wal->batch_end - 1];
    return batch->length < WAL_BATCH_MAX &&
                   wal_lsn_sequence(batch->lsn) == wal_lsn_sequence(wal->next)
               ? batch
               : NULL;
}

/* Frames a record that fits into the segment at the log's end. */
static int put_here(struct wal *wal, struct wal_record record)
{
    size_t size = (size_t)wal_record_size(record.length);
    uint64_t id = wal_segment(wal, wal_lsn_sequence(wal->next))->id;
    struct wal_batch *batch = batch_open(wal), *begun = NULL;

    if (!batch) {
        if (batches_reserve(wal) || !(begun = calloc(1, sizeof(*begun))))
            return CULVERT_ENOMEM;
        begun->lsn = wal->next;
        batch = begun;
        record.flags |= WAL_FLAG_FIRST;
    }
    if (batch_grow(batch, size)) {
        free(begun);
        return CULVERT_ENOMEM;
    }
    if (begun)
        wal->batches[wal->batch_end++] = begun;
    wal_record_write(&record, id, wal->next, batch->bytes + batch->length);
    batch->length += size;
    if (record.kind == WAL_LOW)
        batch->low = record.index;
    batch->sealed |= record.kind == WAL_SEAL;
    wal->pending += size;
    wal->next += size;
    return 0;
}

static int roll(struct wal *wal)
{
    uint64_t next = wal_lsn_sequence(wal->next) + 1, id;
    struct wal_record seal = {.kind = WAL_SEAL, .index = next};
    int error = 0;

    if (next == wal->oldest + wal->segment_count) {
        wal->env->ops->random(wal->env, &id, sizeof(id));
        error = wal_segment_add(wal, id, wal->size);
    }
    if (!error)
        error = put_here(wal, seal);
    if (!error)
        wal->next = wal_lsn(next, WAL_FIRST);
    return error;
}

int wal_put(struct wal *wal, const struct wal_record *record, uint64_t *lsn)
{
    const struct wal_segment *segment = wal_segment(wal, wal_lsn_sequence(wal->next));
    uint64_t size = wal_record_size(record->length) + wal_record_size(0); /* and a seal's */
    uint64_t at;
    int error = 0;

    if (wal_lsn_offset(wal->next) + size > segment->size)
        error = roll(wal);
    at = wal->next;
    if (!error)
        error = put_here(wal, *record);
    if (!error)
        *lsn = at;
    return error;
}

struct wal_point wal_point(const struct wal *wal)
{
    return (struct wal_point){
        .next = wal->next,
        .batch_end = wal->batch_end - wal->batch_head,
        .length = wal->batch_end > wal->batch_head ? wal->batches[wal->batch_end - 1]->length : 0,
        .pending = wal->pending,
    };
}

void wal_take_back(struct wal *wal, const struct wal_point *point)
{
    while (wal->batch_end - wal->batch_head > point->batch_end)
        wal_batch_free(wal->batches[--wal->batch_end]);
    if (wal->batch_end > wal->batch_head)
        wal->batches[wal->batch_end - 1]->length = point->length;
    if (wal->batch_end > wal->batch_head &&
        wal_lsn_sequence(point->next) == wal_lsn_sequence(wal->batches[wal->batch_end - 1]->lsn))
        wal->batches[wal->batch_end - 1]->sealed = false;
    wal->next = point->next;
    wal->pending = point->pending;
}

const struct wal_batch *wal_batch_find(const struct wal *wal, uint64_t lsn)
{
    size_t low = wal->batch_head, high = wal->batch_end;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (wal->batches[middle]->lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low > wal->batch_head ? wal->batches[low - 1] : NULL;
}

static void syncs_call(struct wal_sync *sync, int status)
{
    while (sync) {
        struct wal_sync *next = sync->next;

        sync->done(sync, status);
        sync = next;
    }
}

void wal_fail(struct wal *wal, int status)
{
    struct wal_sync *idle = wal->idle_syncs;

    if (!wal->failed)
        wal->failed = status;
    wal->idle_syncs = NULL;
    for (size_t i = wal->batch_done; i < wal->batch_end; i++) {
        struct wal_batch *batch = wal->batches[i];
        struct wal_sync *syncs = batch->syncs;

        batch->syncs = NULL;
        syncs_call(syncs, status);
    }
    syncs_call(idle, status);
}

/* Keeps the batch that was written for readers, within the bound. */
static void batch_keep(struct wal *wal)
{
    struct wal_batch *batch = wal->batches[wal->batch_done++];
    uint8_t *bytes = realloc(batch->bytes, batch->length);

    if (bytes) {
        batch->bytes = bytes;
        batch->room = batch->length;
    }
    wal->pending -= batch->length;
    wal->kept += batch_cost(batch);
    while (wal->kept > WAL_CACHE && wal->batch_head < wal->batch_done) {
        wal->kept -= batch_cost(wal->batches[wal->batch_head]);
        wal_batch_free(wal->batches[wal->batch_head++]);
    }
}

static void batch_written(struct env_write *write, int status)
{
    struct wal *wal = write->arg;
    struct wal_batch *batch = wal->batches[wal->batch_done];
    struct wal_sync *syncs = batch->syncs;

    wal->writing = false;
    if (status) {
        wal_fail(wal, status);
    } else {
        batch->syncs = NULL;
        if (batch->low)
            wal->low = batch->low;
        batch_keep(wal);
        syncs_call(syncs, 0);
        wal_tidy(wal);
        wal_write_next(wal);
        wal_keep(wal);
    }
    wal_drop(wal);
}

void wal_write_next(struct wal *wal)
{
    const struct wal_batch *batch;

    if (wal->writing || wal->failed || wal->closing || wal->batch_done == wal->batch_end)
        return;
    batch = wal->batches[wal->batch_done];
    if (!wal->file || wal->file_sequence != wal_lsn_sequence(batch->lsn)) {
        if (!wal_keep_ready(wal))
            return;
        wal_keep_take(wal);
    }
    if (batch->sealed && !wal_keep_ready(wal))
        return;
    wal->part = (struct iovec){.iov_base = batch->bytes, .iov_len = batch->length};
    wal->write = (struct env_write){.file = wal->file,
                                    .offset = wal_lsn_offset(batch->lsn),
                                    .parts = &wal->part,
                                    .count = 1,
                                    .sync = true,
                                    .done = batch_written,
                                    .arg = wal};
    wal->writing = true;
    wal->holds++;
    wal->env->ops->file_write(wal->env, &wal->write);
}

/* By the timer, so that all that comes in one round of the loop goes out in one write. */
void wal_kick(struct wal *wal)
{
    if ((!wal->writing || wal->failed) && !wal->closing)
        wal->env->ops->timer_set(wal->env, &wal->timer, env_now(wal->env));
}

void wal_timer_fired(void *arg)
{
    struct wal *wal = arg;
    struct wal_sync *idle = wal->idle_syncs;

    wal->holds++;
    wal->idle_syncs = NULL;
    syncs_call(idle, wal->failed);
    wal_write_next(wal);
    wal_drop(wal);
}

void wal_sync(struct wal *wal, struct wal_sync *sync)
{
    struct wal_sync **first = &wal->idle_syncs, **last = &wal->last_idle_sync;

    if (!wal->failed && wal->batch_done < wal->batch_end) {
        first = &wal->batches[wal->batch_end - 1]->syncs;
        last = &wal->batches[wal->batch_end - 1]->last_sync;
    }
    sync->next = NULL;
    if (*first)
        (*last)->next = sync;
    else
        *first = sync;
    *last = sync;
    wal_kick(wal);
}
