/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "controlplane/fronts/http/route.h"

static void handle(struct http_exchange *exchange)
{
    (void)exchange;
}

static const struct http_route table[] = {
    {HTTP_METHOD_GET, "/v1/site", handle, NULL, 0, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number", handle, NULL, 0, NULL},
    {HTTP_METHOD_GET, "/v1/revisions/:number/diff", handle, NULL, 0, NULL},
    {HTTP_METHOD_HEAD, "/v1/blobs/:digest", handle, NULL, 0, NULL},
    {HTTP_METHOD_PUT, "/v1/blobs/:digest", handle, NULL, 0, NULL},
};

static struct http_match find(enum http_method method, const char *path)
{
    struct http_match match;

    http_route_find(table, sizeof(table) / sizeof(table[0]), method, path, &match);
    return match;
}

static void test_found(void **state)
{
    struct http_match match = find(HTTP_METHOD_GET, "/v1/revisions/12/diff");

    (void)state;
    assert_ptr_equal(match.route, &table[2]);
    assert_string_equal(match.param[0], "12");
    assert_ptr_equal(find(HTTP_METHOD_GET, "/v1/site").route, &table[0]);
    assert_ptr_equal(find(HTTP_METHOD_HEAD, "/v1/site").route, &table[0]);
    assert_ptr_equal(find(HTTP_METHOD_HEAD, "/v1/blobs/x").route, &table[3]);
}

static void test_other_method(void **state)
{
    struct http_match match = find(HTTP_METHOD_POST, "/v1/blobs/x");

    (void)state;
    assert_null(match.route);
    assert_true(match.path_known);
    assert_string_equal(match.allow, "HEAD, PUT");
}

static void test_not_found(void **state)
{
    static const char *const paths[] = {
        "/",         "/v1",       "/v1/site/",      "/v1/sites",         "/v1/sit",
        "/v1//site", "//v1/site", "/v1/revisions/", "/v1/revisions/1/2", "/v1/revisions/1/diff/x"};
    char path[400] = "/v1/blobs/";

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_match match = find(HTTP_METHOD_GET, paths[i]);

        assert_null(match.route);
        assert_false(match.path_known);
    }
    memset(path + 10, 'a', 200); /* longer than a parameter may be */
    assert_false(find(HTTP_METHOD_PUT, path).path_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_other_method),
        cmocka_unit_test(test_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
