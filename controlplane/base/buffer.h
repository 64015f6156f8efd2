/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing buffer with a bound and a sticky error: writers append without looking, and ask once
 * at the end. After an error every append does nothing. The bytes are always followed by a NUL.
 */
#ifndef CULVERT_BASE_BUFFER_H
#define CULVERT_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* NULL while empty */
    size_t length, capacity;
    size_t bound; /* most bytes ever; 0: BUFFER_BOUND_DEFAULT */
    int error;    /* 0, CULVERT_ENOMEM or CULVERT_EFULL */
};
#define BUFFER_BOUND_DEFAULT ((size_t)1 << 30)

/* A zeroed struct buffer is an empty one with the default bound. */
void buffer_init(struct buffer *buffer, size_t bound);
void buffer_free(struct buffer *buffer);  /* and makes it an empty one, error cleared */
void buffer_clear(struct buffer *buffer); /* length 0, error cleared, the memory kept */

/* Appends bytes, a text, a byte, or what printf makes. */
void buffer_add(struct buffer *buffer, const void *data, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_char(struct buffer *buffer, char c);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_vformat(struct buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* `length` bytes of room at the end, already counted; NULL after an error. */
void *buffer_room(struct buffer *buffer, size_t length);

/* A JSON string (RFC 8259), quotes included. Bytes that are not UTF-8 become U+FFFD. */
void buffer_json(struct buffer *buffer, const char *text, size_t length);
void buffer_json_text(struct buffer *buffer, const char *text); /* NULL: null */

/* The bytes, NUL-terminated, given to the caller to free(); the buffer is empty after. NULL after
 * an error or when out of memory. */
char *buffer_take(struct buffer *buffer);

#endif
