/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser says of frames whose bytes were written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/fastpath/plain.h"
#include "tests/dataplane/fastpath/corpus.h"

#define MACS "\2\0\0\0\0\2\2\0\0\0\0\1"
#define IPV6 "\x60\x00\x00\x00"
#define FROM6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define TO6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10"
#define UDP "\x9c\x40\x01\xbb\x00\x0c\x12\x34wxyz"

/* Parses a copy of exactly that size, so that the sanitizer sees every byte too many. */
static fp_u32 parse(const void *bytes, size_t length, struct fp_parsed *parsed)
{
    fp_u8 *copy = malloc(length ? length : 1);
    struct fp_packet packet = {.data = copy, .end = copy + length};
    fp_u32 reason;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    memset(parsed, 0xa5, sizeof(*parsed));
    reason = fp_parse(&packet, parsed);
    free(copy);
    return reason;
}

#define PARSE(text, parsed) parse(text, sizeof(text) - 1, parsed)

static void test_ipv4_udp(void **state)
{
    static const char frame[] =
        MACS "\x08\x00\x45\x00\x00\x1c\x12\x34\x40\x00\x40\x11\xa0\x7f"
             "\xc6\x12\x00\x01\xc0\x00\x02\x0a\x9c\x40\x00\x35\x00\x08\x00\x00";
    struct fp_parsed parsed;

    (void)state;
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.problem, 0);
    assert_int_equal(parsed.family, 4);
    assert_int_equal(parsed.l3, 14);
    assert_int_equal(parsed.l4, 34);
    assert_int_equal(parsed.bytes, 28);
    assert_int_equal(parsed.payload, 0);
    assert_int_equal(parsed.protocol, 17);
    assert_int_equal(parsed.sport, 40000);
    assert_int_equal(parsed.dport, 53);
    assert_int_equal(parsed.hops, 64);
    assert_int_equal(parsed.flags, FP_PARSED_DF);
    assert_true(parsed.source[0] == 0 && parsed.source[1] == 0x010012c6ffff0000ull);
    assert_true(parsed.destination[0] == 0 && parsed.destination[1] == 0x0a0200c0ffff0000ull);
}

static void test_tags(void **state)
{
    static const char ip[] = "\x08\x00\x45\x00\x00\x14\x00\x00\x00\x00\x40\xfe\xf1\xce"
                             "\xc6\x12\x00\x01\xc0\x00\x02\x0a";
    char frame[64];
    struct fp_parsed parsed;

    (void)state;
    for (size_t tags = 0; tags <= 3; tags++) {
        memcpy(frame, MACS, 12);
        for (size_t i = 0; i < tags; i++)
            memcpy(frame + 12 + 4 * i, i ? "\x81\x00\x00\x05" : "\x88\xa8\x00\x05", 4);
        memcpy(frame + 12 + 4 * tags, ip, sizeof(ip) - 1);
        assert_int_equal(parse(frame, 12 + 4 * tags + sizeof(ip) - 1, &parsed),
                         tags < 3 ? FP_GO_ON : FP_DROP_VLAN_DEPTH);
        if (tags < 3)
            assert_int_equal(parsed.l3, 14 + 4 * tags);
    }
}

/* Hop-by-hop, destination options of 16 bytes, an atomic fragment, UDP. */
static void test_ipv6_headers(void **state)
{
    static const char frame[] =
        MACS "\x86\xdd" IPV6 "\x00\x2c\x00\x40" FROM6 TO6 "\x3c\x00\x01\x04\0\0\0\0"
             "\x2c\x01\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0"
             "\x11\x00\x00\x00\x00\x00\x00\x07" UDP;
    struct fp_parsed parsed;

    (void)state;
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.problem, 0);
    assert_int_equal(parsed.family, 6);
    assert_int_equal(parsed.l4, 14 + 40 + 32);
    assert_int_equal(parsed.bytes, 40 + 44);
    assert_int_equal(parsed.protocol, 17);
    assert_int_equal(parsed.payload, 4);
    assert_int_equal(parsed.dport, 443);
    assert_int_equal(parsed.flags, FP_PARSED_DF | FP_PARSED_OPTIONS);
    assert_true(parsed.source[0] == 0xb80d0120ull);
    assert_true(parsed.source[1] == 1ull << 56);
}

static void test_ipv6_fragments(void **state)
{
    char frame[] =
        MACS "\x86\xdd" IPV6 "\x00\x14\x2c\x40" FROM6 TO6 "\x11\x00\x00\x01\x01\x02\x03\x04" UDP;
    struct fp_parsed parsed;

    (void)state;
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.flags, FP_PARSED_DF | FP_PARSED_OPTIONS | FP_PARSED_FRAGMENT);
    assert_int_equal(parsed.dport, 443);
    assert_int_equal(parsed.fragment_id, 0x04030201);
    frame[14 + 40 + 3] = 0x08; /* offset 8, the last part */
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.flags,
                     FP_PARSED_DF | FP_PARSED_OPTIONS | FP_PARSED_FRAGMENT | FP_PARSED_LATER);
    assert_int_equal(parsed.protocol, 17);
    assert_int_equal(parsed.dport, 0);
}

/* AH, ESP and "no next header" end the walk; the protocol is theirs. */
static void test_ipv6_ends(void **state)
{
    static const fp_u8 ends[] = {50, 51, 59, 132};
    char frame[] = MACS "\x86\xdd" IPV6 "\x00\x10\x3c\x40" FROM6 TO6 "\x00\x00\x01\x04\0\0\0\0"
                        "abcdefgh";
    struct fp_parsed parsed;

    (void)state;
    for (size_t i = 0; i < sizeof(ends); i++) {
        frame[54] = (char)ends[i];
        assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
        assert_int_equal(parsed.problem, 0);
        assert_int_equal(parsed.protocol, ends[i]);
        assert_int_equal(parsed.l4, 62);
    }
}

/* Bytes behind the IP packet are padding: nothing is read from them. */
static void test_padding(void **state)
{
    char frame[] = MACS "\x08\x00\x45\x00\x00\x18\x00\x00\x00\x00\x40\x11\xf2\xb7"
                        "\xc6\x12\x00\x01\xc0\x00\x02\x0a\x9c\x40\x00\x35"
                        "\x00\x08\x00\x00padding";
    struct fp_parsed parsed;

    (void)state;
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.bytes, 24);
    assert_int_equal(parsed.problem, FP_DROP_L4_HEADER);
    frame[23] = FP_IP_ICMP;
    frame[25] = (char)0xc7; /* the checksum that goes with it */
    assert_int_equal(PARSE(frame, &parsed), FP_GO_ON);
    assert_int_equal(parsed.problem, FP_DROP_L4_HEADER);
}

static void test_sources(void **state)
{
    static const fp_u8 bad[] = {0, 127, 224, 239, 240, 255}, good[] = {1, 10, 126, 128, 223};
    struct fp_parsed parsed = {.family = 4};

    (void)state;
    for (size_t i = 0; i < sizeof(bad); i++) {
        parsed.source[1] = FP_KEY_IPV4(0x01000000u | bad[i]);
        assert_true(fp_source_is_bad(&parsed));
    }
    for (size_t i = 0; i < sizeof(good); i++) {
        parsed.source[1] = FP_KEY_IPV4(0x01000000u | good[i]);
        assert_false(fp_source_is_bad(&parsed));
    }
    memcpy(parsed.destination, parsed.source, 16);
    assert_true(fp_source_is_bad(&parsed));
    parsed = (struct fp_parsed){.family = 6, .destination = {1, 1}};
    assert_true(fp_source_is_bad(&parsed)); /* :: */
    parsed.source[1] = 1ull << 56;
    assert_true(fp_source_is_bad(&parsed)); /* ::1 */
    parsed.source[1] = 2ull << 56;
    assert_false(fp_source_is_bad(&parsed));
    parsed.source[0] = 0xff;
    assert_true(fp_source_is_bad(&parsed)); /* ff00::/8 */
}

/* Both parsers' words on a frame, whose IPv4 checksum is made right. True: it is a plain one. */
static bool compare_plain(fp_u8 *frame, size_t length)
{
    struct fp_parsed said = {0}, parsed = {0};
    struct fp_packet packet = {.data = frame, .end = frame + length};
    fp_u8 *ip = frame + FP_ETH_BYTES;
    struct fp_plain plain;

    if (length >= FP_PLAIN_L4 && ip[0] == 0x45) {
        fp_store16(ip + 10, 0);
        fp_store16(ip + 10, fp_sum_finish(fp_sum_ipv4_header(ip)));
    }
    if (length < FP_PLAIN_BYTES)
        return false;
    fp_plain_load(frame, length, &plain);
    if (!fp_plain_check(&plain))
        return false;
    fp_plain_say(&plain, &said);
    assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
    assert_memory_equal(&said, &parsed, sizeof(parsed));
    assert_int_equal(fp_plain_source_is_bad(&plain), fp_source_is_bad(&parsed));
    assert_int_equal(parsed.problem, 0);
    return true;
}

/* The corpus' frames, cut short at each length, and with each byte of their headers changed. */
static void test_plain(void **state)
{
    static struct corpus_case item;
    unsigned plain = 0, others = 0;
    FILE *file = corpus_open();

    (void)state;
    while (corpus_next(file, &item)) {
        for (size_t length = 0; length <= item.length && length < 128; length++) {
            fp_u8 *copy = malloc(length + 1);

            assert_non_null(copy);
            memcpy(copy, item.frame, length);
            compare_plain(copy, length) ? plain++ : others++;
            free(copy);
        }
        for (size_t i = 0; i < 256 * 64 && i / 256 < item.length; i++) {
            fp_u8 frame[CORPUS_FRAME_MAX] = {0};

            memcpy(frame, item.frame, item.length);
            frame[i / 256] ^= (fp_u8)i;
            compare_plain(frame, item.length) ? plain++ : others++;
        }
    }
    fclose(file);
    assert_true(plain > 100000 && others > 100000);
}

static void test_plain_taken(void **state)
{
    static const struct {
        fp_u8 protocol;
        fp_u16 fragment;
        bool plain;
    } cases[] = {{FP_IP_TCP, 0, true},
                 {FP_IP_UDP, FP_IPV4_DF, true},
                 {FP_IP_UDP, FP_IPV4_MF, false},
                 {FP_IP_TCP, 1, false},
                 {FP_IP_ICMP, 0, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fp_build_spec spec = {.family = 4,
                                     .protocol = cases[i].protocol,
                                     .fragment = cases[i].fragment,
                                     .sport = 40000,
                                     .dport = 80,
                                     .payload = "sixteen bytes...",
                                     .payload_bytes = 16};
        fp_u8 frame[128];

        fp_build_ipv4(spec.source, 198, 18, 0, 1);
        fp_build_ipv4(spec.destination, 192, 0, 2, 10);
        assert_int_equal(compare_plain(frame, fp_build_frame(frame, sizeof(frame), &spec)),
                         cases[i].plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4_udp),     cmocka_unit_test(test_tags),
        cmocka_unit_test(test_ipv6_headers), cmocka_unit_test(test_ipv6_fragments),
        cmocka_unit_test(test_ipv6_ends),    cmocka_unit_test(test_padding),
        cmocka_unit_test(test_sources),      cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
