/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that get along: messages, order, back-pressure, reconnection. */
#include "tests/controlplane/core/transport_rig.h"

#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/transport_internal.h"

#define BULK_MARK 0xb0

static struct rig rig;

static int open_three(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

/* ---- messages that prove their order ---- */

struct stream {
    uint32_t sent, received; /* numbers */
    size_t length;           /* most bytes */
};

static bool is_bulk(const void *bytes, size_t length)
{
    return length && *(const uint8_t *)bytes == BULK_MARK;
}

static uint8_t pattern(uint32_t number, size_t at)
{
    return (uint8_t)(number * 31 + at * 7 + at / 251);
}

static size_t length_of(const struct stream *stream, uint32_t number)
{
    return 5 + number * 2654435761u % stream->length;
}

/* Sends the next message of a stream; false: the queue is full. */
static bool send_next(struct stream *stream, unsigned from, unsigned to, uint8_t mark)
{
    size_t length = length_of(stream, stream->sent);
    uint8_t *data = malloc(length);
    int error;

    assert_non_null(data);
    data[0] = mark;
    memcpy(data + 1, &stream->sent, 4);
    for (size_t i = 5; i < length; i++)
        data[i] = pattern(stream->sent, i);
    error = rig_send(&rig, from, to, data, length);
    free(data);
    assert_true(!error || error == CULVERT_EFULL);
    stream->sent += !error;
    return !error;
}

static void check_next(struct stream *stream, const uint8_t *data, size_t length)
{
    uint32_t number;

    memcpy(&number, data + 1, 4);
    assert_int_equal(number, stream->received);
    assert_int_equal(length, length_of(stream, number));
    for (size_t i = 5; i < length; i++)
        assert_int_equal(data[i], pattern(number, i));
    stream->received++;
}

struct streams {
    struct stream plain[4], bulk[4]; /* by the sender */
};

static void take_streams(struct rig_node *node, uint64_t from, const uint8_t *data, size_t length)
{
    struct streams *streams = node->arg;

    check_next(data[0] == BULK_MARK ? &streams->bulk[from] : &streams->plain[from], data, length);
}

static bool all_arrived(const struct streams *in, unsigned nodes)
{
    for (unsigned to = 1; to <= nodes; to++)
        for (unsigned from = 1; from <= nodes; from++)
            if (from != to && (in[to].plain[from].received < in[to].plain[from].sent ||
                               in[to].bulk[from].received < in[to].bulk[from].sent))
                return false;
    return true;
}

/* Everybody sends to everybody, small and large, plain and bulk, until so many were taken. */
static void exchange(unsigned nodes, uint32_t count)
{
    static struct streams in[4];

    memset(in, 0, sizeof(in));
    for (unsigned to = 1; to <= nodes; to++) {
        rig.node[to].arg = &in[to];
        rig.node[to].on_message = take_streams;
        for (unsigned from = 1; from <= nodes; from++) {
            in[to].plain[from].length = 3000;
            in[to].bulk[from].length = 200000;
        }
    }
    for (bool more = true; more;) {
        more = false;
        for (unsigned link = 0; link < nodes * nodes; link++) {
            unsigned from = 1 + link / nodes, to = 1 + link % nodes;
            struct stream *plain = &in[to].plain[from], *bulk = &in[to].bulk[from];

            if (from == to)
                continue;
            for (int i = 0; i < 20 && plain->sent < count; i++)
                if (!send_next(plain, from, to, 0))
                    break;
            if (bulk->sent < count / 50)
                send_next(bulk, from, to, BULK_MARK);
            more = more || plain->sent < count || bulk->sent < count / 50;
        }
        rig_step(&rig, -1, 0);
    }
    rig_until(&rig, all_arrived(in, nodes));
    for (unsigned id = 1; id <= nodes; id++)
        rig.node[id].on_message = NULL;
}

static void test_two(void **state)
{
    (void)state;
    rig.node[1].options.bulk = rig.node[2].options.bulk = is_bulk;
    rig_meet(&rig, 2);
    exchange(2, 5000);
    assert_int_equal(rig_stats(&rig, 1).connections, 1);
}

static void test_three_dial_at_once(void **state)
{
    (void)state;
    for (unsigned id = 1; id <= 3; id++) {
        rig.node[id].options.defer_ms = 1;
        rig.node[id].options.backoff_min_ms = 1;
        rig.node[id].options.bulk = is_bulk;
    }
    for (int round = 0; round < 10; round++) {
        for (unsigned id = 1; id <= 3; id++)
            rig_start(&rig, id);
        /* However they met, each pair is left with one connection, and it works. */
        rig_until(&rig, rig_settled(&rig, 3));
        if (round == 9)
            exchange(3, 500);
        for (unsigned id = 1; id <= 3; id++)
            rig_stop(&rig, id);
    }
}

/* What node `self` does with a new connection to `peer` beside one that is up. */
static bool prefers(uint64_t self, uint64_t peer, bool new_inbound, bool old_inbound, uint64_t life)
{
    static struct transport transport;
    struct connection new = {.transport = &transport, .inbound = new_inbound};
    struct connection old = {.transport = &transport, .inbound = old_inbound};

    transport.hello.node = self;
    new.reader.hello = (struct wire_hello){.node = peer, .life = life};
    old.reader.hello = (struct wire_hello){.node = peer, .life = 1};
    return session_is_preferred(&new, &old);
}

static void test_of_two_the_lower_ids_stays(void **state)
{
    (void)state;
    /* Dialed by 1, beside one dialed by 2: both take it. The other way round: neither does. */
    assert_true(prefers(1, 2, false, true, 1));
    assert_true(prefers(2, 1, true, false, 1));
    assert_false(prefers(1, 2, true, false, 1));
    assert_false(prefers(2, 1, false, true, 1));
    /* The same one dialed again, or after a start. */
    assert_true(prefers(1, 2, true, true, 1));
    assert_true(prefers(2, 1, false, false, 1));
    assert_true(prefers(1, 2, true, false, 7));
    assert_true(prefers(2, 1, false, true, 7));
}

static void test_messages_of_a_turn_leave_together(void **state)
{
    struct transport_stats before, after;
    char text[100] = "";

    (void)state;
    rig_meet(&rig, 2);
    before = rig_stats(&rig, 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rig_send(&rig, 1, 2, text, sizeof(text)), 0);
    rig_until(&rig, rig.node[2].messages == 1000);
    after = rig_stats(&rig, 1);
    assert_true(after.writes - before.writes < 10);
    assert_true(after.bytes_sent - before.bytes_sent < 1000 * 110);
}

static void take_kinds(struct rig_node *node, uint64_t from, const uint8_t *data, size_t length)
{
    (void)from;
    (void)length;
    ((char *)node->arg)[node->messages - 1] = data[0] == BULK_MARK ? 'b' : 'p';
}

static void test_bulk_lets_others_pass(void **state)
{
    size_t length = (size_t)12 << 20;
    char *data = calloc(1, length), order[3] = "";
    uint64_t heard;

    (void)state;
    assert_non_null(data);
    rig.node[1].options.bulk = is_bulk;
    rig_meet(&rig, 2);
    rig.node[2].arg = order;
    rig.node[2].on_message = take_kinds;
    data[0] = (char)BULK_MARK;
    heard = rig_stats(&rig, 2).bytes_received;
    assert_int_equal(rig_send(&rig, 1, 2, data, length), 0);
    rig_until(&rig, rig_stats(&rig, 2).bytes_received > heard + 100000);
    assert_int_equal(rig_send(&rig, 1, 2, "heartbeat", 9), 0);
    rig_until(&rig, rig.node[2].messages == 2);
    assert_string_equal(order, "pb");
    free(data);
}

static void see_queue(void *arg, const struct transport_peer *peer)
{
    *(size_t *)arg = peer->queued;
}

static void test_back_pressure(void **state)
{
    static struct streams in;
    struct stream *stream = &in.plain[1];
    size_t queued = 0;

    (void)state;
    in = (struct streams){0};
    stream->length = 100000;
    rig.node[1].options.queue = (size_t)1 << 20;
    rig_meet(&rig, 2);
    rig.node[2].arg = &in;
    rig.node[2].on_message = take_streams;
    rig.node[2].frozen = true;
    for (int full = 0; full < 100;) {
        full = send_next(stream, 1, 2, 0) ? 0 : full + 1;
        rig_step(&rig, -1, 0);
    }
    transport_peers(rig.node[1].transport, see_queue, &queued);
    assert_in_range(queued, 500000, 1300000);
    assert_int_equal(rig.node[1].writable, 0);
    rig.node[2].frozen = false;
    rig_until(&rig, rig.node[1].writable == 1);
    rig_until(&rig, stream->received == stream->sent);
    assert_int_equal(rig.node[1].downs, 0);
}

static void test_limits(void **state)
{
    char *data = calloc(1, ENV_MESSAGE_MAX + 1);

    (void)state;
    assert_non_null(data);
    rig_meet(&rig, 2);
    assert_int_equal(rig_send(&rig, 1, 7, "x", 1), CULVERT_ENOTFOUND);
    assert_int_equal(rig_send(&rig, 1, 2, data, ENV_MESSAGE_MAX + 1), CULVERT_EINVAL);
    assert_int_equal(rig_send(&rig, 1, 2, data, 0), 0);
    rig_until(&rig, rig.node[2].messages == 1);
    assert_int_equal(rig_send(&rig, 1, 2, data, ENV_MESSAGE_MAX), 0);
    assert_int_equal(rig_send(&rig, 1, 2, data, 0), CULVERT_EFULL);
    rig_until(&rig, rig.node[2].messages == 2);
    assert_int_equal(rig.node[2].bytes, ENV_MESSAGE_MAX);
    assert_int_equal(transport_peer_set(rig.node[1].transport, 1, &rig.node[1].endpoint),
                     CULVERT_EINVAL);
    assert_int_equal(transport_peer_remove(rig.node[1].transport, 7), CULVERT_ENOTFOUND);
    free(data);
}

/* A ping and its answer each 20 ms, about 70 bytes in TLS each way, and nothing else. */
static void test_idle_says_little(void **state)
{
    uint64_t from, bytes;

    (void)state;
    rig_meet(&rig, 2);
    from = uv_hrtime();
    bytes = rig_stats(&rig, 1).bytes_sent;
    rig_until(&rig, rig_stats(&rig, 1).bytes_sent > bytes + 1000);
    assert_true(uv_hrtime() - from > 100000000);
}

/* ---- connections that end ---- */

static void test_reconnects(void **state)
{
    (void)state;
    rig_meet(&rig, 2);
    for (unsigned round = 1; round <= 5; round++) {
        unsigned downs = rig.node[1].downs;

        rig_stop(&rig, 2);
        rig_until(&rig, rig.node[1].downs > downs);
        assert_int_equal(rig_send(&rig, 1, 2, "x", 1), CULVERT_ENOTFOUND);
        rig_start(&rig, 2);
        rig_until(&rig, rig_settled(&rig, 2));
    }
    exchange(2, 200);
}

static void test_silent_peer_is_given_up(void **state)
{
    (void)state;
    rig.node[1].options.silent_ms = 200;
    rig_meet(&rig, 2);
    rig.node[2].frozen = true;
    rig_until(&rig, rig.node[1].downs == 1);
    assert_int_equal(rig_ended(&rig, 1, TRANSPORT_SILENT), 1);
    rig.node[2].frozen = false;
    rig_until(&rig, rig.node[1].ups >= 2 && rig_connected(&rig, 1, 2));
}

/* A machine that lost its power comes back before the others missed it: node 2, in the third place
 * of the rig. */
static void test_new_life_replaces_the_old(void **state)
{
    struct rig_node *again = &rig.node[3];

    (void)state;
    rig_meet(&rig, 2);
    rig.node[2].frozen = true; /* its sockets stay, nobody reads them */
    identity_free(again->identity);
    again->identity = rig_identity(rig.site, 2);
    rig_start_alone(&rig, 3);
    assert_int_equal(transport_peer_set(again->transport, 1, &rig.node[1].endpoint), 0);
    rig_until(&rig, rig.node[1].downs > 0 && rig.node[1].connected >> 2 & 1 && again->connected);
    assert_int_equal(rig_ended(&rig, 1, TRANSPORT_SILENT), 0);
}

static void test_peers_change(void **state)
{
    struct endpoint wrong;

    (void)state;
    rig.node[2].options.defer_ms = 20;
    rig_meet(&rig, 2);
    assert_int_equal(transport_peer_remove(rig.node[1].transport, 2), 0);
    rig_until(&rig, rig.node[2].downs == 1);
    assert_int_equal(rig.node[1].downs, 0); /* the owner knows */
    assert_int_equal(rig_send(&rig, 1, 2, "x", 1), CULVERT_ENOTFOUND);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_STRANGER) > 2);
    rig.node[1].connected = 0;
    /* Back, with an address where nobody is: it dials us. */
    wrong = rig.node[1].endpoint;
    wrong.port = 1;
    assert_int_equal(transport_peer_set(rig.node[1].transport, 2, &wrong), 0);
    rig_until(&rig, rig_connected(&rig, 1, 2));
    rig_stop(&rig, 2);
    rig_until(&rig, rig.node[1].downs == 1 && rig_ended(&rig, 1, TRANSPORT_NETWORK) > 2);
    /* It moves, and only we know. */
    rig.node[2].endpoint.port = 0;
    rig_start_alone(&rig, 2);
    rig.node[2].options.defer_ms = 100000;
    assert_int_equal(transport_peer_set(rig.node[2].transport, 1, &wrong), 0);
    assert_int_equal(transport_peer_set(rig.node[1].transport, 2, &rig.node[2].endpoint), 0);
    rig_until(&rig, rig_connected(&rig, 1, 2));
}

static void test_ipv6(void **state)
{
    (void)state;
    for (unsigned id = 1; id <= 2; id++) {
        assert_int_equal(units_parse_endpoint("[::1]:1", &rig.node[id].endpoint), 0);
        rig.node[id].endpoint.port = 0;
    }
    rig_meet(&rig, 2);
    exchange(2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_three, close_rig)
        TEST(two),
        TEST(three_dial_at_once),
        TEST(of_two_the_lower_ids_stays),
        TEST(messages_of_a_turn_leave_together),
        TEST(bulk_lets_others_pass),
        TEST(back_pressure),
        TEST(limits),
        TEST(idle_says_little),
        TEST(reconnects),
        TEST(silent_peer_is_given_up),
        TEST(new_life_replaces_the_old),
        TEST(peers_change),
        TEST(ipv6),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
