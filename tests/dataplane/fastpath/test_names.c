/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are hashed side by side get the hashes that each gets alone, whatever their lengths,
 * their number, and the CPU's vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/fastpath/straight.h"

#define K0 0x0706050403020100ull
#define K1 0x0f0e0d0c0b0a0908ull
#define SEED 0x123456789abcdef0ull

static fp_u8 bytes[FP_NAMES_MAX][FP_SCRATCH_BYTES];
static struct fp_straight straight;
static struct fp_dns_names names;

/* Fills a name with letters of both cases and other bytes. */
static void fill(fp_u8 *name, unsigned number)
{
    for (unsigned i = 0; i < FP_SCRATCH_BYTES; i++)
        name[i] = (fp_u8)(number * 37 + i * 101 + (i >> 3));
}

static void compare(unsigned count, unsigned first_length)
{
    fp_u32 length[FP_NAMES_MAX];

    names.count = 0;
    names.words = 0;
    for (unsigned i = 0; i < count; i++) {
        length[i] = (first_length + i * 29) % FP_DNS_NAME_MAX + 1;
        assert_int_equal(fp_dns_names_add(&names, bytes[i], length[i]), i);
    }
    straight.hash(&names, K0, K1, SEED);
    for (unsigned i = 0; i < count; i++) {
        fp_u64 a, b;

        fp_dns_hash(bytes[i], FP_SCRATCH_BYTES, 0, length[i], K0, K1, &a, &b);
        assert_true(names.a[i] == a && names.b[i] == b);
        assert_true(names.hash[i] == fp_key_hash(a, b, FP_DNS_KEY_NODE, FP_KIND_DNS, SEED));
    }
}

static void test_as_one_by_one(void **state)
{
    static const unsigned vectors[] = {0, 256, 512};
    unsigned ways = 0;

    (void)state;
    for (unsigned i = 0; i < FP_NAMES_MAX; i++)
        fill(bytes[i], i);
    for (unsigned v = 0; v < sizeof(vectors) / sizeof(*vectors); v++) {
        if (!fp_straight_vectors(&straight, vectors[v]))
            continue; /* this CPU has none of that length */
        ways++;
        for (unsigned count = 0; count <= FP_NAMES_MAX; count++)
            for (unsigned length = 0; length < FP_DNS_NAME_MAX; length++)
                compare(count, length);
    }
    assert_true(ways > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_one_by_one)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
