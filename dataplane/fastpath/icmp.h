/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 to service addresses: pings are answered, errors are matched to the flow that
 * they are about.
 */
#ifndef CULVERT_FASTPATH_ICMP_H
#define CULVERT_FASTPATH_ICMP_H

#include "dataplane/fastpath/reply.h"

/* RFC 792, RFC 4443 */
#define FP_ICMP_TYPE_ECHO_REPLY 0u
#define FP_ICMP_UNREACHABLE 3u
#define FP_ICMP_TYPE_ECHO 8u
#define FP_ICMP_TIME_EXCEEDED 11u
#define FP_ICMP_PARAMETER 12u
#define FP_ICMP_NEEDS_FRAGMENTATION 4u /* code of FP_ICMP_UNREACHABLE */
#define FP_ICMPV6_TOO_BIG 2u
#define FP_ICMPV6_ERROR_MIN 1u
#define FP_ICMPV6_ERROR_MAX 4u
#define FP_ICMPV6_ECHO 128u
#define FP_ICMPV6_ECHO_REPLY 129u
#define FP_ICMPV6_ROUTER_SOLICIT 133u /* neighbour discovery, RFC 4861: 133..137 */
#define FP_ICMPV6_REDIRECT 137u

/* True for the ICMP of the packet's own family, with a readable header. */
static fp_inline int fp_is_icmp(const struct fp_parsed *parsed)
{
    return parsed->protocol == (parsed->family == 4 ? FP_IP_ICMP : FP_IP_ICMPV6) &&
           !(parsed->flags & FP_PARSED_LATER) && !parsed->problem;
}

static fp_inline int fp_is_echo(const struct fp_parsed *parsed)
{
    return parsed->type == (parsed->family == 4 ? FP_ICMP_TYPE_ECHO : FP_ICMPV6_ECHO);
}

static fp_inline int fp_is_icmp_error(const struct fp_parsed *parsed)
{
    if (parsed->family == 4)
        return parsed->type == FP_ICMP_UNREACHABLE || parsed->type == FP_ICMP_TIME_EXCEEDED ||
               parsed->type == FP_ICMP_PARAMETER;
    return parsed->type >= FP_ICMPV6_ERROR_MIN && parsed->type <= FP_ICMPV6_ERROR_MAX;
}

/* Neighbour discovery of this link (RFC 4861: hop limit 255, so no router sent it on): without it
 * the link is dead, so no list may stop it. */
static fp_inline int fp_is_discovery(const struct fp_parsed *parsed)
{
    return parsed->family == 6 && parsed->protocol == FP_IP_ICMPV6 && parsed->hops == 255 &&
           parsed->type >= FP_ICMPV6_ROUTER_SOLICIT && parsed->type <= FP_ICMPV6_REDIRECT;
}

/* Answers a ping in place. Returns the reason of the packet's end. */
static fp_inline fp_u32 fp_icmp_echo(struct fp_packet *packet, const struct fp_parsed *parsed)
{
    fp_u8 *frame = fp_bytes(packet, 0, FP_ETH_BYTES);
    fp_u32 l3 = parsed->l3 & FP_L3_MASK;
    fp_u32 was = parsed->type,
           is = parsed->family == 4 ? FP_ICMP_TYPE_ECHO_REPLY : FP_ICMPV6_ECHO_REPLY;
    fp_u8 *ip, *icmp;

    if (!frame)
        return FP_DROP_INTERNAL;
    fp_reply_ethernet(frame);
    if (parsed->family == 4) {
        ip = fp_bytes(packet, l3, FP_IPV4_BYTES + FP_ICMP_BYTES);
        if (!ip)
            return FP_DROP_INTERNAL;
        fp_store16(ip + 10, fp_sum_update(fp_load16(ip + 10), parsed->hops, FP_REPLY_HOPS));
        ip[8] = FP_REPLY_HOPS;
        fp_store32(ip + 12, (fp_u32)(parsed->destination[1] >> 32));
        fp_store32(ip + 16, (fp_u32)(parsed->source[1] >> 32));
        icmp = ip + FP_IPV4_BYTES;
    } else {
        ip = fp_bytes(packet, l3, FP_IPV6_BYTES + FP_ICMP_BYTES);
        if (!ip)
            return FP_DROP_INTERNAL;
        ip[7] = FP_REPLY_HOPS;
        fp_store64(ip + 8, parsed->destination[0]);
        fp_store64(ip + 16, parsed->destination[1]);
        fp_store64(ip + 24, parsed->source[0]);
        fp_store64(ip + 32, parsed->source[1]);
        icmp = ip + FP_IPV6_BYTES;
    }
    icmp[0] = (fp_u8)is;
    fp_store16(icmp + 2, fp_sum_update(fp_load16(icmp + 2), was, is));
    return FP_ICMP_ECHO;
}

/* Reads the packet inside an ICMP error: one that the error's destination sent, a service of ours
 * to a client or (mode nat, on the way back) a client to a backend. Makes `parsed` speak of the
 * flow, as if the other end had answered. Returns FP_GO_ON, or why it is dropped if it is to a
 * service of ours: nothing inside that the destination could have sent. */
static fp_inline fp_u32 fp_icmp_inner(struct fp_packet *packet, struct fp_parsed *parsed)
{
    fp_u32 at = (parsed->l4 & FP_L4_MASK) + FP_ICMP_BYTES;
    fp_u32 end = parsed->l3 + parsed->bytes;
    fp_u64 source[2] = {0, 0}, destination[2] = {0, 0};
    fp_u8 *ip;
    fp_u64 l4;

    if (parsed->family == 4) {
        ip = fp_bytes(packet, at, FP_IPV4_BYTES);
        if (!ip || (ip[0] >> 4) != 4 || (ip[0] & 15) < 5)
            return FP_DROP_L4_HEADER;
        if (fp_ntohs(fp_load16(ip + 6)) & FP_IPV4_OFFSET)
            return FP_DROP_FRAGMENT;
        parsed->protocol = ip[9];
        source[1] = FP_KEY_IPV4(fp_load32(ip + 12));
        destination[1] = FP_KEY_IPV4(fp_load32(ip + 16));
        l4 = at + (ip[0] & 15u) * 4;
    } else {
        ip = fp_bytes(packet, at, FP_IPV6_BYTES);
        if (!ip || (ip[0] >> 4) != 6)
            return FP_DROP_L4_HEADER;
        parsed->protocol = ip[6];
        source[0] = fp_load64(ip + 8);
        source[1] = fp_load64(ip + 16);
        destination[0] = fp_load64(ip + 24);
        destination[1] = fp_load64(ip + 32);
        l4 = at + FP_IPV6_BYTES;
    }
    if ((parsed->protocol != FP_IP_TCP && parsed->protocol != FP_IP_UDP) ||
        source[0] != parsed->destination[0] || source[1] != parsed->destination[1] ||
        l4 + 8 > end || l4 > FP_L4_MASK)
        return FP_DROP_L4_HEADER;
    fp_opaque(l4, parsed->bytes);
    l4 &= FP_L4_MASK;
    ip = fp_bytes(packet, (fp_u32)l4, 4);
    if (!ip)
        return FP_DROP_L4_HEADER;
    parsed->source[0] = destination[0];
    parsed->source[1] = destination[1];
    parsed->dport = fp_ntohs(fp_load16(ip));
    parsed->sport = fp_ntohs(fp_load16(ip + 2));
    parsed->inner_l4 = (fp_u16)l4;
    parsed->flags |= FP_PARSED_ERROR;
    return FP_GO_ON;
}

#endif
