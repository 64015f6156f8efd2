/* SPDX-License-Identifier: Apache-2.0 */
/* What `culvert setup` leaves on the machine, below a folder of the test's. */
#include "controlplane/cli/setup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/base/file.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/culvert-setup-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command); /* NOLINT(cert-env33-c): a test's folder */
}

/* The file's text, and that its mode is this; "" when there is none. */
static const char *text_of(const char *name, mode_t mode)
{
    static char text[1024];
    char path[160], *data;
    struct stat info;
    size_t length;

    snprintf(path, sizeof(path), "%s%s", root, name);
    if (file_read(AT_FDCWD, path, sizeof(text) - 1, &data, &length))
        return "";
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, mode);
    memcpy(text, data, length + 1);
    free(data);
    return text;
}

static void test_checks(void **state)
{
    (void)state;
    assert_null(setup_check_host("192.0.2.10/24"));
    assert_null(setup_check_host("2001:db8::10/64"));
    assert_non_null(setup_check_host("192.0.2.10"));
    assert_non_null(setup_check_host("192.0.2.10/33"));
    assert_non_null(setup_check_host("192.0.2.10/24\nGateway=x"));
    assert_null(setup_check_address("192.0.2.1"));
    assert_non_null(setup_check_address("192.0.2.1/24"));
}

static void test_network(void **state)
{
    struct setup_network network = {.name = "eth0", .is_static = true, .address = "192.0.2.10/24"};
    static const char kept[] = "/var/lib/culvert-system/network/10-setup.network";
    static const char works[] = "/run/systemd/network/10-setup.network";
    struct buffer path = {0};

    (void)state;
    assert_int_equal(setup_network_write(root, &network, &path), 0);
    assert_string_equal(text_of(kept, 0644), "# Written by `culvert setup`.\n"
                                             "[Match]\nName=eth0\n\n"
                                             "[Network]\nAddress=192.0.2.10/24\n"
                                             "LinkLocalAddressing=ipv6\n\n"
                                             "[Link]\nRequiredForOnline=no\n");
    strcpy(network.gateway, "192.0.2.1");
    strcpy(network.name_server, "192.0.2.2");
    assert_int_equal(setup_network_write(root, &network, &path), 0);
    assert_non_null(strstr(text_of(works, 0644), "Gateway=192.0.2.1\nDNS=192.0.2.2\n"));
    network.is_static = false;
    assert_int_equal(setup_network_write(root, &network, &path), 0);
    assert_string_equal(text_of(kept, 0), "");
    assert_string_equal(text_of(works, 0), "");
    buffer_free(&path);
}

static void test_key(void **state)
{
    static const char name[] = "/root/.ssh/authorized_keys";
    struct buffer path = {0};

    (void)state;
    assert_int_equal(setup_key_write(root, "ssh-ed25519 AAAAa a", &path), 0);
    assert_int_equal(setup_key_write(root, "ssh-ed25519 AAAAb b", &path), 0);
    assert_int_equal(setup_key_write(root, "ssh-ed25519 AAAAa a", &path), 0);
    assert_string_equal(text_of(name, 0600), "ssh-ed25519 AAAAa a\nssh-ed25519 AAAAb b\n");
    buffer_free(&path);
}

/* What wasn't told stays as it is, a seed's keys among it. */
static void test_told(void **state)
{
    struct machine told = {.hostname = "a"};
    struct buffer path = {0};

    (void)state;
    assert_int_equal(setup_told_write(root, &told, &path), 0);
    assert_string_equal(text_of("/var/lib/culvert-system/hostname", 0600), "a\n");
    memset(told.hostname, 0, sizeof(told.hostname));
    assert_null(machine_add_time_server(&told, "192.0.2.1"));
    assert_int_equal(setup_told_write(root, &told, &path), 0);
    assert_string_equal(text_of("/var/lib/culvert-system/hostname", 0600), "a\n");
    assert_string_equal(text_of("/var/lib/culvert-system/timesyncd.conf", 0600),
                        "[Time]\nNTP=192.0.2.1\n");
    assert_string_equal(text_of("/var/lib/culvert-system/authorized_keys", 0600), "");
    machine_free(&told);
    buffer_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_checks),
                                       cmocka_unit_test(test_network), cmocka_unit_test(test_key),
                                       cmocka_unit_test(test_told)};

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
