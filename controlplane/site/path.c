/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as words: by the schema, and by what a document has. */
#include <string.h>

#include "controlplane/base/suggest.h"
#include "controlplane/site/edit_tree.h"
#include "controlplane/site/errors.h"
#include "controlplane/site/schema.h"

static bool is_container(const struct schema *schema)
{
    return schema->type == SCHEMA_OBJECT || schema->type == SCHEMA_NAMED ||
           schema->type == SCHEMA_RECORDS;
}

const struct schema *schema_child(const struct schema *schema, const char *key)
{
    for (unsigned i = 0; i < schema->field_count; i++)
        if (!strcmp(schema->fields[i].key, key))
            return &schema->fields[i];
    if (schema->type == SCHEMA_NAMED)
        return *key ? schema->element : NULL;
    /* A record type: the fields are in small letters. */
    return schema->type == SCHEMA_RECORDS && *key >= 'A' && *key <= 'Z' ? schema->element : NULL;
}

static void add_path(const char *const *words, size_t count, struct buffer *text)
{
    for (size_t i = 0; i < count; i++)
        buffer_format(text, "%s%s", i ? "." : "", words[i]);
}

static int unknown(const struct schema *schema, const char *const *words, size_t at,
                   struct buffer *problem)
{
    const char *near = NULL;
    bool later = false;

    for (unsigned i = 0; schema->later && schema->later[i]; i++)
        later |= !strcmp(schema->later[i], words[at]);
    for (unsigned i = 0; i < schema->field_count; i++)
        near = suggest_better(words[at], near, schema->fields[i].key);
    buffer_format(problem, "\"%s\" %s", words[at],
                  later ? "comes in a later release" : "is not known");
    if (at && !later) {
        buffer_text(problem, " in ");
        add_path(words, at, problem);
    }
    if (near && !later)
        buffer_format(problem, " (did you mean \"%s\"?)", near);
    for (unsigned i = 0; !near && !later && i < schema->field_count; i++)
        buffer_format(problem, "%s%s%s", i ? ", " : " (known there: ", schema->fields[i].key,
                      i + 1 == schema->field_count ? ")" : "");
    return CULVERT_EREJECTED;
}

/* Whether it is a map or a list as YAML writes them in a line: no key begins so. */
static bool is_flow(const char *word)
{
    return *word == '{' || *word == '[';
}

int site_path_walk(const char *const *words, size_t count, struct site_path *path,
                   enum site_place *place, struct buffer *problem)
{
    const struct schema *schema = &schema_root, *parent = NULL;

    path->count = 0;
    while (path->count < count && is_container(schema) && !is_flow(words[path->count])) {
        const struct schema *child = schema_child(schema, words[path->count]);

        if (!child)
            return unknown(schema, words, path->count, problem);
        if (path->count == SITE_PATH_WORDS) {
            buffer_text(problem, "the path is too long");
            return CULVERT_EREJECTED;
        }
        path->word[path->count] = words[path->count];
        path->count++;
        parent = schema;
        schema = child;
    }
    *place = !is_container(schema)                    ? SITE_PLACE_VALUE
             : parent && parent->type == SCHEMA_NAMED ? SITE_PLACE_NAMED
                                                      : SITE_PLACE_MAP;
    return 0;
}

/* The schema at a path; NULL: there is none. */
static const struct schema *path_schema(const struct site_path *path)
{
    const struct schema *schema = &schema_root;

    for (size_t i = 0; schema && i < path->count; i++)
        schema = is_container(schema) ? schema_child(schema, path->word[i]) : NULL;
    return schema;
}

/* ---- with dots ---- */

static bool split(const struct schema *schema, const struct site_node *node, char *rest,
                  struct site_path *path);

/* Takes `length` bytes as a word, and the rest behind the dot. On false all is as it was. */
static bool split_word(const struct schema *schema, const struct site_node *node, char *rest,
                       size_t length, struct site_path *path)
{
    const struct schema *child;
    char end = rest[length];
    size_t count = path->count;

    if (!length || rest[0] == '.' || rest[length - 1] == '.' || count == SITE_PATH_WORDS)
        return false;
    rest[length] = 0;
    path->word[path->count++] = rest;
    child = schema_child(schema, rest);
    node = node && node->kind == NODE_MAP ? node_find(node, rest) : NULL;
    if (child && (!end || split(child, node, rest + length + 1, path)))
        return true;
    path->count = count;
    rest[length] = end;
    return false;
}

/* The names of the document, the longest first, then the shortest one that leads on; that holds no
 * dot where it is no domain name. */
static bool split_name(const struct schema *schema, const struct site_node *node, char *rest,
                       struct site_path *path)
{
    bool domains = schema->names == NAMES_ZONE || schema->names == NAMES_OWNER;
    size_t length = strlen(rest);

    for (size_t end = length; node && node->kind == NODE_MAP && end; end--) {
        char c = rest[end];
        bool there;

        if (c && c != '.')
            continue;
        rest[end] = 0;
        there = node_find(node, rest);
        rest[end] = c;
        if (there && split_word(schema, node, rest, end, path))
            return true;
    }
    for (size_t end = 1; end <= length; end++)
        if (!rest[end] || rest[end] == '.') {
            if (split_word(schema, NULL, rest, end, path))
                return true;
            if (!domains)
                return false;
        }
    return false;
}

static bool split(const struct schema *schema, const struct site_node *node, char *rest,
                  struct site_path *path)
{
    if (schema->type == SCHEMA_NAMED)
        return split_name(schema, node, rest, path);
    return is_container(schema) && split_word(schema, node, rest, strcspn(rest, "."), path);
}

static int split_plainly(char *rest, struct site_path *path)
{
    char *word;

    path->count = 0;
    while ((word = strsep(&rest, "."))) {
        if (!*word || path->count == SITE_PATH_WORDS)
            return CULVERT_EREJECTED;
        path->word[path->count++] = word;
    }
    return 0;
}

int site_path_split(const char *text, size_t length, const char *dotted, char *copy,
                    struct site_path *path)
{
    struct site_errors errors = {0};
    struct arena arena = {0};
    struct site_node *root = NULL;
    bool good;

    path->count = 0;
    if (strlen(dotted) >= SITE_PATH_TEXT)
        return CULVERT_EREJECTED;
    memcpy(copy, dotted, strlen(dotted) + 1);
    node_read(&arena, NULL, text, length, &root, &errors); /* without it, as for a new name */
    good = split(&schema_root, root, copy, path);
    site_errors_free(&errors);
    arena_free(&arena);
    return good ? 0 : split_plainly(copy, path);
}

/* ---- what may follow ---- */

static void add_words(const char *const *words, struct buffer *lines)
{
    for (; words && *words; words++)
        buffer_format(lines, "%s\n", *words);
}

static void add_names(const struct site_node *map, struct buffer *lines)
{
    for (uint32_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
        if (!strpbrk(map->child[i]->key, "\r\n"))
            buffer_format(lines, "%s\n", map->child[i]->key);
}

static void add_targets(const struct schema *schema, const struct site_node *root,
                        struct buffer *lines)
{
    if (schema->type == SCHEMA_LIST)
        schema = schema->element;
    if (schema->type == SCHEMA_REFERENCE && root && root->kind == NODE_MAP)
        add_names(node_find(root, schema_root.fields[schema->target].key), lines);
}

void site_path_words(const char *text, size_t length, const struct site_path *path, bool may,
                     struct buffer *lines)
{
    static const char *const switches[] = {"true", "false", NULL};
    const struct schema *schema = may ? path_schema(path) : NULL;
    struct site_errors errors = {0};
    struct arena arena = {0};
    struct site_node *root = NULL;
    const struct site_node *node;

    node_read(&arena, NULL, text, length, &root, &errors);
    node = root;
    for (size_t i = 0; node && i < path->count; i++)
        node = node->kind == NODE_MAP ? node_find(node, path->word[i]) : NULL;
    add_names(node, lines);
    for (unsigned i = 0; schema && i < schema->field_count; i++)
        if (!node || node->kind != NODE_MAP || !node_find(node, schema->fields[i].key))
            buffer_format(lines, "%s\n", schema->fields[i].key);
    if (schema && !is_container(schema)) {
        add_words(schema->words, lines);
        add_words(schema->type == SCHEMA_BOOL ? switches : NULL, lines);
        add_targets(schema, root, lines);
    }
    site_errors_free(&errors);
    arena_free(&arena);
}

/* ---- one value ---- */

static void tell(const struct site_path *path, const struct site_errors *errors,
                 struct buffer *problem)
{
    const struct site_error *first = errors->list;

    add_path(path->word, path->count, problem);
    buffer_format(problem, ": %s%s", first->field ? first->field : "", first->field ? ": " : "");
    buffer_text(problem, first->message);
    if (first->hint)
        buffer_format(problem, " (%s)", first->hint);
}

int site_value_check(const struct site_path *path, const char *value, struct buffer *problem)
{
    /* A file comes with the commit; here any will do. */
    struct site_upload upload = {
        .digest = "0000000000000000000000000000000000000000000000000000000000000000"};
    struct site_source source = {.uploads = &upload, .upload_count = 1};
    const struct schema *schema = path_schema(path);
    struct site_errors errors = {0};
    struct arena arena = {0};
    struct site_node *node;
    int error = edit_value(&arena, value, &node, problem);

    if (!error && schema && !is_container(schema)) {
        upload.name = node->text;
        error = part_check(&arena, node, schema, &source, &errors);
    }
    if (error == CULVERT_EREJECTED && errors.count)
        tell(path, &errors, problem);
    site_errors_free(&errors);
    arena_free(&arena);
    return error;
}
