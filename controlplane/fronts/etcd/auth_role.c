/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.Auth: roles. */
#include <string.h>

#include "controlplane/fronts/etcd/auth_internal.h"
#include "controlplane/fronts/etcd/handlers.h"

static Authpb__Role *need_role(struct etcd_call *call, const char *name)
{
    Authpb__Role *role = auth_role(call->front->auth, name);

    if (!role)
        etcd_call_end(call, ETCD_ROLE_NOT_FOUND);
    return role;
}

static void commit_role(struct etcd_call *call, const Authpb__Role *role)
{
    auth_put_role(call, role);
    auth_commit(call, call->front->auth->state);
}

char **auth_names(struct etcd_call *call, const Authpb__Role *const *records, size_t count)
{
    char **names = etcd_scratch(call, count * sizeof(char *) + 1);

    for (size_t i = 0; names && i < count; i++) {
        names[i] = etcd_scratch(call, records[i]->name.len + 1);
        if (!names[i])
            return NULL;
        memcpy(names[i], records[i]->name.data, records[i]->name.len);
    }
    return names;
}

void auth_put_without(struct etcd_call *call, const Authpb__User *user, const char *role)
{
    Authpb__User changed = *user;

    changed.n_roles = 0;
    changed.roles = etcd_scratch(call, user->n_roles * sizeof(char *));
    if (!changed.roles) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < user->n_roles; i++)
        if (strcmp(user->roles[i], role) != 0)
            changed.roles[changed.n_roles++] = user->roles[i];
    auth_put_user(call, &changed);
}

/* ---- adding, and removing ---- */

static void add_step(struct etcd_call *call, struct auth_request *request)
{
    const char *name = ((const Etcdserverpb__AuthRoleAddRequest *)request->message)->name;
    Authpb__Role role = AUTHPB__ROLE__INIT;

    if (auth_role(call->front->auth, name)) {
        etcd_call_end(call, ETCD_ROLE_EXISTS);
        return;
    }
    role.name = auth_text(name);
    commit_role(call, &role);
}

void etcd_role_add(struct etcd_call *call, const ProtobufCMessage *message)
{
    const char *name = ((const Etcdserverpb__AuthRoleAddRequest *)message)->name;

    if (!*name)
        etcd_call_end(call, ETCD_ROLE_EMPTY);
    else if (strlen(name) > AUTH_NAME_MAX)
        etcd_call_end(call, ETCD_REQUEST_TOO_LARGE);
    else
        auth_start(call, message, add_step, NULL);
}

/* Takes the role from those who have it, some at a time, and at last away. */
static void delete_step(struct etcd_call *call, struct auth_request *request)
{
    const char *name = ((const Etcdserverpb__AuthRoleDeleteRequest *)request->message)->role;
    const struct etcd_auth *auth = call->front->auth;

    if (auth->state->enabled && !strcmp(name, AUTH_ROOT)) {
        etcd_call_end(call, ETCD_INVALID_AUTH_MANAGEMENT);
        return;
    }
    if (!need_role(call, name))
        return;
    for (size_t i = 0; i < auth->user_count && !request->more; i++) {
        if (!auth_has_role(auth->users[i], name))
            continue;
        request->more = request->count == AUTH_OPS_MAX - 1;
        if (!request->more)
            auth_put_without(call, auth->users[i], name);
    }
    if (!request->more)
        auth_remove(call, "role/", name);
    auth_commit(call, auth->state);
}

void etcd_role_delete(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, delete_step, NULL);
}

/* ---- permissions of a role ---- */

static bool same_bytes(ProtobufCBinaryData x, ProtobufCBinaryData y)
{
    return x.len == y.len && (!x.len || !memcmp(x.data, y.data, x.len));
}

static int compare_keys(ProtobufCBinaryData x, ProtobufCBinaryData y)
{
    return kv_compare_bytes((struct kv_slice){x.data, x.len}, (struct kv_slice){y.data, y.len});
}

/* A permission's end must be behind its beginning, or say that there is none. */
static bool range_valid(const Authpb__Permission *permission)
{
    if (!permission->range_end.len)
        return permission->key.len;
    if (permission->range_end.len == 1 && !permission->range_end.data[0])
        return true;
    return compare_keys(permission->key, permission->range_end) < 0;
}

/* The place of a range among a role's permissions; their number: it is not there. */
static size_t find_permission(const Authpb__Role *role, ProtobufCBinaryData key,
                              ProtobufCBinaryData end)
{
    size_t at = 0;

    while (at < role->n_keypermission && (!same_bytes(role->keypermission[at]->key, key) ||
                                          !same_bytes(role->keypermission[at]->range_end, end)))
        at++;
    return at;
}

static void grant_step(struct etcd_call *call, struct auth_request *request)
{
    const Etcdserverpb__AuthRoleGrantPermissionRequest *grant =
        (const Etcdserverpb__AuthRoleGrantPermissionRequest *)request->message;
    const Authpb__Role *role = need_role(call, grant->name);
    Authpb__Role changed;
    size_t at, behind;

    if (!role)
        return;
    changed = *role;
    changed.keypermission =
        etcd_scratch(call, (role->n_keypermission + 1) * sizeof(Authpb__Permission *));
    if (!changed.keypermission || role->n_keypermission >= AUTH_PERMISSIONS_MAX) {
        etcd_call_end(call, changed.keypermission ? ETCD_REQUEST_TOO_LARGE : ETCD_NO_MEMORY);
        return;
    }
    at = find_permission(role, grant->perm->key, grant->perm->range_end);
    behind = at < role->n_keypermission ? at + 1 : at;
    if (at == role->n_keypermission) {
        at = 0;
        while (at < role->n_keypermission &&
               compare_keys(role->keypermission[at]->key, grant->perm->key) <= 0)
            at++;
        behind = at;
    }
    for (size_t i = 0; i < at; i++)
        changed.keypermission[i] = role->keypermission[i];
    changed.keypermission[at] = grant->perm;
    for (size_t i = behind; i < role->n_keypermission; i++)
        changed.keypermission[at + 1 + i - behind] = role->keypermission[i];
    changed.n_keypermission = role->n_keypermission + (behind == at);
    commit_role(call, &changed);
}

void etcd_role_grant(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Authpb__Permission *permission =
        ((const Etcdserverpb__AuthRoleGrantPermissionRequest *)message)->perm;

    if (!permission)
        etcd_call_end(call, ETCD_PERMISSION_NOT_GIVEN);
    else if (!range_valid(permission) ||
             (unsigned)permission->permtype > AUTHPB__PERMISSION__TYPE__READWRITE)
        etcd_call_end(call, ETCD_INVALID_AUTH_MANAGEMENT);
    else
        auth_start(call, message, grant_step, NULL);
}

static void revoke_step(struct etcd_call *call, struct auth_request *request)
{
    const Etcdserverpb__AuthRoleRevokePermissionRequest *revoke =
        (const Etcdserverpb__AuthRoleRevokePermissionRequest *)request->message;
    Authpb__Role *role = need_role(call, revoke->role);
    Authpb__Role changed;
    size_t at;

    if (!role)
        return;
    at = find_permission(role, revoke->key, revoke->range_end);
    if (at == role->n_keypermission) {
        etcd_call_end(call, ETCD_PERMISSION_NOT_GRANTED);
        return;
    }
    changed = *role;
    changed.n_keypermission--;
    changed.keypermission =
        etcd_scratch(call, role->n_keypermission * sizeof(Authpb__Permission *));
    if (!changed.keypermission) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < changed.n_keypermission; i++)
        changed.keypermission[i] = role->keypermission[i + (i >= at)];
    commit_role(call, &changed);
}

void etcd_role_revoke(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, revoke_step, NULL);
}

/* ---- looking ---- */

/* With authentication on, others than root see their own roles only. */
static bool may_see(struct etcd_call *call, const char *name)
{
    bool invalid;
    const Authpb__User *caller;

    if (!call->front->auth->state->enabled)
        return true;
    caller = auth_caller(call, &invalid);
    if (caller && (auth_has_role(caller, AUTH_ROOT) || auth_has_role(caller, name)))
        return true;
    etcd_call_end(call, ETCD_PERMISSION_DENIED);
    return false;
}

static void get_step(struct etcd_call *call, struct auth_request *request)
{
    static uint8_t to_the_end[] = {0};
    const char *name = ((const Etcdserverpb__AuthRoleGetRequest *)request->message)->role;
    const Authpb__Role *role = may_see(call, name) ? need_role(call, name) : NULL;
    Etcdserverpb__AuthRoleGetResponse response = ETCDSERVERPB__AUTH_ROLE_GET_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    Authpb__Permission all = AUTHPB__PERMISSION__INIT, *only[] = {&all};

    if (!role)
        return;
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    response.perm = role->keypermission;
    response.n_perm = role->n_keypermission;
    if (!strcmp(name, AUTH_ROOT)) {
        all.permtype = AUTHPB__PERMISSION__TYPE__READWRITE;
        all.range_end = (ProtobufCBinaryData){1, to_the_end};
        response.perm = only;
        response.n_perm = 1;
    }
    etcd_call_reply(call, &response.base);
}

void etcd_role_get(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, get_step, NULL);
}

static void list_step(struct etcd_call *call, struct auth_request *request)
{
    const struct etcd_auth *auth = call->front->auth;
    Etcdserverpb__AuthRoleListResponse response = ETCDSERVERPB__AUTH_ROLE_LIST_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    (void)request;
    response.roles = auth_names(call, (const Authpb__Role *const *)auth->roles, auth->role_count);
    response.n_roles = auth->role_count;
    if (!response.roles) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    etcd_front_header_now(call->front, &header);
    response.header = &header;
    etcd_call_reply(call, &response.base);
}

void etcd_role_list(struct etcd_call *call, const ProtobufCMessage *message)
{
    auth_start(call, message, list_step, NULL);
}
