/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.KV. */
#include "controlplane/fronts/etcd/kv.h"

#include "controlplane/base/error.h"

void etcd_propose(struct etcd_call *call, const struct kv_command *command, kv_answer answer)
{
    int error;

    etcd_call_hold(call);
    error = kv_service_propose(call->front->service, command, answer, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

void etcd_read(struct etcd_call *call, const struct kv_command *command, bool serializable,
               kv_answer answer)
{
    int error;

    etcd_call_hold(call);
    error = kv_service_read(call->front->service, command, serializable, answer, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

bool etcd_answered(struct etcd_call *call, int status, const struct kv_result *result)
{
    if (!etcd_call_open(call))
        return false;
    if (!status)
        status = result->status;
    if (!status)
        return true;
    etcd_call_fail(call, status);
    return false;
}

/* Sends the response, whose parts are there if `complete`, and drops the call. */
static void finish(struct etcd_call *call, bool complete, const ProtobufCMessage *response)
{
    if (complete)
        etcd_call_reply(call, response);
    else
        etcd_call_end(call, ETCD_NO_MEMORY);
}

static void on_range(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__RangeResponse response;
    bool complete;

    if (etcd_answered(call, status, result)) {
        complete = etcd_range_response(call, &result->op, &response);
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        finish(call, complete, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_kv_range(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__RangeRequest *request = (const Etcdserverpb__RangeRequest *)message;
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};

    if (etcd_range_request(call, request, &command.op.range))
        etcd_read(call, &command, request->serializable, on_range);
}

static void on_put(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__PutResponse response;
    bool complete;

    if (etcd_answered(call, status, result)) {
        complete = etcd_put_response(call, &result->op, &response);
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        finish(call, complete, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_kv_put(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};

    if (etcd_put_request(call, (const Etcdserverpb__PutRequest *)message, &command.op.put))
        etcd_propose(call, &command, on_put);
}

static void on_delete(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__DeleteRangeResponse response;
    bool complete;

    if (etcd_answered(call, status, result)) {
        complete = etcd_delete_response(call, &result->op, &response);
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        finish(call, complete, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_kv_delete(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct kv_command command = {.kind = KV_DELETE, .op.kind = KV_DELETE};

    if (etcd_delete_request(call, (const Etcdserverpb__DeleteRangeRequest *)message,
                            &command.op.delete))
        etcd_propose(call, &command, on_delete);
}

static void on_txn(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__TxnResponse response;
    bool complete;

    if (etcd_answered(call, status, result)) {
        complete = etcd_txn_response(call, result, &response);
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        finish(call, complete, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_kv_txn(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    bool serializable = true;

    if (!etcd_txn_request(call, (const Etcdserverpb__TxnRequest *)message, &command.op.txn,
                          &serializable))
        return;
    if (kv_txn_reads_only(&command.op.txn))
        etcd_read(call, &command, serializable, on_txn);
    else
        etcd_propose(call, &command, on_txn);
}

static void on_compact(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__CompactionResponse response = ETCDSERVERPB__COMPACTION_RESPONSE__INIT;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_kv_compact(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__CompactionRequest *request =
        (const Etcdserverpb__CompactionRequest *)message;
    struct kv_command command = {.kind = KV_COMPACT};

    command.revision = request->revision > 0 ? (uint64_t)request->revision : 0;
    etcd_propose(call, &command, on_compact);
}
