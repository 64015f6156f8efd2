/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

#define WINDOW ((size_t)256 << 10) /* bytes read at once, or more for a longer record */

int wal_window_open(struct wal_window *window, struct env *env, uint64_t sequence)
{
    char name[WAL_NAME_BYTES];
    int error;

    if (window->file && window->sequence == sequence)
        return 0;
    if (window->file)
        env->ops->file_close(env, window->file);
    window->file = NULL;
    window->env = env;
    window->length = 0;
    wal_name(sequence, name);
    error = env->ops->file_open(env, name, 0, &window->file);
    if (error)
        return error;
    window->sequence = sequence;
    return 0;
}

static int window_reserve(struct wal_window *window, size_t need)
{
    uint8_t *bytes;

    if (need <= window->room)
        return 0;
    bytes = realloc(window->bytes, need);
    if (!bytes)
        return CULVERT_ENOMEM;
    window->bytes = bytes;
    window->room = need;
    return 0;
}

int64_t wal_window_get(struct wal_window *window, uint64_t offset, size_t need,
                       const uint8_t **bytes)
{
    size_t size = need > WINDOW ? need : WINDOW;
    int64_t got;
    int error;

    if (offset < window->start || offset + need > window->start + window->length) {
        error = window_reserve(window, size);
        if (error)
            return error;
        window->length = 0;
        got = window->env->ops->file_read(window->env, window->file, offset, window->bytes, size);
        if (got < 0)
            return got;
        window->start = offset;
        window->length = (size_t)got;
    }
    *bytes = window->bytes + (offset - window->start);
    return (int64_t)(window->length - (size_t)(offset - window->start));
}

int64_t wal_window_record(struct wal_window *window, uint64_t id, uint64_t offset,
                          struct wal_record *record)
{
    uint64_t lsn = wal_lsn(window->sequence, offset);
    const uint8_t *bytes;
    size_t size;
    int64_t got = wal_window_get(window, offset, WAL_RECORD_BYTES, &bytes);

    if (got < (int64_t)WAL_RECORD_BYTES)
        return got < 0 ? got : 0;
    if (!wal_record_head(record, id, lsn, bytes))
        return 0;
    size = (size_t)wal_record_size(record->length);
    got = wal_window_get(window, offset, size, &bytes);
    if (got < 0)
        return got;
    return (uint64_t)got >= size && wal_record_read(record, id, lsn, bytes) ? (int64_t)size : 0;
}

void wal_window_close(struct wal_window *window)
{
    if (window->file)
        window->env->ops->file_close(window->env, window->file);
    free(window->bytes);
    *window = (struct wal_window){0};
}
