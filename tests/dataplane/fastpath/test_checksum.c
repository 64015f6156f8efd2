/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums against sums made word by word, and known packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/fastpath/build.h"

/* RFC 1071 as it is written, big-endian, for comparison. */
static fp_u16 sum_slowly(const fp_u8 *bytes, size_t length)
{
    fp_u32 sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += i % 2 ? bytes[i] : (fp_u32)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (fp_u16)sum;
}

static void fill(fp_u8 *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1103515245 + 12345;
        bytes[i] = (fp_u8)(seed >> 16);
    }
}

/* The example of RFC 1071 section 3. */
static void test_example(void **state)
{
    const fp_u8 bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    (void)state;
    assert_int_equal(fp_ntohs(fp_sum_fold(fp_build_sum(bytes, sizeof(bytes)))), 0xddf2);
    assert_int_equal(fp_ntohs(fp_sum_finish(fp_build_sum(bytes, sizeof(bytes)))), 0x220d);
}

static void test_fold(void **state)
{
    (void)state;
    assert_int_equal(fp_sum_fold(0), 0);
    assert_int_equal(fp_sum_fold(0xffff), 0xffff);
    assert_int_equal(fp_sum_fold(0x10000), 1);
    assert_int_equal(fp_sum_fold(~0ull), 0xffff);
    assert_int_equal(fp_sum_fold(0xfffffffeffffffffull), 0xfffe);
    assert_int_equal(fp_sum_finish_udp(0xffff), 0xffff); /* 0 is never sent */
    assert_int_equal(fp_sum_finish(0xffff), 0);
}

/* A frame's bytes from any even offset to any end, in memory that ends there. */
static void test_frame(void **state)
{
    (void)state;
    for (size_t length = 0; length < 300; length++) {
        fp_u8 *bytes = malloc(length + 1);
        struct fp_packet packet = {.data = bytes, .end = bytes + length};

        fill(bytes, length, (unsigned)length);
        for (fp_u32 from = 0; from <= length && from < 60; from += 2)
            assert_int_equal(fp_ntohs(fp_sum_fold(fp_sum_frame(&packet, from))),
                             sum_slowly(bytes + from, length - from));
        assert_int_equal(fp_sum_frame(&packet, (fp_u32)length + 2), 0);
        free(bytes);
    }
}

static void test_frame_longest(void **state)
{
    static fp_u8 bytes[FP_SUM_MAX + 64];
    struct fp_packet packet = {.data = bytes, .end = bytes + 34 + FP_SUM_MAX};

    (void)state;
    fill(bytes, sizeof(bytes), 7);
    assert_int_equal(fp_ntohs(fp_sum_fold(fp_sum_frame(&packet, 34))),
                     sum_slowly(bytes + 34, FP_SUM_MAX));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = 0xff;
    assert_int_equal(fp_sum_fold(fp_sum_frame(&packet, 34)), 0xffff);
}

/* After any word changed, the updated checksum is the one that a whole sum gives; for a sum of zero
 * too, where RFC 1141 went wrong. */
static void test_update(void **state)
{
    fp_u8 bytes[20];

    (void)state;
    for (unsigned seed = 0; seed < 20000; seed++) {
        fp_u32 was, is;
        fp_be16 check;

        fill(bytes, sizeof(bytes), seed);
        if (seed % 4 == 0)
            memset(bytes, seed % 8 ? 0xff : 0, sizeof(bytes));
        bytes[10] = bytes[11] = 0;
        check = fp_sum_finish(fp_sum_ipv4_header(bytes));
        was = fp_load32(bytes + 12);
        is = seed % 3 ? was * 2654435761u : 0;
        if (seed % 5 == 0)
            is = ~was;
        fp_store32(bytes + 12, is);
        fp_store16(bytes + 10, fp_sum_update(check, was, is));
        /* Right means: the sum over all is all ones. */
        assert_int_equal(sum_slowly(bytes, sizeof(bytes)) | (sum_slowly(bytes, 20) ? 0 : 0xffff),
                         0xffff);
    }
}

/* RFC 1624 section 4's example. */
static void test_update_example(void **state)
{
    (void)state;
    assert_int_equal(fp_sum_update(fp_htons(0xdd2f), fp_htons(0x5555), fp_htons(0x3285)), 0);
}

static void test_update_udp(void **state)
{
    (void)state;
    assert_int_equal(fp_sum_update_udp(0, 1, 2), 0);
    assert_int_equal(fp_sum_update_udp(fp_htons(0xdd2f), fp_htons(0x5555), fp_htons(0x3285)),
                     0xffff);
}

/* Odd payloads, both families: a receiver's sum over the pseudo header and all of it is ones. */
static void test_built(void **state)
{
    static const fp_u8 protocols[] = {FP_IP_UDP, FP_IP_TCP, FP_IP_ICMPV6};
    fp_u8 payload[64], frame[256];

    (void)state;
    fill(payload, sizeof(payload), 1);
    for (fp_u8 family = 4; family <= 6; family += 2) {
        for (size_t length = 0; length < sizeof(payload); length++) {
            for (size_t i = 0; i < 3; i++) {
                struct fp_build_spec spec = {.family = family,
                                             .protocol = protocols[i],
                                             .sport = 1,
                                             .dport = 2,
                                             .payload = payload,
                                             .payload_bytes = length};
                struct fp_packet packet = {.data = frame};
                struct fp_parsed parsed = {0};

                fp_build_ipv4(spec.source, 198, 18, 0, 1);
                fp_build_ipv4(spec.destination, 192, 0, 2, 1);
                spec.source[0] = spec.destination[0] = family == 6 ? 0x20 : 0;
                packet.end = frame + fp_build_frame(frame, sizeof(frame), &spec);
                assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
                assert_int_equal(fp_sum_fold(fp_sum_pseudo(&parsed, parsed.protocol,
                                                           parsed.bytes + parsed.l3 - parsed.l4) +
                                             fp_sum_frame(&packet, parsed.l4)),
                                 0xffff);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),    cmocka_unit_test(test_fold),
        cmocka_unit_test(test_frame),      cmocka_unit_test(test_frame_longest),
        cmocka_unit_test(test_update),     cmocka_unit_test(test_update_example),
        cmocka_unit_test(test_update_udp), cmocka_unit_test(test_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
