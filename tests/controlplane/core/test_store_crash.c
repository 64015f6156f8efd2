/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append that fails or dies at any system call: after it there is the revision before or the new
 * one, whole, and the store goes on. The linker puts our calls in place of the real ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/core/store.h"

static int countdown = -1; /* calls until the fault; -1: none */
static int fault;          /* an errno, or 0: the process ends */

/* Returns true when this call is to fail. */
static int fault_now(void)
{
    if (countdown < 0 || countdown--)
        return 0;
    if (!fault)
        _exit(9);
    errno = fault;
    return 1;
}

ssize_t __real_write(int file, const void *data, size_t length);
ssize_t __wrap_write(int file, const void *data, size_t length);
int __real_fsync(int file);
int __wrap_fsync(int file);
int __real_syncfs(int file);
int __wrap_syncfs(int file);
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __real_openat(int folder, const char *name, int flags, ...);
int __wrap_openat(int folder, const char *name, int flags, ...);

/* A write that fails has written half before. */
ssize_t __wrap_write(int file, const void *data, size_t length)
{
    int half = countdown == 0 && file > 2 ? (int)(length / 2) : 0;

    if (half && __real_write(file, data, (size_t)half) < 0)
        return -1;
    return file > 2 && fault_now() ? -1 : __real_write(file, data, length);
}

int __wrap_fsync(int file)
{
    return fault_now() ? -1 : __real_fsync(file);
}

int __wrap_syncfs(int file)
{
    return fault_now() ? -1 : __real_syncfs(file);
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    return fault_now() ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if (flags & O_CREAT) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
        if (fault_now())
            return -1;
    }
    return __real_openat(folder, name, flags, mode);
}

static char folder[64];

static struct store *open_store(void)
{
    struct store_options options = {.folder = folder};
    struct store *store;

    assert_int_equal(store_open(&store, &options, NULL), 0);
    return store;
}

#define BLOBS_MOST 12
static int append(struct store *store, unsigned number, unsigned blobs)
{
    char text[BLOBS_MOST][32], site[32];
    struct store_blob blob[BLOBS_MOST];
    const char *names[BLOBS_MOST];
    struct store_revision revision = {
        .site = site, .state = "{}", .blobs = names, .blob_count = blobs};

    snprintf(site, sizeof(site), "{\"site\":\"s%u\"}", number);
    for (unsigned i = 0; i < blobs; i++) {
        snprintf(text[i], sizeof(text[i]), "blob %u of %u", i, number);
        blob[i] = (struct store_blob){.data = text[i], .length = strlen(text[i])};
        digest_text(text[i], blob[i].length, blob[i].digest);
        names[i] = blob[i].digest;
    }
    return store_append(store, &revision, blob, blobs);
}

/* The latest revision is `number` and whole, with its blobs. */
static void check(struct store *store, unsigned number)
{
    struct store_revision *revision;
    char site[32];

    assert_int_equal(store_latest(store), number);
    assert_int_equal(store_get(store, 0, &revision), 0);
    snprintf(site, sizeof(site), "{\"site\":\"s%u\"}", number);
    assert_string_equal(revision->site, site);
    for (size_t i = 0; i < revision->blob_count; i++) {
        const void *data;
        size_t length;

        assert_int_equal(store_blob_get(store, revision->blobs[i], &data, &length), 0);
        store_blob_release(data, length);
    }
    store_revision_free(revision);
}

static int setup(void **state)
{
    struct store *store;

    (void)state;
    strcpy(folder, "/tmp/culvert-crash-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    store = open_store();
    assert_int_equal(append(store, 1, 2), 0);
    store_close(store);
    return 0;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static void fail_everywhere(int with, int expected, unsigned blobs)
{
    unsigned latest = 1, failed = 0;
    struct store *store = open_store();

    for (int at = 0;; at++) {
        int error;

        fault = with;
        countdown = at;
        error = append(store, latest + 1, blobs);
        if (countdown >= 0) {
            countdown = -1;
            assert_int_equal(error, 0); /* it came to its end without the fault */
            break;
        }
        failed++;
        assert_int_equal(error, expected);
        assert_true(*store_problem(store));
        check(store, latest);
        store_close(store);
        store = open_store();
        check(store, latest);
        assert_int_equal(append(store, latest + 1, blobs), 0);
        check(store, ++latest);
    }
    assert_true(failed >= 8);
    store_close(store);
}

static void test_full_disk(void **state)
{
    (void)state;
    fail_everywhere(ENOSPC, CULVERT_ENOSPC, 2);
}

static void test_broken_disk(void **state)
{
    (void)state;
    fail_everywhere(EIO, CULVERT_EIO, 12);
}

static void test_killed(void **state)
{
    unsigned latest = 1, killed = 0;
    int status = 0;

    (void)state;
    for (int at = 0; !killed || WEXITSTATUS(status); at++) {
        struct store *store;
        pid_t child = fork();

        assert_true(child >= 0);
        if (!child) {
            store = open_store();
            fault = 0;
            countdown = at;
            _exit(append(store, latest + 1, 2) ? 1 : 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || !WEXITSTATUS(status)));
        killed += WEXITSTATUS(status) == 9;
        store = open_store();
        assert_true(store_latest(store) == latest || store_latest(store) == latest + 1);
        latest = (unsigned)store_latest(store);
        check(store, latest);
        assert_true(store_collect(store, 0) >= 0);
        check(store, latest);
        store_close(store);
    }
    assert_true(killed >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
