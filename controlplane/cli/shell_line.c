/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/shell.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies one word without its quotes; within "" a backslash takes the next character as it is. */
static const char *copy_word(const char *at, char **to, bool *open)
{
    char quote = 0;

    for (; *at && (quote || !is_blank(*at)); at++) {
        if (quote ? *at == quote : *at == '"' || *at == '\'')
            quote = quote ? 0 : *at;
        else if (quote == '"' && *at == '\\' && at[1])
            *(*to)++ = *++at;
        else
            *(*to)++ = *at;
    }
    *(*to)++ = 0;
    *open = quote;
    return at;
}

int shell_line_parse(const char *raw, struct shell_line *line)
{
    size_t length = strlen(raw);
    const char *at = raw;
    char *to;

    *line = (struct shell_line){.raw = raw, .copy = malloc(2 * length + 2)};
    if (!line->copy)
        return CULVERT_ENOMEM;
    to = line->copy;
    for (;;) {
        while (is_blank(*at))
            at++;
        if (!*at || (*at == '#' && !line->count)) /* a comment has a line of its own */
            return 0;
        if (line->count == SHELL_WORDS_MAX)
            return CULVERT_EFULL;
        line->start[line->count] = (size_t)(at - raw);
        line->word[line->count++] = to;
        at = copy_word(at, &to, &line->open);
    }
}

void shell_line_free(struct shell_line *line)
{
    free(line->copy);
    *line = (struct shell_line){0};
}
