/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/store.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/culvert-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct store *open_store(unsigned keep)
{
    struct store_options options = {.folder = folder, .keep = keep};
    struct store *store;

    assert_int_equal(store_open(&store, &options, NULL), 0);
    return store;
}

static struct store_blob blob_of(const char *text)
{
    struct store_blob blob = {.data = text, .length = strlen(text)};

    assert_int_equal(digest_text(text, blob.length, blob.digest), 0);
    return blob;
}

static uint64_t append(struct store *store, const char *site, const char *text)
{
    struct store_blob blob = blob_of(text);
    const char *names[1] = {blob.digest};
    struct store_revision revision = {.time_ms = 1234567,
                                      .author = "ann \"x\"",
                                      .comment = "why\nnot",
                                      .changes = 3,
                                      .site = site,
                                      .state = "{\"ids\":1}",
                                      .blobs = names,
                                      .blob_count = 1};

    assert_int_equal(store_append(store, &revision, &blob, 1), 0);
    return revision.number;
}

/* Writes over one byte of a file of the store. */
static void damage(const char *name, long at)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc('#', file), '#');
    fclose(file);
}

static void replace(const char *path)
{
    char tmp[112];

    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    assert_int_equal(rename(tmp, path), 0);
}

static void test_append_and_get(void **state)
{
    struct store *store = open_store(0);
    struct store_revision *revision;
    const void *data;
    size_t length;

    (void)state;
    assert_int_equal(store_latest(store), 0);
    assert_int_equal(store_get(store, 0, &revision), CULVERT_ENOTFOUND);
    assert_int_equal(append(store, "{\"site\":\"a\"}", "blob one"), 1);
    assert_int_equal(append(store, "{\"site\":\"b\"}", "blob one"), 2);
    store_close(store);
    store = open_store(0);
    assert_int_equal(store_latest(store), 2);
    assert_int_equal(store_get(store, 1, &revision), 0);
    assert_string_equal(revision->site, "{\"site\":\"a\"}");
    assert_string_equal(revision->state, "{\"ids\":1}");
    assert_string_equal(revision->author, "ann \"x\"");
    assert_string_equal(revision->comment, "why\nnot");
    assert_int_equal(revision->time_ms, 1234567);
    assert_int_equal(revision->changes, 3);
    assert_int_equal(revision->blob_count, 1);
    assert_int_equal(store_blob_get(store, revision->blobs[0], &data, &length), 0);
    assert_memory_equal(data, "blob one", length);
    store_blob_release(data, length);
    store_revision_free(revision);
    assert_int_equal(store_get(store, 3, &revision), CULVERT_ENOTFOUND);
    store_close(store);
}

static int note_number(void *arg, const struct store_revision *revision)
{
    char **at = arg;

    assert_null(revision->site);
    *(*at)++ = (char)('0' + revision->number);
    return 0;
}

static void test_list_and_collect(void **state)
{
    struct store *store = open_store(2);
    struct store_blob loose = blob_of("loose"), young = blob_of("three");
    char numbers[8] = "", *at = numbers;

    (void)state;
    append(store, "{}", "one");
    append(store, "{}", "two");
    append(store, "{}", "three");
    assert_int_equal(store_list(store, note_number, &at), 0);
    assert_string_equal(numbers, "321");
    assert_int_equal(store_blob_put(store, loose.digest, loose.data, loose.length), 0);
    assert_int_equal(store_collect(store, 3600), 1); /* the revision; blobs are young */
    assert_int_equal(store_collect(store, 0), 2);    /* "one" and "loose" */
    assert_false(store_blob_has(store, loose.digest));
    assert_true(store_blob_has(store, young.digest));
    memset(numbers, 0, sizeof(numbers));
    at = numbers;
    store_list(store, note_number, &at);
    assert_string_equal(numbers, "32");
    assert_int_equal(append(store, "{}", "four"), 4);
    store_close(store);
}

static void test_blobs_are_checked(void **state)
{
    struct store *store = open_store(0);
    struct store_blob blob = blob_of("some bytes"), empty = blob_of("");
    char path[96];
    const void *data;
    size_t length;

    (void)state;
    assert_int_equal(store_blob_put(store, blob.digest, "other bytes", 11), CULVERT_EINVAL);
    assert_int_equal(store_blob_put(store, "../../etc/passwd", "x", 1), CULVERT_EINVAL);
    assert_int_equal(store_blob_get(store, "../lock", &data, &length), CULVERT_EINVAL);
    assert_int_equal(store_blob_get(store, blob.digest, &data, &length), CULVERT_ENOTFOUND);
    assert_int_equal(store_blob_put(store, blob.digest, blob.data, blob.length), 0);
    assert_int_equal(store_blob_put(store, empty.digest, "", 0), 0);
    assert_int_equal(store_blob_get(store, empty.digest, &data, &length), 0);
    assert_int_equal(length, 0);
    store_blob_release(data, length);
    snprintf(path, sizeof(path), "blobs/%s", blob.digest);
    damage(path, 3);
    assert_int_equal(store_blob_get(store, blob.digest, &data, &length), CULVERT_ECORRUPT);
    store_close(store);
}

static void test_missing_blob(void **state)
{
    struct store *store = open_store(0);
    struct store_blob blob = blob_of("not there");
    const char *names[1] = {blob.digest};
    struct store_revision revision = {.site = "{}", .state = "{}", .blobs = names, .blob_count = 1};

    (void)state;
    assert_int_equal(store_append(store, &revision, NULL, 0), CULVERT_ENOTFOUND);
    assert_int_equal(store_latest(store), 0);
    store_close(store);
}

static void test_damaged_latest(void **state)
{
    struct store *store = open_store(0);
    struct store_revision *revision;

    (void)state;
    append(store, "{\"site\":\"a\"}", "one");
    append(store, "{\"site\":\"b\"}", "two");
    assert_int_equal(store_fall_back(store), CULVERT_EINVAL);
    damage("revisions/0000000002.json", 40);
    assert_int_equal(store_get(store, 0, &revision), CULVERT_ECORRUPT);
    assert_non_null(strstr(store_problem(store), "0000000002.json is damaged"));
    assert_int_equal(store_fall_back(store), 0);
    assert_int_equal(store_get(store, 0, &revision), 0);
    assert_int_equal(revision->number, 1);
    store_revision_free(revision);
    assert_int_equal(append(store, "{}", "two"), 2);
    store_close(store);
}

/* Every byte counts, and every shorter file is refused. */
static void test_every_damage_is_seen(void **state)
{
    struct store *store = open_store(0);
    struct store_revision *revision;
    char path[96], *text;
    size_t length;

    (void)state;
    append(store, "{\"site\":\"a\"}", "one");
    snprintf(path, sizeof(path), "%s/revisions/0000000001.json", folder);
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &length), 0);
    for (size_t at = 0; at < length; at++) {
        char byte = text[at];

        text[at] ^= 1;
        assert_int_equal(file_write_tmp(AT_FDCWD, path, text, length, 0), 0);
        text[at] = byte;
        replace(path);
        assert_int_equal(store_get(store, 1, &revision), CULVERT_ECORRUPT);
    }
    for (size_t at = 0; at < length; at++) {
        assert_int_equal(file_write_tmp(AT_FDCWD, path, text, at, 0), 0);
        replace(path);
        assert_int_equal(store_get(store, 1, &revision), CULVERT_ECORRUPT);
    }
    free(text);
    store_close(store);
}

static void test_lock(void **state)
{
    struct store_options options = {.folder = folder};
    struct store *store = open_store(0), *second;
    char *problem, expected[128];

    (void)state;
    assert_int_equal(store_open(&second, &options, &problem), CULVERT_EBUSY);
    snprintf(expected, sizeof(expected), "%s is in use by another culvertd, pid %d", folder,
             (int)getpid());
    assert_string_equal(problem, expected);
    free(problem);
    store_close(store);
    store = open_store(0);
    store_close(store);
    options.folder = "/proc/no/such/folder";
    assert_true(store_open(&second, &options, &problem) < 0);
    assert_non_null(strstr(problem, "/proc/no/such/folder"));
    free(problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append_and_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_and_collect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blobs_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_latest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_damage_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
