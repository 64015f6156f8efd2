/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mode dsr-ipip: the packet goes to the backend as it is, inside another IP header (RFC 2003,
 * RFC 2473). Either family in either.
 */
#ifndef CULVERT_FASTPATH_ENCAP_H
#define CULVERT_FASTPATH_ENCAP_H

#include "dataplane/fastpath/way.h"

#define FP_ENCAP_HOPS 64u

FP_STATIC_ASSERT(__builtin_offsetof(struct fp_nexthop, source) % 8 == 0, "layout");
FP_STATIC_ASSERT(__builtin_offsetof(struct fp_backend, address) % 8 == 0, "layout");

/* The two words of 16 address bytes in the region. */
#define FP_WORDS(address) ((fp_u64 FP_REGION *)(address))

/* The family of an address in the region: 4 or 6. */
static fp_inline fp_u32 fp_family_of(const fp_u8 FP_REGION *address)
{
    return fp_is_mapped(FP_WORDS(address)[0], FP_WORDS(address)[1]) ? 4 : 6;
}

/* "Don't fragment" and the id are the inner packet's: where an inner IPv4 packet may be
 * fragmented, so may the outer one, and ids differ as the inner ones do. */
static fp_inline void fp_encap_ipv4(fp_u8 *ip, const struct fp_parsed *parsed, fp_be32 source,
                                    fp_be32 destination)
{
    fp_u32 protocol = parsed->family == 4 ? FP_IP_IPIP : FP_IP_IPV6;
    fp_u32 first, second, third;

    first =
        fp_htonl(0x45000000u | (fp_u32)parsed->dscp_ecn << 16 | (FP_IPV4_BYTES + parsed->bytes));
    second = parsed->flags & FP_PARSED_DF ? fp_htonl(FP_IPV4_DF) : parsed->fragment_id;
    third = fp_htonl(FP_ENCAP_HOPS << 24 | protocol << 16);
    third |= (fp_u32)fp_sum_finish((fp_u64)first + second + third + source + destination) << 16;
    fp_store32(ip, first);
    fp_store32(ip + 4, second);
    fp_store32(ip + 8, third);
    fp_store32(ip + 12, source);
    fp_store32(ip + 16, destination);
}

/* `flow`: any number of the flow's, for the flow label (RFC 6437). */
static fp_inline void fp_encap_ipv6(fp_u8 *ip, const struct fp_parsed *parsed,
                                    fp_u64 FP_REGION *source, fp_u64 FP_REGION *destination,
                                    fp_u32 flow)
{
    fp_u32 protocol = parsed->family == 4 ? FP_IP_IPIP : FP_IP_IPV6;

    fp_store32(ip, fp_htonl(0x60000000u | (fp_u32)parsed->dscp_ecn << 20 | (flow & 0xfffff)));
    fp_store32(ip + 4, fp_htonl(parsed->bytes << 16 | protocol << 8 | FP_ENCAP_HOPS));
    fp_store64(ip + 8, source[0]);
    fp_store64(ip + 16, source[1]);
    fp_store64(ip + 24, destination[0]);
    fp_store64(ip + 32, destination[1]);
}

/* Writes the outer header at offset `at`, where room was made. Returns 0, or -1: there is none. */
static fp_inline int fp_encap_write(struct fp_packet *packet, const struct fp_parsed *parsed,
                                    fp_u32 at, struct fp_nexthop FP_REGION *nexthop,
                                    struct fp_backend FP_REGION *backend, fp_u64 hash)
{
    fp_u64 FP_REGION *source = FP_WORDS(nexthop->source);
    fp_u64 FP_REGION *destination = FP_WORDS(backend->address);
    fp_u8 *ip;

    if (fp_family_of(backend->address) == 4) {
        ip = fp_bytes(packet, at, FP_IPV4_BYTES);
        if (!ip)
            return -1;
        fp_encap_ipv4(ip, parsed, (fp_u32)(source[1] >> 32), (fp_u32)(destination[1] >> 32));
    } else {
        ip = fp_bytes(packet, at, FP_IPV6_BYTES);
        if (!ip)
            return -1;
        fp_encap_ipv6(ip, parsed, source, destination, (fp_u32)(hash >> 44));
    }
    return 0;
}

#endif
