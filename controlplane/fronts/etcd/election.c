/* SPDX-License-Identifier: Apache-2.0 */
/* The service v3electionpb.Election, but for Observe. */
#include "controlplane/fronts/etcd/contest.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"
#include "election.pb-c.h"

static void on_elected(struct contest *contest, uint64_t revision)
{
    struct etcd_call *call = contest->call;
    V3electionpb__CampaignResponse response = V3ELECTIONPB__CAMPAIGN_RESPONSE__INIT;
    V3electionpb__LeaderKey leader = V3ELECTIONPB__LEADER_KEY__INIT;
    Etcdserverpb__ResponseHeader header;

    (void)revision;
    leader.name = (ProtobufCBinaryData){contest->prefix.len - 1, contest->prefix.data};
    leader.key = contest->key;
    leader.rev = (int64_t)contest->create;
    leader.lease = contest->lease;
    etcd_front_header(call->front, &header, contest->entered);
    response.header = &header;
    response.leader = &leader;
    etcd_call_reply(call, &response.base);
}

void etcd_campaign(struct etcd_call *call, const ProtobufCMessage *message)
{
    static const struct contest_kind kind = {
        .proclaims = true, .lost = ETCD_NOT_ELECTED, .won = on_elected};
    const V3electionpb__CampaignRequest *request = (const V3electionpb__CampaignRequest *)message;

    etcd_contest_enter(call, &kind, request->name, request->value, request->lease);
}

/* ---- with the key of a leader ---- */

static void on_proclaimed(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    V3electionpb__ProclaimResponse response = V3ELECTIONPB__PROCLAIM_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        if (result->op.succeeded)
            etcd_call_reply(call, &response.base);
        else
            etcd_call_end(call, ETCD_NOT_ELECTED);
    }
    etcd_call_drop(call);
}

void etcd_proclaim(struct etcd_call *call, const ProtobufCMessage *message)
{
    const V3electionpb__ProclaimRequest *request = (const V3electionpb__ProclaimRequest *)message;
    const V3electionpb__LeaderKey *leader = request->leader;
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    Etcdserverpb__RequestOp op = ETCDSERVERPB__REQUEST_OP__INIT;
    struct kv_command command;

    if (!leader) {
        etcd_call_end(call, ETCD_LEADER_MISSING);
        return;
    }
    put.key = leader->key;
    put.value = request->value;
    put.lease = leader->lease;
    put.ignore_lease = !leader->lease; /* the key never loses it, or it would stay for good */
    op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    op.request_put = &put;
    if (etcd_if_created(call, leader->key, leader->rev, &op, &command))
        etcd_propose(call, &command, on_proclaimed);
}

static void on_resigned(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    V3electionpb__ResignResponse response = V3ELECTIONPB__RESIGN_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_resign(struct etcd_call *call, const ProtobufCMessage *message)
{
    const V3electionpb__LeaderKey *leader = ((const V3electionpb__ResignRequest *)message)->leader;
    Etcdserverpb__DeleteRangeRequest delete = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    Etcdserverpb__RequestOp op = ETCDSERVERPB__REQUEST_OP__INIT;
    struct kv_command command;

    if (!leader) {
        etcd_call_end(call, ETCD_LEADER_MISSING);
        return;
    }
    delete.key = leader->key;
    op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    op.request_delete_range = &delete;
    if (etcd_if_created(call, leader->key, leader->rev, &op, &command))
        etcd_propose(call, &command, on_resigned);
}

/* ---- who leads ---- */

static void on_leader(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    V3electionpb__LeaderResponse response = V3ELECTIONPB__LEADER_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    Mvccpb__KeyValue pair;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        response.kv = &pair;
        if (result->op.pairs.count) {
            etcd_pair(&pair, &result->op.pairs.list[0]);
            etcd_call_reply(call, &response.base);
        } else {
            etcd_call_end(call, ETCD_NOBODY_ELECTED);
        }
    }
    etcd_call_drop(call);
}

void etcd_leader(struct etcd_call *call, const ProtobufCMessage *message)
{
    ProtobufCBinaryData name = ((const V3electionpb__LeaderRequest *)message)->name, prefix, end;
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};
    Etcdserverpb__RangeRequest first;

    if (!etcd_name_range(call, name, &prefix, &end))
        return;
    etcd_first_request(&first, prefix, end);
    if (etcd_range_request(call, &first, &command.op.range))
        etcd_read(call, &command, false, on_leader);
}
