/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

#define READER_CAPACITY (64u << 10)
#define PAYLOAD_ALIGN 8u
#define ACK_TEXT_MAX 1024u

struct channel_reader {
    uint8_t *data; /* aligned as malloc does */
    size_t capacity;
    size_t start, end; /* of what was read and not yet handed out */
};

/* A payload has `least` bytes and any number of `unit` more, `most` in all. */
struct payload_rule {
    size_t least, unit, most;
};

static const struct payload_rule rules[CHANNEL_TYPE_COUNT] = {
    [CHANNEL_HELLO] = {sizeof(struct channel_hello), 0, sizeof(struct channel_hello)},
    [CHANNEL_LIST] = {0, 1, TABLES_PARTS},
    [CHANNEL_ENTRIES] = {sizeof(struct channel_entry), sizeof(struct channel_entry),
                         CHANNEL_MESSAGE_MAX},
    [CHANNEL_ENTRIES_END] = {0, 0, 0},
    [CHANNEL_BEGIN] = {0, 0, 0},
    [CHANNEL_PUT] = {sizeof(struct fp_key), 1, CHANNEL_MESSAGE_MAX},
    [CHANNEL_DELETE] = {sizeof(struct fp_key), 0, sizeof(struct fp_key)},
    [CHANNEL_COMMIT] = {sizeof(uint64_t), 0, sizeof(uint64_t)},
    [CHANNEL_ACK] = {sizeof(struct channel_ack), 1, sizeof(struct channel_ack) + ACK_TEXT_MAX},
    [CHANNEL_STATS] = {sizeof(uint32_t), 0, sizeof(uint32_t)},
    [CHANNEL_STATS_REPLY] = {2 * sizeof(uint32_t), sizeof(struct channel_stat),
                             CHANNEL_MESSAGE_MAX},
    [CHANNEL_EXPLAIN] = {2 * sizeof(uint32_t), 1, CHANNEL_MESSAGE_MAX},
    [CHANNEL_EXPLAIN_REPLY] = {2 * sizeof(uint32_t), 1, CHANNEL_MESSAGE_MAX},
    [CHANNEL_STATE] = {0, 1, CHANNEL_MESSAGE_MAX},
};

_Static_assert(sizeof(struct channel_header) == 8, "layout");
_Static_assert(sizeof(struct fp_key) == 24, "layout");
_Static_assert(sizeof(struct channel_entry) == 32, "layout");
_Static_assert(sizeof(struct channel_ack) == 16, "layout");
_Static_assert(sizeof(struct channel_stat) == 24, "layout");
_Static_assert(sizeof(struct channel_hello) == 56 + 8 * TABLES_PARTS, "layout");

static bool length_fits(unsigned type, size_t length)
{
    const struct payload_rule *rule;

    if (!type || type >= CHANNEL_TYPE_COUNT)
        return false;
    rule = &rules[type];
    if (length < rule->least || length > rule->most)
        return false;
    return length == rule->least || (rule->unit && (length - rule->least) % rule->unit == 0);
}

int channel_reader_new(struct channel_reader **out)
{
    struct channel_reader *reader = calloc(1, sizeof(*reader));

    *out = NULL;
    if (!reader)
        return CULVERT_ENOMEM;
    reader->data = malloc(READER_CAPACITY);
    if (!reader->data) {
        free(reader);
        return CULVERT_ENOMEM;
    }
    reader->capacity = READER_CAPACITY;
    *out = reader;
    return 0;
}

void channel_reader_free(struct channel_reader *reader)
{
    if (!reader)
        return;
    free(reader->data);
    free(reader);
}

static void reader_compact(struct channel_reader *reader)
{
    if (!reader->start)
        return;
    memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
}

void channel_reader_room(struct channel_reader *reader, void **to, size_t *room)
{
    if (reader->start == reader->end)
        reader->start = reader->end = 0;
    if (reader->capacity - reader->end < reader->capacity / 4)
        reader_compact(reader);
    *to = reader->data + reader->end;
    *room = reader->capacity - reader->end;
}

void channel_reader_add(struct channel_reader *reader, size_t bytes)
{
    assert(bytes <= reader->capacity - reader->end);
    reader->end += bytes;
}

/* Room for a message that is longer than the buffer. */
static int reader_grow(struct channel_reader *reader, size_t need)
{
    uint8_t *data;

    if (need <= reader->capacity)
        return 0;
    data = realloc(reader->data, need);
    if (!data)
        return CULVERT_ENOMEM;
    reader->data = data;
    reader->capacity = need;
    return 0;
}

int channel_reader_next(struct channel_reader *reader, enum channel_type *type,
                        const void **payload, size_t *length)
{
    size_t have = reader->end - reader->start, skew;
    struct channel_header header;
    uint8_t *at;

    if (have < sizeof(header)) {
        if (!have)
            reader->start = reader->end = 0;
        return 0;
    }
    memcpy(&header, reader->data + reader->start, sizeof(header));
    if (header.zero || !length_fits(header.type, header.length))
        return CULVERT_EPROTO;
    if (have < sizeof(header) + header.length)
        return reader_grow(reader, sizeof(header) + header.length);
    at = reader->data + reader->start + sizeof(header);
    reader->start += sizeof(header) + header.length;
    /* Messages follow each other unpadded: the payload slides down, over its header's bytes. */
    skew = (size_t)(at - reader->data) % PAYLOAD_ALIGN;
    if (skew && header.length)
        memmove(at - skew, at, header.length);
    *type = header.type;
    *payload = at - skew;
    *length = header.length;
    return 1;
}

static int writer_reserve(struct channel_writer *writer, size_t need)
{
    size_t capacity = writer->capacity ? writer->capacity : 4096;
    uint8_t *data;

    if (need > writer->bound)
        return CULVERT_EFULL;
    if (need <= writer->capacity)
        return 0;
    while (capacity < need)
        capacity *= 2;
    data = realloc(writer->data, capacity);
    if (!data)
        return CULVERT_ENOMEM;
    writer->data = data;
    writer->capacity = capacity;
    return 0;
}

int channel_write(struct channel_writer *writer, enum channel_type type, const void *first,
                  size_t first_length, const void *second, size_t second_length)
{
    struct channel_header header = {.type = (uint16_t)type};
    uint8_t *at;
    int rc;

    if (first_length > CHANNEL_MESSAGE_MAX || second_length > CHANNEL_MESSAGE_MAX ||
        !length_fits(type, first_length + second_length))
        return CULVERT_EINVAL;
    header.length = (uint32_t)(first_length + second_length);
    rc = writer_reserve(writer, writer->length + sizeof(header) + header.length);
    if (rc)
        return rc;
    at = writer->data + writer->length;
    memcpy(at, &header, sizeof(header));
    at += sizeof(header);
    if (first_length)
        memcpy(at, first, first_length);
    if (second_length)
        memcpy(at + first_length, second, second_length);
    writer->length += sizeof(header) + header.length;
    return 0;
}

void channel_writer_sent(struct channel_writer *writer, size_t bytes)
{
    assert(bytes <= writer->length);
    writer->length -= bytes;
    if (writer->length)
        memmove(writer->data, writer->data + bytes, writer->length);
}

void channel_writer_free(struct channel_writer *writer)
{
    free(writer->data);
    writer->data = NULL;
    writer->length = writer->capacity = 0;
}
