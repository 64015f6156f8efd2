/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns a packet round: what came goes back to who sent it, out of the port it came from.
 */
#ifndef CULVERT_FASTPATH_REPLY_H
#define CULVERT_FASTPATH_REPLY_H

#include "dataplane/fastpath/parse.h"

#define FP_REPLY_HOPS 64u

/* Swaps the MAC addresses; VLAN tags stay. */
static fp_inline void fp_reply_ethernet(fp_u8 *frame)
{
    fp_u32 to = fp_load32(frame), from = fp_load32(frame + 6);
    fp_u16 to_tail = fp_load16(frame + 4), from_tail = fp_load16(frame + 10);

    fp_store32(frame, from);
    fp_store16(frame + 4, from_tail);
    fp_store32(frame + 6, to);
    fp_store16(frame + 10, to_tail);
}

/* Makes the IP header at `ip` that of an answer with `length` bytes behind it: addresses swapped,
 * no options or extension headers, not fragmented. The type-of-service byte is cleared. */
static fp_inline void fp_reply_ipv4(fp_u8 *ip, const struct fp_parsed *parsed, fp_u32 protocol,
                                    fp_u32 length)
{
    fp_store32(ip, fp_htonl(0x45000000u | (FP_IPV4_BYTES + length)));
    fp_store32(ip + 4, fp_htonl(FP_IPV4_DF));
    fp_store32(ip + 8, fp_htonl(FP_REPLY_HOPS << 24 | protocol << 16));
    fp_store32(ip + 12, (fp_u32)(parsed->destination[1] >> 32));
    fp_store32(ip + 16, (fp_u32)(parsed->source[1] >> 32));
    fp_store16(ip + 10, fp_sum_finish(fp_sum_ipv4_header(ip)));
}

static fp_inline void fp_reply_ipv6(fp_u8 *ip, const struct fp_parsed *parsed, fp_u32 protocol,
                                    fp_u32 length)
{
    fp_store32(ip, fp_htonl(0x60000000u));
    fp_store32(ip + 4, fp_htonl(length << 16 | protocol << 8 | FP_REPLY_HOPS));
    fp_store64(ip + 8, parsed->destination[0]);
    fp_store64(ip + 16, parsed->destination[1]);
    fp_store64(ip + 24, parsed->source[0]);
    fp_store64(ip + 32, parsed->source[1]);
}

/* Makes the frame the answer to a UDP packet. The caller has put the message of `length` bytes
 * (at most FP_SUM_MAX - 16) behind the UDP header at parsed->l4 and made the frame end there; the
 * request had neither IP options nor extension headers (FP_PARSED_OPTIONS is clear). Swaps MACs,
 * addresses and ports, keeps VLAN tags, sets lengths, hop limit and checksums. Returns 0, or -1:
 * the frame is shorter than that. */
static fp_inline int fp_reply_udp(struct fp_env *env, struct fp_packet *packet,
                                  const struct fp_parsed *parsed, fp_u32 length)
{
    fp_u32 l3 = parsed->l3 & FP_L3_MASK;
    fp_u8 *frame = fp_bytes(packet, 0, FP_ETH_BYTES);
    fp_u8 *ip, *udp;
    fp_u64 sum;

    (void)env;
    length += FP_UDP_BYTES;
    if (!frame)
        return -1;
    fp_reply_ethernet(frame);
    if (parsed->family == 4) {
        ip = fp_bytes(packet, l3, FP_IPV4_BYTES + FP_UDP_BYTES);
        if (!ip)
            return -1;
        fp_reply_ipv4(ip, parsed, FP_IP_UDP, length);
        udp = ip + FP_IPV4_BYTES;
    } else {
        ip = fp_bytes(packet, l3, FP_IPV6_BYTES + FP_UDP_BYTES);
        if (!ip)
            return -1;
        fp_reply_ipv6(ip, parsed, FP_IP_UDP, length);
        udp = ip + FP_IPV6_BYTES;
    }
    fp_store32(udp, fp_htonl((fp_u32)parsed->dport << 16 | parsed->sport));
    fp_store32(udp + 4, fp_htonl(length << 16)); /* the checksum counts as 0 */
    sum = fp_sum_pseudo(parsed, FP_IP_UDP, length) + fp_sum_frame(packet, parsed->l4 & FP_L4_MASK);
    fp_store16(udp + 6, fp_sum_finish_udp(sum));
    return 0;
}

#endif
