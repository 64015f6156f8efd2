/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/culvert-file-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static void test_write_and_read(void **state)
{
    char *data, tmp[112];
    size_t length;

    (void)state;
    assert_int_equal(file_write(AT_FDCWD, path, "hello", 5), 0);
    assert_int_equal(file_write(AT_FDCWD, path, "hello!", 6), 0);
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    assert_int_equal(access(tmp, F_OK), -1);
    assert_int_equal(file_read(AT_FDCWD, path, 6, &data, &length), 0);
    assert_int_equal(length, 6);
    assert_string_equal(data, "hello!");
    free(data);
    assert_int_equal(file_read(AT_FDCWD, path, 5, &data, &length), CULVERT_EFULL);
    assert_int_equal(file_read(AT_FDCWD, folder, 5, &data, &length), CULVERT_EINVAL);
    assert_int_equal(file_read(AT_FDCWD, "/no/such", 5, &data, &length), CULVERT_ENOTFOUND);
    assert_int_equal(file_write(AT_FDCWD, "/no/such", "", 0), CULVERT_ENOTFOUND);
}

/* What stands in the way under the temporary name is not followed. */
static void test_no_links(void **state)
{
    char tmp[112];

    (void)state;
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    assert_int_equal(symlink("/dev/null", tmp), 0);
    assert_true(file_write(AT_FDCWD, path, "x", 1) < 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_folders(void **state)
{
    char deep[96];
    struct stat info;

    (void)state;
    snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
    assert_int_equal(file_make_folder(deep), 0);
    assert_int_equal(file_make_folder(deep), 0);
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0750);
    assert_int_equal(file_make_folder(""), CULVERT_EINVAL);
    assert_int_equal(file_make_folder("/proc/x/y"), CULVERT_ENOTFOUND);
}

/* What the log writes while `body` runs. */
static void log_capture(char *text, size_t room, void (*body)(void))
{
    int ends[2], old = dup(STDERR_FILENO);
    ssize_t length;

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    body();
    dup2(old, STDERR_FILENO);
    close(old);
    length = read(ends[0], text, room - 1);
    text[length > 0 ? length : 0] = 0;
    close(ends[0]);
}

static void log_some(void)
{
    log_start("test", LOG_LEVEL_WARN);
    log_error("a %d\nb", 1);
    log_warn("c");
    log_info("not shown");
}

static void log_long(void)
{
    log_error("%03000d", 1);
}

static void test_log(void **state)
{
    enum log_level level;
    char text[4096];

    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_capture(text, sizeof(text), log_some);
    assert_string_equal(text, "test: error: a 1 b\ntest: warn: c\n");
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_capture(text, sizeof(text), log_some);
    assert_string_equal(text, "<3>a 1 b\n<4>c\n");
    log_capture(text, sizeof(text), log_long);
    assert_int_equal(strlen(text), 2047);
    assert_int_equal(text[2046], '\n');
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("loud", &level));
}

static void test_errors(void **state)
{
    (void)state;
    assert_string_equal(culvert_strerror(0), "no error");
    assert_string_equal(culvert_strerror(CULVERT_ENOSPC), "no space left on the disk");
    assert_string_equal(culvert_strerror(-9999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
