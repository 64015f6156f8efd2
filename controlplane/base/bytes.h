/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian numbers and counted strings of bytes, written into a buffer and read with a sticky
 * error: readers take without looking, and ask once at the end.
 */
#ifndef CULVERT_BASE_BYTES_H
#define CULVERT_BASE_BYTES_H

#include <stdbool.h>
#include <string.h>

#include "controlplane/base/buffer.h"

struct bytes {
    const uint8_t *at;
    size_t left;
    bool bad; /* something was asked for that wasn't there; all that follows is zero */
};

static inline uint64_t bytes_number(const uint8_t *at, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* The next `length` bytes, NULL when there are fewer. */
static inline const uint8_t *bytes_take(struct bytes *bytes, size_t length)
{
    const uint8_t *at = bytes->at;

    if (bytes->bad || length > bytes->left) {
        bytes->bad = true;
        return NULL;
    }
    bytes->at += length;
    bytes->left -= length;
    return at;
}

/* The next number of `width` bytes. */
static inline uint64_t bytes_take_number(struct bytes *bytes, unsigned width)
{
    const uint8_t *at = bytes_take(bytes, width);

    return at ? bytes_number(at, width) : 0;
}

/* A string behind its length in 16 bits, of at most `bound` bytes. */
static inline struct bytes bytes_take_counted(struct bytes *bytes, size_t bound)
{
    size_t length = bytes_take_number(bytes, 2);
    const uint8_t *at = NULL;

    if (length > bound)
        bytes->bad = true;
    else
        at = bytes_take(bytes, length);
    return (struct bytes){.at = at, .left = at ? length : 0, .bad = bytes->bad};
}

/* The same as text into `to`, NUL-terminated: printable ASCII that is shorter than `size`. */
static inline void bytes_take_text(struct bytes *bytes, char *to, size_t size)
{
    struct bytes text = bytes_take_counted(bytes, size - 1);

    for (size_t i = 0; i < text.left; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            bytes->bad = true;
    if (bytes->bad)
        text.left = 0;
    if (text.left)
        memcpy(to, text.at, text.left);
    to[text.left] = 0;
}

static inline void bytes_put_number(struct buffer *buffer, uint64_t value, unsigned width)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    buffer_add(buffer, bytes, width);
}

/* `length` is below 65536. */
static inline void bytes_put_counted(struct buffer *buffer, const void *data, size_t length)
{
    bytes_put_number(buffer, length, 2);
    buffer_add(buffer, data, length);
}

static inline void bytes_put_text(struct buffer *buffer, const char *text)
{
    bytes_put_counted(buffer, text, strlen(text));
}

#endif
