/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a frame's headers: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension
 * headers, UDP, TCP, ICMP, ICMPv6.
 *
 * What makes the IP header unreadable ends the packet here. What is wrong above it only matters
 * for packets of ours (others pass to the kernel as they are), so it is noted in `problem`.
 */
#ifndef CULVERT_FASTPATH_PARSE_H
#define CULVERT_FASTPATH_PARSE_H

#include "dataplane/fastpath/checksum.h"

/* "Go on": no reason to end the packet. Any other value is an enum fp_reason. */
#define FP_GO_ON FP_REASON_LIMIT

/* The upper half of an IPv4-mapped address in key form, and the key form of an IPv4 address. */
#define FP_MAPPED 0xffff0000ull
#define FP_KEY_IPV4(address) (FP_MAPPED | (fp_u64)(fp_be32)(address) << 32)

/* True when an address in key form is an IPv4 one. */
static fp_inline int fp_is_mapped(fp_u64 a, fp_u64 b)
{
    return !a && (fp_u32)b == FP_MAPPED;
}

/* Finds the EtherType behind at most two VLAN tags, and where the IP header starts. */
static fp_inline fp_u32 fp_parse_ethernet(struct fp_packet *packet, struct fp_parsed *parsed,
                                          fp_u32 *ethertype)
{
    fp_u8 *frame = fp_bytes(packet, 0, FP_ETH_BYTES);
    fp_u64 l3 = FP_ETH_BYTES;
    fp_u32 type;

    if (!frame)
        return FP_DROP_SHORT;
    parsed->flags = frame[0] & 1 ? FP_PARSED_GROUP : 0;
    type = fp_ntohs(fp_load16(frame + 12));
    if (fp_unlikely(type == FP_ETH_8021Q || type == FP_ETH_8021AD)) {
        frame = fp_bytes(packet, 0, FP_ETH_BYTES + FP_VLAN_BYTES);
        if (!frame)
            return FP_DROP_SHORT;
        type = fp_ntohs(fp_load16(frame + 16));
        l3 = FP_ETH_BYTES + FP_VLAN_BYTES;
        if (type == FP_ETH_8021Q || type == FP_ETH_8021AD) {
            frame = fp_bytes(packet, 0, FP_ETH_BYTES + 2 * FP_VLAN_BYTES);
            if (!frame)
                return FP_DROP_SHORT;
            type = fp_ntohs(fp_load16(frame + 20));
            l3 = FP_ETH_BYTES + 2 * FP_VLAN_BYTES;
            if (type == FP_ETH_8021Q || type == FP_ETH_8021AD)
                return FP_DROP_VLAN_DEPTH;
        }
    }
    fp_opaque(l3, type);
    parsed->l3 = l3 & FP_L3_MASK;
    *ethertype = type;
    return FP_GO_ON;
}

/* Sum of an IPv4 header's options, `bytes` (a multiple of 4, at most 40) of them. */
fp_subprogram fp_u64 fp_sum_options(FP_FRAME *frame, fp_u32 offset, fp_u32 bytes)
{
    FP_FRAME_OPEN(frame, packet);
    fp_u64 sum = 0;

    offset &= FP_L4_MASK;
    for (fp_u32 i = 0; i < 40; i += 4) {
        fp_u8 *word;

        if (i >= bytes)
            break;
        word = fp_bytes(packet, offset + i, 4);
        if (word)
            sum += fp_load32(word);
    }
    return sum;
}

/* RFC 791. Sets everything of `parsed` up to where L4 starts. */
static fp_inline fp_u32 fp_parse_ipv4(struct fp_packet *packet, struct fp_parsed *parsed)
{
    fp_u32 l3 = parsed->l3;
    fp_u8 *ip = fp_bytes(packet, l3, FP_IPV4_BYTES);
    fp_u32 header, fragment;
    fp_u64 sum;

    if (!ip)
        return FP_DROP_SHORT;
    header = (ip[0] & 15u) * 4;
    parsed->bytes = fp_ntohs(fp_load16(ip + 2));
    if ((ip[0] >> 4) != 4 || header < FP_IPV4_BYTES || parsed->bytes < header)
        return FP_DROP_IP_HEADER;
    if (parsed->bytes > fp_frame_bytes(packet) - l3)
        return header > fp_frame_bytes(packet) - l3 ? FP_DROP_SHORT : FP_DROP_IP_HEADER;
    fragment = fp_ntohs(fp_load16(ip + 6));
    parsed->source[0] = 0;
    parsed->source[1] = FP_KEY_IPV4(fp_load32(ip + 12));
    parsed->destination[0] = 0;
    parsed->destination[1] = FP_KEY_IPV4(fp_load32(ip + 16));
    parsed->family = 4;
    parsed->dscp_ecn = ip[1];
    parsed->fragment_id = fp_load16(ip + 4);
    parsed->hops = ip[8];
    parsed->protocol = ip[9];
    parsed->l4 = (fp_u16)(l3 + header);
    if (fragment & FP_IPV4_DF)
        parsed->flags |= FP_PARSED_DF;
    if (fp_unlikely(fragment & (FP_IPV4_MF | FP_IPV4_OFFSET)))
        parsed->flags |= FP_PARSED_FRAGMENT;
    if (fp_unlikely(fragment & FP_IPV4_OFFSET))
        parsed->flags |= FP_PARSED_LATER;
    sum = fp_sum_ipv4_header(ip);
    if (fp_unlikely(header != FP_IPV4_BYTES)) {
        parsed->flags |= FP_PARSED_OPTIONS;
        sum += fp_sum_options(fp_frame(packet), l3 + FP_IPV4_BYTES, header - FP_IPV4_BYTES);
    }
    return fp_sum_fold(sum) == 0xffff ? FP_GO_ON : FP_DROP_IP_CHECKSUM;
}

static fp_inline int fp_is_extension(fp_u32 next)
{
    return next == FP_IP_HOPOPTS || next == FP_IP_ROUTING || next == FP_IP_FRAGMENT ||
           next == FP_IP_DSTOPTS;
}

/* What a walk over extension headers found, in one word. */
#define FP_EXT(id, l4, flags, protocol)                                                            \
    ((fp_u64)(id) << 32 | (fp_u64)(l4) << 16 | (fp_u64)(flags) << 8 | (protocol))
#define FP_EXT_BAD ~0ull

/* Walks the extension headers (RFC 8200 section 4) of the packet that ends at `end`, from offset
 * `at`, whose type is `next`, to the protocol; AH, ESP and "none" end the walk like any protocol.
 * Returns FP_EXT(...), or FP_EXT_BAD when they are malformed, too many, or route the packet on. */
fp_subprogram fp_u64 fp_walk_extensions(FP_FRAME *frame, fp_u32 at, fp_u32 next, fp_u32 end)
{
    FP_FRAME_OPEN(frame, packet);
    fp_u32 flags = FP_PARSED_OPTIONS, fragment, bytes;
    fp_be32 id = 0;

    for (int i = 0; i < FP_EXT_HEADERS_MAX; i++) {
        fp_u64 bound = at;
        fp_u8 *header;

        fp_opaque(bound, end);
        at = bound & FP_L4_MASK;
        header = fp_bytes(packet, at, 8);
        if (!header || at + 8 > end || (next == FP_IP_HOPOPTS && i))
            return FP_EXT_BAD; /* hop-by-hop options may only come first */
        bytes = (header[1] + 1u) * 8;
        if (next == FP_IP_FRAGMENT) {
            bytes = 8;
            fragment = fp_ntohs(fp_load16(header + 2));
            id = fp_load32(header + 4);
            if (fragment & 0xfff9) /* offset or "more": else an atomic fragment (RFC 6946) */
                flags |= FP_PARSED_FRAGMENT;
            if (fragment & 0xfff8)
                flags |= FP_PARSED_LATER;
        } else if (next == FP_IP_ROUTING && header[3]) {
            return FP_EXT_BAD; /* segments left: the destination is not the last one */
        }
        at += bytes;
        if (at > end || at > FP_L4_MASK)
            return FP_EXT_BAD;
        next = header[0];
        if (!fp_is_extension(next) || flags & FP_PARSED_LATER)
            return FP_EXT(id, at, flags, next);
    }
    return FP_EXT_BAD;
}

static fp_inline void fp_parse_extensions(struct fp_packet *packet, struct fp_parsed *parsed,
                                          fp_u32 next, fp_u32 end)
{
    fp_u64 found = fp_walk_extensions(fp_frame(packet), parsed->l4, next, end);

    if (found == FP_EXT_BAD) {
        parsed->problem = FP_DROP_EXT_HEADERS;
        return;
    }
    parsed->fragment_id = (fp_u32)(found >> 32);
    parsed->l4 = (fp_u16)(found >> 16) & FP_L4_MASK;
    parsed->flags |= (fp_u8)(found >> 8);
    parsed->protocol = (fp_u8)found;
}

/* RFC 8200. Sets everything of `parsed` up to where L4 starts. */
static fp_inline fp_u32 fp_parse_ipv6(struct fp_packet *packet, struct fp_parsed *parsed)
{
    fp_u32 l3 = parsed->l3;
    fp_u8 *ip = fp_bytes(packet, l3, FP_IPV6_BYTES);

    if (!ip)
        return FP_DROP_SHORT;
    parsed->bytes = FP_IPV6_BYTES + fp_ntohs(fp_load16(ip + 4));
    if ((ip[0] >> 4) != 6 || parsed->bytes > fp_frame_bytes(packet) - l3)
        return FP_DROP_IP_HEADER;
    parsed->source[0] = fp_load64(ip + 8);
    parsed->source[1] = fp_load64(ip + 16);
    parsed->destination[0] = fp_load64(ip + 24);
    parsed->destination[1] = fp_load64(ip + 32);
    /* On the wire such addresses would pass for IPv4 ones in our tables. */
    if (fp_is_mapped(parsed->source[0], parsed->source[1]) ||
        fp_is_mapped(parsed->destination[0], parsed->destination[1]))
        return FP_DROP_IP_HEADER;
    parsed->family = 6;
    parsed->flags |= FP_PARSED_DF;
    parsed->dscp_ecn = (fp_u8)(fp_ntohs(fp_load16(ip)) >> 4);
    parsed->fragment_id = 0;
    parsed->hops = ip[7];
    parsed->protocol = ip[6];
    parsed->l4 = (fp_u16)(l3 + FP_IPV6_BYTES);
    if (fp_unlikely(fp_is_extension(ip[6]))) {
        fp_parse_extensions(packet, parsed, ip[6], l3 + parsed->bytes);
    }
    return FP_GO_ON;
}

/* The header of UDP, TCP, ICMP or ICMPv6. */
static fp_inline void fp_parse_l4(struct fp_packet *packet, struct fp_parsed *parsed)
{
    fp_u32 l4 = parsed->l4;
    fp_u32 left = parsed->l3 + parsed->bytes - l4;
    fp_u8 *header;
    fp_u32 ports;

    if (parsed->protocol != FP_IP_UDP && parsed->protocol != FP_IP_TCP &&
        parsed->protocol != FP_IP_ICMP && parsed->protocol != FP_IP_ICMPV6)
        return;
    header = fp_bytes(packet, l4, FP_UDP_BYTES);
    if (!header || left < FP_UDP_BYTES) {
        parsed->problem = FP_DROP_L4_HEADER;
        return;
    }
    if (parsed->protocol == FP_IP_ICMP || parsed->protocol == FP_IP_ICMPV6) {
        parsed->type = header[0];
        parsed->code = header[1];
        return;
    }
    ports = fp_ntohl(fp_load32(header));
    parsed->sport = (fp_u16)(ports >> 16);
    parsed->dport = (fp_u16)ports;
    if (parsed->protocol == FP_IP_UDP) {
        fp_u32 length = fp_ntohs(fp_load16(header + 4));

        if (length < FP_UDP_BYTES || (length > left && !(parsed->flags & FP_PARSED_FRAGMENT)) ||
            (parsed->family == 6 && !fp_load16(header + 6)))
            parsed->problem = FP_DROP_L4_HEADER;
        else
            parsed->payload = (fp_u16)(length - FP_UDP_BYTES);
        return;
    }
    header = fp_bytes(packet, l4, FP_TCP_BYTES);
    if (!header || left < FP_TCP_BYTES || (header[12] >> 4) < 5 || (header[12] >> 4) * 4u > left) {
        parsed->problem = FP_DROP_L4_HEADER;
        return;
    }
    if ((header[13] & (FP_TCP_SYN | FP_TCP_ACK)) == FP_TCP_SYN)
        parsed->flags |= FP_PARSED_SYN;
}

/* Reads the headers. Returns FP_GO_ON, or the reason that the packet ends with here. */
static fp_inline fp_u32 fp_parse(struct fp_packet *packet, struct fp_parsed *parsed)
{
    fp_u32 ethertype = 0;
    fp_u32 reason = fp_parse_ethernet(packet, parsed, &ethertype);

    if (reason != FP_GO_ON)
        return reason;
    parsed->problem = 0;
    parsed->inner_l4 = 0;
    parsed->payload = 0;
    parsed->sport = parsed->dport = 0;
    parsed->type = parsed->code = 0;
    if (ethertype == FP_ETH_IPV4)
        reason = fp_parse_ipv4(packet, parsed);
    else if (ethertype == FP_ETH_IPV6)
        reason = fp_parse_ipv6(packet, parsed);
    else
        reason = FP_PASS_NOT_IP;
    if (reason != FP_GO_ON)
        return reason;
    if (!(parsed->flags & FP_PARSED_LATER) && !parsed->problem)
        fp_parse_l4(packet, parsed);
    /* From here on the verifier need not follow each way that led here. */
    fp_forget(parsed->flags, parsed->bytes, 8);
    fp_forget(parsed->problem, parsed->bytes, 8);
    fp_forget(parsed->family, parsed->bytes, 8);
    return FP_GO_ON;
}

/* True when the source can be no host: "this network", loopback, multicast and reserved ones, or
 * the very destination (RFC 6890, RFC 4291). */
static fp_inline int fp_source_is_bad(const struct fp_parsed *parsed)
{
    fp_u64 a = parsed->source[0], b = parsed->source[1];

    if (a == parsed->destination[0] && b == parsed->destination[1])
        return 1;
    if (parsed->family == 4) {
        fp_u32 first = (fp_u8)(b >> 32);

        return first == 0 || first == 127 || first >= 224;
    }
    return (fp_u8)a == 0xff || (!a && (!b || b == (fp_u64)1 << 56));
}

#endif
