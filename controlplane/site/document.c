/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/errors.h"
#include "controlplane/site/parts.h"

/* Access rules have no order of meaning, nor have ports: the canonical one is by value. */
static int access_compare(const void *x, const void *y)
{
    const struct site_node *a = access_prefix(*(struct site_node *const *)x);
    const struct site_node *b = access_prefix(*(struct site_node *const *)y);
    int order = memcmp(&a->address, &b->address, sizeof(a->address));

    return order ? order : (int)a->length - (int)b->length;
}

static int number_compare(const void *x, const void *y)
{
    const struct site_node *a = *(struct site_node *const *)x, *b = *(struct site_node *const *)y;

    return a->number < b->number ? -1 : a->number > b->number;
}

static void list_sort(struct site_node *list, int (*compare)(const void *x, const void *y))
{
    if (list && list->kind == NODE_LIST && list->count > 1)
        qsort(list->child, list->count, sizeof(*list->child), compare);
}

const struct site_node *access_prefix(const struct site_node *rule)
{
    return rule->child[ACCESS_ALLOW] ? rule->child[ACCESS_ALLOW] : rule->child[ACCESS_DENY];
}

const struct site_node *access_find(const struct site_node *access, const struct site_node *rule)
{
    struct site_node **found = NULL;

    if (access && access->count)
        found =
            bsearch(&rule, access->child, access->count, sizeof(*access->child), access_compare);
    return found ? *found : NULL;
}

int part_settle(struct site_node *part, struct buffer *json)
{
    const struct schema *section = schema_section(part->schema);
    const struct site_node *file =
        section == &schema_root.fields[ROOT_ZONES] ? node_field(part, ZONE_FILE) : NULL;
    uint8_t digest[DIGEST_BYTES];
    int error;

    buffer_clear(json);
    buffer_format(json, "%s.%s ", section ? section->key : "", part->key);
    node_print(part, json);
    if (file)
        buffer_text(json, file->digest);
    if (json->error)
        return json->error;
    error = digest_sha256(json->data, json->length, digest);
    memcpy(part->content, digest, sizeof(part->content));
    part->settled = !error;
    return error;
}

/* What a good document lacks to be the canonical one. */
static int site_settle(struct site *site)
{
    struct site_node *vips = site->root->child[ROOT_VIPS];
    struct site_node *dpdk = site->root->child[ROOT_DPDK];
    struct buffer json = {0};
    int error = 0;

    list_sort(site->root->child[ROOT_ACCESS], access_compare);
    for (uint32_t i = 0; vips && i < vips->count; i++)
        list_sort(vips->child[i]->child[VIP_PORTS], number_compare);
    if (dpdk)
        list_sort(dpdk->child[DPDK_CORES], number_compare);
    for (unsigned i = 0; i < ROOT_FIELDS; i++) {
        struct site_node *field = site->root->child[i];
        bool named = field && field->schema->type == SCHEMA_NAMED;

        if (field && !named && !error)
            error = part_settle(field, &json);
        for (uint32_t j = 0; named && j < field->count && !error; j++)
            error = part_settle(field->child[j], &json);
    }
    buffer_free(&json);
    return error;
}

static int site_read(struct site *site, const struct site_source *source,
                     struct site_errors *errors)
{
    int error, rules;

    site->file = source->name ? arena_copy(&site->arena, source->name, strlen(source->name)) : NULL;
    if (source->name && !site->file)
        return CULVERT_ENOMEM;
    error = source->canonical
                ? node_read_json(&site->arena, source->text, source->length, &site->root)
                : node_read(&site->arena, site->file, source->text, source->length, &site->root,
                            errors);
    if (error)
        return error;
    error = schema_check(site, source, errors);
    if (error == CULVERT_ENOMEM)
        return error;
    rules = rules_check(site, errors);
    if (!error && !rules)
        return site_settle(site);
    return rules ? rules : error;
}

int document_read(struct site **out, const struct site_source *source, struct site_errors *errors)
{
    struct site *site = calloc(1, sizeof(*site));
    int error = CULVERT_ENOMEM;

    if (site) {
        site->refs = 1;
        error = site_read(site, source, errors);
    }
    if (error && (error != CULVERT_EREJECTED || !site->root)) {
        site_free(site);
        site = NULL;
    }
    *out = site;
    return error;
}

int site_parse(struct site **out, const struct site_source *source, struct site_errors *errors)
{
    int error = document_read(out, source, errors);

    errors_sort(errors);
    if (error) {
        site_free(*out);
        *out = NULL;
    }
    return error;
}

/* What it has of parts in blocks of their own: only one that isn't whole has any. */
static void parts_release(struct site *site)
{
    for (uint32_t i = 0; site->root && i < site->root->count; i++) {
        struct site_node *field = site->root->child[i];
        bool named = schema_root.fields[i].type == SCHEMA_NAMED;

        for (uint32_t j = 0; field && named && j < field->count; j++)
            part_release(field->child[j]);
        if (!named)
            part_release(field);
    }
}

void site_free(struct site *site)
{
    if (!site || --site->refs)
        return;
    if (site->base) {
        parts_release(site);
        site_free(site->base);
    }
    arena_free(&site->arena);
    free(site);
}

const char *site_name(const struct site *site)
{
    return site->root->child[ROOT_SITE]->text;
}

static int names_collect(const struct site_node *zones, char ***names, size_t *count)
{
    char **list = calloc((zones ? zones->count : 0) + 1u, sizeof(*list));
    size_t found = 0;

    if (!list)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; zones && i < zones->count; i++) {
        const struct site_node *file = node_find(zones->child[i], "file");
        bool known = !file || file->kind != NODE_SCALAR || !*file->text;

        for (size_t j = 0; !known && j < found; j++)
            known = !strcmp(list[j], file->text);
        if (known)
            continue;
        list[found] = strdup(file->text);
        if (!list[found++]) {
            while (found--)
                free(list[found]);
            free(list);
            return CULVERT_ENOMEM;
        }
    }
    *names = list;
    *count = found;
    return 0;
}

int site_files(const char *text, size_t length, char ***names, size_t *count)
{
    struct site_errors errors = {0};
    struct arena arena = {0};
    struct site_node *root, *zones = NULL;
    int error = node_read(&arena, NULL, text, length, &root, &errors);

    site_errors_free(&errors);
    if (!error) {
        if (root->kind == NODE_MAP)
            zones = node_find(root, "zones");
        error = names_collect(zones, names, count);
    }
    arena_free(&arena);
    return error;
}
