/* SPDX-License-Identifier: Apache-2.0 */
/* A backup as a file: whole, cut off anywhere, with any bit turned, longer than it should be. */
#include "tests/controlplane/core/kv/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/core/kv/dump_file.h"
#include "controlplane/core/kv/store_dump.h"

struct fixture {
    struct rig rig;
    struct buffer dump;
    int fd;
};

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    rig_open(&fixture->rig, RIG_MEMORY);
    fixture->fd = memfd_create("dump", MFD_CLOEXEC);
    assert_true(fixture->fd >= 0);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;

    close(fixture->fd);
    buffer_free(&fixture->dump);
    rig_close(&fixture->rig);
    free(fixture);
    return 0;
}

/* The file's content becomes the first `length` bytes of the dump. */
static void write_file(const struct fixture *fixture, size_t length)
{
    assert_int_equal(ftruncate(fixture->fd, 0), 0);
    assert_int_equal(pwrite(fixture->fd, fixture->dump.data, length, 0), (ssize_t)length);
}

static void make_dump(struct fixture *fixture)
{
    rig_put(&fixture->rig, "color", "green");
    rig_put(&fixture->rig, "color", "blue");
    rig_delete(&fixture->rig, "color", "");
    rig_put(&fixture->rig, "size", "4");
    rig_dump(&fixture->rig, 100, &fixture->dump);
    write_file(fixture, fixture->dump.length);
}

/* What the file holds is what another store then has. */
static void check_round_trip(struct fixture *fixture)
{
    struct buffer copy = {0};
    struct rig other;
    uint64_t index;
    char piece[777];
    ssize_t got;

    assert_int_equal(kv_dump_check(fixture->fd), 0);
    assert_int_equal(kv_dump_index(fixture->fd, &index), 0);
    assert_int_equal(index, fixture->rig.index);
    while ((got = read(fixture->fd, piece, sizeof(piece))) > 0) /* from its start on */
        buffer_add(&copy, piece, (size_t)got);
    assert_int_equal(copy.length, fixture->dump.length);
    rig_open(&other, RIG_MEMORY);
    assert_int_equal(rig_load(&other, &copy, 4096, index), 0);
    assert_true(rig_hash(&other, 0) == rig_hash(&fixture->rig, 0));
    rig_close(&other);
    buffer_free(&copy);
}

static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;

    make_dump(fixture);
    check_round_trip(fixture);
}

static void test_empty_store(void **state)
{
    struct fixture *fixture = *state;

    rig_dump(&fixture->rig, 1, &fixture->dump);
    write_file(fixture, fixture->dump.length);
    check_round_trip(fixture);
}

/* Longer than what is read at a time, several times over and with a rest. */
static void test_long_file(void **state)
{
    struct fixture *fixture = *state;
    size_t length = 700001;
    char *value = malloc(length + 1), key[8];

    assert_non_null(value);
    for (unsigned i = 0; i < 5; i++) {
        memset(value, 'a' + (int)i, length);
        value[length] = 0;
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(rig_put(&fixture->rig, key, value), 0);
    }
    free(value);
    rig_dump(&fixture->rig, 1 << 20, &fixture->dump);
    assert_true(fixture->dump.length > (3u << 20));
    write_file(fixture, fixture->dump.length);
    check_round_trip(fixture);
    fixture->dump.data[2 << 20] ^= 4;
    write_file(fixture, fixture->dump.length);
    assert_int_equal(kv_dump_check(fixture->fd), CULVERT_ECORRUPT);
}

static void test_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    uint64_t index;

    make_dump(fixture);
    for (size_t length = 0; length < fixture->dump.length; length++) {
        int wanted = length < DUMP_HEAD ? CULVERT_EPROTO : CULVERT_ECORRUPT;

        write_file(fixture, length);
        if (kv_dump_check(fixture->fd) != wanted)
            fail_msg("cut after %zu bytes: %d", length, kv_dump_check(fixture->fd));
        assert_int_equal(kv_dump_index(fixture->fd, &index),
                         length < DUMP_HEAD ? CULVERT_EPROTO : 0);
    }
}

static void test_any_bit_turned(void **state)
{
    struct fixture *fixture = *state;

    make_dump(fixture);
    for (size_t bit = 0; bit < 8 * fixture->dump.length; bit++) {
        fixture->dump.data[bit / 8] ^= (char)(1 << bit % 8);
        write_file(fixture, fixture->dump.length);
        if (kv_dump_check(fixture->fd) !=
            (bit / 8 < sizeof(DUMP_MAGIC) - 1 ? CULVERT_EPROTO : CULVERT_ECORRUPT))
            fail_msg("bit %zu: %d", bit, kv_dump_check(fixture->fd));
        fixture->dump.data[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* Another page than was written in the middle, and bytes behind the end. */
static void test_torn(void **state)
{
    struct fixture *fixture = *state;
    size_t length;

    make_dump(fixture);
    length = fixture->dump.length;
    for (size_t at = DUMP_HEAD; at + 16 < length; at += 7) {
        char kept[16];

        memcpy(kept, fixture->dump.data + at, sizeof(kept));
        memset(fixture->dump.data + at, 0xa5, sizeof(kept));
        write_file(fixture, length);
        assert_int_equal(kv_dump_check(fixture->fd), CULVERT_ECORRUPT);
        memcpy(fixture->dump.data + at, kept, sizeof(kept));
    }
    for (unsigned i = 0; i < 100; i++) {
        buffer_char(&fixture->dump, 0);
        write_file(fixture, fixture->dump.length);
        assert_int_equal(kv_dump_check(fixture->fd), CULVERT_ECORRUPT);
    }
    write_file(fixture, length);
    assert_int_equal(kv_dump_check(fixture->fd), 0);
}

static void test_no_file_to_read(void **state)
{
    uint64_t index = 7;
    int pipes[2];

    (void)state;
    assert_int_equal(kv_dump_check(-1), CULVERT_EIO);
    assert_int_equal(kv_dump_index(-1, &index), CULVERT_EIO);
    assert_int_equal(index, 0);
    assert_int_equal(pipe(pipes), 0); /* it has no places to read from */
    assert_int_equal(kv_dump_check(pipes[0]), CULVERT_EIO);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_fixture, close_fixture)
        TEST(round_trip), TEST(empty_store),     TEST(long_file),      TEST(cut_anywhere),
        TEST(torn),       TEST(no_file_to_read), TEST(any_bit_turned),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
