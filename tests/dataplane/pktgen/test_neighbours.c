/* SPDX-License-Identifier: Apache-2.0 */
/* ARP and neighbour discovery: two stations that ask and answer each other, frames as the RFCs have
 * them, and what is not for us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/pktgen/dpdk/neighbours.h"

#define TAG 0x1007u

/* A frame in memory of its own size: what reads behind it is found. */
struct frame {
    uint8_t *bytes;
    struct fp_packet packet;
};

static void frame_set(struct frame *frame, const uint8_t *bytes, size_t length)
{
    free(frame->bytes);
    frame->bytes = malloc(length ? length : 1);
    assert_non_null(frame->bytes);
    memcpy(frame->bytes, bytes, length);
    frame->packet.head = frame->packet.data = frame->bytes;
    frame->packet.end = frame->packet.limit = frame->bytes + length;
}

static void station(struct neighbours *neighbours, uint8_t number, uint16_t vlan)
{
    *neighbours = (struct neighbours){.mac = {2, [5] = number}, .vlan = vlan};
    fp_build_ipv4(neighbours->own[0].address.bytes, 198, 18, 0, number);
    memcpy(neighbours->own[1].address.bytes,
           (uint8_t[16]){0x20, 1, 0xd, 0xb8, [13] = 5, [15] = number}, 16);
    neighbours->own[0].given = neighbours->own[1].given = true;
}

/* One asks, the other answers, and the first one knows. */
static void converse(uint16_t vlan, int family)
{
    struct neighbours asks, answers, third;
    uint8_t bytes[NEIGHBOURS_FRAME_MAX], mac[6];
    const struct address *address;
    struct frame frame = {0};

    station(&asks, 1, vlan);
    station(&answers, 2, vlan);
    station(&third, 3, vlan);
    address = &answers.own[family].address;
    frame_set(&frame, bytes, neighbours_ask(&asks, address, bytes));
    assert_false(neighbours_hear(&asks, &frame.packet, address, mac));
    assert_int_equal(neighbours_answer(&third, &frame.packet, bytes), 0);
    frame_set(&frame, bytes, neighbours_answer(&answers, &frame.packet, bytes));
    assert_memory_equal(frame.bytes, asks.mac, 6);
    assert_memory_equal(frame.bytes + 6, answers.mac, 6);
    assert_false(neighbours_hear(&asks, &frame.packet, &third.own[family].address, mac));
    assert_true(neighbours_hear(&asks, &frame.packet, address, mac));
    assert_memory_equal(mac, answers.mac, 6);
    assert_int_equal(neighbours_answer(&answers, &frame.packet, bytes), 0);
    free(frame.bytes);
}

static void test_ask_and_answer(void **state)
{
    converse(0, 0);
    converse(0, 1);
    converse(TAG, 0);
    converse(TAG, 1);
}

static void test_arp_is_as_rfc_826_has_it(void **state)
{
    static const uint8_t wanted[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,  0, 0, 0,
                                     1,    0x08, 0x06, 0,    1,    8,    0,   6,  4, 0, 1,
                                     2,    0,    0,    0,    0,    1,    198, 18, 0, 1, 0,
                                     0,    0,    0,    0,    0,    198,  18,  0,  2};
    struct neighbours one, two;
    uint8_t bytes[NEIGHBOURS_FRAME_MAX];

    station(&one, 1, 0);
    station(&two, 2, 0);
    assert_int_equal(neighbours_ask(&one, &two.own[0].address, bytes), 60);
    assert_memory_equal(bytes, wanted, sizeof(wanted));
}

static void test_solicitations_go_to_the_group(void **state)
{
    struct neighbours one, two;
    uint8_t bytes[NEIGHBOURS_FRAME_MAX];
    struct fp_packet packet = {.head = bytes, .data = bytes, .limit = bytes + sizeof(bytes)};
    struct fp_parsed parsed = {0};

    station(&one, 1, 0);
    station(&two, 2, 0);
    packet.end = bytes + neighbours_ask(&one, &two.own[1].address, bytes);
    assert_int_equal(packet.end - packet.data, 86);
    assert_memory_equal(bytes, ((uint8_t[6]){0x33, 0x33, 0xff, 5, 0, 2}), 6);
    assert_int_equal(fp_parse(&packet, &parsed), FP_GO_ON);
    assert_int_equal(parsed.hops, 255);
    assert_memory_equal(bytes + parsed.l3 + 24,
                        ((uint8_t[16]){0xff, 2, [11] = 1, [12] = 0xff, [13] = 5, [15] = 2}), 16);
    assert_int_equal(
        fp_sum_fold(fp_sum_pseudo(&parsed, FP_IP_ICMPV6, 32) + fp_build_sum(bytes + parsed.l4, 32)),
        0xffff);
}

/* Whoever looks whether our address is free (RFC 4862 section 5.4) hears it by all nodes' group. */
static void test_duplicate_address_detection(void **state)
{
    struct neighbours one, two;
    uint8_t bytes[NEIGHBOURS_FRAME_MAX], payload[16];
    struct fp_build_spec spec = {.family = 6,
                                 .hops = 255,
                                 .protocol = FP_IP_ICMPV6,
                                 .type = 135,
                                 .payload = payload,
                                 .payload_bytes = sizeof(payload)};
    struct frame frame = {0};

    station(&one, 1, 0);
    station(&two, 2, 0);
    memcpy(payload, two.own[1].address.bytes, 16);
    memset(spec.destination, 0xff, 2);
    frame_set(&frame, bytes, fp_build_frame(bytes, sizeof(bytes), &spec));
    assert_int_equal(neighbours_answer(&two, &frame.packet, bytes), 86);
    assert_memory_equal(bytes, ((uint8_t[6]){0x33, 0x33, [5] = 1}), 6);
    assert_int_equal(bytes[14 + 40 + 4], 0x20); /* not solicited */
    spec.hops = 254;                            /* from another link */
    frame_set(&frame, bytes, fp_build_frame(bytes, sizeof(bytes), &spec));
    assert_int_equal(neighbours_answer(&two, &frame.packet, bytes), 0);
    free(frame.bytes);
}

/* No frame is read behind its end, and what was cut or is in another VLAN is no message. */
static void test_cut_and_foreign(void **state)
{
    for (int family = 0; family < 2; family++) {
        struct neighbours one, two, other;
        uint8_t bytes[NEIGHBOURS_FRAME_MAX], answer[NEIGHBOURS_FRAME_MAX], mac[6];
        struct frame frame = {0};
        size_t length;

        station(&one, 1, TAG);
        station(&two, 2, TAG);
        length = neighbours_ask(&one, &two.own[family].address, bytes);
        for (size_t cut = 0; cut < (family ? length - 8 : 46); cut++) {
            frame_set(&frame, bytes, cut);
            assert_int_equal(neighbours_answer(&two, &frame.packet, answer), 0);
            assert_false(neighbours_hear(&two, &frame.packet, &one.own[family].address, mac));
        }
        frame_set(&frame, bytes, length);
        station(&other, 2, TAG + 1);
        assert_int_equal(neighbours_answer(&other, &frame.packet, answer), 0);
        station(&other, 2, 0);
        assert_int_equal(neighbours_answer(&other, &frame.packet, answer), 0);
        two.own[family].given = false;
        assert_int_equal(neighbours_answer(&two, &frame.packet, answer), 0);
        free(frame.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_and_answer),
        cmocka_unit_test(test_arp_is_as_rfc_826_has_it),
        cmocka_unit_test(test_solicitations_go_to_the_group),
        cmocka_unit_test(test_duplicate_address_detection),
        cmocka_unit_test(test_cut_and_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
