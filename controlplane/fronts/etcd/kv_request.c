/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/fronts/etcd/auth.h"
#include "controlplane/fronts/etcd/kv.h"

struct kv_slice etcd_key(struct etcd_call *call, ProtobufCBinaryData key)
{
    uint8_t *bytes = etcd_scratch(call, key.len + 1);

    if (!bytes)
        return (struct kv_slice){NULL, 0};
    bytes[0] = KV_SPACE_CLIENT;
    if (key.len)
        memcpy(bytes + 1, key.data, key.len);
    return (struct kv_slice){bytes, key.len + 1};
}

bool etcd_keys(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end,
               struct kv_keys *keys)
{
    static const uint8_t behind_all[] = {KV_SPACE_CLIENT + 1};

    keys->key = etcd_key(call, key);
    if (!end.len)
        keys->end = (struct kv_slice){NULL, 0};
    else if (end.len == 1 && !end.data[0])
        keys->end = (struct kv_slice){behind_all, 1};
    else
        keys->end = etcd_key(call, end);
    return keys->key.data && (!end.len || keys->end.data);
}

static bool no_memory(struct etcd_call *call)
{
    etcd_call_end(call, ETCD_NO_MEMORY);
    return false;
}

static bool refuse(struct etcd_call *call, enum etcd_status status)
{
    etcd_call_end(call, status);
    return false;
}

static uint64_t positive(int64_t number)
{
    return number > 0 ? (uint64_t)number : 0;
}

static struct kv_slice slice_of(ProtobufCBinaryData bytes)
{
    return (struct kv_slice){bytes.data, bytes.len};
}

bool etcd_range_request(struct etcd_call *call, const Etcdserverpb__RangeRequest *request,
                        struct kv_range *range)
{
    if (!request->key.len)
        return refuse(call, ETCD_EMPTY_KEY);
    if ((unsigned)request->sort_order > KV_ORDER_DESCEND ||
        (unsigned)request->sort_target > KV_BY_VALUE)
        return refuse(call, ETCD_SORT_OPTION);
    if (!etcd_auth_may(call, request->key, request->range_end, ETCD_MAY_READ))
        return false;
    *range = (struct kv_range){
        .limit = positive(request->limit),
        .revision = positive(request->revision),
        .order = (uint8_t)request->sort_order,
        .target = (uint8_t)request->sort_target,
        .keys_only = request->keys_only,
        .count_only = request->count_only,
        .min_mod = positive(request->min_mod_revision),
        .max_mod = positive(request->max_mod_revision),
        .min_create = positive(request->min_create_revision),
        .max_create = positive(request->max_create_revision),
    };
    if (range->order == KV_ORDER_NONE && range->target != KV_BY_KEY)
        range->order = KV_ORDER_ASCEND;
    return etcd_keys(call, request->key, request->range_end, &range->keys) || no_memory(call);
}

bool etcd_put_request(struct etcd_call *call, const Etcdserverpb__PutRequest *request,
                      struct kv_put *put)
{
    static const ProtobufCBinaryData none = {0, NULL};

    if (!request->key.len)
        return refuse(call, ETCD_EMPTY_KEY);
    if (request->ignore_value && request->value.len)
        return refuse(call, ETCD_VALUE_PROVIDED);
    if (request->ignore_lease && request->lease)
        return refuse(call, ETCD_LEASE_PROVIDED);
    if (!etcd_auth_may(call, request->key, none,
                       ETCD_MAY_WRITE | (request->prev_kv ? ETCD_MAY_READ : 0)) ||
        !etcd_auth_may_lease(call, request->lease, ETCD_MAY_WRITE))
        return false;
    *put = (struct kv_put){
        .key = etcd_key(call, request->key),
        .value = slice_of(request->value),
        .lease = request->lease,
        .prev = request->prev_kv,
        .ignore_value = request->ignore_value,
        .ignore_lease = request->ignore_lease,
    };
    return put->key.data || no_memory(call);
}

bool etcd_delete_request(struct etcd_call *call, const Etcdserverpb__DeleteRangeRequest *request,
                         struct kv_delete *delete)
{
    if (!request->key.len)
        return refuse(call, ETCD_EMPTY_KEY);
    if (!etcd_auth_may(call, request->key, request->range_end,
                       ETCD_MAY_WRITE | (request->prev_kv ? ETCD_MAY_READ : 0)))
        return false;
    *delete = (struct kv_delete){.prev = request->prev_kv};
    return etcd_keys(call, request->key, request->range_end, &delete->keys) || no_memory(call);
}

/* ---- transactions ---- */

static int64_t compared_number(const Etcdserverpb__Compare *compare)
{
    switch (compare->target) {
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION:
        return compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION
                   ? compare->version
                   : 0;
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE:
        return compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION
                   ? compare->create_revision
                   : 0;
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD:
        return compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION
                   ? compare->mod_revision
                   : 0;
    case ETCDSERVERPB__COMPARE__COMPARE_TARGET__LEASE:
        return compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE
                   ? compare->lease
                   : 0;
    default:
        return 0;
    }
}

static bool compare_request(struct etcd_call *call, const Etcdserverpb__Compare *request,
                            struct kv_compare *compare)
{
    if (!request->key.len)
        return refuse(call, ETCD_EMPTY_KEY);
    if ((unsigned)request->target > KV_IF_LEASE || (unsigned)request->result > KV_NOT_EQUAL)
        return refuse(call, ETCD_MALFORMED);
    if (!etcd_auth_may(call, request->key, request->range_end, ETCD_MAY_READ))
        return false;
    *compare = (struct kv_compare){
        .compared = (uint8_t)request->target,
        .relation = (uint8_t)request->result,
        .number = compared_number(request),
    };
    if (request->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE &&
        compare->compared == KV_IF_VALUE)
        compare->value = slice_of(request->value);
    return etcd_keys(call, request->key, request->range_end, &compare->keys) || no_memory(call);
}

static bool op_request(struct etcd_call *call, const Etcdserverpb__RequestOp *request,
                       struct kv_op *op, bool *serializable)
{
    switch (request->request_case) {
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        op->kind = KV_RANGE;
        *serializable &= (bool)request->request_range->serializable;
        return etcd_range_request(call, request->request_range, &op->range);
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT:
        op->kind = KV_PUT;
        return etcd_put_request(call, request->request_put, &op->put);
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
        op->kind = KV_DELETE;
        return etcd_delete_request(call, request->request_delete_range, &op->delete);
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN:
        op->kind = KV_TXN;
        return etcd_txn_request(call, request->request_txn, &op->txn, serializable);
    default:
        return refuse(call, ETCD_KEY_NOT_FOUND);
    }
}

static bool ops_request(struct etcd_call *call, Etcdserverpb__RequestOp *const *requests,
                        size_t count, struct kv_ops *ops, bool *serializable)
{
    ops->list = etcd_scratch(call, count * sizeof(*ops->list));
    ops->count = count;
    if (!ops->list)
        return no_memory(call);
    for (size_t i = 0; i < count; i++)
        if (!op_request(call, requests[i], &ops->list[i], serializable))
            return false;
    return true;
}

bool etcd_txn_request(struct etcd_call *call, const Etcdserverpb__TxnRequest *request,
                      struct kv_txn *txn, bool *serializable)
{
    const struct kv_limits limits = KV_LIMITS_DEFAULT;

    if (request->n_compare > limits.ops || request->n_success > limits.ops ||
        request->n_failure > limits.ops)
        return refuse(call, ETCD_TOO_MANY_OPS);
    txn->compares = etcd_scratch(call, request->n_compare * sizeof(*txn->compares));
    txn->compare_count = request->n_compare;
    if (!txn->compares)
        return no_memory(call);
    for (size_t i = 0; i < request->n_compare; i++)
        if (!compare_request(call, request->compare[i], &txn->compares[i]))
            return false;
    return ops_request(call, request->success, request->n_success, &txn->branch[1], serializable) &&
           ops_request(call, request->failure, request->n_failure, &txn->branch[0], serializable);
}
