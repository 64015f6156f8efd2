/* SPDX-License-Identifier: Apache-2.0 */
/* The log over a simulated disk; test_wal_uv.c does the same on a real one. */
#include <stdlib.h>

#include "controlplane/base/crc32c.h"
#include "wal_basic.h"
#include "wal_rig.h"

static struct rig rig;
static struct wal_host host;

static void host_run(struct wal_host *which)
{
    (void)which;
    rig_run(&rig);
}

static int setup(void **state)
{
    rig_open(&rig, 1);
    /* Small segments where a test asks for none: the disk is memory, which sanitizers check. */
    host = (struct wal_host){.run = host_run, .options.segment = 1 << 20};
    wal_host_init(&host, &rig.env);
    *state = &host;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wal_host_close(&host);
    rig_close(&rig);
    return 0;
}

static void test_checksum(void **state)
{
    uint8_t bytes[300];

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "12345", 5), "6789", 4), 0xe3069283);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        assert_int_equal(crc32c(i, bytes + i, sizeof(bytes) - i),
                         crc32c_portable(i, bytes + i, sizeof(bytes) - i));
}

int main(void)
{
#define X(name) cmocka_unit_test_setup_teardown(name, setup, teardown),
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_checksum), WAL_BASIC_TESTS(X)};
#undef X

    return cmocka_run_group_tests(tests, NULL, NULL);
}
