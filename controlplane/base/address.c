/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and prefixes: the part of units.h that looks into their bits. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

int units_parse_endpoint(const char *text, struct endpoint *endpoint)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];
    struct endpoint parsed;
    bool bracket = *text == '[';
    size_t length;
    uint64_t port;

    if (!colon || units_parse_number(colon + 1, &port) || !port || port > UINT16_MAX)
        return CULVERT_EINVAL;
    length = (size_t)(colon - text);
    if (bracket) {
        if (length < 2 || text[length - 1] != ']')
            return CULVERT_EINVAL;
        text++;
        length -= 2;
    }
    if (length >= sizeof(host))
        return CULVERT_EINVAL;
    memcpy(host, text, length);
    host[length] = 0;
    if (units_parse_address(host, &parsed.address) || address_is_v4(&parsed.address) == bracket)
        return CULVERT_EINVAL;
    parsed.port = (uint16_t)port;
    *endpoint = parsed;
    return 0;
}

void units_write_endpoint(const struct endpoint *endpoint, char text[UNITS_TEXT])
{
    bool v4 = address_is_v4(&endpoint->address);
    char host[UNITS_TEXT];

    units_write_address(&endpoint->address, host);
    snprintf(text, UNITS_TEXT, "%s%.*s%s:%u", v4 ? "" : "[", INET6_ADDRSTRLEN, host, v4 ? "" : "]",
             endpoint->port);
}

void endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof(*to));
    if (address_is_v4(&endpoint->address)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)to;

        v4->sin_family = AF_INET;
        v4->sin_port = htons(endpoint->port);
        memcpy(&v4->sin_addr, endpoint->address.bytes + 12, 4);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(endpoint->port);
        memcpy(&v6->sin6_addr, endpoint->address.bytes, 16);
    }
}

void endpoint_from_socket(const struct sockaddr_storage *from, struct endpoint *endpoint)
{
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

        memcpy(endpoint->address.bytes, &v6->sin6_addr, 16);
        endpoint->port = ntohs(v6->sin6_port);
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

        memcpy(endpoint->address.bytes, v4_prefix, sizeof(v4_prefix));
        memcpy(endpoint->address.bytes + 12, &v4->sin_addr, 4);
        endpoint->port = ntohs(v4->sin_port);
    }
}
