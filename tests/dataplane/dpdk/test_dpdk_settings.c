/* SPDX-License-Identifier: Apache-2.0 */
/* Cores as lists and as a plan for EAL, what may be shared, what this machine has not. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/settings.h"

static struct settings settings;
static unsigned first, second; /* cores that this process may use */
static unsigned usable;

static void check_list(const char *list, const char *text)
{
    char found[SETTINGS_TEXT];

    assert_true(settings_take_cores(&settings, list));
    settings_cores_text(&settings, found, sizeof(found));
    assert_string_equal(found, text);
}

static void test_lists(void **state)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "1,",
                                      "1-",
                                      "-1",
                                      "3-1",
                                      "1,1",
                                      "1-3,2",
                                      "1 2",
                                      "1024",
                                      "x",
                                      "1,,2",
                                      "0-64",
                                      "+1",
                                      " 1",
                                      "1-2-3",
                                      "0x1",
                                      "18446744073709551616",
                                      "0-18446744073709551615"};

    (void)state;
    check_list("1", "1");
    check_list("1-3,5", "1-3,5");
    check_list("5,1,2", "5,1-2");
    check_list("0,1,2,3", "0-3");
    check_list("0-63", "0-63");
    check_list("1023", "1023");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(settings_take_cores(&settings, bad[i]));
}

static void test_bounds(void **state)
{
    (void)state;
    settings_default(&settings);
    assert_false(settings_take(&settings, SETTINGS_PACKET_BUFFERS, 1022));
    assert_false(settings_take(&settings, SETTINGS_PACKET_BUFFERS, (8u << 20) + 1));
    assert_false(settings_take(&settings, SETTINGS_PACKET_BUFFERS, 1ull << 32 | 2000));
    assert_int_equal(settings.value[SETTINGS_PACKET_BUFFERS], 32767);
    assert_true(settings_take(&settings, SETTINGS_PACKET_BUFFERS, 1023));
    assert_false(settings_take(&settings, SETTINGS_MAIN_CORE, 1024));
    assert_true(settings_take(&settings, SETTINGS_TABLE_MEMORY, 4096));
    assert_false(settings_take(&settings, SETTINGS_TABLE_MEMORY, 4097));
}

static int plan(const char *map, const char *complaint)
{
    struct eal_plan made;
    char why[EAL_WHY] = "";
    int error = eal_plan(&settings, &made, why);

    if (!error)
        assert_string_equal(made.map, map);
    else
        assert_non_null(strstr(why, complaint));
    return error;
}

static void poll_on(unsigned core, bool share)
{
    settings_default(&settings);
    settings.core[settings.cores++] = (uint16_t)core;
    settings.value[SETTINGS_SHARE_MAIN_CORE] = share;
}

/* With two cores: the main one is the first that doesn't poll, whichever that is. */
static void test_plans(void **state)
{
    char map[64];

    (void)state;
    if (usable != 2)
        skip();
    settings_default(&settings);
    snprintf(map, sizeof(map), "0@%u,1@%u", first, second);
    assert_int_equal(plan(map, ""), 0);
    poll_on(second, false);
    assert_int_equal(plan(map, ""), 0);
    poll_on(first, false);
    snprintf(map, sizeof(map), "0@%u,1@%u", second, first);
    assert_int_equal(plan(map, ""), 0);
    settings.core[settings.cores++] = (uint16_t)second;
    assert_int_equal(plan("", "no core is left for everything else"), CULVERT_EINVAL);
    settings.value[SETTINGS_SHARE_MAIN_CORE] = 1;
    snprintf(map, sizeof(map), "0@%u,1@%u,2@%u", first, first, second);
    assert_int_equal(plan(map, ""), 0);
}

static void test_main_core(void **state)
{
    char map[64];

    (void)state;
    poll_on(first, false);
    settings.value[SETTINGS_MAIN_CORE] = first;
    assert_int_equal(plan("", "is to poll and to be the main one"), CULVERT_EINVAL);
    settings.value[SETTINGS_SHARE_MAIN_CORE] = 1;
    snprintf(map, sizeof(map), "0@%u,1@%u", first, first);
    assert_int_equal(plan(map, ""), 0);
    poll_on(1023, true);
    assert_int_equal(plan("", "core 1023 is not one that this process may use"), CULVERT_EINVAL);
    poll_on(first, true);
    settings.value[SETTINGS_MAIN_CORE] = 1022;
    assert_int_equal(plan("", "core 1022 is not one that this process may use"), CULVERT_EINVAL);
}

static void find_cores(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    for (unsigned core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &set))
            continue;
        if (usable == 0)
            first = core;
        else if (usable == 1)
            second = core;
        usable++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_main_core),
    };

    find_cores();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
