/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/core/kv/model.h"

#include <stdlib.h>

#include "controlplane/base/error.h"

#define NOW UINT64_MAX

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void *grown(void *list, size_t count, size_t size)
{
    void *more = realloc(list, (count + 1) * size);

    must(more);
    return more;
}

static struct kv_slice copied(struct arena *arena, struct kv_slice bytes)
{
    bytes.data = (const uint8_t *)arena_copy(arena, (const char *)bytes.data, bytes.length);
    must(bytes.data);
    return bytes;
}

/* ---- versions ---- */

static struct model_key *key_of(struct model *model, struct kv_slice key, bool make)
{
    struct model_key *one;

    for (size_t i = 0; i < model->key_count; i++)
        if (kv_same_bytes(model->keys[i].key, key))
            return &model->keys[i];
    if (!make)
        return NULL;
    model->keys = grown(model->keys, model->key_count, sizeof(*model->keys));
    one = &model->keys[model->key_count++];
    *one = (struct model_key){.key = copied(&model->arena, key)};
    return one;
}

static const struct kv_pair *version_at(const struct model_key *key, uint64_t revision)
{
    const struct model_version *last = NULL;

    for (size_t i = 0; key && i < key->count && key->versions[i].main <= revision; i++)
        last = &key->versions[i];
    return last && last->put ? &last->pair : NULL;
}

static const struct kv_pair *find(struct model *model, struct kv_slice key)
{
    return version_at(key_of(model, key, false), NOW);
}

static void add_version(struct model *model, bool put, struct kv_pair pair)
{
    struct model_key *key = key_of(model, pair.key, true);
    struct model_version *version;

    key->versions = grown(key->versions, key->count, sizeof(*key->versions));
    version = &key->versions[key->count++];
    pair.mod = model->revision + 1;
    *version =
        (struct model_version){.put = put, .main = pair.mod, .sub = model->sub++, .pair = pair};
    version->pair.key = key->key;
    version->pair.value = copied(&model->arena, pair.value);
}

static int by_key(const void *x, const void *y)
{
    return kv_compare_bytes(((const struct kv_pair *)x)->key, ((const struct kv_pair *)y)->key);
}

static bool holds(const struct kv_keys *keys, struct kv_slice key)
{
    if (!keys->end.length)
        return kv_same_bytes(keys->key, key);
    return kv_compare_bytes(key, keys->key) >= 0 &&
           (kv_same_bytes(keys->end, (struct kv_slice){(const uint8_t *)"", 1}) ||
            kv_compare_bytes(key, keys->end) < 0);
}

static struct kv_pairs collect(struct model *model, const struct kv_keys *keys, uint64_t revision,
                               struct arena *arena)
{
    struct kv_pairs pairs = {arena_alloc(arena, (model->key_count + 1) * sizeof(struct kv_pair)),
                             0};

    for (size_t i = 0; i < model->key_count; i++) {
        const struct kv_pair *pair = version_at(&model->keys[i], revision);

        if (pair && holds(keys, pair->key))
            pairs.list[pairs.count++] = *pair;
    }
    qsort(pairs.list, pairs.count, sizeof(*pairs.list), by_key);
    return pairs;
}

/* ---- ranges ---- */

static int sort_target;

static int by_target(const void *left, const void *right)
{
    const struct kv_pair *x = left, *y = right;
    uint64_t a = sort_target == KV_BY_VERSION  ? x->version
                 : sort_target == KV_BY_CREATE ? x->create
                                               : x->mod;
    uint64_t b = sort_target == KV_BY_VERSION  ? y->version
                 : sort_target == KV_BY_CREATE ? y->create
                                               : y->mod;

    if (sort_target == KV_BY_VALUE && !kv_same_bytes(x->value, y->value))
        return kv_compare_bytes(x->value, y->value);
    if (sort_target == KV_BY_KEY || sort_target == KV_BY_VALUE || a == b)
        return by_key(left, right);
    return a < b ? -1 : 1;
}

static void range(struct model *model, const struct kv_range *range, struct arena *arena,
                  struct kv_op_result *result)
{
    struct kv_pairs pairs =
        collect(model, &range->keys, range->revision ? range->revision : NOW, arena);
    size_t kept = 0;

    result->count = pairs.count;
    for (size_t i = 0; i < pairs.count; i++) {
        const struct kv_pair *pair = &pairs.list[i];

        if (pair->mod >= range->min_mod && (!range->max_mod || pair->mod <= range->max_mod) &&
            pair->create >= range->min_create &&
            (!range->max_create || pair->create <= range->max_create))
            pairs.list[kept++] = *pair;
    }
    pairs.count = kept;
    sort_target = range->target;
    qsort(pairs.list, pairs.count, sizeof(*pairs.list), by_target);
    for (size_t i = 0; range->order == KV_ORDER_DESCEND && i < kept / 2; i++) {
        struct kv_pair swapped = pairs.list[i];

        pairs.list[i] = pairs.list[kept - 1 - i];
        pairs.list[kept - 1 - i] = swapped;
    }
    if (range->count_only)
        return;
    result->more = range->limit && kept > range->limit;
    pairs.count = result->more ? (size_t)range->limit : kept;
    for (size_t i = 0; range->keys_only && i < pairs.count; i++)
        pairs.list[i].value.length = 0;
    result->pairs = pairs;
}

/* ---- changes ---- */

static void put(struct model *model, const struct kv_put *put, struct arena *arena,
                struct kv_op_result *result)
{
    const struct kv_pair *found = find(model, put->key);
    struct kv_pair old = found ? *found : (struct kv_pair){0};

    if (put->prev && found) {
        result->pairs.list = arena_alloc(arena, sizeof(old));
        result->pairs.list[0] = old;
        result->pairs.count = 1;
    }
    add_version(model, true,
                (struct kv_pair){
                    .key = put->key,
                    .value = put->ignore_value ? old.value : put->value,
                    .create = found ? old.create : model->revision + 1,
                    .version = old.version + 1,
                    .lease = put->ignore_lease ? old.lease : put->lease,
                });
}

static void delete(struct model *model, const struct kv_delete *delete, struct arena *arena,
                   struct kv_op_result *result)
{
    struct kv_pairs pairs = collect(model, &delete->keys, NOW, arena);

    for (size_t i = 0; i < pairs.count; i++)
        add_version(model, false, (struct kv_pair){.key = pairs.list[i].key});
    result->count = pairs.count;
    if (delete->prev)
        result->pairs = pairs;
}

static bool related(uint8_t relation, int order)
{
    return relation == KV_EQUAL     ? order == 0
           : relation == KV_GREATER ? order > 0
           : relation == KV_LESS    ? order < 0
                                    : order != 0;
}

static bool compares(const struct kv_compare *compare, struct kv_pair pair)
{
    int64_t number = compare->compared == KV_IF_VERSION  ? (int64_t)pair.version
                     : compare->compared == KV_IF_CREATE ? (int64_t)pair.create
                     : compare->compared == KV_IF_MOD    ? (int64_t)pair.mod
                                                         : pair.lease;

    if (compare->compared == KV_IF_VALUE)
        return related(compare->relation, kv_compare_bytes(pair.value, compare->value));
    return related(compare->relation, number < compare->number   ? -1
                                      : number > compare->number ? 1
                                                                 : 0);
}

static bool all_hold(struct model *model, const struct kv_txn *txn, struct arena *arena)
{
    for (size_t i = 0; i < txn->compare_count; i++) {
        const struct kv_compare *compare = &txn->compares[i];
        struct kv_pairs pairs = collect(model, &compare->keys, NOW, arena);

        if (!pairs.count &&
            (compare->compared == KV_IF_VALUE || !compares(compare, (struct kv_pair){0})))
            return false;
        for (size_t j = 0; j < pairs.count; j++)
            if (!compares(compare, pairs.list[j]))
                return false;
    }
    return true;
}

/* Ways of this transaction and of those in it, decided before anything is done. */
static void decide(struct model *model, const struct kv_txn *txn, struct arena *arena, char *ways,
                   size_t *count)
{
    bool way = all_hold(model, txn, arena);

    must(*count < 1000);
    ways[(*count)++] = way;
    for (size_t i = 0; i < txn->branch[way].count; i++)
        if (txn->branch[way].list[i].kind == KV_TXN)
            decide(model, &txn->branch[way].list[i].txn, arena, ways, count);
}

static int check(struct model *model, const struct kv_op *op, const char **ways)
{
    int64_t lease = op->put.lease;
    const struct kv_ops *ops;
    int error = 0;

    if (op->kind == KV_RANGE)
        return op->range.revision > model->revision                          ? CULVERT_EFUTURE
               : op->range.revision && op->range.revision < model->compacted ? CULVERT_ECOMPACTED
                                                                             : 0;
    if (op->kind == KV_PUT) {
        if ((op->put.ignore_value || op->put.ignore_lease) && !find(model, op->put.key))
            return CULVERT_ENOTFOUND;
        return lease && (lease >= MODEL_LEASES || !model->ttl[lease]) ? CULVERT_ENOLEASE : 0;
    }
    if (op->kind != KV_TXN)
        return 0;
    ops = &op->txn.branch[(int)*(*ways)++];
    for (size_t i = 0; i < ops->count && !error; i++)
        error = check(model, &ops->list[i], ways);
    return error;
}

static void run(struct model *model, const struct kv_op *op, const char **ways, struct arena *arena,
                struct kv_op_result *result)
{
    const struct kv_ops *ops;

    result->kind = op->kind;
    if (op->kind == KV_RANGE) {
        range(model, &op->range, arena, result);
    } else if (op->kind == KV_PUT) {
        put(model, &op->put, arena, result);
    } else if (op->kind == KV_DELETE) {
        delete (model, &op->delete, arena, result);
    } else {
        result->succeeded = *(*ways)++;
        ops = &op->txn.branch[result->succeeded];
        result->result_count = ops->count;
        result->results = arena_alloc(arena, (ops->count + 1) * sizeof(*result->results));
        for (size_t i = 0; i < ops->count; i++)
            run(model, &ops->list[i], ways, arena, &result->results[i]);
    }
}

static int apply_op(struct model *model, const struct kv_op *op, struct arena *arena,
                    struct kv_op_result *result)
{
    char ways[1000];
    const char *at = ways;
    size_t count = 0;
    int error;

    if (op->kind == KV_TXN)
        decide(model, &op->txn, arena, ways, &count);
    error = check(model, op, &at);
    at = ways;
    if (!error)
        run(model, op, &at, arena, result);
    return error;
}

static int revoke(struct model *model, int64_t id, struct arena *arena)
{
    struct kv_keys all = {{(const uint8_t *)"", 1}, {(const uint8_t *)"", 1}};
    struct kv_pairs pairs;

    if (id >= MODEL_LEASES || !model->ttl[id])
        return CULVERT_ENOLEASE;
    pairs = collect(model, &all, NOW, arena);
    for (size_t i = 0; i < pairs.count; i++)
        if (pairs.list[i].lease == id)
            add_version(model, false, (struct kv_pair){.key = pairs.list[i].key});
    model->ttl[id] = 0;
    return 0;
}

static int compact(struct model *model, uint64_t revision)
{
    if (revision > model->revision)
        return CULVERT_EFUTURE;
    if (revision <= model->compacted)
        return CULVERT_ECOMPACTED;
    model->compacted = revision;
    return 0;
}

static int apply(struct model *model, const struct kv_command *command, struct arena *arena,
                 struct kv_result *result)
{
    struct kv_limits limits = {KV_OPS_MAX, KV_COMMAND_MAX};
    int error = kv_command_check(command, 0, &limits);
    int64_t id = command->lease.id;

    if (error)
        return error;
    switch (command->kind) {
    case KV_LEASE_GRANT:
        if (model->ttl[id])
            return CULVERT_EEXIST;
        model->ttl[id] = command->lease.ttl;
        result->lease = command->lease;
        return 0;
    case KV_LEASE_REVOKE:
        return revoke(model, id, arena);
    case KV_COMPACT:
        return compact(model, command->revision);
    default:
        return command->kind <= KV_TXN ? apply_op(model, &command->op, arena, &result->op) : 0;
    }
}

void model_apply(struct model *model, const struct kv_command *command, struct arena *arena,
                 struct kv_result *result)
{
    *result = (struct kv_result){.kind = command->kind};
    model->sub = 0;
    result->status = apply(model, command, arena, result);
    if (model->sub)
        model->revision++;
    result->revision = model->revision;
}

void model_free(struct model *model)
{
    arena_free(&model->arena);
    for (size_t i = 0; i < model->key_count; i++)
        free(model->keys[i].versions);
    free(model->keys);
}
