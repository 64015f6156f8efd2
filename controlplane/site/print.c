/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical JSON of a document and of its parts, and the words of its paths. */
#include <string.h>

#include "controlplane/site/schema.h"

static void scalar_print(const struct site_node *node, struct buffer *json)
{
    switch (node->schema->type) {
    case SCHEMA_BOOL:
    case SCHEMA_NUMBER:
    case SCHEMA_SIZE:
    case SCHEMA_SECONDS:
        buffer_text(json, node->text);
        break;
    default:
        buffer_json_text(json, node->text);
    }
}

static void list_print(const struct site_node *node, struct buffer *json)
{
    if (node->schema->type == SCHEMA_TEXTS && node->count == 1) {
        node_print(node->child[0], json);
        return;
    }
    buffer_char(json, '[');
    for (uint32_t i = 0; i < node->count; i++) {
        if (i)
            buffer_char(json, ',');
        node_print(node->child[i], json);
    }
    buffer_char(json, ']');
}

void node_print(const struct site_node *node, struct buffer *json)
{
    bool first = true;

    if (node->kind != NODE_MAP) {
        if (node->kind == NODE_LIST)
            list_print(node, json);
        else
            scalar_print(node, json);
        return;
    }
    buffer_char(json, '{');
    for (uint32_t i = 0; i < node->count; i++) {
        const struct site_node *child = node->child[i];

        if (!child)
            continue;
        if (!first)
            buffer_char(json, ',');
        first = false;
        buffer_json_text(json, child->key);
        buffer_char(json, ':');
        node_print(child, json);
    }
    buffer_char(json, '}');
}

void site_files_json(const struct site *site, struct buffer *json)
{
    const struct site_node *zones = site ? node_field(site->root, ROOT_ZONES) : NULL;
    bool first = true;

    buffer_char(json, '{');
    NODE_EACH(zone, zones)
    {
        const struct site_node *file = node_field(zone, ZONE_FILE);

        if (!file)
            continue;
        buffer_text(json, first ? "" : ",");
        first = false;
        buffer_json_text(json, file->text);
        buffer_char(json, ':');
        buffer_json_text(json, file->digest);
    }
    buffer_char(json, '}');
}

/* The child whose key, followed by "." or the end, starts `path`: names may have dots, so the
 * longest one that leads on is taken. */
static const struct site_node *path_find(const struct site_node *node, const char *path)
{
    const struct site_node *found = NULL;
    size_t best = 0;

    if (!*path)
        return node;
    if (node->kind != NODE_MAP)
        return NULL;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct site_node *child = node->child[i], *end;
        size_t length = child ? strlen(child->key) : 0;

        if (!child || strncmp(child->key, path, length) ||
            (path[length] && (path[length] != '.' || !path[length + 1])))
            continue;
        end = path_find(child, path + length + (path[length] == '.'));
        if (end && (!found || length > best)) {
            found = end;
            best = length;
        }
    }
    return found;
}

int site_get(const struct site *site, const char *path, struct buffer *json)
{
    const struct site_node *node = path_find(site->root, path ? path : "");

    if (!node)
        return CULVERT_ENOTFOUND;
    node_print(node, json);
    return json->error;
}

static const struct schema *schema_find(const char *path)
{
    const struct schema *schema = &schema_root;

    while (*path) {
        const char *dot = strchrnul(path, '.');
        const struct schema *next = NULL;

        if (schema->type == SCHEMA_NAMED)
            next = schema->element;
        for (unsigned i = 0; !next && i < schema->field_count; i++)
            if (strlen(schema->fields[i].key) == (size_t)(dot - path) &&
                !strncmp(schema->fields[i].key, path, (size_t)(dot - path)))
                next = &schema->fields[i];
        if (!next)
            return NULL;
        schema = next;
        path = *dot ? dot + 1 : dot;
    }
    return schema;
}

void site_words(const struct site *site, const char *path, struct buffer *lines)
{
    const struct site_node *node = site ? path_find(site->root, path) : NULL;
    const struct schema *schema = node ? node->schema : schema_find(path);

    for (uint32_t i = 0; node && node->kind == NODE_MAP && i < node->count; i++)
        if (node->child[i])
            buffer_format(lines, "%s\n", node->child[i]->key);
    for (unsigned i = 0; schema && i < schema->field_count; i++)
        if (!node || !node_field(node, i))
            buffer_format(lines, "%s\n", schema->fields[i].key);
    for (unsigned i = 0; schema && schema->words && schema->words[i]; i++)
        buffer_format(lines, "%s\n", schema->words[i]);
}
