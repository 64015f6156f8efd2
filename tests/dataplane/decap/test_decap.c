/* SPDX-License-Identifier: Apache-2.0 */
/* The decapsulating program by test-run: bytes in, bytes out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/decap/decap.skel.h"
#include "dataplane/decap/program.h"
#include "dataplane/fastpath/build.h"

#define FRAME_MAX 512
#define SKIPPED 77

static struct options options;
static struct decap_bpf *program;

/* ---- packets ---- */

struct frame {
    uint8_t bytes[FRAME_MAX];
    size_t length;
};

static void address(uint8_t to[16], int family, unsigned last)
{
    if (family == 4) {
        fp_build_ipv4(to, 10, 0, 0, (uint8_t)last);
        return;
    }
    memset(to, 0, 16);
    fp_store32(to, fp_htonl(0x20010db8u));
    to[15] = (uint8_t)last;
}

/* Ours (the outer destination) ends in 11, an allowed source in 2, clients in 100, the virtual IP
 * in 200. */
static struct fp_build_spec inner_spec(int family)
{
    struct fp_build_spec spec = {
        .family = (uint8_t)family,
        .protocol = FP_IP_TCP,
        .sport = 40000,
        .dport = 80,
        .tcp_flags = FP_TCP_SYN,
        .payload = "hello, backend",
        .payload_bytes = 14,
    };

    address(spec.source, family, 100);
    address(spec.destination, family, 200);
    return spec;
}

static struct fp_build_spec outer_spec(int family, int inner_family, const uint8_t *payload,
                                       size_t bytes)
{
    struct fp_build_spec spec = {
        .family = (uint8_t)family,
        .protocol = inner_family == 4 ? FP_IP_IPIP : FP_IP_IPV6,
        .payload = payload,
        .payload_bytes = bytes,
    };

    address(spec.source, family, 2);
    address(spec.destination, family, 11);
    return spec;
}

/* The inner packet, without Ethernet header. */
static size_t build_inner(uint8_t *to, const struct fp_build_spec *spec)
{
    uint8_t frame[FRAME_MAX];
    size_t length = fp_build_frame(frame, sizeof(frame), spec);

    assert_true(length > FP_ETH_BYTES);
    memcpy(to, frame + FP_ETH_BYTES, length - FP_ETH_BYTES);
    return length - FP_ETH_BYTES;
}

static void build(struct frame *frame, const struct fp_build_spec *spec)
{
    frame->length = fp_build_frame(frame->bytes, sizeof(frame->bytes), spec);
    assert_true(frame->length > 0);
}

static void wrap(struct frame *frame, int outer, int inner)
{
    struct fp_build_spec spec = inner_spec(inner);
    uint8_t payload[FRAME_MAX];
    size_t bytes = build_inner(payload, &spec);

    spec = outer_spec(outer, inner, payload, bytes);
    build(frame, &spec);
}

/* ---- running ---- */

static uint64_t counted(enum decap_result result)
{
    struct decap_count counts[DECAP_RESULT_COUNT];

    assert_int_equal(program_counts(bpf_map__fd(program->maps.decap_counters), counts), 0);
    return counts[result].packets;
}

static uint32_t run(const struct frame *in, struct frame *out)
{
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in->bytes, .data_size_in = (uint32_t)in->length,
                .data_out = out->bytes, .data_size_out = sizeof(out->bytes), .repeat = 1);

    assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(program->progs.decap), &run), 0);
    out->length = run.data_size_out;
    return run.retval;
}

/* Passed on as it came, under that result. */
static void expect_untouched(const struct frame *in, enum decap_result result)
{
    uint64_t before = counted(result);
    struct frame out;

    assert_int_equal(run(in, &out), XDP_PASS);
    assert_int_equal(out.length, in->length);
    assert_memory_equal(out.bytes, in->bytes, in->length);
    assert_int_equal(counted(result), before + 1);
}

static void expect_dropped(const struct frame *in, enum decap_result result)
{
    uint64_t before = counted(result);
    struct frame out;

    assert_int_equal(run(in, &out), XDP_DROP);
    assert_int_equal(counted(result), before + 1);
}

static void expect_bytes(const struct frame *in, const struct frame *expected)
{
    uint64_t before = counted(DECAP_DECAPSULATED);
    struct frame out;

    assert_int_equal(run(in, &out), XDP_PASS);
    assert_int_equal(out.length, expected->length);
    assert_memory_equal(out.bytes, expected->bytes, expected->length);
    assert_int_equal(counted(DECAP_DECAPSULATED), before + 1);
}

static int open_program(bool any, bool vips)
{
    struct address vip[2];

    memset(&options, 0, sizeof(options));
    options.from_any = any;
    options.from_count = any ? 0 : 2;
    address(options.from[0].address.bytes, 4, 0);
    options.from[0].length = 29; /* 10.0.0.0 to .7 */
    address(options.from[1].address.bytes, 6, 0);
    options.from[1].length = 125;
    options.local_count = 2;
    address(options.local[0].bytes, 4, 11);
    address(options.local[1].bytes, 6, 11);
    options.vip_count = vips ? 2 : 0;
    if (program)
        program_close(program);
    program = NULL;
    if (program_open(&program, &options))
        return -1;
    for (int i = 0; vips && i < 2; i++) {
        address(vip[i].bytes, i ? 6 : 4, 200);
        assert_int_equal(program_add_vip(program, &vip[i], DECAP_VIP_FOUND), 0);
    }
    return 0;
}

static int setup(void **state)
{
    return open_program(false, false);
}

/* ---- tests ---- */

static const int families[2] = {4, 6};

static void test_unwraps_every_family_and_tag(void **state)
{
    for (int i = 0; i < 2 * 2 * 3; i++) {
        int outer = families[i & 1], inner = families[i >> 1 & 1], tags = i >> 2;
        struct fp_build_spec spec = inner_spec(inner), wrapped;
        struct frame in, expected;
        uint8_t payload[FRAME_MAX];
        size_t bytes = build_inner(payload, &spec);

        wrapped = outer_spec(outer, inner, payload, bytes);
        for (int tag = 0; tag < tags; tag++) {
            spec.vlan[tag] = wrapped.vlan[tag] = (uint16_t)(0x1000 | (100 + tag));
            spec.vlan_type[tag] = wrapped.vlan_type[tag] =
                tags == 2 && !tag ? FP_ETH_8021AD : FP_ETH_8021Q;
        }
        build(&in, &wrapped);
        build(&expected, &spec);
        expect_bytes(&in, &expected);
    }
}

static void test_outer_options_are_skipped(void **state)
{
    static const uint8_t ipv4_options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
    static const uint8_t limit[8] = {FP_IP_IPV6, 0, 4, 1, 4, 1, 0, 0}; /* RFC 2473 section 4.1.1 */
    struct fp_build_spec spec = inner_spec(6), wrapped;
    struct frame in, expected;
    uint8_t payload[FRAME_MAX];
    size_t bytes = build_inner(payload, &spec);

    build(&expected, &spec);
    wrapped = outer_spec(4, 6, payload, bytes);
    wrapped.options = ipv4_options;
    wrapped.options_bytes = sizeof(ipv4_options);
    build(&in, &wrapped);
    expect_bytes(&in, &expected);
    wrapped = outer_spec(6, 6, payload, bytes);
    wrapped.options = limit;
    wrapped.options_bytes = sizeof(limit);
    wrapped.options_type = FP_IP_DSTOPTS;
    build(&in, &wrapped);
    expect_bytes(&in, &expected);
}

static void test_what_is_not_for_us_passes(void **state)
{
    struct fp_build_spec spec = inner_spec(4);
    struct frame in;
    uint8_t payload[FRAME_MAX];
    size_t bytes = build_inner(payload, &spec);

    build(&in, &spec);
    expect_untouched(&in, DECAP_NOT_ENCAPSULATED);
    memset(in.bytes + 12, 0, 2); /* no IP at all */
    expect_untouched(&in, DECAP_NOT_ENCAPSULATED);
    in.length = FP_ETH_BYTES + 3;
    expect_untouched(&in, DECAP_NOT_ENCAPSULATED);
    spec = outer_spec(4, 4, payload, bytes);
    address(spec.destination, 4, 12);
    build(&in, &spec);
    expect_untouched(&in, DECAP_NOT_LOCAL);
}

static void test_sources_are_checked(void **state)
{
    for (int i = 0; i < 4; i++) {
        int outer = families[i & 1], inner = families[i >> 1];
        struct fp_build_spec spec = inner_spec(inner);
        struct frame in;
        uint8_t payload[FRAME_MAX];
        size_t bytes = build_inner(payload, &spec);

        spec = outer_spec(outer, inner, payload, bytes);
        address(spec.source, outer, 8); /* the first one behind the prefix */
        build(&in, &spec);
        expect_dropped(&in, DECAP_REFUSED_SOURCE);
    }
    assert_int_equal(open_program(true, false), 0);
    test_unwraps_every_family_and_tag(state);
}

static void test_only_virtual_addresses(void **state)
{
    struct fp_build_spec spec = inner_spec(4);
    struct frame in;
    uint8_t payload[FRAME_MAX];
    size_t bytes;

    assert_int_equal(open_program(false, true), 0);
    test_unwraps_every_family_and_tag(state);
    address(spec.destination, 4, 201);
    bytes = build_inner(payload, &spec);
    spec = outer_spec(4, 4, payload, bytes);
    build(&in, &spec);
    expect_dropped(&in, DECAP_REFUSED_VIP);
}

/* Every length that the inner packet may be cut to, the outer one saying so. */
static void test_truncated_inner(void **state)
{
    for (int i = 0; i < 4; i++) {
        int outer = families[i & 1], inner = families[i >> 1];
        struct fp_build_spec spec = inner_spec(inner);
        uint8_t payload[FRAME_MAX];
        size_t bytes = build_inner(payload, &spec);

        for (size_t cut = 0; cut < bytes; cut++) {
            struct frame in;

            spec = outer_spec(outer, inner, payload, cut);
            build(&in, &spec);
            expect_dropped(&in, DECAP_MALFORMED);
            /* With bytes behind it, that the outer packet doesn't count: Ethernet's padding. */
            memset(in.bytes + in.length, 0, sizeof(in.bytes) - in.length);
            memcpy(in.bytes + in.length, payload + cut, bytes - cut);
            in.length += bytes - cut;
            expect_dropped(&in, DECAP_MALFORMED);
        }
    }
}

/* Frames that end inside of the outer headers, as the wire may bring them. */
static void test_truncated_outer(void **state)
{
    struct frame in, out;

    for (int i = 0; i < 2; i++) {
        size_t whole;

        wrap(&in, families[i], 4);
        whole = in.length;
        for (in.length = FP_ETH_BYTES; in.length < whole; in.length++) {
            uint64_t before = counted(DECAP_DECAPSULATED);

            run(&in, &out);
            assert_int_equal(counted(DECAP_DECAPSULATED), before);
        }
    }
}

static void expect_inner_change(int family, size_t offset, uint8_t value, bool fix_checksum,
                                enum decap_result result)
{
    struct fp_build_spec spec = inner_spec(family);
    uint8_t payload[FRAME_MAX];
    size_t bytes = build_inner(payload, &spec);
    struct frame in;

    payload[offset] = value;
    if (fix_checksum) {
        memset(payload + 10, 0, 2);
        fp_store16(payload + 10, fp_sum_finish(fp_build_sum(payload, FP_IPV4_BYTES)));
    }
    spec = outer_spec(4, family, payload, bytes);
    build(&in, &spec);
    expect_dropped(&in, result);
}

static void test_lying_inner_headers(void **state)
{
    for (unsigned ihl = 0; ihl < 5; ihl++)
        expect_inner_change(4, 0, (uint8_t)(0x40 | ihl), true, DECAP_MALFORMED);
    expect_inner_change(4, 0, 0x4f, true, DECAP_MALFORMED);  /* options into the payload */
    expect_inner_change(4, 0, 0x65, true, DECAP_MALFORMED);  /* version 6 under protocol 4 */
    expect_inner_change(4, 2, 0xff, true, DECAP_MALFORMED);  /* longer than the outer one */
    expect_inner_change(4, 8, 63, false, DECAP_MALFORMED);   /* a wrong checksum */
    expect_inner_change(4, 12, 127, true, DECAP_MALFORMED);  /* from loopback */
    expect_inner_change(4, 12, 224, true, DECAP_MALFORMED);  /* from a group */
    expect_inner_change(6, 0, 0x45, false, DECAP_MALFORMED); /* version 4 under protocol 41 */
    expect_inner_change(6, 4, 0x80, false, DECAP_MALFORMED);
    expect_inner_change(6, 8, 0xff, false, DECAP_MALFORMED);
}

static void test_nested_and_fragments(void **state)
{
    for (int i = 0; i < 4; i++) {
        int outer = families[i & 1], inner = families[i >> 1];
        struct frame once, in;
        struct fp_build_spec spec;

        wrap(&once, inner, 4);
        spec = outer_spec(outer, inner, once.bytes + FP_ETH_BYTES, once.length - FP_ETH_BYTES);
        build(&in, &spec);
        expect_dropped(&in, DECAP_NESTED);
    }
    {
        struct fp_build_spec spec = inner_spec(4);
        uint8_t payload[FRAME_MAX];
        size_t bytes = build_inner(payload, &spec);
        struct frame in;

        spec = outer_spec(4, 4, payload, bytes);
        spec.fragment = FP_IPV4_MF;
        build(&in, &spec);
        expect_dropped(&in, DECAP_FRAGMENT);
        spec.fragment = 5;
        build(&in, &spec);
        expect_dropped(&in, DECAP_FRAGMENT);
    }
}

/* RFC 6040: a mark made on the way must reach the receiver, or the packet must not. */
static void test_congestion_marks(void **state)
{
    for (int i = 0; i < 4; i++) {
        int outer = families[i & 1], inner = families[i >> 1];
        struct fp_build_spec spec = inner_spec(inner), wrapped;
        struct frame in, expected;
        uint8_t payload[FRAME_MAX];
        size_t bytes;

        spec.dscp_ecn = 0xb8 | 2;
        bytes = build_inner(payload, &spec);
        wrapped = outer_spec(outer, inner, payload, bytes);
        wrapped.dscp_ecn = 3;
        build(&in, &wrapped);
        spec.dscp_ecn = 0xb8 | 3;
        build(&expected, &spec);
        expect_bytes(&in, &expected);
        spec.dscp_ecn = 0xb8;
        build_inner(payload, &spec);
        build(&in, &wrapped);
        expect_dropped(&in, DECAP_MALFORMED);
    }
}

/* Whatever bytes are hit: what comes out unwrapped is a packet that the parser takes. */
static void test_mutations(void **state)
{
    unsigned changed = 0;

    srandom(20061);
    for (unsigned round = 0; round < 20000; round++) {
        struct frame in, out = {0};

        wrap(&in, families[round & 1], families[round >> 1 & 1]);
        for (long hits = random() % 4; hits >= 0; hits--)
            in.bytes[12 + (size_t)random() % (in.length - 12)] ^= (uint8_t)(1u << random() % 8);
        if (run(&in, &out) == XDP_PASS && out.length != in.length) {
            struct fp_packet packet = {.data = out.bytes,
                                       .end = out.bytes + out.length,
                                       .head = out.bytes,
                                       .limit = out.bytes + FRAME_MAX};
            struct fp_parsed parsed = {0};

            assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
            assert_int_equal(parsed.problem, 0);
            assert_true(parsed.protocol != FP_IP_IPIP && parsed.protocol != FP_IP_IPV6);
            changed++;
        }
    }
    assert_true(changed > 1000);
}

static void test_locals_follow(void **state)
{
    struct address list[2];
    struct frame in;

    wrap(&in, 4, 4);
    address(list[0].bytes, 4, 12);
    address(list[1].bytes, 4, 13);
    assert_int_equal(program_set_locals(program, list, 2), 0);
    expect_untouched(&in, DECAP_NOT_LOCAL);
    address(list[1].bytes, 4, 11);
    assert_int_equal(program_set_locals(program, list, 2), 0);
    wrap(&in, 4, 6);
    {
        struct frame out;

        assert_int_equal(run(&in, &out), XDP_PASS);
        assert_true(out.length < in.length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unwraps_every_family_and_tag, setup),
        cmocka_unit_test_setup(test_outer_options_are_skipped, setup),
        cmocka_unit_test_setup(test_what_is_not_for_us_passes, setup),
        cmocka_unit_test_setup(test_sources_are_checked, setup),
        cmocka_unit_test_setup(test_only_virtual_addresses, setup),
        cmocka_unit_test_setup(test_truncated_inner, setup),
        cmocka_unit_test_setup(test_truncated_outer, setup),
        cmocka_unit_test_setup(test_lying_inner_headers, setup),
        cmocka_unit_test_setup(test_nested_and_fragments, setup),
        cmocka_unit_test_setup(test_congestion_marks, setup),
        cmocka_unit_test_setup(test_mutations, setup),
        cmocka_unit_test_setup(test_locals_follow, setup),
    };
    int failed;

    if (attach_check_privilege()) {
        puts("skipped: root is needed to load BPF programs");
        return SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (program)
        program_close(program);
    return failed;
}
