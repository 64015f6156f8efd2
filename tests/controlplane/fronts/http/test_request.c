/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "controlplane/fronts/http/request.h"

/* What came of a connection's bytes: a word a request or an error. */
struct story {
    char text[2048];
    size_t sunk; /* bytes that the sink took */
    int refused; /* by http_reader_accept */
};

static int sink_count(void *arg, const char *data, size_t length)
{
    struct story *story = arg;

    (void)data;
    story->sunk += length;
    return 0;
}

static int sink_fail(void *arg, const char *data, size_t length)
{
    (void)arg;
    (void)data;
    (void)length;
    return -1;
}

static void tell(struct story *story, const char *format, const char *a, const char *b)
{
    size_t length = strlen(story->text);

    snprintf(story->text + length, sizeof(story->text) - length, format, a, b);
}

/* Feeds the bytes in pieces of `piece`, and tells what the reader says. */
static struct story play(const char *bytes, size_t length, size_t piece, http_sink_fn sink)
{
    struct http_reader *reader = http_reader_new();
    struct story story = {0};
    size_t at = 0;
    enum http_event event = HTTP_EVENT_MORE;

    assert_non_null(reader);
    while (event != HTTP_EVENT_BAD && (at < length || event != HTTP_EVENT_MORE)) {
        size_t give = length - at < piece ? length - at : piece, used;
        struct http_request *request = http_reader_request(reader);

        event = http_reader_feed(reader, bytes + at, give, &used);
        assert_true(used <= give);
        at += used;
        if (event == HTTP_EVENT_HEADER) {
            story.refused = http_reader_accept(reader, sink, &story);
            if (story.refused)
                break;
        } else if (event == HTTP_EVENT_REQUEST) {
            tell(&story, "%s?%s ", request->path, request->query);
            if (request->body)
                tell(&story, "[%s]%s ", request->body, "");
            assert_false(http_reader_busy(reader));
        } else if (event == HTTP_EVENT_BAD) {
            char status[8];

            snprintf(status, sizeof(status), "%d", http_reader_status(reader));
            tell(&story, "!%s%s", status, "");
        }
    }
    http_reader_free(reader);
    return story;
}

static void expect(const char *bytes, const char *wanted)
{
    size_t length = strlen(bytes);

    for (size_t piece = 1; piece <= length; piece = piece * 2 + 1) {
        struct story story = play(bytes, length, piece, NULL);

        if (strcmp(story.text, wanted) != 0)
            print_error("in pieces of %zu: %s\n", piece, bytes);
        assert_string_equal(story.text, wanted);
    }
}

static void test_requests(void **state)
{
    (void)state;
    expect("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "/v1/status? ");
    expect("GET /a%20b?path=vips.web&x=%41 HTTP/1.1\r\n\r\n", "/a b?path=vips.web&x=%41 ");
    expect("POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "/p? [hello] ");
    expect("POST /p HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "/p? ");
    expect("POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
           "/p? [abcde] ");
}

static void test_pipeline(void **state)
{
    (void)state;
    expect(
        "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\n"
        "\r\n",
        "/1? /2? [hi] /3? ");
}

static void test_bad_requests(void **state)
{
    (void)state;
    expect("\x16\x03\x01 TLS hello\r\n\r\n", "!400");
    expect("GET / HTTP/2.0\r\n\r\n", "!505");
    expect("GET http://x/ HTTP/1.1\r\n\r\n", "!400");
    expect("GET /%zz HTTP/1.1\r\n\r\n", "!400");
    expect("GET /%00 HTTP/1.1\r\n\r\n", "!400");
    expect("GET /% HTTP/1.1\r\n\r\n", "!400");
    expect("GET /%4 HTTP/1.1\r\n\r\n", "!400");
    expect("GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "!400");
    expect("GET / HTTP/1.1\r\nbad header\r\n\r\n", "!400");
    expect("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "!400");
    expect("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "!400");
    expect("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "!400");
    /* Request smuggling: a length and a transfer encoding (RFC 9112 section 6.1). */
    expect("POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "!400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "!400");
    /* The second of a pipeline may be the bad one. */
    expect("GET /1 HTTP/1.1\r\n\r\nnonsense\r\n\r\n", "/1? !400");
}

static void test_bounds(void **state)
{
    static char bytes[80000];
    struct story story;

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "GET /", 5);
    story = play(bytes, sizeof(bytes), 4096, NULL);
    assert_string_equal(story.text, "!414");

    memcpy(bytes, "GET / HTTP/1.1\r\nx: ", 19);
    story = play(bytes, sizeof(bytes), 4096, NULL);
    assert_string_equal(story.text, "!431");

    for (size_t i = 16; i + 6 < sizeof(bytes); i += 6)
        memcpy(bytes + i, "a: b\r\n", 6);
    story = play(bytes, sizeof(bytes), sizeof(bytes), NULL);
    assert_string_equal(story.text, "!431");
}

/* However small the pieces are in which it comes, a header within the bound is taken. */
static void test_header_in_small_pieces(void **state)
{
    char bytes[HTTP_HEADER_MAX - 64];

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "GET /p HTTP/1.1\r\n", 17);
    bytes[sizeof(bytes) / 2] = ':';
    memcpy(bytes + sizeof(bytes) - 5, "\r\n\r\n", 5);
    expect(bytes, "/p? ");
}

static void test_target_of_exactly_the_bound(void **state)
{
    char bytes[HTTP_TARGET_MAX + 64];
    struct story story;

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "GET /?", 6);
    memcpy(bytes + 4 + HTTP_TARGET_MAX, " HTTP/1.1\r\n\r\n", 14);
    story = play(bytes, strlen(bytes), 1000, NULL);
    assert_memory_equal(story.text, "/?aaaa", 6);
    assert_null(strchr(story.text, '!'));
}

static void test_lengths(void **state)
{
    static const char none[] = "POST / HTTP/1.1\r\n\r\n";
    static const char too_long[] = "POST / HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n";
    static const char at_bound[] = "POST / HTTP/1.1\r\nContent-Length: 67108864\r\n\r\n";
    static const char stream[] = "PUT / HTTP/1.1\r\nContent-Length: 1073741825\r\n\r\n";

    (void)state;
    assert_int_equal(play(none, strlen(none), 100, NULL).refused, 411);
    assert_int_equal(play(too_long, strlen(too_long), 100, NULL).refused, 413);
    assert_int_equal(play(at_bound, strlen(at_bound), 100, NULL).refused, 0);
    assert_int_equal(play(too_long, strlen(too_long), 100, sink_count).refused, 0);
    assert_int_equal(play(stream, strlen(stream), 100, sink_count).refused, 413);
}

static void test_chunked_body_past_the_bound(void **state)
{
    static const char header[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4000001\r\n";
    size_t length = strlen(header) + HTTP_BODY_MAX + 1;
    char *bytes = malloc(length);
    struct story story;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', length);
    memcpy(bytes, header, strlen(header));
    story = play(bytes, length, 65536, NULL);
    assert_string_equal(story.text, "!413");
    free(bytes);
}

static void test_sink(void **state)
{
    static const char bytes[] = "PUT /b HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789";
    struct story story = play(bytes, strlen(bytes), 7, sink_count);

    (void)state;
    assert_string_equal(story.text, "/b? ");
    assert_int_equal(story.sunk, 10);
    assert_string_equal(play(bytes, strlen(bytes), 7, sink_fail).text, "!500");
}

static void test_header_fields(void **state)
{
    static const char bytes[] = "PUT /b HTTP/1.1\r\nExpect: 100-Continue\r\nConnection: close\r\n"
                                "Content-Length: 3\r\n\r\n";
    struct http_reader *reader = http_reader_new();
    struct http_request *request = http_reader_request(reader);
    size_t used;

    (void)state;
    assert_int_equal(http_reader_feed(reader, bytes, strlen(bytes), &used), HTTP_EVENT_HEADER);
    assert_true(request->expect_continue);
    assert_false(request->keep_alive);
    assert_true(request->has_length);
    assert_int_equal(request->length, 3);
    assert_int_equal(request->method, HTTP_METHOD_PUT);
    http_reader_free(reader);
}

static void test_authorization(void **state)
{
    char bytes[HTTP_AUTHORIZATION_MAX + 100], token[HTTP_AUTHORIZATION_MAX + 2] = {0};
    struct http_reader *reader;
    size_t used;

    (void)state;
    for (size_t length = HTTP_AUTHORIZATION_MAX; length <= HTTP_AUTHORIZATION_MAX + 1; length++) {
        reader = http_reader_new();
        memset(token, 't', length);
        snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nauthorization: %s\r\n\r\n", token);
        assert_int_equal(http_reader_feed(reader, bytes, strlen(bytes), &used), HTTP_EVENT_HEADER);
        assert_string_equal(http_reader_request(reader)->authorization,
                            length > HTTP_AUTHORIZATION_MAX ? "" : token);
        http_reader_free(reader);
    }
}

static void test_query(void **state)
{
    char value[16];

    (void)state;
    assert_true(http_query_get("a=1&path=x.y%2Fz&b", "path", value, sizeof(value)));
    assert_string_equal(value, "x.y/z");
    assert_true(http_query_get("q=a+b", "q", value, sizeof(value)));
    assert_string_equal(value, "a b");
    assert_true(http_query_get("q=", "q", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_false(http_query_get("qq=1&b", "q", value, sizeof(value)));
    assert_false(http_query_get("q=%4", "q", value, sizeof(value)));
    assert_false(http_query_get("q=%00", "q", value, sizeof(value)));
    assert_false(http_query_get("q=0123456789abcdef", "q", value, sizeof(value)));
    assert_false(http_query_get("", "q", value, sizeof(value)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_header_in_small_pieces),
        cmocka_unit_test(test_target_of_exactly_the_bound),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_chunked_body_past_the_bound),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_header_fields),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
