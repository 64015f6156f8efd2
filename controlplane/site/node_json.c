/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical JSON of a document to an untyped tree: what node_read() makes of it, but faster. */
#include "controlplane/site/node.h"

static int make_node(struct arena *arena, struct site_node *parent, yyjson_val *value,
                     unsigned depth, struct site_node **out);

static int make_children(struct arena *arena, struct site_node *node, yyjson_val *value,
                         unsigned depth)
{
    yyjson_val *key, *child;
    size_t at, count = yyjson_get_len(value);
    int error = 0;

    node->child = arena_alloc(arena, count * sizeof(*node->child));
    if (!node->child)
        return CULVERT_ENOMEM;
    node->count = (uint32_t)count;
    if (node->kind == NODE_LIST) {
        yyjson_arr_foreach (value, at, count, child)
            if (!error)
                error = make_node(arena, node, child, depth, &node->child[at]);
        return error;
    }
    yyjson_obj_foreach (value, at, count, key, child) {
        if (!error)
            error = make_node(arena, node, child, depth, &node->child[at]);
        if (error)
            return error;
        node->child[at]->key = arena_copy(arena, yyjson_get_str(key), yyjson_get_len(key));
        if (!node->child[at]->key)
            return CULVERT_ENOMEM;
    }
    return 0;
}

static int set_text(struct arena *arena, struct site_node *node, yyjson_val *value)
{
    if (yyjson_is_bool(value)) {
        node->text = yyjson_get_bool(value) ? "true" : "false";
        return 0;
    }
    if (!yyjson_is_raw(value) && !yyjson_is_str(value))
        return CULVERT_ECORRUPT;
    node->quoted = yyjson_is_str(value);
    node->text = arena_copy(arena, node->quoted ? yyjson_get_str(value) : yyjson_get_raw(value),
                            yyjson_get_len(value));
    return node->text ? 0 : CULVERT_ENOMEM;
}

static int make_node(struct arena *arena, struct site_node *parent, yyjson_val *value,
                     unsigned depth, struct site_node **out)
{
    enum node_kind kind = yyjson_is_obj(value)   ? NODE_MAP
                          : yyjson_is_arr(value) ? NODE_LIST
                                                 : NODE_SCALAR;
    struct site_node *node;

    if (depth > NODE_DEPTH_MAX)
        return CULVERT_ECORRUPT;
    node = node_new(arena, parent, kind);
    if (!node)
        return CULVERT_ENOMEM;
    *out = node;
    if (kind == NODE_SCALAR)
        return set_text(arena, node, value);
    return yyjson_get_len(value) ? make_children(arena, node, value, depth + 1) : 0;
}

int node_from_json(struct arena *arena, yyjson_val *value, struct site_node **node)
{
    return make_node(arena, NULL, value, 1, node);
}

int node_read_json(struct arena *arena, const char *text, size_t length, struct site_node **root)
{
    yyjson_read_err problem;
    yyjson_doc *doc =
        yyjson_read_opts((char *)text, length, YYJSON_READ_NUMBER_AS_RAW, NULL, &problem);
    int error;

    *root = NULL;
    if (!doc)
        return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? CULVERT_ENOMEM
                                                                   : CULVERT_ECORRUPT;
    error = make_node(arena, NULL, yyjson_doc_get_root(doc), 1, root);
    yyjson_doc_free(doc);
    if (error)
        *root = NULL;
    return error;
}
