/* SPDX-License-Identifier: Apache-2.0 */
/* Another node's state takes the place of ours: read into fresh content of the engine, checked,
 * and put in use at once. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_dump.h"
#include "controlplane/core/kv/store_internal.h"

#define LOAD_BATCH ((size_t)1 << 20)    /* bytes written to the engine at a time */
#define LOAD_PENDING ((size_t)16 << 20) /* bytes of a record that has not come whole, at most */

struct kv_load {
    uint64_t index, records;
    struct kv_meta meta;
    struct digest *digest;
    struct buffer pending; /* bytes that are not a whole item yet */
    struct kv_batch batch;
    bool started, ended, has_meta;
};

void kv_load_abort(struct machine *machine)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_load *load = store->load;

    if (!load)
        return;
    store->engine->ops->fresh_abort(store->engine);
    digest_free(load->digest);
    buffer_free(&load->pending);
    kv_batch_free(&load->batch);
    free(load);
    store->load = NULL;
}

int kv_load_begin(struct machine *machine, uint64_t index)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_load *load;
    int error;

    kv_load_abort(machine);
    load = calloc(1, sizeof(*load));
    if (!load)
        return CULVERT_ENOMEM;
    store->load = load;
    load->index = index;
    load->digest = digest_new();
    buffer_init(&load->pending, 2 * LOAD_PENDING);
    error = load->digest ? store->engine->ops->fresh_begin(store->engine) : CULVERT_ENOMEM;
    if (error)
        kv_load_abort(machine);
    return error;
}

static int load_write(struct kv_store *store, struct kv_load *load)
{
    int error = store->engine->ops->fresh_write(store->engine, &load->batch);

    kv_batch_clear(&load->batch);
    return error;
}

static int load_head(struct kv_load *load, struct kv_reader *reader)
{
    struct kv_slice magic = kv_read_bytes(reader, sizeof(DUMP_MAGIC) - 1);

    if (reader->bad)
        return 0;
    if (!kv_same_bytes(magic, kv_text(DUMP_MAGIC)))
        return CULVERT_EPROTO;
    if (kv_read_be64(reader) != load->index && !reader->bad)
        return CULVERT_EPROTO;
    load->started = !reader->bad;
    return 0;
}

static int load_record(struct kv_store *store, struct kv_load *load, struct kv_reader *reader)
{
    struct kv_slice key = kv_read_slice(reader), value = kv_read_slice(reader);

    if (reader->bad)
        return 0;
    if (!key.length)
        return CULVERT_EPROTO;
    if (key.length == 1 && key.data[0] == LAYOUT_META) {
        if (!layout_meta_decode(&load->meta, value))
            return CULVERT_EPROTO;
        load->has_meta = true;
    }
    load->records++;
    kv_batch_put(&load->batch, key, value);
    return load->batch.ops.length >= LOAD_BATCH ? load_write(store, load) : load->batch.ops.error;
}

/* The end: what it covers of the digest ends before the digest itself. */
static int load_end(struct kv_load *load, struct kv_reader *reader, const uint8_t *item)
{
    uint64_t records = kv_read_be64(reader);
    const uint8_t *covered = reader->at;
    struct kv_slice digest = kv_read_bytes(reader, DUMP_DIGEST);
    char text[DIGEST_TEXT];
    int error;

    if (reader->bad)
        return 0;
    error = digest_add(load->digest, item, (size_t)(covered - item));
    if (!error)
        error = digest_end(load->digest, text);
    load->digest = NULL;
    if (error)
        return error;
    load->ended = true;
    return records == load->records && !memcmp(digest.data, text, DUMP_DIGEST) ? 0 : CULVERT_EPROTO;
}

/* Takes one item out of the pending bytes. reader->bad: it is not there whole. */
static int load_item(struct kv_store *store, struct kv_load *load, struct kv_reader *reader)
{
    const uint8_t *item = reader->at;
    uint8_t kind;
    int error;

    if (!load->started) {
        error = load_head(load, reader);
    } else {
        kind = kv_read_byte(reader);
        if (kind == DUMP_END)
            return load_end(load, reader, item);
        error = kind == DUMP_RECORD ? load_record(store, load, reader) : CULVERT_EPROTO;
    }
    if (!error && !reader->bad)
        error = digest_add(load->digest, item, (size_t)(reader->at - item));
    return error;
}

int kv_load_chunk(struct machine *machine, const void *chunk, size_t length)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_load *load = store->load;
    struct kv_reader reader;
    const uint8_t *item;
    int error = 0;

    if (!load)
        return CULVERT_EINVAL;
    buffer_add(&load->pending, chunk, length);
    if (load->pending.error)
        return load->pending.error == CULVERT_EFULL ? CULVERT_EPROTO : load->pending.error;
    reader = kv_reader_of(kv_buffer_slice(&load->pending));
    do {
        item = reader.at;
        if (load->ended || item == reader.end)
            break;
        error = load_item(store, load, &reader);
    } while (!error && !reader.bad);
    if (error)
        return error;
    load->pending.length = (size_t)(reader.end - item);
    if (load->pending.length > LOAD_PENDING || (load->ended && load->pending.length))
        return CULVERT_EPROTO;
    if (load->pending.length)
        memmove(load->pending.data, item, load->pending.length);
    return 0;
}

int kv_load_commit(struct machine *machine)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_load *load = store->load;
    struct kv_observer *next;
    struct kv_meta meta;
    int error;

    if (!load)
        return CULVERT_EINVAL;
    if (!load->ended || (!load->has_meta && load->index) ||
        (load->has_meta && load->meta.applied != load->index))
        return CULVERT_EPROTO;
    meta = load->has_meta ? load->meta : (struct kv_meta){.revision = 1};
    error = load_write(store, load);
    if (!error)
        error = store->engine->ops->fresh_commit(store->engine);
    if (error)
        return error;
    store->meta = meta;
    store->durable = meta.applied;
    store->flush.stale = true;
    kv_load_abort(machine);
    for (struct kv_observer *one = store->observers; one; one = next) {
        next = one->next;
        one->replaced(one->arg);
    }
    return 0;
}
