/* SPDX-License-Identifier: Apache-2.0 */
/* Types a tree in place by the schema, and reports everything that doesn't fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/suggest.h"
#include "controlplane/site/errors.h"
#include "controlplane/site/schema.h"

struct check {
    struct arena *arena;
    struct site_report report;
    const struct site_source *source;
    bool no_memory;
};

static bool node_check(struct check *check, struct site_node *node, const struct schema *schema);

/* "key:" with nothing behind it, or null. */
static bool node_empty(const struct site_node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted &&
           (!*node->text || !strcmp(node->text, "null") || !strcmp(node->text, "~"));
}

static void *check_alloc(struct check *check, size_t size)
{
    void *bytes = arena_alloc(check->arena, size);

    check->no_memory |= !bytes;
    return bytes;
}

static bool is_later(const struct schema *schema, const char *word)
{
    for (unsigned i = 0; schema->later && schema->later[i]; i++)
        if (!strcmp(schema->later[i], word))
            return true;
    return false;
}

/* The canonical text of a value, where it may differ from what was written. */
static bool text_settle(struct check *check, struct site_node *node)
{
    struct endpoint endpoint;
    char text[UNITS_TEXT];

    switch (node->schema->type) {
    case SCHEMA_NUMBER:
    case SCHEMA_SIZE:
    case SCHEMA_SECONDS:
        snprintf(text, sizeof(text), "%llu", (unsigned long long)node->number);
        break;
    case SCHEMA_RATE:
        units_write_rate(node->number, text);
        break;
    case SCHEMA_TIME:
        units_write_time(node->number, text);
        break;
    case SCHEMA_ADDRESS:
        units_write_address(&node->address, text);
        break;
    case SCHEMA_ENDPOINT:
        if (units_parse_endpoint(node->text, &endpoint))
            return true;
        units_write_endpoint(&endpoint, text);
        break;
    case SCHEMA_PREFIX:
        units_write_prefix(&node->address, node->length, text);
        break;
    case SCHEMA_SOURCE:
        if (node->number < SOURCE_VIP)
            snprintf(text, sizeof(text), "source/%u", (unsigned)node->number);
        else
            return true;
        break;
    case SCHEMA_SECRET:
        for (unsigned i = 0; i < 16; i++)
            snprintf(text + 2 * i, 3, "%02x", node->secret[i]);
        break;
    case SCHEMA_DEVICE:
        if (!device_write_pci(node->text, text))
            return true;
        break;
    default:
        return true;
    }
    if (!strcmp(text, node->text))
        return true;
    node->text = arena_copy(check->arena, text, strlen(text));
    check->no_memory |= !node->text;
    return node->text;
}

static bool file_find(struct check *check, struct site_node *node)
{
    for (size_t i = 0; i < check->source->upload_count; i++) {
        const struct site_upload *upload = &check->source->uploads[i];

        if (strcmp(upload->name, node->text) || !digest_valid(upload->digest))
            continue;
        node->digest = arena_copy(check->arena, upload->digest, DIGEST_TEXT - 1);
        check->no_memory |= !node->digest;
        return node->digest;
    }
    node_error(&check->report, node, "upload it along with the site file",
               "the file \"%.200s\" did not come with the site file", node->text);
    return false;
}

static bool value_check(struct check *check, struct site_node *node)
{
    if (node->kind != NODE_SCALAR || node_empty(node)) {
        node_error(&check->report, node, schema_expects(node->schema), "%s",
                   node->kind == NODE_MAP    ? "a map where one value is wanted"
                   : node->kind == NODE_LIST ? "a list where one value is wanted"
                                             : "the value is missing");
        return false;
    }
    if (!scalar_check(&check->report, node))
        return false;
    if (node->schema->type == SCHEMA_FILE)
        return file_find(check, node);
    return text_settle(check, node);
}

static const struct schema *field_find(const struct schema *schema, const char *key)
{
    for (unsigned i = 0; i < schema->field_count; i++)
        if (!strcmp(schema->fields[i].key, key))
            return &schema->fields[i];
    return NULL;
}

static void key_unknown(struct check *check, const struct site_node *node,
                        const struct schema *schema)
{
    struct buffer hint = {0};
    const char *near = NULL;

    if (is_later(schema, node->key)) {
        node_error_at_key(&check->report, node, "take it out", "\"%s\" comes in a later release",
                          node->key);
        return;
    }
    for (unsigned i = 0; i < schema->field_count; i++)
        near = suggest_better(node->key, near, schema->fields[i].key);
    if (near)
        buffer_format(&hint, "did you mean \"%s\"?", near);
    else
        buffer_text(&hint, "known here: ");
    for (unsigned i = 0; !near && i < schema->field_count; i++)
        buffer_format(&hint, "%s%s", i ? ", " : "", schema->fields[i].key);
    node_error_at_key(&check->report, node, hint.data, "unknown key");
    buffer_free(&hint);
}

/* A map where one is wanted; its children sorted, those that occur twice reported and left out. */
static bool map_open(struct check *check, struct site_node *node)
{
    uint32_t kept = 0;

    if (node_empty(node)) {
        node->kind = NODE_MAP;
        node->text = "";
    }
    if (node->kind != NODE_MAP) {
        node_error(&check->report, node, schema_expects(node->schema), "%s where a map is wanted",
                   node->kind == NODE_LIST ? "a list" : "a single value");
        return false;
    }
    node_sort(node);
    for (uint32_t i = 0; i < node->count; i++) {
        struct site_node *child = node->child[i];

        if (kept && !strcmp(node->child[kept - 1]->key, child->key))
            node_error_at_key(&check->report, child, "keep one of them",
                              "it is given twice, first in line %u",
                              node->child[kept - 1]->key_line);
        else
            node->child[kept++] = child;
    }
    node->count = kept;
    return true;
}

/* Nothing but the fields, all absent. */
static bool object_clear(struct check *check, struct site_node *node, uint32_t count)
{
    node->kind = NODE_MAP;
    node->child = check_alloc(check, (count + 1) * sizeof(*node->child));
    node->count = node->child ? count : 0;
    return node->child;
}

static struct site_node *field_fill(struct check *check, struct site_node *parent,
                                    const struct schema *field)
{
    struct site_node *node = node_new(check->arena, parent, NODE_SCALAR);

    if (!node) {
        check->no_memory = true;
        return NULL;
    }
    node->key = field->key;
    node->text = field->initial;
    return node_check(check, node, field) ? node : NULL;
}

/* Whether a field goes with the word that the object's first field has; one that doesn't is
 * reported and taken out. */
static bool field_goes(struct check *check, struct site_node *node, unsigned at)
{
    const struct schema *field = &node->schema->fields[at];
    const struct site_node *first = node->child[0];
    char hint[80];

    if (!field->only)
        return true;
    if (!first)
        return false; /* what it says is wrong: nobody knows */
    if (!strcmp(first->text, field->only))
        return true;
    if (!node->child[at])
        return false;
    snprintf(hint, sizeof(hint), "take it out, or say \"%s: %s\"", first->key, field->only);
    node_error_at_key(&check->report, node->child[at], hint, "it doesn't go with \"%s: %s\"",
                      first->key, first->text);
    node->child[at] = NULL;
    node->bad = true;
    return false;
}

static void fields_complete(struct check *check, struct site_node *node, const bool *given)
{
    const struct schema *schema = node->schema;

    for (unsigned i = 0; i < schema->field_count; i++) {
        const struct schema *field = &schema->fields[i];

        if (!field_goes(check, node, i) || given[i])
            continue;
        if (field->required) {
            node_error_at_key(&check->report, node, schema_expects(field), "\"%s\" is missing",
                              field->key);
            node->bad = true;
        } else if (field->initial) {
            node->child[i] = field_fill(check, node, field);
        }
    }
}

/* Record types in use, for the letter case and for "did you mean"; others must be capitals. */
static const char *const record_types[] = {
    "A",     "AAAA", "CAA", "CNAME", "DNAME", "DNSKEY", "DS",    "HINFO", "HTTPS", "LOC", "MX",
    "NAPTR", "NS",   "PTR", "RP",    "SPF",   "SRV",    "SSHFP", "SVCB",  "TLSA",  "TXT", NULL};

static bool type_check(struct check *check, struct site_node *node, const struct schema *schema)
{
    size_t length = strspn(node->key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    char hint[80] = "";
    const char *near = NULL;

    if (length && length <= 16 && !node->key[length])
        return true;
    for (unsigned i = 0; i < schema->field_count; i++)
        near = suggest_better(node->key, near, schema->fields[i].key);
    for (unsigned i = 0; record_types[i]; i++)
        near = suggest_better(node->key, near, record_types[i]);
    if (near)
        snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
    node_error_at_key(&check->report, node, near ? hint : "pool, ttl, or a record type in capitals",
                      "not a record type");
    return false;
}

static bool object_check(struct check *check, struct site_node *node)
{
    const struct schema *schema = node->schema;
    uint32_t count = schema->field_count, extra = 0;
    bool given[16] = {false}, open = map_open(check, node);
    struct site_node **child = node->child;
    uint32_t children = open ? node->count : 0;

    if (schema->type == SCHEMA_RECORDS)
        for (uint32_t i = 0; i < children; i++)
            extra += !field_find(schema, child[i]->key);
    if (!object_clear(check, node, count + extra))
        return false;
    extra = 0;
    for (uint32_t i = 0; i < children; i++) {
        const struct schema *field = field_find(schema, child[i]->key);
        uint32_t at = field ? (uint32_t)(field - schema->fields) : count + extra;

        if (field)
            given[at] = true;
        else if (schema->type != SCHEMA_RECORDS)
            key_unknown(check, child[i], schema);
        else if (type_check(check, child[i], schema))
            field = schema->element;
        if (field && node_check(check, child[i], field)) {
            node->child[at] = child[i];
            extra += at >= count;
        } else {
            node->bad = true;
        }
    }
    node->count = count + extra;
    if (open)
        fields_complete(check, node, given);
    else
        node->bad = true;
    return true;
}

static bool named_check(struct check *check, struct site_node *node)
{
    const struct schema *schema = node->schema;

    if (node->kind == NODE_MAP)
        for (uint32_t i = 0; i < node->count; i++)
            node->child[i]->bad = !name_check(&check->report, check->arena, node->child[i],
                                              (enum schema_names)schema->names);
    if (!map_open(check, node))
        return false;
    for (uint32_t i = 0; i < node->count; i++)
        node_check(check, node->child[i], schema->element);
    return true;
}

static bool list_word(const struct site_node *node)
{
    const char *const *words = node->schema->words;

    for (; words && *words && node->kind == NODE_SCALAR; words++)
        if (!strcmp(*words, node->text))
            return true;
    return false;
}

static bool list_check(struct check *check, struct site_node *node)
{
    const struct schema *schema = node->schema;
    char hint[64];
    uint32_t kept = 0;

    if (list_word(node))
        return true; /* stays a scalar */
    if (node_empty(node)) {
        node->kind = NODE_LIST;
        node->text = "";
    }
    if (node->kind != NODE_LIST) {
        snprintf(hint, sizeof(hint), "write [%.40s]", node->text);
        node_error(&check->report, node, node->kind == NODE_SCALAR ? hint : schema_expects(schema),
                   "%s where a list is wanted",
                   node->kind == NODE_MAP ? "a map" : "a single value");
        return false;
    }
    if (node->count < schema->least || node->count > schema->most) {
        snprintf(hint, sizeof(hint), "%llu to %llu of them", (unsigned long long)schema->least,
                 (unsigned long long)schema->most);
        node_error(&check->report, node, hint, "a list of %u", node->count);
        return false;
    }
    for (uint32_t i = 0; i < node->count; i++)
        if (node_check(check, node->child[i], schema->element))
            node->child[kept++] = node->child[i];
    node->count = kept;
    return true;
}

/* One value stands for a list of it. */
static bool texts_check(struct check *check, struct site_node *node)
{
    struct site_node *only;

    if (node->kind == NODE_SCALAR && !node_empty(node)) {
        only = node_new(check->arena, node, NODE_SCALAR);
        if (!only || !object_clear(check, node, 1)) {
            check->no_memory = true;
            return false;
        }
        node->kind = NODE_LIST;
        only->text = node->text;
        only->quoted = node->quoted;
        only->line = node->line;
        only->column = node->column;
        node->text = "";
        node->child[0] = only;
    }
    return list_check(check, node);
}

static bool node_check(struct check *check, struct site_node *node, const struct schema *schema)
{
    node->schema = schema;
    switch (schema->type) {
    case SCHEMA_OBJECT:
    case SCHEMA_RECORDS:
        return object_check(check, node);
    case SCHEMA_NAMED:
        return named_check(check, node);
    case SCHEMA_LIST:
        return list_check(check, node);
    case SCHEMA_TEXTS:
        return texts_check(check, node);
    default:
        return value_check(check, node);
    }
}

int schema_check(struct site *site, const struct site_source *source, struct site_errors *errors)
{
    struct check check = {
        .arena = &site->arena, .report = {.file = site->file, .errors = errors}, .source = source};

    node_check(&check, site->root, &schema_root);
    return check.no_memory ? CULVERT_ENOMEM : errors_result(errors);
}

int part_check(struct arena *arena, struct site_node *part, const struct schema *schema,
               const struct site_source *source, struct site_errors *errors)
{
    struct check check = {.arena = arena, .report = {.errors = errors}, .source = source};

    node_check(&check, part, schema);
    return check.no_memory ? CULVERT_ENOMEM : errors_result(errors);
}
