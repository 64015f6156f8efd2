/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/cli/support.h"

static void cleans(const char *text, const char *expected)
{
    struct buffer out = {0};

    assert_int_equal(support_clean(text, strlen(text), &out), 0);
    assert_string_equal(out.data ? out.data : "", expected);
    buffer_free(&out);
}

static void test_clean(void **state)
{
    (void)state;
    cleans("", "");
    cleans("as it is, with https://10.0.0.1:8443/v1\n\nand more",
           "as it is, with https://10.0.0.1:8443/v1\n\nand more\n");
    cleans("a culvert1.AbC-_1 b culvert-api1.00ff.xyz c\n",
           "a culvert1.(removed) b culvert-api1.(removed) c\n");
    cleans(
        "quiet systemd.set_credential=culvert.join:tok systemd.set_credential_binary=a:QUJD ro\n",
        "quiet systemd.set_credential=culvert.join:(removed) "
        "systemd.set_credential_binary=a:(removed) ro\n");
    cleans("\"systemd.set_credential=culvert.join:tok 10.0.0.1:7480\" ro\n",
           "\"systemd.set_credential=culvert.join:(removed)\" ro\n");
    cleans("PASSWORD=x {\"secret\": \"y\", \"n\": 1} psk='z'\n",
           "PASSWORD=(removed) {\"secret\": \"(removed)\", \"n\": 1} psk='(removed)'\n");
    cleans("{\"dns\":{\"key\":\"000102030405060708090a0b0c0d0e0f\"}}\n",
           "{\"dns\":{\"key\":\"(removed)\"}}\n");
    cleans("http://me:pw@192.0.2.1/x\n", "http://me:(removed)192.0.2.1/x\n");
    cleans("a\n-----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\n-----END PRIVATE KEY-----\nb\n",
           "a\n(removed)\nb\n");
    cleans("a\n-----BEGIN EC PRIVATE KEY-----\nMIIE\n", "a\n(removed)\n");
}

static void runs(const char *const argv[], size_t bound, int status, const char *expected)
{
    struct buffer out;

    buffer_init(&out, bound);
    assert_int_equal(support_run(argv, 20, &out), status);
    assert_int_equal(out.error, 0);
    assert_non_null(strstr(out.data, expected));
    buffer_free(&out);
}

static void test_run(void **state)
{
    const char *shows[] = {"sh", "-c", "echo out; echo err >&2; cat; exit 3", NULL};
    const char *missing[] = {"no-such-program", NULL};
    const char *endless[] = {"sh", "-c", "while :; do echo xxxxxxxxxxxxxxxx; done", NULL};
    const char *hangs[] = {"sh", "-c", "echo begun; tail -f /dev/null & wait", NULL};
    struct buffer out = {0};

    (void)state;
    runs(shows, 1 << 20, 3, "out\nerr\n");
    runs(missing, 1 << 20, -1, "(no-such-program: No such file or directory)\n");
    runs(endless, 1 << 20, -1, "(sh: ended, it printed too much)\n");
    buffer_init(&out, 1 << 20);
    assert_int_equal(support_run(hangs, 1, &out), -1);
    assert_string_equal(out.data, "begun\n\n(sh: ended, it took too long)\n");
    buffer_free(&out);
}

/* tar(1) itself reads it. */
static void test_tar(void **state)
{
    const char *argv[] = {"sh", "-c", NULL, NULL};
    char command[128];
    int fd = memfd_create("bundle", 0);
    char large[1000];

    (void)state;
    argv[2] = command;
    memset(large, 'x', sizeof(large));
    assert_int_equal(support_add(fd, "a/one", "hello\n", 6), 0);
    assert_int_equal(support_add(fd, "a/empty", "", 0), 0);
    assert_int_equal(support_add(fd, "a/two", large, sizeof(large)), 0);
    assert_int_equal(support_end(fd), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END) % 512, 0);
    snprintf(command, sizeof(command), "tar -tvf /proc/%d/fd/%d && tar -xOf /proc/%d/fd/%d a/one",
             (int)getpid(), fd, (int)getpid(), fd);
    runs(argv, 1 << 20, 0, "a/two");
    runs(argv, 1 << 20, 0, "hello\n");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_tar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
