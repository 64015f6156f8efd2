/* SPDX-License-Identifier: Apache-2.0 */
/* YAML (and with it JSON) to an untyped tree, by libyaml's events. Everything is bounded. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "controlplane/site/node.h"

/* A map or list that is being read. */
struct level {
    struct site_node *node;
    size_t start;          /* of its children on the stack */
    const char *key;       /* read, its value not yet */
    uint32_t line, column; /* of the key */
};

struct reader {
    struct arena *arena;
    struct site_report report;
    yaml_parser_t parser;
    struct level level[NODE_DEPTH_MAX];
    unsigned depth;
    struct site_node **stack; /* children of the open levels */
    size_t stacked, room;
    size_t nodes;
    struct site_node *root;
};

static void reader_error(struct reader *reader, yaml_mark_t mark, const char *message,
                         const char *hint)
{
    site_errors_add(reader->report.errors, reader->report.file, (unsigned)mark.line + 1,
                    (unsigned)mark.column + 1, NULL, message, hint);
}

/* Adds a child to the innermost open level. */
static int reader_add(struct reader *reader, struct site_node *node)
{
    struct level *level;

    if (!reader->depth) {
        reader->root = node;
        return 0;
    }
    level = &reader->level[reader->depth - 1];
    if (level->node->kind == NODE_MAP) {
        node->key = level->key;
        node->key_line = level->line;
        node->key_column = level->column;
        level->key = NULL;
    }
    if (reader->stacked == reader->room) {
        size_t room = reader->room ? 2 * reader->room : 256;
        struct site_node **stack = realloc(reader->stack, room * sizeof(*stack));

        if (!stack)
            return CULVERT_ENOMEM;
        reader->stack = stack;
        reader->room = room;
    }
    reader->stack[reader->stacked++] = node;
    return 0;
}

static struct site_node *reader_node(struct reader *reader, const yaml_event_t *event,
                                     enum node_kind kind)
{
    struct site_node *parent = reader->depth ? reader->level[reader->depth - 1].node : NULL;
    struct site_node *node = node_new(reader->arena, parent, kind);

    if (node) {
        node->line = (uint32_t)event->start_mark.line + 1;
        node->column = (uint32_t)event->start_mark.column + 1;
    }
    return node;
}

/* What YAML can and a site file doesn't. */
static int event_check(struct reader *reader, const yaml_event_t *event)
{
    const char *anchor = NULL, *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT) {
        anchor = "";
    } else if (event->type == YAML_SCALAR_EVENT) {
        anchor = (const char *)event->data.scalar.anchor;
        tag = (const char *)event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = (const char *)event->data.sequence_start.anchor;
        tag = (const char *)event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = (const char *)event->data.mapping_start.anchor;
        tag = (const char *)event->data.mapping_start.tag;
    }
    if (anchor)
        reader_error(reader, event->start_mark, "anchors (&) and aliases (*) are not supported",
                     "write the value out, or in quotes if it starts with & or *");
    else if (tag)
        reader_error(reader, event->start_mark, "tags (!) are not supported",
                     "leave it out, or put the value in quotes");
    else if (++reader->nodes > NODE_COUNT_MAX)
        reader_error(reader, event->start_mark, "too many values in one file", "at most 8 million");
    else
        return 0;
    return CULVERT_EREJECTED;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    struct level *level = reader->depth ? &reader->level[reader->depth - 1] : NULL;
    struct site_node *node;
    char *copy;

    if (memchr(text, 0, length)) {
        reader_error(reader, event->start_mark, "a NUL character", NULL);
        return CULVERT_EREJECTED;
    }
    copy = arena_copy(reader->arena, text, length);
    if (!copy)
        return CULVERT_ENOMEM;
    if (level && level->node->kind == NODE_MAP && !level->key) {
        level->key = copy;
        level->line = (uint32_t)event->start_mark.line + 1;
        level->column = (uint32_t)event->start_mark.column + 1;
        return 0;
    }
    node = reader_node(reader, event, NODE_SCALAR);
    if (!node)
        return CULVERT_ENOMEM;
    node->text = copy;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return reader_add(reader, node);
}

static int read_open(struct reader *reader, const yaml_event_t *event, enum node_kind kind)
{
    struct level *level = reader->depth ? &reader->level[reader->depth - 1] : NULL;
    struct site_node *node;
    int error;

    if (level && level->node->kind == NODE_MAP && !level->key) {
        reader_error(reader, event->start_mark, "a key must be a single word",
                     "quote it if it starts with [ or {");
        return CULVERT_EREJECTED;
    }
    if (reader->depth == NODE_DEPTH_MAX) {
        reader_error(reader, event->start_mark, "too deeply nested", "at most 16 levels");
        return CULVERT_EREJECTED;
    }
    node = reader_node(reader, event, kind);
    if (!node)
        return CULVERT_ENOMEM;
    error = reader_add(reader, node);
    if (error)
        return error;
    reader->level[reader->depth++] = (struct level){.node = node, .start = reader->stacked};
    return 0;
}

static int read_close(struct reader *reader)
{
    struct level *level = &reader->level[--reader->depth];
    size_t count = reader->stacked - level->start;

    if (!count)
        return 0;
    level->node->child = arena_alloc(reader->arena, count * sizeof(*level->node->child));
    if (!level->node->child)
        return CULVERT_ENOMEM;
    memcpy(level->node->child, reader->stack + level->start, count * sizeof(*reader->stack));
    level->node->count = (uint32_t)count;
    reader->stacked = level->start;
    return 0;
}

static int read_event(struct reader *reader, const yaml_event_t *event)
{
    int error = event_check(reader, event);

    if (error)
        return error;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return read_open(reader, event, NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        return read_open(reader, event, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return read_close(reader);
    case YAML_DOCUMENT_START_EVENT:
        if (!reader->root)
            return 0;
        reader_error(reader, event->start_mark, "a second document",
                     "a site is one document: take out the \"---\" between them");
        return CULVERT_EREJECTED;
    default:
        return 0;
    }
}

/* Where in the text a byte stands. */
static yaml_mark_t offset_mark(const char *text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};

    for (size_t i = 0; i < offset; i++) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static char char_at(const char *text, size_t length, yaml_mark_t mark)
{
    size_t at = 0;

    for (size_t line = 0; line < mark.line; line++) {
        const char *newline = memchr(text + at, '\n', length - at);

        if (!newline)
            return 0;
        at = (size_t)(newline - text) + 1;
    }
    return at + mark.column < length ? text[at + mark.column] : 0;
}

static int syntax_error(struct reader *reader, const char *text, size_t length)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *hint = NULL;
    char message[256];

    if (parser->error == YAML_MEMORY_ERROR)
        return CULVERT_ENOMEM;
    if (parser->error == YAML_READER_ERROR) {
        size_t offset = parser->problem_offset < length ? parser->problem_offset : length;

        reader_error(reader, offset_mark(text, offset),
                     parser->problem ? parser->problem : "unreadable",
                     "the file must be UTF-8 text without control characters");
        return CULVERT_EREJECTED;
    }
    if (char_at(text, length, parser->problem_mark) == '\t') {
        reader_error(reader, parser->problem_mark, "a tab where YAML wants spaces",
                     "indent by spaces");
        return CULVERT_EREJECTED;
    }
    if (parser->context)
        hint = "see the line where it starts, too";
    snprintf(message, sizeof(message), "not YAML: %s%s%s",
             parser->problem ? parser->problem : "unreadable", parser->context ? ", " : "",
             parser->context ? parser->context : "");
    if (parser->context && parser->context_mark.line != parser->problem_mark.line) {
        size_t used = strlen(message);

        snprintf(message + used, sizeof(message) - used, " that starts in line %zu",
                 parser->context_mark.line + 1);
    } else {
        hint = NULL;
    }
    reader_error(reader, parser->problem_mark, message, hint);
    return CULVERT_EREJECTED;
}

static int read_events(struct reader *reader, const char *text, size_t length)
{
    bool ended = false;
    int error = 0;

    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    while (!ended && !error) {
        yaml_event_t event;

        if (!yaml_parser_parse(&reader->parser, &event))
            return syntax_error(reader, text, length);
        ended = event.type == YAML_STREAM_END_EVENT;
        error = read_event(reader, &event);
        yaml_event_delete(&event);
    }
    return error;
}

int node_read(struct arena *arena, const char *file, const char *text, size_t length,
              struct site_node **root, struct site_errors *errors)
{
    struct reader reader = {.arena = arena, .report = {.file = file, .errors = errors}};
    int error;

    *root = NULL;
    if (length > SITE_TEXT_MAX) {
        site_errors_add(errors, file, 0, 0, NULL, "the file is too large", "at most 64 MiB");
        return CULVERT_EREJECTED;
    }
    if (!yaml_parser_initialize(&reader.parser))
        return CULVERT_ENOMEM;
    error = read_events(&reader, text, length);
    yaml_parser_delete(&reader.parser);
    free(reader.stack);
    if (error)
        return error;
    if (!reader.root) {
        site_errors_add(errors, file, 1, 1, NULL, "the file is empty",
                        "at least the name of the site: \"site: NAME\"");
        return CULVERT_EREJECTED;
    }
    *root = reader.root;
    return 0;
}
