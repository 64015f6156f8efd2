/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out at each allocation of the server in turn: that connection may end, the next one
 * is served. The linker puts our allocator in place of the real one, in our code only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/base/local_socket.h"
#include "controlplane/fronts/http/server.h"
#include "tests/allocator.h"

#define TOGETHER 5

static unsigned allocations, fail_from, fail_to; /* these fail */
static bool counting;

bool allocation_fails(void)
{
    return counting && ++allocations >= fail_from && allocations <= fail_to;
}

static uv_loop_t loop;
static struct http_server *server;
static char folder[32], path[64];

static void handle_echo(struct http_exchange *exchange)
{
    size_t length = exchange->request->body_length;
    char *copy = __real_malloc(length);

    memcpy(copy, exchange->request->body, length);
    http_respond(exchange, 200, copy, length);
}

static const struct http_route routes[] = {
    {HTTP_METHOD_POST, "/echo", handle_echo, NULL, 0, NULL},
};

static void set_up(void)
{
    struct http_server_options options = {.routes = routes, .route_count = 1};
    char problem[256];
    int fd;

    strcpy(folder, "/tmp/http-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/s", folder);
    uv_loop_init(&loop);
    assert_int_equal(local_socket_listen(path, &fd, problem, sizeof(problem)), 0);
    assert_int_equal(http_server_new(&server, &loop, &options), 0);
    assert_int_equal(http_server_listen(server, fd, NULL), 0);
}

static void tear_down(void)
{
    http_server_close(server, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    unlink(path);
    rmdir(folder);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* True when the request was answered as it should be; false: in another way, or not at all. */
static bool serves(int fd)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nping";
    char heard[1024];
    size_t length = 0;
    ssize_t count;

    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return false;
    do {
        uv_run(&loop, UV_RUN_NOWAIT);
        count = recv(fd, heard + length, sizeof(heard) - 1 - length, MSG_DONTWAIT);
        if (count > 0)
            length += (size_t)count;
    } while (count > 0 || (count < 0 && errno == EAGAIN));
    heard[length] = 0;
    close(fd);
    return strstr(heard, "200 OK") && strstr(heard, "ping");
}

static void begin(unsigned from, unsigned to)
{
    allocations = 0;
    fail_from = from;
    fail_to = to;
    counting = true;
}

static void test_each_allocation(void **state)
{
    unsigned at = 0;

    (void)state;
    set_up();
    do {
        at++;
        begin(at, at);
        serves(dial());
        counting = false;
        assert_true(serves(dial()));
    } while (allocations >= at);
    assert_true(at > 4);
    tear_down();
}

/* Several at once that there is no memory for: all are closed, and the server listens on. */
static void test_no_memory_for_a_while(void **state)
{
    int fds[TOGETHER];

    (void)state;
    set_up();
    for (int i = 0; i < TOGETHER; i++)
        fds[i] = dial();
    begin(1, UINT32_MAX);
    for (int i = 0; i < TOGETHER; i++)
        assert_false(serves(fds[i]));
    counting = false;
    assert_true(serves(dial()));
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation),
        cmocka_unit_test(test_no_memory_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
