/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071), whole and incremental (RFC 1624).
 *
 * Sums are kept in 64 bits over words in the order they lie in the packet: the one's complement
 * sum doesn't depend on byte order, so nothing is swapped but numbers that never lay in a packet.
 */
#ifndef CULVERT_FASTPATH_CHECKSUM_H
#define CULVERT_FASTPATH_CHECKSUM_H

#include "dataplane/fastpath/bytes.h"
#include "dataplane/fastpath/headers.h"

/* Folds a sum to 16 bits. */
static fp_inline fp_u16 fp_sum_fold(fp_u64 sum)
{
#ifdef FP_BPF
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16); /* 18 bits at most from here on */
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (fp_u16)sum;
#else
    fp_u32 halves;

    sum = (sum & 0xffffffff) + (sum >> 32);
    halves = (fp_u32)sum + (fp_u32)(sum >> 32);
    /* The sum of the halves comes to stand above, with the carry out of that below: eBPF has no
     * rotation. */
    halves += halves << 16 | halves >> 16;
    return (fp_u16)(halves >> 16);
#endif
}

/* The checksum field of a sum, as it lies in the packet. */
static fp_inline fp_be16 fp_sum_finish(fp_u64 sum)
{
    return (fp_be16)~fp_sum_fold(sum);
}

/* UDP: 0 would say "no checksum", so the equal 0xffff is sent (RFC 768). */
static fp_inline fp_be16 fp_sum_finish_udp(fp_u64 sum)
{
    fp_be16 check = fp_sum_finish(sum);

    return check ? check : 0xffff;
}

/* Sum of the two words of an address in key form. An IPv4-mapped prefix must not count: use
 * fp_sum_ipv4(). */
static fp_inline fp_u64 fp_sum_words(fp_u64 a, fp_u64 b)
{
    return (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
}

/* Sum of the 20 bytes of an IPv4 header without options. */
static fp_inline fp_u64 fp_sum_ipv4_header(const fp_u8 *header)
{
    return (fp_u64)fp_load32(header) + fp_load32(header + 4) + fp_load32(header + 8) +
           fp_load32(header + 12) + fp_load32(header + 16);
}

/* A checksum field after the words under it changed: RFC 1624, eqn. 3. `removed` and `added` are
 * sums of what was there and what is there now. */
static fp_inline fp_be16 fp_sum_update(fp_be16 check, fp_u64 removed, fp_u64 added)
{
    return fp_sum_finish((fp_u64)(fp_u16)~check + (fp_u16)~fp_sum_fold(removed) + added);
}

/* The same for UDP, where a field of 0 (IPv4 only) says that there is none: it stays. */
static fp_inline fp_be16 fp_sum_update_udp(fp_be16 check, fp_u64 removed, fp_u64 added)
{
    if (!check)
        return 0;
    check = fp_sum_update(check, removed, added);
    return check ? check : 0xffff;
}

/* Sum of the pseudo header (RFC 768, RFC 8200 section 8.1) of a packet whose L4 part has `length`
 * bytes. */
static fp_inline fp_u64 fp_sum_pseudo(const struct fp_parsed *parsed, fp_u32 protocol,
                                      fp_u32 length)
{
    fp_u64 sum = (fp_u64)fp_htonl(length) + fp_htonl(protocol);

    if (parsed->family == 4)
        return sum + (parsed->source[1] >> 32) + (parsed->destination[1] >> 32);
    return sum + fp_sum_words(parsed->source[0], parsed->source[1]) +
           fp_sum_words(parsed->destination[0], parsed->destination[1]);
}

#define FP_SUM_STEP 32u  /* bytes a step */
#define FP_SUM_MAX 4128u /* most bytes that fp_sum_frame() takes */

/* Sum of the frame's bytes from `offset` (at most FP_SUM_OFFSET) to its end, at most FP_SUM_MAX of
 * them. Words are added as 32 bits to two sums: no carries to mind, two loads a cycle. */
#define FP_SUM_OFFSET 0x3ffu
fp_subprogram fp_u64 fp_sum_frame_from(FP_FRAME *frame, fp_u32 offset)
{
    FP_FRAME_OPEN(frame, packet);
    fp_u64 sum = 0, other = 0;
    fp_u8 *at = fp_bytes(packet, offset & FP_SUM_OFFSET, 0);

    if (!at)
        return 0;
    for (fp_u32 step = 0; step < FP_SUM_MAX / FP_SUM_STEP; step++) {
        if (at + FP_SUM_STEP > packet->end)
            break;
        sum += (fp_u64)fp_load32(at) + fp_load32(at + 8) + fp_load32(at + 16) + fp_load32(at + 24);
        other += (fp_u64)fp_load32(at + 4) + fp_load32(at + 12) + fp_load32(at + 20) +
                 fp_load32(at + 28);
        at += FP_SUM_STEP;
    }
    for (fp_u32 step = 0; step < FP_SUM_STEP / 4 - 1; step++) {
        if (at + 4 > packet->end)
            break;
        sum += fp_load32(at);
        at += 4;
    }
    if (at + 2 <= packet->end) {
        other += fp_load16(at);
        at += 2;
    }
    if (at + 1 <= packet->end)
        other += *at;
    return sum + other;
}

static fp_inline fp_u64 fp_sum_frame(struct fp_packet *packet, fp_u32 offset)
{
    return fp_sum_frame_from(fp_frame(packet), offset);
}

#endif
