/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, the names of boot entries, and the order in which systemd-boot takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/system/entry.h"

static void test_versions_are_ordered(void **state)
{
    static const char *const order[] = {"0.3.0",
                                        "0.3.0-20261129.944",
                                        "0.3.0-20261129.1044",
                                        "0.3.0-20261130.0001",
                                        "0.3.0.1",
                                        "0.3.1-20251129.1044",
                                        "0.10.0",
                                        "1.0"};

    (void)state;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        for (size_t j = 0; j < sizeof(order) / sizeof(order[0]); j++) {
            int sign = (i > j) - (i < j), is = version_compare(order[i], order[j]);

            assert_true(version_valid(order[i]));
            assert_int_equal((is > 0) - (is < 0), sign);
        }
    assert_int_equal(version_compare("1.00-01", "1.0-1"), 0);
}

static void test_versions_are_checked(void **state)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "1.",
                                      "1..2",
                                      "-1",
                                      "1-",
                                      "1-2-3",
                                      "1.0+3",
                                      "1.0/x",
                                      "1.0 ",
                                      "v1",
                                      "1.0~1",
                                      "1.11111111111111111111111111111111111111111111111"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(version_valid(bad[i]));
    assert_true(version_valid("1.1111111111111111111111111111111111111111111111"));
}

static void check(const char *name, const char *version, int left, int done, enum entry_state is)
{
    struct entry entry;
    char again[ENTRY_NAME];

    assert_true(entry_parse(name, &entry));
    assert_string_equal(entry.version, version);
    assert_int_equal(entry.left, left);
    assert_int_equal(entry.done, done);
    assert_int_equal(entry_state(&entry), is);
    entry_name(&entry, again);
    assert_string_equal(again, name);
}

static void test_names(void **state)
{
    static const char *const others[] = {"culvert.part",
                                         "culvert-1.0.efi.part",
                                         "culvert-.efi",
                                         "culvert-x.efi",
                                         "linux-1.0.efi",
                                         "culvert-1.0+.efi",
                                         "culvert-1.0+1-.efi",
                                         "culvert-1.0+1-2-3.efi",
                                         "culvert-1.0+a.efi",
                                         "culvert-1.0+1111.efi",
                                         "culvert-1.0+-1.efi",
                                         "culvert-",
                                         ".efi",
                                         "",
                                         "culvert-1.0+1.2.efi",
                                         "Culvert-1.0.efi"};
    struct entry entry;

    (void)state;
    check("culvert-1.0-20261129.1044.efi", "1.0-20261129.1044", ENTRY_GOOD, 0, ENTRY_IS_GOOD);
    check("culvert-1.0+3.efi", "1.0", 3, 0, ENTRY_IS_NEW);
    check("culvert-1.0+2-1.efi", "1.0", 2, 1, ENTRY_IS_ON_TRIAL);
    check("culvert-1.0+0-3.efi", "1.0", 0, 3, ENTRY_IS_BAD);
    check("culvert-1.0+0.efi", "1.0", 0, 0, ENTRY_IS_ASIDE);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(entry_parse(others[i], &entry));
}

static void test_order(void **state)
{
    static const char *const order[] = {"culvert-1.2+3.efi", "culvert-1.1.efi",
                                        "culvert-1.0+1-2.efi", "culvert-1.4+0-3.efi",
                                        "culvert-1.3+0.efi"};

    (void)state;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        for (size_t j = 0; j < sizeof(order) / sizeof(order[0]); j++) {
            struct entry a, b;

            assert_true(entry_parse(order[i], &a) && entry_parse(order[j], &b));
            assert_int_equal(entry_compare(&a, &b) < 0, i < j);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions_are_ordered),
                                       cmocka_unit_test(test_versions_are_checked),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
