/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the shell, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/shell.h"

/* The words, parted by `|`; "open" for a line with a quote that isn't closed. */
static void assert_words(const char *raw, const char *expected)
{
    struct shell_line line;
    struct buffer text = {0};

    assert_int_equal(shell_line_parse(raw, &line), 0);
    for (size_t i = 0; i < line.count; i++)
        buffer_format(&text, "%s%s", i ? "|" : "", line.word[i]);
    assert_string_equal(line.open ? "open" : text.length ? text.data : "", expected);
    buffer_free(&text);
    shell_line_free(&line);
}

static void test_words(void **state)
{
    (void)state;
    assert_words("", "");
    assert_words(" \t ", "");
    assert_words("# set a b", "");
    assert_words("set a #b", "set|a|#b");
    assert_words("  set\ta  b ", "set|a|b");
    assert_words("set 'a b' \"c d\"", "set|a b|c d");
    assert_words("set a'b c'd", "set|ab cd");
    assert_words("set '' \"\"", "set||");
    assert_words("set \"a\\\"b\\\\c\" 'd\\e' f\\g", "set|a\"b\\c|d\\e|f\\g");
    assert_words("set 'a\"b' \"c'd\"", "set|a\"b|c'd");
    assert_words("set 'a", "open");
    assert_words("set \"a\\", "open");
}

static void test_places(void **state)
{
    struct shell_line line;

    (void)state;
    assert_int_equal(shell_line_parse(" set  'a' [80, 443]", &line), 0);
    assert_string_equal(line.raw + line.start[1], "'a' [80, 443]");
    assert_string_equal(line.raw + line.start[2], "[80, 443]");
    shell_line_free(&line);
}

static void test_bound(void **state)
{
    char raw[2 * SHELL_WORDS_MAX + 2];
    struct shell_line line;

    (void)state;
    for (size_t i = 0; i < sizeof(raw) - 1; i++)
        raw[i] = i % 2 ? ' ' : 'a';
    raw[sizeof(raw) - 1] = 0;
    assert_int_equal(shell_line_parse(raw, &line), CULVERT_EFULL);
    shell_line_free(&line);
    raw[2 * SHELL_WORDS_MAX] = 0;
    assert_int_equal(shell_line_parse(raw, &line), 0);
    assert_int_equal(line.count, SHELL_WORDS_MAX);
    shell_line_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
