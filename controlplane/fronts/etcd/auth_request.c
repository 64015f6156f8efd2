/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth_internal.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"

#define HASHING_MAX 64u /* passwords at once */
#define TRIES_MAX 16u

ProtobufCBinaryData auth_text(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

void etcd_auth_release(struct etcd_call *call)
{
    struct auth_request *request = call->state;

    arena_free(&request->memory);
    OPENSSL_cleanse(request->key, sizeof(request->key));
    free(request);
}

/* ---- the way to the step ---- */

static void on_barrier(void *arg, int status)
{
    struct etcd_call *call = arg;
    struct auth_request *request = call->state;

    if (!status)
        status = auth_refresh(call->front->auth);
    if (status) {
        etcd_call_fail(call, status);
    } else if (etcd_call_open(call)) {
        request->ops = NULL;
        request->count = request->room = 0;
        request->more = false;
        request->step(call, request);
    }
    etcd_call_drop(call);
}

static void wait_for_state(struct etcd_call *call)
{
    int error;

    etcd_call_hold(call);
    error = kv_service_barrier(call->front->service, on_barrier, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

/* A password, hashed on a thread. */
struct hashing {
    uv_work_t work;
    struct etcd_call *call;
    uint8_t salt[AUTH_SALT_BYTES], key[AUTH_KEY_BYTES];
    int status;
    char password[];
};

static void hash_run(uv_work_t *work)
{
    struct hashing *hashing = work->data;

    hashing->status = auth_derive(hashing->password, hashing->salt, hashing->key);
}

static void hash_done(uv_work_t *work, int cancelled)
{
    struct hashing *hashing = work->data;
    struct etcd_call *call = hashing->call;
    struct auth_request *request = call->state;

    call->front->auth->hashing--;
    if (cancelled)
        hashing->status = CULVERT_ENOMEM;
    if (hashing->status) {
        etcd_call_fail(call, hashing->status);
    } else if (etcd_call_open(call)) {
        memcpy(request->salt, hashing->salt, AUTH_SALT_BYTES);
        memcpy(request->key, hashing->key, AUTH_KEY_BYTES);
        wait_for_state(call);
    }
    OPENSSL_cleanse(hashing->password, strlen(hashing->password));
    OPENSSL_cleanse(hashing->key, sizeof(hashing->key));
    free(hashing);
    etcd_call_drop(call);
}

static void hash_password(struct etcd_call *call, const char *password, const uint8_t *salt)
{
    struct etcd_auth *auth = call->front->auth;
    struct hashing *hashing =
        auth->hashing < HASHING_MAX ? malloc(sizeof(*hashing) + strlen(password) + 1) : NULL;

    if (!hashing) {
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    hashing->call = call;
    hashing->work.data = hashing;
    strcpy(hashing->password, password);
    if (salt)
        memcpy(hashing->salt, salt, AUTH_SALT_BYTES);
    else if (getrandom(hashing->salt, AUTH_SALT_BYTES, 0) != AUTH_SALT_BYTES)
        hashing->salt[0] = 0; /* can't be: so few bytes come whole */
    if (uv_queue_work(call->front->loop, &hashing->work, hash_run, hash_done)) {
        free(hashing);
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    auth->hashing++;
    etcd_call_hold(call);
}

static void *memory_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void memory_free(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

/* A copy that lasts as long as the call. */
static const ProtobufCMessage *copy_message(struct arena *arena, const ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {memory_alloc, memory_free, arena};
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_alloc(arena, length);

    if (!bytes)
        return NULL;
    protobuf_c_message_pack(message, bytes);
    return protobuf_c_message_unpack(message->descriptor, &allocator, length, bytes);
}

void auth_start(struct etcd_call *call, const ProtobufCMessage *message,
                void (*step)(struct etcd_call *call, struct auth_request *request),
                const char *password)
{
    struct auth_request *request = calloc(1, sizeof(*request));

    call->state = request;
    if (request)
        request->message = copy_message(&request->memory, message);
    if (!request || !request->message) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    request->step = step;
    if (password)
        hash_password(call, password, NULL);
    else
        wait_for_state(call);
}

void auth_hash(struct etcd_call *call, const char *password, const uint8_t salt[AUTH_SALT_BYTES],
               void (*step)(struct etcd_call *call, struct auth_request *request))
{
    struct auth_request *request = call->state;

    request->step = step;
    hash_password(call, password, salt);
}

/* ---- changes ---- */

/* The next operation of the change; NULL: the call is ended. */
static struct kv_op *next_op(struct etcd_call *call)
{
    struct auth_request *request = call->state;

    if (!request->ops) {
        request->room = AUTH_OPS_MAX + 1;
        request->ops = etcd_scratch(call, request->room * sizeof(*request->ops));
    }
    if (!request->ops || request->count == request->room) {
        etcd_call_end(call, request->ops ? ETCD_TOO_MANY_OPS : ETCD_NO_MEMORY);
        return NULL;
    }
    return &request->ops[request->count++];
}

static struct kv_slice record_key(struct etcd_call *call, const char *kind,
                                  ProtobufCBinaryData name)
{
    size_t head = 1 + strlen(kind);
    uint8_t *bytes = etcd_scratch(call, head + name.len + 1);

    if (!bytes) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return (struct kv_slice){NULL, 0};
    }
    bytes[0] = KV_SPACE_AUTH;
    memcpy(bytes + 1, kind, head - 1);
    if (name.len)
        memcpy(bytes + head, name.data, name.len);
    return (struct kv_slice){bytes, head + name.len};
}

static void put_record(struct etcd_call *call, const char *kind, ProtobufCBinaryData name,
                       const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = etcd_scratch(call, length + 1);
    struct kv_op *op = bytes ? next_op(call) : NULL;

    if (!op) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    protobuf_c_message_pack(message, bytes);
    op->kind = KV_PUT;
    op->put = (struct kv_put){
        .key = record_key(call, kind, name),
        .value = {bytes, length},
    };
}

void auth_put_user(struct etcd_call *call, const Authpb__User *user)
{
    put_record(call, "user/", user->name, &user->base);
}

void auth_put_role(struct etcd_call *call, const Authpb__Role *role)
{
    put_record(call, "role/", role->name, &role->base);
}

void auth_remove(struct etcd_call *call, const char *kind, const char *name)
{
    struct kv_op *op = next_op(call);

    if (!op)
        return;
    op->kind = KV_DELETE;
    op->delete = (struct kv_delete){.keys.key = record_key(call, kind, auth_text(name))};
}

static void on_committed(void *arg, int status, const struct kv_result *result)
{
    struct etcd_call *call = arg;
    struct auth_request *request = call->state;

    if (etcd_answered(call, status, result)) {
        if (result->op.succeeded && !request->more)
            auth_reply(call);
        else if (result->op.succeeded || ++request->tries < TRIES_MAX)
            wait_for_state(call);
        else
            etcd_call_end(call, ETCD_TIMEOUT);
    }
    etcd_call_drop(call);
}

void auth_commit(struct etcd_call *call, const Authpb__State *state)
{
    static const ProtobufCBinaryData none = {0, NULL};
    struct auth_request *request = call->state;
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    struct kv_compare unchanged = {
        .compared = KV_IF_MOD,
        .relation = KV_EQUAL,
        .number = (int64_t)call->front->auth->mod,
    };
    Authpb__State next = *state;

    next.revision++;
    unchanged.keys.key = record_key(call, "state", none);
    put_record(call, "state", none, &next.base);
    if (!etcd_call_open(call))
        return;
    command.op.txn.compares = &unchanged;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1].list = request->ops;
    command.op.txn.branch[1].count = request->count;
    etcd_propose(call, &command, on_committed);
}

void auth_reply(struct etcd_call *call)
{
    Etcdserverpb__AuthEnableResponse response = ETCDSERVERPB__AUTH_ENABLE_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    etcd_front_header_now(call->front, &header);
    response.header = &header;
    etcd_call_reply(call, &response.base); /* the others look the same */
}
