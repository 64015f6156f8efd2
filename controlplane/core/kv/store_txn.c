/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts, deletions and transactions, in etcd's three steps: all comparisons, also those of nested
 * transactions, are made on the state before; then all of what will be done is checked; then it is
 * done, and nothing is refused any more but for its sheer size.
 */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

#define OP_BYTES 32u /* of an operation's result, its pairs not counted, at most */

/* ---- comparisons ---- */

static bool relation_holds(uint8_t relation, int order)
{
    switch (relation) {
    case KV_EQUAL:
        return !order;
    case KV_GREATER:
        return order > 0;
    case KV_LESS:
        return order < 0;
    default:
        return order;
    }
}

static bool compare_holds(const struct kv_compare *compare, const struct kv_pair *pair)
{
    int64_t number = compare->compared == KV_IF_VERSION  ? (int64_t)pair->version
                     : compare->compared == KV_IF_CREATE ? (int64_t)pair->create
                     : compare->compared == KV_IF_MOD    ? (int64_t)pair->mod
                                                         : pair->lease;

    return relation_holds(compare->relation,
                          compare->compared == KV_IF_VALUE
                              ? kv_compare_bytes(pair->value, compare->value)
                              : (number > compare->number) - (number < compare->number));
}

/* 1: it holds for all keys there are. A key that isn't there has version 0 and so on, but no
 * value, of which no comparison holds. */
static int compare_run(struct kv_work *work, const struct kv_compare *compare)
{
    static const struct kv_pair none;
    struct kv_cursor cursor;
    bool some = false;
    int got = kv_cursor_open(&cursor, work, &compare->keys, 0);
    int holds = 1;

    while (!got && holds && (got = kv_cursor_next(&cursor)) == 1) {
        some = true;
        holds = compare_holds(compare, &cursor.pair);
        got = 0;
        if (cursor.ended)
            break;
    }
    kv_cursor_close(&cursor);
    if (got)
        return got;
    if (!some)
        holds = compare->compared != KV_IF_VALUE && compare_holds(compare, &none);
    return holds;
}

/* Notes which way this transaction and the nested ones on it go, a byte each, in their order. */
static int txn_decide(struct kv_work *work, const struct kv_txn *txn, struct buffer *path)
{
    int holds = 1, error = 0;

    for (size_t i = 0; i < txn->compare_count && holds == 1; i++)
        holds = compare_run(work, &txn->compares[i]);
    if (holds < 0)
        return holds;
    buffer_char(path, (char)holds);
    for (size_t i = 0; i < txn->branch[holds].count && !error; i++)
        if (txn->branch[holds].list[i].kind == KV_TXN)
            error = txn_decide(work, &txn->branch[holds].list[i].txn, path);
    return error ? error : path->error;
}

/* ---- checks ---- */

static int put_check(struct kv_work *work, const struct kv_put *put)
{
    struct kv_lease lease;
    struct kv_live live;
    int error = 0;

    if (put->ignore_value || put->ignore_lease)
        error = kv_work_find(work, put->key, &live);
    if (error == CULVERT_ENOTFOUND)
        return kv_refuse(work, error);
    if (!error && put->lease)
        error = kv_store_lease(work->store, put->lease, &lease);
    return error == CULVERT_ENOLEASE ? kv_refuse(work, error) : error;
}

static int txn_check(struct kv_work *work, const struct kv_txn *txn, const char **path,
                     uint64_t *bytes);

/* Adds what puts will take to *bytes. */
static int op_check(struct kv_work *work, const struct kv_op *op, const char **path,
                    uint64_t *bytes)
{
    switch (op->kind) {
    case KV_RANGE:
        return kv_range_check(work, &op->range);
    case KV_PUT:
        *bytes += op->put.key.length + op->put.value.length;
        return put_check(work, &op->put);
    case KV_TXN:
        return txn_check(work, &op->txn, path, bytes);
    default:
        return 0;
    }
}

static int txn_check(struct kv_work *work, const struct kv_txn *txn, const char **path,
                     uint64_t *bytes)
{
    const struct kv_ops *ops = &txn->branch[*(*path)++ & 1];
    int error = 0;

    for (size_t i = 0; i < ops->count && !error; i++)
        error = op_check(work, &ops->list[i], path, bytes);
    return error;
}

/* ---- work ---- */

static void result_previous(struct kv_work *work, struct kv_slice key, const struct kv_live *live)
{
    struct kv_pair pair = {key,           live->value, live->create, live->mod.main,
                           live->version, live->lease};

    kv_result_pair(&work->pairs, &pair, false);
}

static int result_pairs(struct kv_work *work, uint64_t listed)
{
    int error = kv_pairs_finish(work);

    if (error || !work->result)
        return error;
    kv_put_varint(work->result, listed);
    buffer_add(work->result, work->pairs.data, work->pairs.length);
    return work->result->error;
}

static int put_run(struct kv_work *work, const struct kv_put *put)
{
    struct kv_live live;
    int error = kv_work_find(work, put->key, &live);
    bool there = !error;

    if (error && error != CULVERT_ENOTFOUND)
        return error;
    buffer_clear(&work->pairs);
    if (there && put->prev)
        result_previous(work, put->key, &live);
    error = kv_work_put(work, put->key, there && put->ignore_value ? live.value : put->value,
                        there && put->ignore_lease ? live.lease : put->lease, there ? &live : NULL);
    return error ? error : result_pairs(work, there && put->prev);
}

struct doomed {
    struct kv_slice key;
    struct kv_live live;
    struct doomed *next;
};

/* Keys are collected first: deleting changes what the cursor walks on. */
static int delete_collect(struct kv_work *work, const struct kv_delete *delete,
                          struct doomed **list)
{
    struct kv_cursor cursor;
    struct doomed *one;
    size_t bytes = 0;
    int got = kv_cursor_open(&cursor, work, &delete->keys, 0);

    while (!got && (got = kv_cursor_next(&cursor)) == 1) {
        one = arena_alloc(&work->arena, sizeof(*one));
        if (!one) {
            got = CULVERT_ENOMEM;
            break;
        }
        *one = (struct doomed){.key = cursor.pair.key, .live = cursor.live};
        one->key.data = (const uint8_t *)arena_copy(
            &work->arena, (const char *)cursor.pair.key.data, cursor.pair.key.length);
        got = one->key.data ? 0 : CULVERT_ENOMEM;
        if (!got && delete->prev)
            result_previous(work, one->key, &one->live);
        one->live.value.data = NULL; /* its length counts */
        *list = one;
        list = &one->next;
        if (!got && delete->keys.end.length && ++work->deleted > KV_DELETE_MAX)
            got = kv_refuse(work, CULVERT_EMANYKEYS);
        if (!got && (bytes += one->key.length) > KV_BATCH_MAX)
            got = kv_refuse(work, CULVERT_ETOOLARGE);
    }
    kv_cursor_close(&cursor);
    return got;
}

static int delete_run(struct kv_work *work, const struct kv_delete *delete)
{
    struct doomed *list = NULL;
    uint64_t count = 0;
    int error;

    buffer_clear(&work->pairs);
    error = delete_collect(work, delete, &list);
    for (; list && !error; list = list->next, count++)
        error = kv_work_delete(work, list->key, &list->live);
    if (error)
        return error;
    if (work->result)
        kv_put_varint(work->result, count);
    return result_pairs(work, delete->prev ? count : 0);
}

static int op_run(struct kv_work *work, const struct kv_op *op, const char **path);

static int txn_run(struct kv_work *work, const struct kv_txn *txn, const char **path)
{
    unsigned way = *(*path)++ & 1;
    const struct kv_ops *ops = &txn->branch[way];
    int error = 0;

    if (work->result) {
        buffer_char(work->result, (char)way);
        kv_put_varint(work->result, ops->count);
    }
    for (size_t i = 0; i < ops->count && !error; i++) {
        if (work->result)
            buffer_char(work->result, (char)ops->list[i].kind);
        error = kv_answer_add(work, OP_BYTES);
        if (!error)
            error = op_run(work, &ops->list[i], path);
    }
    return error;
}

static int op_run(struct kv_work *work, const struct kv_op *op, const char **path)
{
    switch (op->kind) {
    case KV_RANGE:
        return kv_range_run(work, &op->range);
    case KV_PUT:
        return put_run(work, &op->put);
    case KV_DELETE:
        return delete_run(work, &op->delete);
    default:
        return txn_run(work, &op->txn, path);
    }
}

int kv_op_run(struct kv_work *work, const struct kv_op *op)
{
    struct buffer path = {0};
    const char *at;
    uint64_t bytes = 0;
    int error = 0;

    buffer_text(&path, "");
    if (op->kind == KV_TXN)
        error = txn_decide(work, &op->txn, &path);
    at = path.data;
    if (!error)
        error = op_check(work, op, &at, &bytes);
    if (!error && bytes)
        error = kv_quota_check(work, bytes);
    at = path.data;
    if (!error)
        error = op_run(work, op, &at);
    buffer_free(&path);
    return error;
}
