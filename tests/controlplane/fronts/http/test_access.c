/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may what: every route with every role, by a token and on the Unix socket; and what is said to
 * those who may not. The daemon behind the gate is a stub.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

/* What every role may; what isn't here nobody may. The test's own, not made from api.c's. */
static const struct {
    enum http_method method;
    const char *path;
    enum access_role least;
} wanted[] = {
    {HTTP_METHOD_GET, "/v1/version", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/site", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/history", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/revisions/1", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/revisions/1/diff", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/status", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/counters", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/nodes", ACCESS_READER},
    {HTTP_METHOD_POST, "/v1/explain", ACCESS_READER},
    {HTTP_METHOD_GET, "/v1/audit", ACCESS_OPERATOR},
    {HTTP_METHOD_HEAD, "/v1/blobs/x", ACCESS_OPERATOR},
    {HTTP_METHOD_PUT, "/v1/blobs/x", ACCESS_OPERATOR},
    {HTTP_METHOD_POST, "/v1/apply", ACCESS_OPERATOR},
    {HTTP_METHOD_POST, "/v1/diff", ACCESS_OPERATOR},
    {HTTP_METHOD_POST, "/v1/rollback", ACCESS_OPERATOR},
    {HTTP_METHOD_POST, "/v1/confirm", ACCESS_OPERATOR},
    {HTTP_METHOD_POST, "/v1/node/token", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/node/join", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/node/remove", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/node/promote", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/node/rotate-ca", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/node/recover", ACCESS_ADMIN},
    {HTTP_METHOD_GET, "/v1/tokens", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/tokens", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/tokens/revoke", ACCESS_ADMIN},
    {HTTP_METHOD_POST, "/v1/backup", ACCESS_ADMIN},
    {HTTP_METHOD_GET, "/v1/backup/1", ACCESS_ADMIN},
    {HTTP_METHOD_PUT, "/v1/restore", ACCESS_ADMIN},
};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

static struct daemon *daemon_stub;
static struct http_exchange asked;
static struct http_request request;
static struct http_match matched;
static struct identity *identity;
static struct access_record record;
static char token[ACCESS_TEXT], bearer[ACCESS_TEXT + 16];
static int barrier_status;
static bool leads, member, looked, noted;
/* What the gate did. */
static bool admitted, late;
static int got_status;
static char got_message[256], got_hint[256], refused_user[HTTP_USER_MAX], refused_what[256];
static char audit_what[32], audit_user[HTTP_USER_MAX], audit_role[16], audit_from[64];
static char audit_outcome[64];

/* ---- the server's part ---- */

void http_admit(struct http_exchange *exchange)
{
    assert_ptr_equal(exchange, &asked);
    admitted = true;
}

void http_respond(struct http_exchange *exchange, int status, char *body, size_t length)
{
    (void)exchange;
    (void)length;
    got_status = status;
    free(body);
}

void http_respond_error(struct http_exchange *exchange, int status, const char *message,
                        const char *hint)
{
    snprintf(got_message, sizeof(got_message), "%s", message);
    snprintf(got_hint, sizeof(got_hint), "%s", hint ? hint : "");
    http_respond(exchange, status, NULL, 0);
}

void http_refuse_late(struct http_exchange *exchange, int status, const char *message,
                      const char *hint)
{
    late = true;
    http_respond_error(exchange, status, message, hint);
}

bool http_peer_in_group(const struct http_exchange *exchange, gid_t group)
{
    (void)exchange;
    (void)group;
    return member;
}

/* ---- the daemon's ---- */

void kv_service_status(const struct kv_service *service, struct kv_status *out)
{
    (void)service;
    *out = (struct kv_status){.leader = leads};
}

int kv_service_barrier(struct kv_service *service, void (*done)(void *arg, int status), void *arg)
{
    (void)service;
    done(arg, barrier_status);
    return 0;
}

struct kv_service *cluster_service(const struct cluster *cluster)
{
    (void)cluster;
    return NULL;
}

int cluster_access_find(struct cluster *cluster, uint64_t id, struct access_record *out)
{
    (void)cluster;
    looked = true;
    *out = record;
    return id == record.id ? 0 : CULVERT_ENOTFOUND;
}

int64_t daemon_clock_ms(void)
{
    return 1;
}

void daemon_refused(struct daemon *daemon, const char *user, const char *role, const char *from,
                    const char *what)
{
    (void)daemon;
    (void)role;
    (void)from;
    snprintf(refused_user, sizeof(refused_user), "%s", user);
    snprintf(refused_what, sizeof(refused_what), "%s", what);
}

void history_note(struct history *history, const struct history_audit *audit)
{
    (void)history;
    noted = true;
    snprintf(audit_what, sizeof(audit_what), "%s", audit->what);
    snprintf(audit_user, sizeof(audit_user), "%s", audit->caller.user);
    snprintf(audit_role, sizeof(audit_role), "%s", audit->caller.role);
    snprintf(audit_from, sizeof(audit_from), "%s", audit->caller.from);
    snprintf(audit_outcome, sizeof(audit_outcome), "%s", audit->outcome);
}

#define HANDLER(name)                                                                              \
    void name(struct http_exchange *exchange)                                                      \
    {                                                                                              \
        (void)exchange;                                                                            \
    }
HANDLER(api_head_blob)
HANDLER(api_begin_blob)
HANDLER(api_put_blob)
HANDLER(api_apply)
HANDLER(api_diff)
HANDLER(api_rollback)
HANDLER(api_confirm)
HANDLER(api_site)
HANDLER(api_history)
HANDLER(api_audit)
HANDLER(api_revision)
HANDLER(api_revision_diff)
HANDLER(api_status)
HANDLER(api_counters)
HANDLER(api_explain)
HANDLER(api_nodes)
HANDLER(api_node_token)
HANDLER(api_node_join)
HANDLER(api_node_remove)
HANDLER(api_node_promote)
HANDLER(api_node_recover)
HANDLER(api_node_rotate_ca)
HANDLER(api_tokens)
HANDLER(api_token_create)
HANDLER(api_token_revoke)
HANDLER(api_backup)
HANDLER(api_backup_next)
HANDLER(api_begin_restore)
HANDLER(api_restore)

/* ---- asking ---- */

static int set_up(void **state)
{
    (void)state;
    daemon_stub = calloc(1, sizeof(*daemon_stub));
    daemon_stub->cluster = (struct cluster *)daemon_stub; /* only its being there counts */
    daemon_stub->history = (struct history *)daemon_stub;
    leads = true;
    barrier_status = 0;
    member = false;
    return identity_found(&identity, 1, time(NULL));
}

static int tear_down(void **state)
{
    (void)state;
    identity_free(identity);
    free(daemon_stub);
    return 0;
}

/* A token of a role that ends in so many seconds, 0: never. */
static void make_token(enum access_role role, int64_t life)
{
    record = (struct access_record){.name = "ci", .role = role, .created = time(NULL) - 100};
    record.expires = life ? time(NULL) + life : 0;
    assert_int_equal(access_make(identity, &record, token), 0);
}

/* Asks the gate; `from` NULL: on the Unix socket. */
static void ask(enum http_method method, const char *path, const char *authorization,
                const char *from, uid_t uid)
{
    size_t count;
    const struct http_route *routes = api_routes(&count);

    memset(&asked, 0, sizeof(asked));
    memset(&request, 0, sizeof(request));
    admitted = late = looked = noted = false;
    got_status = 0;
    got_message[0] = got_hint[0] = refused_user[0] = refused_what[0] = 0;
    request.method = method;
    snprintf(request.path, sizeof(request.path), "%s", path);
    if (authorization)
        snprintf(request.authorization, sizeof(request.authorization), "%s", authorization);
    http_route_find(routes, count, method, path, &matched);
    asked.request = &request;
    asked.route = matched.route;
    asked.app = daemon_stub;
    asked.uid = uid;
    snprintf(asked.from, sizeof(asked.from), "%s", from ? from : "");
    api_gate(&asked);
    assert_true(admitted == !got_status);
}

#define FROM "10.0.0.9:5000"

static void ask_by_token(enum http_method method, const char *path)
{
    snprintf(bearer, sizeof(bearer), "Bearer %s", token);
    ask(method, path, bearer, FROM, (uid_t)-1);
}

/* ---- tests ---- */

static void test_every_route_is_in_the_list(void **state)
{
    size_t count;
    const struct http_route *routes = api_routes(&count);

    (void)state;
    assert_int_equal(count, WANTED);
    for (size_t i = 0; i < WANTED; i++) {
        http_route_find(routes, count, wanted[i].method, wanted[i].path, &matched);
        assert_non_null(matched.route);
        assert_int_equal(matched.route->level, wanted[i].least);
    }
}

static void test_each_route_with_each_role(void **state)
{
    (void)state;
    for (unsigned role = ACCESS_READER; role <= ACCESS_ADMIN; role++) {
        make_token((enum access_role)role, 60);
        for (size_t i = 0; i < WANTED; i++) {
            ask_by_token(wanted[i].method, wanted[i].path);
            assert_true(admitted == (role >= wanted[i].least));
            assert_string_equal(asked.user, "token:ci");
            if (admitted) {
                assert_int_equal(asked.level, role);
                continue;
            }
            assert_int_equal(got_status, 403);
            assert_non_null(strstr(got_message, access_role_name(wanted[i].least)));
            assert_string_equal(refused_user, "token:ci");
        }
    }
}

/* A route that somebody forgets to give a role is nobody's. */
static void test_default_is_deny(void **state)
{
    const struct http_route forgotten = {HTTP_METHOD_GET, "/v1/new", api_status, NULL, 0, NULL};

    (void)state;
    for (unsigned role = ACCESS_NONE; role <= ACCESS_ADMIN; role++)
        assert_false(api_may((enum access_role)role, &forgotten));
}

static void test_unix_socket(void **state)
{
    static const uid_t others = 4242;

    (void)state;
    assert_int_equal(api_local_role(0, others, false), ACCESS_ADMIN);
    assert_int_equal(api_local_role(others, others, false), ACCESS_ADMIN);
    assert_int_equal(api_local_role(1, others, true), ACCESS_OPERATOR);
    assert_int_equal(api_local_role(1, others, false), ACCESS_NONE);
    assert_int_equal(api_local_role((uid_t)-1, others, true), ACCESS_NONE);
    for (size_t i = 0; i < WANTED; i++) {
        ask(wanted[i].method, wanted[i].path, NULL, NULL, 0);
        assert_true(admitted && asked.level == ACCESS_ADMIN);
        assert_string_equal(asked.user, "root");
        ask(wanted[i].method, wanted[i].path, NULL, NULL, others + (geteuid() == others));
        assert_int_equal(got_status, 403);
        assert_non_null(strstr(got_hint, "group culvert"));
    }
    ask(HTTP_METHOD_GET, "/v1/nowhere", NULL, NULL, others);
    assert_int_equal(got_status, 403);
}

/* A token counts on the Unix socket, too, for more and for less. */
static void test_token_on_the_unix_socket(void **state)
{
    (void)state;
    make_token(ACCESS_READER, 60);
    snprintf(bearer, sizeof(bearer), "bearer  %s", token);
    ask(HTTP_METHOD_POST, "/v1/apply", bearer, NULL, 0);
    assert_int_equal(got_status, 403);
    ask(HTTP_METHOD_GET, "/v1/status", bearer, NULL, 4242);
    assert_true(admitted);
    assert_string_equal(api_caller(&asked).from, "local");
}

static void test_no_token(void **state)
{
    static const char *const shown[] = {NULL, "Bearer", "Bearer ", "Basic cm9vdDo=", "Bearer x"};

    (void)state;
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        ask(HTTP_METHOD_GET, "/v1/status", shown[i], FROM, 0); /* a uid means nothing here */
        assert_true(late && got_status == 401 && !looked);
        assert_string_equal(refused_user, "");
        ask(HTTP_METHOD_GET, "/v1/nowhere", shown[i], FROM, (uid_t)-1);
        assert_int_equal(got_status, 401);
    }
}

static void test_revoked_expired_other(void **state)
{
    (void)state;
    make_token(ACCESS_ADMIN, -10);
    ask_by_token(HTTP_METHOD_GET, "/v1/status");
    assert_true(late && got_status == 401);
    assert_non_null(strstr(got_message, "expired"));
    make_token(ACCESS_ADMIN, 60);
    record.id++; /* as if it were gone */
    ask_by_token(HTTP_METHOD_GET, "/v1/status");
    assert_true(late && got_status == 401);
    assert_non_null(strstr(got_message, "revoked"));
    record.id--;
    record.digest[31] ^= 1;
    ask_by_token(HTTP_METHOD_GET, "/v1/status");
    assert_int_equal(got_status, 401);
}

/* What this node has is good enough to be read by, when no node leads; not to change anything. */
static void test_without_a_leader(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        leads = way != 0;
        barrier_status = way == 1 ? CULVERT_ENOTLEADER : CULVERT_ETIMEOUT;
        make_token(ACCESS_ADMIN, 60);
        for (size_t i = 0; i < WANTED; i++) {
            ask_by_token(wanted[i].method, wanted[i].path);
            if (wanted[i].least == ACCESS_READER)
                assert_true(admitted);
            else
                assert_int_equal(got_status, 503);
        }
        make_token(ACCESS_ADMIN, -10);
        ask_by_token(HTTP_METHOD_GET, "/v1/status");
        assert_int_equal(got_status, 401);
    }
    daemon_stub->cluster = NULL;
    make_token(ACCESS_ADMIN, 60);
    ask_by_token(HTTP_METHOD_GET, "/v1/status");
    assert_int_equal(got_status, 503);
}

static void test_audit(void **state)
{
    (void)state;
    make_token(ACCESS_ADMIN, 60);
    ask_by_token(HTTP_METHOD_POST, "/v1/tokens/revoke");
    api_answered(&asked, 200);
    assert_true(noted);
    assert_string_equal(audit_what, "token revoke");
    assert_string_equal(audit_user, "token:ci");
    assert_string_equal(audit_role, "admin");
    assert_string_equal(audit_from, FROM);
    assert_string_equal(audit_outcome, "done");
    assert_string_equal(api_author(&asked), "ci");
    api_answered(&asked, 404);
    assert_string_equal(audit_outcome, "status 404");
    ask_by_token(HTTP_METHOD_GET, "/v1/status");
    api_answered(&asked, 200);
    assert_false(noted);
    ask_by_token(HTTP_METHOD_POST, "/v1/apply"); /* the history notes it itself */
    api_answered(&asked, 200);
    assert_false(noted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_route_is_in_the_list),
        TEST(test_each_route_with_each_role),
        TEST(test_default_is_deny),
        TEST(test_unix_socket),
        TEST(test_token_on_the_unix_socket),
        TEST(test_no_token),
        TEST(test_revoked_expired_other),
        TEST(test_without_a_leader),
        TEST(test_audit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
