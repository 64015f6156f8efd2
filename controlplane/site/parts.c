/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/site/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part in a block of its own: this, and behind it what it is made of. */
struct block {
    size_t refs;
    struct site_node node;
};

#define ALIGN _Alignof(max_align_t)

static size_t rounded(size_t size)
{
    return (size + ALIGN - 1) & ~(ALIGN - 1);
}

static size_t text_size(const char *text)
{
    return text && *text ? rounded(strlen(text) + 1) : 0;
}

static bool has_digest(const struct site_node *node)
{
    return node->kind == NODE_SCALAR && node->schema->type == SCHEMA_FILE;
}

/* Of all that hangs on a node, without the node. */
static size_t size_below(const struct site_node *node)
{
    size_t size = text_size(node->key) + text_size(node->text);

    if (has_digest(node))
        size += rounded(DIGEST_TEXT);
    size += rounded(node->count * sizeof(*node->child));
    for (uint32_t i = 0; i < node->count; i++)
        if (node->child[i])
            size += rounded(sizeof(*node)) + size_below(node->child[i]);
    return size;
}

static void *take(char **at, size_t size)
{
    void *bytes = *at;

    *at += rounded(size);
    return bytes;
}

static const char *text_copy(char **at, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    return length ? memcpy(take(at, length + 1), text, length + 1) : text ? "" : NULL;
}

static void copy_below(struct site_node *to, const struct site_node *from, char **at)
{
    *to = *from;
    to->key = text_copy(at, from->key);
    to->text = text_copy(at, from->text);
    if (has_digest(from))
        to->digest = memcpy(take(at, DIGEST_TEXT), from->digest, DIGEST_TEXT);
    to->child = take(at, from->count * sizeof(*to->child));
    for (uint32_t i = 0; i < from->count; i++) {
        to->child[i] = NULL;
        if (!from->child[i])
            continue;
        to->child[i] = take(at, sizeof(*to));
        copy_below(to->child[i], from->child[i], at);
        to->child[i]->parent = to;
    }
}

struct site_node *part_copy(const struct site_node *part)
{
    struct block *block = malloc(rounded(sizeof(*block)) + size_below(part));
    char *at;

    if (!block)
        return NULL;
    at = (char *)block + rounded(sizeof(*block));
    copy_below(&block->node, part, &at);
    block->refs = 1;
    block->node.parent = NULL;
    block->node.counted = true;
    return &block->node;
}

static struct block *block_of(struct site_node *part)
{
    return (struct block *)((char *)part - offsetof(struct block, node));
}

struct site_node *part_hold(struct site_node *part)
{
    if (part && part->counted)
        block_of(part)->refs++;
    return part;
}

void part_release(struct site_node *part)
{
    if (part && part->counted && !--block_of(part)->refs)
        free(block_of(part));
}

/* ---- a document from the one before ---- */

struct patching {
    struct site *site;
    const struct site_upload *uploads;
    size_t upload_count;
    struct buffer json; /* scratch */
};

/* A part as the patch has it. */
static int part_read(struct patching *patching, const struct schema *schema, const char *key,
                     yyjson_val *value, struct site_node **part)
{
    struct site_source source = {.uploads = patching->uploads,
                                 .upload_count = patching->upload_count};
    struct site_errors errors = {0};
    struct arena arena = {0};
    struct site_node *node;
    int error = node_from_json(&arena, value, &node);

    if (!error) {
        node->key = key;
        error = part_check(&arena, node, schema, &source, &errors);
    }
    if (!error)
        error = part_settle(node, &patching->json);
    if (!error) {
        *part = part_copy(node);
        error = *part ? 0 : CULVERT_ENOMEM;
    }
    site_errors_free(&errors);
    arena_free(&arena);
    return error == CULVERT_ENOMEM ? error : error ? CULVERT_ECONFLICT : 0;
}

static struct site_node *section_new(struct patching *patching, const struct schema *schema,
                                     size_t most)
{
    struct arena *arena = &patching->site->arena;
    struct site_node *section = node_new(arena, patching->site->root, NODE_MAP);

    if (!section)
        return NULL;
    section->schema = schema;
    section->key = schema->key;
    section->child = arena_alloc(arena, (most + 1) * sizeof(*section->child));
    return section->child ? section : NULL;
}

/* Both in the order of names. */
static int section_merge(struct patching *patching, struct site_node *section,
                         const struct site_node *old, yyjson_val *patch)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(patch);
    yyjson_val *key = yyjson_obj_iter_next(&iter);
    uint32_t i = 0, count = old ? old->count : 0;
    const char *before = NULL;
    int error = 0;

    while ((i < count || key) && !error) {
        const char *name = yyjson_get_str(key);
        int order = !key ? -1 : i == count ? 1 : strcmp(old->child[i]->key, name);

        if (order < 0) {
            section->child[section->count++] = part_hold(old->child[i++]);
            continue;
        }
        if (before && strcmp(before, name) >= 0)
            return CULVERT_ECONFLICT;
        before = name;
        i += !order;
        if (!yyjson_is_null(yyjson_obj_iter_get_val(key))) {
            error = part_read(patching, section->schema->element, name,
                              yyjson_obj_iter_get_val(key), &section->child[section->count]);
            section->count += !error;
        } else if (order) {
            return CULVERT_ECONFLICT; /* there is nothing to take away */
        }
        key = yyjson_obj_iter_next(&iter);
    }
    return error;
}

static int field_patch(struct patching *patching, const struct site_node *old, unsigned at,
                       yyjson_val *patch)
{
    const struct schema *schema = &schema_root.fields[at];
    struct site_node **to = &patching->site->root->child[at], *before = old->child[at];

    if (yyjson_is_null(patch) || (!patch && !before))
        return 0;
    if (schema->type != SCHEMA_NAMED) {
        *to = patch ? NULL : part_hold(before);
        return patch ? part_read(patching, schema, schema->key, patch, to) : 0;
    }
    if (patch && !yyjson_is_obj(patch))
        return CULVERT_ECONFLICT;
    *to = section_new(patching, schema, (before ? before->count : 0) + yyjson_obj_size(patch));
    return *to ? section_merge(patching, *to, before, patch) : CULVERT_ENOMEM;
}

int site_patched(struct site **out, struct site *old, yyjson_val *patch,
                 const struct site_upload *uploads, size_t upload_count)
{
    struct site *site = calloc(1, sizeof(*site));
    struct patching patching = {.site = site, .uploads = uploads, .upload_count = upload_count};
    size_t known = 0;
    int error = 0;

    if (!site)
        return CULVERT_ENOMEM;
    site->refs = 1;
    site->base = old->base ? old->base : old;
    site->base->refs++;
    site->file = "stored revision";
    site->root = node_new(&site->arena, NULL, NODE_MAP);
    if (site->root) {
        site->root->schema = &schema_root;
        site->root->child = arena_alloc(&site->arena, ROOT_FIELDS * sizeof(*site->root->child));
    }
    if (!site->root || !site->root->child)
        error = CULVERT_ENOMEM;
    else
        site->root->count = ROOT_FIELDS;
    for (unsigned i = 0; i < ROOT_FIELDS && !error; i++) {
        yyjson_val *field = yyjson_obj_get(patch, schema_root.fields[i].key);

        known += field != NULL;
        error = field_patch(&patching, old->root, i, field);
    }
    if (!error && known != yyjson_obj_size(patch))
        error = CULVERT_ECONFLICT; /* a section that this version doesn't know */
    buffer_free(&patching.json);
    if (error)
        site_free(site);
    else
        *out = site;
    return error;
}

/* ---- what a document is known by ---- */

static void sum_add(uint64_t sum[2], const uint8_t content[16])
{
    uint64_t low, high;

    memcpy(&low, content, sizeof(low));
    memcpy(&high, content + sizeof(low), sizeof(high));
    sum[0] += low;
    sum[1] += high + (sum[0] < low);
}

/* The sum of the parts' digests, each of which is of its name, too. */
void site_digest(const struct site *site, char text[CONTENT_TEXT])
{
    uint64_t sum[2] = {0};

    for (unsigned i = 0; i < ROOT_FIELDS; i++) {
        const struct site_node *field = site->root->child[i];
        bool named = schema_root.fields[i].type == SCHEMA_NAMED;

        if (field && !named)
            sum_add(sum, field->content);
        for (uint32_t j = 0; field && named && j < field->count; j++)
            sum_add(sum, field->child[j]->content);
        sum[0] += field ? 1u << i : 0; /* a section may be there and empty */
    }
    snprintf(text, CONTENT_TEXT, "%016" PRIx64 "%016" PRIx64, sum[1], sum[0]);
}
