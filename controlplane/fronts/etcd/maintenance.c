/* SPDX-License-Identifier: Apache-2.0 */
/* The services etcdserverpb.Maintenance, but for snapshots, and grpc.health.v1.Health. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"
#include "health.pb-c.h"

#define HASH_RECORDS 2000u /* in one turn of the loop */

void etcd_status_get(struct etcd_call *call, const ProtobufCMessage *message)
{
    static char no_leader[] = "etcdserver: no leader", no_space[] = "alarm:NOSPACE ";
    const struct kv_status *status = etcd_front_status(call->front);
    Etcdserverpb__StatusResponse response = ETCDSERVERPB__STATUS_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    char *errors[2];

    (void)message;
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    response.version = (char *)ETCD_VERSION;
    response.dbsize = (int64_t)status->store.disk;
    response.dbsizeinuse = (int64_t)status->store.size;
    response.dbsizequota = (int64_t)status->store.quota;
    response.leader = status->leader;
    response.raftindex = status->commit;
    response.raftterm = status->term;
    response.raftappliedindex = status->applied;
    response.errors = errors;
    if (!status->leader)
        errors[response.n_errors++] = no_leader;
    if (status->store.alarm)
        errors[response.n_errors++] = no_space;
    etcd_call_reply(call, &response.base);
}

/* ---- alarms: there is one, of space, and it is the site's ---- */

static void reply_alarm(struct etcd_call *call, bool raised)
{
    Etcdserverpb__AlarmMember member = ETCDSERVERPB__ALARM_MEMBER__INIT, *list[] = {&member};
    Etcdserverpb__AlarmResponse response = ETCDSERVERPB__ALARM_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    etcd_front_header_now(call->front, &header);
    response.header = &header;
    member.memberid = header.member_id;
    member.alarm = ETCDSERVERPB__ALARM_TYPE__NOSPACE;
    response.alarms = list;
    response.n_alarms = raised;
    etcd_call_reply(call, &response.base);
}

static void on_alarm_set(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;

    if (etcd_answered(call, status, result))
        reply_alarm(call, true); /* as etcd does: what was raised, or cleared */
    etcd_call_drop(call);
}

static void on_alarm_barrier(void *arg, int status)
{
    struct etcd_call *call = arg;
    struct kv_info info;

    kv_store_info(kv_service_store(call->front->service), &info);
    if (status)
        etcd_call_fail(call, status);
    else
        reply_alarm(call, info.alarm);
    etcd_call_drop(call);
}

static void alarm_get(struct etcd_call *call)
{
    int error;

    etcd_call_hold(call);
    error = kv_service_barrier(call->front->service, on_alarm_barrier, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

void etcd_alarm(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__AlarmRequest *request = (const Etcdserverpb__AlarmRequest *)message;
    struct kv_command command = {.kind = KV_ALARM};
    struct kv_info info;

    kv_store_info(kv_service_store(call->front->service), &info);
    if (request->action == ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET) {
        alarm_get(call);
    } else if (!etcd_auth_admin(call)) {
        return;
    } else if (request->alarm != ETCDSERVERPB__ALARM_TYPE__NOSPACE) {
        reply_alarm(call, false);
    } else {
        command.alarm = request->action == ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__ACTIVATE;
        if (!command.alarm && !info.alarm)
            reply_alarm(call, false);
        else
            etcd_propose(call, &command, on_alarm_set);
    }
}

/* ---- nothing to do, or the leader's to do ---- */

void etcd_defragment(struct etcd_call *call, const ProtobufCMessage *message)
{
    Etcdserverpb__DefragmentResponse response = ETCDSERVERPB__DEFRAGMENT_RESPONSE__INIT;

    (void)message; /* the store gives space back by itself */
    etcd_call_reply(call, &response.base);
}

static void on_moved(void *arg, int status)
{
    struct etcd_call *call = arg;
    Etcdserverpb__MoveLeaderResponse response = ETCDSERVERPB__MOVE_LEADER_RESPONSE__INIT;

    if (status)
        etcd_call_end(call, status == CULVERT_ENOTLEADER ? ETCD_NO_LEADER : ETCD_TIMEOUT);
    else
        etcd_call_reply(call, &response.base);
    etcd_call_drop(call);
}

struct member_search {
    uint64_t id;
    bool voter;
};

static int find_voter(void *arg, const struct kv_member *member)
{
    struct member_search *search = arg;

    if (member->id == search->id)
        search->voter = member->voter;
    return 0;
}

void etcd_move_leader(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct member_search search = {((const Etcdserverpb__MoveLeaderRequest *)message)->targetid,
                                   false};
    struct kv_service *service = call->front->service;
    int error;

    kv_service_members(service, find_voter, &search);
    if (!search.voter) {
        etcd_call_end(call, ETCD_BAD_TRANSFEREE);
        return;
    }
    etcd_call_hold(call);
    error = kv_service_transfer(service, search.id, on_moved, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

/* ---- hashes ---- */

struct hash_state {
    struct kv_hasher *hasher;
    uint64_t revision, compacted;
    bool whole; /* Hash, not HashKV */
};

void etcd_hash_release(struct etcd_call *call)
{
    struct hash_state *state = call->state;

    kv_hasher_close(state->hasher);
    free(state);
}

static void reply_hash(struct etcd_call *call, uint64_t hash)
{
    const struct hash_state *state = call->state;
    Etcdserverpb__HashResponse whole = ETCDSERVERPB__HASH_RESPONSE__INIT;
    Etcdserverpb__HashKVResponse keys = ETCDSERVERPB__HASH_KVRESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    etcd_front_header_now(call->front, &header);
    if (state->whole) {
        whole.header = &header;
        whole.hash = (uint32_t)(hash ^ hash >> 32);
        etcd_call_reply(call, &whole.base);
    } else {
        keys.header = &header;
        keys.hash = (uint32_t)(hash ^ hash >> 32);
        keys.compact_revision = state->compacted ? (int64_t)state->compacted : -1;
        keys.hash_revision = (int64_t)state->revision;
        etcd_call_reply(call, &keys.base);
    }
}

static void hash_on(struct etcd_call *call)
{
    const struct hash_state *state = call->state;
    uint64_t hash = 0;
    int step;

    if (!etcd_call_open(call))
        return;
    step = kv_hasher_step(state->hasher, HASH_RECORDS, &hash);
    if (step > 0)
        etcd_call_turn(call, hash_on);
    else if (step < 0)
        etcd_call_fail(call, step);
    else
        reply_hash(call, hash);
}

static void hash_begin(struct etcd_call *call, uint64_t revision, bool whole)
{
    struct hash_state *state = calloc(1, sizeof(*state));
    struct kv_info info;
    int error;

    if (!state) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    kv_store_info(kv_service_store(call->front->service), &info);
    call->state = state;
    state->revision = revision ? revision : info.revision;
    state->whole = whole;
    error = kv_hasher_open(&state->hasher, kv_service_store(call->front->service), state->revision,
                           &state->compacted);
    if (error)
        etcd_call_fail(call, error);
    else
        etcd_call_turn(call, hash_on);
}

void etcd_hash(struct etcd_call *call, const ProtobufCMessage *message)
{
    (void)message;
    hash_begin(call, 0, true);
}

void etcd_hash_kv(struct etcd_call *call, const ProtobufCMessage *message)
{
    int64_t revision = ((const Etcdserverpb__HashKVRequest *)message)->revision;

    hash_begin(call, revision > 0 ? (uint64_t)revision : 0, false);
}

/* ---- health ---- */

void etcd_health(struct etcd_call *call, const ProtobufCMessage *message)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    (void)message;
    response.status = etcd_front_status(call->front)->leader
                          ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                          : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    etcd_call_reply(call, &response.base);
}
