/* SPDX-License-Identifier: Apache-2.0 */
/* What people read: tables, units, YAML, differences, rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/cli/rates.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

static void test_numbers(void **state)
{
    static const struct {
        double value;
        const char *unit, *text;
    } cases[] = {
        {0, "", "0"},
        {999, "", "999"},
        {999.6, "", "1.00 k"},
        {1234, "", "1.23 k"},
        {12345, "", "12.3 k"},
        {123456, "", "123 k"},
        {9.4e6, "pps", "9.40 Mpps"},
        {5, "pps", "5 pps"},
        {1e10, "b/s", "10.0 Gb/s"},
        {999.96e3, "", "1.00 M"},
        {1e30, "", "1000000000000000 P"},
    };
    char text[TEXT_NUMBER];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text_number(cases[i].value, cases[i].unit, text);
        assert_string_equal(text, cases[i].text);
    }
    text_bytes(512, text);
    assert_string_equal(text, "512 B");
    text_bytes(9437184, text);
    assert_string_equal(text, "9.0 MiB");
}

static void test_table(void **state)
{
    static const struct table_column columns[] = {
        {"NAME", TABLE_LEFT}, {"N", TABLE_RIGHT}, {"END", TABLE_LEFT}};
    struct buffer out = {0};
    struct table table;

    (void)state;
    table_init(&table, columns, 3);
    table_print(&table, false, &out);
    assert_int_equal(out.length, 0);
    table_cell(&table, "%s", "m\xc3\xbcller"); /* two bytes, one column */
    table_cell(&table, "%d", 1);
    table_cell(&table, "%s", "x\033[31m");
    table_cell(&table, "%s", "b");
    table_cell(&table, "%d", 1000);
    table_cell(&table, "%s", "");
    table_print(&table, false, &out);
    assert_string_equal(out.data, "NAME       N  END\n"
                                  "m\xc3\xbcller     1  x?[31m\n"
                                  "b       1000  \n");
    table_free(&table);
    buffer_free(&out);
}

static void expect_yaml(const char *json, const char *yaml)
{
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    struct buffer out = {0};

    assert_non_null(doc);
    show_yaml(yyjson_doc_get_root(doc), &out);
    assert_string_equal(out.data, yaml);
    buffer_free(&out);
    yyjson_doc_free(doc);
}

static void test_yaml(void **state)
{
    (void)state;
    expect_yaml("{\"a\":1,\"b\":{\"c\":[1,2]}}", "a: 1\nb:\n  c: [1, 2]\n");
    expect_yaml("[{\"deny\":\"203.0.113.0/24\",\"x\":1},{}]",
                "- deny: 203.0.113.0/24\n  x: 1\n- {}\n");
    expect_yaml("\"yes\"", "\"yes\"\n");
    expect_yaml(
        "[\"no\",\"1.5\",\"1e3\",\"60s\",\"10k/s\",\"10.0.0.1\",\"2001:db8::1\",\"-\",\"\",\"@\"]",
        "- \"no\"\n- \"1.5\"\n- \"1e3\"\n- 60s\n- 10k/s\n- 10.0.0.1\n- \"2001:db8::1\"\n- \"-\"\n"
        "- \"\"\n- \"@\"\n");
    expect_yaml("{\"@\":\"a: b\"}", "\"@\": \"a: b\"\n");
}

static void test_diff(void **state)
{
    static const char json[] =
        "[{\"path\":\"a\",\"old\":null,\"new\":\"x\"},"
        "{\"path\":\"b\",\"old\":{\"k\":1},\"new\":null},"
        "{\"path\":\"c\",\"old\":[1,2],\"new\":[2]},"
        "{\"path\":\"d\",\"old\":null,\"new\":{\"k\":234}},"
        "{\"path\":\"e\",\"old\":{},\"new\":{\"m\xc3\xbcm\xc3\xbcm\xc3\xbc\":1}}]";
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    struct buffer out = {0};

    (void)state;
    show_diff(yyjson_doc_get_root(doc), false, 0, &out);
    assert_string_equal(out.data, "+ a: x\n- b\n~ c: [1, 2] -> [2]\n+ d\n~ e\n");
    buffer_clear(&out);
    show_diff(yyjson_doc_get_root(doc), false, 14, &out);
    assert_string_equal(out.data, "+ a: x\n- b\n~ c: [1, 2] -> [2]\n+ d: {\"k\":234}\n"
                                  "~ e: {\"m\xc3\xbcm ...\n");
    buffer_clear(&out);
    show_diff(yyjson_doc_get_root(doc), false, 3, &out); /* no room for any of it */
    assert_string_equal(out.data, "+ a: x\n- b\n~ c: [1, 2] -> [2]\n+ d: ...\n~ e: ...\n");
    buffer_free(&out);
    yyjson_doc_free(doc);
}

static void test_rates(void **state)
{
    static const char then[] =
        "{\"time_ns\":1000000000,\"reasons\":[{\"name\":\"lb-ipip\",\"verdict\":\"forward\","
        "\"packets\":1000,\"bytes\":100000}],\"backends\":[{\"pool\":\"p\",\"name\":\"a\","
        "\"packets\":9,"
        "\"bytes\":9}]}";
    static const char now[] =
        "{\"time_ns\":3000000000,\"reasons\":[{\"name\":\"lb-ipip\",\"verdict\":\"forward\","
        "\"packets\":5000,\"bytes\":500000}],\"backends\":[{\"pool\":\"q\",\"name\":\"a\","
        "\"packets\":5,"
        "\"bytes\":5},{\"pool\":\"p\",\"name\":\"a\",\"packets\":4,\"bytes\":4}]}";
    yyjson_doc *a = yyjson_read(then, strlen(then), 0), *b = yyjson_read(now, strlen(now), 0);
    struct buffer out = {0};

    (void)state;
    rates_json(yyjson_doc_get_root(a), yyjson_doc_get_root(b), &out);
    /* New rows and counters that went back have no rate. */
    assert_string_equal(
        out.data, "{\"seconds\":2.000,\"reasons\":[{\"name\":\"lb-ipip\",\"verdict\":\"forward\","
                  "\"packets\":2000.0,\"bits\":1600000.0}],\"vips\":[],\"backends\":[],"
                  "\"zones\":[],\"limits\":[]}\n");
    buffer_clear(&out);
    rates_print(yyjson_doc_get_root(a), yyjson_doc_get_root(b), false, &out);
    assert_string_equal(out.data,
                        "total 2.00 kpps, 1.60 Mb/s: pass 0, tx 0, forward 2.00 k, drop 0\n\n"
                        "REASON                    VERDICT     PACKETS        BITS\n"
                        "lb-ipip                   forward   2.00 kpps   1.60 Mb/s\n");
    buffer_clear(&out);
    rates_print(NULL, yyjson_doc_get_root(b), false, &out);
    assert_string_equal(out.data,
                        "total 5.00 k packets, 488 KiB: pass 0, tx 0, forward 5.00 k, drop 0\n\n"
                        "REASON                    VERDICT     PACKETS       BYTES\n"
                        "lb-ipip                   forward      5.00 k     488 KiB\n\n"
                        "BACKEND                               PACKETS       BYTES\n"
                        "q.a                                         5         5 B\n"
                        "p.a                                         4         4 B\n");
    buffer_free(&out);
    yyjson_doc_free(a);
    yyjson_doc_free(b);
}

/* By verdict, then by size, those of about the same in their order; idle ones are counted. */
static void test_rates_order(void **state)
{
    static const char then[] = "{\"time_ns\":1,\"reasons\":["
                               "{\"name\":\"a\",\"verdict\":\"drop\",\"packets\":1,\"bytes\":1},"
                               "{\"name\":\"b\",\"verdict\":\"tx\",\"packets\":1,\"bytes\":1},"
                               "{\"name\":\"c\",\"verdict\":\"tx\",\"packets\":1,\"bytes\":1},"
                               "{\"name\":\"d\",\"verdict\":\"tx\",\"packets\":1,\"bytes\":1},"
                               "{\"name\":\"e\",\"verdict\":\"pass\",\"packets\":1,\"bytes\":1}]}";
    static const char now[] = "{\"time_ns\":1000000001,\"reasons\":["
                              "{\"name\":\"a\",\"verdict\":\"drop\",\"packets\":1001,\"bytes\":1},"
                              "{\"name\":\"b\",\"verdict\":\"tx\",\"packets\":11,\"bytes\":1},"
                              "{\"name\":\"c\",\"verdict\":\"tx\",\"packets\":101,\"bytes\":1},"
                              "{\"name\":\"d\",\"verdict\":\"tx\",\"packets\":111,\"bytes\":1},"
                              "{\"name\":\"e\",\"verdict\":\"pass\",\"packets\":1,\"bytes\":1}]}";
    yyjson_doc *a = yyjson_read(then, strlen(then), 0), *b = yyjson_read(now, strlen(now), 0);
    struct buffer out = {0};
    const char *at;

    (void)state;
    rates_print(yyjson_doc_get_root(a), yyjson_doc_get_root(b), false, &out);
    at = out.data;
    for (const char *const *name = (const char *const[]){"\nc ", "\nd ", "\nb ", "\na ", NULL};
         *name; name++) {
        at = strstr(at, *name);
        assert_non_null(at);
    }
    assert_string_equal(strchr(at + 1, '\n'), "\n1 more without traffic\n");
    assert_null(strstr(out.data, "\ne "));
    buffer_free(&out);
    yyjson_doc_free(a);
    yyjson_doc_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_table),
        cmocka_unit_test(test_yaml),    cmocka_unit_test(test_diff),
        cmocka_unit_test(test_rates),   cmocka_unit_test(test_rates_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
