/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another node says inside TLS: frames, hello, messages in pieces. The low four bits of the
 * first byte say how many bytes of piece lengths follow, used in turn; then comes the stream. It is
 * read twice, whole and in those pieces, and both must tell the same story.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/core/transport_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUTS_MAX 15u

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void tell(uint64_t *hash, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ bytes[i]) * 0x100000001b3ull;
    *hash = (*hash ^ 0x1ffu) * 0x100000001b3ull; /* an end that no byte is */
}

/* A hello that was taken can be written, and read again. */
static void check_hello(const struct wire_hello *hello)
{
    struct wire_reader reader = {0};
    struct buffer out = {0};
    size_t used;

    must(hello->node && hello->version_min && hello->version_min <= hello->version_max);
    must(site_id_valid(hello->site) && strlen(hello->software) < WIRE_SOFTWARE_MAX);
    must(wire_version(hello, hello) == hello->version_max);
    wire_put_hello(&out, hello);
    must(!out.error);
    must(wire_read(&reader, (uint8_t *)out.data, out.length, &used) == WIRE_EVENT_HELLO);
    must(used == out.length && !strcmp(reader.hello.site, hello->site));
    must(!strcmp(reader.hello.software, hello->software) && reader.hello.life == hello->life);
    wire_reader_free(&reader);
    buffer_free(&out);
}

static void take_event(uint64_t *hash, const struct wire_reader *reader, enum wire_event event)
{
    tell(hash, &event, sizeof(event));
    if (event == WIRE_EVENT_HELLO) {
        check_hello(&reader->hello);
    } else if (event == WIRE_EVENT_REFUSE) {
        tell(hash, reader->refuse.text, strlen(reader->refuse.text));
    } else if (event == WIRE_EVENT_MESSAGE) {
        must(reader->at == WIRE_UP && reader->length <= ENV_MESSAGE_MAX);
        tell(hash, reader->message, reader->length);
    } else if (event == WIRE_EVENT_REPORT) {
        must(reader->at == WIRE_UP && reader->length <= WIRE_REPORT_MAX);
        tell(hash, &reader->time, sizeof(reader->time));
        tell(hash, reader->message, reader->length);
    } else if (event == WIRE_EVENT_PING || event == WIRE_EVENT_PONG) {
        must(reader->at == WIRE_UP);
        tell(hash, &reader->time, sizeof(reader->time));
    }
    must(reader->bulk.length <= ENV_MESSAGE_MAX);
}

/* Reads the whole frames of `length` bytes, from memory of just that length. Returns how many bytes
 * they were; `*open` is false when the connection would have ended. */
static size_t take_bytes(struct wire_reader *reader, uint64_t *hash, const uint8_t *data,
                         size_t length, bool *open)
{
    uint8_t *copy = malloc(length ? length : 1);
    enum wire_event event;
    size_t at = 0, used;

    must(copy != NULL);
    memcpy(copy, data, length);
    do {
        event = wire_read(reader, copy + at, length - at, &used);
        must(used <= length - at && (used || event == WIRE_EVENT_MORE || event == WIRE_EVENT_BAD));
        at += used;
        if (event != WIRE_EVENT_MORE)
            take_event(hash, reader, event);
        *open = event != WIRE_EVENT_BAD && event != WIRE_EVENT_REFUSE;
    } while (*open && event != WIRE_EVENT_MORE);
    free(copy);
    return at;
}

static uint64_t read_stream(const uint8_t *data, size_t size, const uint8_t *cuts, size_t count)
{
    struct wire_reader reader = {0};
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t start = 0, end = 0, turn = 0;
    bool open = true;

    do {
        size_t step = size;

        if (count) {
            step = cuts[turn++ % count];
            step += turn % count == 0; /* so that no row of zeros stays in place */
        }
        end = step < size - end ? end + step : size;
        start += take_bytes(&reader, &hash, data + start, end - start, &open);
    } while (open && end < size);
    wire_reader_free(&reader);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = size ? data[0] & CUTS_MAX : 0;
    const uint8_t *cuts = data + 1;

    if (size < 1 + count)
        return 0;
    data += 1 + count;
    size -= 1 + count;
    must(read_stream(data, size, NULL, 0) == read_stream(data, size, cuts, count));
    return 0;
}
