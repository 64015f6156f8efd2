/* SPDX-License-Identifier: Apache-2.0 */
/* Access lists against a list that is searched one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/dataplane/fastpath/site.h"

struct entry {
    fp_u8 address[16];
    unsigned length;
    fp_u32 action;
};

#define ENTRIES 300
#define PROBES 4000

static unsigned random_next(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 8;
}

/* Addresses of few different bytes, so that prefixes nest. */
static void random_address(unsigned *seed, fp_u8 address[16], unsigned family)
{
    static const fp_u8 some[] = {0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80};

    for (int i = 0; i < 16; i++)
        address[i] = some[random_next(seed) % sizeof(some)];
    if (family == 4)
        fp_build_ipv4(address, address[0], address[1], address[2], address[3]);
}

static int covers(const struct entry *entry, const fp_u8 address[16])
{
    for (unsigned bit = 0; bit < entry->length; bit++) {
        if ((entry->address[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1)
            return 0;
    }
    return 1;
}

static fp_u32 find_slowly(const struct entry *entries, const fp_u8 address[16])
{
    fp_u32 action = FP_ACCESS_NONE;
    int longest = -1;

    for (int i = 0; i < ENTRIES; i++) {
        if (covers(&entries[i], address) && (int)entries[i].length >= longest) {
            longest = (int)entries[i].length;
            action = entries[i].action;
        }
    }
    return action;
}

/* Entries of any length, also ::/0 and 0.0.0.0/0; equal ones replace each other in the table, as
 * the slow search takes the last. */
static void entries_make(struct tables *tables, struct entry *entries, unsigned family)
{
    unsigned seed = family;

    assert_int_equal(tables_begin(tables), 0);
    for (int i = 0; i < ENTRIES; i++) {
        struct entry *entry = &entries[i];
        struct fp_access body;
        struct fp_key key = {.kind = FP_KIND_ACCESS};

        random_address(&seed, entry->address, family);
        entry->length = family == 4 ? 96 + random_next(&seed) % 33 : random_next(&seed) % 129;
        entry->action = random_next(&seed) % 2;
        for (unsigned bit = entry->length; bit < 128; bit++)
            entry->address[bit / 8] &= (fp_u8) ~(0x80 >> bit % 8);
        body = (struct fp_access){.action = entry->action};
        fp_build_key(entry->address, &key.a, &key.b);
        key.c = entry->length;
        site_put(tables, key, &body, sizeof(body));
    }
    assert_int_equal(tables_commit(tables, 1), 0);
}

static void probe(struct tables *tables, const struct entry *entries, unsigned family)
{
    struct fp_env env = site_env(tables);
    unsigned seed = 99, found = 0;

    fp_env_begin(&env);
    for (int i = 0; i < PROBES; i++) {
        fp_u8 address[16];
        fp_u64 a, b;
        fp_u32 action;

        random_address(&seed, address, family);
        fp_build_key(address, &a, &b);
        action = find_slowly(entries, address);
        assert_int_equal(fp_access_find(&env, a, b), action);
        found += action != FP_ACCESS_NONE;
    }
    assert_true(found > PROBES / 10);
}

static void check_family(unsigned family)
{
    static struct entry entries[ENTRIES];
    struct tables_options options = {
        .size = SITE_BYTES, .cpus = 1, .meters_log2 = 4, .flows_log2 = 4};
    struct tables *tables;

    options.base = mmap(NULL, SITE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_int_equal(tables_open(&tables, &options), 0);
    entries_make(tables, entries, family);
    probe(tables, entries, family); /* in the index, */
    tables_reclaim(tables);
    probe(tables, entries, family); /* and in the lines of IPv4 */
    site_close(tables);
}

static void test_ipv4(void **state)
{
    (void)state;
    check_family(4);
}

static void test_ipv6(void **state)
{
    (void)state;
    check_family(6);
}

static void test_cut(void **state)
{
    fp_u8 address[16];

    (void)state;
    for (unsigned length = 0; length <= 128; length++) {
        fp_u64 a = ~0ull, b = ~0ull;

        fp_prefix_cut(&a, &b, length);
        fp_store64(address, a);
        fp_store64(address + 8, b);
        for (unsigned bit = 0; bit < 128; bit++)
            assert_int_equal(address[bit / 8] >> (7 - bit % 8) & 1, bit < length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
