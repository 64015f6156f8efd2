/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: EDNS, truncation, malformed and odd ones; and whole frames through the fast path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/dns/message.h"
#include "dataplane/fastpath/build.h"
#include "dataplane/fastpath/dns_host.h"
#include "tests/controlplane/dns/ask.h"
#include "tests/controlplane/dns/fixture.h"

#define FULL "NOERROR aa edns"

static uint8_t message[MESSAGE_BYTES_MAX + 1];
static struct fixture fixture;

static int open_fixture(void **state)
{
    static char text[8192];
    struct fixture_zone zone = {.name = "example.com", .text = text};
    int at = snprintf(text, sizeof(text),
                      "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nweb A 192.0.2.1\n"
                      "mx MX 1 m.mx\nm.mx A 192.0.2.2\n");

    (void)state;
    /* big: 29 addresses, 464 bytes: with the question of 33 and the header 509 */
    for (int i = 0; i < 29; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "big A 192.0.2.%d\n", i);
    for (int i = 0; i < 30; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "m.mx AAAA 2001:db8::%d\n", i);
    for (int i = 0; i < 40; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "huge TXT \"%050d\"\n", i);
    /* a referral whose pointers all move, more of them than there are fix-ups */
    for (int i = 0; i < 26; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at,
                       "cut NS n%d.cut\nn%d.cut A 192.0.2.%d\n", i, i, i);
    fixture.size = (size_t)32 << 20;
    return fixture_open(&fixture, &zone, 1);
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static struct fp_env make_env(void)
{
    struct fp_env env = {.base = fixture.base};

    env.generation = FP_ROOT(&env)->generation;
    return env;
}

static const char *answer(size_t length, bool tcp, size_t *bytes)
{
    static char text[16384];
    size_t reply = message_answer(fixture.base, message, length, MESSAGE_BYTES_MAX, tcp, NULL);

    if (bytes)
        *bytes = reply;
    describe(message, reply, text, sizeof(text));
    return text;
}

static void expect(size_t length, bool tcp, const char *expected)
{
    const char *text = answer(length, tcp, NULL);

    if (strcmp(text, expected) != 0)
        fail_msg("got %s, expected %s", text, expected);
}

static void test_edns(void **state)
{
    size_t length = make_query(message, "web.example.com", 1, 1232);
    size_t bytes;

    (void)state;
    message[length - 4] = 0x80; /* DO */
    assert_string_equal(answer(length, false, &bytes),
                        FULL " | an: web.example.com. 3600 IN A 192.0.2.1");
    assert_int_equal(bytes, length + 16);
    assert_memory_equal(message + bytes - 11, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11);
    /* an option is taken and not answered */
    length = make_query(message, "web.example.com", 1, 1232);
    memcpy(message + length,
           "\0\x0a\0\x08"
           "cookie!!",
           12);
    message[length - 1] = 12;
    expect(length + 12, false, FULL " | an: web.example.com. 3600 IN A 192.0.2.1");
    /* version 1 */
    length = make_query(message, "web.example.com", 1, 1232);
    message[length - 5] = 1;
    expect(length, false, "NOERROR edns BADVERS");
    /* an option that ends behind the message, and an OPT cut off */
    length = make_query(message, "web.example.com", 1, 1232);
    message[length - 1] = 1;
    expect(length, false, "FORMERR");
    length = make_query(message, "web.example.com", 1, 1232);
    expect(length - 1, false, "FORMERR");
}

static void test_truncation(void **state)
{
    size_t length, bytes;

    (void)state;
    length = make_query(message, "big.example.com", 1, 0);
    assert_int_equal(length, 33);
    answer(length, false, &bytes);
    assert_int_equal(bytes, 33 + 29 * 16); /* 497: fits 512 */
    length = make_query(message, "big.example.com", 1, 512);
    answer(length, false, &bytes);
    assert_int_equal(bytes, 33 + 29 * 16 + 11); /* 508 */
    length = make_query(message, "huge.example.com", 16, 0);
    expect(length, false, "NOERROR aa tc");
    length = make_query(message, "huge.example.com", 16, 100); /* less than 512 means 512 */
    expect(length, false, "NOERROR aa tc edns");
    length = make_query(message, "huge.example.com", 16, 4096); /* the site's bound is 1232 */
    expect(length, false, "NOERROR aa tc edns");
    length = make_query(message, "huge.example.com", 16, 0);
    answer(length, true, &bytes);
    assert_true(bytes > 2000);
    /* Additional records are left off before the answer is. */
    length = make_query(message, "mx.example.com", 15, 0);
    expect(length, false, "NOERROR aa | an: mx.example.com. 3600 IN MX 1 m.mx.example.com.");
    length = make_query(message, "mx.example.com", 15, 1232);
    assert_non_null(strstr(answer(length, false, NULL), "AAAA 2001:db8::"));
    /* but not glue (RFC 9471) */
    length = make_query(message, "x.cut.example.com", 1, 0);
    expect(length, false, "NOERROR tc");
}

/* Without room behind the query there is still a truncated answer. */
static void test_no_room(void **state)
{
    size_t length = make_query(message, "web.example.com", 1, 0);
    size_t bytes = message_answer(fixture.base, message, length, length + 15, false, NULL);
    char text[256];

    (void)state;
    describe(message, bytes, text, sizeof(text));
    assert_string_equal(text, "NOERROR aa tc");
    length = make_query(message, "web.example.com", 1, 0);
    assert_int_equal(message_answer(fixture.base, message, length, length + 16, false, NULL),
                     length + 16);
}

static void test_many_fixups(void **state)
{
    size_t length = make_query(message, "a.very.much.longer.name.under.cut.example.com", 1, 0);
    const char *text = answer(length, true, NULL);
    char line[128];

    (void)state;
    for (int i = 0; i < 26; i++) {
        snprintf(line, sizeof(line), "ns: cut.example.com. 3600 IN NS n%d.cut.example.com.", i);
        assert_non_null(strstr(text, line));
        snprintf(line, sizeof(line), "ar: n%d.cut.example.com. 3600 IN A 192.0.2.%d", i, i);
        assert_non_null(strstr(text, line));
    }
}

static void test_header(void **state)
{
    size_t length = make_query(message, "web.example.com", 1, 0);

    (void)state;
    message[2] = 0x07; /* AA, TC and RD set by the client */
    message[3] = 0xff; /* RA, Z, AD, CD and a code */
    assert_int_equal(message_answer(fixture.base, message, length, 512, false, NULL), 49);
    assert_memory_equal(message, "\x12\x34\x85\x10\0\1\0\1\0\0\0\0", 12); /* QR AA RD, CD */
}

static void test_malformed(void **state)
{
    size_t length = make_query(message, "web.example.com", 1, 0);
    unsigned reason;

    (void)state;
    for (size_t cut = 12; cut < length; cut++) {
        make_query(message, "web.example.com", 1, 0);
        expect(cut, false, "FORMERR");
    }
    for (size_t cut = 0; cut < 12; cut++) {
        make_query(message, "web.example.com", 1, 0);
        assert_int_equal(message_answer(fixture.base, message, cut, 512, false, &reason), 0);
        assert_int_equal(reason, FP_DROP_DNS_SHORT);
    }
    make_query(message, "web.example.com", 1, 0);
    message[5] = 2; /* two questions */
    expect(length, false, "FORMERR");
    make_query(message, "web.example.com", 1, 0);
    message[5] = 0;
    expect(length, false, "FORMERR");
    make_query(message, "web.example.com", 1, 0);
    message[16] = 0xc0; /* a pointer in the question */
    expect(length, false, "FORMERR");
    make_query(message, "web.example.com", 1, 0);
    message[length - 1] = 3; /* class CH */
    expect(length, false, "REFUSED");
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        make_query(message, "web.example.com", 1, 0);
        message[2] = (uint8_t)(opcode << 3);
        assert_int_equal(message_answer(fixture.base, message, length, 512, false, &reason), 12);
        assert_int_equal(reason, FP_DNS_NOTIMP);
        assert_int_equal(message[2], 0x80 | opcode << 3);
        assert_int_equal(message[3] & 15, 4);
    }
    make_query(message, "web.example.com", 1, 0);
    message[2] = 0x81;
    assert_int_equal(message_answer(fixture.base, message, length, 512, false, &reason), 0);
    assert_int_equal(reason, FP_DROP_DNS_RESPONSE);
}

/* Names of all lengths, up to the longest and one more. */
static void test_longest_names(void **state)
{
    for (unsigned name = 1; name <= 270; name++) {
        size_t at = 12;
        unsigned left = name;

        memset(message, 0, 12);
        message[5] = 1;
        while (left > 1) {
            unsigned label = left - 1 > 64 ? 63 : left - 2;

            if (left == 2)
                break;
            message[at++] = (uint8_t)label;
            memset(message + at, 'a', label);
            at += label;
            left -= label + 1;
        }
        if (left == 2)
            continue; /* no label has no bytes */
        message[at++] = 0;
        memcpy(message + at, "\0\1\0\1", 4);
        expect(at + 4, false, name <= 255 ? "REFUSED" : "FORMERR");
    }
    (void)state;
}

/* What the fast path leaves to us. */
static void test_odd(void **state)
{
    static const uint8_t tsig[] = {1, 'k', 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 2, 9, 9};
    static const uint8_t other[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
    size_t length = make_query(message, "web.example.com", 1, 0);
    struct fp_env env = make_env();
    fp_u32 reason;

    (void)state;
    memcpy(message + length, tsig, sizeof(tsig));
    message[11] = 1;
    assert_int_equal(
        fp_dns_answer_message(&env, message, (fp_u32)(length + sizeof(tsig)), 512, 0, &reason), 0);
    assert_int_equal(reason, FP_PASS_DNS_ODD);
    expect(length + sizeof(tsig), false, "NOTAUTH");
    /* records in sections where a query has none */
    length = make_query(message, "web.example.com", 1, 0);
    memcpy(message + length, other, sizeof(other));
    message[9] = 1;
    expect(length + sizeof(other), false, "NOERROR aa | an: web.example.com. 3600 IN A 192.0.2.1");
    /* and an OPT behind them */
    length = make_query(message, "web.example.com", 1, 0);
    memcpy(message + length, other, sizeof(other));
    memcpy(message + length + sizeof(other), "\0\0\x29\x10\0\0\0\0\0\0\0", 11);
    message[9] = message[11] = 1;
    expect(length + sizeof(other) + 11, false, FULL " | an: web.example.com. 3600 IN A 192.0.2.1");
    /* two of them, and a record that is cut off */
    length = make_query(message, "web.example.com", 1, 1232);
    memcpy(message + length, "\0\0\x29\x10\0\0\0\0\0\0\0", 11);
    message[11] = 2;
    expect(length + 11, false, "FORMERR");
    length = make_query(message, "web.example.com", 1, 0);
    memcpy(message + length, other, sizeof(other));
    message[9] = 1;
    expect(length + sizeof(other) - 1, false, "FORMERR");
}

/* A whole frame: what comes back is right down to the checksums. */
static void run_frame(unsigned family, fp_u16 sport, unsigned verdict, unsigned reason)
{
    fp_u8 buffer[2048];
    struct fp_build_spec spec = {
        .family = (fp_u8)family, .protocol = FP_IP_UDP, .sport = sport, .dport = 53};
    fp_u8 scratch[FP_SCRATCH_BYTES];
    struct fp_packet packet = {
        .head = buffer, .limit = buffer + sizeof(buffer), .scratch = scratch};
    struct fp_env env = make_env();
    struct fp_parsed parsed;
    struct fp_result result;

    spec.payload = message;
    spec.payload_bytes = make_query(message, "web.example.com", 1, 1232);
    spec.source[15] = 1;
    spec.destination[15] = 2;
    if (family == 4) {
        fp_build_ipv4(spec.source, 198, 18, 0, 1);
        fp_build_ipv4(spec.destination, 192, 0, 2, 53);
    }
    packet.data = buffer + 256;
    packet.end = packet.data + fp_build_frame(packet.data, 1024, &spec);
    memset(&parsed, 0, sizeof(parsed));
    assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
    result = fp_dns_process(&env, &packet, &parsed);
    assert_int_equal(result.verdict, verdict);
    assert_int_equal(result.reason, reason);
    if (verdict != FP_VERDICT_TX)
        return;
    assert_int_equal(packet.end - packet.data,
                     14 + (family == 4 ? 20 : 40) + 8 + (int)spec.payload_bytes + 16);
    memset(&parsed, 0, sizeof(parsed));
    assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
    assert_int_equal(parsed.sport, 53);
    assert_int_equal(parsed.dport, sport);
    /* The pseudo header and everything behind the IP header sum up to all ones. */
    assert_int_equal(fp_sum_fold(fp_sum_pseudo(&parsed, FP_IP_UDP, parsed.payload + 8u) +
                                 fp_build_sum(packet.data + parsed.l4, parsed.payload + 8u)),
                     0xffff);
}

static void test_frames(void **state)
{
    static const fp_u16 loops[] = {0, 7, 13, 17, 19, 37};

    (void)state;
    run_frame(4, 40000, FP_VERDICT_TX, FP_DNS_ANSWER);
    run_frame(6, 40000, FP_VERDICT_TX, FP_DNS_ANSWER);
    run_frame(4, 53, FP_VERDICT_TX, FP_DNS_ANSWER);
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
        run_frame(4, loops[i], FP_VERDICT_DROP, FP_DROP_DNS_LOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edns),          cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_no_room),       cmocka_unit_test(test_many_fixups),
        cmocka_unit_test(test_header),        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_longest_names), cmocka_unit_test(test_odd),
        cmocka_unit_test(test_frames),
    };

    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
