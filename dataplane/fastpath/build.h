/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds frames with right lengths and checksums (host only): for tests, fuzzers, culvert-pktgen
 * and `culvert explain`.
 *
 *     struct fp_build_spec spec = {
 *         .family = 4, .protocol = FP_IP_UDP, .sport = 40000, .dport = 53,
 *         .payload = query, .payload_bytes = query_bytes,
 *     };
 *     fp_build_ipv4(spec.source, 198, 18, 0, 1);
 *     fp_build_ipv4(spec.destination, 192, 0, 2, 53);
 *     size_t bytes = fp_build_frame(buffer, sizeof(buffer), &spec);
 */
#ifndef CULVERT_FASTPATH_BUILD_H
#define CULVERT_FASTPATH_BUILD_H

#include <stddef.h>
#include <string.h>

#include "dataplane/fastpath/parse.h"

#define FP_BUILD_HOPS 64

/* A frame to be. Fields that are 0 are left out or take the default that is named. */
struct fp_build_spec {
    fp_u8 dmac[6], smac[6]; /* 0: 02:00:00:00:00:02 and 02:00:00:00:00:01 */
    fp_u16 vlan[2];         /* tags, outer first: 0x1000 | VLAN id; 0: none */
    fp_u16 vlan_type[2];    /* their EtherTypes; 0: 802.1Q */
    fp_u8 family;           /* 4 or 6 */
    fp_u8 source[16];       /* IPv4 as ::ffff:a.b.c.d */
    fp_u8 destination[16];
    fp_u8 dscp_ecn;
    fp_u8 hops;     /* 0: FP_BUILD_HOPS */
    fp_u8 protocol; /* UDP, TCP, ICMP, ICMPv6: with header; others: payload only */
    fp_u16 sport, dport;
    fp_u8 tcp_flags;
    fp_u32 tcp_seq, tcp_ack;
    fp_u8 type, code; /* ICMP */
    fp_u32 rest;      /* ICMP: bytes 4..7, host order (echo: id << 16 | sequence) */
    fp_u16 ip_id;
    fp_u16 fragment;     /* IPv4: flags and offset field, host order */
    int later;           /* a later fragment: the payload has no L4 header before it */
    const void *options; /* IPv4 options or IPv6 extension headers, a multiple of 4 or 8 */
    size_t options_bytes;
    fp_u8 options_type;  /* IPv6: type of the first extension header; the last one in
                               * `options` must name `protocol` as its next header */
    int no_udp_checksum; /* IPv4: the field is 0 */
    const void *payload;
    size_t payload_bytes;
};

/* Sets an address to an IPv4 one in mapped form. */
static inline void fp_build_ipv4(fp_u8 address[16], fp_u8 a, fp_u8 b, fp_u8 c, fp_u8 d)
{
    const fp_u8 bytes[16] = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d};

    memcpy(address, bytes, sizeof(bytes));
}

/* The two words of an address in key form. */
static inline void fp_build_key(const fp_u8 address[16], fp_u64 *a, fp_u64 *b)
{
    *a = fp_load64(address);
    *b = fp_load64(address + 8);
}

/* Sum of any bytes, for checksums (fp_sum_finish()). */
static inline fp_u64 fp_build_sum(const void *data, size_t bytes)
{
    const fp_u8 *at = data;
    fp_u64 sum = 0;

    for (; bytes > 1; bytes -= 2, at += 2)
        sum += fp_load16(at);
    return bytes ? sum + *at : sum;
}

/* Bytes of the L4 header that the spec asks for. */
static inline size_t fp_build_l4_bytes(const struct fp_build_spec *spec)
{
    if (spec->later)
        return 0;
    switch (spec->protocol) {
    case FP_IP_UDP:
        return FP_UDP_BYTES;
    case FP_IP_TCP:
        return FP_TCP_BYTES;
    case FP_IP_ICMP:
    case FP_IP_ICMPV6:
        return FP_ICMP_BYTES;
    default:
        return 0;
    }
}

static inline size_t fp_build_ethernet(fp_u8 *to, const struct fp_build_spec *spec)
{
    static const fp_u8 none[6], dmac[6] = {2, 0, 0, 0, 0, 2}, smac[6] = {2, 0, 0, 0, 0, 1};
    fp_u8 *start = to;

    memcpy(to, memcmp(spec->dmac, none, 6) ? spec->dmac : dmac, 6);
    memcpy(to + 6, memcmp(spec->smac, none, 6) ? spec->smac : smac, 6);
    to += 12;
    for (int i = 0; i < 2; i++) {
        if (!spec->vlan[i])
            continue;
        fp_store16(to, fp_htons(spec->vlan_type[i] ? spec->vlan_type[i] : FP_ETH_8021Q));
        fp_store16(to + 2, fp_htons(spec->vlan[i] & 0xfff));
        to += FP_VLAN_BYTES;
    }
    fp_store16(to, fp_htons(spec->family == 4 ? FP_ETH_IPV4 : FP_ETH_IPV6));
    return (size_t)(to + 2 - start);
}

/* The IP header and its options, for `length` bytes behind them. */
static inline size_t fp_build_ip(fp_u8 *to, const struct fp_build_spec *spec, size_t length)
{
    fp_u8 hops = spec->hops ? spec->hops : FP_BUILD_HOPS;
    size_t header = FP_IPV4_BYTES + spec->options_bytes;

    if (spec->family == 4) {
        memset(to, 0, FP_IPV4_BYTES);
        to[0] = (fp_u8)(0x40 | header / 4);
        to[1] = spec->dscp_ecn;
        fp_store16(to + 2, fp_htons(header + length));
        fp_store16(to + 4, fp_htons(spec->ip_id));
        fp_store16(to + 6, fp_htons(spec->fragment));
        to[8] = hops;
        to[9] = spec->protocol;
        memcpy(to + 12, spec->source + 12, 4);
        memcpy(to + 16, spec->destination + 12, 4);
        if (spec->options_bytes)
            memcpy(to + FP_IPV4_BYTES, spec->options, spec->options_bytes);
        fp_store16(to + 10, fp_sum_finish(fp_build_sum(to, header)));
        return header;
    }
    fp_store32(to, fp_htonl(0x60000000u | (fp_u32)spec->dscp_ecn << 20));
    fp_store16(to + 4, fp_htons(spec->options_bytes + length));
    to[6] = spec->options_bytes ? spec->options_type : spec->protocol;
    to[7] = hops;
    memcpy(to + 8, spec->source, 16);
    memcpy(to + 24, spec->destination, 16);
    if (spec->options_bytes)
        memcpy(to + FP_IPV6_BYTES, spec->options, spec->options_bytes);
    return FP_IPV6_BYTES + spec->options_bytes;
}

/* Sum of the pseudo header of an L4 part of `length` bytes. */
static inline fp_u64 fp_build_pseudo(const struct fp_build_spec *spec, size_t length)
{
    size_t skip = spec->family == 4 ? 12 : 0;

    return fp_build_sum(spec->source + skip, 16 - skip) +
           fp_build_sum(spec->destination + skip, 16 - skip) + fp_htons(spec->protocol) +
           fp_htonl(length);
}

/* The L4 header before the payload, which is in place: `length` bytes of both. */
static inline void fp_build_l4(fp_u8 *to, const struct fp_build_spec *spec, size_t length)
{
    fp_u64 pseudo = fp_build_pseudo(spec, length);

    memset(to, 0, fp_build_l4_bytes(spec));
    if (spec->protocol == FP_IP_ICMP || spec->protocol == FP_IP_ICMPV6) {
        to[0] = spec->type;
        to[1] = spec->code;
        fp_store32(to + 4, fp_htonl(spec->rest));
        pseudo = spec->protocol == FP_IP_ICMP ? 0 : pseudo;
        fp_store16(to + 2, fp_sum_finish(pseudo + fp_build_sum(to, length)));
        return;
    }
    fp_store16(to, fp_htons(spec->sport));
    fp_store16(to + 2, fp_htons(spec->dport));
    if (spec->protocol == FP_IP_UDP) {
        fp_store16(to + 4, fp_htons(length));
        if (!spec->no_udp_checksum)
            fp_store16(to + 6, fp_sum_finish_udp(pseudo + fp_build_sum(to, length)));
        return;
    }
    fp_store32(to + 4, fp_htonl(spec->tcp_seq));
    fp_store32(to + 8, fp_htonl(spec->tcp_ack));
    to[12] = FP_TCP_BYTES / 4 << 4;
    to[13] = spec->tcp_flags;
    fp_store16(to + 14, fp_htons(65535));
    fp_store16(to + 16, fp_sum_finish(pseudo + fp_build_sum(to, length)));
}

/* Bytes of the frame that fp_build_frame() makes. */
static inline size_t fp_build_bytes(const struct fp_build_spec *spec)
{
    return FP_ETH_BYTES + (spec->vlan[0] ? FP_VLAN_BYTES : 0) +
           (spec->vlan[1] ? FP_VLAN_BYTES : 0) +
           (spec->family == 4 ? FP_IPV4_BYTES : FP_IPV6_BYTES) + spec->options_bytes +
           fp_build_l4_bytes(spec) + spec->payload_bytes;
}

/* Writes the frame to a buffer of `size` bytes. Returns its length, or 0: no room, or more bytes
 * than an IP packet holds. */
static inline size_t fp_build_frame(void *buffer, size_t size, const struct fp_build_spec *spec)
{
    size_t header = fp_build_l4_bytes(spec);
    size_t length = header + spec->payload_bytes;
    fp_u8 *to = buffer;

    if (length > 65535 || spec->options_bytes > 65535 - FP_IPV4_BYTES - length ||
        fp_build_bytes(spec) > size || (spec->family == 4 && spec->options_bytes > 40))
        return 0;
    to += fp_build_ethernet(to, spec);
    to += fp_build_ip(to, spec, length);
    if (spec->payload_bytes)
        memcpy(to + header, spec->payload, spec->payload_bytes);
    if (header)
        fp_build_l4(to, spec, length);
    return (size_t)(to - (fp_u8 *)buffer) + length;
}

#endif
