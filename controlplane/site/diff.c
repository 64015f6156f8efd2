/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two documents: the smallest parts that have a path. */
#include <stdio.h>
#include <string.h>

#include "controlplane/site/schema.h"

struct diff {
    struct buffer *json;
    struct buffer path;
    int count;
};

static void diff_value(struct diff *diff, const struct site_node *node, bool digest)
{
    char text[16];

    if (!node) {
        buffer_text(diff->json, "null");
    } else if (digest) {
        struct buffer both = {0};

        snprintf(text, sizeof(text), "@%.12s", node->digest);
        buffer_text(&both, node->text);
        buffer_text(&both, text);
        buffer_json_text(diff->json, both.data);
        buffer_free(&both);
    } else {
        node_print(node, diff->json);
    }
}

static void diff_add(struct diff *diff, const struct site_node *old, const struct site_node *new)
{
    bool digest = old && new && old->schema->type == SCHEMA_FILE && !strcmp(old->text, new->text);

    buffer_text(diff->json, diff->count++ ? ",{\"path\":" : "{\"path\":");
    buffer_json(diff->json, diff->path.data ? diff->path.data : "", diff->path.length);
    buffer_text(diff->json, ",\"old\":");
    diff_value(diff, old, digest);
    buffer_text(diff->json, ",\"new\":");
    diff_value(diff, new, digest);
    buffer_char(diff->json, '}');
}

static void diff_node(struct diff *diff, const struct site_node *old, const struct site_node *new);

static void diff_step(struct diff *diff, const char *key, const struct site_node *old,
                      const struct site_node *new)
{
    size_t length = diff->path.length;

    buffer_format(&diff->path, "%s%s", length ? "." : "", key);
    if (!diff->path.error)
        diff_node(diff, old, new);
    else if (!diff->json->error)
        diff->json->error = diff->path.error;
    if (diff->path.data && diff->path.length > length) {
        diff->path.length = length;
        diff->path.data[length] = 0;
    }
}

static const struct site_node *child_at(const struct site_node *map, uint32_t at)
{
    return map && at < map->count ? map->child[at] : NULL;
}

/* Two maps of names, sorted; either may be NULL. */
static void diff_named(struct diff *diff, const struct site_node *old, const struct site_node *new)
{
    uint32_t i = 0, j = 0;

    for (;;) {
        const struct site_node *a = child_at(old, i), *b = child_at(new, j);
        int order = a && b ? strcmp(a->key, b->key) : a ? -1 : 1;

        if (!a && !b)
            return;
        diff_step(diff, order <= 0 ? a->key : b->key, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

/* A list of rules is compared as the set that it is: each by its prefix. */
static void diff_access(struct diff *diff, const struct site_node *old, const struct site_node *new)
{
    struct diff *d = diff;

    NODE_EACH(rule, old)
    if (!access_find(new, rule))
        diff_step(d, access_prefix(rule)->text, rule, NULL);
    NODE_EACH(rule, new)
    {
        const struct site_node *before = access_find(old, rule);

        if (!before || !node_equal(before, rule))
            diff_step(d, access_prefix(rule)->text, before, rule);
    }
}

static void diff_node(struct diff *diff, const struct site_node *old, const struct site_node *new)
{
    const struct site_node *any = old ? old : new;

    if (!any || node_equal(old, new))
        return;
    if (any->schema->type == SCHEMA_NAMED) {
        diff_named(diff, old, new);
        return;
    }
    if (any->schema == schema_root.fields + ROOT_ACCESS) {
        diff_access(diff, old, new);
        return;
    }
    if (!old || !new || any->kind != NODE_MAP || any->schema->type == SCHEMA_RECORDS ||
        any->schema == schema_root.fields[ROOT_ACCESS].element) {
        diff_add(diff, old, new);
        return;
    }
    for (uint32_t i = 0; i < old->count; i++)
        if (old->child[i] || new->child[i])
            diff_step(diff, (old->child[i] ? old->child[i] : new->child[i])->key, old->child[i],
                      new->child[i]);
}

int site_diff(const struct site *old, const struct site *new, struct buffer *json)
{
    struct diff diff = {.json = json};

    buffer_char(json, '[');
    if (old) {
        diff_node(&diff, old->root, new->root);
    } else {
        for (uint32_t i = 0; i < new->root->count; i++)
            if (new->root->child[i])
                diff_step(&diff, new->root->child[i]->key, NULL, new->root->child[i]);
    }
    buffer_char(json, ']');
    buffer_free(&diff.path);
    return json->error ? json->error : diff.count;
}
