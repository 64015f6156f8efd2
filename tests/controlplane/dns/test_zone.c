/* SPDX-License-Identifier: Apache-2.0 */
/* What the compile accepts, what it refuses, and what it says then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/dns/zone.h"

#define HEAD "@ 900 SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n"
#define KEPT 128

struct seen {
    char error[KEPT][512];
    unsigned errors;
    size_t entries, stop_at;
    uint64_t sum; /* of all that was emitted, in order */
};

static void see_error(void *arg, const struct zone_error *error)
{
    struct seen *seen = arg;

    assert_true(seen->errors < KEPT);
    snprintf(seen->error[seen->errors++], sizeof(seen->error[0]), "%s:%u: %s: %s (%s)",
             error->file ? error->file : "-", error->line, error->field ? error->field : "-",
             error->message, error->hint ? error->hint : "-");
}

static int see_entry(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct seen *seen = arg;
    const uint8_t *bytes = body;

    seen->sum = seen->sum * 31 + key->a + key->b * 7 + key->c + key->kind;
    for (size_t i = 0; i < length; i++)
        seen->sum = seen->sum * 31 + bytes[i];
    return ++seen->entries == seen->stop_at ? CULVERT_EFULL : 0;
}

static int compile(struct seen *seen, const char *text)
{
    struct zone_source source = {.name = "example.com",
                                 .field = "zones.example.com",
                                 .ttl = 3600,
                                 .file = "z",
                                 .text = text,
                                 .length = strlen(text)};

    memset(seen, 0, sizeof(*seen));
    return zone_compile(&source, see_entry, see_error, seen, NULL);
}

/* Every text is refused with exactly one error, which holds the words. */
static void test_refused(void **state)
{
    static const struct {
        const char *text, *where, *words;
    } cases[] = {
        {"@ NS ns.test.\n", "z:0: zones.example.com", "no SOA"},
        {"@ SOA a b 1 2 3 4 5\n", "z:0: zones.example.com", "no NS"},
        {HEAD "@ 900 SOA ns1 host 2 2 3 4 5\n", "z:4: example.com. SOA", "more than one SOA"},
        {HEAD "x SOA a b 1 2 3 4 5\n", "z:4: x.example.com. SOA", "below the zone's apex"},
        {HEAD "w CNAME v\nw A 192.0.2.1\n", "z:5: w.example.com. A", "CNAME and other data"},
        {HEAD "w CNAME v\nw CNAME u\n", "z:5: w.example.com. CNAME", "stands alone"},
        {HEAD "a A 192.0.2.1\n\na A 192.0.2.1\n", "z:6: a.example.com. A", "twice"},
        {HEAD "a 5 A 192.0.2.1\na 6 A 192.0.2.2\n", "z:5: a.example.com. A", "TTL 6 differs"},
        {HEAD "a.test. A 192.0.2.1\n", "z:4", "a.test. is not in the zone"},
        {HEAD "s NS ns.test.\nx.s TXT y\n", "z:5: x.s.example.com. TXT", "never served"},
        {HEAD "s NS ns.test.\nx.s A 192.0.2.1\n", "z:5: x.s.example.com. A", "never served"},
        {HEAD "s NS ns.s\n", "z:4: s.example.com. NS", "ns.s.example.com. has no address"},
        {HEAD "s NS n\nn CNAME ns1\n", "z:4: s.example.com. NS", "n.example.com. is an alias"},
        {HEAD "d DS 1 8 2 "
              "00000000000000000000000000000000"
              "00000000000000000000000000000000\n",
         "z:4: d.example.com. DS", "nothing is delegated"},
        {HEAD "* NS ns.test.\n", "z:4: *.example.com. NS", "wildcard cannot be delegated"},
        {HEAD "d DNAME other.test.\n", "z:4: d.example.com. DNAME", "DNAME is not supported"},
        {HEAD "l CNAME l\n", "z:4: l.example.com. CNAME", "loop"},
        {HEAD "a CH TXT x\n", "z:4", "class IN"},
        {HEAD "a A 192.0.2.256\n", "z:4", "cannot be read"},
        {HEAD "a BOGUS x\n", "z:4", "cannot be read"},
        {HEAD "$INCLUDE other.zone\n", "z:4", "$INCLUDE is not supported"},
        {HEAD "$BOGUS x\n", "z:4", "directive"},
        {HEAD "$TTL never\n", "z:4", "not a time"},
        {HEAD "a TXT ( x\n\n", "z:4", "parenthesis is not closed"},
        {HEAD "a TXT )\n", "z:4", "closing parenthesis"},
        {HEAD "a TXT \"x\n", "z:4", "quote is not closed"},
        {HEAD "a TYPE1 \\# 3 000102\n", "z:4", "cannot be read"},
        /* what ldns 1.8.4 loses memory over */
        {HEAD "@ CERT 0 2 3\xd1"
              "4 5.\n",
         "z:4", "base64"},
        {HEAD "a 5 IN CERT 0 1 5 YWJj\n", "z:4", "CERT type (1 to 65535 or a name)"},
        {HEAD " CERT NONE 1 5 YWJj\n", "z:4", "CERT type"},
        {HEAD "a TYPE37 65536 1 5 YWJj\n", "z:4", "CERT type"},
        {HEAD "a CERT 1 1 5\n", "z:4", "CERT type"},
        {HEAD "a CERT 1 1 5 !!\n", "z:4", "CERT type"},
        {HEAD "a IPSECKEY 10 4 2 192.0.2.1 YWJj\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a IPSECKEY 10 1 2 2001:db8::1 YWJj\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a IPSECKEY 10 0 2 192.0.2.1 YWJj\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a IPSECKEY 10 3 2 a..b YWJj\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a IPSECKEY 10 1 2 192.0.2.1 !!\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a IPSECKEY 256 1 2 192.0.2.1 YWJj\n", "z:4", "IPSECKEY precedence"},
        {HEAD "a AMTRELAY 10 2 1 192.0.2.1\n", "z:4", "AMTRELAY precedence"},
        {HEAD "a AMTRELAY 10 1 1 192.0.2.1 x\n", "z:4", "AMTRELAY precedence"},
        {HEAD "a AMTRELAY 10 1 3\n", "z:4", "AMTRELAY precedence"},
        {HEAD "a AMTRELAY \\#10 1 3 g\n", "z:4", "AMTRELAY precedence"},
    };
    struct seen seen;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int result = compile(&seen, cases[i].text);

        if (result != CULVERT_EREJECTED || seen.errors != 1 ||
            strncmp(seen.error[0], cases[i].where, strlen(cases[i].where)) != 0 ||
            !strstr(seen.error[0], cases[i].words))
            fail_msg("%s\n-> %d, %u errors, the first: %s", cases[i].text, result, seen.errors,
                     seen.error[0]);
        assert_int_equal(seen.entries, 0);
    }
}

static void test_all_errors_at_once(void **state)
{
    struct seen seen;

    (void)state;
    assert_int_equal(compile(&seen, "x A bad\ny A 192.0.2.1\ny A 192.0.2.1\nz CNAME z\n"),
                     CULVERT_EREJECTED);
    assert_int_equal(seen.errors, 5); /* and no SOA, no NS */
}

static void test_bound_of_errors(void **state)
{
    char *text = calloc(1, 200 * 8 + 1);
    struct seen seen;

    (void)state;
    for (int i = 0; i < 200; i++)
        memcpy(text + i * 8, "x A bad\n", 8);
    assert_int_equal(compile(&seen, text), CULVERT_EREJECTED);
    assert_int_equal(seen.errors, ZONE_ERRORS_MAX + 1);
    assert_non_null(strstr(seen.error[ZONE_ERRORS_MAX], "and 102 errors more"));
    free(text);
}

static void test_accepted(void **state)
{
    static const char *const cases[] = {
        HEAD,
        HEAD "a 1h A 192.0.2.1\n  2h TXT x\n",
        "$TTL 1d\n$ORIGIN com.\nexample SOA ( ns1.example host 1 ; serial\n 2 3\n 4 5 )\n"
        "\tNS ns1.example\nns1.example A 192.0.2.1\n",
        HEAD "a TYPE65280 \\# 4 0a0b0c0d\r\n",
        HEAD "a TXT \"; not a comment (\" ; a comment (\n",
        HEAD "a\\.b A 192.0.2.1\n\\000x A 192.0.2.1\n",
        HEAD "a RRSIG A 8 2 300 20300101000000 20200101000000 1 example.com. AAAA\n"
             "a 30 RRSIG TXT 8 2 30 20300101000000 20200101000000 1 example.com. AAAA\n",
        HEAD "c CNAME *.w\n*.w A 192.0.2.1\n",
        HEAD "s NS ns.t\nt NS ns.u.test.\n", /* glue below another delegation */
        HEAD "last A 192.0.2.1",             /* no newline */
    };
    struct seen seen;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (compile(&seen, cases[i]))
            fail_msg("%s\n-> %s", cases[i], seen.error[0]);
        assert_int_not_equal(seen.entries, 0);
    }
}

/* Types that are read here, not by ldns: text, and the same data as bytes. */
static void test_own_text(void **state)
{
    static const struct {
        const char *text, *bytes;
    } cases[] = {
        {"a CERT PKIX 1 RSASHA1 YWJj", "a TYPE37 \\# 8 0001000105616263"},
        {"a 1h IN CERT 253 65535 0 YW Jj", "a 1h TYPE37 \\# 8 00fdffff00616263"},
        {"a IPSECKEY 10 0 2 . YWJj", "a TYPE45 \\# 6 0a0002616263"},
        {"a 7 IN ipseckey 10 1 2 192.0.2.1 YWJj", "a 7 TYPE45 \\# 10 0a0102c0000201616263"},
        {"a IPSECKEY 10 2 2 2001:db8::1 (\nYWJj )",
         "a TYPE45 \\# 22 0a020220010db8000000000000000000000001616263"},
        {"a IPSECKEY 10 3 2 g.test. YWJj", "a TYPE45 \\# 14 0a03020167047465737400616263"},
        {"$ORIGIN test.\na.example.com. IPSECKEY 10 3 2 g YWJj",
         "a TYPE45 \\# 14 0a03020167047465737400616263"},
        {"a AMTRELAY 10 0 0 .", "a TYPE260 \\# 2 0a00"},
        {"a AMTRELAY 10 1 1 192.0.2.1", "a TYPE260 \\# 6 0a81c0000201"},
        {"a AMTRELAY 10 1 2 2001:db8::1", "a TYPE260 \\# 18 0a8220010db8000000000000000000000001"},
        {"a AMTRELAY 10 0 3 g.test.", "a TYPE260 \\# 10 0a030167047465737400"},
        {"a CERT \\# 8 0001000105616263", "a TYPE37 \\# 8 0001000105616263"},
    };
    char text[512];
    struct seen seen, same;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), HEAD "%s\n", cases[i].text);
        if (compile(&seen, text))
            fail_msg("%s\n-> %s", text, seen.error[0]);
        snprintf(text, sizeof(text), HEAD "%s\n", cases[i].bytes);
        assert_int_equal(compile(&same, text), 0);
        if (seen.sum != same.sum)
            fail_msg("%s is not %s", cases[i].text, cases[i].bytes);
    }
}

static void test_inline_records(void **state)
{
    struct zone_record records[] = {
        {.owner = "@", .type = "SOA", .rdata = "ns1 host 1 2 3 4 5"},
        {.owner = "@", .type = "NS", .rdata = "ns1"},
        {.owner = "ns1", .type = "A", .rdata = "192.0.2.1", .has_ttl = true, .ttl = 5},
        {.owner = "www", .type = "TXT", .rdata = "\"a ; b\""},
    };
    struct zone_source source = {.name = "example.com.",
                                 .ttl = 60,
                                 .site_file = "site.yaml",
                                 .records = records,
                                 .records_count = 4};
    struct zone_stats stats;
    struct seen seen = {.errors = 0};

    (void)state;
    assert_int_equal(zone_compile(&source, see_entry, see_error, &seen, &stats), 0);
    assert_int_equal(stats.records, 4);
    assert_int_equal(stats.names, 3);
    assert_int_equal(stats.max_labels, 3);
    assert_int_equal(stats.serial, 1);
    assert_int_equal(stats.entries, 4);
    records[3].rdata = "x\nevil A 192.0.2.66";
    records[3].field = "zones.example.com.records.www.TXT";
    records[3].line = 12;
    assert_int_equal(zone_compile(&source, see_entry, see_error, &seen, &stats), CULVERT_EREJECTED);
    assert_int_equal(seen.errors, 1);
    assert_ptr_equal(strstr(seen.error[0], "site.yaml:12: zones.example.com.records.www.TXT: "),
                     seen.error[0]);
}

/* The order of the records doesn't matter, not even to the order of the entries. */
static void test_deterministic(void **state)
{
    struct seen first, second;

    (void)state;
    assert_int_equal(compile(&first, HEAD "b A 192.0.2.1\na.c TXT x\nb A 192.0.2.2\n"), 0);
    assert_int_equal(compile(&second, "b A 192.0.2.2\nb A 192.0.2.1\n" HEAD "a.c TXT x\n"), 0);
    assert_true(first.sum == second.sum);
    assert_int_equal(first.entries, 6); /* zone, apex, b, c, a.c, ns1 */
}

static void test_emit_stops(void **state)
{
    struct zone_source source = {
        .name = "example.com", .file = "z", .text = HEAD, .length = sizeof(HEAD) - 1};
    struct seen seen = {.stop_at = 2};

    (void)state;
    assert_int_equal(zone_compile(&source, see_entry, see_error, &seen, NULL), CULVERT_EFULL);
    assert_int_equal(seen.entries, 2);
    assert_int_equal(seen.errors, 0);
}

static void test_bad_names(void **state)
{
    static const char *const names[] = {"",
                                        "a..b",
                                        ".a",
                                        "a\\",
                                        "*.example.com",
                                        ("x2345678901234567890123456789012345678901234567890"
                                         "12345678901234.com")};
    struct seen seen;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct zone_source source = {
            .name = names[i], .file = "z", .text = HEAD, .length = sizeof(HEAD) - 1};

        memset(&seen, 0, sizeof(seen));
        assert_int_equal(zone_compile(&source, see_entry, see_error, &seen, NULL),
                         CULVERT_EREJECTED);
        assert_int_not_equal(seen.errors, 0);
    }
}

static void test_too_much_at_one_name(void **state)
{
    size_t room = 80u << 10, at = 0;
    char *text = malloc(room);
    struct seen seen;

    (void)state;
    at += (size_t)snprintf(text, room, "%s", HEAD);
    for (int i = 0; i < 800; i++)
        at += (size_t)snprintf(text + at, room - at, "big TXT \"%070d\"\n", i);
    assert_int_equal(compile(&seen, text), CULVERT_EREJECTED);
    assert_int_equal(seen.errors, 1);
    assert_non_null(strstr(seen.error[0], "too much data"));
    free(text);
}

static void test_hollows(void **state)
{
    static const char *const apexes[] = {"b.example.com", "example.com", "a.co.uk", "b.co.uk.",
                                         "x.y.net"};
    const uint64_t key[2] = {1, 2};
    struct seen seen = {.errors = 0};

    (void)state;
    assert_int_equal(zone_hollows_compile(apexes, 5, key, see_entry, &seen), 0);
    assert_int_equal(seen.entries, 5); /* com, uk, co.uk, net, y.net */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_bound_of_errors), cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_own_text),        cmocka_unit_test(test_inline_records),
        cmocka_unit_test(test_deterministic),   cmocka_unit_test(test_emit_stops),
        cmocka_unit_test(test_bad_names),       cmocka_unit_test(test_too_much_at_one_name),
        cmocka_unit_test(test_hollows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
