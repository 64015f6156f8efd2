/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/contest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"

#define SESSION_TTL 60u    /* seconds, of a lease that nobody has chosen */
#define LEASE_TEXT_MAX 20u /* a sign and 16 digits */

/* ---- what waits ---- */

bool etcd_waiter_add(struct etcd_call *call, size_t bytes)
{
    struct etcd_front *front = call->front;

    if (front->waiters >= front->options.waiters_max) {
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
        return false;
    }
    call->kept = bytes;
    if (!etcd_call_account(call)) {
        call->kept = 0;
        etcd_call_account(call);
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
        return false;
    }
    front->waiters++;
    return true;
}

void etcd_waiter_remove(struct etcd_front *front)
{
    front->waiters--;
}

/* ---- requests ---- */

bool etcd_name_range(struct etcd_call *call, ProtobufCBinaryData name, ProtobufCBinaryData *prefix,
                     ProtobufCBinaryData *end)
{
    uint8_t *bytes = etcd_scratch(call, 2 * (name.len + 1));

    if (!bytes) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return false;
    }
    *prefix = (ProtobufCBinaryData){name.len + 1, bytes};
    *end = (ProtobufCBinaryData){name.len + 1, bytes + name.len + 1};
    if (name.len) {
        memcpy(prefix->data, name.data, name.len);
        memcpy(end->data, name.data, name.len);
    }
    prefix->data[name.len] = '/';
    end->data[name.len] = '/' + 1;
    return true;
}

void etcd_first_request(Etcdserverpb__RangeRequest *request, ProtobufCBinaryData prefix,
                        ProtobufCBinaryData end)
{
    etcdserverpb__range_request__init(request);
    request->key = prefix;
    request->range_end = end;
    request->sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__ASCEND;
    request->sort_target = ETCDSERVERPB__RANGE_REQUEST__SORT_TARGET__CREATE;
    request->limit = 1;
}

static void set_compare(Etcdserverpb__Compare *compare, ProtobufCBinaryData key, int64_t create)
{
    etcdserverpb__compare__init(compare);
    compare->key = key;
    compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
    compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
    compare->create_revision = create;
}

static void set_range(Etcdserverpb__RequestOp *op, Etcdserverpb__RangeRequest *range)
{
    etcdserverpb__request_op__init(op);
    op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    op->request_range = range;
}

bool etcd_if_created(struct etcd_call *call, ProtobufCBinaryData key, int64_t create,
                     Etcdserverpb__RequestOp *op, struct kv_command *command)
{
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    Etcdserverpb__Compare compare, *compares[] = {&compare};
    bool serializable = true;

    set_compare(&compare, key, create);
    txn.compare = compares;
    txn.success = &op;
    txn.n_compare = txn.n_success = 1;
    *command = (struct kv_command){.kind = KV_TXN, .op.kind = KV_TXN};
    return etcd_txn_request(call, &txn, &command->op.txn, &serializable);
}

/* ---- a place's end ---- */

static void on_withdrawn(void *arg, int status, const struct kv_result *result)
{
    (void)arg;
    (void)status; /* else the lease's end does it */
    (void)result;
}

/* The client gave up, or never heard that it has the place: the next one's turn is not to wait for
 * the lease's end. A server that ends is no reason: the client finds its place by another one. */
static void withdraw(struct contest *contest)
{
    struct kv_compare compare = {.compared = KV_IF_CREATE, .relation = KV_EQUAL};
    struct kv_op delete = {.kind = KV_DELETE};
    struct kv_command command = {.kind = KV_LEASE_REVOKE, .lease.id = contest->lease};
    struct etcd_call *call = contest->call;

    if (contest->won || (call->ended && call->code == ETCD_CODE_UNAVAILABLE))
        return;
    if (!contest->granted && !contest->created && !contest->waits)
        return;
    if (!contest->granted) {
        compare.keys.key = etcd_key(call, contest->key);
        compare.number = (int64_t)contest->create;
        delete.delete.keys.key = compare.keys.key;
        command = (struct kv_command){.kind = KV_TXN, .op.kind = KV_TXN};
        command.op.txn = (struct kv_txn){&compare, 1, {{NULL, 0}, {&delete, 1}}};
        if (!compare.keys.key.data)
            return;
    }
    kv_service_propose(call->front->service, &command, on_withdrawn, NULL);
}

static void contest_free(struct contest *contest)
{
    withdraw(contest);
    etcd_waiter_remove(contest->call->front);
    free(contest);
}

static void stop_watching(struct contest *contest)
{
    if (contest->older)
        kv_watch_cancel(contest->older);
    if (contest->own)
        kv_watch_cancel(contest->own);
    contest->older = contest->own = NULL;
}

void etcd_contest_release(struct etcd_call *call)
{
    struct contest *contest = call->state;

    contest->left = true;
    stop_watching(contest);
    if (!contest->busy)
        contest_free(contest);
}

/* ---- requests of a place, of which one is under way at a time ---- */

static void asked(struct contest *contest, int error)
{
    contest->busy = !error;
    if (!error)
        return;
    etcd_call_fail(contest->call, error);
    etcd_call_drop(contest->call);
}

static void propose(struct contest *contest, const struct kv_command *command, kv_answer answer)
{
    etcd_call_hold(contest->call);
    asked(contest, kv_service_propose(contest->call->front->service, command, answer, contest));
}

/* Whether there is an answer and still somebody for it. The call is dropped after it. */
static bool goes_on(struct contest *contest, int status, const struct kv_result *result)
{
    contest->busy = false;
    if (!contest->left)
        return etcd_answered(contest->call, status, result);
    contest_free(contest);
    return false;
}

static void win(struct contest *contest, uint64_t revision)
{
    contest->won = true;
    contest->kind->won(contest, revision);
}

/* ---- waiting ---- */

static void look(struct contest *contest);

static void look_again(struct etcd_call *call)
{
    struct contest *contest = call->state;

    if (!contest || !etcd_call_open(call))
        return;
    stop_watching(contest);
    if (!contest->busy)
        look(contest);
}

static bool on_deleted(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    struct contest *contest = arg;

    (void)watch;
    if (news->count)
        etcd_call_turn(contest->call, look_again);
    return true;
}

static void on_watch_end(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    struct contest *contest = arg;

    (void)compacted;
    if (watch == contest->older)
        contest->older = NULL;
    else
        contest->own = NULL;
    etcd_call_fail(contest->call, error);
}

/* Watches a key for its deletion behind a revision. */
static int await_deletion(struct contest *contest, struct kv_slice key, uint64_t revision,
                          struct kv_watch **watch)
{
    const struct kv_watch_receiver receiver = {contest, on_deleted, on_watch_end};
    struct kv_watch_options options = {.keys.key = key, .start = revision + 1, .no_put = true};

    return kv_watch_create(watch, contest->call->front->hub, &options, &receiver);
}

static void on_looked(void *arg, int status, const struct kv_result *result)
{
    struct contest *contest = arg;
    struct etcd_call *call = contest->call;
    const struct kv_pairs *own, *older;
    int error;

    if (goes_on(contest, status, result)) {
        own = &result->op.results[0].pairs;
        older = &result->op.results[1].pairs;
        if (!own->count || own->list[0].create != contest->create) {
            contest->waits = contest->created = false;
            etcd_call_end(call, contest->kind->lost);
        } else if (!older->count) {
            win(contest, result->revision);
        } else {
            error = await_deletion(contest, own->list[0].key, result->revision, &contest->own);
            if (!error)
                error =
                    await_deletion(contest, older->list[0].key, result->revision, &contest->older);
            if (error)
                etcd_call_fail(call, error);
            else
                etcd_front_pump(call->front);
        }
    }
    etcd_call_drop(call);
}

/* Whether the place is there still, and who is the next before it. */
static void look(struct contest *contest)
{
    struct etcd_call *call = contest->call;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    Etcdserverpb__RangeRequest own = ETCDSERVERPB__RANGE_REQUEST__INIT, older;
    Etcdserverpb__RequestOp ops[2], *list[] = {&ops[0], &ops[1]};
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    bool serializable = true;

    own.key = contest->key;
    etcd_first_request(&older, contest->prefix, contest->end);
    older.sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__DESCEND;
    older.max_create_revision = (int64_t)contest->create - 1;
    own.keys_only = older.keys_only = true;
    set_range(&ops[0], &own);
    set_range(&ops[1], &older);
    txn.success = list;
    txn.n_success = 2;
    contest->waits = true;
    if (!etcd_txn_request(call, &txn, &command.op.txn, &serializable))
        return;
    etcd_call_hold(call);
    asked(contest, kv_service_read(call->front->service, &command, false, on_looked, contest));
}

/* ---- getting in line ---- */

/* Notes the key's creation. Returns that of the first in line. */
static uint64_t note_place(struct contest *contest, const struct kv_result *result)
{
    const struct kv_op_result *op = &result->op;
    const struct kv_pairs *first = &op->results[1].pairs;

    contest->created = op->succeeded;
    contest->create = op->succeeded ? result->revision : op->results[0].pairs.list[0].create;
    contest->entered = result->revision;
    return first->list[0].create;
}

static void on_entered(void *arg, int status, const struct kv_result *result)
{
    struct contest *contest = arg;
    struct etcd_call *call = contest->call;
    uint64_t first = 0;

    if (!status && !result->status)
        first = note_place(contest, result);
    if (goes_on(contest, status, result)) {
        if (first == contest->create)
            win(contest, result->revision);
        else
            look(contest);
    }
    etcd_call_drop(call);
}

/* In one transaction: the key is put if it isn't there, else it may get the value; and who is the
 * first in line. */
static void enter(struct contest *contest)
{
    struct etcd_call *call = contest->call;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT, renew = txn;
    Etcdserverpb__Compare absent, same, *compares[] = {&absent, &same};
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    Etcdserverpb__RangeRequest own = ETCDSERVERPB__RANGE_REQUEST__INIT, first;
    Etcdserverpb__RequestOp ops[4], *put_op = &ops[0];
    Etcdserverpb__RequestOp *success[] = {&ops[0], &ops[2]},
                            *failure[] = {&ops[1], &ops[2], &ops[3]};
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    bool serializable = true;

    own.key = put.key = contest->key;
    put.value = contest->value;
    put.lease = contest->lease;
    etcdserverpb__request_op__init(put_op);
    put_op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    put_op->request_put = &put;
    etcd_first_request(&first, contest->prefix, contest->end);
    first.keys_only = true;
    set_range(&ops[1], &own);
    set_range(&ops[2], &first);
    set_compare(&absent, contest->key, 0);
    etcdserverpb__compare__init(&same);
    same.key = contest->key;
    same.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
    same.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE;
    same.value = contest->value;
    renew.compare = &compares[1];
    renew.failure = &put_op;
    renew.n_compare = renew.n_failure = 1;
    etcdserverpb__request_op__init(&ops[3]);
    ops[3].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    ops[3].request_txn = &renew;
    txn.compare = compares;
    txn.success = success;
    txn.failure = failure;
    txn.n_compare = 1;
    txn.n_success = 2;
    txn.n_failure = contest->kind->proclaims ? 3 : 2;
    if (etcd_txn_request(call, &txn, &command.op.txn, &serializable))
        propose(contest, &command, on_entered);
}

static void set_key(struct contest *contest)
{
    uint64_t lease = (uint64_t)contest->lease;
    char text[LEASE_TEXT_MAX];
    int length = contest->lease < 0 ? snprintf(text, sizeof(text), "-%" PRIx64, -lease)
                                    : snprintf(text, sizeof(text), "%" PRIx64, lease);

    memcpy(contest->key.data + contest->prefix.len, text, (size_t)length);
    contest->key.len = contest->prefix.len + (size_t)length;
}

static void on_granted(void *arg, int status, const struct kv_result *result)
{
    struct contest *contest = arg;
    struct etcd_call *call = contest->call;

    if (goes_on(contest, status, result))
        enter(contest);
    etcd_call_drop(call);
}

static struct contest *contest_new(struct etcd_call *call, ProtobufCBinaryData name,
                                   ProtobufCBinaryData value)
{
    size_t prefix = name.len + 1, key = prefix + LEASE_TEXT_MAX;
    size_t bytes = 2 * prefix + key + value.len;
    ProtobufCBinaryData from, end;
    struct contest *contest;

    if (!etcd_name_range(call, name, &from, &end) || !etcd_waiter_add(call, bytes))
        return NULL;
    contest = calloc(1, sizeof(*contest) + bytes);
    if (!contest) {
        etcd_waiter_remove(call->front);
        etcd_call_end(call, ETCD_NO_MEMORY);
        return NULL;
    }
    contest->call = call;
    contest->prefix = (ProtobufCBinaryData){prefix, contest->bytes};
    contest->end = (ProtobufCBinaryData){prefix, contest->bytes + prefix};
    contest->key.data = contest->bytes + 2 * prefix;
    contest->value = (ProtobufCBinaryData){value.len, contest->key.data + key};
    memcpy(contest->prefix.data, from.data, prefix);
    memcpy(contest->end.data, end.data, prefix);
    memcpy(contest->key.data, from.data, prefix);
    if (value.len)
        memcpy(contest->value.data, value.data, value.len);
    return contest;
}

void etcd_contest_enter(struct etcd_call *call, const struct contest_kind *kind,
                        ProtobufCBinaryData name, ProtobufCBinaryData value, int64_t lease)
{
    struct kv_command command = {.kind = KV_LEASE_GRANT, .lease.ttl = SESSION_TTL};
    struct contest *contest = contest_new(call, name, value);

    if (!contest)
        return;
    call->state = contest;
    contest->kind = kind;
    contest->granted = !lease;
    contest->lease = lease ? lease : etcd_lease_id();
    set_key(contest);
    command.lease.id = contest->lease;
    if (!contest->granted)
        enter(contest);
    else if (contest->lease < 0)
        etcd_call_fail(call, (int)contest->lease);
    else
        propose(contest, &command, on_granted);
}
