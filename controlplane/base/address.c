/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and prefixes: the part of units.h that looks into their bits. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_is_v4(const struct address *address)
{
    return !memcmp(address->bytes, v4_prefix, sizeof(v4_prefix));
}

bool address_equal(const struct address *x, const struct address *y)
{
    return !memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

void address_mask(struct address *address, unsigned length)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = length > 8 * i ? length - 8 * i : 0;

        if (kept < 8)
            address->bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

int units_parse_address(const char *text, struct address *address)
{
    struct address parsed;

    memcpy(parsed.bytes, v4_prefix, sizeof(v4_prefix));
    if (inet_pton(AF_INET, text, parsed.bytes + 12) != 1 &&
        (inet_pton(AF_INET6, text, parsed.bytes) != 1 || address_is_v4(&parsed)))
        return CULVERT_EINVAL;
    *address = parsed;
    return 0;
}

int units_parse_prefix(const char *text, struct address *address, unsigned *length, bool *host_bits)
{
    const char *slash = strchr(text, '/');
    char start[INET6_ADDRSTRLEN];
    struct address parsed;
    unsigned widest, shift;
    uint64_t bits;

    *host_bits = false;
    if (slash && (size_t)(slash - text) >= sizeof(start))
        return CULVERT_EINVAL;
    snprintf(start, sizeof(start), "%.*s",
             slash ? (int)(slash - text) : (int)strnlen(text, sizeof(start) - 1), text);
    if ((!slash && strlen(text) >= sizeof(start)) || units_parse_address(start, &parsed))
        return CULVERT_EINVAL;
    widest = address_is_v4(&parsed) ? 32 : 128;
    shift = 128 - widest;
    bits = widest;
    if (slash && units_parse_number(slash + 1, &bits))
        return CULVERT_EINVAL;
    if (bits > widest)
        return CULVERT_EFULL;
    *length = (unsigned)bits;
    *address = parsed;
    address_mask(address, *length + shift);
    *host_bits = !address_equal(address, &parsed);
    return *host_bits ? CULVERT_EINVAL : 0;
}

void units_write_address(const struct address *address, char text[UNITS_TEXT])
{
    bool v4 = address_is_v4(address);

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), text, UNITS_TEXT))
        text[0] = 0;
}

void units_write_prefix(const struct address *address, unsigned length, char text[UNITS_TEXT])
{
    size_t used;

    units_write_address(address, text);
    used = strlen(text);
    snprintf(text + used, UNITS_TEXT - used, "/%u", length);
}
