/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages against a fixed pair of zones: the first byte chooses TCP and the buffer's room, the
 * rest is the message. No reply may be longer than allowed, nor lack QR.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/message.h"
#include "tests/controlplane/dns/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fixture_zone zones[] = {
    {.name = "example.com",
     .text = "@ 900 SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n"
             "www CNAME web\nweb A 192.0.2.1\nweb AAAA 2001:db8::1\n*.w TXT \"wild\"\n"
             "*.w MX 10 mail\nmail A 192.0.2.2\nsub NS ns.sub\nsub NS ns.test.\n"
             "ns.sub A 192.0.2.9\na.ent TXT x\nloop CNAME gone\n"},
    {.name = "child.example.com",
     .text = "@ 900 SOA ns1.example.com. host 1 2 3 4 5\n@ NS ns1.example.com.\n"
             "* CNAME www.example.com.\n"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fixture fixture = {.size = (size_t)16 << 20};
    bool tcp = size && data[0] & 1;
    size_t length, capacity, reply;
    unsigned reason;
    uint8_t *message;

    if (!fixture.tables && fixture_open(&fixture, zones, 2))
        abort();
    if (!size || size > MESSAGE_BYTES_MAX)
        return 0;
    length = size - 1;
    capacity = tcp ? MESSAGE_BYTES_MAX : length + (data[0] >> 1) * 16u;
    message = malloc(capacity ? capacity : 1);
    if (!message)
        return 0;
    memcpy(message, data + 1, length);
    reply = message_answer(fixture.base, message, length, capacity, tcp, &reason);
    if (reply > capacity || (reply && (reply < 12 || !(message[2] & 0x80))) ||
        (!tcp && reply > 1232))
        abort();
    free(message);
    return 0;
}
