/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users, roles and what they may. All of it is in the store, in the space KV_SPACE_AUTH; a front
 * keeps a copy, which it reads anew when the store says that something in that space changed.
 */
#ifndef CULVERT_FRONTS_ETCD_AUTH_H
#define CULVERT_FRONTS_ETCD_AUTH_H

#include "controlplane/fronts/etcd/internal.h"

enum { ETCD_MAY_READ = 1, ETCD_MAY_WRITE = 2 };

/* CULVERT_ENOMEM. */
int etcd_auth_new(struct etcd_auth **out, struct etcd_front *front);
/* Some changes of the store; NULL: more than are told. */
void etcd_auth_changed(struct etcd_auth *auth, const struct kv_event *events, size_t count);
void etcd_auth_free(struct etcd_auth *auth); /* no call is left; NULL is allowed */

/* Hands the message to the method if the caller may use that, else ends the call. */
void etcd_auth_admit(struct etcd_call *call, const ProtobufCMessage *message);
/* Whether the caller may read or write all of a range, or all the keys of a lease (0: none). False:
 * the call is ended. */
bool etcd_auth_may(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end,
                   unsigned what);
bool etcd_auth_may_lease(struct etcd_call *call, int64_t lease, unsigned what);
/* Whether the caller is root, or authentication is off. False: the call is ended. */
bool etcd_auth_admin(struct etcd_call *call);
/* Whether the caller may read a range; the call goes on. */
bool etcd_auth_may_watch(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end);

#endif
