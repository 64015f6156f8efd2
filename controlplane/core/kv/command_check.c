/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said about a command without the state, as etcd says it: see checkTxnRequest and
 * checkIntervals of etcd 3.5's server/etcdserver/api/v3rpc/key.go.
 */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/command.h"
#include "controlplane/core/kv/tree.h"

/* What a list of operations changes: keys put, and ranges deleted. */
struct touched {
    struct kv_tree_node *puts;
    struct kv_keys *deletes;
    size_t count, capacity;
};

static void touched_free(struct touched *touched)
{
    kv_tree_release(touched->puts);
    free(touched->deletes);
}

static bool keys_hold(const struct kv_keys *keys, struct kv_slice key)
{
    int order = kv_compare_bytes(key, keys->key);

    if (!keys->end.length)
        return !order;
    return order >= 0 &&
           ((keys->end.length == 1 && !keys->end.data[0]) || kv_compare_bytes(key, keys->end) < 0);
}

static int touched_delete(struct touched *touched, const struct kv_keys *keys)
{
    size_t capacity = touched->capacity ? 2 * touched->capacity : 8;
    struct kv_keys *more;

    if (touched->count == touched->capacity) {
        more = realloc(touched->deletes, capacity * sizeof(*more));
        if (!more)
            return CULVERT_ENOMEM;
        touched->deletes = more;
        touched->capacity = capacity;
    }
    touched->deletes[touched->count++] = *keys;
    return 0;
}

/* A put: CULVERT_EDUPLICATE when the key is put or deleted already. */
static int touched_put(struct touched *touched, struct kv_slice key)
{
    if (kv_tree_find(touched->puts, key))
        return CULVERT_EDUPLICATE;
    for (size_t i = 0; i < touched->count; i++)
        if (keys_hold(&touched->deletes[i], key))
            return CULVERT_EDUPLICATE;
    return kv_tree_set(&touched->puts, key, (struct kv_slice){0});
}

/* Adds the puts of a branch of a nested transaction, but those of the other branch, of which only
 * one happens. */
static int touched_join(struct touched *touched, const struct touched *branch,
                        const struct touched *other)
{
    const struct kv_tree_entry *entry;
    int error = 0;

    for (entry = kv_tree_ceiling(branch->puts, (struct kv_slice){0}, false); entry && !error;
         entry = kv_tree_ceiling(branch->puts, kv_tree_key(entry), true))
        if (!other || !kv_tree_find(other->puts, kv_tree_key(entry)))
            error = touched_put(touched, kv_tree_key(entry));
    return error;
}

static int check_duplicates(const struct kv_ops *ops, struct touched *touched);

static int check_nested(const struct kv_txn *txn, struct touched *touched)
{
    struct touched branch[2] = {{0}, {0}};
    int error = check_duplicates(&txn->branch[1], &branch[1]);

    if (!error)
        error = check_duplicates(&txn->branch[0], &branch[0]);
    if (!error)
        error = touched_join(touched, &branch[1], NULL);
    if (!error)
        error = touched_join(touched, &branch[0], &branch[1]);
    for (unsigned way = 0; way < 2; way++) {
        for (size_t i = 0; i < branch[way].count && !error; i++)
            error = touched_delete(touched, &branch[way].deletes[i]);
        touched_free(&branch[way]);
    }
    return error;
}

static int check_duplicates(const struct kv_ops *ops, struct touched *touched)
{
    int error = 0;

    for (size_t i = 0; i < ops->count && !error; i++)
        if (ops->list[i].kind == KV_DELETE)
            error = touched_delete(touched, &ops->list[i].delete.keys);
    for (size_t i = 0; i < ops->count && !error; i++)
        if (ops->list[i].kind == KV_TXN)
            error = check_nested(&ops->list[i].txn, touched);
    for (size_t i = 0; i < ops->count && !error; i++)
        if (ops->list[i].kind == KV_PUT)
            error = touched_put(touched, ops->list[i].put.key);
    return error;
}

static int check_op(const struct kv_op *op, size_t limit);

static int check_txn(const struct kv_txn *txn, size_t limit)
{
    size_t longest = txn->compare_count;
    int error = 0;

    for (unsigned way = 0; way < 2; way++)
        if (txn->branch[way].count > longest)
            longest = txn->branch[way].count;
    if (longest > limit)
        return CULVERT_ETOOMANY;
    for (size_t i = 0; i < txn->compare_count; i++)
        if (!txn->compares[i].keys.key.length)
            return CULVERT_EINVAL;
    for (unsigned way = 0; way < 2; way++)
        for (size_t i = 0; i < txn->branch[way].count && !error; i++)
            error = check_op(&txn->branch[way].list[i], limit - longest);
    return error;
}

static int check_put(const struct kv_put *put)
{
    if (!put->key.length || (put->ignore_value && put->value.length) ||
        (put->ignore_lease && put->lease))
        return CULVERT_EINVAL;
    return 0;
}

static int check_op(const struct kv_op *op, size_t limit)
{
    switch (op->kind) {
    case KV_RANGE:
        return op->range.keys.key.length ? 0 : CULVERT_EINVAL;
    case KV_PUT:
        return check_put(&op->put);
    case KV_DELETE:
        return op->delete.keys.key.length ? 0 : CULVERT_EINVAL;
    default:
        return check_txn(&op->txn, limit);
    }
}

int kv_command_check(const struct kv_command *command, size_t length,
                     const struct kv_limits *limits)
{
    struct kv_ops one = {(struct kv_op *)&command->op, 1};
    struct touched touched = {0};
    int error;

    if (length > limits->bytes)
        return CULVERT_ETOOLARGE;
    if (command->kind == KV_LEASE_GRANT)
        return !command->lease.id                                          ? CULVERT_EINVAL
               : command->lease.ttl < 1 || command->lease.ttl > KV_TTL_MAX ? CULVERT_ETTL
                                                                           : 0;
    if (command->kind > KV_TXN)
        return 0;
    error = check_op(&command->op, limits->ops);
    if (!error && command->kind == KV_TXN) {
        error = check_duplicates(&one, &touched);
        touched_free(&touched);
    }
    return error;
}

bool kv_txn_reads_only(const struct kv_txn *txn)
{
    for (unsigned way = 0; way < 2; way++) {
        for (size_t i = 0; i < txn->branch[way].count; i++) {
            const struct kv_op *op = &txn->branch[way].list[i];

            if (op->kind == KV_PUT || op->kind == KV_DELETE ||
                (op->kind == KV_TXN && !kv_txn_reads_only(&op->txn)))
                return false;
        }
    }
    return true;
}
