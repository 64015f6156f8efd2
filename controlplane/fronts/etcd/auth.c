/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/auth.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth_internal.h"
#include "controlplane/fronts/etcd/kv.h"

/* ---- the copy ---- */

void etcd_auth_changed(struct etcd_auth *auth, const struct kv_event *events, size_t count)
{
    if (!events)
        auth->known = false;
    for (size_t i = 0; events && i < count; i++)
        if (events[i].now.key.length && events[i].now.key.data[0] == KV_SPACE_AUTH)
            auth->known = false;
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

static bool key_is(struct kv_slice key, const char *kind)
{
    return key.length > strlen(kind) && !memcmp(key.data + 1, kind, strlen(kind));
}

static int copy_record(struct etcd_auth *auth, const struct kv_pair *pair)
{
    ProtobufCAllocator allocator = {memory_alloc, memory_free, &auth->memory};
    struct kv_slice value = pair->value;

    if (key_is(pair->key, "user/")) {
        auth->users[auth->user_count] = authpb__user__unpack(&allocator, value.length, value.data);
        return auth->users[auth->user_count++] ? 0 : CULVERT_ECORRUPT;
    }
    if (key_is(pair->key, "role/")) {
        auth->roles[auth->role_count] = authpb__role__unpack(&allocator, value.length, value.data);
        return auth->roles[auth->role_count++] ? 0 : CULVERT_ECORRUPT;
    }
    auth->mod = pair->mod;
    auth->state = authpb__state__unpack(&allocator, value.length, value.data);
    return auth->state ? 0 : CULVERT_ECORRUPT;
}

static int copy_all(struct etcd_auth *auth, const struct kv_pairs *pairs)
{
    int error = 0;

    auth->users = arena_alloc(&auth->memory, pairs->count * sizeof(Authpb__User *));
    auth->roles = arena_alloc(&auth->memory, pairs->count * sizeof(Authpb__Role *));
    auth->state = arena_alloc(&auth->memory, sizeof(*auth->state));
    if (!auth->users || !auth->roles || !auth->state)
        return CULVERT_ENOMEM;
    authpb__state__init(auth->state);
    auth->state->revision = 1;
    for (size_t i = 0; i < pairs->count && !error; i++)
        error = copy_record(auth, &pairs->list[i]);
    return error;
}

int auth_refresh(struct etcd_auth *auth)
{
    static const uint8_t first[] = {KV_SPACE_AUTH}, behind[] = {KV_SPACE_AUTH + 1};
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};
    struct buffer bytes = {0};
    struct arena arena = {0};
    struct kv_result result;
    int error;

    if (auth->known)
        return 0;
    arena_free(&auth->memory);
    auth->user_count = auth->role_count = 0;
    auth->mod = 0;
    command.op.range.keys.key = (struct kv_slice){first, 1};
    command.op.range.keys.end = (struct kv_slice){behind, 1};
    error = kv_store_read(kv_service_store(auth->front->service), &command, &bytes);
    if (!error)
        error = kv_result_decode(&result, &arena, kv_buffer_slice(&bytes));
    if (!error)
        error = result.status ? result.status : copy_all(auth, &result.op.pairs);
    auth->known = !error;
    arena_free(&arena);
    buffer_free(&bytes);
    return error;
}

static int compare_names(const void *name, const void *record)
{
    const ProtobufCBinaryData *wanted = name;
    const Authpb__User *const *user = record; /* roles begin alike */

    return kv_compare_bytes((struct kv_slice){wanted->data, wanted->len},
                            (struct kv_slice){(*user)->name.data, (*user)->name.len});
}

_Static_assert(offsetof(Authpb__User, name) == offsetof(Authpb__Role, name),
               "users and roles are found alike");

Authpb__User *auth_user(const struct etcd_auth *auth, const char *name)
{
    ProtobufCBinaryData wanted = auth_text(name);
    Authpb__User **found = auth->user_count ? bsearch(&wanted, auth->users, auth->user_count,
                                                      sizeof(*auth->users), compare_names)
                                            : NULL;

    return found ? *found : NULL;
}

Authpb__Role *auth_role(const struct etcd_auth *auth, const char *name)
{
    ProtobufCBinaryData wanted = auth_text(name);
    Authpb__Role **found = auth->role_count ? bsearch(&wanted, auth->roles, auth->role_count,
                                                      sizeof(*auth->roles), compare_names)
                                            : NULL;

    return found ? *found : NULL;
}

bool auth_has_role(const Authpb__User *user, const char *role)
{
    for (size_t i = 0; i < user->n_roles; i++)
        if (!strcmp(user->roles[i], role))
            return true;
    return false;
}

/* ---- who may what ---- */

Authpb__User *auth_caller(struct etcd_call *call, bool *invalid)
{
    const struct etcd_auth *auth = call->front->auth;
    Authpb__User *user = NULL;

    *invalid = false;
    if (call->token[0]) {
        user = auth_token_user(auth, call->token);
        *invalid = !user;
    } else if (call->connection && call->connection->user[0]) {
        user = auth_user(auth, call->connection->user);
    }
    return user;
}

/* The caller, with authentication on. NULL: the call is ended. */
static Authpb__User *need_caller(struct etcd_call *call)
{
    bool invalid;
    Authpb__User *user = auth_caller(call, &invalid);

    if (!user)
        etcd_call_end(call, invalid ? ETCD_INVALID_TOKEN : ETCD_USER_EMPTY);
    return user;
}

/* Whether authentication is on; *error is not 0 when that isn't known, and the call is ended. */
static bool is_on(struct etcd_call *call, int *error)
{
    *error = auth_refresh(call->front->auth);
    if (*error)
        etcd_call_fail(call, *error);
    return !*error && call->front->auth->state->enabled;
}

bool etcd_auth_admin(struct etcd_call *call)
{
    int error;
    Authpb__User *user;

    if (!is_on(call, &error))
        return !error;
    user = need_caller(call);
    if (user && !auth_has_role(user, AUTH_ROOT))
        etcd_call_end(call, ETCD_PERMISSION_DENIED);
    return etcd_call_open(call);
}

void etcd_auth_admit(struct etcd_call *call, const ProtobufCMessage *message)
{
    const struct etcd_method *method = call->method;
    int error;
    bool on = is_on(call, &error);

    if (error || (method->admin && !etcd_auth_admin(call)))
        return;
    if (on && !method->open && !method->admin && !need_caller(call))
        return;
    method->handle(call, message);
}

/* A range of keys: from `low` up to but without `high`; `high` empty: to the last one. */
struct interval {
    struct kv_slice low, high;
    bool point; /* the key `low` alone */
};

static struct interval interval_of(ProtobufCBinaryData key, ProtobufCBinaryData end)
{
    struct interval interval = {{key.data, key.len}, {end.data, end.len}, !end.len};

    if (end.len == 1 && !end.data[0])
        interval.high.length = 0;
    return interval;
}

/* Whether the interval has `at` in it. */
static bool covers(const struct interval *interval, struct kv_slice at)
{
    int order = kv_compare_bytes(interval->low, at);

    if (interval->point)
        return order == 0;
    return order <= 0 && (!interval->high.length || kv_compare_bytes(at, interval->high) < 0);
}

struct coverage {
    struct interval wanted;
    struct kv_slice at; /* all before it is allowed */
    bool done, moved;
};

static void cover_with(struct coverage *coverage, const Authpb__Permission *permission)
{
    const struct interval *wanted = &coverage->wanted;
    struct interval allowed = interval_of(permission->key, permission->range_end);

    if (coverage->done || !covers(&allowed, coverage->at))
        return;
    if (wanted->point || (!allowed.point && !allowed.high.length)) {
        coverage->done = true;
        return;
    }
    if (allowed.point)
        return; /* the keys behind it are more than it says */
    coverage->at = allowed.high;
    coverage->moved = true;
    coverage->done = wanted->high.length && kv_compare_bytes(allowed.high, wanted->high) >= 0;
}

static bool type_allows(const Authpb__Permission *permission, unsigned what)
{
    if (permission->permtype == AUTHPB__PERMISSION__TYPE__READWRITE)
        return true;
    return permission->permtype == (what == ETCD_MAY_READ ? AUTHPB__PERMISSION__TYPE__READ
                                                          : AUTHPB__PERMISSION__TYPE__WRITE);
}

/* Whether the permissions of the user's roles, put together, allow all of the range. */
static bool user_may(const struct etcd_auth *auth, const Authpb__User *user,
                     ProtobufCBinaryData key, ProtobufCBinaryData end, unsigned what)
{
    struct coverage coverage = {.wanted = interval_of(key, end), .at = {key.data, key.len}};
    const Authpb__Role *role;

    do {
        coverage.moved = false;
        for (size_t i = 0; i < user->n_roles; i++) {
            role = auth_role(auth, user->roles[i]);
            for (size_t k = 0; role && k < role->n_keypermission; k++)
                if (type_allows(role->keypermission[k], what))
                    cover_with(&coverage, role->keypermission[k]);
        }
    } while (coverage.moved && !coverage.done);
    return coverage.done;
}

static bool caller_may(const struct etcd_auth *auth, const Authpb__User *user,
                       ProtobufCBinaryData key, ProtobufCBinaryData end, unsigned what)
{
    if (auth_has_role(user, AUTH_ROOT))
        return true;
    for (unsigned one = ETCD_MAY_READ; one <= ETCD_MAY_WRITE; one <<= 1)
        if (what & one && !user_may(auth, user, key, end, one))
            return false;
    return true;
}

bool etcd_auth_may(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end,
                   unsigned what)
{
    int error;
    Authpb__User *user;

    if (!is_on(call, &error))
        return !error;
    user = need_caller(call);
    if (user && !caller_may(call->front->auth, user, key, end, what))
        etcd_call_end(call, ETCD_PERMISSION_DENIED);
    return etcd_call_open(call);
}

bool etcd_auth_may_watch(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end)
{
    static uint8_t first_key[] = {0};
    int error;
    Authpb__User *user;

    if (!is_on(call, &error))
        return !error;
    if (!key.len)
        key = (ProtobufCBinaryData){1, first_key};
    user = need_caller(call);
    return user && caller_may(call->front->auth, user, key, end, ETCD_MAY_READ);
}

struct lease_check {
    struct etcd_call *call;
    unsigned what;
};

static int check_lease_key(void *arg, struct kv_slice key)
{
    static const ProtobufCBinaryData none = {0, NULL};
    const struct lease_check *check = arg;

    if (!key.length || key.data[0] != KV_SPACE_CLIENT)
        return 0;
    return etcd_auth_may(check->call, etcd_key_bytes(key), none, check->what) ? 0 : 1;
}

bool etcd_auth_may_lease(struct etcd_call *call, int64_t lease, unsigned what)
{
    struct lease_check check = {call, what};
    int error;

    if (!is_on(call, &error))
        return !error;
    if (lease)
        kv_store_lease_keys(kv_service_store(call->front->service), lease, check_lease_key, &check);
    return etcd_call_open(call);
}

/* ---- life ---- */

int etcd_auth_new(struct etcd_auth **out, struct etcd_front *front)
{
    struct etcd_auth *auth = calloc(1, sizeof(*auth));

    if (!auth)
        return CULVERT_ENOMEM;
    auth->front = front;
    *out = auth;
    return 0;
}

void etcd_auth_free(struct etcd_auth *auth)
{
    if (!auth)
        return;
    arena_free(&auth->memory);
    free(auth);
}
