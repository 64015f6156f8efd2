/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"
#include "health.pb-c.h"

#define REQUEST(name) &etcdserverpb__##name##_request__descriptor

static const struct etcd_method methods[] = {
    /* KV */
    {.path = "/etcdserverpb.KV/Range",
     .json = {"/kv/range"},
     .request = REQUEST(range),
     .handle = etcd_kv_range},
    {.path = "/etcdserverpb.KV/Put",
     .json = {"/kv/put"},
     .request = REQUEST(put),
     .handle = etcd_kv_put},
    {.path = "/etcdserverpb.KV/DeleteRange",
     .json = {"/kv/deleterange"},
     .request = REQUEST(delete_range),
     .handle = etcd_kv_delete},
    {.path = "/etcdserverpb.KV/Txn",
     .json = {"/kv/txn"},
     .request = REQUEST(txn),
     .handle = etcd_kv_txn},
    {.path = "/etcdserverpb.KV/Compact",
     .json = {"/kv/compaction"},
     .request = REQUEST(compaction),
     .handle = etcd_kv_compact},
    /* Watch */
    {.path = "/etcdserverpb.Watch/Watch",
     .json = {"/watch"},
     .request = REQUEST(watch),
     .handle = etcd_watch,
     .stream = true,
     .release = etcd_watch_release,
     .ready = etcd_watch_ready},
    /* Lease */
    {.path = "/etcdserverpb.Lease/LeaseGrant",
     .json = {"/lease/grant"},
     .request = REQUEST(lease_grant),
     .handle = etcd_lease_grant},
    {.path = "/etcdserverpb.Lease/LeaseRevoke",
     .json = {"/lease/revoke", "/kv/lease/revoke"},
     .request = REQUEST(lease_revoke),
     .handle = etcd_lease_revoke},
    {.path = "/etcdserverpb.Lease/LeaseKeepAlive",
     .json = {"/lease/keepalive"},
     .request = REQUEST(lease_keep_alive),
     .handle = etcd_lease_keep,
     .stream = true,
     .reader = true},
    {.path = "/etcdserverpb.Lease/LeaseTimeToLive",
     .json = {"/lease/timetolive", "/kv/lease/timetolive"},
     .request = REQUEST(lease_time_to_live),
     .handle = etcd_lease_time},
    {.path = "/etcdserverpb.Lease/LeaseLeases",
     .json = {"/lease/leases", "/kv/lease/leases"},
     .request = REQUEST(lease_leases),
     .handle = etcd_lease_list},
    /* Cluster */
    {.path = "/etcdserverpb.Cluster/MemberList",
     .json = {"/cluster/member/list"},
     .request = REQUEST(member_list),
     .handle = etcd_member_list,
     .open = true},
    {.path = "/etcdserverpb.Cluster/MemberAdd",
     .json = {"/cluster/member/add"},
     .request = REQUEST(member_add),
     .handle = etcd_member_add,
     .admin = true},
    {.path = "/etcdserverpb.Cluster/MemberRemove",
     .json = {"/cluster/member/remove"},
     .request = REQUEST(member_remove),
     .handle = etcd_member_remove,
     .admin = true},
    {.path = "/etcdserverpb.Cluster/MemberUpdate",
     .json = {"/cluster/member/update"},
     .request = REQUEST(member_update),
     .handle = etcd_member_update,
     .admin = true},
    {.path = "/etcdserverpb.Cluster/MemberPromote",
     .json = {"/cluster/member/promote"},
     .request = REQUEST(member_promote),
     .handle = etcd_member_promote,
     .admin = true},
    /* Maintenance */
    {.path = "/etcdserverpb.Maintenance/Status",
     .json = {"/maintenance/status"},
     .request = REQUEST(status),
     .handle = etcd_status_get,
     .open = true},
    {.path = "/etcdserverpb.Maintenance/Alarm",
     .json = {"/maintenance/alarm"},
     .request = REQUEST(alarm),
     .handle = etcd_alarm,
     .open = true},
    {.path = "/etcdserverpb.Maintenance/Defragment",
     .json = {"/maintenance/defragment"},
     .request = REQUEST(defragment),
     .handle = etcd_defragment,
     .admin = true},
    {.path = "/etcdserverpb.Maintenance/Hash",
     .json = {"/maintenance/hash"},
     .request = REQUEST(hash),
     .handle = etcd_hash,
     .admin = true,
     .release = etcd_hash_release},
    {.path = "/etcdserverpb.Maintenance/HashKV",
     .json = {"/maintenance/hashkv"},
     .request = &etcdserverpb__hash_kvrequest__descriptor,
     .handle = etcd_hash_kv,
     .admin = true,
     .release = etcd_hash_release},
    {.path = "/etcdserverpb.Maintenance/Snapshot",
     .json = {"/maintenance/snapshot"},
     .request = REQUEST(snapshot),
     .handle = etcd_snapshot,
     .admin = true,
     .release = etcd_snapshot_release,
     .ready = etcd_snapshot_ready},
    {.path = "/etcdserverpb.Maintenance/MoveLeader",
     .json = {"/maintenance/transfer-leadership"},
     .request = REQUEST(move_leader),
     .handle = etcd_move_leader,
     .admin = true},
    {.path = "/grpc.health.v1.Health/Check",
     .json = {NULL},
     .request = &grpc__health__v1__health_check_request__descriptor,
     .handle = etcd_health,
     .open = true},
};

const struct etcd_method *etcd_method_find(const char *path, size_t length)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strlen(methods[i].path) == length && !memcmp(methods[i].path, path, length))
            return &methods[i];
    return NULL;
}

const struct etcd_method *etcd_method_find_json(const char *path)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        for (unsigned k = 0; k < 2; k++)
            if (methods[i].json[k] && !strcmp(methods[i].json[k], path))
                return &methods[i];
    return NULL;
}
