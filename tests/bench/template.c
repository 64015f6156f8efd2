/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/template.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_name(const char *kind)
{
    return !strcmp(kind, "dns") || !strcmp(kind, "nxdomain");
}

bool template_known(const char *kind)
{
    return is_name(kind) || !strcmp(kind, "lb") || !strcmp(kind, "drop") || !strcmp(kind, "access");
}

static void put16(uint8_t *at, uint16_t value)
{
    value = htons(value);
    memcpy(at, &value, sizeof(value));
}

/* The header's one's complement sum, with the source and the checksum still zero. */
static uint32_t header_sum(const uint8_t *header)
{
    uint32_t sum = 0;

    for (int i = 0; i < 20; i += 2) {
        uint16_t word;

        memcpy(&word, header + i, sizeof(word));
        sum += word;
    }
    return sum;
}

void template_make(struct shim_config *config, const char *kind, uint16_t port, unsigned size)
{
    static const uint8_t query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                                   "\x08hx000000\x07"
                                   "example\x03"
                                   "com\x00\x00\x01\x00\x01";
    uint8_t *frame = config->frame;

    memset(frame, 0, SHIM_FRAME_BYTES);
    memcpy(frame, "\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0\x45\0", 16);
    put16(frame + 16, SHIM_FRAME_BYTES - 14);
    frame[22] = 64;
    frame[23] = is_name(kind) ? IPPROTO_UDP : IPPROTO_TCP;
    inet_pton(AF_INET, is_name(kind) ? "192.0.2.53" : "192.0.2.10", frame + 30);
    put16(frame + 36, is_name(kind) ? 53 : port);
    if (is_name(kind)) {
        put16(frame + 38, SHIM_FRAME_BYTES - 34);
        memcpy(frame + 42, query, sizeof(query) - 1);
        if (!strcmp(kind, "nxdomain"))
            frame[SHIM_NAME_AT + 2] = 'y'; /* hy000000: no such name */
    } else {
        frame[46] = 0x50; /* data offset 5 */
        frame[47] = 0x10; /* ACK */
    }
    config->sum = header_sum(frame + 14);
    config->mask = size - 1;
    config->kind = is_name(kind) ? SHIM_NAME : SHIM_FLOW;
}
