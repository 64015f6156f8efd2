/* SPDX-License-Identifier: Apache-2.0 */
/* The service v3lockpb.Lock. */
#include "controlplane/fronts/etcd/contest.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"
#include "lock.pb-c.h"

static void on_locked(struct contest *contest, uint64_t revision)
{
    V3lockpb__LockResponse response = V3LOCKPB__LOCK_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    etcd_front_header(contest->call->front, &header, revision);
    response.header = &header;
    response.key = contest->key;
    etcd_call_reply(contest->call, &response.base);
}

void etcd_lock(struct etcd_call *call, const ProtobufCMessage *message)
{
    static const struct contest_kind kind = {.lost = ETCD_LOCK_LOST, .won = on_locked};
    static const ProtobufCBinaryData nothing = {0, NULL};
    const V3lockpb__LockRequest *request = (const V3lockpb__LockRequest *)message;

    etcd_contest_enter(call, &kind, request->name, nothing, request->lease);
}

static void on_unlocked(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    V3lockpb__UnlockResponse response = V3LOCKPB__UNLOCK_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_unlock(struct etcd_call *call, const ProtobufCMessage *message)
{
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    struct kv_command command = {.kind = KV_DELETE, .op.kind = KV_DELETE};

    request.key = ((const V3lockpb__UnlockRequest *)message)->key;
    if (etcd_delete_request(call, &request, &command.op.delete))
        etcd_propose(call, &command, on_unlocked);
}
