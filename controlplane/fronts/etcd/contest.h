/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What locks and elections have in common: who wants one puts a key under its name, bound to a
 * lease, and has it when no key under that name is older. All of it is keys and leases of the
 * store, the same as etcd's, so that clients which lock by themselves stand in the same line.
 */
#ifndef CULVERT_FRONTS_ETCD_CONTEST_H
#define CULVERT_FRONTS_ETCD_CONTEST_H

#include "controlplane/fronts/etcd/internal.h"

/* A call's place in the line: its state until it is answered. */
struct contest {
    struct etcd_call *call;
    const struct contest_kind {
        bool proclaims; /* a key that is there already gets the value */
        enum etcd_status lost;
        /* The line is won: answers the call. `revision` is of the store when that was seen. */
        void (*won)(struct contest *contest, uint64_t revision);
    } *kind;
    ProtobufCBinaryData prefix, end, key, value; /* as the client has keys; of `bytes` */
    int64_t lease;
    uint64_t create;  /* revision of the key's creation */
    uint64_t entered; /* of the store when the key was there */
    bool granted;     /* the lease is this call's own */
    bool created;     /* so is the key */
    bool waits, won;
    bool busy, left; /* a request is under way; the client is gone */
    struct kv_watch *older, *own;
    uint8_t bytes[];
};

/* Gets in line, and calls `won` or ends the call. `lease` 0: one is granted. */
void etcd_contest_enter(struct etcd_call *call, const struct contest_kind *kind,
                        ProtobufCBinaryData name, ProtobufCBinaryData value, int64_t lease);

/* The keys under a name. False: out of memory, the call is ended. */
bool etcd_name_range(struct etcd_call *call, ProtobufCBinaryData name, ProtobufCBinaryData *prefix,
                     ProtobufCBinaryData *end);
/* The one of them that has it. */
void etcd_first_request(Etcdserverpb__RangeRequest *request, ProtobufCBinaryData prefix,
                        ProtobufCBinaryData end);
/* A transaction of one comparison and one operation: the key was created at that revision. False:
 * the call is ended. */
bool etcd_if_created(struct etcd_call *call, ProtobufCBinaryData key, int64_t create,
                     Etcdserverpb__RequestOp *op, struct kv_command *command);

/* One more, or one less, of the calls that wait for others. False: there are too many, the call is
 * ended. */
bool etcd_waiter_add(struct etcd_call *call, size_t bytes);
void etcd_waiter_remove(struct etcd_front *front);

#endif
