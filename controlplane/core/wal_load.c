/* SPDX-License-Identifier: Apache-2.0 */
/* Entries read again: from batches that are kept, or from the segments. */
#include <stdlib.h>

#include "controlplane/base/buffer.h"
#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

/* The record of an entry; its body is valid until the next call. */
static int entry_find(struct wal *wal, const struct wal_state *state, uint64_t index,
                      struct wal_record *record)
{
    uint64_t lsn = wal_state_lsn(state, index);
    uint64_t id = wal_segment(wal, wal_lsn_sequence(lsn))->id;
    const struct wal_batch *batch = wal_batch_find(wal, lsn);
    int64_t size;
    int error;

    if (batch) {
        if (!wal_record_head(record, id, lsn, wal_batch_at(batch, lsn)))
            return CULVERT_ECORRUPT;
        record->body = wal_batch_at(batch, lsn) + WAL_RECORD_BYTES;
        return 0;
    }
    error = wal_window_open(&wal->reader, wal->env, wal_lsn_sequence(lsn));
    if (error)
        return error;
    size = wal_window_record(&wal->reader, id, wal_lsn_offset(lsn), record);
    if (size < 0)
        return (int)size;
    return size && record->kind == WAL_ENTRY && record->group == state->id && record->index == index
               ? 0
               : CULVERT_ECORRUPT;
}

int wal_read(struct wal *wal, uint64_t group, uint64_t index, size_t count, size_t bound,
             struct wal_entry *out, void **memory)
{
    const struct wal_state *state = wal_state_find(wal, group);
    struct buffer bytes = {0};
    size_t done = 0;

    *memory = NULL;
    if (!state || index < state->first || index > state->last)
        return CULVERT_ENOTFOUND;
    wal->reader.length = 0; /* the file may have grown */
    if (count > INT32_MAX)
        count = INT32_MAX;
    if (count > state->last + 1 - index)
        count = (size_t)(state->last + 1 - index);
    for (; done < count; done++) {
        struct wal_record record;
        int error = entry_find(wal, state, index + done, &record);

        if (!error && done && bytes.length + record.length > bound)
            break;
        if (!error) {
            buffer_add(&bytes, record.body, record.length);
            error = bytes.error;
        }
        if (error) {
            buffer_free(&bytes);
            return error;
        }
        out[done] =
            (struct wal_entry){.term = record.term, .type = record.type, .length = record.length};
    }
    *memory = buffer_take(&bytes);
    if (!*memory) {
        buffer_free(&bytes);
        return CULVERT_ENOMEM;
    }
    for (size_t i = 0, at = 0; i < done; at += out[i++].length)
        out[i].data = (const char *)*memory + at;
    return (int)done;
}
