/* SPDX-License-Identifier: Apache-2.0 */
/* The options that every small tool has, and what is said about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/tool/options.h"

#define ARGS_MAX 8
#define OPTION_COLOR 256

/* What a command line came to. */
struct outcome {
    char color[16];
    bool json;
    int result;
    char *said; /* on standard error; to free() */
};

static const struct option known[] = {
    {"color", required_argument, NULL, OPTION_COLOR},
    TOOL_OPTIONS_END,
};

static int take(void *arg, int option, char *argument)
{
    struct outcome *outcome = arg;

    assert_int_equal(option, OPTION_COLOR);
    if (strlen(argument) >= sizeof(outcome->color))
        return tool_fail("--color %s: too long", argument);
    strcpy(outcome->color, argument);
    return 0;
}

static struct outcome parse(const char *line)
{
    static const struct tool_options tool = {"culvert-test", "how to\n", known, take};
    struct outcome outcome = {0};
    FILE *spoken = stderr;
    size_t length;
    char copy[128], program[] = "test";
    char *words[ARGS_MAX + 1] = {program};
    int count = 1;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word && count < ARGS_MAX; word = strtok(NULL, " "))
        words[count++] = word;
    stderr = open_memstream(&outcome.said, &length);
    assert_non_null(stderr);
    optind = 0;
    outcome.result = tool_options_parse(&tool, count, words, &outcome, &outcome.json);
    fclose(stderr);
    stderr = spoken;
    return outcome;
}

static void expect(const char *line, int result, const char *said)
{
    struct outcome outcome = parse(line);

    assert_int_equal(outcome.result, result);
    assert_string_equal(outcome.said, said);
    free(outcome.said);
}

static void test_good_lines(void **state)
{
    struct outcome outcome = parse("--color blue -o json");

    (void)state;
    assert_int_equal(outcome.result, 0);
    assert_true(outcome.json);
    assert_string_equal(outcome.color, "blue");
    assert_string_equal(outcome.said, "");
    free(outcome.said);
    outcome = parse("--output json -o text");
    assert_int_equal(outcome.result, 0);
    assert_false(outcome.json);
    free(outcome.said);
}

static void test_help_and_version_end_it(void **state)
{
    (void)state;
    expect("--help --color", 1, "");
    expect("--version what", 1, "");
}

static void test_bad_lines_are_told(void **state)
{
    struct outcome outcome = parse("--colour blue");

    (void)state;
    assert_int_equal(outcome.result, CULVERT_EINVAL);
    assert_non_null(strstr(outcome.said, "culvert-test: try --help\n"));
    free(outcome.said);
    expect("-o yaml", CULVERT_EINVAL, "culvert-test: -o takes json or text\n");
    expect("--color blue red", CULVERT_EINVAL, "culvert-test: what is \"red\"? Try --help\n");
    expect("--color 0123456789abcdef", CULVERT_EINVAL,
           "culvert-test: --color 0123456789abcdef: too long\n");
}

static void test_prefixes(void **state)
{
    struct address address;
    FILE *spoken = stderr;
    char *said = NULL;
    size_t said_length;
    unsigned length;

    (void)state;
    assert_int_equal(tool_take_prefix("--from", "10.0.0.0/24", "", &address, &length), 0);
    assert_int_equal(length, 24);
    assert_true(address_is_v4(&address));
    assert_int_equal(tool_take_prefix("--from", "2001:db8::/48", "", &address, &length), 0);
    assert_int_equal(length, 48);
    stderr = open_memstream(&said, &said_length);
    assert_non_null(stderr);
    tool_take_prefix("--from", "10.0.0.1/24", "", &address, &length);
    tool_take_prefix("--from", "x", "10.9.0.0/16", &address, &length);
    fclose(stderr);
    stderr = spoken;
    assert_non_null(strstr(said, ": --from 10.0.0.1/24: bits are set behind the length; "
                                 "10.0.0.0/24 would be right\n"));
    assert_non_null(strstr(said, ": --from x: not a prefix like 10.9.0.0/16 or 2001:db8::/64\n"));
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines),
        cmocka_unit_test(test_help_and_version_end_it),
        cmocka_unit_test(test_bad_lines_are_told),
        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
