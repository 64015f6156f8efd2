/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/cli/command.h"

static struct cli cli;
static char problem[256];

static int parse(const char *line)
{
    static char words[256];
    char *argv[16], *save = NULL;
    int argc = 0;

    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    problem[0] = 0;
    return cli_parse(&cli, argc, argv, problem, sizeof(problem));
}

static void test_options_anywhere(void **state)
{
    (void)state;
    assert_int_equal(parse("-o json apply --comment=why site.yaml -n --socket /x"), 0);
    assert_string_equal(cli.command->name, "apply");
    assert_string_equal(cli.arguments[0], "site.yaml");
    assert_string_equal(cli_option(&cli, "comment"), "why");
    assert_non_null(cli_option(&cli, "dry-run"));
    assert_null(cli_option(&cli, "author"));
    assert_string_equal(cli.server.socket, "/x");
    assert_true(cli.json);
    assert_int_equal(parse("apply -mwhy -"), 0);
    assert_string_equal(cli_option(&cli, "comment"), "why");
    assert_string_equal(cli.arguments[0], "-");
    assert_int_equal(parse("apply -- -n"), 0);
    assert_string_equal(cli.arguments[0], "-n");
}

static void test_option_of_two_words(void **state)
{
    (void)state;
    assert_int_equal(parse("explain --from 1.2.3.4 --query www.example.com AAAA --syn"), 0);
    assert_string_equal(cli_option(&cli, "query"), "www.example.com");
    assert_string_equal(cli_option_second(&cli, "query"), "AAAA");
    assert_non_null(cli_option(&cli, "syn"));
    assert_int_equal(parse("explain --query www.example.com"), CLI_USAGE);
    assert_int_equal(parse("explain --query=www.example.com A"), CLI_USAGE);
}

static void expect_problem(const char *line, const char *told)
{
    assert_int_equal(parse(line), CLI_USAGE);
    if (!strstr(problem, told))
        print_error("%s: %s\n", line, problem);
    assert_non_null(strstr(problem, told));
}

static void test_problems(void **state)
{
    (void)state;
    expect_problem("", "culvert help");
    expect_problem("staus", "did you mean `status`?");
    expect_problem("apply", "usage: culvert apply FILE");
    expect_problem("apply a b", "one word too many: `b`");
    expect_problem("apply a --dry-runn", "did you mean `--dry-run`?");
    expect_problem("apply a --dry-run=1", "not so: `--dry-run=1`");
    expect_problem("apply a --comment", "a value is missing after `--comment`");
    expect_problem("status --once", "no such option: `--once`");
    expect_problem("status -o yaml", "json");
    expect_problem("status --color red", "never");
}

static void test_help_wants_no_arguments(void **state)
{
    (void)state;
    assert_int_equal(parse("apply --help"), 0);
    assert_true(cli.help);
    assert_int_equal(parse("-h"), 0);
}

static void test_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];

        assert_true(command->most <= CLI_ARGUMENTS_MAX && command->least <= command->most);
        assert_non_null(command->run);
        assert_true(strlen(command->help) < 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_anywhere), cmocka_unit_test(test_option_of_two_words),
        cmocka_unit_test(test_problems),         cmocka_unit_test(test_help_wants_no_arguments),
        cmocka_unit_test(test_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
