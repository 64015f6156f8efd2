/* SPDX-License-Identifier: Apache-2.0 */
/* Those who should not get in, or misbehave inside: counted, bounded, and the others go on. */
#include "tests/controlplane/core/transport_rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/core/transport_wire.h"

#define PEER_ALPN "culvert-peer/1"

static struct rig rig;

static int open_three(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    for (unsigned id = 1; id <= 3; id++)
        rig.node[id].options.silent_ms = 300;
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

/* Nodes 1 and 2 get along whatever the third does. */
static void check_others(void)
{
    size_t before;

    if (!rig.node[2].transport)
        rig_start(&rig, 2);
    rig_until(&rig, rig_connected(&rig, 1, 2) && rig_stats(&rig, 1).unknown == 0 &&
                        rig_stats(&rig, 2).connections == 1);
    before = rig.node[2].messages;
    assert_int_equal(rig_send(&rig, 1, 2, "hello", 5), 0);
    rig_until(&rig, rig.node[2].messages == before + 1);
}

/* ---- wrong identities: node 3 tries to be a peer of node 1 ---- */

static void try_third(enum transport_reason expected)
{
    rig_start(&rig, 1);
    rig_start_alone(&rig, 3);
    rig.node[3].options.defer_ms = 1;
    rig_introduce(&rig, 1, 3);
    rig_until(&rig, rig_ended(&rig, 1, expected) >= 3);
    assert_int_equal(rig.node[1].ups, 0);
    assert_int_equal(rig.node[3].ups, 0);
    rig_stop(&rig, 3);
    check_others();
}

/* A certificate of the site's own CA, for any name and time. */
static void reissue(struct identity *identity, const struct node_name *name, int64_t now)
{
    struct authority *authority;
    X509 *certificate;

    assert_int_equal(authority_unseal(&authority, rig.site->name.site, rig.site->site_key,
                                      rig.site->sealed.data, rig.site->sealed.length),
                     0);
    assert_int_equal(authority_issue(authority, name, identity->key, now, &certificate), 0);
    X509_free(sk_X509_shift(identity->chain));
    assert_true(sk_X509_unshift(identity->chain, certificate) > 0);
    authority_free(authority);
}

static void test_wrong_ca(void **state)
{
    (void)state;
    identity_free(rig.node[3].identity);
    assert_int_equal(identity_found(&rig.node[3].identity, 3, rig_now()), 0);
    try_third(TRANSPORT_CERTIFICATE);
}

static void test_wrong_site(void **state)
{
    struct identity *identity = rig.node[3].identity;

    (void)state;
    identity->name.site[0] = identity->name.site[0] == 'a' ? 'b' : 'a';
    reissue(identity, &identity->name, rig_now());
    try_third(TRANSPORT_SITE);
}

static void test_expired_certificate(void **state)
{
    struct identity *identity = rig.node[3].identity;

    (void)state;
    reissue(identity, &identity->name, rig_now() - (int64_t)(AUTHORITY_NODE_DAYS + 1) * 86400);
    try_third(TRANSPORT_CERTIFICATE);
}

static void test_node_id_is_not_the_certificates(void **state)
{
    const struct node_name name = rig.node[3].identity->name;

    (void)state;
    rig.node[3].identity->name.node = 2; /* what it says; its certificate is node 3's */
    rig_start(&rig, 1);
    rig_start_alone(&rig, 3);
    assert_int_equal(transport_peer_set(rig.node[3].transport, 1, &rig.node[1].endpoint), 0);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_NODE) >= 3);
    assert_int_equal(rig.node[1].ups, 0);
    rig_stop(&rig, 3);
    rig.node[3].identity->name = name;
    check_others();
}

static void test_another_node_answers(void **state)
{
    (void)state;
    rig_start_alone(&rig, 1);
    rig_start_alone(&rig, 3);
    assert_int_equal(transport_peer_set(rig.node[1].transport, 2, &rig.node[3].endpoint), 0);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_NODE) >= 3);
    assert_int_equal(rig.node[1].ups, 0);
}

static void test_stranger(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    rig_start_alone(&rig, 3);
    assert_int_equal(transport_peer_set(rig.node[3].transport, 1, &rig.node[1].endpoint), 0);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_STRANGER) >= 3);
    assert_true(rig_ended(&rig, 3, TRANSPORT_REFUSED) >= 2);
    rig_stop(&rig, 3);
    check_others();
}

static void test_old_version(void **state)
{
    (void)state;
    rig.node[1].options.version_min = 2;
    rig.node[1].options.version_max = 3;
    rig.node[2].options.version_min = 1;
    rig.node[2].options.version_max = 2;
    rig.node[3].options.version_max = 1;
    try_third(TRANSPORT_VERSION); /* it can 1 only */
    assert_true(rig_connected(&rig, 1, 2));
}

/* ---- garbage ---- */

static void see_state(void *arg, const struct transport_peer *peer)
{
    if (peer->connected)
        *(struct transport_peer *)arg = *peer;
}

static void test_status_tells_version(void **state)
{
    struct transport_peer peer = {0};

    (void)state;
    rig.node[2].options.version_max = 9;
    rig.node[2].options.software = "2.0";
    rig_start(&rig, 1);
    check_others();
    rig_until(&rig, (transport_peers(rig.node[1].transport, see_state, &peer), peer.rtt_us));
    assert_int_equal(peer.version, TRANSPORT_VERSION_MAX);
    assert_string_equal(peer.software, "2.0");
}

static bool is_closed(int fd)
{
    char data[4096];
    ssize_t got;

    while ((got = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
        ;
    return !got || errno == ECONNRESET;
}

static void test_garbage_on_the_port(void **state)
{
    static char data[30000];
    int fd[3];

    (void)state;
    rig_start(&rig, 1);
    memset(data, 0x16, sizeof(data));
    for (int i = 0; i < 3; i++) {
        fd[i] = rig_dial(&rig, 1);
        rig_step(&rig, fd[i], POLLOUT);
        if (i == 1)
            memcpy(data, "GET / HTTP/1.0\r\n\r\n", 18);
        assert_true(send(fd[i], data + (i == 2 ? 5000 : 0), sizeof(data) - 5000, MSG_NOSIGNAL) > 0);
    }
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_TLS) == 3);
    for (int i = 0; i < 3; i++) {
        rig_until(&rig, is_closed(fd[i]));
        close(fd[i]);
    }
    check_others();
}

static void test_half_open_and_slow(void **state)
{
    static const uint8_t start[] = {0x16, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc, 3, 3};
    int idle, slow;
    size_t sent = 0;

    (void)state;
    rig.node[1].options.handshake_ms = 200;
    rig_start(&rig, 1);
    idle = rig_dial(&rig, 1);
    slow = rig_dial(&rig, 1);
    rig_until(&rig, rig_stats(&rig, 1).accepted == 2);
    while (rig_ended(&rig, 1, TRANSPORT_HANDSHAKE) < 2) {
        uint8_t byte = sent < sizeof(start) ? start[sent] : 1;
        bool more = sent < 2000; /* of the 8 KiB that it promises */

        if (more)
            sent += send(slow, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
        rig_step(&rig, more ? slow : -1, POLLOUT);
    }
    assert_true(sent > 100);
    rig_until(&rig, is_closed(idle) && is_closed(slow));
    close(idle);
    close(slow);
    check_others();
}

/* How many lines of the log a file has with these words. */
static unsigned count_lines(int file, const char *words)
{
    static char text[65536];
    ssize_t length = pread(file, text, sizeof(text) - 1, 0);
    unsigned count = 0;

    assert_true(length >= 0);
    text[length] = 0;
    for (const char *at = text; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void test_crowd(void **state)
{
    int fd[100], log = memfd_create("log", MFD_CLOEXEC), stderr_copy = dup(STDERR_FILENO);

    (void)state;
    assert_true(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
    rig.node[1].options.unknown_max = 8;
    rig_start(&rig, 1);
    for (int i = 0; i < 100; i++) {
        fd[i] = rig_dial(&rig, 1);
        rig_step(&rig, fd[i], POLLOUT);
        assert_true(rig_stats(&rig, 1).unknown <= 8);
    }
    rig_until(&rig, rig_stats(&rig, 1).accepted == 100);
    assert_int_equal(rig_ended(&rig, 1, TRANSPORT_CROWD), 92);
    dup2(stderr_copy, STDERR_FILENO);
    close(stderr_copy);
    assert_int_equal(count_lines(log, transport_reason_text(TRANSPORT_CROWD)), 5);
    close(log);
    rig_start(&rig, 2);
    rig_until(&rig, rig_connected(&rig, 1, 2));
    for (int i = 0; i < 100; i++)
        close(fd[i]);
    check_others();
}

/* ---- inside TLS ---- */

static void put_hello(struct buffer *out, uint64_t node)
{
    struct wire_hello hello = {.version_min = 1, .version_max = 1, .node = node, .life = 1};

    memcpy(hello.site, rig.site->name.site, sizeof(hello.site));
    wire_put_hello(out, &hello);
}

/* Node 3 is a member, comes in by hand, and says this. */
static void say(struct rig_tls *tls, const struct buffer *out)
{
    rig_start(&rig, 1);
    assert_int_equal(transport_peer_set(rig.node[1].transport, 3, &rig.node[3].endpoint), 0);
    rig_tls_open(&rig, tls, 1, rig.node[3].identity, PEER_ALPN);
    rig_tls_send(&rig, tls, out->data, out->length);
}

static void check_protocol(struct buffer *out)
{
    struct rig_tls tls;

    assert_int_equal(units_parse_endpoint("127.0.0.1:1", &rig.node[3].endpoint), 0);
    say(&tls, out);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_PROTOCOL) == 1);
    assert_int_equal(rig.node[1].messages, 0);
    rig_tls_close(&tls);
    check_others();
    buffer_free(out);
}

static void test_message_before_hello(void **state)
{
    struct buffer out = {0};

    (void)state;
    wire_put_header(&out, WIRE_MESSAGE, 4);
    buffer_add(&out, "oops", 4);
    check_protocol(&out);
}

static void test_message_before_ready(void **state)
{
    struct buffer out = {0};

    (void)state;
    put_hello(&out, 3);
    wire_put_header(&out, WIRE_MESSAGE, 4);
    buffer_add(&out, "oops", 4);
    check_protocol(&out);
}

static void test_frame_too_long(void **state)
{
    struct buffer out = {0};

    (void)state;
    put_hello(&out, 3);
    wire_put_header(&out, WIRE_READY, 0);
    wire_put_header(&out, WIRE_MESSAGE, ENV_MESSAGE_MAX + 1);
    check_protocol(&out);
}

static void test_bulk_longer_than_said(void **state)
{
    struct buffer out = {0};

    (void)state;
    put_hello(&out, 3);
    wire_put_header(&out, WIRE_READY, 0);
    wire_put_header(&out, WIRE_BULK_FIRST, 4 + 6);
    buffer_add(&out,
               "\x05\0\0\0"
               "123456",
               10);
    check_protocol(&out);
}

/* Asks and asks, and reads no answer: what waits for it stays small, and it is given up. */
static void test_flood_that_reads_nothing(void **state)
{
    struct buffer out = {0};
    struct transport_peer peer = {0};
    struct rig_tls tls;
    size_t sent;

    (void)state;
    put_hello(&out, 3);
    wire_put_header(&out, WIRE_READY, 0);
    assert_int_equal(units_parse_endpoint("127.0.0.1:1", &rig.node[3].endpoint), 0);
    say(&tls, &out);
    rig_until(&rig, rig.node[1].ups == 1);
    buffer_clear(&out);
    for (int i = 0; i < 1000; i++)
        wire_put_time(&out, WIRE_PING, 1);
    while (!rig_ended(&rig, 1, TRANSPORT_STALLED)) {
        static char data[4096];

        if (SSL_write_ex(tls.ssl, out.data, out.length, &sent) != 1)
            assert_int_equal(rig.node[1].downs, rig_ended(&rig, 1, TRANSPORT_STALLED));
        while (!rig.node[1].downs && !rig_send(&rig, 1, 3, data, sizeof(data)))
            ;
        rig_step(&rig, -1, 0);
        transport_peers(rig.node[1].transport, see_state, &peer);
        assert_true(peer.queued < (size_t)6 << 20);
    }
    rig_tls_close(&tls);
    buffer_free(&out);
    check_others();
}

static void test_no_certificate(void **state)
{
    struct rig_tls tls;

    (void)state;
    rig_start(&rig, 1);
    rig_tls_open(&rig, &tls, 1, NULL, PEER_ALPN);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_TLS) == 1);
    rig_tls_close(&tls);
    check_others();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_three, close_rig)
        TEST(wrong_ca),
        TEST(wrong_site),
        TEST(expired_certificate),
        TEST(node_id_is_not_the_certificates),
        TEST(another_node_answers),
        TEST(stranger),
        TEST(old_version),
        TEST(status_tells_version),
        TEST(garbage_on_the_port),
        TEST(half_open_and_slow),
        TEST(crowd),
        TEST(message_before_hello),
        TEST(message_before_ready),
        TEST(frame_too_long),
        TEST(bulk_longer_than_said),
        TEST(flood_that_reads_nothing),
        TEST(no_certificate),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
