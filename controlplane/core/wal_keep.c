/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments come and go. The next one is made ahead on a thread: allocated (or the file of a segment
 * that isn't needed is used again, for which one is left), its header written, and only then named,
 * so that a file with a segment's name always has a header. The oldest one goes when no group has
 * an entry in it; the newest marks that are still in it are framed again before. A segment is
 * removed after a record that says so (WAL_LOW) is on the disk: so a missing file is told from one
 * that went.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

/* Above so many segments, entries that a snapshot has are not kept for others' sake if they hold
 * the oldest segment. */
#define SEGMENTS_MANY 16u

static void spare_made(struct env_work *work);
static void spare_headed(struct env_write *write, int status);
static void spare_named(struct env_work *work);
static void segment_removed(struct env_work *work);

/* On a thread. */
static void spare_make(struct env_work *work)
{
    struct wal *wal = work->arg;
    struct wal_keeper *keeper = &wal->keeper;
    const struct env_ops *ops = wal->env->ops;
    char name[WAL_NAME_BYTES];
    uint64_t size = 0;

    keeper->file = NULL;
    if (keeper->recycle) {
        wal_name(keeper->recycle, name);
        ops->file_rename(wal->env, name, WAL_SPARE); /* or else the file is made anew */
    }
    keeper->status = ops->file_open(wal->env, WAL_SPARE, ENV_FILE_CREATE, &keeper->file);
    if (keeper->status)
        return;
    keeper->status = ops->file_size(wal->env, keeper->file, &size);
    if (!keeper->status && size > keeper->header.size)
        keeper->status = ops->file_truncate(wal->env, keeper->file, keeper->header.size);
    if (!keeper->status && size < keeper->header.size)
        keeper->status = ops->file_allocate(wal->env, keeper->file, keeper->header.size);
    if (keeper->status) {
        ops->file_close(wal->env, keeper->file);
        keeper->file = NULL;
        ops->file_remove(wal->env, WAL_SPARE);
    }
}

/* On a thread. */
static void spare_name(struct env_work *work)
{
    struct wal *wal = work->arg;
    char name[WAL_NAME_BYTES];

    wal_name(wal->keeper.header.sequence, name);
    wal->keeper.status = wal->env->ops->file_rename(wal->env, WAL_SPARE, name);
}

/* On a thread. */
static void segment_remove(struct env_work *work)
{
    struct wal *wal = work->arg;
    char name[WAL_NAME_BYTES];

    wal_name(wal->keeper.remove, name);
    wal->env->ops->file_remove(wal->env, name); /* what stays is removed at the next opening */
}

static void keeper_work(struct wal *wal, void (*run)(struct env_work *work),
                        void (*done)(struct env_work *work))
{
    wal->keeper.busy = true;
    wal->keeper.work = (struct env_work){.run = run, .done = done, .arg = wal};
    wal->holds++;
    wal->env->ops->work(wal->env, &wal->keeper.work);
}

/* The oldest segment leaves the table; its file is the keeper's. */
static uint64_t oldest_take(struct wal *wal)
{
    wal_window_close(&wal->reader);
    memmove(wal->segments, wal->segments + 1, --wal->segment_count * sizeof(*wal->segments));
    return wal->oldest++;
}

static void spare_begin(struct wal *wal)
{
    struct wal_keeper *keeper = &wal->keeper;
    uint64_t sequence = wal->file_sequence + 1, id;

    if (sequence == wal->oldest + wal->segment_count) {
        wal->env->ops->random(wal->env, &id, sizeof(id));
        keeper->status = wal_segment_add(wal, id, wal->size);
        if (keeper->status) {
            if (keeper->needed)
                wal_fail(wal, keeper->status);
            return;
        }
    }
    keeper->header = (struct wal_header){.id = wal_segment(wal, sequence)->id,
                                         .sequence = sequence,
                                         .size = wal_segment(wal, sequence)->size,
                                         .low = wal->low};
    keeper->recycle = wal->oldest < wal->low ? oldest_take(wal) : 0;
    keeper_work(wal, spare_make, spare_made);
}

/* Making the spare has failed: for good when a write waits for it. */
static void spare_failed(struct wal *wal, int status)
{
    if (wal->keeper.file)
        wal->env->ops->file_close(wal->env, wal->keeper.file);
    wal->keeper.file = NULL;
    wal->keeper.status = status;
    if (wal->keeper.needed)
        wal_fail(wal, status);
}

static void spare_made(struct env_work *work)
{
    struct wal *wal = work->arg;
    struct wal_keeper *keeper = &wal->keeper;

    keeper->busy = false;
    if (keeper->status) {
        spare_failed(wal, keeper->status);
    } else if (wal->closing) {
        spare_failed(wal, 0);
    } else {
        wal_header_write(&keeper->header, keeper->bytes);
        keeper->part = (struct iovec){.iov_base = keeper->bytes, .iov_len = WAL_HEADER_BYTES};
        keeper->write = (struct env_write){.file = keeper->file,
                                           .parts = &keeper->part,
                                           .count = 1,
                                           .sync = true,
                                           .done = spare_headed,
                                           .arg = wal};
        keeper->busy = true;
        wal->holds++;
        wal->env->ops->file_write(wal->env, &keeper->write);
    }
    wal_drop(wal);
}

static void spare_headed(struct env_write *write, int status)
{
    struct wal *wal = write->arg;

    wal->keeper.busy = false;
    wal->keeper.needed |= status != 0; /* a write that failed isn't tried again */
    if (status || wal->closing)
        spare_failed(wal, status);
    else
        keeper_work(wal, spare_name, spare_named);
    wal_drop(wal);
}

static void spare_named(struct env_work *work)
{
    struct wal *wal = work->arg;

    wal->keeper.busy = false;
    if (wal->keeper.status || wal->closing) {
        spare_failed(wal, wal->keeper.status);
    } else {
        wal->keeper.ready = true;
        wal->keeper.needed = false;
        wal_write_next(wal);
        wal_keep(wal);
    }
    wal_drop(wal);
}

static void segment_removed(struct env_work *work)
{
    struct wal *wal = work->arg;

    wal->keeper.busy = false;
    if (!wal->closing)
        wal_write_next(wal);
    wal_keep(wal);
    wal_drop(wal);
}

void wal_keep(struct wal *wal)
{
    struct wal_keeper *keeper = &wal->keeper;

    if (keeper->busy || wal->failed || wal->closing)
        return;
    if (!keeper->ready && (!keeper->status || keeper->needed)) {
        spare_begin(wal);
    } else if (wal->oldest + 1 < wal->low) {
        keeper->remove = oldest_take(wal);
        keeper_work(wal, segment_remove, segment_removed);
    }
}

bool wal_keep_ready(struct wal *wal)
{
    wal->keeper.needed = !wal->keeper.ready;
    wal_keep(wal);
    return wal->keeper.ready;
}

void wal_keep_take(struct wal *wal)
{
    struct wal_keeper *keeper = &wal->keeper;

    if (wal->file)
        wal->env->ops->file_close(wal->env, wal->file);
    wal->file = keeper->file;
    wal->file_sequence++;
    keeper->file = NULL;
    keeper->ready = false;
    keeper->status = 0;
}

int wal_put_term(struct wal *wal, struct wal_state *state, uint64_t term, uint64_t vote)
{
    struct wal_record record = {.kind = WAL_TERM, .group = state->id, .term = term, .index = vote};
    uint64_t lsn;
    int error = wal_put(wal, &record, &lsn);

    if (error)
        return error;
    state->term = term;
    state->vote = vote;
    wal_state_term(wal, state, lsn);
    return 0;
}

int wal_put_snapshot(struct wal *wal, const struct wal_state *state, const struct wal_group *mark,
                     bool reset, uint64_t *lsn)
{
    struct wal_record record = {.kind = WAL_SNAPSHOT,
                                .flags = reset ? WAL_FLAG_RESET : 0,
                                .group = state->id,
                                .index = mark->snapshot_index,
                                .term = mark->snapshot_term,
                                .length = (uint32_t)(WAL_SNAPSHOT_BYTES + mark->meta_length)};
    uint64_t first = htole64(mark->first);
    uint8_t *body = malloc(record.length);
    int error;

    if (!body)
        return CULVERT_ENOMEM;
    memcpy(body, &first, sizeof(first));
    if (mark->meta_length)
        memcpy(body + sizeof(first), mark->meta, mark->meta_length);
    record.body = body;
    error = wal_put(wal, &record, lsn);
    free(body);
    return error;
}

/* Frames the group's snapshot mark again, entries before `first` being forgotten. */
static int snapshot_again(struct wal *wal, struct wal_state *state, uint64_t first)
{
    struct wal_group mark = {.first = first,
                             .snapshot_index = state->snapshot_index,
                             .snapshot_term = state->snapshot_term,
                             .meta = state->meta,
                             .meta_length = state->meta_length};

    return wal_put_snapshot(wal, state, &mark, false, &state->snapshot_lsn);
}

/* Forgets the entries of a segment that their groups' snapshots have. */
static int trailing_drop(struct wal *wal, uint64_t sequence)
{
    int error = 0;

    for (size_t i = 0; i < wal->group_count && !error; i++) {
        struct wal_state *state = wal->groups[i];
        uint64_t first = state->first;

        while (first <= state->last && first <= state->snapshot_index &&
               wal_lsn_sequence(wal_state_lsn(state, first)) == sequence)
            first++;
        if (first == state->first)
            continue;
        error = snapshot_again(wal, state, first);
        if (!error)
            wal_state_drop(wal, state, first);
    }
    return error;
}

/* Frames the marks again that are in a segment. */
static int marks_move(struct wal *wal, uint64_t sequence)
{
    int error = 0;

    for (size_t i = 0; i < wal->group_count && !error; i++) {
        struct wal_state *state = wal->groups[i];

        if (state->term_lsn && wal_lsn_sequence(state->term_lsn) == sequence)
            error = wal_put_term(wal, state, state->term, state->vote);
        if (!error && state->snapshot_lsn && wal_lsn_sequence(state->snapshot_lsn) == sequence)
            error = snapshot_again(wal, state, state->first);
    }
    return error;
}

/* Segments before the one that is written. */
static uint64_t segments_full(const struct wal *wal)
{
    return wal->file_sequence > wal->oldest ? wal->file_sequence - wal->oldest : 0;
}

/* The segment can go, now that what is needed of it was framed again. */
static bool segment_clear(struct wal *wal, uint64_t sequence)
{
    uint64_t full = segments_full(wal);

    if (sequence >= wal->file_sequence)
        return false;
    if (wal_segment(wal, sequence)->live && (full < SEGMENTS_MANY || trailing_drop(wal, sequence)))
        return false;
    /* With many big marks, moving them frees little: only where most of the log is not marks. */
    return !wal_segment(wal, sequence)->live && full * wal->size >= 4 * wal->marks &&
           !marks_move(wal, sequence);
}

void wal_tidy(struct wal *wal)
{
    struct wal_record record = {.kind = WAL_LOW};
    uint64_t lsn;

    if (wal->failed || wal->closing)
        return;
    while (segment_clear(wal, wal->low_wanted))
        wal->low_wanted++;
    record.index = wal->low_wanted;
    if (wal->low_framed < wal->low_wanted && !wal_put(wal, &record, &lsn)) {
        wal->low_framed = wal->low_wanted;
        wal_kick(wal);
    }
}

int wal_pinned(const struct wal *wal, uint64_t *group)
{
    if (segments_full(wal) < SEGMENTS_MANY)
        return CULVERT_ENOTFOUND;
    for (size_t i = 0; i < wal->group_count; i++) {
        const struct wal_state *state = wal->groups[i];

        if (state->first <= state->last &&
            wal_lsn_sequence(wal_state_lsn(state, state->first)) == wal->low_wanted) {
            *group = state->id;
            return 0;
        }
    }
    return CULVERT_ENOTFOUND;
}
