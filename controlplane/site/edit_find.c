/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over libyaml's events, whose marks count characters. */
#include "controlplane/site/edit_find.h"

#include <string.h>
#include <yaml.h>

#include "controlplane/base/error.h"

struct finder {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *text;
    size_t length;
    size_t character, byte; /* one and the same place */
    const struct site_path *path;
    struct edit_place *place;
};

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The byte at which a character begins; marks come nearly in order, so that the way is short. */
static size_t byte_of(struct finder *finder, yaml_mark_t mark)
{
    const char *text = finder->text;
    size_t byte = finder->byte;

    for (; finder->character < mark.index && byte < finder->length; finder->character++)
        do
            byte++;
        while (byte < finder->length && is_continuation(text[byte]));
    for (; finder->character > mark.index && byte; finder->character--)
        do
            byte--;
        while (byte && is_continuation(text[byte]));
    finder->byte = byte;
    return byte;
}

static int next(struct finder *finder)
{
    yaml_event_delete(&finder->event);
    if (yaml_parser_parse(&finder->parser, &finder->event))
        return 0;
    memset(&finder->event, 0, sizeof(finder->event));
    return finder->parser.error == YAML_MEMORY_ERROR ? CULVERT_ENOMEM : CULVERT_EREJECTED;
}

/* `end` without the blanks and empty lines before it, down to `start`. */
static size_t strip(const struct finder *finder, size_t start, size_t end)
{
    while (end > start && strchr(" \t\r\n", finder->text[end - 1]))
        end--;
    return end;
}

/* What the event begins is read to its last event. */
static int skip(struct finder *finder, size_t *end)
{
    size_t start = byte_of(finder, finder->event.start_mark);
    unsigned depth = 0;
    int error = 0;

    *end = start;
    do {
        const yaml_event_t *event = &finder->event;
        bool opens =
            event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
        bool closes =
            event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;

        depth += opens;
        depth -= closes;
        /* The end of a block is no place of its own: the next word's. */
        if (event->type == YAML_SCALAR_EVENT ||
            (closes && event->end_mark.index > event->start_mark.index))
            *end = strip(finder, start, byte_of(finder, event->end_mark));
        if (depth)
            error = next(finder);
    } while (depth && !error);
    return error;
}

static bool is_key(const struct finder *finder, size_t level)
{
    const yaml_event_t *event = &finder->event;
    const char *word;

    if (level >= finder->path->count || event->type != YAML_SCALAR_EVENT)
        return false;
    word = finder->path->word[level];
    return event->data.scalar.length == strlen(word) &&
           !memcmp(event->data.scalar.value, word, event->data.scalar.length);
}

static int walk(struct finder *finder, size_t level);

/* Reads a value: the event is its first. */
static int walk_value(struct finder *finder, size_t level, bool on_path, size_t *end)
{
    int error;

    if (!on_path || level + 1 >= finder->path->count ||
        finder->event.type != YAML_MAPPING_START_EVENT)
        return skip(finder, end);
    error = walk(finder, level + 1);
    *end = finder->place->map[level + 1].end;
    return error;
}

static int walk_entry(struct finder *finder, size_t level)
{
    struct edit_map *map = &finder->place->map[level];
    bool wanted = !map->found && is_key(finder, level);
    size_t key = byte_of(finder, finder->event.start_mark), key_end, value, end = 0;
    int error = skip(finder, &key_end);

    if (!error)
        error = next(finder);
    if (error)
        return error;
    value = byte_of(finder, finder->event.start_mark);
    if (map->found && !map->next)
        map->next = key;
    error = walk_value(finder, level, wanted, &end);
    if (value == end) /* an empty one is said to be before the next word */
        value = end = strip(finder, key_end, end);
    if (wanted) {
        map->found = true;
        map->key = key;
        map->key_end = key_end;
        map->value = value;
        map->value_end = end;
    } else if (!map->found) {
        map->previous_end = end;
    }
    map->count++;
    map->last_end = end;
    return error ? error : next(finder);
}

/* Reads a map of the path: the event is its first, and then its last. */
static int walk(struct finder *finder, size_t level)
{
    struct edit_map *map = &finder->place->map[level];
    int error;

    finder->place->depth = level + 1;
    map->start = byte_of(finder, finder->event.start_mark);
    map->column = finder->event.start_mark.column;
    map->flow = finder->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    error = next(finder);
    while (!error && finder->event.type != YAML_MAPPING_END_EVENT)
        error = walk_entry(finder, level);
    map->end = map->flow ? byte_of(finder, finder->event.end_mark) : map->last_end;
    return error;
}

int edit_find(const char *text, size_t length, const struct site_path *path,
              struct edit_place *place)
{
    struct finder finder = {.text = text, .length = length, .path = path, .place = place};
    int error;

    memset(place, 0, sizeof(*place));
    if (!yaml_parser_initialize(&finder.parser))
        return CULVERT_ENOMEM;
    yaml_parser_set_input_string(&finder.parser, (const unsigned char *)text, length);
    yaml_parser_set_encoding(&finder.parser, YAML_UTF8_ENCODING);
    do
        error = next(&finder);
    while (!error && (finder.event.type == YAML_STREAM_START_EVENT ||
                      finder.event.type == YAML_DOCUMENT_START_EVENT));
    if (!error && finder.event.type == YAML_MAPPING_START_EVENT)
        error = walk(&finder, 0);
    yaml_event_delete(&finder.event);
    yaml_parser_delete(&finder.parser);
    return error;
}
