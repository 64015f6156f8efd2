/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the table of methods (method.c). */
#ifndef CULVERT_FRONTS_ETCD_HANDLERS_H
#define CULVERT_FRONTS_ETCD_HANDLERS_H

#include "controlplane/fronts/etcd/internal.h"

/* ---- watch.c ---- */
void etcd_watch(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_watch_release(struct etcd_call *call);
void etcd_watch_ready(struct etcd_call *call);

/* ---- lease.c ---- */
void etcd_lease_grant(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_lease_revoke(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_lease_keep(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_lease_time(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_lease_list(struct etcd_call *call, const ProtobufCMessage *message);

/* ---- contest.c, lock.c, election.c, observe.c ---- */
void etcd_contest_release(struct etcd_call *call);
void etcd_lock(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_unlock(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_campaign(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_proclaim(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_leader(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_resign(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_observe(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_observe_release(struct etcd_call *call);
void etcd_observe_ready(struct etcd_call *call);

/* ---- cluster.c ---- */
void etcd_member_list(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_member_add(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_member_remove(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_member_update(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_member_promote(struct etcd_call *call, const ProtobufCMessage *message);

/* ---- maintenance.c, snapshot.c ---- */
void etcd_status_get(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_alarm(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_defragment(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_hash(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_hash_kv(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_hash_release(struct etcd_call *call);
void etcd_move_leader(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_snapshot(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_snapshot_release(struct etcd_call *call);
void etcd_snapshot_ready(struct etcd_call *call);
void etcd_health(struct etcd_call *call, const ProtobufCMessage *message);

/* ---- auth_*.c ---- */
void etcd_auth_release(struct etcd_call *call);
void etcd_auth_enable(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_auth_disable(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_auth_status(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_authenticate(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_add(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_get(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_list(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_delete(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_password(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_grant(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_user_revoke(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_add(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_get(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_list(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_delete(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_grant(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_role_revoke(struct etcd_call *call, const ProtobufCMessage *message);

#endif
