/* SPDX-License-Identifier: Apache-2.0 */
/* The change of a document that a change of its text is to be, and values as text. For edit.c. */
#ifndef CULVERT_SITE_EDIT_TREE_H
#define CULVERT_SITE_EDIT_TREE_H

#include "controlplane/site/edit.h"
#include "controlplane/site/node.h"

/* The node at the first `count` words; NULL: there is none. */
struct site_node *edit_node(struct site_node *root, const struct site_path *path, size_t count);

/* Reads a value as it is typed: in quotes, [ ] or { } as YAML, else as it stands. CULVERT_EREJECTED
 * and one line of why, CULVERT_ENOMEM. */
int edit_value(struct arena *arena, const char *value, struct site_node **node,
               struct buffer *problem);

/* Puts a value at the path, maps above it made. CULVERT_EREJECTED: something on the way is no map
 * (nor empty); CULVERT_ENOMEM. The path's words are kept. */
int edit_put(struct arena *arena, struct site_node *root, const struct site_path *path,
             struct site_node *value);

/* Takes a map's child out. */
void edit_drop(struct site_node *map, const struct site_node *child);

/* Whether two untyped trees are the same document, quotes included. */
bool edit_same(const struct site_node *x, const struct site_node *y);

/* "key:", or nothing at all behind it. */
bool edit_is_empty(const struct site_node *node);

/* Appends a key, or a value as flow style in one line, quoted where that is needed; then
 * `node->quoted` says so. */
void edit_write_key(const char *key, struct buffer *out);
void edit_write(struct site_node *node, struct buffer *out);

#endif
