/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/kv.h"

ProtobufCBinaryData etcd_bytes(struct kv_slice slice)
{
    return (ProtobufCBinaryData){slice.length, (uint8_t *)slice.data};
}

ProtobufCBinaryData etcd_key_bytes(struct kv_slice key)
{
    if (!key.length)
        return (ProtobufCBinaryData){0, NULL};
    return (ProtobufCBinaryData){key.length - 1, (uint8_t *)key.data + 1};
}

void etcd_pair(Mvccpb__KeyValue *to, const struct kv_pair *pair)
{
    mvccpb__key_value__init(to);
    to->key = etcd_key_bytes(pair->key);
    to->value = etcd_bytes(pair->value);
    to->create_revision = (int64_t)pair->create;
    to->mod_revision = (int64_t)pair->mod;
    to->version = (int64_t)pair->version;
    to->lease = pair->lease;
}

/* NULL: there are none, or (false) out of memory. */
static bool pairs_response(struct etcd_call *call, const struct kv_pairs *pairs,
                           Mvccpb__KeyValue ***list)
{
    Mvccpb__KeyValue *each;

    *list = NULL;
    if (!pairs->count)
        return true;
    each = etcd_scratch(call, pairs->count * sizeof(*each));
    *list = etcd_scratch(call, pairs->count * sizeof(**list));
    if (!each || !*list)
        return false;
    for (size_t i = 0; i < pairs->count; i++) {
        etcd_pair(&each[i], &pairs->list[i]);
        (*list)[i] = &each[i];
    }
    return true;
}

bool etcd_range_response(struct etcd_call *call, const struct kv_op_result *result,
                         Etcdserverpb__RangeResponse *response)
{
    etcdserverpb__range_response__init(response);
    response->more = result->more;
    response->count = (int64_t)result->count;
    response->n_kvs = result->pairs.count;
    return pairs_response(call, &result->pairs, &response->kvs);
}

bool etcd_put_response(struct etcd_call *call, const struct kv_op_result *result,
                       Etcdserverpb__PutResponse *response)
{
    Mvccpb__KeyValue **list;

    etcdserverpb__put_response__init(response);
    if (!pairs_response(call, &result->pairs, &list))
        return false;
    response->prev_kv = list ? list[0] : NULL;
    return true;
}

bool etcd_delete_response(struct etcd_call *call, const struct kv_op_result *result,
                          Etcdserverpb__DeleteRangeResponse *response)
{
    etcdserverpb__delete_range_response__init(response);
    response->deleted = (int64_t)result->count;
    response->n_prev_kvs = result->pairs.count;
    return pairs_response(call, &result->pairs, &response->prev_kvs);
}

/* ---- transactions ---- */

/* Whether an operation has changed something. */
static bool op_changed(const struct kv_op_result *result)
{
    if (result->kind == KV_PUT)
        return true;
    if (result->kind == KV_DELETE)
        return result->count > 0;
    if (result->kind == KV_TXN)
        for (size_t i = 0; i < result->result_count; i++)
            if (op_changed(&result->results[i]))
                return true;
    return false;
}

/* An operation's response; its header has the revision that it saw, and nothing else; that of a
 * transaction within one has nothing at all. */
struct op_response {
    Etcdserverpb__ResponseOp op;
    Etcdserverpb__ResponseHeader header;
    union {
        Etcdserverpb__RangeResponse range;
        Etcdserverpb__PutResponse put;
        Etcdserverpb__DeleteRangeResponse delete;
        Etcdserverpb__TxnResponse txn;
    };
};

static bool txn_response(struct etcd_call *call, const struct kv_op_result *result,
                         uint64_t *revision, uint64_t changed, Etcdserverpb__TxnResponse *response);

static bool op_response(struct etcd_call *call, const struct kv_op_result *result,
                        uint64_t *revision, uint64_t changed, struct op_response *to)
{
    bool complete = true;

    etcdserverpb__response_op__init(&to->op);
    etcdserverpb__response_header__init(&to->header);
    if (result->kind == KV_RANGE) {
        to->op.response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
        to->op.response_range = &to->range;
        complete = etcd_range_response(call, result, &to->range);
        to->range.header = &to->header;
    } else if (result->kind == KV_PUT) {
        to->op.response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
        to->op.response_put = &to->put;
        complete = etcd_put_response(call, result, &to->put);
        to->put.header = &to->header;
    } else if (result->kind == KV_DELETE) {
        to->op.response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE;
        to->op.response_delete_range = &to->delete;
        complete = etcd_delete_response(call, result, &to->delete);
        to->delete.header = &to->header;
    } else {
        to->op.response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_TXN;
        to->op.response_txn = &to->txn;
        complete = txn_response(call, result, revision, changed, &to->txn);
        to->txn.header = &to->header;
    }
    if (op_changed(result))
        *revision = changed;
    if (result->kind != KV_TXN)
        to->header.revision = (int64_t)*revision;
    return complete;
}

/* `revision` is what the next operation sees, `changed` what a change makes of it. */
static bool txn_response(struct etcd_call *call, const struct kv_op_result *result,
                         uint64_t *revision, uint64_t changed, Etcdserverpb__TxnResponse *response)
{
    size_t count = result->result_count;
    struct op_response *each = etcd_scratch(call, count * sizeof(*each));

    etcdserverpb__txn_response__init(response);
    response->succeeded = result->succeeded;
    response->n_responses = count;
    response->responses = etcd_scratch(call, count * sizeof(struct Etcdserverpb__ResponseOp *));
    if (!each || !response->responses)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!op_response(call, &result->results[i], revision, changed, &each[i]))
            return false;
        response->responses[i] = &each[i].op;
    }
    return true;
}

bool etcd_txn_response(struct etcd_call *call, const struct kv_result *result,
                       Etcdserverpb__TxnResponse *response)
{
    uint64_t revision = result->revision - (op_changed(&result->op) ? 1 : 0);

    return txn_response(call, &result->op, &revision, result->revision, response);
}
