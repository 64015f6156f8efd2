/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals fill no log: one line for the first of each user, then one an hour with the number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controlplane/daemon/refusals.h"

#define HOUR REFUSALS_EVERY_MS

static void test_first_at_once_then_each_hour(void **state)
{
    struct refusals refusals = {0};
    struct refusal line;

    (void)state;
    assert_false(refusals_take(&refusals, 5, &line));
    refusals_add(&refusals, 5, "token:ci", "reader", "10.0.0.9:1", "POST /v1/apply");
    assert_true(refusals_take(&refusals, 5, &line));
    assert_string_equal(line.user, "token:ci");
    assert_string_equal(line.role, "reader");
    assert_string_equal(line.from, "10.0.0.9:1");
    assert_string_equal(line.what, "POST /v1/apply");
    assert_int_equal(line.count, 1);
    assert_false(refusals_wait(&refusals));
    for (int i = 0; i < 1000; i++) {
        refusals_add(&refusals, 6, "token:ci", "reader", "10.0.0.9:2", "POST /v1/diff");
        assert_false(refusals_take(&refusals, HOUR + 4, &line));
    }
    assert_true(refusals_wait(&refusals));
    assert_true(refusals_take(&refusals, HOUR + 5, &line));
    assert_int_equal(line.count, 1000);
    assert_string_equal(line.what, "POST /v1/diff");
    assert_false(refusals_take(&refusals, HOUR + 5, &line));
    assert_int_equal(refusals.total, 1001);
}

/* Whoever shows no right is one, whatever else they say. */
static void test_unknown_are_one(void **state)
{
    struct refusals refusals = {0};
    struct refusal line;
    unsigned lines = 0;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        char from[32];

        snprintf(from, sizeof(from), "10.0.%u.%u:1", i / 256, i % 256);
        refusals_add(&refusals, i, "", "", from, "no token");
        while (refusals_take(&refusals, i, &line))
            lines++;
    }
    assert_int_equal(lines, 1);
}

/* More users than places: the rest is counted as one; a place that is free again is used. */
static void test_many_users(void **state)
{
    struct refusals refusals = {0};
    struct refusal line;
    unsigned lines = 0, unknown = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char user[32];

        snprintf(user, sizeof(user), "token:%u", i);
        refusals_add(&refusals, 1, user, "reader", "", "x");
    }
    while (refusals_take(&refusals, 1, &line)) {
        lines++;
        unknown += !*line.user;
        assert_int_equal(line.count, *line.user ? 1 : 100 - (REFUSALS_MAX - 1));
    }
    assert_int_equal(lines, REFUSALS_MAX);
    assert_int_equal(unknown, 1);
    refusals_add(&refusals, HOUR + 1, "token:new", "reader", "", "x");
    assert_true(refusals_take(&refusals, HOUR + 1, &line));
    assert_string_equal(line.user, "token:new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_at_once_then_each_hour),
        cmocka_unit_test(test_unknown_are_one),
        cmocka_unit_test(test_many_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
