/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet that doesn't fit on the way to the backend: its sender is told the size that would, by
 * ICMP "fragmentation needed" (RFC 1191) or ICMPv6 "packet too big" (RFC 4443 section 3.2), from
 * the service address.
 */
#ifndef CULVERT_FASTPATH_TOOBIG_H
#define CULVERT_FASTPATH_TOOBIG_H

#include "dataplane/fastpath/icmp.h"

#define FP_TOOBIG_IPV4 (FP_IPV4_BYTES + FP_ICMP_BYTES)
#define FP_TOOBIG_IPV6 (FP_IPV6_BYTES + FP_ICMP_BYTES)
#define FP_TOOBIG_QUOTE4 (576u - FP_TOOBIG_IPV4)  /* RFC 1812 section 4.3.2.3 */
#define FP_TOOBIG_QUOTE6 (1280u - FP_TOOBIG_IPV6) /* RFC 4443 section 2.4 (c) */

/* Copies the Ethernet header and the most tags there may be, turned round, from `grow` bytes on to
 * the frame's new start. What of it is IP header is written over next. */
static fp_inline int fp_toobig_ethernet(struct fp_packet *packet, fp_u32 grow)
{
    fp_u8 *to = fp_bytes(packet, 0, 22);
    fp_u8 *from = fp_bytes(packet, grow, 22);

    if (!to || !from)
        return -1;
    fp_store64(to, fp_load64(from));
    fp_store64(to + 8, fp_load64(from + 8));
    fp_store32(to + 16, fp_load32(from + 16));
    fp_store16(to + 20, fp_load16(from + 20));
    fp_reply_ethernet(to);
    return 0;
}

/* The addresses of the packet whose IP header lies at `ip`. */
static fp_inline void fp_toobig_addresses(const fp_u8 *ip, struct fp_parsed *parsed)
{
    if (parsed->family == 4) {
        parsed->source[1] = FP_KEY_IPV4(fp_load32(ip + 12));
        parsed->destination[1] = FP_KEY_IPV4(fp_load32(ip + 16));
        return;
    }
    parsed->source[0] = fp_load64(ip + 8);
    parsed->source[1] = fp_load64(ip + 16);
    parsed->destination[0] = fp_load64(ip + 24);
    parsed->destination[1] = fp_load64(ip + 32);
}

/* Writes the IP and ICMP headers before the quoted packet, which starts behind them and reaches
 * to the frame's end. Returns 0, or -1: the frame is too short. */
static fp_inline int fp_toobig_headers(struct fp_packet *packet, fp_u32 l3, fp_u32 family,
                                       fp_u32 length, fp_u32 mtu)
{
    struct fp_parsed parsed = {.family = (fp_u8)family};
    fp_u8 *ip, *icmp;
    fp_u64 sum;

    if (family == 4) {
        ip = fp_bytes(packet, l3, FP_TOOBIG_IPV4 + FP_IPV4_BYTES);
        if (!ip)
            return -1;
        fp_toobig_addresses(ip + FP_TOOBIG_IPV4, &parsed);
        fp_reply_ipv4(ip, &parsed, FP_IP_ICMP, length);
        icmp = ip + FP_IPV4_BYTES;
        fp_store32(icmp, FP_ICMP_UNREACHABLE | FP_ICMP_NEEDS_FRAGMENTATION << 8);
        sum = fp_sum_frame(packet, l3 + FP_TOOBIG_IPV4);
    } else {
        ip = fp_bytes(packet, l3, FP_TOOBIG_IPV6 + FP_IPV6_BYTES);
        if (!ip)
            return -1;
        fp_toobig_addresses(ip + FP_TOOBIG_IPV6, &parsed);
        fp_reply_ipv6(ip, &parsed, FP_IP_ICMPV6, length);
        icmp = ip + FP_IPV6_BYTES;
        fp_store32(icmp, FP_ICMPV6_TOO_BIG);
        sum = fp_sum_pseudo(&parsed, FP_IP_ICMPV6, length);
        sum += fp_sum_frame(packet, l3 + FP_TOOBIG_IPV6);
    }
    fp_store32(icmp + 4, fp_htonl(mtu));
    sum += (fp_u64)fp_load32(icmp) + fp_load32(icmp + 4);
    fp_store16(icmp + 2, fp_sum_finish(sum));
    return 0;
}

/* Turns the frame into the ICMP error that quotes `quote` bytes of the packet, whose IP header lies
 * at `l3`. Returns the reason of the packet's end. */
fp_subprogram fp_u32 fp_toobig_write(FP_FRAME *frame, fp_u32 l3, fp_u32 family, fp_u32 quote,
                                     fp_u32 mtu)
{
    FP_FRAME_OPEN(frame, packet);
    fp_u32 grow = family == 4 ? FP_TOOBIG_IPV4 : FP_TOOBIG_IPV6;

    l3 &= FP_L3_MASK;
    if (fp_adjust_tail(packet, (int)(l3 + quote) - (int)fp_frame_bytes(packet)) ||
        fp_adjust_head(packet, -(int)grow) || fp_toobig_ethernet(packet, grow))
        return FP_DROP_NO_ROOM;
    if (fp_toobig_headers(packet, l3, family, FP_ICMP_BYTES + quote, mtu))
        return FP_DROP_NO_ROOM;
    return FP_ICMP_TOO_BIG;
}

/* Tells the sender that packets may have `mtu` bytes on the way, where ICMP may be sent at all
 * (RFC 1122 section 3.2.2). Returns the reason of the packet's end. */
static fp_inline fp_u32 fp_toobig_reply(struct fp_packet *packet, const struct fp_parsed *parsed,
                                        fp_u32 mtu)
{
    fp_u32 most = parsed->family == 4 ? FP_TOOBIG_QUOTE4 : FP_TOOBIG_QUOTE6;
    fp_u32 quote = parsed->bytes < most ? parsed->bytes : most;

    if (!(parsed->flags & FP_PARSED_DF) || parsed->flags & (FP_PARSED_ERROR | FP_PARSED_LATER))
        return FP_DROP_TOO_BIG;
    return fp_toobig_write(fp_frame(packet), parsed->l3, parsed->family, quote, mtu);
}

#endif
