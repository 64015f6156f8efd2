/* SPDX-License-Identifier: Apache-2.0 */
/* Every file in bad/ is rejected with exactly the errors of the .txt beside it. With UPDATE=1 in
 * the environment the .txt files are written anew, to be read before they are kept. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/file.h"
#include "helper.h"

static const char *folder;

static void check_file(const char *name)
{
    char *path = text_of("%s/%s", folder, name), *text, *expected = NULL;
    char *golden = text_of("%.*s.txt", (int)strlen(path) - 5, path);
    struct site_source source = {.name = name};
    struct site_errors errors = {0};
    struct buffer found = {0};
    struct site *site = NULL;
    size_t length;

    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &source.length), 0);
    source.text = text;
    assert_int_equal(site_parse(&site, &source, &errors), CULVERT_EREJECTED);
    assert_null(site);
    site_errors_text(&errors, &found);
    if (getenv("UPDATE"))
        assert_int_equal(file_write(AT_FDCWD, golden, found.data, found.length), 0);
    assert_int_equal(file_read(AT_FDCWD, golden, 1 << 20, &expected, &length), 0);
    assert_string_equal(found.data, expected);
    free(expected);
    free(text);
    free(golden);
    free(path);
    buffer_free(&found);
    site_errors_free(&errors);
}

static void test_bad_files(void **state)
{
    DIR *list = opendir(folder);
    struct dirent *entry;
    unsigned files = 0;

    (void)state;
    assert_non_null(list);
    while ((entry = readdir(list))) {
        size_t length = strlen(entry->d_name);

        if (length < 6 || (strcmp(entry->d_name + length - 5, ".yaml") &&
                           strcmp(entry->d_name + length - 5, ".json")))
            continue;
        print_message("%s\n", entry->d_name);
        check_file(entry->d_name);
        files++;
    }
    closedir(list);
    assert_true(files >= 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_files)};

    if (argc != 2)
        return 2;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
