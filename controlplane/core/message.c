/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/message.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

#define FLAG_FIRST 1u
#define FLAG_SECOND 2u

/* Reading: once `bad`, everything is zero. */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static const void *take(struct reader *reader, size_t length)
{
    const uint8_t *at = reader->at;

    if (reader->bad || length > (size_t)(reader->end - at)) {
        reader->bad = true;
        return NULL;
    }
    reader->at += length;
    return at;
}

static uint8_t take_8(struct reader *reader)
{
    const uint8_t *at = take(reader, 1);

    return at ? *at : 0;
}

static uint32_t take_32(struct reader *reader)
{
    const void *at = take(reader, sizeof(uint32_t));
    uint32_t value = 0;

    if (at)
        memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t take_64(struct reader *reader)
{
    const void *at = take(reader, sizeof(uint64_t));
    uint64_t value = 0;

    if (at)
        memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* An index or a term. */
static uint64_t take_index(struct reader *reader)
{
    uint64_t value = take_64(reader);

    if (value > MESSAGE_INDEX_MAX)
        reader->bad = true;
    return value;
}

static void add_8(struct buffer *out, uint8_t value)
{
    buffer_add(out, &value, sizeof(value));
}

static void add_32(struct buffer *out, uint32_t value)
{
    value = htole32(value);
    buffer_add(out, &value, sizeof(value));
}

static void add_64(struct buffer *out, uint64_t value)
{
    value = htole64(value);
    buffer_add(out, &value, sizeof(value));
}

static uint8_t flags(bool first, bool second)
{
    return (uint8_t)((first ? FLAG_FIRST : 0) | (second ? FLAG_SECOND : 0));
}

static void take_flags(struct reader *reader, bool *first, bool *second)
{
    uint8_t value = take_8(reader);

    if (value > (FLAG_FIRST | FLAG_SECOND))
        reader->bad = true;
    *first = value & FLAG_FIRST;
    *second = value & FLAG_SECOND;
}

/* ---- members, as libraft's raft_configuration_encode() writes them ---- */

static bool member_valid(struct reader *reader)
{
    uint64_t id = take_64(reader);
    size_t room = (size_t)(reader->end - reader->at);
    const void *nul = reader->bad ? NULL : memchr(reader->at, 0, room);
    size_t length;

    if (!nul || !id)
        return false;
    length = (size_t)((const uint8_t *)nul - reader->at) + 1;
    if (length > MESSAGE_ADDRESS_MAX || !take(reader, length))
        return false;
    return take_8(reader) <= 2 && !reader->bad;
}

/* The bytes of the i-th member, which was found valid; its id first, then its address. */
static const uint8_t *member_at(const uint8_t *at, uint64_t i)
{
    for (at += 1 + sizeof(uint64_t); i; i--)
        at += sizeof(uint64_t) + strlen((const char *)at + sizeof(uint64_t)) + 2;
    return at;
}

bool message_members_valid(const void *bytes, size_t length)
{
    struct reader reader = {.at = bytes, .end = (const uint8_t *)bytes + length};
    uint64_t count;

    if (length > MESSAGE_MEMBERS_BYTES || take_8(&reader) != 1)
        return false;
    count = take_64(&reader);
    if (reader.bad || !count || count > MESSAGE_MEMBERS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *member = reader.at;

        if (!member_valid(&reader))
            return false;
        for (uint64_t j = 0; j < i; j++) {
            const uint8_t *other = member_at(bytes, j);

            if (!memcmp(other, member, sizeof(uint64_t)) ||
                !strcmp((const char *)other + sizeof(uint64_t),
                        (const char *)member + sizeof(uint64_t)))
                return false;
        }
    }
    return true;
}

/* ---- encoding ---- */

static void encode_append(const struct message *message, struct buffer *out)
{
    add_64(out, message->append.prev_index);
    add_64(out, message->append.prev_term);
    add_64(out, message->append.commit);
    add_32(out, message->append.count);
    for (unsigned i = 0; i < message->append.count; i++) {
        const struct wal_entry *entry = &message->append.entries[i];

        add_64(out, entry->term);
        add_8(out, entry->type);
        add_32(out, (uint32_t)entry->length);
        buffer_add(out, entry->data, entry->length);
    }
}

static void encode_chunk(const struct message *message, struct buffer *out)
{
    add_64(out, message->chunk.stream);
    add_64(out, message->chunk.sequence);
    add_64(out, message->chunk.index);
    add_64(out, message->chunk.index_term);
    add_64(out, message->chunk.members_index);
    add_8(out, flags(message->chunk.last, false));
    add_32(out, message->chunk.members_length);
    buffer_add(out, message->chunk.members, message->chunk.members_length);
    add_32(out, message->chunk.length);
    buffer_add(out, message->chunk.data, message->chunk.length);
}

static void encode_told(const struct message *message, struct buffer *out)
{
    add_32(out, message->told.length);
    buffer_add(out, message->told.data, message->told.length);
}

static void encode_small(const struct message *message, struct buffer *out)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_APPEND_RESULT:
        add_64(out, message->append_result.rejected);
        add_64(out, message->append_result.last_index);
        break;
    case MESSAGE_VOTE:
    case MESSAGE_TIMEOUT_NOW:
        add_64(out, message->vote.last_index);
        add_64(out, message->vote.last_term);
        add_8(out, flags(message->vote.disrupt, message->vote.pre_vote));
        break;
    case MESSAGE_VOTE_RESULT:
        add_8(out, flags(message->vote_result.granted, message->vote_result.pre_vote));
        break;
    case MESSAGE_CHUNK_RESULT:
        add_64(out, message->chunk_result.stream);
        add_64(out, message->chunk_result.sequence);
        add_8(out, flags(message->chunk_result.refused, false));
        break;
    default: /* the four about reads */
        add_64(out, message->read.id);
        add_64(out, message->read.index);
        break;
    }
}

void message_encode(const struct message *message, struct buffer *out)
{
    add_8(out, MESSAGE_VERSION);
    add_8(out, message->kind);
    add_32(out, message->group);
    add_64(out, message->term);
    if (message->kind == MESSAGE_APPEND)
        encode_append(message, out);
    else if (message->kind == MESSAGE_CHUNK)
        encode_chunk(message, out);
    else if (message->kind == MESSAGE_TOLD)
        encode_told(message, out);
    else
        encode_small(message, out);
}

/* ---- decoding ---- */

/* Raft's own rules: terms never fall along the log, and none is above the leader's. */
static void decode_entry(struct reader *reader, struct wal_entry *entry, uint64_t least,
                         uint64_t most)
{
    entry->term = take_index(reader);
    entry->type = take_8(reader);
    entry->length = take_32(reader);
    entry->data = take(reader, entry->length);
    if (!entry->term || entry->term < least || entry->term > most ||
        entry->length > WAL_ENTRY_MAX || entry->type < MESSAGE_COMMAND ||
        entry->type > MESSAGE_MEMBERS)
        reader->bad = true;
    if (!reader->bad && entry->type == MESSAGE_MEMBERS &&
        !message_members_valid(entry->data, entry->length))
        reader->bad = true;
}

static int decode_append(struct reader *reader, struct message *out)
{
    uint64_t term;
    unsigned count;

    out->append.prev_index = take_index(reader);
    out->append.prev_term = term = take_index(reader);
    out->append.commit = take_index(reader);
    count = take_32(reader);
    out->append.entries = NULL;
    if (reader->bad || !out->append.prev_index != !term || term > out->term ||
        count > MESSAGE_ENTRIES_MAX) {
        reader->bad = true;
        return 0;
    }
    out->append.count = count;
    if (!count)
        return 0;
    out->append.entries = calloc(count, sizeof(*out->append.entries));
    if (!out->append.entries)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < count && !reader->bad; i++) {
        decode_entry(reader, &out->append.entries[i], term, out->term);
        term = out->append.entries[i].term;
    }
    return 0;
}

static void decode_chunk(struct reader *reader, struct message *out)
{
    bool none;

    out->chunk.stream = take_64(reader);
    out->chunk.sequence = take_64(reader);
    out->chunk.index = take_index(reader);
    out->chunk.index_term = take_index(reader);
    out->chunk.members_index = take_index(reader);
    take_flags(reader, &out->chunk.last, &none);
    out->chunk.members_length = take_32(reader);
    out->chunk.members = take(reader, out->chunk.members_length);
    out->chunk.length = take_32(reader);
    out->chunk.data = take(reader, out->chunk.length);
    if (none || out->chunk.length > MESSAGE_CHUNK_MAX || !out->chunk.index ||
        !out->chunk.index_term || out->chunk.index_term > out->term || !out->chunk.members_index ||
        !out->chunk.stream || !out->chunk.sequence != !!out->chunk.members_length)
        reader->bad = true;
    if (!reader->bad && out->chunk.members_length &&
        !message_members_valid(out->chunk.members, out->chunk.members_length))
        reader->bad = true;
}

static void decode_told(struct reader *reader, struct message *out)
{
    out->told.length = take_32(reader);
    out->told.data = take(reader, out->told.length);
    if (out->told.length > MESSAGE_TOLD_MAX)
        reader->bad = true;
}

static void decode_small(struct reader *reader, struct message *out)
{
    bool none = false;

    switch ((enum message_kind)out->kind) {
    case MESSAGE_APPEND_RESULT:
        out->append_result.rejected = take_index(reader);
        out->append_result.last_index = take_index(reader);
        break;
    case MESSAGE_VOTE:
    case MESSAGE_TIMEOUT_NOW:
        out->vote.last_index = take_index(reader);
        out->vote.last_term = take_index(reader);
        take_flags(reader, &out->vote.disrupt, &out->vote.pre_vote);
        break;
    case MESSAGE_VOTE_RESULT:
        take_flags(reader, &out->vote_result.granted, &out->vote_result.pre_vote);
        break;
    case MESSAGE_CHUNK_RESULT:
        out->chunk_result.stream = take_64(reader);
        out->chunk_result.sequence = take_64(reader);
        take_flags(reader, &out->chunk_result.refused, &none);
        break;
    case MESSAGE_CONFIRM:
    case MESSAGE_CONFIRMED:
    case MESSAGE_READ_INDEX:
    case MESSAGE_READ_RESULT:
        out->read.id = take_64(reader);
        out->read.index = take_index(reader);
        break;
    default:
        reader->bad = true;
    }
    if (none)
        reader->bad = true;
}

int message_decode(const uint8_t *bytes, size_t length, struct message *out)
{
    struct reader reader = {.at = bytes, .end = bytes + length};
    int error = 0;

    memset(out, 0, sizeof(*out));
    if (take_8(&reader) != MESSAGE_VERSION)
        return CULVERT_EPROTO;
    out->kind = take_8(&reader);
    out->group = take_32(&reader);
    out->term = take_index(&reader);
    if (reader.bad)
        return CULVERT_EPROTO;
    if (out->kind == MESSAGE_APPEND)
        error = decode_append(&reader, out);
    else if (out->kind == MESSAGE_CHUNK)
        decode_chunk(&reader, out);
    else if (out->kind == MESSAGE_TOLD)
        decode_told(&reader, out);
    else
        decode_small(&reader, out);
    if (!error && (reader.bad || reader.at != reader.end))
        error = CULVERT_EPROTO;
    if (error)
        message_free(out);
    return error;
}

void message_free(struct message *message)
{
    if (message->kind == MESSAGE_APPEND) {
        free(message->append.entries);
        message->append.entries = NULL;
    }
}
