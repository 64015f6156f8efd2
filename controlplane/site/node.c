/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/site/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/schema.h"

struct site_node *node_new(struct arena *arena, struct site_node *parent, enum node_kind kind)
{
    struct site_node *node = arena_alloc(arena, sizeof(*node));

    if (node) {
        node->kind = (uint8_t)kind;
        node->parent = parent;
        node->text = "";
    }
    return node;
}

struct site_node *node_find(const struct site_node *map, const char *key)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (map->child[i] && map->child[i]->key && !strcmp(map->child[i]->key, key))
            return map->child[i];
    return NULL;
}

struct site_node *node_find_sorted(const struct site_node *map, const char *key)
{
    uint32_t low = 0, high = map ? map->count : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(map->child[middle]->key, key);

        if (!order)
            return map->child[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Keys that are equal stay in the order of the file: the first one counts. */
static int key_compare(const void *x, const void *y)
{
    const struct site_node *a = *(struct site_node *const *)x, *b = *(struct site_node *const *)y;
    int order = strcmp(a->key, b->key);

    if (order)
        return order;
    if (a->key_line != b->key_line)
        return a->key_line < b->key_line ? -1 : 1;
    return a->key_column < b->key_column ? -1 : a->key_column > b->key_column;
}

void node_sort(struct site_node *map)
{
    if (map->count > 1)
        qsort(map->child, map->count, sizeof(*map->child), key_compare);
}

static unsigned node_index(const struct site_node *node)
{
    unsigned index = 0;

    while (index < node->parent->count && node->parent->child[index] != node)
        index++;
    return index;
}

void node_path(const struct site_node *node, struct buffer *path)
{
    const struct schema *section = node->parent ? NULL : schema_section(node->schema);

    if (!node->parent && !node->key)
        return;
    if (node->parent)
        node_path(node->parent, path);
    else if (section)
        buffer_text(path, section->key);
    /* A single value that stands for a list of it has no number in what was written. */
    if (!node->key && node->parent->line == node->line && node->parent->column == node->column)
        return;
    if (!node->key)
        buffer_format(path, "[%u]", node_index(node));
    else
        buffer_format(path, "%s%s", path->length ? "." : "", node->key);
}

static void error_at(const struct site_report *report, const struct site_node *node, unsigned line,
                     unsigned column, const char *hint, const char *format, va_list args)
{
    struct buffer path = {0}, message = {0};

    node_path(node, &path);
    buffer_vformat(&message, format, args);
    site_errors_add(report->errors, report->file, line, column, path.length ? path.data : NULL,
                    message.error ? culvert_strerror(message.error) : message.data, hint);
    buffer_free(&path);
    buffer_free(&message);
}

void node_error(const struct site_report *report, const struct site_node *node, const char *hint,
                const char *format, ...)
{
    const struct site_node *placed = node;
    va_list args;

    while (!placed->line && placed->parent)
        placed = placed->parent;
    va_start(args, format);
    error_at(report, node, placed->line, placed->column, hint, format, args);
    va_end(args);
}

void node_error_at_key(const struct site_report *report, const struct site_node *node,
                       const char *hint, const char *format, ...)
{
    bool key = node->key_line;
    va_list args;

    va_start(args, format);
    error_at(report, node, key ? node->key_line : node->line, key ? node->key_column : node->column,
             hint, format, args);
    va_end(args);
}

/* Texts are canonical by now. */
static bool scalar_equal(const struct site_node *x, const struct site_node *y)
{
    return !strcmp(x->text, y->text) &&
           (x->schema->type != SCHEMA_FILE || !strcmp(x->digest, y->digest));
}

bool node_equal(const struct site_node *x, const struct site_node *y)
{
    if (x == y || !x || !y)
        return x == y;
    if (x->settled && y->settled)
        return !strcmp(x->key, y->key) && !memcmp(x->content, y->content, sizeof(x->content));
    if (x->kind != y->kind || x->count != y->count)
        return false;
    if (x->key && y->key && strcmp(x->key, y->key))
        return false;
    if (x->kind == NODE_SCALAR)
        return scalar_equal(x, y);
    for (uint32_t i = 0; i < x->count; i++)
        if (!node_equal(x->child[i], y->child[i]))
            return false;
    return true;
}

bool node_names_equal(const struct site_node *x, const struct site_node *y)
{
    uint32_t count = x ? x->count : 0;

    if (count != (y ? y->count : 0))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(x->child[i]->key, y->child[i]->key))
            return false;
    return true;
}
