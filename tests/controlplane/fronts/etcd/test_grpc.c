/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC as clients may use and misuse it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "tests/controlplane/fronts/etcd/client.h"
#include "tests/controlplane/fronts/etcd/service.h"

#define KV "/etcdserverpb.KV/"
#define WATCH "/etcdserverpb.Watch/Watch"

static struct client client;

static int set_up(void **state)
{
    const struct etcd_options options = {
        .calls_max = 8, .message_max = 4096, .held_max = 4 << 20, .slow_s = 1};

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

static struct client_stream *put(const char *key, const char *value)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;

    request.key = bytes(key);
    request.value = bytes(value);
    return client_call(&client, KV "Put", &request.base, false, NULL);
}

static void assert_end(const struct client_stream *stream, int code, const char *message)
{
    assert_int_equal(stream->status, code);
    assert_string_equal(stream->message, message);
    assert_true(stream->closed);
}

static void test_put_and_range(void **state)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    Etcdserverpb__RangeResponse *response;
    struct client_stream *first = put("key", "value"), *second;

    client_run(&client);
    assert_end(first, 0, "");
    assert_int_equal(client_count(first), 1);
    request.key = bytes("key");
    second = client_call(&client, KV "Range", &request.base, false, "5S");
    client_run(&client);
    response = (void *)client_message(second, 0, &etcdserverpb__range_response__descriptor);
    assert_int_equal(response->header->revision, 2);
    assert_int_equal(response->n_kvs, 1);
    assert_memory_equal(response->kvs[0]->key.data, "key", 3);
    assert_memory_equal(response->kvs[0]->value.data, "value", 5);
    protobuf_c_message_free_unpacked(&response->base, NULL);
}

/* Each gets an answer of its own, also when they come in one piece. */
static void test_many_at_once(void **state)
{
    struct client_stream *streams[8];

    for (unsigned i = 0; i < 8; i++)
        streams[i] = put("key", "value");
    client_run(&client);
    for (unsigned i = 0; i < 8; i++)
        assert_end(streams[i], 0, "");
}

static void test_errors_in_words(void **state)
{
    struct client_stream *empty = put("", "x");
    struct client_stream *unknown = client_call(&client, "/no.Such/Method", NULL, false, NULL);
    struct client_stream *nothing = client_call(&client, KV "Put", NULL, false, NULL);

    single_fail(client.service, CULVERT_ENOTLEADER);
    struct client_stream *leaderless = put("a", "x");
    client_run(&client);
    assert_end(empty, 3, "etcdserver: key is not provided");
    assert_end(unknown, 12, "unknown service or method");
    assert_end(nothing, 13, "grpc: a request is one message");
    assert_end(leaderless, 14, "etcdserver: no leader");
    single_fail(client.service, CULVERT_EUNKNOWN);
    leaderless = put("a", "x");
    client_run(&client);
    assert_end(leaderless, 14, "etcdserver: request timed out");
}

static void test_bad_messages(void **state)
{
    static const uint8_t compressed[] = {1, 0, 0, 0, 0}, large[] = {0, 0, 0, 0x10, 1};
    static const uint8_t garbage[] = {0, 0, 0, 0, 2, 0xff, 0xff}, twice[10];
    static const struct {
        const uint8_t *data;
        size_t length;
        int code;
    } cases[] = {
        {compressed, sizeof(compressed), 12},
        {large, sizeof(large), 8},
        {garbage, sizeof(garbage), 13},
        {twice, sizeof(twice), 13},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_stream *stream = client_call(&client, KV "Range", NULL, true, NULL);

        client_send_raw(stream, cases[i].data, cases[i].length);
        client_finish(stream);
        client_run(&client);
        if (cases[i].data != twice)
            assert_int_equal(stream->status, cases[i].code);
        else
            assert_int_equal(stream->status, 3); /* the first has no key */
    }
    assert_false(client.broken);
}

/* Transactions within transactions, deeper than any that could be meant. */
static void test_deep_message(void **state)
{
    static uint8_t deep[4000];
    uint8_t prefix[5] = {0};
    size_t at = sizeof(deep);
    struct client_stream *stream = client_call(&client, KV "Txn", NULL, true, NULL);

    for (unsigned level = 0; at > 16 || level & 1; level++) {
        size_t inner = sizeof(deep) - at;

        at -= 3;
        deep[at] = level & 1 ? 0x12 : 0x22; /* success, request_txn */
        deep[at + 1] = (uint8_t)(inner | 0x80);
        deep[at + 2] = (uint8_t)(inner >> 7);
    }
    prefix[3] = (uint8_t)((sizeof(deep) - at) >> 8);
    prefix[4] = (uint8_t)(sizeof(deep) - at);
    client_send_raw(stream, prefix, sizeof(prefix));
    client_send_raw(stream, deep + at, sizeof(deep) - at);
    client_finish(stream);
    client_run(&client);
    assert_end(stream, 13, "grpc: the message cannot be decoded");
}

static void test_deadline(void **state)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    struct client_stream *stream;

    request.key = bytes("key");
    single_pause(client.service, true);
    stream = client_call(&client, KV "Put", &request.base, false, "10m");
    client_run(&client);
    assert_int_equal(stream->status, -1);
    while (stream->status < 0) {
        uv_run(&client.loop, UV_RUN_ONCE);
        client_run(&client);
    }
    assert_end(stream, 4, "context deadline exceeded");
    single_pause(client.service, false); /* the answer comes, to nobody */
    client_run(&client);
    assert_int_equal(client.front->calls, 0);
}

static void test_client_gives_up(void **state)
{
    struct client_stream *stream;

    single_pause(client.service, true);
    stream = put("key", "value");
    client_run(&client);
    client_reset(stream);
    client_run(&client);
    assert_int_equal(client.front->calls, 1); /* until the service has answered */
    single_pause(client.service, false);
    client_run(&client);
    assert_int_equal(client.front->calls, 0);
}

static void test_too_many_calls(void **state)
{
    struct client_stream *streams[9];

    single_pause(client.service, true);
    for (unsigned i = 0; i < 9; i++)
        streams[i] = put("key", "value");
    client_run(&client);
    assert_int_equal(streams[8]->error, NGHTTP2_REFUSED_STREAM);
    single_pause(client.service, false);
    client_run(&client);
    assert_end(streams[7], 0, "");
}

static struct client_stream *watch(const char *key)
{
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;

    create.key = bytes(key);
    create.range_end = (ProtobufCBinaryData){1, (uint8_t *)"\0"};
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &create;
    return client_call(&client, WATCH, &request.base, true, NULL);
}

static Etcdserverpb__WatchResponse *watched(const struct client_stream *stream, size_t number)
{
    return (void *)client_message(stream, number, &etcdserverpb__watch_response__descriptor);
}

static void test_watch_and_progress(void **state)
{
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    Etcdserverpb__WatchProgressRequest progress = ETCDSERVERPB__WATCH_PROGRESS_REQUEST__INIT;
    Etcdserverpb__WatchResponse *response;
    struct client_stream *stream = watch("a");

    client_run(&client);
    put("b", "1");
    client_run(&client);
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST;
    request.progress_request = &progress;
    client_send(stream, &request.base);
    client_run(&client);
    assert_int_equal(client_count(stream), 3);
    response = watched(stream, 1);
    assert_int_equal(response->n_events, 1);
    assert_memory_equal(response->events[0]->kv->key.data, "b", 1);
    protobuf_c_message_free_unpacked(&response->base, NULL);
    response = watched(stream, 2);
    assert_int_equal(response->watch_id, -1);
    assert_int_equal(response->header->revision, 2);
    protobuf_c_message_free_unpacked(&response->base, NULL);
}

static void on_changed(void *arg, int status, const struct kv_result *result)
{
    assert_int_equal(status, 0);
}

/* By somebody else than the client. */
static void change(const char *key, const char *value)
{
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};

    command.op.put = (struct kv_put){.key = kv_text(key), .value = kv_text(value)};
    assert_int_equal(kv_service_propose(client.service, &command, on_changed, NULL), 0);
}

static size_t count_events(const struct client_stream *stream)
{
    size_t count = 0;

    for (size_t i = 0; i < client_count(stream); i++) {
        Etcdserverpb__WatchResponse *response = watched(stream, i);

        count += response->n_events;
        protobuf_c_message_free_unpacked(&response->base, NULL);
    }
    return count;
}

/* A watcher that takes nothing costs no more than its bound, misses nothing while it is patient,
 * and is cut when it isn't heard of for too long. */
static void test_slow_watch(void **state)
{
    static char value[3000];
    struct client_stream *stream = watch("a");

    memset(value, 'x', sizeof(value) - 1);
    client_run(&client);
    client.deaf = true;
    for (unsigned i = 0; i < 1000; i++) {
        change("kb", value);
        client_run(&client);
    }
    assert_true(client.front->held > 1 << 20);
    assert_true(client.front->held < (1 << 20) + 100000);
    client.deaf = false;
    client_run(&client);
    assert_int_equal(count_events(stream), 1000);
    client.deaf = true;
    change("kb", value);
    client_run(&client);
    etcd_connection_check(&client.connection, uv_now(&client.loop) + 3600 * 1000);
    client.deaf = false;
    client_run(&client);
    assert_end(stream, 8, "the client reads too slowly");
}

/* Clients see no keys but their own, and take none away. */
static void test_spaces(void **state)
{
    static const char *const others[] = {"j", "j\xff", "l", "s", "\xff"};
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    Etcdserverpb__DeleteRangeRequest delete = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    Etcdserverpb__RangeResponse *response;
    struct client_stream *stream, *watcher = watch("\x01");
    struct kv_info info;

    put("\xff\xff", "value");
    client_run(&client);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        change(others[i], "theirs");
    client_run(&client);
    range.key = delete.key = range.range_end = delete.range_end =
        (ProtobufCBinaryData){1, (uint8_t *)"\0"};
    stream = client_call(&client, KV "Range", &range.base, false, NULL);
    client_run(&client);
    assert_end(stream, 0, "");
    response = (void *)client_message(stream, 0, &etcdserverpb__range_response__descriptor);
    assert_int_equal(response->count, 1);
    assert_int_equal(response->n_kvs, 1);
    assert_int_equal(response->kvs[0]->key.len, 2);
    protobuf_c_message_free_unpacked(&response->base, NULL);
    assert_int_equal(count_events(watcher), 1);
    client_call(&client, KV "DeleteRange", &delete.base, false, NULL);
    client_run(&client);
    kv_store_info(kv_service_store(client.service), &info);
    assert_int_equal(info.keys, sizeof(others) / sizeof(others[0]));
}

/* Clients that ask for a leader (hasleader) don't stay with a node that has none. */
static void test_no_leader(void **state)
{
    struct client_stream *patient = watch("a"), *stream, *unary;

    client.wants_leader = true;
    stream = watch("a");
    client_run(&client);
    single_fail(client.service, CULVERT_ENOTLEADER);
    client.front->status.leader = 0; /* as of the next second */
    unary = client_call(&client, "/etcdserverpb.Cluster/MemberList", NULL, true, NULL);
    client_send_raw(unary, "\0\0\0\0", 5);
    client_finish(unary);
    client_run(&client);
    assert_end(unary, 14, "etcdserver: no leader");
    etcd_connection_check(&client.connection, uv_now(&client.loop));
    client_run(&client);
    assert_int_equal(stream->status, -1);
    client.front->leaderless = ETCD_LEADERLESS_S;
    etcd_connection_check(&client.connection, uv_now(&client.loop));
    client_run(&client);
    assert_end(stream, 14, "etcdserver: no leader");
    assert_int_equal(patient->status, -1);
}

static void test_closing(void **state)
{
    struct client_stream *stream = watch("a"), *unary;

    client_run(&client);
    single_pause(client.service, true);
    unary = put("key", "value");
    client_run(&client);
    etcd_connection_leave(&client.connection);
    client_run(&client);
    assert_end(stream, 14, "etcdserver: server stopped");
    assert_false(etcd_connection_done(&client.connection));
    single_pause(client.service, false);
    client_run(&client);
    assert_end(unary, 0, "");
    assert_true(etcd_connection_done(&client.connection));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_in_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_gives_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watch_and_progress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_watch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spaces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
