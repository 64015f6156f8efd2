/* SPDX-License-Identifier: Apache-2.0 */
/* Lines before locks and elections: how places in them come to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/contest.h"
#include "election.pb-c.h"
#include "lock.pb-c.h"
#include "tests/controlplane/fronts/etcd/client.h"
#include "tests/controlplane/fronts/etcd/service.h"

#define LOCK "/v3lockpb.Lock/"
#define ELECTION "/v3electionpb.Election/"

static struct client client;

static int set_up(void **state)
{
    const struct etcd_options options = {.waiters_max = 3};

    client_open(&client, &options);
    return 0;
}

static int tear_down(void **state)
{
    client_close(&client);
    return 0;
}

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static void grant(int64_t lease)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;

    request.id = lease;
    request.ttl = 600;
    client_call(&client, "/etcdserverpb.Lease/LeaseGrant", &request.base, false, NULL);
    client_run(&client);
}

static struct client_stream *lock(int64_t lease, const char *timeout)
{
    V3lockpb__LockRequest request = V3LOCKPB__LOCK_REQUEST__INIT;

    request.name = bytes("name");
    request.lease = lease;
    return client_call(&client, LOCK "Lock", &request.base, false, timeout);
}

static struct client_stream *unlock(const char *key)
{
    V3lockpb__UnlockRequest request = V3LOCKPB__UNLOCK_REQUEST__INIT;

    request.key = bytes(key);
    return client_call(&client, LOCK "Unlock", &request.base, false, NULL);
}

static struct client_stream *observe(void)
{
    V3electionpb__LeaderRequest request = V3ELECTIONPB__LEADER_REQUEST__INIT;

    request.name = bytes("name");
    return client_call(&client, ELECTION "Observe", &request.base, false, NULL);
}

static struct kv_info store(void)
{
    struct kv_info info;

    kv_store_info(kv_service_store(client.service), &info);
    return info;
}

/* The lock is held with lease 1, and leases up to 5 are there. */
static struct client_stream *hold(void)
{
    struct client_stream *stream;

    for (int64_t lease = 1; lease <= 5; lease++)
        grant(lease);
    stream = lock(1, NULL);
    client_run(&client);
    assert_int_equal(stream->status, 0);
    assert_int_equal(store().keys, 1);
    return stream;
}

static void assert_end(const struct client_stream *stream, int code, const char *message)
{
    assert_int_equal(stream->status, code);
    assert_string_equal(stream->message, message);
    assert_true(stream->closed);
}

static void test_the_next_in_line(void **state)
{
    V3lockpb__LockResponse *response;
    struct client_stream *first = hold(), *second = lock(2, NULL), *third = lock(3, NULL);

    client_run(&client);
    assert_int_equal(client.front->waiters, 2);
    assert_int_equal(second->status, -1);
    response = (void *)client_message(first, 0, &v3lockpb__lock_response__descriptor);
    assert_int_equal(response->key.len, 6);
    assert_memory_equal(response->key.data, "name/1", 6);
    protobuf_c_message_free_unpacked(&response->base, NULL);
    unlock("name/1");
    client_run(&client);
    assert_end(second, 0, "");
    assert_int_equal(third->status, -1);
    unlock("name/2");
    client_run(&client);
    assert_end(third, 0, "");
    assert_int_equal(client.front->waiters, 0);
    assert_int_equal(client.front->held, 0);
    assert_int_equal(store().keys, 1);
}

static void test_deadline(void **state)
{
    struct client_stream *second;

    hold();
    second = lock(2, "10m");
    client_run(&client);
    while (second->status < 0) {
        uv_run(&client.loop, UV_RUN_ONCE);
        client_run(&client);
    }
    assert_end(second, 4, "context deadline exceeded");
    assert_int_equal(store().keys, 1);
}

static void test_client_gives_up(void **state)
{
    struct client_stream *second;

    hold();
    second = lock(2, NULL);
    client_run(&client);
    assert_int_equal(store().keys, 2);
    client_reset(second);
    client_run(&client);
    assert_int_equal(store().keys, 1);
    assert_int_equal(client.front->calls, 0);
}

/* It is not there any more when it gets what it wanted. */
static void test_client_gives_up_early(void **state)
{
    struct client_stream *stream;

    grant(1);
    single_pause(client.service, true);
    stream = lock(1, NULL);
    client_run(&client);
    client_reset(stream);
    client_run(&client);
    assert_int_equal(client.front->waiters, 1);
    single_pause(client.service, false);
    client_run(&client);
    assert_int_equal(store().revision, 3); /* it was put, and deleted */
    assert_int_equal(store().keys, 0);
    assert_int_equal(client.front->calls, 0);
}

/* What is asked for again with the same lease is not taken from who has it. */
static void test_holder_gives_up_asking_again(void **state)
{
    struct client_stream *again;

    hold();
    single_pause(client.service, true);
    again = lock(1, NULL);
    client_run(&client);
    client_reset(again);
    client_run(&client);
    single_pause(client.service, false);
    client_run(&client);
    assert_int_equal(store().keys, 1);
}

static void test_own_lease_goes_with_the_client(void **state)
{
    struct client_stream *second;

    hold();
    second = lock(0, NULL);
    client_run(&client);
    assert_int_equal(store().leases, 6);
    client_reset(second);
    client_run(&client);
    assert_int_equal(store().leases, 5);
    assert_int_equal(store().keys, 1);
}

static void test_too_many_wait(void **state)
{
    struct client_stream *streams[3], *one_more;

    hold();
    streams[0] = lock(2, NULL);
    streams[1] = lock(3, NULL);
    streams[2] = observe();
    client_run(&client);
    one_more = lock(4, NULL);
    client_run(&client);
    assert_end(one_more, 8, "etcdserver: too many requests");
    assert_int_equal(client.front->waiters, 3);
    client_reset(streams[2]);
    client_run(&client);
    one_more = lock(4, NULL);
    client_run(&client);
    assert_int_equal(one_more->status, -1);
    assert_true(client.front->held > 0);
}

/* The client keeps its place, and finds it by another node. */
static void test_closing(void **state)
{
    struct client_stream *second, *observer;

    hold();
    second = lock(2, NULL);
    observer = observe();
    client_run(&client);
    etcd_connection_leave(&client.connection);
    client_run(&client);
    assert_end(second, 14, "etcdserver: server stopped");
    assert_end(observer, 14, "etcdserver: server stopped");
    assert_int_equal(store().keys, 2);
}

static void on_done(void *arg, int status, const struct kv_result *result)
{
    assert_int_equal(status, 0);
    assert_int_equal(result->status, 0);
}

/* Puts the key of a leader many times, which the observer doesn't take. */
static struct client_stream *observe_deaf(void)
{
    static uint8_t value[3000];
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};
    struct client_stream *observer = observe();

    client_run(&client);
    memset(value, 'x', sizeof(value));
    command.op.put = (struct kv_put){.key = kv_text("kname/1"), {value, sizeof(value)}};
    client.deaf = true;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(kv_service_propose(client.service, &command, on_done, NULL), 0);
        client_run(&client);
    }
    assert_true(client.front->held < (1 << 20) + 100000);
    return observer;
}

static int64_t observed_version(const struct client_stream *observer, size_t number)
{
    V3electionpb__LeaderResponse *response =
        (void *)client_message(observer, number, &v3electionpb__leader_response__descriptor);
    int64_t version = response->kv->version;

    protobuf_c_message_free_unpacked(&response->base, NULL);
    return version;
}

static void test_observer_is_slow(void **state)
{
    struct client_stream *observer = observe_deaf();

    client.deaf = false;
    client_run(&client);
    assert_int_equal(client_count(observer), 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(observed_version(observer, i), i + 1);
}

/* It has missed some, and sees the last one. */
static void test_observer_is_too_slow(void **state)
{
    struct kv_command command = {.kind = KV_COMPACT, .revision = 1000};
    struct client_stream *observer = observe_deaf();
    size_t count;

    assert_int_equal(kv_service_propose(client.service, &command, on_done, NULL), 0);
    client_run(&client);
    client.deaf = false;
    client_run(&client);
    count = client_count(observer);
    assert_true(count > 1 && count < 1000);
    assert_int_equal(observed_version(observer, count - 1), 1000);
    assert_int_equal(observer->status, -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_next_in_line),
        TEST(test_deadline),
        TEST(test_client_gives_up),
        TEST(test_client_gives_up_early),
        TEST(test_holder_gives_up_asking_again),
        TEST(test_own_lease_goes_with_the_client),
        TEST(test_too_many_wait),
        TEST(test_closing),
        TEST(test_observer_is_slow),
        TEST(test_observer_is_too_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
