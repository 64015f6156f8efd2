/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of histories: ones that are linearizable, and ones that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

/* An operation from call to return (0: unknown); `seen` is the value before, or what was read. */
#define OP(op_kind, what, from, to, seen)                                                          \
    (struct sim_op)                                                                                \
    {                                                                                              \
        .command = {.kind = (op_kind), .value = (what)}, .call = (from), .back = (to),             \
        .result = (seen)                                                                           \
    }

static bool check(struct sim_op *ops, size_t count)
{
    struct sim_op *list[16];
    bool undecided, fine;

    for (size_t i = 0; i < count; i++)
        list[i] = &ops[i];
    fine = sim_linearizable(list, count, &undecided);
    assert_false(undecided);
    return fine;
}

#define CHECK(...)                                                                                 \
    check((struct sim_op[]){__VA_ARGS__},                                                          \
          sizeof((struct sim_op[]){__VA_ARGS__}) / sizeof(struct sim_op))

static void test_in_order(void **state)
{
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 2, 0), OP(SIM_GET, 0, 3, 4, 5)));
    assert_true(CHECK(OP(SIM_GET, 0, 1, 2, 0)));
}

static void test_stale_read(void **state)
{
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 2, 0), OP(SIM_GET, 0, 3, 4, 0)));
    /* Two reads one after the other, the second of the older value. */
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 9, 0), OP(SIM_GET, 0, 2, 3, 5), OP(SIM_GET, 0, 4, 5, 0)));
}

static void test_at_the_same_time(void **state)
{
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 9, 0), OP(SIM_GET, 0, 2, 3, 0), OP(SIM_GET, 0, 4, 5, 5)));
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 5, 7), OP(SIM_PUT, 7, 2, 6, 0), OP(SIM_GET, 0, 7, 8, 5)));
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 5, 0), OP(SIM_PUT, 7, 2, 6, 0)));
}

static void test_lost_write(void **state)
{
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 2, 0), OP(SIM_PUT, 6, 3, 4, 0)));
}

/* One whose outcome is unknown: later, never, but not before its call. */
static void test_unknown(void **state)
{
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 0, 0), OP(SIM_GET, 0, 2, 3, 0), OP(SIM_GET, 0, 4, 5, 5)));
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 0, 0), OP(SIM_GET, 0, 2, 3, 0)));
    assert_false(CHECK(OP(SIM_GET, 0, 1, 2, 5), OP(SIM_PUT, 5, 3, 0, 0)));
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 0, 0), OP(SIM_GET, 0, 2, 3, 5), OP(SIM_GET, 0, 4, 5, 0)));
}

static void test_compare_and_set(void **state)
{
    struct sim_op cas = OP(SIM_CAS, 9, 3, 4, 5);

    cas.command.expected = 5;
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 2, 0), cas, OP(SIM_GET, 0, 5, 6, 9)));
    cas.command.expected = 6; /* fails, and changes nothing */
    assert_true(CHECK(OP(SIM_PUT, 5, 1, 2, 0), cas, OP(SIM_GET, 0, 5, 6, 5)));
    assert_false(CHECK(OP(SIM_PUT, 5, 1, 2, 0), cas, OP(SIM_GET, 0, 5, 6, 9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),         cmocka_unit_test(test_stale_read),
        cmocka_unit_test(test_at_the_same_time), cmocka_unit_test(test_lost_write),
        cmocka_unit_test(test_unknown),          cmocka_unit_test(test_compare_and_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
