/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mode nat: the destination becomes the backend's, and on the way back the source the virtual
 * IP's. Checksums are updated, not computed; nothing is kept between packets.
 */
#ifndef CULVERT_FASTPATH_NAT_H
#define CULVERT_FASTPATH_NAT_H

#include "dataplane/fastpath/way.h"

/* The end of a packet that is rewritten. */
enum fp_nat_side { FP_NAT_SOURCE, FP_NAT_DESTINATION };

/* What stands there, and what shall. `old_sum` and `new_sum` are of the address words; of an ICMP
 * error `old_sum` is that of the packet inside. */
struct fp_nat {
    enum fp_nat_side side;
    fp_u64 address[2];
    fp_u64 old_sum, new_sum;
    fp_u16 port; /* 0: stays */
};

/* Sum of an address' words as they stand in a packet of the family. */
static fp_inline fp_u64 fp_nat_sum(fp_u32 family, fp_u64 a, fp_u64 b)
{
    return family == 4 ? b >> 32 : fp_sum_words(a, b);
}

static fp_inline void fp_nat_set(struct fp_nat *nat, const struct fp_parsed *parsed,
                                 enum fp_nat_side side, fp_u64 a, fp_u64 b, fp_u16 port)
{
    const fp_u64 *old = side == FP_NAT_SOURCE ? parsed->source : parsed->destination;

    nat->side = side;
    nat->address[0] = a;
    nat->address[1] = b;
    nat->port = port;
    nat->old_sum = fp_nat_sum(parsed->family, old[0], old[1]);
    nat->new_sum = fp_nat_sum(parsed->family, a, b);
}

/* The address and, as a router does, the hop count: the caller saw that it is above 1. */
static fp_inline int fp_nat_ip(struct fp_packet *packet, const struct fp_parsed *parsed,
                               const struct fp_nat *nat)
{
    fp_u32 l3 = parsed->l3 & FP_L3_MASK;
    fp_u8 *ip, *address;

    if (parsed->family == 4) {
        ip = fp_bytes(packet, l3, FP_IPV4_BYTES);
        if (!ip)
            return -1;
        address = nat->side == FP_NAT_SOURCE ? ip + 12 : ip + 16;
        fp_store16(ip + 10,
                   fp_sum_update(fp_load16(ip + 10), (fp_u64)fp_load32(address) + parsed->hops,
                                 nat->new_sum + parsed->hops - 1));
        ip[8] = (fp_u8)(parsed->hops - 1);
        fp_store32(address, (fp_u32)(nat->address[1] >> 32));
        return 0;
    }
    ip = fp_bytes(packet, l3, FP_IPV6_BYTES);
    if (!ip)
        return -1;
    ip[7] = (fp_u8)(parsed->hops - 1);
    address = nat->side == FP_NAT_SOURCE ? ip + 8 : ip + 24;
    fp_store64(address, nat->address[0]);
    fp_store64(address + 8, nat->address[1]);
    return 0;
}

/* The port and the checksum above IP. */
static fp_inline int fp_nat_l4(struct fp_packet *packet, const struct fp_parsed *parsed,
                               const struct fp_nat *nat)
{
    fp_u32 l4 = parsed->l4 & FP_L4_MASK;
    fp_u32 at = nat->side == FP_NAT_SOURCE ? 0 : 2;
    fp_u8 *header = fp_bytes(packet, l4, FP_UDP_BYTES);
    fp_u64 removed = nat->old_sum, added = nat->new_sum;

    if (!header)
        return -1;
    if (nat->port) {
        removed += fp_load16(header + at);
        added += fp_htons(nat->port);
        fp_store16(header + at, fp_htons(nat->port));
    }
    if (parsed->protocol == FP_IP_UDP) {
        fp_store16(header + 6, fp_sum_update_udp(fp_load16(header + 6), removed, added));
        return 0;
    }
    header = fp_bytes(packet, l4, FP_TCP_BYTES);
    if (!header)
        return -1;
    fp_store16(header + 16, fp_sum_update(fp_load16(header + 16), removed, added));
    return 0;
}

/* The packet inside an ICMP error, seen from the other end: it was sent by the address that becomes
 * the destination, or to the one that becomes the source. Its port first, then its address; the
 * sum of an ICMP message changes with the port alone, for the inner IPv4 checksum is updated. The
 * checksum inside above IP stays: most of what it covers isn't there. */
static fp_inline int fp_nat_error_ipv4(struct fp_packet *packet, const struct fp_parsed *parsed,
                                       const struct fp_nat *nat)
{
    fp_u8 *inner = fp_bytes(packet, (parsed->l4 & FP_L4_MASK) + FP_ICMP_BYTES, FP_IPV4_BYTES);

    if (!inner)
        return -1;
    fp_store32(nat->side == FP_NAT_SOURCE ? inner + 16 : inner + 12,
               (fp_u32)(nat->address[1] >> 32));
    fp_store16(inner + 10, fp_sum_update(fp_load16(inner + 10), nat->old_sum, nat->new_sum));
    return 0;
}

/* ICMPv6's sum has both addresses in it: that inside, and the outer one in the pseudo header, which
 * is another one if a router on the way tells the error. */
static fp_inline int fp_nat_error_ipv6(struct fp_packet *packet, const struct fp_parsed *parsed,
                                       const struct fp_nat *nat, fp_u64 *removed, fp_u64 *added)
{
    fp_u8 *outer = fp_bytes(packet, parsed->l3 & FP_L3_MASK, FP_IPV6_BYTES);
    fp_u32 at = nat->side == FP_NAT_SOURCE ? 8 : 24;
    fp_u8 *inner;

    if (!outer)
        return -1;
    *removed += nat->old_sum + fp_sum_words(fp_load64(outer + at), fp_load64(outer + at + 8));
    *added += 2 * nat->new_sum;
    inner = fp_bytes(packet, (parsed->l4 & FP_L4_MASK) + FP_ICMP_BYTES, FP_IPV6_BYTES);
    if (!inner)
        return -1;
    at = nat->side == FP_NAT_SOURCE ? 24 : 8;
    fp_store64(inner + at, nat->address[0]);
    fp_store64(inner + at + 8, nat->address[1]);
    return 0;
}

/* An ICMP error: what is inside, and the ICMP checksum. The outer addresses still stand. */
static fp_inline int fp_nat_error(struct fp_packet *packet, const struct fp_parsed *parsed,
                                  const struct fp_nat *nat)
{
    fp_u8 *port = fp_bytes(packet, parsed->inner_l4 & FP_L4_MASK, 4), *icmp;
    fp_u64 removed = 0, added = 0;

    if (!port)
        return -1;
    port += nat->side == FP_NAT_SOURCE ? 2 : 0;
    if (nat->port) {
        removed = fp_load16(port);
        added = fp_htons(nat->port);
        fp_store16(port, fp_htons(nat->port));
    }
    if (parsed->family == 4 ? fp_nat_error_ipv4(packet, parsed, nat)
                            : fp_nat_error_ipv6(packet, parsed, nat, &removed, &added))
        return -1;
    icmp = fp_bytes(packet, parsed->l4 & FP_L4_MASK, FP_ICMP_BYTES);
    if (!icmp)
        return -1;
    fp_store16(icmp + 2, fp_sum_update(fp_load16(icmp + 2), removed, added));
    return 0;
}

/* Rewrites the packet in place. Returns 0, or -1: the frame is shorter than it was. */
static fp_inline int fp_nat_write(struct fp_packet *packet, const struct fp_parsed *parsed,
                                  const struct fp_nat *nat)
{
    int error = 0;

    if (parsed->flags & FP_PARSED_ERROR)
        error = fp_nat_error(packet, parsed, nat);
    else if (!(parsed->flags & FP_PARSED_LATER))
        error = fp_nat_l4(packet, parsed, nat);
    return error ? error : fp_nat_ip(packet, parsed, nat);
}

#endif
