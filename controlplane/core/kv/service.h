/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key-value store as fronts and the rest of culvertd use it: replicated by a Raft group, the
 * same on every node. What only the leader can do is handed to it; who calls need not know who
 * leads. All on the loop's thread; a callback never runs inside the call that asked for it.
 *
 * Keys belong to spaces, told by their first byte: fronts put it before what clients send, keep
 * ranges within the space, and take it off again.
 */
#ifndef CULVERT_CORE_KV_SERVICE_H
#define CULVERT_CORE_KV_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/core/kv/compactor.h"
#include "controlplane/core/kv/result.h"
#include "controlplane/core/kv/store.h"

struct kv_service;
struct group;

enum kv_space {
    KV_SPACE_CLIENT = 'k', /* of the etcd front's clients */
    KV_SPACE_AUTH = 'a',   /* users, roles and tokens */
    KV_SPACE_SITE = 's',   /* the site's resources and revisions */
};

/* Zero is the default of each. */
struct kv_service_options {
    uint64_t site;                  /* id of the site */
    unsigned timeout_ms;            /* 5000; of a request */
    unsigned requests_max;          /* 16384 under way */
    size_t bytes_max;               /* 64 MiB of them */
    struct kv_limits limits;        /* KV_LIMITS_DEFAULT */
    enum kv_compactor_mode compact; /* as compactor.h; KV_COMPACT_OFF leaves it to clients */
    uint64_t keep;
};

/* A service over a group whose machine is the store's. Both outlive it. CULVERT_ENOMEM. */
int kv_service_open(struct kv_service **out, struct env *env, struct group *group,
                    struct kv_store *store, const struct kv_service_options *options);
/* After the group's node was closed, which ends what the group had; other requests end here, with
 * CULVERT_EUNKNOWN, CULVERT_ENOTLEADER or CULVERT_ETIMEOUT. Nothing is asked in between. NULL is
 * allowed. */
void kv_service_close(struct kv_service *service);

/* What came of a request. status 0: `result` is set (its own status says what was wrong with the
 * request), valid during the call, with the store's `revision`. Else the request's way failed:
 * CULVERT_ENOTLEADER: no leader within the time, nothing was changed; CULVERT_EUNKNOWN: it may or
 * may not have been done, or be done yet; CULVERT_ETIMEOUT: a read, or a question about a lease,
 * was not answered in time; CULVERT_EFULL; CULVERT_ENOMEM. */
typedef void (*kv_answer)(void *arg, int status, const struct kv_result *result);

/* Changes something. The command is encoded before it returns, nothing of it is kept. On an error
 * `answer` is not called: those of kv_command_check(), CULVERT_EFULL, CULVERT_ENOMEM. */
int kv_service_propose(struct kv_service *service, const struct kv_command *command,
                       kv_answer answer, void *arg);

/* Reads by KV_RANGE or a KV_TXN that only reads: linearizable, or `serializable` from this node's
 * state as it is. Likewise. */
int kv_service_read(struct kv_service *service, const struct kv_command *command, bool serializable,
                    kv_answer answer, void *arg);

/* Waits until this node has all that was acknowledged before the call: what is then read from
 * kv_service_store() is linearizable. */
int kv_service_barrier(struct kv_service *service, void (*done)(void *arg, int status), void *arg);
struct kv_store *kv_service_store(struct kv_service *service);

/* Leases, whose time the leader keeps. `answer`'s status: 0, CULVERT_ENOLEASE, or as above;
 * `remaining` and `granted` in seconds. Granting and revoking are commands. */
typedef void (*kv_lease_answer)(void *arg, int status, uint64_t remaining, uint64_t granted);
int kv_service_lease_keep(struct kv_service *service, int64_t id, kv_lease_answer answer,
                          void *arg);
int kv_service_lease_time(struct kv_service *service, int64_t id, kv_lease_answer answer,
                          void *arg);

/* How the group and this node are. */
struct kv_status {
    uint64_t node, leader, term; /* leader 0: none is known */
    uint64_t site;               /* id of the site (etcd: cluster id) */
    uint64_t last, commit, applied;
    struct kv_info store;
};
void kv_service_status(const struct kv_service *service, struct kv_status *out);

struct kv_member {
    uint64_t id;
    const char *name;           /* "" until it was told */
    const char *address;        /* of the transport, host:port */
    const char *client_address; /* of the etcd front, host:port, "" until it was told */
    bool voter;
};
/* Calls `each` for every member until it returns non-zero, which is returned. */
int kv_service_members(struct kv_service *service,
                       int (*each)(void *arg, const struct kv_member *member), void *arg);

/* Tells the members this node's name and the address of its etcd front; at most a KiB. */
int kv_service_describe(struct kv_service *service, const char *name, const char *client_address,
                        kv_answer answer, void *arg);

/* Hands leadership on; 0 is any voter. */
int kv_service_transfer(struct kv_service *service, uint64_t node,
                        void (*done)(void *arg, int status), void *arg);

#endif
