/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"

struct example {
    const char *text;
    int error;
    uint64_t value;
    const char *written; /* NULL: as it was */
};

static void check(const struct example *list, size_t count,
                  int (*parse)(const char *text, uint64_t *value),
                  void (*print)(uint64_t value, char text[UNITS_TEXT]))
{
    for (size_t i = 0; i < count; i++) {
        char text[UNITS_TEXT];
        uint64_t value = 0;

        assert_int_equal(parse(list[i].text, &value), list[i].error);
        if (list[i].error)
            continue;
        assert_int_equal(value, list[i].value);
        print(value, text);
        assert_string_equal(text, list[i].written ? list[i].written : list[i].text);
    }
}
#define CHECK(list, parse, print) check(list, sizeof(list) / sizeof(*(list)), parse, print)

static void test_sizes(void **state)
{
    static const struct example sizes[] = {
        {"0", 0, 0, NULL},
        {"2000", 0, 2000, "2k"},
        {"2001", 0, 2001, NULL},
        {"10M", 0, 10000000, NULL},
        {"18446744073709551615", 0, UINT64_MAX, NULL},
        {"18446744073709551616", CULVERT_EFULL, 0, NULL},
        {"18446744073709551615k", CULVERT_EFULL, 0, NULL},
        {"", CULVERT_EINVAL, 0, NULL},
        {"k", CULVERT_EINVAL, 0, NULL},
        {"-1", CULVERT_EINVAL, 0, NULL},
        {"+1", CULVERT_EINVAL, 0, NULL},
        {" 1", CULVERT_EINVAL, 0, NULL},
        {"1 ", CULVERT_EINVAL, 0, NULL},
        {"1K", CULVERT_EINVAL, 0, NULL},
        {"1kk", CULVERT_EINVAL, 0, NULL},
        {"0x10", CULVERT_EINVAL, 0, NULL},
    };
    uint64_t value;

    (void)state;
    CHECK(sizes, units_parse_size, units_write_size);
    assert_int_equal(units_parse_number("12", &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(units_parse_number("12k", &value), CULVERT_EINVAL);
    assert_int_equal(units_parse_number("99999999999999999999999x", &value), CULVERT_EINVAL);
}

static void test_rates(void **state)
{
    static const struct example rates[] = {
        {"10k/s", 0, 10000, NULL},      {"10000/s", 0, 10000, "10k/s"},
        {"1G/s", 0, 1000000000, NULL},  {"7/s", 0, 7, NULL},
        {"7", CULVERT_EINVAL, 0, NULL}, {"7/m", CULVERT_EINVAL, 0, NULL},
        {"/s", CULVERT_EINVAL, 0, NULL}};

    (void)state;
    CHECK(rates, units_parse_rate, units_write_rate);
}

static void test_times(void **state)
{
    static const struct example times[] = {{"500ms", 0, 500, NULL},
                                           {"60s", 0, 60000, "1m"},
                                           {"90s", 0, 90000, NULL},
                                           {"2h", 0, 7200000, NULL},
                                           {"0ms", 0, 0, "0s"},
                                           {"5", CULVERT_EINVAL, 0, NULL},
                                           {"5 s", CULVERT_EINVAL, 0, NULL},
                                           {"1d", CULVERT_EINVAL, 0, NULL}};

    (void)state;
    CHECK(times, units_parse_time, units_write_time);
}

static void test_addresses(void **state)
{
    static const char *const good[][2] = {
        {"192.0.2.1", "192.0.2.1"}, {"2001:DB8:0::1", "2001:db8::1"}, {"::", "::"}};
    static const char *const bad[] = {"",     "192.0.2", "192.0.2.256", "192.0.2.01.1",
                                      ":::",  "1::2::3", "fe80::1%lo",  "::ffff:192.0.2.1",
                                      " ::1", "::1 ",    "192.0.2.1/32"};
    struct address address;
    char text[UNITS_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(units_parse_address(good[i][0], &address), 0);
        units_write_address(&address, text);
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(units_parse_address(bad[i], &address), CULVERT_EINVAL);
    units_parse_address("10.1.2.3", &address);
    assert_true(address_is_v4(&address));
    assert_int_equal(address.bytes[12], 10);
    address_mask(&address, 96 + 12);
    units_write_address(&address, text);
    assert_string_equal(text, "10.0.0.0");
}

static void test_prefixes(void **state)
{
    struct address address;
    char text[UNITS_TEXT];
    bool host_bits;
    unsigned length;

    (void)state;
    assert_int_equal(units_parse_prefix("203.0.113.0/24", &address, &length, &host_bits), 0);
    assert_int_equal(length, 24);
    assert_int_equal(units_parse_prefix("203.0.113.7", &address, &length, &host_bits), 0);
    assert_int_equal(length, 32);
    assert_int_equal(units_parse_prefix("::/0", &address, &length, &host_bits), 0);
    assert_int_equal(units_parse_prefix("0.0.0.0/0", &address, &length, &host_bits), 0);
    assert_true(address_is_v4(&address));
    assert_int_equal(units_parse_prefix("2001:db8::1/64", &address, &length, &host_bits),
                     CULVERT_EINVAL);
    assert_true(host_bits);
    units_write_prefix(&address, length, text);
    assert_string_equal(text, "2001:db8::/64");
    assert_int_equal(units_parse_prefix("10.0.0.0/33", &address, &length, &host_bits),
                     CULVERT_EFULL);
    assert_int_equal(units_parse_prefix("10.0.0.0/", &address, &length, &host_bits),
                     CULVERT_EINVAL);
    assert_int_equal(units_parse_prefix("10.0.0.0/8/8", &address, &length, &host_bits),
                     CULVERT_EINVAL);
    assert_int_equal(
        units_parse_prefix("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8", &address,
                           &length, &host_bits),
        CULVERT_EINVAL);
    assert_false(host_bits);
}

static void test_endpoints(void **state)
{
    static const char *const good[] = {"192.0.2.1:1", "[2001:db8::1]:65535", "[::]:80"};
    static const char *const bad[] = {
        "",          ":80",         "192.0.2.1",     "192.0.2.1:", "192.0.2.1:0",
        "1.2.3.4:x", "::1:80",      "[192.0.2.1]:1", "[::1]",      "[]:1",
        "[:1",       "[::1]:65536", "192.0.2.1: 1",  "[::1:80",    "name:80"};
    struct endpoint endpoint, back;
    struct sockaddr_storage address;
    char text[UNITS_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(units_parse_endpoint(good[i], &endpoint), 0);
        endpoint_to_socket(&endpoint, &address);
        endpoint_from_socket(&address, &back);
        units_write_endpoint(&back, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(units_parse_endpoint(bad[i], &endpoint), CULVERT_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_rates),
        cmocka_unit_test(test_times),    cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
