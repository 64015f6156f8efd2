/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sorted map of byte strings that is never changed: a change makes a new root that shares all
 * but the path with the old one. Any root kept is a snapshot. A treap (Seidel and Aragon, 1996)
 * whose priorities are hashes of the keys, so that the same content has the same shape.
 */
#ifndef CULVERT_CORE_KV_TREE_H
#define CULVERT_CORE_KV_TREE_H

#include "controlplane/core/kv/codec.h"

struct kv_tree_entry {
    unsigned references;
    uint32_t priority;
    size_t key_length, value_length;
    uint8_t bytes[]; /* the key, then the value */
};

/* NULL is the empty map. */
struct kv_tree_node {
    unsigned references;
    struct kv_tree_node *left, *right;
    struct kv_tree_entry *entry;
};

static inline struct kv_slice kv_tree_key(const struct kv_tree_entry *entry)
{
    return (struct kv_slice){entry->bytes, entry->key_length};
}

static inline struct kv_slice kv_tree_value(const struct kv_tree_entry *entry)
{
    return (struct kv_slice){entry->bytes + entry->key_length, entry->value_length};
}

/* Roots are counted: hold gives the caller one more to release. */
struct kv_tree_node *kv_tree_hold(struct kv_tree_node *root);
void kv_tree_release(struct kv_tree_node *root);

/* Change the map at *root: the reference there is exchanged for one to the new map.
 * CULVERT_ENOMEM: *root is as it was. Removing what is not there does nothing. */
int kv_tree_set(struct kv_tree_node **root, struct kv_slice key, struct kv_slice value);
int kv_tree_remove(struct kv_tree_node **root, struct kv_slice key);

/* The entry of a key; the first one at or behind it, the last one at or before it (`beyond`: not
 * at it). NULL: none.
 * Valid as long as the root is held. */
const struct kv_tree_entry *kv_tree_find(const struct kv_tree_node *root, struct kv_slice key);
const struct kv_tree_entry *kv_tree_ceiling(const struct kv_tree_node *root, struct kv_slice key,
                                            bool beyond);
const struct kv_tree_entry *kv_tree_floor(const struct kv_tree_node *root, struct kv_slice key,
                                          bool beyond);

#endif
