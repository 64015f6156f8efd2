/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/result.h"

#include "controlplane/base/error.h"
#include "controlplane/core/kv/command_internal.h"

#define PAIR_BYTES_MIN 6u /* the shortest pair */

struct decoder {
    struct kv_reader reader;
    struct arena *arena;
    bool no_memory;
};

void kv_result_head(uint8_t head[KV_RESULT_HEAD], enum kv_kind kind, int status, uint64_t revision)
{
    uint64_t number = htobe64(revision);

    head[0] = RESULT_VERSION;
    head[1] = (uint8_t)kind;
    head[2] = (uint8_t)-status;
    memcpy(head + 3, &number, sizeof(number));
}

void kv_result_pair(struct buffer *to, const struct kv_pair *pair, bool keys_only)
{
    kv_put_slice(to, pair->key);
    kv_put_slice(to, keys_only ? (struct kv_slice){0} : pair->value);
    kv_put_varint(to, pair->create);
    kv_put_varint(to, pair->mod);
    kv_put_varint(to, pair->version);
    kv_put_varint(to, (uint64_t)pair->lease);
}

/* A list's length, checked against what is left, and room for it. */
static void *read_list(struct decoder *decoder, size_t each, size_t size, size_t *count)
{
    uint64_t wanted = kv_read_varint(&decoder->reader);
    void *list = NULL;

    *count = 0;
    if (wanted > kv_reader_left(&decoder->reader) / each)
        kv_reader_fail(&decoder->reader);
    if (decoder->reader.bad || !wanted)
        return NULL;
    list = arena_alloc(decoder->arena, (size_t)wanted * size);
    if (list) {
        *count = (size_t)wanted;
    } else {
        decoder->no_memory = true;
        kv_reader_fail(&decoder->reader);
    }
    return list;
}

static void read_pairs(struct decoder *decoder, struct kv_pairs *pairs)
{
    pairs->list = read_list(decoder, PAIR_BYTES_MIN, sizeof(*pairs->list), &pairs->count);
    for (size_t i = 0; i < pairs->count; i++) {
        struct kv_pair *pair = &pairs->list[i];

        pair->key = kv_read_slice(&decoder->reader);
        pair->value = kv_read_slice(&decoder->reader);
        pair->create = kv_read_varint(&decoder->reader);
        pair->mod = kv_read_varint(&decoder->reader);
        pair->version = kv_read_varint(&decoder->reader);
        pair->lease = (int64_t)kv_read_varint(&decoder->reader);
    }
}

static void read_op(struct decoder *decoder, struct kv_op_result *result, unsigned depth)
{
    switch (result->kind) {
    case KV_RANGE:
        result->count = kv_read_varint(&decoder->reader);
        result->more = kv_read_byte(&decoder->reader);
        read_pairs(decoder, &result->pairs);
        break;
    case KV_PUT:
        read_pairs(decoder, &result->pairs);
        break;
    case KV_DELETE:
        result->count = kv_read_varint(&decoder->reader);
        read_pairs(decoder, &result->pairs);
        break;
    case KV_TXN:
        result->succeeded = kv_read_byte(&decoder->reader);
        if (depth > KV_DEPTH_MAX)
            kv_reader_fail(&decoder->reader);
        result->results = read_list(decoder, 2, sizeof(*result->results), &result->result_count);
        for (size_t i = 0; i < result->result_count && !decoder->reader.bad; i++) {
            result->results[i].kind = kv_read_byte(&decoder->reader);
            read_op(decoder, &result->results[i], depth + 1);
        }
        break;
    default:
        kv_reader_fail(&decoder->reader);
        break;
    }
}

int kv_result_decode(struct kv_result *result, struct arena *arena, struct kv_slice bytes)
{
    struct decoder decoder = {.reader = kv_reader_of(bytes), .arena = arena};
    uint8_t version = kv_read_byte(&decoder.reader);

    *result = (struct kv_result){0};
    if (version > RESULT_VERSION)
        return CULVERT_EUNSUPPORTED;
    result->kind = kv_read_byte(&decoder.reader);
    result->status = -kv_read_byte(&decoder.reader);
    result->revision = kv_read_be64(&decoder.reader);
    if (!result->status && result->kind == KV_LEASE_GRANT) {
        result->lease.id = (int64_t)kv_read_varint(&decoder.reader);
        result->lease.ttl = kv_read_varint(&decoder.reader);
    } else if (!result->status && result->kind <= KV_TXN) {
        result->op.kind = result->kind;
        read_op(&decoder, &result->op, 1);
    }
    if (decoder.no_memory)
        return CULVERT_ENOMEM;
    return decoder.reader.bad || version != RESULT_VERSION || kv_reader_left(&decoder.reader)
               ? CULVERT_EPROTO
               : 0;
}
