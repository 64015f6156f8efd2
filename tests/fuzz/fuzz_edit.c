/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The editor of a site file's text. The input is a path of words, a newline, a value ("" deletes),
 * a newline, a text. Whatever they are: no crash, and either a refusal with one line or a text that
 * parses to the document that was meant.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/edit.h"
#include "controlplane/site/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, NUL-terminated; moves on behind it. */
static char *take_line(char **at, char *end)
{
    char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));

    *at = newline ? newline + 1 : end;
    *(newline ? newline : end) = 0;
    return line;
}

static struct site_path read_path(char *words)
{
    struct site_path path = {0};
    char *save = NULL;

    for (char *word = strtok_r(words, " ", &save); word && path.count < SITE_PATH_WORDS;
         word = strtok_r(NULL, " ", &save))
        path.word[path.count++] = word;
    return path;
}

static struct site_node *read_text(struct arena *arena, const struct buffer *text)
{
    struct site_errors errors = {0};
    struct site_node *root;

    if (node_read(arena, NULL, text->data, text->length, &root, &errors))
        abort();
    site_errors_free(&errors);
    return root;
}

static bool is_word(const struct site_node *node, const struct site_path *path, size_t level)
{
    return level < path->count && !strcmp(node->key, path->word[level]);
}

/* Whether all that isn't on the path is the same, and in the same order. */
static bool same_beside(const struct site_node *x, const struct site_node *y,
                        const struct site_path *path, size_t level)
{
    uint32_t i = 0, j = 0;

    if (level > path->count) /* off the path: everything counts */
        if (x->kind != y->kind || x->count != y->count || strcmp(x->text, y->text) != 0)
            return false;
    if (x->kind != NODE_MAP || y->kind != NODE_MAP) {
        for (; level > path->count && i < x->count; i++)
            if (!same_beside(x->child[i], y->child[i], path, level))
                return false;
        return true; /* the value itself, or what a map was made in the place of */
    }
    while (i < x->count || j < y->count) {
        const struct site_node *a = i < x->count ? x->child[i] : NULL;
        const struct site_node *b = j < y->count ? y->child[j] : NULL;
        bool a_on = a && is_word(a, path, level), b_on = b && is_word(b, path, level);

        if (level < path->count && a_on && b_on && !same_beside(a, b, path, level + 1))
            return false;
        if (a_on || b_on) {
            i += a_on;
            j += b_on;
            continue;
        }
        if (!a || !b || strcmp(a->key, b->key) != 0 || !same_beside(a, b, path, path->count + 1))
            return false;
        i++;
        j++;
    }
    return true;
}

static void check(const struct buffer *before, const struct buffer *after,
                  const struct site_path *path, const char *value)
{
    struct buffer shown = {0}, problem = {0};
    struct arena arena = {0};
    bool there;

    if (!same_beside(read_text(&arena, before), read_text(&arena, after), path, 0))
        abort();
    there = !site_edit_show(after->data, after->length, path, &shown, &problem);
    if (*value && !there)
        abort();
    arena_free(&arena);
    buffer_free(&shown);
    buffer_free(&problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), *at = copy, *words, *value, dotted[SITE_PATH_TEXT];
    struct buffer before = {0}, after = {0}, problem = {0}, lines = {0};
    struct site_path path, parts;
    enum site_place place;
    int error;

    if (!copy)
        abort();
    memcpy(copy, data, size);
    copy[size] = 0;
    words = take_line(&at, copy + size);
    value = take_line(&at, copy + size);
    buffer_add(&before, at, (size_t)(copy + size - at));
    buffer_add(&before, "", 0);
    site_path_split(at, before.length, words, dotted, &parts);
    path = read_path(words);
    site_path_words(at, before.length, &path, true, &lines);
    site_path_walk(path.word, path.count, &parts, &place, &problem);
    site_value_check(&path, value, &problem);
    buffer_clear(&problem);
    error = *value ? site_edit_set(at, before.length, &path, value, &after, &problem)
                   : site_edit_delete(at, before.length, &path, &after, &problem);
    if (error ? error == CULVERT_EREJECTED && !problem.length : !after.length)
        abort();
    if (!error)
        check(&before, &after, &path, value);
    buffer_free(&before);
    buffer_free(&after);
    buffer_free(&problem);
    buffer_free(&lines);
    free(copy);
    return 0;
}
