/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to compiled zones and the answers that RFCs ask for, one table line each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/dns/message.h"
#include "dataplane/fastpath/reasons.h"
#include "tests/controlplane/dns/ask.h"
#include "tests/controlplane/dns/fixture.h"

#define SOA "example.com. 5 IN SOA ns1.example.com. host.example.com. 1 2 3 4 5"
#define NS1 "ns1.example.com. 900 IN A 192.0.2.53"

static const struct fixture_zone zones[] = {
    {.name = "example.com",
     .text = "$TTL 900\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n"
             "www CNAME web\nweb A 192.0.2.1\nweb A 192.0.2.2\nmx MX 10 web\n"
             "far CNAME www.example.org.\ngone CNAME nothing\nc1 CNAME c2\nc2 CNAME www\n"
             "*.w TXT wild\nx.y.w A 192.0.2.3\nalias CNAME q.w\n*.wc CNAME web\n"
             "a.b.ent A 192.0.2.4\n*.e2.ent A 192.0.2.5\n"
             "sub NS ns.sub\nsub NS ns.test.\nns.sub A 192.0.2.9\nsub DS 1 8 2 "
             "00000000000000000000000000000000000000000000000000000000000000ab\n"
             "plain NS ns.test.\nunder CNAME x.plain\nsrv SRV 1 2 3 web\n"
             "new TYPE731 \\# 3 010203\nchild DS 2 8 2 "
             "00000000000000000000000000000000000000000000000000000000000000cd\n"
             "*.host.child A 192.0.2.99\n"},
    {.name = "child.example.com",
     .text = "@ 900 SOA ns1.example.com. h 1 2 3 4 5\n@ 900 NS ns1.example.com.\n"
             "www 900 A 192.0.2.77\n"},
    {.name = "deep.er.example.com",
     .text = "@ 900 SOA ns1.example.com. h 1 2 3 4 5\n@ 900 NS ns1.example.com.\n"},
};

static const struct {
    const char *name;
    unsigned type;
    unsigned reason;
    const char *answer;
} cases[] = {
    /* positive answers; the question's case is the owner's */
    {"web.example.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: web.example.com. 900 IN A 192.0.2.1 | an: web.example.com. 900 IN A "
     "192.0.2.2"},
    {"WeB.eXample.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: WeB.eXample.com. 900 IN A 192.0.2.1 | an: WeB.eXample.com. 900 IN A "
     "192.0.2.2"},
    {"example.com", 2, FP_DNS_ANSWER,
     "NOERROR aa | an: example.com. 900 IN NS ns1.example.com. | ar: " NS1},
    {"mx.example.com", 15, FP_DNS_ANSWER,
     "NOERROR aa | an: mx.example.com. 900 IN MX 10 web.example.com. | ar: web.example.com. 900 IN "
     "A 192.0.2.1 | ar: web.example.com. 900 IN A 192.0.2.2"},
    {"new.example.com", 731, FP_DNS_ANSWER,
     "NOERROR aa | an: new.example.com. 900 IN TYPE731 \\# 3 010203"},
    /* aliases */
    {"c1.example.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: c1.example.com. 900 IN CNAME c2.example.com. | an: c2.example.com. 900 IN "
     "CNAME www.example.com. | an: web.example.com. 900 IN A 192.0.2.1 | an: web.example.com. 900 "
     "IN A 192.0.2.2 | an: www.example.com. 900 IN CNAME web.example.com."},
    {"www.example.com", 16, FP_DNS_NODATA,
     "NOERROR aa | an: www.example.com. 900 IN CNAME web.example.com. | ns: " SOA},
    {"www.example.com", 5, FP_DNS_ANSWER,
     "NOERROR aa | an: www.example.com. 900 IN CNAME web.example.com."},
    {"gone.example.com", 1, FP_DNS_NXDOMAIN,
     "NXDOMAIN aa | an: gone.example.com. 900 IN CNAME nothing.example.com. | ns: " SOA},
    {"far.example.com", 28, FP_DNS_ANSWER,
     "NOERROR aa | an: far.example.com. 900 IN CNAME www.example.org."},
    {"alias.example.com", 16, FP_DNS_ANSWER,
     "NOERROR aa | an: alias.example.com. 900 IN CNAME q.w.example.com. | an: q.w.example.com. 900 "
     "IN TXT \"wild\""},
    {"under.example.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: under.example.com. 900 IN CNAME x.plain.example.com."},
    /* negative answers (RFC 2308): the TTL is the SOA's minimum */
    {"web.example.com", 28, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"nx.example.com", 1, FP_DNS_NXDOMAIN, "NXDOMAIN aa | ns: " SOA},
    {"a.b.c.d.e.f.example.com", 1, FP_DNS_NXDOMAIN, "NXDOMAIN aa | ns: " SOA},
    {"below.web.example.com", 1, FP_DNS_NXDOMAIN, "NXDOMAIN aa | ns: " SOA},
    /* empty non-terminals */
    {"b.ent.example.com", 1, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"ent.example.com", 1, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"c.ent.example.com", 1, FP_DNS_NXDOMAIN, "NXDOMAIN aa | ns: " SOA},
    {"er.example.com", 1, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    /* wildcards (RFC 4592) */
    {"q.w.example.com", 16, FP_DNS_ANSWER, "NOERROR aa | an: q.w.example.com. 900 IN TXT \"wild\""},
    {"r.q.w.example.com", 16, FP_DNS_ANSWER,
     "NOERROR aa | an: r.q.w.example.com. 900 IN TXT \"wild\""},
    {"*.w.example.com", 16, FP_DNS_ANSWER, "NOERROR aa | an: *.w.example.com. 900 IN TXT \"wild\""},
    {"q.w.example.com", 1, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"y.w.example.com", 16, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"z.y.w.example.com", 16, FP_DNS_NXDOMAIN, "NXDOMAIN aa | ns: " SOA},
    {"w.example.com", 16, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"a.long.one.wc.example.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: a.long.one.wc.example.com. 900 IN CNAME web.example.com. | an: "
     "web.example.com. 900 IN A 192.0.2.1 | an: web.example.com. 900 IN A 192.0.2.2"},
    /* delegations: glue in the core, no AA */
    {"a.b.sub.example.com", 1, FP_DNS_REFERRAL,
     "NOERROR | ns: sub.example.com. 900 IN NS ns.sub.example.com. | ns: sub.example.com. 900 IN "
     "NS "
     "ns.test. | ar: ns.sub.example.com. 900 IN A 192.0.2.9"},
    {"ns.sub.example.com", 1, FP_DNS_REFERRAL,
     "NOERROR | ns: sub.example.com. 900 IN NS ns.sub.example.com. | ns: sub.example.com. 900 IN "
     "NS "
     "ns.test. | ar: ns.sub.example.com. 900 IN A 192.0.2.9"},
    {"plain.example.com", 255, FP_DNS_REFERRAL,
     "NOERROR | ns: plain.example.com. 900 IN NS ns.test."},
    {"sub.example.com", 43, FP_DNS_ANSWER,
     "NOERROR aa | an: sub.example.com. 900 IN DS 1 8 2 "
     "00000000000000000000000000000000000000000000000000000000000000ab"},
    {"plain.example.com", 43, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    /* the deepest zone; DS of a child that we serve is the parent's */
    {"www.child.example.com", 1, FP_DNS_ANSWER,
     "NOERROR aa | an: www.child.example.com. 900 IN A 192.0.2.77"},
    {"x.host.child.example.com", 1, FP_DNS_NXDOMAIN,
     "NXDOMAIN aa | ns: child.example.com. 5 IN SOA ns1.example.com. h.child.example.com. 1 2 3 4 "
     "5"},
    {"child.example.com", 43, FP_DNS_ANSWER,
     "NOERROR aa | an: child.example.com. 900 IN DS 2 8 2 "
     "00000000000000000000000000000000000000000000000000000000000000cd"},
    {"deep.er.example.com", 43, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    {"example.com", 43, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    /* ANY (RFC 8482): one set */
    {"www.example.com", 255, FP_DNS_ANSWER,
     "NOERROR aa | an: www.example.com. 900 IN CNAME web.example.com."},
    {"ent.example.com", 255, FP_DNS_NODATA, "NOERROR aa | ns: " SOA},
    /* outside */
    {"com", 1, FP_DNS_REFUSED, "REFUSED"},
    {"example.org", 1, FP_DNS_REFUSED, "REFUSED"},
    {"other.com", 1, FP_DNS_REFUSED, "REFUSED"},
    {".", 2, FP_DNS_REFUSED, "REFUSED"},
    /* types that are no data */
    {"example.com", 252, FP_DNS_REFUSED, "REFUSED"},
    {"example.com", 251, FP_DNS_REFUSED, "REFUSED"},
    {"example.com", 249, FP_DNS_NOTIMP, "NOTIMP"},
    {"example.com", 41, FP_DNS_FORMERR, "FORMERR"},
};

static void test_answers(void **state)
{
    static uint8_t message[MESSAGE_BYTES_MAX + 1];
    struct fixture fixture = {.size = (size_t)32 << 20};
    unsigned failed = 0;

    (void)state;
    assert_int_equal(fixture_open(&fixture, zones, 3), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t length = make_query(message, cases[i].name, cases[i].type, 0);
        char text[4096];
        unsigned reason;

        length = message_answer(fixture.base, message, length, MESSAGE_BYTES_MAX, true, &reason);
        describe(message, length, text, sizeof(text));
        if (strcmp(text, cases[i].answer) != 0 || reason != cases[i].reason) {
            print_error("%s %u: reason %u\n  got      %s\n  expected %s\n", cases[i].name,
                        cases[i].type, reason, text, cases[i].answer);
            failed++;
        }
    }
    fixture_close(&fixture);
    assert_int_equal(failed, 0);
}

/* Tables without a site's configuration have no answers; nor do empty ones. */
static void test_nothing_served(void **state)
{
    struct fixture fixture = {.size = (size_t)32 << 20};
    uint8_t message[512];
    char text[256];
    size_t length = make_query(message, "example.com", 1, 0);

    (void)state;
    assert_int_equal(fixture_open(&fixture, NULL, 0), 0);
    length = message_answer(fixture.base, message, length, sizeof(message), false, NULL);
    describe(message, length, text, sizeof(text));
    assert_string_equal(text, "REFUSED");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_nothing_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
