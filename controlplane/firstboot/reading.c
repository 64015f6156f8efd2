/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/firstboot/reading.h"

#include <string.h>
#include <strings.h>

#include "controlplane/base/error.h"
#include "controlplane/base/suggest.h"

#define SHOWN 60 /* of a key */

void seed_report_free(struct seed_report *report)
{
    site_errors_free(&report->errors);
    site_errors_free(&report->warnings);
}

/* Nothing but white space and comments, which YAML takes for an empty document. */
static bool is_empty(const char *text, size_t length)
{
    bool comment = false;

    for (size_t i = 0; i < length; i++) {
        comment = text[i] == '#' || (comment && text[i] != '\n');
        if (!comment && !strchr(" \t\r\n", text[i]))
            return false;
    }
    return true;
}

int reading_run(struct machine *machine, const char *name, const char *text, size_t length,
                struct seed_report *report, reading_take *take, void *arg)
{
    struct reading reading = {.machine = machine,
                              .errors = {.file = name, .errors = &report->errors},
                              .warnings = {.file = name, .errors = &report->warnings}};
    struct site_node *root;
    int error;

    if (is_empty(text, length))
        return 0;
    if (length > SEED_BYTES_MAX) {
        site_errors_add(&report->errors, name, 0, 0, NULL, "the file is too large",
                        "at most 1 MiB");
        return 0;
    }
    error = node_read(&reading.arena, name, text, length, &root, &report->errors);
    if (!error)
        take(&reading, root, arg);
    arena_free(&reading.arena);
    return error == CULVERT_EREJECTED ? 0 : error;
}

bool reading_wrong(struct reading *reading, const struct site_node *node, const char *problem)
{
    if (problem)
        node_error(&reading->errors, node, NULL, "%s", problem);
    return problem;
}

/* YAML's null. */
static bool is_null(const struct site_node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted &&
           (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

const struct site_node *reading_find(const struct site_node *map, const char *key)
{
    const struct site_node *node = map->kind == NODE_MAP ? node_find(map, key) : NULL;

    return node && !is_null(node) ? node : NULL;
}

static void say_unknown(const struct site_report *to, const struct site_node *node,
                        const struct reading_field *fields)
{
    const char *near = NULL;
    char hint[SHOWN];

    for (; fields->key; fields++)
        if (fields->take)
            near = suggest_better(node->key, near, fields->key);
    if (near)
        snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
    node_error_at_key(to, node, near ? hint : NULL, "an appliance takes no \"%.*s\"", SHOWN,
                      node->key);
}

static void take_field(struct reading *reading, const struct site_node *node,
                       const struct reading_field *fields, enum reading_unknown unknown, void *arg)
{
    const struct reading_field *field = fields;

    while (field->key && strcmp(field->key, node->key) != 0)
        field++;
    if (field->key && field->take && !is_null(node))
        field->take(reading, node, arg);
    else if (!field->key && unknown != UNKNOWN_SILENT)
        say_unknown(unknown == UNKNOWN_ERROR ? &reading->errors : &reading->warnings, node, fields);
}

void reading_fields(struct reading *reading, const struct site_node *map,
                    const struct reading_field *fields, enum reading_unknown unknown, void *arg)
{
    if (map->kind != NODE_MAP) {
        reading_wrong(reading, map, "a map (\"key: value\") is expected here");
        return;
    }
    for (uint32_t i = 0; i < map->count; i++)
        take_field(reading, map->child[i], fields, unknown, arg);
}

void reading_each(struct reading *reading, const struct site_node *node, reading_take *take,
                  void *arg)
{
    if (node->kind != NODE_LIST)
        take(reading, node, arg);
    else
        for (uint32_t i = 0; i < node->count; i++)
            take(reading, node->child[i], arg);
}

void reading_each_value(struct reading *reading, const struct site_node *map, reading_take *take,
                        void *arg)
{
    if (map->kind != NODE_MAP) {
        reading_wrong(reading, map, "a map (\"key: value\") is expected here");
        return;
    }
    for (uint32_t i = 0; i < map->count; i++)
        if (!is_null(map->child[i]))
            take(reading, map->child[i], arg);
}

const char *reading_text(struct reading *reading, const struct site_node *node)
{
    if (node->kind == NODE_SCALAR)
        return node->text;
    reading_wrong(reading, node, "one text is expected here");
    return NULL;
}

bool reading_number(struct reading *reading, const struct site_node *node, uint32_t least,
                    uint32_t most, uint32_t *value)
{
    const char *text = reading_text(reading, node);
    uint64_t number = 0;

    if (!text)
        return false;
    if (units_parse_number(text, &number) || number < least || number > most) {
        node_error(&reading->errors, node, NULL, "a number from %u to %u is expected here", least,
                   most);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

bool reading_truth(struct reading *reading, const struct site_node *node, bool *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    const char *text = reading_text(reading, node);

    for (size_t i = 0; text && i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcasecmp(text, words[i])) {
            *value = i % 2;
            return true;
        }
    }
    if (text)
        reading_wrong(reading, node, "true or false is expected here");
    return false;
}

void reading_take_hostname(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    (void)arg;
    if (text)
        reading_wrong(reading, node, machine_set_hostname(reading->machine, text));
}

void reading_take_key(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    (void)arg;
    if (text)
        reading_wrong(reading, node, machine_add_key(reading->machine, text));
}
