/* SPDX-License-Identifier: Apache-2.0 */
/* The server over TLS, and its gate; the client is stepped along with the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/fronts/http/server.h"
#include "controlplane/identity/identity.h"

#define CROWD 64u
#define LARGE ((size_t)3 << 20)

static uv_loop_t loop;
static struct identity *identity;
static SSL_CTX *context, *client_context;
static struct http_server *server;
static struct sockaddr_in where;
static struct http_exchange *at_gate;
static unsigned handled, answered;
static int answered_status;
static bool closed;

struct client {
    int fd;
    SSL *ssl;
};

/* ---- the server ---- */

static void handle_hello(struct http_exchange *exchange)
{
    handled++;
    assert_string_equal(exchange->user, "somebody");
    http_respond(exchange, 200, strdup("\"hello\""), 7);
}

static void handle_large(struct http_exchange *exchange)
{
    char *text = malloc(LARGE);

    assert_non_null(text);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = (char)('a' + i % 26);
    http_respond(exchange, 200, text, LARGE);
}

static void handle_echo(struct http_exchange *exchange)
{
    size_t length = exchange->request->body_length;
    char *copy = malloc(length);

    assert_non_null(copy);
    memcpy(copy, exchange->request->body, length);
    http_respond(exchange, 200, copy, length);
}

static const struct http_route routes[] = {
    {HTTP_METHOD_GET, "/hello", handle_hello, NULL, 0, NULL},
    {HTTP_METHOD_GET, "/large", handle_large, NULL, 0, NULL},
    {HTTP_METHOD_POST, "/echo", handle_echo, NULL, 0, NULL},
};

/* `Authorization: wait` waits for the test, `good` gets in, all else is refused. */
static void gate(struct http_exchange *exchange)
{
    const char *shown = exchange->request->authorization;

    assert_true(exchange->from[0] && exchange->uid == (uid_t)-1);
    strcpy(exchange->user, "somebody");
    if (!strcmp(shown, "good"))
        http_admit(exchange);
    else if (!strcmp(shown, "wait"))
        at_gate = exchange;
    else
        http_refuse_late(exchange, 401, "no", "try good");
}

static void on_answered(struct http_exchange *exchange, int status)
{
    (void)exchange;
    answered++;
    answered_status = status;
}

static int listen_local(void)
{
    socklen_t size = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &size), 0);
    return fd;
}

static int set_up(void **state)
{
    struct http_server_options options = {
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .gate = gate,
        .answered = on_answered,
        .times = {.header = 400, .body = 400, .idle = 400, .refuse = 20},
    };

    (void)state;
    uv_loop_init(&loop);
    at_gate = NULL;
    handled = answered = 0;
    closed = false;
    assert_int_equal(identity_found(&identity, 1, time(NULL)), 0);
    assert_int_equal(identity_context(identity, &context), 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    client_context = SSL_CTX_new(TLS_client_method());
    options.tls = context;
    assert_int_equal(http_server_new(&server, &loop, &options), 0);
    assert_int_equal(http_server_listen(server, listen_local(), NULL), 0);
    return 0;
}

static void on_closed(void *arg)
{
    (void)arg;
    closed = true;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_close(server, on_closed, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&loop), 0);
    SSL_CTX_free(context);
    SSL_CTX_free(client_context);
    identity_free(identity);
    return 0;
}

/* ---- a client ---- */

static struct client dial(void)
{
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    assert_int_equal(connect(client.fd, (struct sockaddr *)&where, sizeof(where)), 0);
    fcntl(client.fd, F_SETFL, O_NONBLOCK);
    client.ssl = SSL_new(client_context);
    SSL_set_fd(client.ssl, client.fd);
    SSL_set_connect_state(client.ssl);
    return client;
}

static void hang_up(const struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
}

/* Goes on with the loop while the library waits; false: it doesn't, it is over. */
static bool again(const struct client *client, int status)
{
    int why = SSL_get_error(client->ssl, status);

    ERR_clear_error();
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return false;
    uv_run(&loop, UV_RUN_ONCE);
    return true;
}

static bool shake_hands(const struct client *client)
{
    int status;

    while ((status = SSL_connect(client->ssl)) != 1)
        if (!again(client, status))
            return false;
    return true;
}

static bool say(const struct client *client, const char *text)
{
    int status;

    while ((status = SSL_write(client->ssl, text, (int)strlen(text))) <= 0)
        if (!again(client, status))
            return false;
    return true;
}

/* What comes until `text` has, or the end (then "<end>" is added). */
static char *hear(const struct client *client, const char *text)
{
    static char heard[LARGE + 4096];
    size_t length = 0;
    int count;

    heard[0] = 0;
    while (!strstr(heard, text)) {
        count = SSL_read(client->ssl, heard + length, (int)(sizeof(heard) - length - 8));
        if (count > 0) {
            length += (size_t)count;
            heard[length] = 0;
        } else if (!again(client, count)) {
            strcpy(heard + length, "<end>");
            break;
        }
    }
    return heard;
}

#define GOOD "Authorization: good\r\n\r\n"

static void must_serve(const struct client *client)
{
    assert_true(say(client, "GET /hello HTTP/1.1\r\n" GOOD));
    assert_non_null(strstr(hear(client, "\"hello\""), "HTTP/1.1 200 OK"));
}

/* ---- tests ---- */

static void test_requests(void **state)
{
    struct client client = dial();

    (void)state;
    assert_true(shake_hands(&client));
    assert_string_equal(SSL_get_version(client.ssl), "TLSv1.3");
    for (int i = 0; i < 3; i++)
        must_serve(&client);
    assert_int_equal(handled, 3);
    assert_int_equal(answered, 3);
    assert_true(say(&client, "GET /hello HTTP/1.1\r\nConnection: close\r\n" GOOD));
    assert_non_null(strstr(hear(&client, "<end>"), "Connection: close"));
    assert_int_equal(SSL_get_shutdown(client.ssl), SSL_RECEIVED_SHUTDOWN);
    hang_up(&client);
}

static void test_pipeline_and_bodies(void **state)
{
    struct client client = dial();
    char *heard;

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
                             "Authorization: good\r\n\r\n"));
    assert_non_null(strstr(hear(&client, "\r\n\r\n"), "100 Continue"));
    assert_true(say(&client, "oneGET /hello HTTP/1.1\r\n" GOOD));
    heard = hear(&client, "hello");
    assert_true(strstr(heard, "one") && strstr(heard, "one") < strstr(heard, "hello"));
    hang_up(&client);
}

static void test_large_answer(void **state)
{
    struct client client = dial();
    char *body;

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "GET /large HTTP/1.1\r\nConnection: close\r\n" GOOD));
    body = strstr(hear(&client, "<end>"), "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(strlen(body), LARGE + 5);
    for (size_t i = 0; i < LARGE; i++)
        assert_true(body[i] == (char)('a' + i % 26));
    hang_up(&client);
}

static void test_refused_later_and_closed(void **state)
{
    struct client client = dial();
    char *heard;

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "POST /echo HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"));
    heard = hear(&client, "<end>");
    assert_non_null(strstr(heard, "HTTP/1.1 401 Unauthorized\r\n"));
    assert_non_null(strstr(heard, "WWW-Authenticate: Bearer\r\n"));
    assert_non_null(strstr(heard, "Connection: close\r\n"));
    assert_non_null(strstr(heard, "{\"errors\":[{\"message\":\"no\",\"hint\":\"try good\"}]}"));
    assert_int_equal(answered, 0);
    hang_up(&client);
}

/* Nobody without a right learns which paths there are. */
static void test_unknown_path_is_asked_for_too(void **state)
{
    struct client client = dial();

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "GET /nowhere HTTP/1.1\r\n\r\n"));
    assert_non_null(strstr(hear(&client, "<end>"), "401"));
    hang_up(&client);
    client = dial();
    assert_true(shake_hands(&client));
    assert_true(say(&client, "GET /nowhere HTTP/1.1\r\n" GOOD));
    assert_non_null(strstr(hear(&client, "<end>"), "404"));
    hang_up(&client);
}

static void test_gate_takes_its_time(void **state)
{
    struct client client = dial();

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nAuthorization: wait\r\n"
                             "\r\nhi"));
    while (!at_gate)
        uv_run(&loop, UV_RUN_ONCE);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(answered, 0);
    http_admit(at_gate);
    assert_non_null(strstr(hear(&client, "hi"), "200 OK"));
    assert_int_equal(answered_status, 200);
    hang_up(&client);
}

static void test_gone_before_the_gate(void **state)
{
    struct client client = dial();

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "GET /hello HTTP/1.1\r\nAuthorization: wait\r\n\r\n"));
    while (!at_gate)
        uv_run(&loop, UV_RUN_ONCE);
    hang_up(&client);
    http_admit(at_gate);
    while (!answered)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(handled, 1);
}

static void test_old_tls_is_refused(void **state)
{
    struct client client;

    (void)state;
    SSL_CTX_set_max_proto_version(client_context, TLS1_2_VERSION);
    client = dial();
    assert_false(shake_hands(&client));
    hang_up(&client);
}

/* Bytes that are no TLS, and none at all. */
static void test_no_tls(void **state)
{
    static const char *const texts[] = {"GET /hello HTTP/1.1\r\n\r\n", "", "\x16\x03\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct client client = dial();
        char byte;
        ssize_t count;

        assert_int_equal(send(client.fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
        while ((count = recv(client.fd, &byte, 1, 0)) && (count > 0 || errno == EAGAIN))
            if (count < 0)
                uv_run(&loop, UV_RUN_ONCE);
        hang_up(&client);
    }
    assert_int_equal(handled, 0);
}

static void test_slow_header(void **state)
{
    struct client client = dial();

    (void)state;
    assert_true(shake_hands(&client));
    assert_true(say(&client, "GET /hel"));
    assert_non_null(strstr(hear(&client, "<end>"), "408"));
    hang_up(&client);
}

static bool is_closed(const struct client *client)
{
    char byte;
    ssize_t count = recv(client->fd, &byte, 1, MSG_PEEK);

    return count == 0 || (count < 0 && errno != EAGAIN);
}

/* Those that show nothing make way, the oldest first; who was let in stays. */
static void test_crowd(void **state)
{
    struct client known = dial(), silent[CROWD], last;

    (void)state;
    assert_true(shake_hands(&known));
    must_serve(&known);
    for (unsigned i = 0; i < CROWD; i++)
        silent[i] = dial();
    while (!is_closed(&silent[0]))
        uv_run(&loop, UV_RUN_ONCE);
    assert_false(is_closed(&silent[CROWD - 1]));
    last = dial();
    assert_true(shake_hands(&last));
    must_serve(&last);
    must_serve(&known);
    for (unsigned i = 0; i < CROWD; i++)
        hang_up(&silent[i]);
    hang_up(&known);
    hang_up(&last);
}

/* A renewed certificate is for new connections, and takes none away. */
static void test_another_context(void **state)
{
    struct client before = dial(), after;
    SSL_CTX *next;

    (void)state;
    assert_true(shake_hands(&before));
    assert_int_equal(identity_renew(identity, time(NULL)), 0);
    assert_int_equal(identity_context(identity, &next), 0);
    SSL_CTX_set_verify(next, SSL_VERIFY_NONE, NULL);
    http_server_set_tls(server, next);
    SSL_CTX_free(next);
    after = dial();
    assert_true(shake_hands(&after));
    assert_int_not_equal(
        X509_cmp(SSL_get0_peer_certificate(before.ssl), SSL_get0_peer_certificate(after.ssl)), 0);
    must_serve(&before);
    must_serve(&after);
    hang_up(&before);
    hang_up(&after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_pipeline_and_bodies),
        TEST(test_large_answer),
        TEST(test_refused_later_and_closed),
        TEST(test_unknown_path_is_asked_for_too),
        TEST(test_gate_takes_its_time),
        TEST(test_gone_before_the_gate),
        TEST(test_old_tls_is_refused),
        TEST(test_no_tls),
        TEST(test_slow_header),
        TEST(test_crowd),
        TEST(test_another_context),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
