/* SPDX-License-Identifier: Apache-2.0 */
/* Updates and rollbacks on an appliance of plain files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/system/update.h"
#include "tests/controlplane/cli/system/made_up.h"

static struct appliance appliance;
static struct update update;
static char why[SYSTEM_WHY], version[SYSTEM_VERSION];

static int set_up(void **state)
{
    (void)state;
    return appliance_open(&appliance, made_up_appliance(), why);
}

static int tear_down(void **state)
{
    (void)state;
    made_up_remove();
    return 0;
}

/* Takes the first `length` bytes in. */
static int take_bytes(const struct buffer *bytes, size_t length, bool forced)
{
    int fd = memfd_create("update", MFD_CLOEXEC), error;

    assert_true(fd >= 0 && write(fd, bytes->data, length) == (ssize_t)length);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    error = update_open(&update, &appliance, fd, forced, why);
    if (!error)
        error = update_write(&update, why);
    close(fd);
    return error;
}

static int take(const struct made_up_update *made_up)
{
    struct buffer bytes = {0};
    int error;

    made_up_pack(made_up, &bytes);
    error = take_bytes(&bytes, bytes.length, false);
    buffer_free(&bytes);
    return error;
}

static void refused(const struct made_up_update *made_up, int error, const char *text)
{
    assert_int_equal(take(made_up), error);
    if (!strstr(why, text))
        fail_msg("`%s` is not in `%s`", text, why);
}

static void test_update(void **state)
{
    struct appliance again;

    (void)state;
    made_up_fill_b("culvert-0.9.efi", HASH_B);
    assert_int_equal(take(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}), 0);
    assert_string_equal(made_up_entries(), "culvert-1.0.efi culvert-1.1+3.efi");
    assert_int_equal(appliance_open(&again, appliance.folder, why), 0);
    assert_true(appliance_slot_has(&again, 1, HASH_C));
    assert_true(appliance_slot_has(&again, 0, HASH_A));
}

/* As far as it got, the running system stays what starts, and nothing names the other slot. */
static void test_truncated(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    made_up_fill_b("culvert-0.9.efi", HASH_B);
    made_up_pack(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}, &bytes);
    for (size_t length = 0; length < bytes.length - 1536; length += 256) {
        assert_int_equal(take_bytes(&bytes, length, false), CULVERT_EIO);
        assert_string_equal(why, "the update is truncated");
        assert_non_null(strstr(made_up_entries(), "culvert-1.0.efi"));
        assert_null(strstr(made_up_entries(), "1.1"));
    }
    assert_string_equal(made_up_entries(), "culvert-1.0.efi");
    assert_false(appliance_slot_has(&appliance, 1, HASH_B));
    buffer_free(&bytes);
}

static void test_damaged_header(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    made_up_pack(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}, &bytes);
    bytes.data[110] ^= 1; /* the owner, which nobody looks at */
    assert_int_equal(take_bytes(&bytes, bytes.length, false), CULVERT_EPROTO);
    assert_string_equal(why, "this is no update, or a damaged one");
    buffer_free(&bytes);
}

static void test_refused_before_anything_is_written(void **state)
{
    const struct made_up_update good = {.version = "1.1", .root_hash = HASH_C};
    struct made_up_update bad;
    struct buffer none = {0};

    (void)state;
    made_up_fill_b("culvert-0.9.efi", HASH_B);
    buffer_format(&none, "%01000d", 0);
    assert_int_equal(take_bytes(&none, none.length, false), CULVERT_EPROTO);
    assert_string_equal(why, "this is no update, or a damaged one");
    buffer_free(&none);
    bad = good;
    bad.is_unsigned = true;
    refused(&bad, CULVERT_EPROTO, "not signed");
    bad = good;
    bad.other_key = true;
    refused(&bad, CULVERT_EACCES, "not by a key of this system");
    bad = good;
    bad.changed_manifest = true;
    refused(&bad, CULVERT_EACCES, "was changed");
    bad = good;
    bad.format = 2;
    refused(&bad, CULVERT_EPROTO, "of a format");
    bad = good;
    bad.product = "sewer";
    refused(&bad, CULVERT_EPROTO, "another product");
    bad = good;
    bad.version = "x";
    refused(&bad, CULVERT_EPROTO, "damaged: version");
    bad = good;
    bad.root_hash = "cc";
    bad.tree_hash = HASH_C;
    refused(&bad, CULVERT_EPROTO, "damaged: root_hash");
    bad = good;
    bad.version = "1.0";
    refused(&bad, CULVERT_EREJECTED, "runs already");
    bad = good;
    bad.version = "0.9";
    refused(&bad, CULVERT_EREJECTED, "0.9 is older than 1.0");
    bad = good;
    bad.root_bytes = SLOT_BYTES + 1;
    refused(&bad, CULVERT_ETOOLARGE, "its root has 65537 bytes, the slot 65536");
    assert_string_equal(made_up_entries(), "culvert-0.9.efi culvert-1.0.efi");
    assert_true(appliance_slot_has(&appliance, 1, HASH_B));
}

static void test_damaged_parts(void **state)
{
    (void)state;
    refused(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C, .wrong_digest = true},
            CULVERT_EPROTO, "the SHA-256 of its root differs");
    refused(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C, .short_kernel = true},
            CULVERT_EPROTO, "not the manifest's");
    refused(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C, .tree_hash = HASH_B},
            CULVERT_EPROTO, "not that of its root hash");
    assert_string_equal(made_up_entries(), "culvert-1.0.efi");
}

static void test_older_one_by_force(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    made_up_pack(&(struct made_up_update){.version = "0.9", .root_hash = HASH_C}, &bytes);
    assert_int_equal(take_bytes(&bytes, bytes.length, true), 0);
    assert_string_equal(made_up_entries(), "culvert-0.9+3.efi culvert-1.0+0.efi");
    buffer_free(&bytes);
}

static void test_another_flavour(void **state)
{
    const struct made_up_update metal = {.version = "1.1", .root_hash = HASH_C, .flavour = "metal"};
    struct buffer bytes = {0};

    (void)state;
    refused(&metal, CULVERT_EREJECTED, "of the flavour metal, this appliance of vm");
    assert_string_equal(made_up_entries(), "culvert-1.0.efi");
    made_up_pack(&metal, &bytes);
    assert_int_equal(take_bytes(&bytes, bytes.length, true), 0);
    buffer_free(&bytes);
    made_up_write("usr/lib/os-release", "IMAGE_ID=culvert\nIMAGE_VERSION=1.0\nVARIANT_ID=metal\n",
                  52);
    assert_int_equal(appliance_open(&appliance, appliance.folder, why), 0);
    assert_int_equal(take(&metal), 0);
    refused(&(struct made_up_update){.version = "1.2", .root_hash = HASH_C}, CULVERT_EREJECTED,
            "of the flavour vm, this appliance of metal");
}

static void test_not_while_on_trial(void **state)
{
    struct entry own;

    (void)state;
    assert_true(entry_parse("culvert-1.0.efi", &own));
    assert_int_equal(appliance_rename_entry(&appliance, &own, 2, 1, why), 0);
    refused(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}, CULVERT_EBUSY,
            "on trial itself");
    assert_string_equal(made_up_entries(), "culvert-1.0+2-1.efi");
}

static void test_no_certificate(void **state)
{
    (void)state;
    made_up_write("usr/share/culvert/update.crt", "", 0);
    refused(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}, CULVERT_ESYSTEM,
            "no certificate");
}

/* ---- what a power cut leaves ---- */

/* A kernel image whose head was not written yet is none, and goes with the next update. */
static void test_half_an_entry(void **state)
{
    static const char half[2000];
    struct entry entries[ENTRIES_MAX];
    unsigned count;

    (void)state;
    made_up_write("efi/EFI/Linux/culvert-1.1+3.efi", half, sizeof(half));
    made_up_write("efi/EFI/Linux/culvert-1.0+2-1.efi", half, 0);
    assert_int_equal(appliance_entries(&appliance, entries, &count, why), 0);
    assert_int_equal(count, 1);
    assert_int_equal(entry_state(appliance_own_entry(&appliance, entries, count)), ENTRY_IS_GOOD);
    assert_int_equal(take(&(struct made_up_update){.version = "1.2", .root_hash = HASH_C}), 0);
    assert_string_equal(made_up_entries(), "culvert-1.0.efi culvert-1.2+3.efi");
}

/* Cut off while it was renamed: the new name counts, the old one goes with the next update. */
static void test_two_names(void **state)
{
    static const char *const olds[] = {"culvert-1.0+2-1.efi", "culvert-1.0+0.efi"};
    struct entry entries[ENTRIES_MAX];
    struct buffer kernel = {0};
    unsigned count;
    char name[64];

    (void)state;
    made_up_kernel(HASH_A, &kernel);
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "efi/EFI/Linux/%s", olds[i]);
        made_up_write(name, kernel.data, kernel.length);
    }
    buffer_free(&kernel);
    assert_int_equal(appliance_entries(&appliance, entries, &count, why), 0);
    assert_int_equal(count, 3);
    assert_int_equal(entry_state(&entries[0]), ENTRY_IS_GOOD);
    assert_int_equal(entry_state(&entries[1]), ENTRY_IS_ON_TRIAL);
    assert_int_equal(entry_state(&entries[2]), ENTRY_IS_ASIDE);
    assert_int_equal(take(&(struct made_up_update){.version = "1.1", .root_hash = HASH_C}), 0);
    assert_string_equal(made_up_entries(), "culvert-1.0.efi culvert-1.1+3.efi");
}

/* The copy is the same; nothing of what is removed looks like a program. */
static void test_rename(void **state)
{
    static const size_t sizes[] = {2, 100, 512, 100000};
    struct entry from;
    char data[100000] = "MZ", got[sizeof(data) + 1];
    int folder = appliance_open_entries(&appliance);

    (void)state;
    assert_true(entry_parse("culvert-2.0+2-1.efi", &from));
    for (size_t i = 2; i < sizeof(data); i++)
        data[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int file, old;

        made_up_write("efi/EFI/Linux/culvert-2.0+2-1.efi", data, sizes[i]);
        made_up_write("efi/EFI/Linux/culvert-2.0.efi", "left by a crash, and longer than some", 37);
        old = openat(folder, "culvert-2.0+2-1.efi", O_RDONLY | O_CLOEXEC);
        assert_int_equal(appliance_rename_entry(&appliance, &from, ENTRY_GOOD, 0, why), 0);
        file = openat(folder, "culvert-2.0.efi", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(file, got, sizeof(got)), (ssize_t)sizes[i]);
        assert_memory_equal(got, data, sizes[i]);
        assert_int_equal(read(old, got, 2), 2);
        assert_memory_equal(got, "\0", 2);
        assert_int_equal(made_up_size("efi/EFI/Linux/culvert-2.0+2-1.efi"), -1);
        close(file);
        close(old);
        assert_int_equal(appliance_rename_entry(&appliance, &from, ENTRY_GOOD, 0, why),
                         CULVERT_ESYSTEM);
    }
    close(folder);
}

/* ---- rollback ---- */

static void check_switch(const char *entry, const char *to, const char *entries)
{
    made_up_fill_b(entry, HASH_B);
    assert_int_equal(appliance_switch(&appliance, version, why), 0);
    assert_string_equal(version, to);
    assert_string_equal(made_up_entries(), entries);
}

static void test_rollback_to_older(void **state)
{
    (void)state;
    check_switch("culvert-0.9.efi", "0.9", "culvert-0.9.efi culvert-1.0+0.efi");
}

static void test_rollback_to_what_was_set_aside(void **state)
{
    (void)state;
    check_switch("culvert-1.1+0.efi", "1.1", "culvert-1.0.efi culvert-1.1.efi");
}

static void test_rollback_to_bad_one_tries_it_again(void **state)
{
    (void)state;
    check_switch("culvert-1.1+0-3.efi", "1.1", "culvert-1.0.efi culvert-1.1+3.efi");
}

static void test_rollback_to_nothing(void **state)
{
    (void)state;
    assert_int_equal(appliance_switch(&appliance, version, why), CULVERT_ENOTFOUND);
    assert_string_equal(why, "slot b has no whole system to go back to");
    made_up_fill_b("culvert-0.9.efi", HASH_B);
    made_up_write("dev/vda5", "", 0); /* what a broken update leaves */
    assert_int_equal(appliance_switch(&appliance, version, why), CULVERT_ENOTFOUND);
    assert_string_equal(made_up_entries(), "culvert-0.9.efi culvert-1.0.efi");
}

/* ---- the machine ---- */

static void test_no_appliance(void **state)
{
    struct appliance other;

    (void)state;
    made_up_write("sys/devices/virtual/dm-0/dm/name", "other\n", 6);
    assert_int_equal(appliance_open(&other, appliance.folder, why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "in none of the disk's slots"));
    made_up_write("sys/devices/virtual/dm-0/dm/name", "root\n", 5);
    made_up_write("sys/devices/vda/vda4/uevent", "PARTNAME=other\n", 15);
    assert_int_equal(appliance_open(&other, appliance.folder, why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "no other slot"));
    made_up_write("usr/lib/os-release", "ID=debian\n", 10);
    assert_int_equal(appliance_open(&other, appliance.folder, why), CULVERT_EUNSUPPORTED);
    assert_non_null(strstr(why, "no appliance"));
}

static void test_factory_reset(void **state)
{
    static const char name[] = "sys/firmware/efi/efivars/"
                               "CulvertFactoryReset-5ad8f3a3-5f6e-4a5e-9c6b-0d0f2b6f7c11";

    (void)state;
    assert_int_equal(made_up_size(name), -1);
    assert_int_equal(appliance_request_reset(&appliance, why), 0);
    assert_int_equal(made_up_size(name), 5);
    made_up_write(name, "", 0); /* the kernel lets nobody write to one that is there */
    assert_int_equal(appliance_request_reset(&appliance, why), 0);
    assert_int_equal(made_up_size(name), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_update),
        TEST(test_truncated),
        TEST(test_damaged_header),
        TEST(test_refused_before_anything_is_written),
        TEST(test_damaged_parts),
        TEST(test_older_one_by_force),
        TEST(test_another_flavour),
        TEST(test_not_while_on_trial),
        TEST(test_no_certificate),
        TEST(test_half_an_entry),
        TEST(test_two_names),
        TEST(test_rename),
        TEST(test_rollback_to_older),
        TEST(test_rollback_to_what_was_set_aside),
        TEST(test_rollback_to_bad_one_tries_it_again),
        TEST(test_rollback_to_nothing),
        TEST(test_no_appliance),
        TEST(test_factory_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
