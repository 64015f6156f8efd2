/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/site/edit_tree.h"

#include <string.h>

#include "controlplane/base/error.h"

struct site_node *edit_node(struct site_node *root, const struct site_path *path, size_t count)
{
    struct site_node *node = root;

    for (size_t i = 0; node && i < count; i++)
        node = node->kind == NODE_MAP ? node_find(node, path->word[i]) : NULL;
    return node;
}

bool edit_is_empty(const struct site_node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted && !*node->text;
}

static int read_yaml(struct arena *arena, const char *value, struct site_node **node,
                     struct buffer *problem)
{
    struct site_errors errors = {0};
    int error = node_read(arena, NULL, value, strlen(value), node, &errors);
    bool scalar = *value == '"' || *value == '\'';

    if (!error && scalar != ((*node)->kind == NODE_SCALAR)) /* [a]: b */
        error = CULVERT_EREJECTED;
    if (error == CULVERT_EREJECTED)
        buffer_format(problem, "%s is no value: %s", value,
                      errors.count ? errors.list[0].message : "quote it as a whole");
    site_errors_free(&errors);
    return error;
}

int edit_value(struct arena *arena, const char *value, struct site_node **node,
               struct buffer *problem)
{
    size_t length;

    value += strspn(value, " ");
    length = strlen(value);
    while (length && value[length - 1] == ' ')
        length--;
    if (!length || strpbrk(value, "\r\n")) {
        buffer_text(problem, length ? "a value is one line" : "the value is missing");
        return CULVERT_EREJECTED;
    }
    if (strchr("[{\"'", *value))
        return read_yaml(arena, value, node, problem);
    *node = node_new(arena, NULL, NODE_SCALAR);
    if (*node)
        (*node)->text = arena_copy(arena, value, length);
    return *node && (*node)->text ? 0 : CULVERT_ENOMEM;
}

static int add_child(struct arena *arena, struct site_node *map, const char *key,
                     struct site_node *child)
{
    struct site_node **list = arena_alloc(arena, (map->count + 1) * sizeof(struct site_node *));

    if (!list)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; i < map->count; i++)
        list[i] = map->child[i];
    list[map->count++] = child;
    map->child = list;
    child->key = key;
    child->parent = map;
    return 0;
}

/* Puts `child` in the place of the map's child of that key, or behind all. */
static int put_child(struct arena *arena, struct site_node *map, const char *key,
                     struct site_node *child)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->child[i]->key, key) != 0)
            continue;
        map->child[i] = child;
        child->key = key;
        child->parent = map;
        return 0;
    }
    return add_child(arena, map, key, child);
}

int edit_put(struct arena *arena, struct site_node *root, const struct site_path *path,
             struct site_node *value)
{
    struct site_node *map = root;
    int error = root->kind == NODE_MAP ? 0 : CULVERT_EREJECTED;

    for (size_t i = 0; i + 1 < path->count && !error; i++) {
        struct site_node *below = node_find(map, path->word[i]);

        if (below && below->kind != NODE_MAP && !edit_is_empty(below))
            return CULVERT_EREJECTED;
        if (!below || below->kind != NODE_MAP) {
            below = node_new(arena, map, NODE_MAP);
            error = below ? put_child(arena, map, path->word[i], below) : CULVERT_ENOMEM;
        }
        map = below;
    }
    return error ? error : put_child(arena, map, path->word[path->count - 1], value);
}

void edit_drop(struct site_node *map, const struct site_node *child)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < map->count; i++)
        if (map->child[i] != child)
            map->child[kept++] = map->child[i];
    map->count = kept;
}

bool edit_same(const struct site_node *x, const struct site_node *y)
{
    if (x->kind != y->kind || x->count != y->count || strcmp(x->text, y->text) != 0 ||
        x->quoted != y->quoted)
        return false;
    for (uint32_t i = 0; i < x->count; i++)
        if ((x->kind == NODE_MAP && strcmp(x->child[i]->key, y->child[i]->key) != 0) ||
            !edit_same(x->child[i], y->child[i]))
            return false;
    return true;
}

/* ---- as text ---- */

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether a text may stand without quotes in flow and in block style: letters and digits, with
 * marks between them that mean nothing to YAML there. */
static bool is_plain(const char *text)
{
    size_t length = strlen(text);

    if (!length || !is_alphanumeric(text[0]) ||
        (!is_alphanumeric(text[length - 1]) && text[length - 1] != '.'))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_alphanumeric(text[i]) && !strchr("._-/: ", text[i]))
            return false;
        if (strchr(": ", text[i]) && text[i + 1] == ' ')
            return false;
    }
    return true;
}

void edit_write_key(const char *key, struct buffer *out)
{
    if (is_plain(key) && !strpbrk(key, ": "))
        buffer_text(out, key);
    else
        buffer_json_text(out, key);
}

static void write_scalar(struct site_node *node, struct buffer *out)
{
    bool none = !node->quoted && (!*node->text || !strcmp(node->text, "~"));

    node->quoted |= !none && !is_plain(node->text);
    if (node->quoted)
        buffer_json_text(out, node->text);
    else
        buffer_text(out, node->text);
}

void edit_write(struct site_node *node, struct buffer *out)
{
    bool map = node->kind == NODE_MAP;

    if (node->kind == NODE_SCALAR) {
        write_scalar(node, out);
        return;
    }
    buffer_text(out, map ? "{" : "[");
    for (uint32_t i = 0; i < node->count; i++) {
        buffer_text(out, i ? ", " : map ? " " : "");
        if (map) {
            edit_write_key(node->child[i]->key, out);
            buffer_text(out, ": ");
        }
        edit_write(node->child[i], out);
    }
    buffer_text(out, map && node->count ? " }" : map ? "}" : "]");
}
