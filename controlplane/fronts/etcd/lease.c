/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.Lease. */
#include <stdlib.h>
#include <sys/random.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"

#define TTL_MIN 2         /* seconds: shorter ones become this, as etcd's do by default */
#define KEEPS_MAX 1024u   /* of a stream under way */
#define LISTED_MAX 65536u /* leases, or keys of a lease, in one answer */

/* ---- granting and revoking ---- */

static void on_granted(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__LeaseGrantResponse response = ETCDSERVERPB__LEASE_GRANT_RESPONSE__INIT;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        response.id = result->lease.id;
        response.ttl = (int64_t)result->lease.ttl;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

int64_t etcd_lease_id(void)
{
    int64_t id = 0;

    while (id <= 0) {
        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
            return CULVERT_ESYSTEM;
        id &= INT64_MAX;
    }
    return id;
}

void etcd_lease_grant(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__LeaseGrantRequest *request =
        (const Etcdserverpb__LeaseGrantRequest *)message;
    struct kv_command command = {.kind = KV_LEASE_GRANT};

    command.lease.id = request->id ? request->id : etcd_lease_id();
    command.lease.ttl = request->ttl < TTL_MIN ? TTL_MIN : (uint64_t)request->ttl;
    if (!request->id && command.lease.id < 0)
        etcd_call_fail(call, (int)command.lease.id);
    else
        etcd_propose(call, &command, on_granted);
}

static void on_revoked(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__LeaseRevokeResponse response = ETCDSERVERPB__LEASE_REVOKE_RESPONSE__INIT;

    if (etcd_answered(call, status, result)) {
        etcd_front_header(call->front, &header, result->revision);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_lease_revoke(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct kv_command command = {.kind = KV_LEASE_REVOKE};

    command.lease.id = ((const Etcdserverpb__LeaseRevokeRequest *)message)->id;
    if (etcd_auth_may_lease(call, command.lease.id, ETCD_MAY_WRITE))
        etcd_propose(call, &command, on_revoked);
}

/* ---- keeping alive, and how long ---- */

struct lease_question {
    struct etcd_call *call;
    int64_t id;
    bool keys;
};

/* Holds the call until answered. NULL: the call is ended. */
static struct lease_question *question_new(struct etcd_call *call, int64_t id, bool keys)
{
    struct lease_question *question = malloc(sizeof(*question));

    if (!question) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return NULL;
    }
    *question = (struct lease_question){call, id, keys};
    etcd_call_hold(call);
    return question;
}

static void question_free(struct lease_question *question)
{
    struct etcd_call *call = question->call;

    free(question);
    etcd_call_drop(call);
}

static void on_kept(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct lease_question *question = arg;
    struct etcd_call *call = question->call;
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__LeaseKeepAliveResponse response = ETCDSERVERPB__LEASE_KEEP_ALIVE_RESPONSE__INIT;

    (void)granted;
    if (status && status != CULVERT_ENOLEASE) {
        etcd_call_fail(call, status);
    } else {
        etcd_front_header_now(call->front, &header);
        response.header = &header;
        response.id = question->id;
        response.ttl = status ? 0 : (int64_t)remaining;
        etcd_call_send(call, &response.base);
        if (call->half_closed && call->holds == 1)
            etcd_call_end(call, ETCD_OK);
    }
    question_free(question);
}

void etcd_lease_keep(struct etcd_call *call, const ProtobufCMessage *message)
{
    int64_t id = ((const Etcdserverpb__LeaseKeepAliveRequest *)message)->id;
    struct lease_question *question;
    int error;

    if (call->holds >= KEEPS_MAX) {
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    question = question_new(call, id, false);
    if (!question)
        return;
    error = kv_service_lease_keep(call->front->service, id, on_kept, question);
    if (!error)
        return;
    etcd_call_fail(call, error);
    question_free(question);
}

struct key_list {
    struct etcd_call *call;
    ProtobufCBinaryData *keys;
    size_t count, room;
    bool failed;
};

static int add_key(void *arg, struct kv_slice key)
{
    struct key_list *list = arg;
    ProtobufCBinaryData *keys;
    struct kv_slice copy;

    if (!key.length || key.data[0] != KV_SPACE_CLIENT)
        return 0;
    if (list->count == list->room) {
        keys = list->count < LISTED_MAX
                   ? etcd_scratch(list->call, 2 * (list->room + 8) * sizeof(*keys))
                   : NULL;
        if (!keys)
            return CULVERT_ENOMEM;
        for (size_t i = 0; i < list->count; i++)
            keys[i] = list->keys[i];
        list->keys = keys;
        list->room = 2 * (list->room + 8);
    }
    copy = etcd_key(list->call, etcd_key_bytes(key));
    if (!copy.data)
        return CULVERT_ENOMEM;
    list->keys[list->count++] = etcd_key_bytes(copy);
    return 0;
}

static void on_time(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct lease_question *question = arg;
    struct etcd_call *call = question->call;
    struct key_list list = {.call = call};
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__LeaseTimeToLiveResponse response =
        ETCDSERVERPB__LEASE_TIME_TO_LIVE_RESPONSE__INIT;

    response.id = question->id;
    response.ttl = status ? -1 : (int64_t)remaining;
    response.grantedttl = status ? 0 : (int64_t)granted;
    if (!status && question->keys)
        status = kv_store_lease_keys(kv_service_store(call->front->service), question->id, add_key,
                                     &list);
    if (status && status != CULVERT_ENOLEASE) {
        etcd_call_fail(call, status);
    } else {
        response.keys = list.keys;
        response.n_keys = list.count;
        etcd_front_header_now(call->front, &header);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    question_free(question);
}

void etcd_lease_time(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__LeaseTimeToLiveRequest *request =
        (const Etcdserverpb__LeaseTimeToLiveRequest *)message;
    struct lease_question *question;
    int error;

    if (request->keys && !etcd_auth_may_lease(call, request->id, ETCD_MAY_READ))
        return;
    question = question_new(call, request->id, request->keys);
    if (!question)
        return;
    error = kv_service_lease_time(call->front->service, request->id, on_time, question);
    if (!error)
        return;
    etcd_call_fail(call, error);
    question_free(question);
}

/* ---- the list ---- */

struct lease_list {
    struct etcd_call *call;
    Etcdserverpb__LeaseStatus **leases;
    size_t count, room;
};

static int add_lease(void *arg, const struct kv_lease *lease)
{
    struct lease_list *list = arg;
    Etcdserverpb__LeaseStatus *status;

    if (list->count == list->room)
        return CULVERT_EFULL;
    status = etcd_scratch(list->call, sizeof(*status));
    if (!status)
        return CULVERT_ENOMEM;
    etcdserverpb__lease_status__init(status);
    status->id = lease->id;
    list->leases[list->count++] = status;
    return 0;
}

static void on_barrier(void *arg, int status)
{
    struct etcd_call *call = arg;
    struct lease_list list = {.call = call};
    Etcdserverpb__ResponseHeader header;
    Etcdserverpb__LeaseLeasesResponse response = ETCDSERVERPB__LEASE_LEASES_RESPONSE__INIT;

    list.room = etcd_front_status(call->front)->store.leases;
    if (list.room > KV_LEASES_MAX)
        list.room = KV_LEASES_MAX;
    if (!status &&
        !(list.leases = etcd_scratch(call, list.room * sizeof(Etcdserverpb__LeaseStatus *))))
        status = CULVERT_ENOMEM;
    if (!status)
        status = kv_store_leases(kv_service_store(call->front->service), add_lease, &list);
    if (status) {
        etcd_call_fail(call, status);
    } else {
        response.leases = list.leases;
        response.n_leases = list.count;
        etcd_front_header_now(call->front, &header);
        response.header = &header;
        etcd_call_reply(call, &response.base);
    }
    etcd_call_drop(call);
}

void etcd_lease_list(struct etcd_call *call, const ProtobufCMessage *message)
{
    int error;

    (void)message;
    etcd_call_hold(call);
    error = kv_service_barrier(call->front->service, on_barrier, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}
