/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/tree.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/hash.h"

struct kv_tree_node *kv_tree_hold(struct kv_tree_node *root)
{
    if (root)
        root->references++;
    return root;
}

static void entry_release(struct kv_tree_entry *entry)
{
    if (entry && !--entry->references)
        free(entry);
}

static struct kv_tree_entry *entry_hold(struct kv_tree_entry *entry)
{
    entry->references++;
    return entry;
}

void kv_tree_release(struct kv_tree_node *root)
{
    if (!root || --root->references)
        return;
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it doesn't count references */
    kv_tree_release(root->left);
    kv_tree_release(root->right);
    entry_release(root->entry);
    free(root);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

static struct kv_tree_entry *entry_new(struct kv_slice key, struct kv_slice value)
{
    struct kv_tree_entry *entry = malloc(sizeof(*entry) + key.length + value.length);

    if (!entry)
        return NULL;
    *entry = (struct kv_tree_entry){
        .references = 1, .key_length = key.length, .value_length = value.length};
    entry->priority = (uint32_t)(kv_hash(KV_HASH_START, key) >> 32);
    if (key.length)
        memcpy(entry->bytes, key.data, key.length);
    if (value.length)
        memcpy(entry->bytes + key.length, value.data, value.length);
    return entry;
}

/* Takes the references to all three, also when it fails (NULL). */
static struct kv_tree_node *node_new(struct kv_tree_entry *entry, struct kv_tree_node *left,
                                     struct kv_tree_node *right)
{
    struct kv_tree_node *node = malloc(sizeof(*node));

    if (!node) {
        entry_release(entry);
        kv_tree_release(left);
        kv_tree_release(right);
        return NULL;
    }
    *node = (struct kv_tree_node){1, left, right, entry};
    return node;
}

/* `child`, a new node on the left of `parent`'s copy; taken. Rotates where the heap asks for it. */
static struct kv_tree_node *join_left(const struct kv_tree_node *parent, struct kv_tree_node *child)
{
    struct kv_tree_node *node, *top;

    if (child->entry->priority <= parent->entry->priority)
        return node_new(entry_hold(parent->entry), child, kv_tree_hold(parent->right));
    node = node_new(entry_hold(parent->entry), kv_tree_hold(child->right),
                    kv_tree_hold(parent->right));
    top = node ? node_new(entry_hold(child->entry), kv_tree_hold(child->left), node) : NULL;
    kv_tree_release(child);
    return top;
}

static struct kv_tree_node *join_right(const struct kv_tree_node *parent,
                                       struct kv_tree_node *child)
{
    struct kv_tree_node *node, *top;

    if (child->entry->priority <= parent->entry->priority)
        return node_new(entry_hold(parent->entry), kv_tree_hold(parent->left), child);
    node =
        node_new(entry_hold(parent->entry), kv_tree_hold(parent->left), kv_tree_hold(child->left));
    top = node ? node_new(entry_hold(child->entry), node, kv_tree_hold(child->right)) : NULL;
    kv_tree_release(child);
    return top;
}

/* A map with the entry (whose reference the caller keeps) in it. NULL: out of memory. */
static struct kv_tree_node *insert(struct kv_tree_node *node, struct kv_tree_entry *entry)
{
    struct kv_tree_node *child;
    int order;

    if (!node)
        return node_new(entry_hold(entry), NULL, NULL);
    order = kv_compare_bytes(kv_tree_key(entry), kv_tree_key(node->entry));
    if (!order)
        return node_new(entry_hold(entry), kv_tree_hold(node->left), kv_tree_hold(node->right));
    child = insert(order < 0 ? node->left : node->right, entry);
    if (!child)
        return NULL;
    return order < 0 ? join_left(node, child) : join_right(node, child);
}

int kv_tree_set(struct kv_tree_node **root, struct kv_slice key, struct kv_slice value)
{
    struct kv_tree_entry *entry = entry_new(key, value);
    struct kv_tree_node *next = entry ? insert(*root, entry) : NULL;

    entry_release(entry);
    if (!next)
        return CULVERT_ENOMEM;
    kv_tree_release(*root);
    *root = next;
    return 0;
}

/* All of `left` is before all of `right`. *failed is set when out of memory. */
static struct kv_tree_node *merge(struct kv_tree_node *left, struct kv_tree_node *right,
                                  bool *failed)
{
    struct kv_tree_node *inner, *node = NULL;

    if (!left || !right)
        return kv_tree_hold(left ? left : right);
    if (left->entry->priority >= right->entry->priority) {
        inner = merge(left->right, right, failed);
        if (inner)
            node = node_new(entry_hold(left->entry), kv_tree_hold(left->left), inner);
    } else {
        inner = merge(left, right->left, failed);
        if (inner)
            node = node_new(entry_hold(right->entry), inner, kv_tree_hold(right->right));
    }
    *failed = *failed || !node;
    return node;
}

static struct kv_tree_node *cut(struct kv_tree_node *node, struct kv_slice key, bool *failed)
{
    int order = kv_compare_bytes(key, kv_tree_key(node->entry));
    struct kv_tree_node *child;

    if (!order)
        return merge(node->left, node->right, failed);
    child = cut(order < 0 ? node->left : node->right, key, failed);
    if (*failed) {
        kv_tree_release(child);
        return NULL;
    }
    child = order < 0 ? node_new(entry_hold(node->entry), child, kv_tree_hold(node->right))
                      : node_new(entry_hold(node->entry), kv_tree_hold(node->left), child);
    *failed = !child;
    return child;
}

int kv_tree_remove(struct kv_tree_node **root, struct kv_slice key)
{
    struct kv_tree_node *next;
    bool failed = false;

    if (!kv_tree_find(*root, key))
        return 0;
    next = cut(*root, key, &failed);
    if (failed)
        return CULVERT_ENOMEM;
    kv_tree_release(*root);
    *root = next;
    return 0;
}

const struct kv_tree_entry *kv_tree_find(const struct kv_tree_node *root, struct kv_slice key)
{
    const struct kv_tree_entry *entry = kv_tree_ceiling(root, key, false);

    return entry && kv_same_bytes(kv_tree_key(entry), key) ? entry : NULL;
}

const struct kv_tree_entry *kv_tree_ceiling(const struct kv_tree_node *root, struct kv_slice key,
                                            bool beyond)
{
    const struct kv_tree_entry *best = NULL;

    while (root) {
        int order = kv_compare_bytes(kv_tree_key(root->entry), key);

        if (order > 0 || (!order && !beyond)) {
            best = root->entry;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return best;
}

const struct kv_tree_entry *kv_tree_floor(const struct kv_tree_node *root, struct kv_slice key,
                                          bool beyond)
{
    const struct kv_tree_entry *best = NULL;

    while (root) {
        int order = kv_compare_bytes(kv_tree_key(root->entry), key);

        if (order < 0 || (!order && !beyond)) {
            best = root->entry;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return best;
}
