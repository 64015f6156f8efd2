/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/command.h"
#include "controlplane/core/kv/command_internal.h"

struct decoder {
    struct kv_reader reader;
    struct arena *arena;
    size_t room; /* operations and comparisons that may still come */
    int error;   /* CULVERT_ETOOMANY or CULVERT_ENOMEM */
};

static void fail(struct decoder *decoder, int error)
{
    if (!decoder->error && !decoder->reader.bad)
        decoder->error = error;
    kv_reader_fail(&decoder->reader);
}

static void demand(struct decoder *decoder, bool condition)
{
    if (!condition)
        kv_reader_fail(&decoder->reader);
}

/* A list's length, and room for it. Each of its items takes a byte at least. */
static void *read_list(struct decoder *decoder, size_t size, size_t *count)
{
    uint64_t wanted = kv_read_varint(&decoder->reader);
    void *list;

    *count = 0;
    demand(decoder, wanted <= kv_reader_left(&decoder->reader));
    if (decoder->reader.bad || !wanted)
        return NULL;
    if (wanted > decoder->room) {
        fail(decoder, CULVERT_ETOOMANY);
        return NULL;
    }
    decoder->room -= (size_t)wanted;
    list = arena_alloc(decoder->arena, (size_t)wanted * size);
    if (!list)
        fail(decoder, CULVERT_ENOMEM);
    else
        *count = (size_t)wanted;
    return list;
}

static uint64_t read_flagged(struct decoder *decoder, unsigned flags, unsigned flag)
{
    uint64_t value = flags & flag ? kv_read_varint(&decoder->reader) : 0;

    demand(decoder, value || !(flags & flag));
    return value;
}

static bool read_bool(struct decoder *decoder)
{
    uint8_t byte = kv_read_byte(&decoder->reader);

    demand(decoder, byte <= 1);
    return byte;
}

static void read_keys(struct decoder *decoder, struct kv_keys *keys)
{
    keys->key = kv_read_slice(&decoder->reader);
    keys->end = kv_read_slice(&decoder->reader);
}

static void read_range(struct decoder *decoder, struct kv_range *range)
{
    uint64_t sort;
    unsigned flags;

    read_keys(decoder, &range->keys);
    sort = kv_read_varint(&decoder->reader);
    demand(decoder, sort <= RANGE_FLAGS);
    flags = (unsigned)sort;
    range->keys_only = flags & RANGE_KEYS_ONLY;
    range->count_only = flags & RANGE_COUNT_ONLY;
    range->limit = read_flagged(decoder, flags, RANGE_LIMIT);
    range->revision = read_flagged(decoder, flags, RANGE_REVISION);
    sort = read_flagged(decoder, flags, RANGE_SORT);
    range->order = sort & 3;
    range->target = (uint8_t)(sort >> 2 & 7);
    demand(decoder, sort < 32 && range->order <= KV_ORDER_DESCEND && range->target <= KV_BY_VALUE);
    range->min_mod = read_flagged(decoder, flags, RANGE_MIN_MOD);
    range->max_mod = read_flagged(decoder, flags, RANGE_MAX_MOD);
    range->min_create = read_flagged(decoder, flags, RANGE_MIN_CREATE);
    range->max_create = read_flagged(decoder, flags, RANGE_MAX_CREATE);
}

static void read_put(struct decoder *decoder, struct kv_put *put)
{
    uint64_t flags;

    put->key = kv_read_slice(&decoder->reader);
    put->value = kv_read_slice(&decoder->reader);
    flags = kv_read_varint(&decoder->reader);
    demand(decoder, flags <= PUT_FLAGS);
    put->prev = flags & PUT_PREV;
    put->ignore_value = flags & PUT_IGNORE_VALUE;
    put->ignore_lease = flags & PUT_IGNORE_LEASE;
    put->lease = (int64_t)read_flagged(decoder, (unsigned)flags, PUT_LEASE);
}

static void read_compare(struct decoder *decoder, struct kv_compare *compare)
{
    uint8_t how;

    read_keys(decoder, &compare->keys);
    how = kv_read_byte(&decoder->reader);
    compare->compared = how & 15;
    compare->relation = how >> 4;
    demand(decoder, compare->compared <= KV_IF_LEASE && compare->relation <= KV_NOT_EQUAL);
    if (compare->compared == KV_IF_VALUE)
        compare->value = kv_read_slice(&decoder->reader);
    else
        compare->number = (int64_t)kv_read_varint(&decoder->reader);
}

static void read_op(struct decoder *decoder, struct kv_op *op, unsigned depth);

static void read_txn(struct decoder *decoder, struct kv_txn *txn, unsigned depth)
{
    struct kv_ops *ops;

    if (depth > KV_DEPTH_MAX) {
        fail(decoder, CULVERT_ETOOMANY);
        return;
    }
    txn->compares = read_list(decoder, sizeof(*txn->compares), &txn->compare_count);
    for (size_t i = 0; i < txn->compare_count && !decoder->reader.bad; i++)
        read_compare(decoder, &txn->compares[i]);
    for (unsigned way = 0; way < 2; way++) {
        ops = &txn->branch[way];
        ops->list = read_list(decoder, sizeof(*ops->list), &ops->count);
        for (size_t i = 0; i < ops->count && !decoder->reader.bad; i++) {
            ops->list[i].kind = kv_read_byte(&decoder->reader);
            read_op(decoder, &ops->list[i], depth + 1);
        }
    }
}

static void read_op(struct decoder *decoder, struct kv_op *op, unsigned depth)
{
    switch (op->kind) {
    case KV_RANGE:
        read_range(decoder, &op->range);
        break;
    case KV_PUT:
        read_put(decoder, &op->put);
        break;
    case KV_DELETE:
        read_keys(decoder, &op->delete.keys);
        op->delete.prev = read_bool(decoder);
        break;
    case KV_TXN:
        read_txn(decoder, &op->txn, depth);
        break;
    default:
        demand(decoder, false);
        break;
    }
}

static void read_checkpoint(struct decoder *decoder, struct kv_command *command)
{
    command->checkpoint.list =
        read_list(decoder, sizeof(*command->checkpoint.list), &command->checkpoint.count);
    for (size_t i = 0; i < command->checkpoint.count; i++) {
        command->checkpoint.list[i].id = (int64_t)kv_read_varint(&decoder->reader);
        command->checkpoint.list[i].remaining = kv_read_varint(&decoder->reader);
    }
}

static void read_body(struct decoder *decoder, struct kv_command *command)
{
    switch (command->kind) {
    case KV_COMPACT:
    case KV_TIDY:
    case KV_QUOTA:
        command->revision = kv_read_varint(&decoder->reader);
        break;
    case KV_LEASE_GRANT:
        command->lease.id = (int64_t)kv_read_varint(&decoder->reader);
        command->lease.ttl = kv_read_varint(&decoder->reader);
        break;
    case KV_LEASE_REVOKE:
        command->lease.id = (int64_t)kv_read_varint(&decoder->reader);
        break;
    case KV_LEASE_CHECKPOINT:
        read_checkpoint(decoder, command);
        break;
    case KV_ALARM:
        command->alarm = read_bool(decoder);
        break;
    default:
        command->op.kind = command->kind;
        read_op(decoder, &command->op, 1);
        break;
    }
}

int kv_command_decode(struct kv_command *command, struct arena *arena, struct kv_slice bytes)
{
    struct decoder decoder = {.reader = kv_reader_of(bytes), .arena = arena, .room = KV_OPS_MAX};
    uint8_t version;

    *command = (struct kv_command){0};
    if (bytes.length > KV_COMMAND_MAX)
        return CULVERT_ETOOLARGE;
    version = kv_read_byte(&decoder.reader);
    if (version > COMMAND_VERSION)
        return CULVERT_EUNSUPPORTED;
    demand(&decoder, version == COMMAND_VERSION);
    command->kind = kv_read_byte(&decoder.reader);
    if (!decoder.reader.bad)
        read_body(&decoder, command);
    if (decoder.error)
        return decoder.error;
    return decoder.reader.bad || kv_reader_left(&decoder.reader) ? CULVERT_EPROTO : 0;
}
