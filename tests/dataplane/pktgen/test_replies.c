/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back: told apart from what is not of the test, classified, timed. */
#include "tests/dataplane/pktgen/helper.h"

#define COMMON                                                                                     \
    "--interface v0 --gateway-mac " HELPER_GATEWAY " --sources 10.0.0.0/24 --ports 2000-2999 "     \
    "--flows 1000 "

static struct helper helper;

static void address(uint8_t to[16], unsigned a, unsigned d)
{
    fp_build_ipv4(to, (uint8_t)a, 0, 0, (uint8_t)d);
}

/* From the target 192.0.0.1 to a source of ours. */
/* What it acknowledges has an even number: one that carries no time. An odd one of nobody would be
 * timed by chance of the clock. */
static struct fp_build_spec reply_spec(unsigned protocol)
{
    struct fp_build_spec spec = {
        .family = 4, .protocol = (uint8_t)protocol, .sport = 80, .dport = 2000, .tcp_ack = 1};

    address(spec.source, 192, 1);
    address(spec.destination, 10, 7);
    return spec;
}

static enum helper_action receive(const struct fp_build_spec *spec)
{
    uint8_t frame[PKTGEN_FRAME_MAX];
    size_t length = fp_build_frame(frame, sizeof(frame), spec);

    assert_true(length > 0);
    return helper_receive(&helper, frame, length);
}

static struct engine_sums sums(void)
{
    static struct engine_sums now;

    helper_read(&helper, &now);
    return now;
}

static void expect(const struct fp_build_spec *spec, enum pktgen_reply reply)
{
    uint64_t before = sums().counters.reply[reply];
    uint64_t received = sums().counters.received;

    assert_int_equal(receive(spec), HELPER_DROP);
    assert_int_equal(sums().counters.reply[reply], before + 1);
    assert_int_equal(sums().counters.received, received + 1);
}

static void expect_passed(const struct fp_build_spec *spec)
{
    uint64_t received = sums().counters.received;

    assert_int_equal(receive(spec), HELPER_PASS);
    assert_int_equal(sums().counters.received, received);
}

static void test_tcp(void **state)
{
    struct fp_build_spec spec = reply_spec(FP_IP_TCP);

    spec.tcp_flags = FP_TCP_SYN | FP_TCP_ACK;
    expect(&spec, PKTGEN_REPLY_SYN_ACK);
    spec.tcp_flags = 0x04;
    expect(&spec, PKTGEN_REPLY_RST);
    spec.tcp_flags = 0x14;
    expect(&spec, PKTGEN_REPLY_RST);
    spec.tcp_flags = FP_TCP_ACK;
    expect(&spec, PKTGEN_REPLY_TCP_OTHER);
    assert_int_equal(sums().counters.rtt_count, 0);
}

static void test_not_of_the_test(void **state)
{
    struct fp_build_spec spec = reply_spec(FP_IP_TCP);

    address(spec.source, 192, 2); /* not a target */
    expect_passed(&spec);
    address(spec.source, 192, 1);
    address(spec.destination, 11, 7); /* not a source of ours */
    expect_passed(&spec);
    address(spec.destination, 10, 7);
    spec.dport = 3000; /* behind our ports */
    expect_passed(&spec);
    spec.dport = 2000;
    spec.sport = 81; /* not the target's port */
    expect_passed(&spec);
    spec = reply_spec(FP_IP_ICMP); /* a ping's answer */
    expect_passed(&spec);
    spec = reply_spec(47);
    expect_passed(&spec);
}

static void test_dns(void **state)
{
    uint8_t message[12] = {0, 1, 0x84, 0};
    struct fp_build_spec spec = reply_spec(FP_IP_UDP);

    spec.sport = 53;
    spec.payload = message;
    spec.payload_bytes = sizeof(message);
    for (uint8_t rcode = 0; rcode < 16; rcode++) {
        message[3] = (uint8_t)(0x80 | rcode);
        expect(&spec, PKTGEN_REPLY_DNS);
        assert_int_equal(sums().counters.rcode[rcode], 1);
    }
    message[2] |= 2;
    expect(&spec, PKTGEN_REPLY_DNS_TRUNCATED);
    message[2] = 0; /* a question */
    expect(&spec, PKTGEN_REPLY_DNS_MALFORMED);
    message[2] = 0x80;
    spec.payload_bytes = 11;
    expect(&spec, PKTGEN_REPLY_DNS_MALFORMED);
}

/* A packet of ours as the generator makes them, without Ethernet header. */
static size_t own_packet(uint8_t *to, unsigned protocol)
{
    for (;;) {
        uint8_t frame[PKTGEN_FRAME_MAX];
        uint32_t length = helper_frame(&helper, frame);
        struct fp_parsed parsed;

        helper_check(frame, length, &parsed);
        if (parsed.protocol != protocol || parsed.dport != 80)
            continue;
        memcpy(to, frame + parsed.l3, parsed.bytes);
        return parsed.bytes;
    }
}

static void test_encapsulated(void **state)
{
    struct engine_backend backends[8];
    uint8_t packet[PKTGEN_FRAME_MAX];
    struct fp_build_spec spec = {.family = 4, .protocol = FP_IP_IPIP, .payload = packet};

    address(spec.source, 172, 1);
    for (unsigned i = 0; i < 3; i++) {
        address(spec.destination, 172, 11 + i / 2);
        spec.payload_bytes = own_packet(packet, i & 1 ? FP_IP_TCP : FP_IP_UDP);
        expect(&spec, PKTGEN_REPLY_ENCAPSULATED);
    }
    assert_int_equal(helper_backends(&helper, backends, 8), 2);
    assert_int_equal(backends[0].sums.packets + backends[1].sums.packets, 3);
    packet[12] = 77; /* somebody else's, encapsulated */
    expect_passed(&spec);
    spec.payload_bytes = 10;
    expect_passed(&spec);
}

static void test_forwarded(void **state)
{
    struct fp_build_spec spec = {.family = 4,
                                 .protocol = FP_IP_UDP,
                                 .sport = 2001,
                                 .dport = 8080,
                                 .payload = "0123456789abcdef",
                                 .payload_bytes = 16};

    address(spec.source, 10, 1);
    address(spec.destination, 172, 44);
    expect(&spec, PKTGEN_REPLY_FORWARDED);
    spec.sport = 1999;
    expect_passed(&spec);
}

static void test_icmp_errors(void **state)
{
    uint8_t packet[PKTGEN_FRAME_MAX];
    struct fp_build_spec spec = reply_spec(FP_IP_ICMP);

    spec.payload = packet;
    own_packet(packet, FP_IP_UDP);
    spec.payload_bytes = 28;
    spec.type = 3;
    address(spec.source, 172, 1); /* a router's */
    expect(&spec, PKTGEN_REPLY_ICMP);
    assert_int_equal(sums().counters.icmp[3], 1);
    spec.payload_bytes = 20;
    expect_passed(&spec);
}

static void test_times(void **state)
{
    uint64_t before = sums().counters.rtt_count;
    unsigned rounds = 2000;
    struct engine_sums now;

    /* Each packet comes back at once, encapsulated; at full speed one in 64 carries a stamp. */
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t packet[PKTGEN_FRAME_MAX];
        struct fp_build_spec spec = {.family = 4, .protocol = FP_IP_IPIP, .payload = packet};

        address(spec.source, 172, 1);
        address(spec.destination, 172, 11);
        spec.payload_bytes = own_packet(packet, i & 1 ? FP_IP_TCP : FP_IP_UDP);
        receive(&spec);
    }
    now = sums();
    assert_true(now.counters.rtt_count > before + rounds / 200);
    assert_true(now.counters.rtt_min > 0 && now.counters.rtt_min < 1000000);
    assert_true(now.counters.rtt_max < 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),       cmocka_unit_test(test_not_of_the_test),
        cmocka_unit_test(test_dns),       cmocka_unit_test(test_encapsulated),
        cmocka_unit_test(test_forwarded), cmocka_unit_test(test_icmp_errors),
        cmocka_unit_test(test_times),
    };
    char path[] = "/tmp/culvert-pktgen-test-XXXXXX", line[512];
    int fd, failed;

    helper_prepare();
    fd = mkstemp(path);
    if (fd < 0 || write(fd, "www.example.com A\n", 18) != 18)
        return 1;
    close(fd);
    snprintf(line, sizeof(line),
             COMMON "--profile mix=dns,udp,tcp,syn --queries %s --to 192.0.0.1,192.0.0.1:80", path);
    helper_open(&helper, line);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    helper_close(&helper);
    unlink(path);
    return failed;
}
