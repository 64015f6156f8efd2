/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/engine_rocksdb.h"

struct rocks_iterator {
    struct kv_iterator iterator;
    rocksdb_iterator_t *at;
    rocksdb_readoptions_t *read;
    struct buffer lower, upper; /* RocksDB looks at the bounds where they are */
};

static struct rocks_iterator *iterator_of(struct kv_iterator *iterator)
{
    return (struct rocks_iterator *)iterator;
}

static void iterator_close(struct kv_iterator *iterator)
{
    struct rocks_iterator *rocks = iterator_of(iterator);

    if (rocks->at)
        rocksdb_iter_destroy(rocks->at);
    if (rocks->read)
        rocksdb_readoptions_destroy(rocks->read);
    buffer_free(&rocks->lower);
    buffer_free(&rocks->upper);
    free(rocks);
}

static void iterator_seek(struct kv_iterator *iterator, struct kv_slice key)
{
    rocksdb_iter_seek(iterator_of(iterator)->at, (const char *)key.data, key.length);
}

/* From past the upper bound, RocksDB goes to the last key before it by itself. */
static void iterator_seek_last(struct kv_iterator *iterator, struct kv_slice key)
{
    rocksdb_iter_seek_for_prev(iterator_of(iterator)->at, (const char *)key.data, key.length);
}

static void iterator_next(struct kv_iterator *iterator)
{
    rocksdb_iter_next(iterator_of(iterator)->at);
}

static void iterator_prev(struct kv_iterator *iterator)
{
    rocksdb_iter_prev(iterator_of(iterator)->at);
}

static bool iterator_valid(struct kv_iterator *iterator)
{
    return rocksdb_iter_valid(iterator_of(iterator)->at);
}

static struct kv_slice iterator_key(struct kv_iterator *iterator)
{
    struct kv_slice key;

    key.data = (const uint8_t *)rocksdb_iter_key(iterator_of(iterator)->at, &key.length);
    return key;
}

static struct kv_slice iterator_value(struct kv_iterator *iterator)
{
    struct kv_slice value;

    value.data = (const uint8_t *)rocksdb_iter_value(iterator_of(iterator)->at, &value.length);
    return value;
}

static int iterator_error(struct kv_iterator *iterator)
{
    char *text = NULL;

    rocksdb_iter_get_error(iterator_of(iterator)->at, &text);
    return rocks_error(text);
}

static const struct kv_iterator_ops iterator_ops = {
    .close = iterator_close,
    .seek = iterator_seek,
    .seek_last = iterator_seek_last,
    .next = iterator_next,
    .prev = iterator_prev,
    .valid = iterator_valid,
    .key = iterator_key,
    .value = iterator_value,
    .error = iterator_error,
};

int rocks_iterator(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice lower,
                   struct kv_slice upper, struct kv_iterator **out)
{
    struct rocks_engine *rocks = (struct rocks_engine *)engine;
    struct rocks_content *content = snapshot ? snapshot->content : rocks->content;
    struct rocks_iterator *iterator = calloc(1, sizeof(*iterator));

    if (!iterator)
        return CULVERT_ENOMEM;
    iterator->iterator.ops = &iterator_ops;
    iterator->read = rocksdb_readoptions_create();
    buffer_add(&iterator->lower, lower.data, lower.length);
    buffer_add(&iterator->upper, upper.data, upper.length);
    if (iterator->lower.error || iterator->upper.error)
        goto failed;
    if (lower.length)
        rocksdb_readoptions_set_iterate_lower_bound(iterator->read, iterator->lower.data,
                                                    lower.length);
    if (upper.length)
        rocksdb_readoptions_set_iterate_upper_bound(iterator->read, iterator->upper.data,
                                                    upper.length);
    if (snapshot) {
        rocksdb_readoptions_set_snapshot(iterator->read, snapshot->snapshot);
        rocksdb_readoptions_set_fill_cache(iterator->read, 0); /* a dump: read once */
    }
    iterator->at = rocksdb_create_iterator(content->db, iterator->read);
    if (!iterator->at)
        goto failed;
    *out = &iterator->iterator;
    return 0;

failed:
    iterator_close(&iterator->iterator);
    return CULVERT_ENOMEM;
}
