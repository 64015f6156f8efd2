/* SPDX-License-Identifier: Apache-2.0 */
/* Patches: written by who makes a revision, and put together with the revision before as texts. */
#include "controlplane/site/patch.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/site/parts.h"

/* ---- writing ---- */

/* A member's key, with what separates it from the one before. */
static void member(struct buffer *json, const char *key)
{
    if (json->length && json->data[json->length - 1] != '{')
        buffer_char(json, ',');
    buffer_json_text(json, key);
    buffer_char(json, ':');
}

/* Walks two sorted sections; `what` is called for each name of either, with its place or -1. */
struct walk {
    const struct compile *compile;
    struct buffer *json;
    enum space space;
};
typedef void (*walk_fn)(struct walk *walk, const char *name, int64_t old, int64_t new);

static void walk_section(struct walk *walk, unsigned field, walk_fn each)
{
    const struct site_node *old = state_section(walk->compile->old, field);
    const struct site_node *new = state_section(walk->compile->new, field);
    uint32_t i = 0, j = 0;

    while ((old && i < old->count) || (new && j < new->count)) {
        int order = !old || i == old->count   ? 1
                    : !new || j == new->count ? -1
                                              : strcmp(old->child[i]->key, new->child[j]->key);

        each(walk, order <= 0 ? old->child[i]->key : new->child[j]->key,
             order <= 0 ? (int64_t)i : -1, order >= 0 ? (int64_t)j : -1);
        i += order <= 0;
        j += order >= 0;
    }
}

static void write_resource(struct walk *walk, const char *name, int64_t old, int64_t new)
{
    unsigned field = space_info[walk->space].section;
    const struct site_node *now = NULL;

    if (new >= 0)
        now = state_section(walk->compile->new, field)->child[new];
    if (now && old >= 0 && node_equal(state_section(walk->compile->old, field)->child[old], now))
        return;
    member(walk->json, name);
    if (now)
        node_print(now, walk->json);
    else
        buffer_text(walk->json, "null");
}

static void write_site(const struct compile *compile, struct buffer *json)
{
    struct walk walk = {.compile = compile, .json = json};

    for (unsigned i = 0; i < ROOT_FIELDS; i++) {
        const struct site_node *old = state_section(compile->old, i);
        const struct site_node *new = state_section(compile->new, i);

        if (!old && !new)
            continue;
        if (new && schema_root.fields[i].type == SCHEMA_NAMED) {
            while (space_info[walk.space].section != i)
                walk.space++;
            member(json, schema_root.fields[i].key);
            buffer_char(json, '{');
            walk_section(&walk, i, write_resource);
            buffer_char(json, '}');
        } else if (!new || !node_equal(old, new)) {
            member(json, schema_root.fields[i].key);
            if (new)
                node_print(new, json);
            else
                buffer_text(json, "null");
        }
    }
}

static void write_number(struct walk *walk, const char *name, int64_t old, int64_t new)
{
    const uint32_t *before = walk->compile->old->number[walk->space];
    const uint32_t *now = walk->compile->new->number[walk->space];

    if (old >= 0 && new >= 0 && before[old] == now[new])
        return;
    member(walk->json, name);
    if (new >= 0)
        buffer_format(walk->json, "%u", now[new]);
    else
        buffer_text(walk->json, "null");
}

/* Shared tables are the same: the others are told, though they may be. */
static void write_table(struct walk *walk, const char *name, int64_t old, int64_t new)
{
    const struct compile *compile = walk->compile;

    if (old >= 0 && new >= 0 && compile->old->pool[old] == compile->new->pool[new])
        return;
    member(walk->json, name);
    if (new >= 0)
        state_write_pool(compile->new, (uint32_t)new, walk->json);
    else
        buffer_text(walk->json, "null");
}

static void write_state(const struct compile *compile, struct buffer *json)
{
    struct walk walk = {.compile = compile, .json = json};

    for (walk.space = 0; walk.space < SPACE_SECTIONS; walk.space++) {
        member(json, space_info[walk.space].name);
        buffer_char(json, '{');
        walk_section(&walk, space_info[walk.space].section, write_number);
        buffer_char(json, '}');
    }
    member(json, "tables");
    buffer_char(json, '{');
    walk_section(&walk, ROOT_POOLS, write_table);
    buffer_char(json, '}');
    state_write_freed(compile->new, json);
}

/* Whether a zone's file is another one than before, or its name is. */
static bool files_changed(const struct compile *compile)
{
    const struct site_node *old = state_section(compile->old, ROOT_ZONES);
    const struct site_node *new = state_section(compile->new, ROOT_ZONES);

    if ((old ? old->count : 0) != (new ? new->count : 0))
        return true;
    for (uint32_t i = 0; new && i < new->count; i++)
        if (!node_equal(old->child[i], new->child[i]))
            return true;
    return false;
}

/* Of pools and zones that changed: others can't have new ones. */
static void write_blobs(const struct compile *compile, struct buffer *json)
{
    const struct site_node *zones = state_section(compile->new, ROOT_ZONES);
    const char *before = "";

    for (size_t i = 0; i < compile->blob_count; i++, before = ",") {
        buffer_text(json, before);
        buffer_json_text(json, compile->blobs[i].digest);
    }
    NODE_EACH(zone, zones)
    {
        const struct site_node *file = node_field(zone, ZONE_FILE);
        uint32_t place;
        const struct site_node *old = old_named(compile, ROOT_ZONES, zone, &place);

        if (!file || node_equal(old, zone))
            continue;
        buffer_text(json, before);
        buffer_json_text(json, file->digest);
        before = ",";
    }
}

int patch_write(const struct compile *compile, struct buffer *json)
{
    char document[CONTENT_TEXT], decided[DIGEST_TEXT];
    int error = state_digest(compile->new, decided);

    if (error)
        return error;
    site_digest(compile->new->site, document);
    buffer_format(json, "{\"document\":\"%s\",\"decided\":\"%s\",\"blobs\":[", document, decided);
    write_blobs(compile, json);
    buffer_text(json, "],\n\"site\":{");
    write_site(compile, json);
    buffer_text(json, "},\n\"state\":{");
    write_state(compile, json);
    if (files_changed(compile))
        state_write_files(compile->new, json);
    buffer_text(json, "}}");
    return json->error;
}
