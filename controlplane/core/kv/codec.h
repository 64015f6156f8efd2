/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the store writes numbers and bytes: variable-length integers (LEB128, the shortest form and
 * no other) and byte strings with their length before them, for commands, results and dumps; big
 * endian of fixed length for what is sorted. Readers are bounded and have a sticky error.
 */
#ifndef CULVERT_CORE_KV_CODEC_H
#define CULVERT_CORE_KV_CODEC_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "controlplane/base/buffer.h"

/* Bytes of somebody else. */
struct kv_slice {
    const uint8_t *data;
    size_t length;
};

/* A text's bytes, without the NUL. */
static inline struct kv_slice kv_text(const char *text)
{
    return (struct kv_slice){(const uint8_t *)text, strlen(text)};
}

static inline struct kv_slice kv_buffer_slice(const struct buffer *buffer)
{
    return (struct kv_slice){(const uint8_t *)buffer->data, buffer->length};
}

/* Order of the bytes as unsigned numbers, a prefix first; as memcmp() says it. */
static inline int kv_compare_bytes(struct kv_slice x, struct kv_slice y)
{
    size_t shorter = x.length < y.length ? x.length : y.length;
    int order = shorter ? memcmp(x.data, y.data, shorter) : 0;

    return order ? order : (x.length > y.length) - (x.length < y.length);
}

static inline bool kv_same_bytes(struct kv_slice x, struct kv_slice y)
{
    return x.length == y.length && !kv_compare_bytes(x, y);
}

static inline void kv_put_varint(struct buffer *to, uint64_t value)
{
    uint8_t bytes[10];
    size_t length = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[length++] = (uint8_t)(value | 0x80);
    bytes[length++] = (uint8_t)value;
    buffer_add(to, bytes, length);
}

static inline void kv_put_slice(struct buffer *to, struct kv_slice bytes)
{
    kv_put_varint(to, bytes.length);
    buffer_add(to, bytes.data, bytes.length);
}

static inline void kv_put_be64(struct buffer *to, uint64_t value)
{
    uint64_t bytes = htobe64(value);

    buffer_add(to, &bytes, sizeof(bytes));
}

static inline void kv_put_be32(struct buffer *to, uint32_t value)
{
    uint32_t bytes = htobe32(value);

    buffer_add(to, &bytes, sizeof(bytes));
}

/* What is left to read. After an error every read gives 0 or nothing. */
struct kv_reader {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct kv_reader kv_reader_of(struct kv_slice bytes)
{
    const uint8_t *end =
        bytes.length ? bytes.data + bytes.length : bytes.data; /* NULL is allowed */

    return (struct kv_reader){bytes.data, end, false};
}

static inline size_t kv_reader_left(const struct kv_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline void kv_reader_fail(struct kv_reader *reader)
{
    reader->bad = true;
    reader->at = reader->end;
}

static inline struct kv_slice kv_read_bytes(struct kv_reader *reader, uint64_t length)
{
    struct kv_slice bytes = {reader->at, (size_t)length};

    if (length > kv_reader_left(reader)) {
        kv_reader_fail(reader);
        return (struct kv_slice){reader->at, 0};
    }
    reader->at += bytes.length;
    return bytes;
}

static inline uint8_t kv_read_byte(struct kv_reader *reader)
{
    struct kv_slice byte = kv_read_bytes(reader, 1);

    return byte.length ? *byte.data : 0;
}

static inline uint64_t kv_read_varint(struct kv_reader *reader)
{
    uint64_t value = 0;
    uint8_t byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        byte = kv_read_byte(reader);
        if ((shift == 63 && byte > 1) || (shift && !byte))
            break; /* too large, or not the shortest form */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return reader->bad ? 0 : value;
    }
    kv_reader_fail(reader);
    return 0;
}

static inline struct kv_slice kv_read_slice(struct kv_reader *reader)
{
    return kv_read_bytes(reader, kv_read_varint(reader));
}

static inline uint64_t kv_read_be64(struct kv_reader *reader)
{
    struct kv_slice bytes = kv_read_bytes(reader, 8);
    uint64_t value = 0;

    if (bytes.length)
        memcpy(&value, bytes.data, sizeof(value));
    return be64toh(value);
}

static inline uint32_t kv_read_be32(struct kv_reader *reader)
{
    struct kv_slice bytes = kv_read_bytes(reader, 4);
    uint32_t value = 0;

    if (bytes.length)
        memcpy(&value, bytes.data, sizeof(value));
    return be32toh(value);
}

#endif
