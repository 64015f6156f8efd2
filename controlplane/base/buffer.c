/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/buffer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

void buffer_init(struct buffer *buffer, size_t bound)
{
    *buffer = (struct buffer){.bound = bound};
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.bound = buffer->bound};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->error = 0;
    if (buffer->data)
        buffer->data[0] = 0;
}

/* Room for `more` bytes and the NUL. */
static bool buffer_grow(struct buffer *buffer, size_t more)
{
    size_t bound = buffer->bound ? buffer->bound : BUFFER_BOUND_DEFAULT;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    char *data;

    if (buffer->error)
        return false;
    if (more > bound || buffer->length > bound - more) {
        buffer->error = CULVERT_EFULL;
        return false;
    }
    if (buffer->length + more < buffer->capacity)
        return true;
    while (capacity <= buffer->length + more)
        capacity *= 2;
    data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->error = CULVERT_ENOMEM;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void *buffer_room(struct buffer *buffer, size_t length)
{
    char *room;

    if (!buffer_grow(buffer, length))
        return NULL;
    room = buffer->data + buffer->length;
    buffer->length += length;
    buffer->data[buffer->length] = 0;
    return room;
}

void buffer_add(struct buffer *buffer, const void *data, size_t length)
{
    void *room = buffer_room(buffer, length);

    if (room && length)
        memcpy(room, data, length);
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_char(struct buffer *buffer, char c)
{
    buffer_add(buffer, &c, 1);
}

void buffer_vformat(struct buffer *buffer, const char *format, va_list args)
{
    char small[256];
    va_list again;
    int length;

    va_copy(again, args);
    length = vsnprintf(small, sizeof(small), format, args);
    if (length < 0) {
        if (!buffer->error)
            buffer->error = CULVERT_EINVAL;
    } else if ((size_t)length < sizeof(small)) {
        buffer_add(buffer, small, (size_t)length);
    } else if (buffer_grow(buffer, (size_t)length)) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buffer_vformat(buffer, format, args);
    va_end(args);
}

/* Length of the UTF-8 sequence (RFC 3629) at `text`, 0 when it is not one. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    size_t need = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;

    if (!need || need > length)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return need;
}

static void json_escape(struct buffer *buffer, unsigned char c)
{
    static const char short_form[] = "\bb\tt\nn\ff\rr\"\"\\\\";

    for (const char *at = short_form; *at; at += 2) {
        if ((unsigned char)*at == c) {
            char pair[2] = {'\\', at[1]};

            buffer_add(buffer, pair, 2);
            return;
        }
    }
    buffer_format(buffer, "\\u%04x", c);
}

void buffer_json(struct buffer *buffer, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0;

    buffer_char(buffer, '"');
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(bytes + i, length - i);

        if (step && bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\' && bytes[i] != 0x7f) {
            i += step;
            continue;
        }
        buffer_add(buffer, text + plain, i - plain);
        if (step)
            json_escape(buffer, bytes[i]);
        else
            buffer_text(buffer, "\xef\xbf\xbd");
        plain = ++i;
    }
    buffer_add(buffer, text + plain, length - plain);
    buffer_char(buffer, '"');
}

void buffer_json_text(struct buffer *buffer, const char *text)
{
    if (text)
        buffer_json(buffer, text, strlen(text));
    else
        buffer_text(buffer, "null");
}

char *buffer_take(struct buffer *buffer)
{
    char *data;

    if (!buffer_grow(buffer, 0))
        return NULL;
    data = buffer->data;
    data[buffer->length] = 0;
    *buffer = (struct buffer){.bound = buffer->bound};
    return data;
}
