/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/transport_wire.h"

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"

void wire_put_header(struct buffer *out, enum wire_kind kind, size_t length)
{
    bytes_put_number(out, length, 4);
    bytes_put_number(out, kind, 1);
}

void wire_put_hello(struct buffer *out, const struct wire_hello *hello)
{
    size_t length = 2 + 2 + 8 + 8 + 2 + strlen(hello->site) + 2 + strlen(hello->software);

    wire_put_header(out, WIRE_HELLO, length);
    bytes_put_number(out, hello->version_min, 2);
    bytes_put_number(out, hello->version_max, 2);
    bytes_put_number(out, hello->node, 8);
    bytes_put_number(out, hello->life, 8);
    bytes_put_text(out, hello->site);
    bytes_put_text(out, hello->software);
}

void wire_put_refuse(struct buffer *out, uint16_t reason, const char *text)
{
    size_t length = strnlen(text, WIRE_TEXT_MAX - 1);

    wire_put_header(out, WIRE_REFUSE, 2 + 2 + length);
    bytes_put_number(out, reason, 2);
    bytes_put_counted(out, text, length);
}

void wire_put_time(struct buffer *out, enum wire_kind kind, uint64_t time)
{
    wire_put_header(out, kind, 8);
    bytes_put_number(out, time, 8);
}

void wire_put_report(struct buffer *out, uint64_t time, const void *report, size_t length)
{
    wire_put_header(out, WIRE_REPORT, 8 + length);
    bytes_put_number(out, time, 8);
    buffer_add(out, report, length);
}

uint16_t wire_version(const struct wire_hello *ours, const struct wire_hello *theirs)
{
    uint16_t most =
        ours->version_max < theirs->version_max ? ours->version_max : theirs->version_max;
    uint16_t least =
        ours->version_min > theirs->version_min ? ours->version_min : theirs->version_min;

    return most >= least ? most : 0;
}

/* ---- reading ---- */

/* Later versions may say more behind what this one knows. */
static enum wire_event read_hello(struct wire_reader *reader, struct bytes *bytes)
{
    struct wire_hello *hello = &reader->hello;

    hello->version_min = (uint16_t)bytes_take_number(bytes, 2);
    hello->version_max = (uint16_t)bytes_take_number(bytes, 2);
    hello->node = bytes_take_number(bytes, 8);
    hello->life = bytes_take_number(bytes, 8);
    bytes_take_text(bytes, hello->site, sizeof(hello->site));
    bytes_take_text(bytes, hello->software, sizeof(hello->software));
    if (bytes->bad || !hello->node || !hello->version_min ||
        hello->version_min > hello->version_max || !site_id_valid(hello->site))
        return WIRE_EVENT_BAD;
    reader->at = WIRE_AT_READY;
    return WIRE_EVENT_HELLO;
}

static enum wire_event read_refuse(struct wire_reader *reader, struct bytes *bytes)
{
    reader->refuse.reason = (uint16_t)bytes_take_number(bytes, 2);
    bytes_take_text(bytes, reader->refuse.text, sizeof(reader->refuse.text));
    return bytes->bad ? WIRE_EVENT_BAD : WIRE_EVENT_REFUSE;
}

static enum wire_event read_time(struct wire_reader *reader, struct bytes *bytes,
                                 enum wire_event event)
{
    reader->time = bytes_take_number(bytes, 8);
    return bytes->bad || bytes->left ? WIRE_EVENT_BAD : event;
}

static enum wire_event read_report(struct wire_reader *reader, struct bytes *bytes)
{
    reader->time = bytes_take_number(bytes, 8);
    reader->message = bytes->at;
    reader->length = bytes->left;
    return bytes->bad ? WIRE_EVENT_BAD : WIRE_EVENT_REPORT;
}

static enum wire_event add_piece(struct wire_reader *reader, const struct bytes *piece)
{
    struct buffer *bulk = &reader->bulk;

    if (!piece->left || piece->left > reader->bulk_length - bulk->length)
        return WIRE_EVENT_BAD;
    buffer_add(bulk, piece->at, piece->left);
    if (bulk->error)
        return WIRE_EVENT_NOMEM;
    if (bulk->length < reader->bulk_length)
        return WIRE_EVENT_NONE;
    reader->message = (const uint8_t *)bulk->data;
    reader->length = bulk->length;
    reader->bulk_length = 0;
    return WIRE_EVENT_MESSAGE;
}

static enum wire_event read_bulk(struct wire_reader *reader, struct bytes *bytes, bool first)
{
    if (first == (reader->bulk_length != 0))
        return WIRE_EVENT_BAD;
    if (first) {
        size_t length = bytes_take_number(bytes, 4);

        if (bytes->bad || !length || length > ENV_MESSAGE_MAX)
            return WIRE_EVENT_BAD;
        reader->bulk_length = length;
        buffer_clear(&reader->bulk);
    }
    return add_piece(reader, bytes);
}

static enum wire_event read_payload(struct wire_reader *reader, enum wire_kind kind,
                                    struct bytes *bytes)
{
    switch (kind) {
    case WIRE_HELLO:
        return read_hello(reader, bytes);
    case WIRE_READY:
        reader->at = WIRE_UP;
        return WIRE_EVENT_READY;
    case WIRE_REFUSE:
        return read_refuse(reader, bytes);
    case WIRE_PING:
        return read_time(reader, bytes, WIRE_EVENT_PING);
    case WIRE_PONG:
        return read_time(reader, bytes, WIRE_EVENT_PONG);
    case WIRE_MESSAGE:
        reader->message = bytes->at;
        reader->length = bytes->left;
        return WIRE_EVENT_MESSAGE;
    case WIRE_BULK_FIRST:
    case WIRE_BULK_MORE:
        return read_bulk(reader, bytes, kind == WIRE_BULK_FIRST);
    case WIRE_REPORT:
        return read_report(reader, bytes);
    }
    return WIRE_EVENT_BAD;
}

/* Most bytes of a payload; false: a frame of this kind has no place here. */
static bool find_bound(const struct wire_reader *reader, unsigned kind, size_t *bound)
{
    bool fits = reader->at == WIRE_UP;

    switch (kind) {
    case WIRE_HELLO:
        *bound = WIRE_SMALL_MAX;
        return reader->at == WIRE_AT_HELLO;
    case WIRE_READY:
        *bound = 0;
        return reader->at == WIRE_AT_READY;
    case WIRE_REFUSE:
        *bound = WIRE_SMALL_MAX;
        return true;
    case WIRE_PING:
    case WIRE_PONG:
        *bound = 8;
        return fits;
    case WIRE_MESSAGE:
        *bound = ENV_MESSAGE_MAX;
        return fits;
    case WIRE_BULK_FIRST:
    case WIRE_BULK_MORE:
        *bound = WIRE_PIECE_MAX;
        return fits;
    case WIRE_REPORT:
        *bound = 8 + WIRE_REPORT_MAX;
        return fits;
    default:
        return false;
    }
}

enum wire_event wire_read(struct wire_reader *reader, const uint8_t *data, size_t length,
                          size_t *used)
{
    struct bytes bytes;
    size_t payload, bound;

    *used = 0;
    if (length < WIRE_HEADER)
        return WIRE_EVENT_MORE;
    payload = bytes_number(data, 4);
    if (!find_bound(reader, data[4], &bound) || payload > bound)
        return WIRE_EVENT_BAD;
    if (length - WIRE_HEADER < payload)
        return WIRE_EVENT_MORE;
    *used = WIRE_HEADER + payload;
    bytes = (struct bytes){.at = data + WIRE_HEADER, .left = payload};
    return read_payload(reader, data[4], &bytes);
}

void wire_reader_free(struct wire_reader *reader)
{
    buffer_free(&reader->bulk);
}
