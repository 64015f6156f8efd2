/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over sockets on the loopback address, on ports that the kernel chooses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/dns/server.h"
#include "tests/controlplane/dns/ask.h"
#include "tests/controlplane/dns/fixture.h"

#define DEADLINE_MS 10000

/* In the place of the real one, in our code. */
static bool no_memory;
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory ? NULL : __real_calloc(count, size);
}

static struct fixture fixture;
static uv_loop_t loop;
static struct dns_server *server;
static bool closed;

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static const struct dns_listen loopback = {
    .address = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};

static int open_fixture(void **state)
{
    static char text[16384];
    struct fixture_zone zone = {.name = "example.com", .text = text};
    int at = snprintf(text, sizeof(text),
                      "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nweb A 192.0.2.1\n");

    (void)state;
    for (int i = 0; i < 200; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "big TXT \"%050d\"\n", i);
    fixture.size = (size_t)32 << 20;
    return fixture_open(&fixture, &zone, 1);
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static void start(const struct dns_server_options *more)
{
    struct dns_server_options options = {0};

    if (more)
        options = *more;
    options.region = fixture.base;
    closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(dns_server_new(&server, &loop, &options), 0);
    assert_int_equal(dns_server_set_listen(server, &loopback, 1), 0);
}

static void stop(void)
{
    dns_server_close(server, on_closed, &closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Lets the server run until the descriptor is ready for `events`; false: the time is up. */
static bool wait_for(int fd, short events)
{
    uint64_t start_at = uv_hrtime() / 1000000;

    for (;;) {
        struct pollfd both[2] = {{.fd = uv_backend_fd(&loop), .events = POLLIN},
                                 {.fd = fd, .events = events}};
        int timeout;

        uv_run(&loop, UV_RUN_NOWAIT);
        timeout = uv_backend_timeout(&loop);
        if (uv_hrtime() / 1000000 - start_at > DEADLINE_MS)
            return false;
        if (poll(both, 2, timeout < 0 || timeout > 1000 ? 1000 : timeout) < 0)
            return false;
        if (both[1].revents)
            return true;
    }
}

struct found {
    uint16_t port[2];
    unsigned listening, failed;
    char error[256];
};

static void see_listener(void *arg, const struct dns_listener_state *state)
{
    struct found *found = arg;

    found->port[!strcmp(state->protocol, "udp")] = state->port;
    found->listening += state->listening;
    if (!state->listening) {
        found->failed++;
        snprintf(found->error, sizeof(found->error), "%s", state->error);
    }
}

static struct found look(void)
{
    struct found found = {.listening = 0};

    dns_server_listeners(server, see_listener, &found);
    return found;
}

static int dial(int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(look().port[0])};
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    int small = 4096;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
        assert_int_equal(errno, EINPROGRESS);
    assert_true(wait_for(fd, POLLOUT));
    return fd;
}

/* A query behind its length. */
static size_t frame_query(uint8_t *to, const char *name, unsigned type)
{
    size_t length = make_query(to + 2, name, type, 0);

    to[0] = (uint8_t)(length >> 8);
    to[1] = (uint8_t)length;
    return length + 2;
}

static void read_exactly(int fd, uint8_t *to, size_t length)
{
    while (length) {
        ssize_t got;

        assert_true(wait_for(fd, POLLIN));
        got = read(fd, to, length);
        assert_true(got > 0);
        to += got;
        length -= (size_t)got;
    }
}

static void expect_answer(int fd, const char *expected)
{
    static uint8_t reply[65536];
    char text[1024];
    size_t length;

    read_exactly(fd, reply, 2);
    length = (size_t)reply[0] << 8 | reply[1];
    read_exactly(fd, reply, length);
    if (!expected)
        return;
    describe(reply, length, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void expect_end(int fd)
{
    uint8_t byte;

    for (;;) {
        ssize_t got;

        assert_true(wait_for(fd, POLLIN));
        got = read(fd, &byte, 1);
        if (got <= 0)
            break;
    }
    close(fd);
}

#define WEB "NOERROR aa | an: web.example.com. 3600 IN A 192.0.2.1"
#define NEGATIVE                                                                                   \
    "NXDOMAIN aa | ns: example.com. 5 IN SOA ns1.example.com. host.example.com. 1 2 3 4 5"

/* Connections that there is no memory for are closed; the server listens on. */
static void test_no_memory(void **state)
{
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    int fds[3];

    (void)state;
    start(NULL);
    for (int i = 0; i < 3; i++) {
        no_memory = true;
        fds[i] = dial(SOCK_STREAM);
        expect_end(fds[i]);
    }
    no_memory = false;
    fds[0] = dial(SOCK_STREAM);
    assert_int_equal(write(fds[0], query, length), length);
    expect_answer(fds[0], WEB);
    close(fds[0]);
    stop();
}

static void test_udp_and_tcp(void **state)
{
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    char text[512];
    int tcp, udp;
    ssize_t got;

    (void)state;
    start(NULL);
    tcp = dial(SOCK_STREAM);
    assert_int_equal(write(tcp, query, length), length);
    expect_answer(tcp, WEB);
    udp = dial(SOCK_DGRAM);
    assert_int_equal(write(udp, query + 2, length - 2), length - 2);
    assert_true(wait_for(udp, POLLIN));
    got = read(udp, query, sizeof(query));
    describe(query, (size_t)got, text, sizeof(text));
    assert_string_equal(text, WEB);
    close(tcp);
    close(udp);
    stop();
}

/* Queries in one write, and one query byte by byte; answers come in order. */
static void test_pipelined(void **state)
{
    uint8_t query[4096];
    size_t length = 0;
    int fd;

    (void)state;
    start(NULL);
    fd = dial(SOCK_STREAM);
    for (int i = 0; i < 20; i++)
        length += frame_query(query + length, i % 2 ? "nx.example.com" : "web.example.com", 1);
    assert_int_equal(write(fd, query, length), length);
    for (int i = 0; i < 20; i++)
        expect_answer(fd, i % 2 ? NEGATIVE : WEB);
    length = frame_query(query, "web.example.com", 1);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(write(fd, query + i, 1), 1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    expect_answer(fd, WEB);
    close(fd);
    stop();
}

static void test_several_at_once(void **state)
{
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    int fd[10];

    (void)state;
    start(NULL);
    for (int i = 0; i < 10; i++) {
        fd[i] = dial(SOCK_STREAM);
        assert_int_equal(write(fd[i], query, length / 2), length / 2);
    }
    for (int i = 9; i >= 0; i--) {
        assert_int_equal(write(fd[i], query + length / 2, length - length / 2),
                         length - length / 2);
        expect_answer(fd[i], WEB);
        close(fd[i]);
    }
    stop();
}

static void test_broken_messages(void **state)
{
    static const uint8_t empty[] = {0, 0}, large[] = {0x10, 0x01}, small[] = {0, 1, 7};
    struct dns_server_stats stats;
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    int fd;

    (void)state;
    start(NULL);
    fd = dial(SOCK_STREAM);
    assert_int_equal(write(fd, empty, 2), 2);
    expect_end(fd);
    fd = dial(SOCK_STREAM);
    assert_int_equal(write(fd, large, 2), 2);
    expect_end(fd);
    fd = dial(SOCK_STREAM);
    assert_int_equal(write(fd, small, 3), 3);
    expect_end(fd);
    query[4] = 0x80; /* a response */
    fd = dial(SOCK_STREAM);
    assert_int_equal(write(fd, query, length), length);
    expect_end(fd);
    dns_server_stats(server, &stats);
    assert_int_equal(stats.closed_protocol, 4);
    assert_int_equal(stats.connections, 0);
    stop();
}

/* A client that says nothing, and one that never ends its query. */
static void test_idle(void **state)
{
    struct dns_server_options options = {.idle_ms = 50};
    struct dns_server_stats stats;
    uint8_t query[512];
    int silent, slow;

    (void)state;
    frame_query(query, "web.example.com", 1);
    start(&options);
    silent = dial(SOCK_STREAM);
    slow = dial(SOCK_STREAM);
    assert_int_equal(write(slow, query, 5), 5);
    expect_end(silent);
    expect_end(slow);
    dns_server_stats(server, &stats);
    assert_int_equal(stats.closed_idle, 2);
    stop();
}

/* One that asks and never reads: it is not read from either, and then it goes. */
static void test_slow_reader(void **state)
{
    struct dns_server_options options = {.idle_ms = 100};
    struct dns_server_stats stats;
    uint8_t query[512];
    size_t length = frame_query(query, "big.example.com", 16);
    int fd;

    (void)state;
    start(&options);
    fd = dial(SOCK_STREAM);
    do {
        ssize_t sent = write(fd, query, length);

        if (sent != (ssize_t)length)
            assert_true(wait_for(fd, POLLOUT));
        uv_run(&loop, UV_RUN_NOWAIT);
        dns_server_stats(server, &stats);
    } while (!stats.closed_slow && !stats.closed_protocol);
    assert_int_equal(stats.closed_slow, 1);
    close(fd);
    stop();
}

/* One that reads late gets everything. */
static void test_late_reader(void **state)
{
    uint8_t query[512];
    size_t length = frame_query(query, "big.example.com", 16);
    size_t sent = 0;
    int fd;

    (void)state;
    start(NULL);
    fd = dial(SOCK_STREAM);
    for (int i = 0; i < 1000; i++) {
        if (write(fd, query, length) != (ssize_t)length)
            break;
        sent++;
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_true(sent > 10);
    for (size_t i = 0; i < sent; i++)
        expect_answer(fd, NULL);
    close(fd);
    stop();
}

static void test_bounds_of_connections(void **state)
{
    struct dns_server_options options = {.connections = 5, .connections_source = 3};
    struct dns_server_stats stats;
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    int fd[3], more;

    (void)state;
    start(&options);
    for (int i = 0; i < 3; i++)
        fd[i] = dial(SOCK_STREAM);
    more = dial(SOCK_STREAM);
    expect_end(more);
    dns_server_stats(server, &stats);
    assert_int_equal(stats.refused_source, 1);
    close(fd[0]);
    do {
        uv_run(&loop, UV_RUN_ONCE);
        dns_server_stats(server, &stats);
    } while (stats.connections > 2);
    more = dial(SOCK_STREAM);
    assert_int_equal(write(more, query, length), length);
    expect_answer(more, WEB);
    close(more);
    close(fd[1]);
    close(fd[2]);
    stop();
}

static void test_listeners_change(void **state)
{
    struct dns_listen list[2] = {loopback, loopback};
    uint8_t query[512];
    size_t length = frame_query(query, "web.example.com", 1);
    struct found before, after;
    int kept;

    (void)state;
    start(NULL);
    before = look();
    assert_int_equal(before.listening, 2);
    assert_int_equal(before.port[0], before.port[1]);
    kept = dial(SOCK_STREAM);
    assert_int_equal(write(kept, query, length), length);
    expect_answer(kept, WEB);
    /* an address that nobody has yet; the one that stays is not touched */
    memcpy(list[1].address + 12, "\xc0\x00\x02\x35", 4);
    assert_int_equal(dns_server_set_listen(server, list, 2), 0);
    after = look();
    assert_int_equal(after.listening, 4);
    assert_int_equal(dns_server_set_listen(server, list, 1), 0);
    after = look();
    assert_int_equal(after.port[0], before.port[0]);
    /* nobody listens, the connection stays */
    assert_int_equal(dns_server_set_listen(server, NULL, 0), 0);
    assert_int_equal(write(kept, query, length), length);
    expect_answer(kept, WEB);
    close(kept);
    stop();
}

static void test_port_in_use(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct dns_listen list[2] = {loopback, loopback};
    socklen_t size = sizeof(at);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    struct found found;

    (void)state;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(other, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(getsockname(other, (struct sockaddr *)&at, &size), 0);
    list[1].port = ntohs(at.sin_port);
    start(NULL);
    assert_int_equal(dns_server_set_listen(server, list, 2), CULVERT_ESYSTEM);
    found = look();
    assert_int_equal(found.listening, 3);
    assert_non_null(strstr(found.error, "in use"));
    close(other);
    assert_int_equal(dns_server_set_listen(server, list, 2), 0);
    assert_int_equal(look().listening, 4);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_and_tcp),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_broken_messages),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_late_reader),
        cmocka_unit_test(test_bounds_of_connections),
        cmocka_unit_test(test_listeners_change),
        cmocka_unit_test(test_port_in_use),
    };

    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
