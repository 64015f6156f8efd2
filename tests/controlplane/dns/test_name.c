/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/dns/name.h"
#include "dataplane/fastpath/dns_hash.h"

/* The order of RFC 4034 section 6.1's example. */
static void test_canonical_order(void **state)
{
    static const char *const order[] = {
        "example.",         "a.example.",      "yljkjljk.a.example.",
        "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
        "\\001.z.example.", "*.z.example.",    "\\200.z.example.",
    };
    struct name_buffer a, b;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(order) / sizeof(order[0]); i++) {
        assert_true(name_from_text(&a, order[i]));
        assert_true(name_from_text(&b, order[i + 1]));
        assert_true(name_compare(&a.name, &b.name) < 0);
        assert_true(name_compare(&b.name, &a.name) > 0);
        assert_int_equal(name_is_within(&b.name, &a.name), i == 0 || (i == 1) || i == 5);
    }
}

static void test_suffix_and_text(void **state)
{
    struct name_buffer whole, part;
    char text[NAME_TEXT_MAX];
    struct name suffix;

    (void)state;
    assert_true(name_from_text(&whole, "A\\000b.C\\.d.Example"));
    assert_string_equal(name_to_text(whole.wire, text), "A\\000b.C\\.d.Example.");
    suffix = name_suffix(&whole.name, 2);
    assert_true(name_from_text(&part, "c\\.d.example."));
    assert_int_equal(name_compare(&suffix, &part.name), 0);
    assert_int_equal(suffix.length, part.name.length);
    assert_true(name_is_within(&whole.name, &part.name));
    assert_true(name_from_text(&part, "d.example."));
    assert_false(name_is_within(&whole.name, &part.name));
    assert_true(name_from_text(&part, "."));
    assert_int_equal(part.name.length, 1);
    assert_true(name_is_within(&whole.name, &part.name));
}

static void test_limits(void **state)
{
    char text[300];
    struct name_buffer name;
    uint8_t wire[300] = {63};

    (void)state;
    memset(text, 'x', sizeof(text));
    text[63] = '\0';
    assert_true(name_from_text(&name, text));
    text[63] = 'x';
    text[64] = '\0';
    assert_false(name_from_text(&name, text));
    for (int i = 1; i < 256; i += 2) {
        text[i - 1] = 'a';
        text[i] = '.';
    }
    text[254] = '\0'; /* 127 labels */
    assert_true(name_from_text(&name, text));
    assert_int_equal(name.name.labels, 127);
    assert_int_equal(name.name.length, 255);
    text[254] = 'a';
    text[255] = '\0';
    assert_false(name_from_text(&name, text));
    assert_false(name_from_wire(&name, wire, 64));
    wire[0] = 0xc0;
    assert_false(name_from_wire(&name, wire, 2));
}

/* SipHash-1-3-128, key 00..0f, message 00..n-1; the first line is public (rustc's sip128 tests). */
static void test_siphash(void **state)
{
    static const uint8_t expected[4][16] = {
        {0xe7, 0x7e, 0xbc, 0xb2, 0x27, 0x88, 0xa5, 0xbe, 0xfd, 0x62, 0xdb, 0x6a, 0xdd, 0x30, 0x30,
         0x01},
        {0xfc, 0x6f, 0x37, 0x04, 0x60, 0xd3, 0xed, 0xa8, 0x5e, 0x05, 0x73, 0xcc, 0x2b, 0x2f, 0xf0,
         0x63},
        {0x75, 0x78, 0x7f, 0x09, 0x05, 0x69, 0x83, 0x9b, 0x85, 0x5b, 0xc9, 0x54, 0x8c, 0x6a, 0xea,
         0x95},
        {0x6b, 0xc5, 0xcc, 0xfa, 0x1e, 0xdc, 0xf7, 0x9f, 0x48, 0x23, 0x18, 0x77, 0x12, 0xeb, 0xd7,
         0x43},
    };
    fp_u8 bytes[32] = {0, 1, 2, 3};
    fp_u64 out[2];

    (void)state;
    for (fp_u64 n = 1; n < 4; n++) {
        fp_dns_hash(bytes, sizeof(bytes), 0, n, 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull,
                    &out[0], &out[1]);
        assert_memory_equal(out, expected[n], 16);
    }
}

/* What lies behind the name doesn't count, nor does the case; each length of the tail is right. */
static void test_hash_of_names(void **state)
{
    fp_u8 one[64], two[64];
    fp_u64 a, b, c, d, last = 0;

    (void)state;
    for (fp_u64 length = 1; length < 40; length++) {
        memset(one, 'Q', sizeof(one));
        memset(two, 0xff, sizeof(two));
        memset(two + 3, 'q', length);
        fp_dns_hash(one, sizeof(one), 0, length, 1, 2, &a, &b);
        fp_dns_hash(two, sizeof(two), 3, 3 + length, 1, 2, &c, &d);
        assert_true(a == c && b == d && a != last);
        last = a;
        fp_dns_hash(two, sizeof(two), 3, 3 + length, 1, 3, &c, &d);
        assert_true(a != c && b != d);
    }
}

/* Letters and nothing else change. */
static void test_lower(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        fp_u64 word = byte * 0x0101010101010101ull;
        unsigned low = byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;

        assert_true(fp_dns_lower(word) == low * 0x0101010101010101ull);
        assert_true(fp_dns_lower((fp_u64)byte << 24) == (fp_u64)low << 24);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_order), cmocka_unit_test(test_suffix_and_text),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_hash_of_names),   cmocka_unit_test(test_lower),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
