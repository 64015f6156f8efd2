/* SPDX-License-Identifier: Apache-2.0 */
/* Domain names in wire format, with a key whose byte order is their canonical order. */
#ifndef CULVERT_DNS_NAME_H
#define CULVERT_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_WIRE_MAX 255
#define NAME_KEY_MAX 512
#define NAME_TEXT_MAX 1025

/* A name: pointers to bytes that belong to somebody else.
 *
 * The key: labels from the root down, in lower case, each ended by a 0; bytes 0 and 1 are written
 * as 1 and the byte + 1. So memcmp() gives the canonical order (RFC 4034 section 6.1), and a name
 * is below another one exactly if its key begins with the other's. */
struct name {
    const uint8_t *wire;
    const uint8_t *key;
    uint16_t key_length;
    uint8_t length; /* of wire, the root's byte included */
    uint8_t labels; /* the root not counted */
};

/* A name with its bytes. Not to be copied: `name` points into it. */
struct name_buffer {
    struct name name;
    uint8_t wire[NAME_WIRE_MAX + 1];
    uint8_t key[NAME_KEY_MAX];
};

/* From wire format of at most `length` bytes. False: not a name without compression. */
bool name_from_wire(struct name_buffer *name, const uint8_t *wire, size_t length);
/* From text, absolute whether it ends in a dot or not. False: not a name. */
bool name_from_text(struct name_buffer *name, const char *text);
/* Writes the text form with a final dot and returns `text`. */
const char *name_to_text(const uint8_t *wire, char text[NAME_TEXT_MAX]);

/* Order of two names. */
int name_compare(const struct name *a, const struct name *b);
/* True if two names in wire format of `length` bytes are the same but for the letters' case. */
bool name_wire_equal(const uint8_t *a, const uint8_t *b, size_t length);
/* True if `name` is `above` or below it. */
bool name_is_within(const struct name *name, const struct name *above);
/* The name of the last `labels` labels: it shares the bytes. */
struct name name_suffix(const struct name *name, unsigned labels);

#endif
