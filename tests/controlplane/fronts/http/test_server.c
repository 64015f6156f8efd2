/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a real socket, played by a client that the test steps along with the loop. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "controlplane/base/local_socket.h"
#include "controlplane/fronts/http/server.h"

struct rig {
    uv_loop_t loop;
    char folder[32], path[64];
    struct http_server *server;
    struct http_exchange *held; /* by the slow handler */
    size_t sunk;
    unsigned aborted, handled;
    bool closed;
};

static void handle_hello(struct http_exchange *exchange)
{
    struct rig *rig = exchange->app;

    rig->handled++;
    http_respond(exchange, 200, strdup("\"hello\""), 7);
}

static void handle_slow(struct http_exchange *exchange)
{
    struct rig *rig = exchange->app;

    rig->held = exchange;
}

static void handle_echo(struct http_exchange *exchange)
{
    size_t length = exchange->request->body_length;
    char *copy = malloc(length + 1);

    assert_non_null(copy);
    if (length)
        memcpy(copy, exchange->request->body, length);
    http_respond(exchange, 200, copy, length);
}

static int sink(void *arg, const char *data, size_t length)
{
    struct http_exchange *exchange = arg;
    struct rig *rig = exchange->app;

    if (memchr(data, '!', length)) {
        exchange->sink_status = 507;
        exchange->sink_problem = "the disk is full";
        return -1;
    }
    rig->sunk += length;
    return 0;
}

static void sink_abort(void *arg)
{
    struct http_exchange *exchange = arg;

    ((struct rig *)exchange->app)->aborted++;
}

static void begin_sink(struct http_exchange *exchange)
{
    exchange->sink = sink;
    exchange->sink_abort = sink_abort;
    exchange->sink_arg = exchange;
}

static const struct http_route routes[] = {
    {HTTP_METHOD_GET, "/hello", handle_hello, NULL, 0, NULL},
    {HTTP_METHOD_GET, "/slow", handle_slow, NULL, 0, NULL},
    {HTTP_METHOD_POST, "/echo", handle_echo, NULL, 0, NULL},
    {HTTP_METHOD_PUT, "/sink", handle_hello, begin_sink, 0, NULL},
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct http_server_options options = {
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .times = {.header = 100, .body = 100, .idle = 150},
    };
    char problem[256];
    int fd;

    strcpy(rig->folder, "/tmp/http-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof(rig->path), "%s/s", rig->folder);
    uv_loop_init(&rig->loop);
    options.app = rig;
    assert_int_equal(local_socket_listen(rig->path, &fd, problem, sizeof(problem)), 0);
    assert_int_equal(http_server_new(&rig->server, &rig->loop, &options), 0);
    assert_int_equal(http_server_listen(rig->server, fd, NULL), 0);
    *state = rig;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct rig *)arg)->closed = true;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    if (!rig->closed)
        http_server_close(rig->server, on_closed, rig);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_true(rig->closed);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

static int dial(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, rig->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Lets the loop run until `text` was received or the server closed (then "<end>" is added). */
static const char *hear(struct rig *rig, int fd, const char *text)
{
    static char heard[1 << 16];
    size_t length = 0;

    heard[0] = 0;
    while (!strstr(heard, text)) {
        ssize_t count = recv(fd, heard + length, sizeof(heard) - length - 8, MSG_DONTWAIT);

        if (count > 0)
            length += (size_t)count;
        heard[length] = 0;
        if (count == 0 || (count < 0 && errno != EAGAIN)) {
            strcpy(heard + length, "<end>");
            break;
        }
        if (count < 0)
            uv_run(&rig->loop, UV_RUN_ONCE);
    }
    return heard;
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;

    for (; (text = strstr(text, word)); text++)
        count++;
    return count;
}

static void test_keep_alive(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    for (int i = 0; i < 3; i++) {
        say(fd, "GET /hello HTTP/1.1\r\n\r\n");
        assert_non_null(strstr(hear(rig, fd, "\"hello\""), "HTTP/1.1 200 OK"));
    }
    say(fd, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(hear(rig, fd, "<end>"), "Connection: close"));
    assert_int_equal(rig->handled, 4);
    close(fd);
}

static void test_pipeline_is_answered_in_order(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);
    const char *heard;

    say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\noneGET /hello HTTP/1.1\r\n\r\n"
            "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nthree");
    heard = hear(rig, fd, "three");
    assert_int_equal(count_of(heard, "HTTP/1.1 200 OK"), 3);
    assert_true(strstr(heard, "one") < strstr(heard, "hello"));
    close(fd);
}

static void test_pipeline_waits_for_a_slow_answer(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "GET /slow HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    while (!rig->held)
        uv_run(&rig->loop, UV_RUN_ONCE);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_int_equal(rig->handled, 0);
    http_respond(rig->held, 200, strdup("1"), 1);
    hear(rig, fd, "hello");
    assert_int_equal(rig->handled, 1);
    close(fd);
}

static void test_peer_gone_before_the_answer(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "GET /slow HTTP/1.1\r\n\r\n");
    while (!rig->held)
        uv_run(&rig->loop, UV_RUN_ONCE);
    close(fd);
    http_server_close(rig->server, on_closed, rig); /* waits for the answer */
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_false(rig->closed);
    http_respond(rig->held, 200, strdup("1"), 1);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_true(rig->closed);
}

static void test_errors(void **state)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"nonsense\r\n\r\n", "400 Bad Request"},
        {"GET /nowhere HTTP/1.1\r\n\r\n", "404 Not Found"},
        {"PUT /hello HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed"},
        {"POST /echo HTTP/1.1\r\n\r\n", "411 Length Required"},
        {"POST /echo HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "413 Content Too Large"},
        {"PUT /sink HTTP/1.1\r\nContent-Length: 6\r\n\r\nhello!", "507 Insufficient Storage"},
        {"DELETE /hello HTTP/1.1\r\n\r\n", "405 Method Not Allowed"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = dial(rig);
        const char *heard;

        say(fd, cases[i].request);
        heard = hear(rig, fd, "<end>");
        if (!strstr(heard, cases[i].status))
            print_error("%s: %s\n", cases[i].request, heard);
        assert_non_null(strstr(heard, cases[i].status));
        assert_non_null(strstr(heard, "{\"errors\":[{\"message\":\""));
        close(fd);
    }
    assert_int_equal(rig->aborted, 1);
}

static void test_method_not_allowed_says_what_is(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "GET /echo HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(hear(rig, fd, "<end>"), "Allow: POST\r\n"));
    close(fd);
}

static void test_head_has_no_body(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);
    const char *heard;

    say(fd, "HEAD /hello HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n");
    heard = hear(rig, fd, "<end>");
    assert_non_null(strstr(heard, "Content-Length: 7\r\n\r\nHTTP/1.1 404"));
    close(fd);
}

static void test_expect_continue(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "PUT /sink HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear(rig, fd, "100 Continue\r\n\r\n");
    say(fd, "body");
    hear(rig, fd, "200 OK");
    assert_int_equal(rig->sunk, 4);
    assert_int_equal(rig->aborted, 0);
    close(fd);
}

static void test_slow_header(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "GET /hel");
    assert_non_null(strstr(hear(rig, fd, "<end>"), "408 Request Timeout"));
    close(fd);
}

static void test_slow_body(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "PUT /sink HTTP/1.1\r\nContent-Length: 100\r\n\r\nfew");
    assert_non_null(strstr(hear(rig, fd, "<end>"), "408 Request Timeout"));
    assert_int_equal(rig->aborted, 1);
    close(fd);
}

static void test_idle_is_closed_without_a_word(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    assert_string_equal(hear(rig, fd, "<end>"), "<end>");
    close(fd);
}

static void test_many_connections(void **state)
{
    struct rig *rig = *state;
    int fds[65];

    for (int i = 0; i < 65; i++)
        fds[i] = dial(rig);
    assert_non_null(strstr(hear(rig, fds[64], "<end>"), "503 Service Unavailable"));
    say(fds[0], "GET /hello HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(hear(rig, fds[0], "hello"), "200 OK"));
    for (int i = 0; i < 65; i++)
        close(fds[i]);
}

static void test_half_sent_then_gone(void **state)
{
    struct rig *rig = *state;
    int fd = dial(rig);

    say(fd, "PUT /sink HTTP/1.1\r\nContent-Length: 100\r\n\r\nfew");
    while (!rig->sunk)
        uv_run(&rig->loop, UV_RUN_ONCE);
    close(fd);
    while (!rig->aborted)
        uv_run(&rig->loop, UV_RUN_ONCE);
    assert_int_equal(rig->handled, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keep_alive),
        TEST(test_pipeline_is_answered_in_order),
        TEST(test_pipeline_waits_for_a_slow_answer),
        TEST(test_peer_gone_before_the_answer),
        TEST(test_errors),
        TEST(test_method_not_allowed_says_what_is),
        TEST(test_head_has_no_body),
        TEST(test_expect_continue),
        TEST(test_slow_header),
        TEST(test_slow_body),
        TEST(test_idle_is_closed_without_a_word),
        TEST(test_many_connections),
        TEST(test_half_sent_then_gone),
    };

    signal(SIGPIPE, SIG_IGN); /* as culvertd does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
