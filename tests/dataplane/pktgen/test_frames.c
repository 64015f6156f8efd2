/* SPDX-License-Identifier: Apache-2.0 */
/* The frames that are sent: every one whole, right, and varied as asked. */
#include "tests/dataplane/pktgen/helper.h"

#define COMMON "--interface v0 --gateway-mac " HELPER_GATEWAY " "
#define FRAMES 3000u

static char queries_path[] = "/tmp/culvert-pktgen-test-XXXXXX";

static const char *const names[] = {"a.example", "www.example.com",
                                    "a-rather-long-name.of-many.labels.example.net"};

static void write_queries(void)
{
    int fd = mkstemp(queries_path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (!file)
        exit(1);
    fprintf(file, "# comment\n\na.example A\nwww.example.com. aaaa ; another\n");
    fprintf(file, "\ta-rather-long-name.of-many.labels.example.net TYPE65280\r\n");
    fclose(file);
}

/* A set of flows seen, as bits of (address, port). */
struct seen {
    uint8_t bits[1 << 16];
    unsigned different;
};

static void note_flow(struct seen *seen, unsigned flow)
{
    assert_true(flow < sizeof(seen->bits) * 8);
    if (seen->bits[flow / 8] & 1u << flow % 8)
        return;
    seen->bits[flow / 8] |= (uint8_t)(1u << flow % 8);
    seen->different++;
}

/* Checks many frames of a command line against what it says. */
static unsigned check_flows(const char *line, unsigned family, unsigned protocol, unsigned dport,
                            unsigned hosts, unsigned size)
{
    static struct seen seen;
    struct helper helper;

    memset(&seen, 0, sizeof(seen));
    helper_open(&helper, line);
    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t frame[PKTGEN_FRAME_MAX];
        uint32_t length = helper_frame(&helper, frame);
        struct fp_parsed parsed;
        unsigned host;

        helper_check(frame, length, &parsed);
        assert_int_equal(length, size);
        assert_int_equal(parsed.family, family);
        assert_int_equal(parsed.protocol, protocol);
        assert_int_equal(parsed.dport, dport);
        assert_int_equal(frame[5], 0x99);
        assert_in_range(parsed.sport, helper.options.port_low, helper.options.port_high);
        host = fp_ntohl(fp_load32(frame + parsed.l3 + (family == 4 ? 12 : 20)));
        assert_true((host & 0xffff) < hosts);
        note_flow(&seen, (parsed.sport - helper.options.port_low) * hosts + (host & 0xffff));
    }
    helper_close(&helper);
    return seen.different;
}

static void test_flows(void **state)
{
    assert_int_equal(check_flows(COMMON "--profile udp --to 192.0.2.1:80 --sources 10.0.0.0/26 "
                                        "--ports 2000-2009 --flows 640",
                                 4, FP_IP_UDP, 80, 64, 60),
                     640);
    assert_int_equal(check_flows(COMMON "--profile tcp --to 192.0.2.1:80 --sources 10.0.0.0/30 "
                                        "--flows 1000",
                                 4, FP_IP_TCP, 80, 4, 60),
                     1000);
    assert_int_equal(check_flows(COMMON "--profile syn --to [2001:db8::1]:443 --sources "
                                        "2001:db8:1::/120 --ports 7-8",
                                 6, FP_IP_TCP, 443, 256, 74),
                     512);
    assert_int_equal(check_flows(COMMON "--profile udp --to [2001:db8::1]:443 --sources "
                                        "2001:db8:1::/128 --flows 1 --size 1514",
                                 6, FP_IP_UDP, 443, 1, 1514),
                     1);
    assert_int_equal(check_flows(COMMON "--profile tcp --vlan 7 --to 192.0.2.1:80 --sources "
                                        "10.0.0.0/32 --size 701 --flows 99",
                                 4, FP_IP_TCP, 80, 1, 701),
                     99);
}

static unsigned name_at(const uint8_t *question, char *to)
{
    unsigned at = 0;

    while (question[at]) {
        memcpy(to, question + at + 1, question[at]);
        to += question[at];
        at += question[at] + 1u;
        if (question[at])
            *to++ = '.';
    }
    *to = '\0';
    return at + 1;
}

static void check_dns(const char *line, unsigned opt)
{
    static const unsigned types[] = {1, 28, 65280};
    struct helper helper;
    uint16_t last = 0;

    helper_open(&helper, line);
    for (unsigned i = 0; i < 99; i++) {
        uint8_t frame[PKTGEN_FRAME_MAX];
        uint32_t length = helper_frame(&helper, frame);
        struct fp_parsed parsed;
        const uint8_t *message;
        char name[256];
        unsigned at;

        helper_check(frame, length, &parsed);
        assert_int_equal(length, parsed.l3 + parsed.bytes);
        message = frame + parsed.l4 + FP_UDP_BYTES;
        assert_int_equal(fp_load16(message + 2), 0);
        assert_int_equal(fp_load16(message + 4), fp_htons(1));
        assert_int_equal(fp_load16(message + 10), fp_htons(opt ? 1 : 0));
        assert_true(!i || fp_load16(message) != last);
        last = fp_load16(message);
        at = 12 + name_at(message + 12, name);
        assert_string_equal(name, names[i % 3]);
        assert_int_equal(fp_ntohs(fp_load16(message + at)), types[i % 3]);
        assert_int_equal(fp_ntohs(fp_load16(message + at + 2)), 1);
        at += 4;
        if (opt) {
            assert_int_equal(fp_ntohs(fp_load16(message + at + 1)), 41);
            assert_int_equal(fp_ntohs(fp_load16(message + at + 3)), opt);
            at += 11;
        }
        assert_int_equal(parsed.payload, at);
    }
    helper_close(&helper);
}

static void test_questions(void **state)
{
    char line[256];

    snprintf(line, sizeof(line),
             COMMON "--profile dns --to 192.0.2.53 --sources 10.0.0.0/24 "
                    "--queries %s",
             queries_path);
    check_dns(line, 0);
    snprintf(line, sizeof(line),
             COMMON "--profile dns --to 2001:db8::53 --sources "
                    "2001:db8:1::/64 --edns 1232 --queries %s",
             queries_path);
    check_dns(line, 1232);
}

static void test_mix_keeps_its_weights(void **state)
{
    unsigned counts[4] = {0}, ports[2] = {0};
    struct helper helper;
    char line[256];

    snprintf(line, sizeof(line),
             COMMON "--profile mix=dns:50,tcp:30,syn:20 --sources 10.0.0.0/24 --queries %s --to "
                    "192.0.2.53,192.0.2.1:80,192.0.2.1:81",
             queries_path);
    helper_open(&helper, line);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t frame[PKTGEN_FRAME_MAX];
        uint32_t length = helper_frame(&helper, frame);
        struct fp_parsed parsed;

        helper_check(frame, length, &parsed);
        if (parsed.protocol == FP_IP_UDP) {
            assert_int_equal(parsed.dport, 53);
            counts[0]++;
            continue;
        }
        counts[parsed.flags & FP_PARSED_SYN ? 2 : 1]++;
        assert_in_range(parsed.dport, 80, 81);
        ports[parsed.dport - 80]++;
    }
    assert_int_equal(counts[0], 500);
    assert_int_equal(counts[1], 300);
    assert_int_equal(counts[2], 200);
    assert_int_equal(ports[0], 250);
    helper_close(&helper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_mix_keeps_its_weights),
    };
    int failed;

    helper_prepare();
    write_queries();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(queries_path);
    return failed;
}
