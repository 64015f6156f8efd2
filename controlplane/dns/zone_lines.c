/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/zone_lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

static int refuse(struct lines *lines, const char *problem, const char *hint)
{
    lines->problem = problem;
    lines->hint = hint;
    return CULVERT_EREJECTED;
}

static int grow(struct lines *lines, size_t need)
{
    size_t capacity = lines->capacity ? lines->capacity * 2 : 512;
    char *line;

    while (capacity < need)
        capacity *= 2;
    line = realloc(lines->line, capacity);
    if (!line)
        return CULVERT_ENOMEM;
    lines->line = line;
    lines->capacity = capacity;
    return 0;
}

/* Copies one logical line without its end. Returns its length, or an error. */
static long cut_line(struct lines *lines)
{
    const char *at = lines->text;
    unsigned depth = 0;
    bool quoted = false;
    size_t length = 0;

    lines->number = lines->current + 1;
    for (; at < lines->end; at++) {
        char c = *at;

        if (length + 3 > lines->capacity && grow(lines, length + 3))
            return CULVERT_ENOMEM;
        if (length > LINE_BYTES_MAX)
            return refuse(lines, "the record is too long", "is a closing parenthesis missing?");
        if (!c)
            return refuse(lines, "a NUL byte in the text", "write it as \\000");
        if (c == '\\' && at + 1 < lines->end && at[1] != '\n') {
            lines->line[length++] = c;
            c = *++at;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '\n') {
            lines->current++;
            if (quoted)
                return refuse(lines, "a quote is not closed on its line", "end the text with \"");
            if (!depth) {
                at++;
                break;
            }
            c = ' ';
        } else if (!quoted && c == ';') {
            const char *newline = memchr(at, '\n', (size_t)(lines->end - at));

            at = (newline ? newline : lines->end) - 1;
            continue;
        } else if (!quoted && c == '(') {
            depth++;
            c = ' ';
        } else if (!quoted && c == ')') {
            if (!depth)
                return refuse(lines, "a closing parenthesis without an opening one", NULL);
            depth--;
            c = ' ';
        } else if (c == '\r' || c == '\f' || c == '\v') {
            c = ' ';
        }
        lines->line[length++] = c;
    }
    lines->text = at;
    if (quoted)
        return refuse(lines, "a quote is not closed on its line", "end the text with \"");
    if (depth)
        return refuse(lines, "a parenthesis is not closed", "add )");
    return (long)length;
}

int lines_next(struct lines *lines)
{
    while (lines->text < lines->end) {
        long length = cut_line(lines);

        if (length < 0)
            return (int)length;
        while (length && (lines->line[length - 1] == ' ' || lines->line[length - 1] == '\t'))
            length--;
        if (!length)
            continue;
        lines->line[length] = '\0';
        return 1;
    }
    return 0;
}

void lines_free(struct lines *lines)
{
    free(lines->line);
    lines->line = NULL;
    lines->capacity = 0;
}
