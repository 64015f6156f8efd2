/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front over a store of its own, for clients of other makes:
 *
 *     etcd_server [--hasty] ADDRESS PORT [CERTIFICATE KEY [CA]]
 *
 * Prints "ready" once it listens; ends on SIGTERM. A hasty one gives its clients a second or two
 * for everything, and serves three connections.
 */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/fronts/etcd/front.h"
#include "tests/controlplane/fronts/etcd/service.h"

struct server {
    uv_loop_t loop;
    uv_signal_t signal;
    struct kv_service *service;
    struct etcd_front *front;
};

static void fail(const char *what)
{
    fprintf(stderr, "etcd_server: %s\n", what);
    exit(1);
}

static int listen_on(const char *address, int port)
{
    struct sockaddr_in to;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || uv_ip4_addr(address, port, &to) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(fd, (struct sockaddr *)&to, sizeof(to)) || listen(fd, 256))
        fail("cannot listen");
    return fd;
}

static void on_front_closed(void *arg)
{
    struct server *server = arg;

    single_close(server->service);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;

    (void)number;
    uv_close((uv_handle_t *)signal, NULL);
    etcd_front_close(server->front, on_front_closed, server);
}

int main(int argc, char **argv)
{
    const struct etcd_options hasty = {
        .connections_max = 3, .first_s = 1, .idle_s = 2, .ping_s = 1, .slow_s = 1};
    struct etcd_options options = {0};
    struct server server = {0};
    SSL_CTX *tls = NULL;
    char problem[256];

    if (argc > 1 && !strcmp(argv[1], "--hasty")) {
        options = hasty;
        argc--;
        argv++;
    }
    if (argc < 3)
        fail("usage: etcd_server [--hasty] ADDRESS PORT [CERTIFICATE KEY [CA]]");
    if (argc > 4 && etcd_tls_context(&tls, argv[3], argv[4], argc > 5 ? argv[5] : NULL, problem,
                                     sizeof(problem)))
        fail(problem);
    uv_loop_init(&server.loop);
    uv_signal_init(&server.loop, &server.signal);
    server.signal.data = &server;
    uv_signal_start(&server.signal, on_signal, SIGTERM);
    server.service = single_open(&server.loop);
    if (etcd_front_new(&server.front, &server.loop, server.service, &options) ||
        etcd_front_listen(server.front, listen_on(argv[1], (int)strtol(argv[2], NULL, 10)), tls))
        fail("cannot start");
    puts("ready");
    fflush(stdout);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    uv_loop_close(&server.loop);
    SSL_CTX_free(tls);
    return 0;
}
