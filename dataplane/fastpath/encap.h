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

/* The words of an outer IPv4 header as they lie: the first, */
static fp_inline fp_u32 fp_encap_first(const struct fp_parsed *parsed)
{
    return fp_htonl(0x45000000u | (fp_u32)parsed->dscp_ecn << 16 | (FP_IPV4_BYTES + parsed->bytes));
}

/* the second ("don't fragment" and the id are the inner packet's: where an inner IPv4 packet may be
 * fragmented, so may the outer one, and ids differ as the inner ones do), */
static fp_inline fp_u32 fp_encap_second(const struct fp_parsed *parsed)
{
    return parsed->flags & FP_PARSED_DF ? fp_htonl(FP_IPV4_DF) : parsed->fragment_id;
}

#ifndef FP_BPF
/* both, the first one lower, by numbers of 64 bits alone (straight.h): of the inner packet's byte,
 * length, "don't fragment" (or 0) and id, */
static fp_inline fp_u64 fp_encap_words(fp_u64 dscp_ecn, fp_u64 bytes, fp_u64 df, fp_u64 id)
{
    fp_u64 length = FP_IPV4_BYTES + bytes;

    return 0x45 | dscp_ecn << 8 | (length >> 8 & 0xff) << 16 | (length & 0xff) << 24 |
           (df ? (fp_u64)fp_htonl(FP_IPV4_DF) : id) << 32;
}
#endif

/* and the third, but for the checksum. `family`: of the inner packet. */
static fp_inline fp_u32 fp_encap_third(fp_u32 family)
{
    fp_u32 protocol = family == 4 ? FP_IP_IPIP : FP_IP_IPV6;

    return fp_htonl(FP_ENCAP_HOPS << 24 | protocol << 16);
}

static fp_inline void fp_encap_ipv4(fp_u8 *ip, const struct fp_parsed *parsed, fp_be32 source,
                                    fp_be32 destination)
{
    fp_u32 first = fp_encap_first(parsed), second = fp_encap_second(parsed);
    fp_u32 third = fp_encap_third(parsed->family);

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
