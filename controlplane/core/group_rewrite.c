/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/group_rewrite.h"

#include <endian.h>
#include <raft.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

/* The bytes are raft_free()'s. */
static int encode_sole(uint64_t id, const char *address, struct raft_buffer *encoded)
{
    struct raft_configuration members;
    int error;

    raft_configuration_init(&members);
    error = raft_configuration_add(&members, id, address, RAFT_VOTER);
    if (!error)
        error = raft_configuration_encode(&members, encoded);
    raft_configuration_close(&members);
    return error ? CULVERT_ENOMEM : 0;
}

int group_rewrite_sole(struct wal *wal, uint32_t number, uint64_t id, const char *address)
{
    struct raft_buffer encoded = {0};
    struct wal_entry entry = {.type = MESSAGE_MEMBERS};
    struct wal_group log;
    int error = wal_group(wal, number, &log);
    uint64_t last;

    if (error)
        return error;
    error = encode_sole(id, address, &encoded);
    if (error)
        return error;
    last = log.last > log.snapshot_index ? log.last : log.snapshot_index;
    entry.term = log.term + 1;
    entry.data = encoded.base;
    entry.length = encoded.len;
    error = wal_set_term(wal, number, entry.term, id);
    if (!error)
        error = wal_append(wal, number, last + 1, &entry, 1);
    raft_free(encoded.base);
    return error;
}

int group_rewrite_begin(struct wal *wal, uint32_t number, uint64_t index, uint64_t id,
                        const char *address)
{
    uint64_t head = htole64(index);
    struct raft_buffer encoded = {0};
    struct buffer meta = {0};
    struct wal_group log;
    int error;

    if (wal_group(wal, number, &log) != CULVERT_ENOTFOUND)
        return CULVERT_EEXIST;
    error = encode_sole(id, address, &encoded);
    if (error)
        return error;
    buffer_add(&meta, &head, sizeof(head));
    buffer_add(&meta, encoded.base, encoded.len);
    raft_free(encoded.base);
    error = meta.error ? meta.error : wal_set_term(wal, number, 1, 0);
    if (!error)
        error = wal_snapshot(wal, number, index, 1, 0, meta.data, meta.length);
    buffer_free(&meta);
    return error;
}
