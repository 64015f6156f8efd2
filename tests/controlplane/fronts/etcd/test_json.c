/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/json.h"
#include "rpc.pb-c.h"

/* Reads a message and writes it again; the error of reading it. */
static int again(const ProtobufCMessageDescriptor *descriptor, const char *text,
                 struct buffer *written)
{
    struct arena arena = {0};
    yyjson_doc *document = yyjson_read(text, strlen(text), 0);
    ProtobufCMessage *message;
    int error;

    assert_non_null(document);
    error = etcd_json_read(&message, descriptor, yyjson_doc_get_root(document), &arena);
    buffer_clear(written);
    if (!error)
        etcd_json_write(written, message);
    yyjson_doc_free(document);
    arena_free(&arena);
    return error;
}

static void assert_again(const ProtobufCMessageDescriptor *descriptor, const char *text,
                         const char *expected)
{
    struct buffer written = {0};

    assert_int_equal(again(descriptor, text, &written), 0);
    assert_string_equal(written.data, expected);
    buffer_free(&written);
}

static void assert_refused(const ProtobufCMessageDescriptor *descriptor, const char *text)
{
    struct buffer written = {0};

    assert_int_equal(again(descriptor, text, &written), CULVERT_EPROTO);
    buffer_free(&written);
}

#define RANGE &etcdserverpb__range_request__descriptor
#define COMPARE &etcdserverpb__compare__descriptor
#define TXN &etcdserverpb__txn_request__descriptor
#define WATCH &etcdserverpb__watch_create_request__descriptor

static void test_values(void **state)
{
    assert_again(RANGE, "{}", "{}");
    assert_again(RANGE, "{\"key\":\"Zm9v\",\"limit\":\"5\"}", "{\"key\":\"Zm9v\",\"limit\":\"5\"}");
    assert_again(RANGE, "{\"key\":\"Zg\",\"limit\":5}", "{\"key\":\"Zg==\",\"limit\":\"5\"}");
    assert_again(RANGE, "{\"key\":\"-_8\"}", "{\"key\":\"+/8=\"}");
    assert_again(RANGE, "{\"limit\":-1}", "{\"limit\":\"-1\"}");
    assert_again(RANGE, "{\"sort_order\":\"DESCEND\"}", "{\"sort_order\":\"DESCEND\"}");
    assert_again(RANGE, "{\"sortOrder\":2}", "{\"sort_order\":\"DESCEND\"}");
    assert_again(RANGE, "{\"sortOrder\":77}", "{\"sort_order\":77}");
    assert_again(RANGE, "{\"keysOnly\":true,\"minModRevision\":\"3\",\"key\":null}",
                 "{\"keys_only\":true,\"min_mod_revision\":\"3\"}");
    assert_again(RANGE, "{\"what\":{\"is\":[]},\"key\":\"\"}", "{}");
    assert_again(WATCH, "{\"filters\":[\"NOPUT\",1]}", "{\"filters\":[\"NOPUT\",\"NODELETE\"]}");
    assert_again(&etcdserverpb__member__descriptor,
                 "{\"ID\":\"18446744073709551615\",\"peerURLs\":[\"a\"]}",
                 "{\"ID\":\"18446744073709551615\",\"peerURLs\":[\"a\"]}");
}

/* What is in a union is written also when it has its default. */
static void test_unions(void **state)
{
    assert_again(COMPARE, "{\"version\":\"0\"}", "{\"version\":\"0\"}");
    assert_again(COMPARE, "{\"value\":\"\"}", "{\"value\":\"\"}");
    assert_again(TXN, "{\"success\":[{\"requestRange\":{\"key\":\"Zg==\"}},{}]}",
                 "{\"success\":[{\"request_range\":{\"key\":\"Zg==\"}},{}]}");
}

static void test_wrong(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "1",
        "{\"key\":1}",
        "{\"key\":\"!\"}",
        "{\"key\":\"Z\"}",
        "{\"limit\":\"x\"}",
        "{\"limit\":\"\"}",
        "{\"limit\":\" 1\"}",
        "{\"limit\":\"1x\"}",
        "{\"limit\":1.5}",
        "{\"limit\":9223372036854775808}",
        "{\"limit\":\"9223372036854775808\"}",
        "{\"limit\":true}",
        "{\"keys_only\":1}",
        "{\"sort_order\":\"UP\"}",
        "{\"sort_order\":3000000000}",
        "{\"key\":[]}",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(RANGE, wrong[i]);
    assert_refused(TXN, "{\"success\":{}}");
    assert_refused(TXN, "{\"success\":[[]]}");
    assert_refused(&etcdserverpb__member__descriptor, "{\"ID\":-1}");
}

static void test_depth(void **state)
{
    struct buffer text = {0};
    struct buffer written = {0};

    for (unsigned i = 0; i < 20; i++)
        buffer_text(&text, "{\"success\":[{\"request_txn\":");
    buffer_text(&text, "{}");
    for (unsigned i = 0; i < 20; i++)
        buffer_text(&text, "}]}");
    assert_int_equal(again(TXN, text.data, &written), CULVERT_EPROTO);
    buffer_free(&text);
    buffer_free(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_unions),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
