/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation that the front makes fails in turn: calls end with an error or go well, nothing
 * is lost, and the next client is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth.pb-c.h"
#include "election.pb-c.h"
#include "lock.pb-c.h"
#include "tests/allocator.h"
#include "tests/controlplane/fronts/etcd/client.h"
#include "tests/controlplane/fronts/etcd/service.h"

static struct client client;
static bool armed;
static unsigned left; /* the allocation that fails; 0: none */
static bool failed;

bool allocation_fails(void)
{
    if (!armed || !left || --left)
        return false;
    failed = true;
    return true;
}

static void arm(bool begin)
{
    armed = begin;
}

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static struct client_stream *call(const char *path, const ProtobufCMessage *message)
{
    struct client_stream *stream = client_call(&client, path, message, false, NULL);

    client_run(&client);
    return stream;
}

static struct client_stream *put(void)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;

    request.key = bytes("key");
    request.value = bytes("value");
    request.lease = 7;
    request.prev_kv = true;
    return call("/etcdserverpb.KV/Put", &request.base);
}

static void read_and_change(void)
{
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    Etcdserverpb__RequestOp op = ETCDSERVERPB__REQUEST_OP__INIT, *ops[] = {&op};
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT, *compares[] = {&compare};
    Etcdserverpb__DeleteRangeRequest delete = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;

    range.key = compare.key = delete.key = bytes("key");
    range.range_end = delete.range_end = bytes("kez");
    delete.prev_kv = true;
    call("/etcdserverpb.KV/Range", &range.base);
    op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    op.request_range = &range;
    txn.compare = compares;
    txn.success = txn.failure = ops;
    txn.n_compare = txn.n_success = txn.n_failure = 1;
    call("/etcdserverpb.KV/Txn", &txn.base);
    call("/etcdserverpb.KV/DeleteRange", &delete.base);
}

static void lease(void)
{
    Etcdserverpb__LeaseGrantRequest grant = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
    Etcdserverpb__LeaseTimeToLiveRequest time = ETCDSERVERPB__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    Etcdserverpb__LeaseKeepAliveRequest keep = ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;
    Etcdserverpb__LeaseLeasesRequest list = ETCDSERVERPB__LEASE_LEASES_REQUEST__INIT;

    grant.ttl = 100;
    grant.id = time.id = keep.id = 7;
    time.keys = true;
    call("/etcdserverpb.Lease/LeaseGrant", &grant.base);
    put();
    call("/etcdserverpb.Lease/LeaseKeepAlive", &keep.base);
    call("/etcdserverpb.Lease/LeaseTimeToLive", &time.base);
    call("/etcdserverpb.Lease/LeaseLeases", &list.base);
}

static void watch(void)
{
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;

    create.key = bytes("key");
    create.start_revision = 1;
    create.prev_kv = true;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &create;
    client_call(&client, "/etcdserverpb.Watch/Watch", &request.base, true, NULL);
    client_run(&client);
}

static void users(void)
{
    Etcdserverpb__AuthUserAddRequest user = ETCDSERVERPB__AUTH_USER_ADD_REQUEST__INIT;
    Authpb__UserAddOptions options = AUTHPB__USER_ADD_OPTIONS__INIT;
    Etcdserverpb__AuthRoleAddRequest role = ETCDSERVERPB__AUTH_ROLE_ADD_REQUEST__INIT;
    Etcdserverpb__AuthUserGrantRoleRequest grant = ETCDSERVERPB__AUTH_USER_GRANT_ROLE_REQUEST__INIT;
    Etcdserverpb__AuthRoleDeleteRequest delete = ETCDSERVERPB__AUTH_ROLE_DELETE_REQUEST__INIT;
    Etcdserverpb__AuthUserListRequest list = ETCDSERVERPB__AUTH_USER_LIST_REQUEST__INIT;

    options.no_password = true;
    user.name = grant.user = (char *)"user";
    user.options = &options;
    role.name = grant.role = delete.role = (char *)"role";
    call("/etcdserverpb.Auth/UserAdd", &user.base);
    call("/etcdserverpb.Auth/RoleAdd", &role.base);
    call("/etcdserverpb.Auth/UserGrantRole", &grant.base);
    call("/etcdserverpb.Auth/UserList", &list.base);
    call("/etcdserverpb.Auth/RoleDelete", &delete.base);
}

static void others(void)
{
    Etcdserverpb__MemberListRequest members = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    Etcdserverpb__HashRequest hash = ETCDSERVERPB__HASH_REQUEST__INIT;
    Etcdserverpb__SnapshotRequest snapshot = ETCDSERVERPB__SNAPSHOT_REQUEST__INIT;

    members.linearizable = true;
    call("/etcdserverpb.Cluster/MemberList", &members.base);
    call("/etcdserverpb.Maintenance/Hash", &hash.base);
    call("/etcdserverpb.Maintenance/Snapshot", &snapshot.base);
}

/* A lock that is waited for until its client gives up, and an election that is observed. */
static void contests(void)
{
    V3lockpb__LockRequest lock = V3LOCKPB__LOCK_REQUEST__INIT;
    V3electionpb__CampaignRequest campaign = V3ELECTIONPB__CAMPAIGN_REQUEST__INIT;
    V3electionpb__LeaderRequest leader = V3ELECTIONPB__LEADER_REQUEST__INIT;
    struct client_stream *waiting;

    leader.name = lock.name = campaign.name = bytes("name");
    campaign.value = bytes("value");
    call("/v3electionpb.Election/Observe", &leader.base);
    call("/v3electionpb.Election/Campaign", &campaign.base);
    call("/v3electionpb.Election/Leader", &leader.base);
    waiting = call("/v3lockpb.Lock/Lock", &lock.base);
    if (waiting->status < 0)
        client_reset(waiting);
    client_run(&client);
}

/* Requests of the gateway, on a connection of their own. */
static void gateway(void)
{
    static const char requests[] = "POST /v3/kv/range HTTP/1.1\r\nContent-Length: 14\r\n\r\n"
                                   "{\"key\":\"Zm9v\"}GET /health HTTP/1.1\r\n\r\n"
                                   "POST /v3/kv/put HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
    struct etcd_connection connection = {0};
    struct buffer out = {0};

    etcd_connection_init(&connection, client.front);
    connection.wake = client.connection.wake;
    arm(true);
    etcd_connection_input(&connection, (const uint8_t *)requests, sizeof(requests) - 1);
    arm(false);
    for (unsigned i = 0; i < 10; i++) {
        uv_run(&client.loop, UV_RUN_NOWAIT);
        arm(true);
        etcd_connection_output(&connection, &out, 1 << 20);
        arm(false);
    }
    etcd_connection_clear(&connection);
    buffer_free(&out);
}

static void run(void (*story)(void), unsigned number)
{
    const struct etcd_options options = {0};
    struct client_stream *stream;

    client_open(&client, &options);
    client.around = arm;
    single_around(client.service, arm);
    left = number;
    failed = false;
    story();
    left = 0;
    client.around = NULL;
    if (!client.broken) {
        stream = put();
        if (stream->status != 0 && stream->status != 5)
            print_message("allocation %u: %d %s, error %u\n", number, stream->status,
                          stream->message, stream->error);
        assert_true(stream->status == 0 || stream->status == 5); /* the lease may not be there */
    }
    client_close(&client);
}

static void test_story(void **state)
{
    void (*story)(void) = (void (*)(void))*state;
    unsigned number = 1;

    do {
        run(story, number++);
        assert_true(number < 2000);
    } while (failed);
    assert_true(number > 3);
}

#define STORY(name) {#name, test_story, NULL, NULL, (void *)(name)}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(read_and_change), STORY(lease),    STORY(watch),   STORY(users),
        STORY(others),          STORY(contests), STORY(gateway),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
