/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.Auth: the switch, and tokens. */
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/fronts/etcd/auth_internal.h"
#include "controlplane/fronts/etcd/handlers.h"

static const Authpb__State *state_of(const struct etcd_call *call)
{
    return call->front->auth->state;
}

static void enable_step(struct etcd_call *call, struct auth_request *request)
{
    Authpb__State state = *state_of(call);
    const Authpb__User *root = auth_user(call->front->auth, AUTH_ROOT);
    uint8_t secret[AUTH_SECRET_BYTES];

    (void)request;
    if (state.enabled) {
        auth_reply(call);
    } else if (!root) {
        etcd_call_end(call, ETCD_ROOT_USER_MISSING);
    } else if (!auth_has_role(root, AUTH_ROOT)) {
        etcd_call_end(call, ETCD_ROOT_ROLE_MISSING);
    } else if (getrandom(secret, sizeof(secret), 0) != sizeof(secret)) {
        etcd_call_end(call, ETCD_INTERNAL);
    } else {
        state.enabled = true;
        state.secret = (ProtobufCBinaryData){sizeof(secret), secret};
        auth_commit(call, &state);
    }
}

void etcd_auth_enable(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, enable_step, NULL);
}

static void disable_step(struct etcd_call *call, struct auth_request *request)
{
    Authpb__State state = *state_of(call);

    (void)request;
    if (!state.enabled) {
        auth_reply(call);
        return;
    }
    state.enabled = false;
    state.secret = (ProtobufCBinaryData){0, NULL};
    auth_commit(call, &state);
}

void etcd_auth_disable(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, disable_step, NULL);
}

static void status_step(struct etcd_call *call, struct auth_request *request)
{
    Etcdserverpb__AuthStatusResponse response = ETCDSERVERPB__AUTH_STATUS_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    (void)request;
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    response.enabled = state_of(call)->enabled;
    response.authrevision = state_of(call)->revision;
    etcd_call_reply(call, &response.base);
}

void etcd_auth_status(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, status_step, NULL);
}

/* ---- tokens ---- */

static const Etcdserverpb__AuthenticateRequest *
authenticate_request(const struct auth_request *request)
{
    return (const Etcdserverpb__AuthenticateRequest *)request->message;
}

static bool is_password(const Authpb__User *user, const struct auth_request *request)
{
    return user && user->password.len == AUTH_KEY_BYTES && user->salt.len == AUTH_SALT_BYTES &&
           !memcmp(user->salt.data, request->salt, AUTH_SALT_BYTES) &&
           !CRYPTO_memcmp(user->password.data, request->key, AUTH_KEY_BYTES);
}

static void token_step(struct etcd_call *call, struct auth_request *request)
{
    struct etcd_auth *auth = call->front->auth;
    const Authpb__User *user = auth_user(auth, authenticate_request(request)->name);
    Etcdserverpb__AuthenticateResponse response = ETCDSERVERPB__AUTHENTICATE_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    char token[ETCD_TOKEN_MAX];

    if (!auth->state->enabled) {
        etcd_call_end(call, ETCD_AUTH_NOT_ENABLED);
    } else if (!is_password(user, request)) {
        etcd_call_end(call, ETCD_AUTH_FAILED);
    } else if (auth_token_make(auth, user, token)) {
        etcd_call_end(call, ETCD_NO_MEMORY);
    } else {
        etcd_front_header_now(call->front, &header);
        response.header = &header;
        response.token = token;
        etcd_call_reply(call, &response.base);
    }
}

/* A user that isn't there takes as long as one that is. */
static void authenticate_step(struct etcd_call *call, struct auth_request *request)
{
    static const uint8_t nobody[AUTH_SALT_BYTES];
    struct etcd_auth *auth = call->front->auth;
    const Authpb__User *user = auth_user(auth, authenticate_request(request)->name);

    if (!auth->state->enabled)
        etcd_call_end(call, ETCD_AUTH_NOT_ENABLED);
    else
        auth_hash(call, authenticate_request(request)->password,
                  user && user->salt.len == AUTH_SALT_BYTES ? user->salt.data : nobody, token_step);
}

void etcd_authenticate(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, authenticate_step, NULL);
}
