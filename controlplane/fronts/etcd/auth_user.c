/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.Auth: users. */
#include <string.h>

#include "controlplane/fronts/etcd/auth_internal.h"
#include "controlplane/fronts/etcd/handlers.h"

static bool is_on(const struct etcd_call *call)
{
    return call->front->auth->state->enabled;
}

/* The user of the request; NULL: there is none, and the call is ended. */
static Authpb__User *need_user(struct etcd_call *call, const char *name)
{
    Authpb__User *user = auth_user(call->front->auth, name);

    if (!user)
        etcd_call_end(call, ETCD_USER_NOT_FOUND);
    return user;
}

static void commit_user(struct etcd_call *call, const Authpb__User *user)
{
    auth_put_user(call, user);
    auth_commit(call, call->front->auth->state);
}

static void set_password(Authpb__User *user, struct auth_request *request)
{
    user->password = (ProtobufCBinaryData){AUTH_KEY_BYTES, request->key};
    user->salt = (ProtobufCBinaryData){AUTH_SALT_BYTES, request->salt};
}

/* ---- adding, and removing ---- */

static void add_step(struct etcd_call *call, struct auth_request *request)
{
    const Etcdserverpb__AuthUserAddRequest *add =
        (const Etcdserverpb__AuthUserAddRequest *)request->message;
    Authpb__User user = AUTHPB__USER__INIT;

    if (auth_user(call->front->auth, add->name)) {
        etcd_call_end(call, ETCD_USER_EXISTS);
        return;
    }
    user.name = auth_text(add->name);
    user.options = add->options;
    if (!add->options || !add->options->no_password)
        set_password(&user, request);
    commit_user(call, &user);
}

void etcd_user_add(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__AuthUserAddRequest *add = (const Etcdserverpb__AuthUserAddRequest *)message;

    if (!*add->name)
        etcd_call_end(call, ETCD_USER_EMPTY);
    else if (strlen(add->name) > AUTH_NAME_MAX)
        etcd_call_end(call, ETCD_REQUEST_TOO_LARGE);
    else
        auth_start(call, message, add_step,
                   add->options && add->options->no_password ? NULL : add->password);
}

static void delete_step(struct etcd_call *call, struct auth_request *request)
{
    const char *name = ((const Etcdserverpb__AuthUserDeleteRequest *)request->message)->name;

    if (is_on(call) && !strcmp(name, AUTH_ROOT)) {
        etcd_call_end(call, ETCD_INVALID_AUTH_MANAGEMENT);
    } else if (need_user(call, name)) {
        auth_remove(call, "user/", name);
        auth_commit(call, call->front->auth->state);
    }
}

void etcd_user_delete(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, delete_step, NULL);
}

static void password_step(struct etcd_call *call, struct auth_request *request)
{
    const char *name =
        ((const Etcdserverpb__AuthUserChangePasswordRequest *)request->message)->name;
    const Authpb__User *user = need_user(call, name);
    Authpb__User changed;

    if (!user)
        return;
    changed = *user;
    changed.options = NULL;
    set_password(&changed, request);
    commit_user(call, &changed);
}

void etcd_user_password(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, password_step,
               ((const Etcdserverpb__AuthUserChangePasswordRequest *)message)->password);
}

/* ---- roles of a user ---- */

static void grant_step(struct etcd_call *call, struct auth_request *request)
{
    const Etcdserverpb__AuthUserGrantRoleRequest *grant =
        (const Etcdserverpb__AuthUserGrantRoleRequest *)request->message;
    const Authpb__User *user = need_user(call, grant->user);
    Authpb__User changed;
    size_t at = 0;

    if (!user)
        return;
    if (strcmp(grant->role, AUTH_ROOT) != 0 && !auth_role(call->front->auth, grant->role)) {
        etcd_call_end(call, ETCD_ROLE_NOT_FOUND);
        return;
    }
    if (auth_has_role(user, grant->role)) {
        auth_reply(call);
        return;
    }
    changed = *user;
    changed.roles = etcd_scratch(call, (user->n_roles + 1) * sizeof(char *));
    if (!changed.roles || user->n_roles >= AUTH_ROLES_MAX) {
        etcd_call_end(call, changed.roles ? ETCD_REQUEST_TOO_LARGE : ETCD_NO_MEMORY);
        return;
    }
    while (at < user->n_roles && strcmp(user->roles[at], grant->role) < 0)
        at++;
    for (size_t i = 0; i < user->n_roles; i++)
        changed.roles[i + (i >= at)] = user->roles[i];
    changed.roles[at] = grant->role;
    changed.n_roles++;
    commit_user(call, &changed);
}

void etcd_user_grant(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, grant_step, NULL);
}

static void revoke_step(struct etcd_call *call, struct auth_request *request)
{
    const Etcdserverpb__AuthUserRevokeRoleRequest *revoke =
        (const Etcdserverpb__AuthUserRevokeRoleRequest *)request->message;
    const Authpb__User *user;

    if (is_on(call) && !strcmp(revoke->name, AUTH_ROOT) && !strcmp(revoke->role, AUTH_ROOT)) {
        etcd_call_end(call, ETCD_INVALID_AUTH_MANAGEMENT);
        return;
    }
    user = need_user(call, revoke->name);
    if (user && !auth_has_role(user, revoke->role))
        etcd_call_end(call, ETCD_ROLE_NOT_GRANTED);
    if (!user || !etcd_call_open(call))
        return;
    auth_put_without(call, user, revoke->role);
    auth_commit(call, call->front->auth->state);
}

void etcd_user_revoke(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, revoke_step, NULL);
}

/* ---- looking ---- */

/* With authentication on, others than root see themselves only. */
static bool may_see(struct etcd_call *call, const char *name)
{
    bool invalid;
    const Authpb__User *caller;

    if (!is_on(call))
        return true;
    caller = auth_caller(call, &invalid);
    if (caller &&
        (auth_has_role(caller, AUTH_ROOT) || caller == auth_user(call->front->auth, name)))
        return true;
    etcd_call_end(call, ETCD_PERMISSION_DENIED);
    return false;
}

static void get_step(struct etcd_call *call, struct auth_request *request)
{
    const char *name = ((const Etcdserverpb__AuthUserGetRequest *)request->message)->name;
    const Authpb__User *user = may_see(call, name) ? need_user(call, name) : NULL;
    Etcdserverpb__AuthUserGetResponse response = ETCDSERVERPB__AUTH_USER_GET_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    if (!user)
        return;
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    response.roles = user->roles;
    response.n_roles = user->n_roles;
    etcd_call_reply(call, &response.base);
}

void etcd_user_get(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, get_step, NULL);
}

static void list_step(struct etcd_call *call, struct auth_request *request)
{
    struct etcd_auth *auth = call->front->auth;
    Etcdserverpb__AuthUserListResponse response = ETCDSERVERPB__AUTH_USER_LIST_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    (void)request;
    response.users = auth_names(call, (const Authpb__Role *const *)auth->users, auth->user_count);
    response.n_users = auth->user_count;
    if (!response.users) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    etcd_call_reply(call, &response.base);
}

void etcd_user_list(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, list_step, NULL);
}
