/* SPDX-License-Identifier: Apache-2.0 */
/* A stored document and the patches behind it, put together as texts. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "controlplane/site/engine.h"

struct texts {
    yyjson_mut_doc *site, *state;
};

/* A map of names: the patch's go in among the others, in their order. */
static bool merge_names(yyjson_mut_doc *doc, yyjson_mut_val *map, yyjson_val *patch)
{
    size_t count = yyjson_mut_obj_size(map), at = 0;
    yyjson_mut_val **keys = calloc(count + 1, sizeof(*keys)), **values = NULL;
    yyjson_mut_obj_iter old = yyjson_mut_obj_iter_with(map);
    yyjson_obj_iter new = yyjson_obj_iter_with(patch);
    yyjson_val *key = yyjson_obj_iter_next(&new);
    bool done = keys;

    if (keys)
        values = calloc(count + 1, sizeof(*values));
    done = values;
    for (size_t i = 0; i < count && done; i++) {
        keys[i] = yyjson_mut_obj_iter_next(&old);
        values[i] = yyjson_mut_obj_iter_get_val(keys[i]);
    }
    if (done)
        yyjson_mut_obj_clear(map);
    while ((at < count || key) && done) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        int order = !key          ? -1
                    : at == count ? 1
                                  : strcmp(yyjson_mut_get_str(keys[at]), yyjson_get_str(key));

        if (order < 0)
            done = yyjson_mut_obj_add(map, keys[at], values[at]);
        else if (!yyjson_is_null(value))
            done = yyjson_mut_obj_add(map, yyjson_val_mut_copy(doc, key),
                                      yyjson_val_mut_copy(doc, value));
        at += order <= 0;
        if (order >= 0)
            key = yyjson_obj_iter_next(&new);
    }
    free(keys);
    free(values);
    return done;
}

static bool merge_field(yyjson_mut_doc *doc, yyjson_val *key, yyjson_val *value, bool names)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *copy;
    yyjson_mut_val *old = yyjson_mut_obj_get(root, yyjson_get_str(key));

    if (yyjson_is_null(value)) {
        yyjson_mut_obj_remove_str(root, yyjson_get_str(key));
        return true;
    }
    if (names && old)
        return merge_names(doc, old, value);
    copy = yyjson_val_mut_copy(doc, value);
    if (old)
        return copy && yyjson_mut_obj_replace(root, yyjson_mut_str(doc, yyjson_get_str(key)), copy);
    return yyjson_mut_obj_add(root, yyjson_val_mut_copy(doc, key), copy);
}

static bool is_section(const char *key)
{
    for (unsigned i = 0; i < ROOT_FIELDS; i++)
        if (!strcmp(schema_root.fields[i].key, key))
            return schema_root.fields[i].type == SCHEMA_NAMED;
    return false;
}

static bool is_map(const char *key)
{
    for (unsigned i = 0; i < SPACE_SECTIONS; i++)
        if (!strcmp(space_info[i].name, key))
            return true;
    return !strcmp(key, "tables");
}

static int merge_part(yyjson_mut_doc *doc, yyjson_val *patch, bool (*names)(const char *key))
{
    yyjson_val *key, *value;
    size_t at, count;

    if (!yyjson_is_obj(patch))
        return CULVERT_ECORRUPT;
    yyjson_obj_foreach (patch, at, count, key, value)
        if (!merge_field(doc, key, value, names(yyjson_get_str(key))))
            return CULVERT_ENOMEM;
    return 0;
}

static yyjson_doc *read_raw(const char *text)
{
    /* Without YYJSON_READ_INSITU the text is not written to. */
    return yyjson_read_opts((char *)(uintptr_t)text, strlen(text), YYJSON_READ_NUMBER_AS_RAW, NULL,
                            NULL);
}

static int texts_open(struct texts *texts, const char *site, const char *state)
{
    yyjson_doc *site_doc = read_raw(site), *state_doc = read_raw(state);

    *texts = (struct texts){0};
    if (site_doc && state_doc) {
        texts->site = yyjson_doc_mut_copy(site_doc, NULL);
        texts->state = yyjson_doc_mut_copy(state_doc, NULL);
    }
    yyjson_doc_free(site_doc);
    yyjson_doc_free(state_doc);
    return !site_doc || !state_doc       ? CULVERT_ECORRUPT
           : texts->site && texts->state ? 0
                                         : CULVERT_ENOMEM;
}

/* The fields of the root in the schema's order, whichever came last. */
static void site_order(yyjson_mut_val *root)
{
    for (unsigned i = 0; i < ROOT_FIELDS; i++) {
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(root);

        if (!yyjson_mut_obj_get(root, schema_root.fields[i].key))
            continue;
        while ((key = yyjson_mut_obj_iter_next(&iter)))
            if (yyjson_mut_equals_str(key, schema_root.fields[i].key))
                break;
        value = yyjson_mut_obj_iter_remove(&iter);
        yyjson_mut_obj_add(root, key, value);
    }
}

int site_patch_texts(char **site, char **state, const char *const *patches, size_t count)
{
    struct texts texts;
    char *new_site = NULL, *new_state = NULL;
    int error = texts_open(&texts, *site, *state);

    for (size_t i = 0; i < count && !error; i++) {
        yyjson_doc *doc = read_raw(patches[i]);
        yyjson_val *root = yyjson_doc_get_root(doc);

        error = merge_part(texts.site, yyjson_obj_get(root, "site"), is_section);
        if (!error)
            error = merge_part(texts.state, yyjson_obj_get(root, "state"), is_map);
        yyjson_doc_free(doc);
    }
    if (!error) {
        site_order(yyjson_mut_doc_get_root(texts.site));
        new_site = yyjson_mut_write(texts.site, 0, NULL);
        new_state = yyjson_mut_write(texts.state, 0, NULL);
        error = new_site && new_state ? 0 : CULVERT_ENOMEM;
    }
    yyjson_mut_doc_free(texts.site);
    yyjson_mut_doc_free(texts.state);
    if (error) {
        free(new_site);
        free(new_state);
        return error;
    }
    free(*site);
    free(*state);
    *site = new_site;
    *state = new_state;
    return 0;
}
