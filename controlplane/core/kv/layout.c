/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/layout.h"

#include "controlplane/core/kv/hash.h"

#define ESCAPE 0xff      /* behind a 00 within a key; larger than the first byte of any revision */
#define BEHIND 0x80      /* larger than the first byte of any revision, smaller than the escape */
#define HISTORY_HEAD 25u /* bytes of a history's record before the key: kind, chain, before */
#define HISTORY_NUMBERS 24u /* and of a put's between key and value */
#define CHAIN_AT 1u         /* offset of the chain in a history's record */

void layout_key(struct buffer *to, char kind, struct kv_slice rest)
{
    buffer_clear(to);
    buffer_char(to, kind);
    buffer_add(to, rest.data, rest.length);
}

static void put_point(struct buffer *to, struct kv_point point)
{
    kv_put_be64(to, point.main);
    kv_put_be32(to, point.sub);
}

static struct kv_point read_point(struct kv_reader *reader)
{
    struct kv_point point = {.main = kv_read_be64(reader)};

    point.sub = kv_read_be32(reader);
    return point;
}

void layout_history_key(struct buffer *to, struct kv_point point)
{
    buffer_clear(to);
    buffer_char(to, LAYOUT_HISTORY);
    put_point(to, point);
}

void layout_index_start(struct buffer *to, struct kv_slice key)
{
    size_t plain = 0;

    buffer_clear(to);
    buffer_char(to, LAYOUT_INDEX);
    for (size_t i = 0; i < key.length; i++) {
        if (key.data[i])
            continue;
        buffer_add(to, key.data + plain, i + 1 - plain);
        buffer_char(to, (char)ESCAPE);
        plain = i + 1;
    }
    buffer_add(to, key.data + plain, key.length - plain);
}

void layout_index_key(struct buffer *to, struct kv_slice key, struct kv_point point)
{
    layout_index_start(to, key);
    buffer_char(to, 0);
    put_point(to, point);
}

void layout_index_behind(struct buffer *to, struct kv_slice key)
{
    layout_index_start(to, key);
    buffer_char(to, 0);
    buffer_char(to, (char)BEHIND);
}

void layout_lease_key(struct buffer *to, char kind, int64_t id, struct kv_slice key)
{
    buffer_clear(to);
    buffer_char(to, kind);
    kv_put_be64(to, (uint64_t)id);
    buffer_add(to, key.data, key.length);
}

void layout_meta_encode(struct buffer *to, const struct kv_meta *meta)
{
    buffer_clear(to);
    buffer_char(to, LAYOUT_VERSION);
    kv_put_be64(to, meta->applied);
    kv_put_be64(to, meta->revision);
    kv_put_be64(to, meta->compacted);
    put_point(to, meta->tidied);
    put_point(to, meta->seam);
    buffer_char(to, meta->tidying);
    buffer_char(to, meta->alarm);
    kv_put_be64(to, meta->chain);
    kv_put_be64(to, meta->size);
    kv_put_be64(to, meta->keys);
    kv_put_be64(to, meta->leases);
    kv_put_be64(to, meta->quota);
}

bool layout_meta_decode(struct kv_meta *meta, struct kv_slice record)
{
    struct kv_reader reader = kv_reader_of(record);
    bool known = kv_read_byte(&reader) == LAYOUT_VERSION;

    meta->applied = kv_read_be64(&reader);
    meta->revision = kv_read_be64(&reader);
    meta->compacted = kv_read_be64(&reader);
    meta->tidied = read_point(&reader);
    meta->seam = read_point(&reader);
    meta->tidying = kv_read_byte(&reader);
    meta->alarm = kv_read_byte(&reader);
    meta->chain = kv_read_be64(&reader);
    meta->size = kv_read_be64(&reader);
    meta->keys = kv_read_be64(&reader);
    meta->leases = kv_read_be64(&reader);
    meta->quota = kv_read_be64(&reader);
    return known && !reader.bad && !kv_reader_left(&reader);
}

static void store_be64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof(value));
}

void layout_live_encode(uint8_t *to, const struct kv_live *live)
{
    uint32_t sub = htobe32(live->mod.sub);

    store_be64(to, live->create);
    store_be64(to + 8, live->version);
    store_be64(to + 16, live->mod.main);
    memcpy(to + 24, &sub, sizeof(sub));
    store_be64(to + 28, (uint64_t)live->lease);
    if (live->value.length)
        memcpy(to + LAYOUT_LIVE_HEAD, live->value.data, live->value.length);
}

bool layout_live_decode(struct kv_live *live, struct kv_slice record)
{
    struct kv_reader reader = kv_reader_of(record);

    live->create = kv_read_be64(&reader);
    live->version = kv_read_be64(&reader);
    live->mod = read_point(&reader);
    live->lease = (int64_t)kv_read_be64(&reader);
    live->value = kv_read_bytes(&reader, kv_reader_left(&reader));
    return !reader.bad;
}

size_t layout_history_size(size_t key_length, size_t value_length)
{
    size_t prefix = 1; /* of the key */

    for (size_t rest = key_length; rest >= 0x80; rest >>= 7)
        prefix++;
    return HISTORY_HEAD + prefix + key_length + HISTORY_NUMBERS + value_length;
}

void layout_history_encode(struct buffer *to, struct kv_history *history, struct kv_point point,
                           uint64_t chain)
{
    uint8_t place[12];
    uint32_t sub = htobe32(point.sub);

    buffer_clear(to);
    buffer_char(to, history->put);
    kv_put_be64(to, chain);
    put_point(to, history->before);
    kv_put_be32(to, history->before_size);
    kv_put_slice(to, history->key);
    if (history->put) {
        kv_put_be64(to, history->create);
        kv_put_be64(to, history->version);
        kv_put_be64(to, (uint64_t)history->lease);
        buffer_add(to, history->value.data, history->value.length);
    }
    if (to->error)
        return;
    store_be64(place, point.main);
    memcpy(place + 8, &sub, sizeof(sub));
    history->chain =
        kv_hash(kv_hash(chain, (struct kv_slice){place, sizeof(place)}), kv_buffer_slice(to));
    store_be64((uint8_t *)to->data + CHAIN_AT, history->chain);
}

bool layout_history_decode(struct kv_history *history, struct kv_slice record)
{
    struct kv_reader reader = kv_reader_of(record);

    *history = (struct kv_history){.put = kv_read_byte(&reader)};
    history->chain = kv_read_be64(&reader);
    history->before = read_point(&reader);
    history->before_size = kv_read_be32(&reader);
    history->key = kv_read_slice(&reader);
    if (history->put) {
        history->create = kv_read_be64(&reader);
        history->version = kv_read_be64(&reader);
        history->lease = (int64_t)kv_read_be64(&reader);
        history->value = kv_read_bytes(&reader, kv_reader_left(&reader));
    }
    return !reader.bad && !kv_reader_left(&reader);
}

bool layout_point_decode(struct kv_point *point, struct kv_slice key)
{
    struct kv_reader reader = kv_reader_of(key);
    bool history = kv_read_byte(&reader) == LAYOUT_HISTORY;

    *point = read_point(&reader);
    return history && !reader.bad && !kv_reader_left(&reader);
}

bool layout_index_decode(struct buffer *key, struct kv_point *point, struct kv_slice index)
{
    size_t end = index.length < 14 ? 0 : index.length - 13; /* of KEY': 00, main, sub follow */
    struct kv_reader reader = {index.data + end, index.data + index.length, false};
    size_t plain = 1;

    buffer_clear(key);
    if (!end || kv_read_byte(&reader))
        return false;
    for (size_t i = 1; i < end; i++) {
        if (index.data[i])
            continue;
        if (i + 1 == end || index.data[i + 1] != ESCAPE)
            return false;
        buffer_add(key, index.data + plain, i + 1 - plain);
        plain = ++i + 1;
    }
    buffer_add(key, index.data + plain, end - plain);
    *point = read_point(&reader);
    return true;
}

struct kv_point layout_index_point(struct kv_slice index)
{
    struct kv_reader reader = {index.data + index.length - LAYOUT_POINT, index.data + index.length,
                               false};

    return read_point(&reader);
}

void layout_lease_encode(struct buffer *to, const struct kv_lease *lease)
{
    buffer_clear(to);
    kv_put_be64(to, lease->ttl);
    kv_put_be64(to, lease->remaining);
}

bool layout_lease_decode(struct kv_lease *lease, struct kv_slice key, struct kv_slice record)
{
    struct kv_reader names = kv_reader_of(key), numbers = kv_reader_of(record);

    kv_read_byte(&names);
    lease->id = (int64_t)kv_read_be64(&names);
    lease->ttl = kv_read_be64(&numbers);
    lease->remaining = kv_read_be64(&numbers);
    return !names.bad && !numbers.bad && !kv_reader_left(&names) && !kv_reader_left(&numbers);
}
