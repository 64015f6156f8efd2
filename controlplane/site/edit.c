/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is cut where libyaml's marks say that things stand, the result read again and compared
 * with the tree that was changed the same way: a text written in a way that the cuts don't foresee
 * is refused, never spoilt.
 */
#include "controlplane/site/edit.h"

#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/site/edit_find.h"
#include "controlplane/site/edit_tree.h"
#include "controlplane/site/errors.h"
#include "controlplane/site/schema.h"

#define INDENT 2u

/* A change under way. */
struct edit {
    const char *text;
    size_t length;
    const struct site_path *path;
    struct arena arena;
    struct site_node *root; /* the document as it is to be */
    struct edit_place place;
    size_t done; /* bytes of the text that are in `out` or left out */
    struct buffer *out, *problem;
};

static int refuse(struct edit *edit, const char *why)
{
    for (size_t i = 0; i < edit->path->count; i++)
        buffer_format(edit->problem, "%s%s", i ? "." : "", edit->path->word[i]);
    buffer_format(edit->problem, "%s%s", edit->path->count ? ": " : "", why);
    return CULVERT_EREJECTED;
}

static const char odd[] =
    "the text there is written in a way that can't be changed in place: change "
    "the file and load it";

/* ---- cutting: places come in order ---- */

static void keep_to(struct edit *edit, size_t place)
{
    buffer_add(edit->out, edit->text + edit->done, place - edit->done);
    edit->done = place;
}

static void leave_out(struct edit *edit, size_t from, size_t to)
{
    keep_to(edit, from);
    edit->done = to;
}

/* The end of the line, at its newline or at the end of the text. */
static size_t line_end(const struct edit *edit, size_t place)
{
    const char *newline = memchr(edit->text + place, '\n', edit->length - place);

    return newline ? (size_t)(newline - edit->text) : edit->length;
}

static size_t line_start(const struct edit *edit, size_t place)
{
    while (place && edit->text[place - 1] != '\n')
        place--;
    return place;
}

/* The place behind an entry's colon; 0: it isn't there, where it is looked for. */
static size_t colon_end(const struct edit *edit, const struct edit_map *map)
{
    size_t at = map->key_end;

    while (at < edit->length && (edit->text[at] == ' ' || edit->text[at] == '\t'))
        at++;
    return at < edit->length && edit->text[at] == ':' ? at + 1 : 0;
}

/* ---- set ---- */

/* Puts `value` in the place of an entry's. */
static int replace_value(struct edit *edit, const struct edit_map *map, const char *value)
{
    size_t colon = colon_end(edit, map);
    bool empty = map->value == map->value_end;

    if (!colon || (!empty && map->value < colon))
        return refuse(edit, odd);
    if (empty || line_end(edit, colon) > map->value) { /* in the key's line */
        leave_out(edit, empty ? colon : map->value, empty ? colon : map->value_end);
        buffer_format(edit->out, "%s%s", empty || map->value == colon ? " " : "", value);
        return 0;
    }
    keep_to(edit, colon);
    buffer_format(edit->out, " %s", value);
    if (map->flow) /* what is between may hold comments, and nothing else */
        edit->done = map->value_end;
    else
        leave_out(edit, line_end(edit, colon), line_end(edit, map->value_end));
    return 0;
}

/* Appends the words behind `from` and the value as flow style. */
static void write_nested(struct edit *edit, size_t from, const char *value, struct buffer *out)
{
    size_t count = edit->path->count;

    for (size_t i = from; i < count; i++) {
        buffer_text(out, "{ ");
        edit_write_key(edit->path->word[i], out);
        buffer_text(out, ": ");
    }
    buffer_text(out, value);
    for (size_t i = from; i < count; i++)
        buffer_text(out, " }");
}

static void add_to_flow(struct edit *edit, const struct edit_map *map, size_t level,
                        const char *value)
{
    size_t at = map->count ? map->last_end : map->start + 1;

    keep_to(edit, at);
    buffer_text(edit->out, map->count ? ", " : " ");
    edit_write_key(edit->path->word[level], edit->out);
    buffer_text(edit->out, ": ");
    write_nested(edit, level + 1, value, edit->out);
    if (!map->count && at < edit->length && !strchr(" \r\n", edit->text[at]))
        buffer_char(edit->out, ' ');
}

static void write_block(struct edit *edit, size_t level, size_t column, const char *value)
{
    for (size_t i = level; i < edit->path->count; i++, column += INDENT) {
        buffer_format(edit->out, "%*s", (int)column, "");
        edit_write_key(edit->path->word[i], edit->out);
        if (i + 1 < edit->path->count)
            buffer_text(edit->out, ":\n");
        else
            buffer_format(edit->out, ": %s\n", value);
    }
}

static void add_to_block(struct edit *edit, const struct edit_map *map, size_t level,
                         const char *value)
{
    size_t end = line_end(edit, map->last_end);

    if (end < edit->length)
        keep_to(edit, end + 1);
    else
        keep_to(edit, end);
    if (edit->out->length && end == edit->length)
        buffer_char(edit->out, '\n');
    write_block(edit, level, map->column, value);
}

static int cut_set(struct edit *edit, const char *value)
{
    size_t level = edit->place.depth - 1;
    const struct edit_map *map = &edit->place.map[level];
    struct buffer nested = {0};
    int error = 0;

    if (map->found) {
        write_nested(edit, level + 1, value, &nested);
        error = nested.error ? nested.error : replace_value(edit, map, nested.data);
        buffer_free(&nested);
    } else if (map->flow && !level && !map->count) { /* an empty document: {} */
        leave_out(edit, map->start, map->end);
        write_block(edit, 0, 0, value);
    } else if (map->flow) {
        add_to_flow(edit, map, level, value);
    } else {
        add_to_block(edit, map, level, value);
    }
    return error;
}

/* ---- delete ---- */

/* Whether the map at a level has a name of its own: a pool, a zone, a backend. */
static bool is_named(const struct site_path *path, size_t level)
{
    const struct schema *schema = &schema_root, *parent = NULL;

    for (size_t i = 0; schema && i < level; i++) {
        parent = schema;
        schema = schema_child(schema, path->word[i]);
    }
    return schema && parent && parent->type == SCHEMA_NAMED;
}

static int cut_entry(struct edit *edit, const struct edit_map *map)
{
    size_t start = line_start(edit, map->key), end = line_end(edit, map->value_end);

    if (map->flow && map->next) {
        leave_out(edit, map->key, map->next);
    } else if (map->flow) {
        leave_out(edit, map->previous_end, map->value_end);
    } else {
        for (size_t i = start; i < map->key; i++)
            if (edit->text[i] != ' ')
                return refuse(edit, odd);
        leave_out(edit, start, end < edit->length ? end + 1 : end);
    }
    return 0;
}

/* Takes the entry out, and with it the maps that hold nothing else; the tree too. */
static int cut_delete(struct edit *edit)
{
    size_t level = edit->path->count - 1;
    struct site_node *map;

    while (level && edit->place.map[level].count == 1 && !is_named(edit->path, level))
        level--;
    map = edit_node(edit->root, edit->path, level);
    if (edit->place.map[level].count == 1 && !level)
        return refuse(edit, "nothing would be left");
    edit_drop(map, node_find(map, edit->path->word[level]));
    if (edit->place.map[level].count == 1)
        return replace_value(edit, &edit->place.map[level - 1], "{}");
    return cut_entry(edit, &edit->place.map[level]);
}

/* ---- both ---- */

static int read_tree(struct edit *edit, const char *text, size_t length, struct site_node **root)
{
    struct site_errors errors = {0};
    int error = node_read(&edit->arena, NULL, text, length, root, &errors);

    if (error == CULVERT_EREJECTED && errors.count)
        buffer_format(edit->problem, "line %u: %s%s%s%s", errors.list[0].line,
                      errors.list[0].message, errors.list[0].hint ? " (" : "",
                      errors.list[0].hint ? errors.list[0].hint : "",
                      errors.list[0].hint ? ")" : "");
    site_errors_free(&errors);
    return error;
}

static int begin(struct edit *edit)
{
    int error = read_tree(edit, edit->text, edit->length, &edit->root);

    if (error)
        return error;
    if (edit->root->kind != NODE_MAP || !edit->path->count)
        return refuse(edit, edit->path->count ? "the document is no map" : "a path is missing");
    return edit_find(edit->text, edit->length, edit->path, &edit->place);
}

/* Whether what came out is what was meant. */
static int verify(struct edit *edit, size_t start)
{
    struct buffer ignored = {0}, *problem = edit->problem;
    struct site_node *root;
    int error;

    if (edit->out->error)
        return edit->out->error;
    edit->problem = &ignored;
    error = read_tree(edit, edit->out->data + start, edit->out->length - start, &root);
    edit->problem = problem;
    buffer_free(&ignored);
    if (error == CULVERT_EREJECTED || (!error && !edit_same(root, edit->root)))
        return refuse(edit, odd);
    return error;
}

static int end(struct edit *edit, size_t start, int error)
{
    if (!error) {
        keep_to(edit, edit->length);
        error = verify(edit, start);
    }
    if (error && !edit->out->error && edit->out->data) {
        edit->out->length = start;
        edit->out->data[start] = 0;
    }
    arena_free(&edit->arena);
    return error;
}

int site_edit_set(const char *text, size_t length, const struct site_path *path, const char *value,
                  struct buffer *out, struct buffer *problem)
{
    struct edit edit = {
        .text = text, .length = length, .path = path, .out = out, .problem = problem};
    struct site_node *node = NULL;
    struct buffer written = {0};
    size_t start = out->length;
    int error = begin(&edit);

    if (!error)
        error = edit_value(&edit.arena, value, &node, problem);
    if (!error) {
        edit_write(node, &written);
        error = written.error;
    }
    if (!error) {
        error = edit_put(&edit.arena, edit.root, path, node);
        if (error == CULVERT_EREJECTED)
            refuse(&edit, "something above it is a single value or a list: delete that first");
    }
    if (!error)
        error = cut_set(&edit, written.data);
    buffer_free(&written);
    return end(&edit, start, error);
}

int site_edit_delete(const char *text, size_t length, const struct site_path *path,
                     struct buffer *out, struct buffer *problem)
{
    struct edit edit = {
        .text = text, .length = length, .path = path, .out = out, .problem = problem};
    size_t start = out->length;
    int error = begin(&edit);

    if (!error && !edit_node(edit.root, path, path->count))
        error = refuse(&edit, "it is not there");
    if (!error)
        error = cut_delete(&edit);
    return end(&edit, start, error);
}

int site_edit_show(const char *text, size_t length, const struct site_path *path,
                   struct buffer *out, struct buffer *problem)
{
    struct edit edit = {
        .text = text, .length = length, .path = path, .out = out, .problem = problem};
    const struct edit_map *map;
    int error = begin(&edit);

    if (!error && !edit_node(edit.root, path, path->count))
        error = refuse(&edit, "it is not there");
    arena_free(&edit.arena);
    if (error)
        return error;
    map = &edit.place.map[path->count - 1];
    for (size_t at = map->key, stop; at < map->value_end; at = stop + 1) {
        stop = line_end(&edit, at);
        if (at > map->key && !map->flow)
            for (size_t i = 0; i < map->column && at < stop && text[at] == ' '; i++)
                at++;
        buffer_add(out, text + at,
                   (map->flow && stop > map->value_end ? map->value_end : stop) - at);
        buffer_char(out, '\n');
    }
    return out->error;
}
