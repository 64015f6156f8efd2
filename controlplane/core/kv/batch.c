/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/engine.h"

#define BATCH_KEPT ((size_t)1 << 20) /* bytes of memory that an empty batch may hold */

enum { BATCH_DELETE, BATCH_PUT };

void kv_batch_put(struct kv_batch *batch, struct kv_slice key, struct kv_slice value)
{
    buffer_char(&batch->ops, BATCH_PUT);
    kv_put_slice(&batch->ops, key);
    kv_put_slice(&batch->ops, value);
}

void kv_batch_delete(struct kv_batch *batch, struct kv_slice key)
{
    buffer_char(&batch->ops, BATCH_DELETE);
    kv_put_slice(&batch->ops, key);
}

void kv_batch_clear(struct kv_batch *batch)
{
    if (batch->ops.capacity > BATCH_KEPT)
        buffer_free(&batch->ops);
    else
        buffer_clear(&batch->ops);
}

void kv_batch_free(struct kv_batch *batch)
{
    buffer_free(&batch->ops);
}

struct kv_reader kv_batch_read(const struct kv_batch *batch)
{
    return kv_reader_of(kv_buffer_slice(&batch->ops));
}

bool kv_batch_next(struct kv_reader *reader, struct kv_change *change)
{
    if (!kv_reader_left(reader))
        return false;
    change->put = kv_read_byte(reader) == BATCH_PUT;
    change->key = kv_read_slice(reader);
    change->value = change->put ? kv_read_slice(reader) : (struct kv_slice){0};
    return true;
}
