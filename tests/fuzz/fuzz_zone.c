/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zone text, compiled; then questions to it. Input: the text of example.com, a byte 0xff, the text
 * of b.a.example.com, a byte 0xff, and names to ask: a type's byte, then labels split by dots, a
 * newline after each. Every reply must be a message that ldns can read.
 */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/message.h"
#include "dataplane/fastpath/reasons.h"
#include "tests/controlplane/dns/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned types[] = {1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 255, 252, 731};

/* The bytes up to the next 0xff. */
static size_t cut(const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, 0xff, *size);
    size_t length = end ? (size_t)(end - *data) : *size;
    size_t used = end ? length + 1 : length;

    *data += used;
    *size -= used;
    return length;
}

static void ask(const void *region, const uint8_t *text, size_t length, unsigned type)
{
    static uint8_t message[MESSAGE_BYTES_MAX + 1];
    size_t at = 12, label = 12;
    unsigned reason;
    ldns_pkt *reply = NULL;
    size_t bytes;

    memset(message, 0, 12);
    message[5] = 1;
    message[at++] = 0;
    for (size_t i = 0; i < length && at < 260; i++) {
        if (text[i] == '.') {
            label = at;
            message[at++] = 0;
        } else if (message[label] < 63) {
            message[at++] = text[i];
            message[label]++;
        }
    }
    if (message[label])
        message[at++] = 0;
    message[at++] = (uint8_t)(type >> 8);
    message[at++] = (uint8_t)type;
    message[at++] = 0;
    message[at++] = 1;
    bytes = message_answer(region, message, at, MESSAGE_BYTES_MAX, true, &reason);
    if (!bytes || ldns_wire2pkt(&reply, message, bytes) != LDNS_STATUS_OK)
        abort();
    if (reason == FP_DROP_INTERNAL || reason == FP_DNS_TRUNCATED || reason == FP_DROP_NO_ROOM)
        abort();
    ldns_pkt_free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture fixture = {.size = (size_t)32 << 20};
    struct fixture_zone zones[2] = {{.name = "example.com"}, {.name = "b.a.example.com"}};

    if (size > 65536)
        return 0;
    for (int i = 0; i < 2; i++) {
        zones[i].text = (const char *)data;
        zones[i].length = cut(&data, &size);
        if (!zones[i].length)
            zones[i].text = " ", zones[i].length = 1;
    }
    fixture_open(&fixture, zones, 2);
    for (int i = 0; i < 64 && size; i++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;

        if (length)
            ask(fixture.base, data + 1, length - 1,
                types[data[0] % (sizeof(types) / sizeof(types[0]))]);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    fixture_close(&fixture);
    return 0;
}
