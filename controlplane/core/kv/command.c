/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding: a byte of version, a byte of kind, the body. Optional fields are there when their bit
 * in the flags is set, and never zero then: there is one encoding of a command.
 */
#include "controlplane/core/kv/command.h"

#include "controlplane/base/error.h"
#include "controlplane/core/kv/command_internal.h"

static void put_flagged(struct buffer *to, uint64_t value)
{
    if (value)
        kv_put_varint(to, value);
}

static void encode_keys(struct buffer *to, const struct kv_keys *keys)
{
    kv_put_slice(to, keys->key);
    kv_put_slice(to, keys->end);
}

static void encode_range(struct buffer *to, const struct kv_range *range)
{
    unsigned sort = range->order | (unsigned)range->target << 2;
    unsigned flags = 0;

    flags |= range->keys_only ? RANGE_KEYS_ONLY : 0;
    flags |= range->count_only ? RANGE_COUNT_ONLY : 0;
    flags |= range->limit ? RANGE_LIMIT : 0;
    flags |= range->revision ? RANGE_REVISION : 0;
    flags |= sort ? RANGE_SORT : 0;
    flags |= range->min_mod ? RANGE_MIN_MOD : 0;
    flags |= range->max_mod ? RANGE_MAX_MOD : 0;
    flags |= range->min_create ? RANGE_MIN_CREATE : 0;
    flags |= range->max_create ? RANGE_MAX_CREATE : 0;
    encode_keys(to, &range->keys);
    kv_put_varint(to, flags);
    put_flagged(to, range->limit);
    put_flagged(to, range->revision);
    put_flagged(to, sort);
    put_flagged(to, range->min_mod);
    put_flagged(to, range->max_mod);
    put_flagged(to, range->min_create);
    put_flagged(to, range->max_create);
}

static void encode_put(struct buffer *to, const struct kv_put *put)
{
    unsigned flags = (put->prev ? PUT_PREV : 0u) | (put->ignore_value ? PUT_IGNORE_VALUE : 0u) |
                     (put->ignore_lease ? PUT_IGNORE_LEASE : 0u) | (put->lease ? PUT_LEASE : 0u);

    kv_put_slice(to, put->key);
    kv_put_slice(to, put->value);
    kv_put_varint(to, flags);
    put_flagged(to, (uint64_t)put->lease);
}

static void encode_compare(struct buffer *to, const struct kv_compare *compare)
{
    encode_keys(to, &compare->keys);
    buffer_char(to, (char)(compare->compared | compare->relation << 4));
    if (compare->compared == KV_IF_VALUE)
        kv_put_slice(to, compare->value);
    else
        kv_put_varint(to, (uint64_t)compare->number);
}

static void encode_op(struct buffer *to, const struct kv_op *op);

static void encode_txn(struct buffer *to, const struct kv_txn *txn)
{
    kv_put_varint(to, txn->compare_count);
    for (size_t i = 0; i < txn->compare_count; i++)
        encode_compare(to, &txn->compares[i]);
    for (unsigned way = 0; way < 2; way++) {
        kv_put_varint(to, txn->branch[way].count);
        for (size_t i = 0; i < txn->branch[way].count; i++) {
            buffer_char(to, (char)txn->branch[way].list[i].kind);
            encode_op(to, &txn->branch[way].list[i]);
        }
    }
}

static void encode_op(struct buffer *to, const struct kv_op *op)
{
    switch (op->kind) {
    case KV_RANGE:
        encode_range(to, &op->range);
        break;
    case KV_PUT:
        encode_put(to, &op->put);
        break;
    case KV_DELETE:
        encode_keys(to, &op->delete.keys);
        buffer_char(to, op->delete.prev);
        break;
    default:
        encode_txn(to, &op->txn);
        break;
    }
}

static void encode_checkpoint(struct buffer *to, const struct kv_command *command)
{
    kv_put_varint(to, command->checkpoint.count);
    for (size_t i = 0; i < command->checkpoint.count; i++) {
        kv_put_varint(to, (uint64_t)command->checkpoint.list[i].id);
        kv_put_varint(to, command->checkpoint.list[i].remaining);
    }
}

void kv_command_encode(const struct kv_command *command, struct buffer *to)
{
    buffer_char(to, COMMAND_VERSION);
    buffer_char(to, (char)command->kind);
    switch (command->kind) {
    case KV_COMPACT:
    case KV_TIDY:
    case KV_QUOTA:
        kv_put_varint(to, command->revision);
        break;
    case KV_LEASE_GRANT:
        kv_put_varint(to, (uint64_t)command->lease.id);
        kv_put_varint(to, command->lease.ttl);
        break;
    case KV_LEASE_REVOKE:
        kv_put_varint(to, (uint64_t)command->lease.id);
        break;
    case KV_LEASE_CHECKPOINT:
        encode_checkpoint(to, command);
        break;
    case KV_ALARM:
        buffer_char(to, command->alarm);
        break;
    default:
        encode_op(to, &command->op);
        break;
    }
}
