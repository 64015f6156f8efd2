/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/cli/flow.h"

static void expect(const char *text, const char *address, int port, enum flow_protocol protocol)
{
    char written[UNITS_TEXT];
    struct flow_end end;

    assert_null(flow_end_parse(text, &end));
    units_write_address(&end.address, written);
    assert_string_equal(written, address);
    assert_int_equal(end.has_port, port != 0);
    assert_int_equal(end.port, port);
    assert_int_equal(end.protocol, protocol);
}

static void test_good(void **state)
{
    (void)state;
    expect("192.0.2.1", "192.0.2.1", 0, FLOW_ANY);
    expect("192.0.2.1:80", "192.0.2.1", 80, FLOW_ANY);
    expect("192.0.2.1:65535/UDP", "192.0.2.1", 65535, FLOW_UDP);
    expect("192.0.2.1/icmp", "192.0.2.1", 0, FLOW_ICMP);
    expect("2001:db8::1", "2001:db8::1", 0, FLOW_ANY);
    expect("2001:db8::1/tcp", "2001:db8::1", 0, FLOW_TCP);
    expect("[2001:db8::1]:443/tcp", "2001:db8::1", 443, FLOW_TCP);
    expect("[2001:db8::1]", "2001:db8::1", 0, FLOW_ANY);
}

static void test_bad(void **state)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "1.2.3:80",
                                        "192.0.2.1:",
                                        "192.0.2.1:0",
                                        "192.0.2.1:65536",
                                        "192.0.2.1:80/sctp",
                                        "192.0.2.1:80/",
                                        "[2001:db8::1",
                                        "[2001:db8::1]80",
                                        "[2001:db8::1]:",
                                        "[]:80",
                                        "192.0.2.1:-1"};
    char longest[300];
    struct flow_end end;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_non_null(flow_end_parse(texts[i], &end));
    memset(longest, '1', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    assert_non_null(flow_end_parse(longest, &end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
