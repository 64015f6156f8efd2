/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening. Segments before WAL_LOW are left-overs; the others must all be there and be whole up to
 * the tail: the first record that isn't. What lies behind the tail was being written when the
 * node went down, and is cut, unless something there proves that the tail had been on the disk:
 * then the disk has lost what was acknowledged, and the log is refused.
 *
 * Nothing is changed before all of it was read, and every change can be made again: a crash during
 * recovery leaves what recovery can read.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/buffer.h"
#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

#define REBUILD                                                                                    \
    "What this node had acknowledged may be lost, so it must not go on with it. "                  \
    "`culvert node rebuild` makes it anew from the other nodes."

struct recovery {
    struct wal *wal;
    struct buffer problem;
    struct wal_window window;
    uint64_t *found; /* sequence numbers of the files, ascending */
    size_t found_count, found_room;
    uint64_t newest;
    uint64_t size;   /* of the segment that is being read */
    uint64_t tail;   /* LSN at which the next record goes */
    bool spare;      /* the newest is a segment that was made and not begun */
    bool spare_used; /* and has traces of records */
};

static int damaged(struct recovery *recovery, uint64_t sequence, uint64_t offset, const char *what)
{
    char name[WAL_NAME_BYTES];

    wal_name(sequence, name);
    buffer_clear(&recovery->problem);
    buffer_format(&recovery->problem, "the log is damaged: %s at byte %" PRIu64 ": %s. %s", name,
                  offset, what, REBUILD);
    return CULVERT_ECORRUPT;
}

static int failed(struct recovery *recovery, uint64_t sequence, const char *what, int error)
{
    char name[WAL_NAME_BYTES];

    wal_name(sequence, name);
    buffer_clear(&recovery->problem);
    buffer_format(&recovery->problem, "%s: %s: %s", name, what, culvert_strerror(error));
    return error;
}

static int file_found(void *arg, const char *name)
{
    struct recovery *recovery = arg;
    uint64_t sequence = wal_name_sequence(name);

    if (!sequence)
        return 0;
    if (recovery->found_count == recovery->found_room) {
        size_t room = recovery->found_room ? 2 * recovery->found_room : 16;
        uint64_t *found = realloc(recovery->found, room * sizeof(*found));

        if (!found)
            return CULVERT_ENOMEM;
        recovery->found = found;
        recovery->found_room = room;
    }
    recovery->found[recovery->found_count++] = sequence;
    return 0;
}

static int sequence_compare(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

/* Opens a segment and reads its header. */
static int segment_open(struct recovery *recovery, uint64_t sequence, struct wal_header *header)
{
    const uint8_t *bytes;
    int64_t got;
    int error = wal_window_open(&recovery->window, recovery->wal->env, sequence);

    if (error == CULVERT_ENOTFOUND)
        return damaged(recovery, sequence, 0, "the file is missing");
    if (error)
        return failed(recovery, sequence, "can't be opened", error);
    got = wal_window_get(&recovery->window, 0, WAL_HEADER_BYTES, &bytes);
    if (got < 0)
        return failed(recovery, sequence, "can't be read", (int)got);
    error = got < (int64_t)WAL_HEADER_BYTES ? CULVERT_ECORRUPT : wal_header_read(header, bytes);
    if (!error && header->sequence != sequence)
        error = CULVERT_ECORRUPT;
    if (error == CULVERT_EUNSUPPORTED)
        return failed(recovery, sequence, "written by a newer Culvert", error);
    return error ? damaged(recovery, sequence, 0, "the segment's header is wrong") : 0;
}

/* Raises *low to what the whole records of a segment say. */
static int low_read(struct recovery *recovery, uint64_t sequence, uint64_t *low)
{
    struct wal_header header;
    struct wal_record record;
    uint64_t offset = WAL_FIRST;
    int64_t size;
    int error = segment_open(recovery, sequence, &header);

    if (error)
        return error;
    if (header.low > *low)
        *low = header.low;
    while ((size = wal_window_record(&recovery->window, header.id, offset, &record)) > 0) {
        if (record.kind == WAL_SEAL)
            return 0;
        if (record.kind == WAL_LOW && record.index > *low && record.index <= sequence)
            *low = record.index;
        offset += (uint64_t)size;
    }
    return size < 0 ? failed(recovery, sequence, "can't be read", (int)size) : 0;
}

/* Which segments there must be: from *low to the newest. The newest two say so: the header of the
 * newest was written when the one before it was the last. */
static int low_find(struct recovery *recovery, uint64_t *low)
{
    int error = low_read(recovery, recovery->newest, low);

    if (error || recovery->found_count < 2 ||
        recovery->found[recovery->found_count - 2] != recovery->newest - 1)
        return error;
    return low_read(recovery, recovery->newest - 1, low);
}

/* Looks in the open segment from `offset` on for what stands before a record's body: returns the
 * offset, 0: there is none, or an error. With `first`: only of a write's first record. */
static int64_t trace_find(struct recovery *recovery, uint64_t id, uint64_t offset, bool first)
{
    struct wal_record record;

    for (;;) {
        const uint8_t *bytes;
        int64_t got = wal_window_get(&recovery->window, offset, WAL_RECORD_BYTES, &bytes);

        if (got < (int64_t)WAL_RECORD_BYTES)
            return got < 0 ? got : 0;
        for (; got >= (int64_t)WAL_RECORD_BYTES; got -= 8, offset += 8, bytes += 8)
            if (wal_record_head(&record, id, wal_lsn(recovery->window.sequence, offset), bytes) &&
                (!first || record.flags & WAL_FLAG_FIRST))
                return (int64_t)offset;
    }
}

/* The record at the tail isn't whole: is that how a crash leaves it? */
static int tail_check(struct recovery *recovery, uint64_t id)
{
    uint64_t sequence = wal_lsn_sequence(recovery->tail), offset = wal_lsn_offset(recovery->tail);
    struct wal_header next;
    int64_t trace = trace_find(recovery, id, offset + 8, true);
    int error;

    if (trace < 0)
        return failed(recovery, sequence, "can't be read", (int)trace);
    if (trace || sequence + 1 < recovery->newest)
        return damaged(recovery, sequence, offset,
                       "a record fails its checksum, and later ones are there");
    if (sequence == recovery->newest)
        return 0;
    error = segment_open(recovery, sequence + 1, &next);
    if (error)
        return error;
    recovery->spare = true;
    trace = trace_find(recovery, next.id, WAL_FIRST, true);
    if (trace > 0)
        return damaged(recovery, sequence, offset,
                       "a record fails its checksum, and the next segment goes on");
    if (!trace)
        trace = trace_find(recovery, next.id, WAL_FIRST, false);
    recovery->spare_used = trace > 0 || next.size != recovery->wal->size;
    if (trace < 0)
        return failed(recovery, sequence + 1, "can't be read", (int)trace);
    return recovery->spare_used ? 0 : wal_segment_add(recovery->wal, next.id, next.size);
}

static int snapshot_replay(struct wal *wal, struct wal_state *state,
                           const struct wal_record *record, uint64_t lsn)
{
    size_t length = record->length - WAL_SNAPSHOT_BYTES;
    uint8_t *meta = NULL;
    uint64_t first;

    memcpy(&first, record->body, sizeof(first));
    first = le64toh(first);
    if (!record->index || record->index >= UINT64_MAX - 1 || !first || first > record->index + 1)
        return CULVERT_ECORRUPT;
    if (length && !(meta = malloc(length)))
        return CULVERT_ENOMEM;
    if (length)
        memcpy(meta, record->body + WAL_SNAPSHOT_BYTES, length);
    wal_state_snapshot(wal, state, meta, length, lsn);
    state->snapshot_index = record->index;
    state->snapshot_term = record->term;
    if (record->flags & WAL_FLAG_RESET)
        wal_state_reset(wal, state, record->index);
    else if (first > state->first)
        wal_state_drop(wal, state, first);
    return 0;
}

/* Does what a record says. CULVERT_ECORRUPT: it can't have been written by a log. */
static int record_replay(struct wal *wal, const struct wal_record *record, uint64_t lsn)
{
    struct wal_state *state;
    int error;

    if (record->kind == WAL_LOW)
        return 0;
    error = wal_state_make(wal, record->group, &state);
    if (error)
        return error == CULVERT_EFULL ? CULVERT_ECORRUPT : error;
    if (record->kind == WAL_SNAPSHOT)
        return snapshot_replay(wal, state, record, lsn);
    if (record->kind == WAL_TERM) {
        state->term = record->term;
        state->vote = record->index;
        wal_state_term(wal, state, lsn);
        return 0;
    }
    if (!record->index || record->index >= UINT64_MAX - 1 || !record->term || !record->type)
        return CULVERT_ECORRUPT;
    error = wal_state_reserve(state, 1, 1);
    if (!error)
        wal_state_append(wal, state, record->index, record->term, lsn);
    return error;
}

/* Reads a segment's records up to its seal (*sealed) or to the tail. */
static int segment_replay(struct recovery *recovery, uint64_t sequence, bool *sealed)
{
    struct wal *wal = recovery->wal;
    struct wal_header header;
    struct wal_record record;
    uint64_t offset = WAL_FIRST;
    int64_t size;
    int error = segment_open(recovery, sequence, &header);

    *sealed = false;
    if (!error)
        error = wal_segment_add(wal, header.id, header.size);
    if (error)
        return error;
    recovery->size = header.size;
    while ((size = wal_window_record(&recovery->window, header.id, offset, &record)) > 0) {
        if (offset + (uint64_t)size > header.size)
            return damaged(recovery, sequence, offset, "a record beyond the segment's end");
        *sealed = record.kind == WAL_SEAL;
        error = *sealed ? 0 : record_replay(wal, &record, wal_lsn(sequence, offset));
        if (error == CULVERT_ECORRUPT || (*sealed && record.index != sequence + 1))
            return damaged(recovery, sequence, offset, "a record makes no sense");
        if (error || *sealed)
            return error;
        offset += (uint64_t)size;
    }
    if (size < 0)
        return failed(recovery, sequence, "can't be read", (int)size);
    recovery->tail = wal_lsn(sequence, offset);
    return tail_check(recovery, header.id);
}

static int segments_replay(struct recovery *recovery, uint64_t low)
{
    bool sealed = true;
    uint64_t sequence = low;
    int error = 0;

    recovery->wal->oldest = low;
    for (; sealed && !error; sequence++)
        error = segment_replay(recovery, sequence, &sealed);
    return error;
}

/* Every group's entries follow its snapshot. */
static int groups_check(struct recovery *recovery)
{
    const struct wal *wal = recovery->wal;

    for (size_t i = 0; i < wal->group_count; i++) {
        const struct wal_state *state = wal->groups[i];

        if (state->first > state->snapshot_index + 1 || state->last < state->snapshot_index)
            return damaged(recovery, wal_lsn_sequence(recovery->tail),
                           wal_lsn_offset(recovery->tail), "entries before it are missing");
    }
    return 0;
}

/* Opens the tail's segment for writing, with nothing but zeros behind the tail. Before it, the end
 * of the last full segment is synced: a killed node may have left it in memory. */
static int tail_cut(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    const struct env_ops *ops = wal->env->ops;
    uint64_t sequence = wal_lsn_sequence(recovery->tail), size;
    struct env_file *before;
    char name[WAL_NAME_BYTES];
    int error = 0;

    if (sequence > wal->oldest) {
        wal_name(sequence - 1, name);
        error = ops->file_open(wal->env, name, 0, &before);
        if (error)
            return error;
        error = ops->file_size(wal->env, before, &size);
        if (!error)
            error = ops->file_truncate(wal->env, before, size);
        ops->file_close(wal->env, before);
    }
    wal_name(sequence, name);
    if (!error)
        error = ops->file_open(wal->env, name, 0, &wal->file);
    if (!error)
        error = ops->file_truncate(wal->env, wal->file, wal_lsn_offset(recovery->tail));
    if (!error)
        error = ops->file_allocate(wal->env, wal->file, recovery->size);
    wal->file_sequence = sequence;
    wal->next = recovery->tail;
    return error;
}

static int spare_open(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    const struct env_ops *ops = wal->env->ops;
    char name[WAL_NAME_BYTES];
    uint64_t size;
    int error;

    wal_name(recovery->newest, name);
    if (recovery->spare_used)
        return ops->file_remove(wal->env, name);
    error = ops->file_open(wal->env, name, 0, &wal->keeper.file);
    if (!error)
        error = ops->file_size(wal->env, wal->keeper.file, &size);
    if (!error && size < wal->size)
        error = ops->file_allocate(wal->env, wal->keeper.file, wal->size);
    wal->keeper.ready = !error;
    return error;
}

/* The changes on the disk, and what an empty log needs. */
static int recovery_end(struct recovery *recovery, uint64_t low)
{
    struct wal *wal = recovery->wal;
    char name[WAL_NAME_BYTES];
    uint64_t id;
    int error;

    wal->low = wal->low_framed = wal->low_wanted = low;
    if (!recovery->found_count) {
        wal->env->ops->random(wal->env, &id, sizeof(id));
        wal->oldest = 1;
        wal->next = wal_lsn(1, WAL_FIRST);
        error = wal_segment_add(wal, id, wal->size);
    } else {
        error = tail_cut(recovery);
    }
    if (!error && recovery->spare)
        error = spare_open(recovery);
    for (size_t i = 0; i < recovery->found_count && !error && recovery->found[i] < low; i++) {
        wal_name(recovery->found[i], name);
        error = wal->env->ops->file_remove(wal->env, name);
    }
    if (!error)
        error = wal->env->ops->file_remove(wal->env, WAL_SPARE);
    return error == CULVERT_ENOTFOUND ? 0 : error;
}

int wal_recover(struct wal *wal, char **problem)
{
    struct recovery recovery = {.wal = wal, .problem = {.bound = 4096}};
    uint64_t low = 1;
    int error = wal->env->ops->file_list(wal->env, file_found, &recovery);

    if (!error && recovery.found_count) {
        qsort(recovery.found, recovery.found_count, sizeof(*recovery.found), sequence_compare);
        recovery.newest = recovery.found[recovery.found_count - 1];
        error = low_find(&recovery, &low);
        if (!error)
            error = segments_replay(&recovery, low);
        if (!error)
            error = groups_check(&recovery);
    }
    wal_window_close(&recovery.window);
    if (!error)
        error = recovery_end(&recovery, low);
    if (error && !recovery.problem.length)
        buffer_format(&recovery.problem, "the log can't be opened: %s", culvert_strerror(error));
    if (error && problem)
        *problem = buffer_take(&recovery.problem);
    buffer_free(&recovery.problem);
    free(recovery.found);
    return error;
}
