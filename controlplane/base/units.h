/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notations of the site file and of command lines, parsed and written: times, rates, sizes,
 * addresses, prefixes. All parse the whole text or fail with CULVERT_EINVAL; CULVERT_EFULL: well
 * formed, but out of range. `units_write_*` write the shortest form that parses to the same.
 */
#ifndef CULVERT_BASE_UNITS_H
#define CULVERT_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 64 /* room for any text written here */

/* An IPv4 address is kept as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), network byte order. */
struct address {
    uint8_t bytes[16];
};

struct endpoint {
    struct address address;
    uint16_t port; /* host order */
};

/* Decimal digits only. */
int units_parse_number(const char *text, uint64_t *value);
/* A number with an optional k, M or G (powers of 1000): "10M". */
int units_parse_size(const char *text, uint64_t *value);
/* A size "/s": "10k/s" gives 10000. */
int units_parse_rate(const char *text, uint64_t *per_second);
/* A number with ms, s, m or h: "90s". In milliseconds. */
int units_parse_time(const char *text, uint64_t *ms);
/* IPv4 in dotted decimals or IPv6 (RFC 4291 section 2.2). No IPv4-mapped IPv6, no zone ids. */
int units_parse_address(const char *text, struct address *address);
/* "address/length" or an address alone. The length is counted for the address's own family. Bits
 * behind the length must be 0, else CULVERT_EINVAL with *address masked and *length set (for a
 * hint), and `*host_bits` true. */
int units_parse_prefix(const char *text, struct address *address, unsigned *length,
                       bool *host_bits);
/* "192.0.2.1:7000" or "[2001:db8::1]:7000" (RFC 3986 section 3.2.2). Port 0 is CULVERT_EINVAL. */
int units_parse_endpoint(const char *text, struct endpoint *endpoint);

/* The shortest form, NUL-terminated. */
void units_write_size(uint64_t value, char text[UNITS_TEXT]);
void units_write_rate(uint64_t per_second, char text[UNITS_TEXT]);
void units_write_time(uint64_t ms, char text[UNITS_TEXT]);
void units_write_address(const struct address *address, char text[UNITS_TEXT]);
void units_write_prefix(const struct address *address, unsigned length, char text[UNITS_TEXT]);
void units_write_endpoint(const struct endpoint *endpoint, char text[UNITS_TEXT]);

/* To and from what sockets take. */
struct sockaddr_storage;
void endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *to);
void endpoint_from_socket(const struct sockaddr_storage *from, struct endpoint *endpoint);

/* It is an IPv4 address in the form above. */
bool address_is_v4(const struct address *address);
/* Keeps the first `length` bits of all 128 and clears the rest. */
void address_mask(struct address *address, unsigned length);
bool address_equal(const struct address *x, const struct address *y);

#endif
