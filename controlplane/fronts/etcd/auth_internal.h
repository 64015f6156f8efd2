/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the users and roles. */
#ifndef CULVERT_FRONTS_ETCD_AUTH_INTERNAL_H
#define CULVERT_FRONTS_ETCD_AUTH_INTERNAL_H

#include "auth.pb-c.h"
#include "controlplane/fronts/etcd/auth.h"

#define AUTH_NAME_MAX 128u         /* bytes of a user's or role's name */
#define AUTH_ROLES_MAX 256u        /* of a user */
#define AUTH_PERMISSIONS_MAX 4096u /* of a role */
#define AUTH_ROOT "root"
#define AUTH_SECRET_BYTES 32u
#define AUTH_SALT_BYTES 16u
#define AUTH_KEY_BYTES 32u /* that scrypt derives */

/* The copy of what the store has. */
struct etcd_auth {
    struct etcd_front *front;
    bool known;   /* the copy is of now */
    uint64_t mod; /* when the state record changed last; 0: there is none */
    Authpb__State *state;
    struct arena memory;
    Authpb__User **users; /* sorted by name */
    Authpb__Role **roles;
    size_t user_count, role_count;
    unsigned hashing; /* passwords, on threads */
};

/* Brings the copy up to date. CULVERT_ENOMEM, or the store's error. */
int auth_refresh(struct etcd_auth *auth);
Authpb__User *auth_user(const struct etcd_auth *auth, const char *name);
Authpb__Role *auth_role(const struct etcd_auth *auth, const char *name);
bool auth_has_role(const Authpb__User *user, const char *role);
/* Whose call it is. NULL: nobody's; *invalid says that the token is no good. */
Authpb__User *auth_caller(struct etcd_call *call, bool *invalid);

/* ---- auth_token.c ---- */

/* A token for the user, valid for a day. CULVERT_ENOMEM. */
int auth_token_make(const struct etcd_auth *auth, const Authpb__User *user,
                    char token[ETCD_TOKEN_MAX]);
/* Whose token it is; NULL: it isn't, or not any more. */
Authpb__User *auth_token_user(const struct etcd_auth *auth, const char *token);
/* Derives the key of a password. Slow by design. */
int auth_derive(const char *password, const uint8_t salt[AUTH_SALT_BYTES],
                uint8_t key[AUTH_KEY_BYTES]);

/* ---- auth_request.c: what all requests go through ---- */

/* A request about users and roles, on its way: the password is hashed, then what was acknowledged
 * before is waited for, then `step` looks at the copy and answers or changes it. When somebody else
 * has changed it meanwhile, `step` is called again. */
struct auth_request {
    struct arena memory;
    const ProtobufCMessage *message;
    void (*step)(struct etcd_call *call, struct auth_request *request);
    unsigned tries;
    uint8_t salt[AUTH_SALT_BYTES], key[AUTH_KEY_BYTES];
    bool more;         /* the step has more to do once its change is committed */
    struct kv_op *ops; /* of the change, in scratch memory */
    size_t count, room;
};

#define AUTH_OPS_MAX 120u /* of one change, the state's record not counted */

/* `password` NULL: none is to be hashed, with a new salt. */
void auth_start(struct etcd_call *call, const ProtobufCMessage *message,
                void (*step)(struct etcd_call *call, struct auth_request *request),
                const char *password);
/* From a step: hashes a password with that salt, then calls `step`. */
void auth_hash(struct etcd_call *call, const char *password, const uint8_t salt[AUTH_SALT_BYTES],
               void (*step)(struct etcd_call *call, struct auth_request *request));
/* Adds to the change: records written anew, or removed. */
void auth_put_user(struct etcd_call *call, const Authpb__User *user);
void auth_put_role(struct etcd_call *call, const Authpb__Role *role);
void auth_remove(struct etcd_call *call, const char *kind, const char *name);
/* A user without one of the roles. */
void auth_put_without(struct etcd_call *call, const Authpb__User *user, const char *role);
/* Commits the change with the state's record, whose revision it counts up. Answers with the
 * method's response, or calls `step` again. */
void auth_commit(struct etcd_call *call, const Authpb__State *state);
/* The method's response, which has only a header. */
void auth_reply(struct etcd_call *call);

/* The names of roles, or of users; NULL: out of memory. */
char **auth_names(struct etcd_call *call, const Authpb__Role *const *records, size_t count);
ProtobufCBinaryData auth_text(const char *text);

#endif
