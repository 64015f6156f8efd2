/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole state as a stream: a head with the index, each record as 1, key and value, then 0, the
 * number of records and the SHA-256 of all that. Chunks cut it anywhere.
 */
#include "controlplane/core/kv/store_dump.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

struct machine_dump {
    struct kv_engine *engine;
    struct kv_snapshot *snapshot;
    struct kv_iterator *iterator;
    struct digest *digest;
    struct buffer ready; /* encoded and not given out */
    size_t given;        /* of it */
    uint64_t records;
    bool ended;
};

int kv_dump_open(struct machine *machine, struct machine_dump **out, uint64_t *index)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_engine *engine = store->engine;
    struct machine_dump *dump = calloc(1, sizeof(*dump));
    int error;

    if (!dump)
        return CULVERT_ENOMEM;
    dump->engine = engine;
    dump->digest = digest_new();
    error = dump->digest ? engine->ops->snapshot(engine, &dump->snapshot) : CULVERT_ENOMEM;
    if (!error)
        error = engine->ops->iterator(engine, dump->snapshot, (struct kv_slice){0},
                                      (struct kv_slice){0}, &dump->iterator);
    if (error) {
        kv_dump_close(dump);
        return error;
    }
    dump->iterator->ops->seek(dump->iterator, (struct kv_slice){0});
    *index = store->meta.applied;
    buffer_text(&dump->ready, DUMP_MAGIC);
    kv_put_be64(&dump->ready, *index);
    error = dump->ready.error ? dump->ready.error
                              : digest_add(dump->digest, dump->ready.data, dump->ready.length);
    if (error) {
        kv_dump_close(dump);
        return error;
    }
    *out = dump;
    return 0;
}

void kv_dump_close(struct machine_dump *dump)
{
    if (!dump)
        return;
    if (dump->iterator)
        dump->iterator->ops->close(dump->iterator);
    dump->engine->ops->snapshot_free(dump->snapshot);
    digest_free(dump->digest);
    buffer_free(&dump->ready);
    free(dump);
}

/* Encodes the next record, or the end. */
static int dump_record(struct machine_dump *dump)
{
    struct kv_iterator *iterator = dump->iterator;
    char text[DIGEST_TEXT];
    int error = 0;

    buffer_clear(&dump->ready);
    dump->given = 0;
    if (iterator->ops->valid(iterator)) {
        buffer_char(&dump->ready, DUMP_RECORD);
        kv_put_slice(&dump->ready, iterator->ops->key(iterator));
        kv_put_slice(&dump->ready, iterator->ops->value(iterator));
        dump->records++;
        iterator->ops->next(iterator);
        return dump->ready.error ? dump->ready.error
                                 : digest_add(dump->digest, dump->ready.data, dump->ready.length);
    }
    error = iterator->ops->error(iterator);
    if (error)
        return error;
    buffer_char(&dump->ready, DUMP_END);
    kv_put_be64(&dump->ready, dump->records);
    error = dump->ready.error ? dump->ready.error
                              : digest_add(dump->digest, dump->ready.data, dump->ready.length);
    if (!error) {
        error = digest_end(dump->digest, text);
        dump->digest = NULL;
        buffer_add(&dump->ready, text, DUMP_DIGEST);
        dump->ended = true;
    }
    return error ? error : dump->ready.error;
}

int kv_dump_next(struct machine_dump *dump, size_t bound, struct buffer *chunk)
{
    size_t piece;
    int error;

    while (bound) {
        if (dump->given == dump->ready.length) {
            if (dump->ended)
                break;
            error = dump_record(dump);
            if (error)
                return error;
        }
        piece = dump->ready.length - dump->given;
        piece = piece < bound ? piece : bound;
        buffer_add(chunk, dump->ready.data + dump->given, piece);
        dump->given += piece;
        bound -= piece;
    }
    if (chunk->error)
        return chunk->error;
    return !dump->ended || dump->given < dump->ready.length;
}
