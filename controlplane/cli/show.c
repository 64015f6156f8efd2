/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/cli/table.h"

void show_clean(const char *text, struct buffer *out)
{
    for (; *text; text++)
        buffer_char(out, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void show_json(yyjson_val *value, struct buffer *out)
{
    char *text = yyjson_val_write(value, 0, NULL);

    if (text)
        buffer_text(out, text);
    free(text);
}

/* ---- YAML ---- */

/* Whether a text may stand without quotes: letters, digits and a few marks, and nothing that YAML
 * reads as a number, a boolean or null. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n"};

    if (!*text || strchr("-.+0123456789", *text) ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-_./") != strlen(text))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strcasecmp(text, words[i]))
            return false;
    return true;
}

static bool is_unit(const char *text)
{
    static const char *const units[] = {"ms", "s", "m", "h", "k", "M", "G"};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(text, units[i]))
            return true;
    return false;
}

/* Addresses, prefixes, rates and times begin with a digit but can't be taken for numbers. */
static bool is_plain_number_like(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    if (!digits ||
        strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./-") !=
            strlen(text))
        return false;
    if (strchr(text, '/') || is_unit(text + digits))
        return true;
    return strchr(text, '.') && strchr(strchr(text, '.') + 1, '.'); /* two dots: an address */
}

static void show_text(const char *text, size_t length, struct buffer *out)
{
    if (is_plain(text) || is_plain_number_like(text))
        buffer_text(out, text);
    else
        buffer_json(out, text, length);
}

static void show_scalar(yyjson_val *value, struct buffer *out)
{
    if (yyjson_is_str(value))
        show_text(yyjson_get_str(value), yyjson_get_len(value), out);
    else
        show_json(value, out);
}

static bool is_short(yyjson_val *value)
{
    yyjson_val *item;
    size_t i, count;

    if (!yyjson_is_arr(value))
        return !yyjson_is_obj(value) || !yyjson_obj_size(value);
    yyjson_arr_foreach (value, i, count, item)
        if (yyjson_is_ctn(item))
            return false;
    return yyjson_arr_size(value) <= 8;
}

static void show_inline(yyjson_val *value, struct buffer *out)
{
    yyjson_val *item;
    size_t i, count;

    if (!yyjson_is_arr(value)) {
        show_scalar(value, out);
        return;
    }
    buffer_char(out, '[');
    yyjson_arr_foreach (value, i, count, item) {
        buffer_text(out, i ? ", " : "");
        show_scalar(item, out);
    }
    buffer_char(out, ']');
}

#define DEPTH_MAX 32

static void show_block(yyjson_val *value, unsigned depth, bool first_inline, struct buffer *out);

static void show_member(yyjson_val *value, unsigned depth, struct buffer *out)
{
    if (is_short(value) || depth > DEPTH_MAX) {
        buffer_char(out, ' ');
        show_inline(value, out);
        buffer_char(out, '\n');
        return;
    }
    buffer_char(out, '\n');
    show_block(value, depth + 1, false, out);
}

/* `first_inline`: the first line goes on behind "- ". */
static void show_block(yyjson_val *value, unsigned depth, bool first_inline, struct buffer *out)
{
    yyjson_val *key, *item;
    size_t i, count;

    if (yyjson_is_obj(value)) {
        yyjson_obj_foreach (value, i, count, key, item) {
            if (i || !first_inline)
                buffer_format(out, "%*s", (int)(2 * depth), "");
            show_text(yyjson_get_str(key), yyjson_get_len(key), out);
            buffer_char(out, ':');
            show_member(item, depth, out);
        }
        return;
    }
    yyjson_arr_foreach (value, i, count, item) {
        buffer_format(out, "%*s- ", (int)(2 * depth), "");
        if (is_short(item)) {
            show_inline(item, out);
            buffer_char(out, '\n');
        } else {
            show_block(item, depth + 1, true, out);
        }
    }
}

void show_yaml(yyjson_val *value, struct buffer *out)
{
    if (!yyjson_is_ctn(value) || is_short(value)) {
        show_inline(value, out);
        buffer_char(out, '\n');
        return;
    }
    show_block(value, 0, false, out);
}

/* ---- differences ---- */

/* Appends a value in what is left of a line of `width` columns that began at `start`. */
static void show_cut(yyjson_val *value, size_t start, size_t width, struct buffer *out)
{
    size_t columns = text_width(out->data ? out->data + start : "");
    char *text = yyjson_val_write(value, 0, NULL), *end = text;

    if (text && columns + text_width(text) > width) {
        for (size_t left = width > columns + 4 ? width - columns - 4 : 0; *end && left; left--)
            do
                end++;
            while (((unsigned char)*end & 0xc0) == 0x80); /* the rest of a code point */
        buffer_add(out, text, (size_t)(end - text));
        buffer_text(out, end > text ? " ..." : "...");
    } else if (text) {
        buffer_text(out, text);
    }
    free(text);
}

static void show_values(yyjson_val *old, yyjson_val *new, size_t start, size_t width,
                        struct buffer *out)
{
    bool plain = (!old || is_short(old)) && (!new || is_short(new));

    if (!plain && !width)
        return;
    buffer_text(out, ": ");
    if (plain && old) {
        show_inline(old, out);
        buffer_text(out, new ? " -> " : "");
    }
    if (plain && new)
        show_inline(new, out);
    else if (!plain) /* of two long values the new one */
        show_cut(new ? new : old, start, width, out);
}

static yyjson_val *value_of(yyjson_val *change, const char *name)
{
    yyjson_val *value = yyjson_obj_get(change, name);

    return yyjson_is_null(value) ? NULL : value;
}

static void show_change(yyjson_val *change, bool color, size_t width, struct buffer *out)
{
    yyjson_val *old = value_of(change, "old"), *new = value_of(change, "new");
    const char *path = yyjson_get_str(yyjson_obj_get(change, "path"));
    size_t start;

    if (color)
        buffer_text(out, !old ? COLOR_GREEN : !new ? COLOR_RED : COLOR_YELLOW);
    start = out->length;
    buffer_text(out, !old ? "+ " : !new ? "- " : "~ ");
    show_clean(path ? path : "?", out);
    if (new || old)
        show_values(old, new, start, new ? width : 0, out);
    buffer_text(out, color ? COLOR_NONE "\n" : "\n");
}

void show_diff(yyjson_val *diff, bool color, size_t width, struct buffer *out)
{
    yyjson_val *change;
    size_t i, count;

    yyjson_arr_foreach (diff, i, count, change)
        show_change(change, color, width, out);
}
