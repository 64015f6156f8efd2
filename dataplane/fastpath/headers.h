/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet formats' numbers, and what the parser (parse.h) says of a packet.
 */
#ifndef CULVERT_FASTPATH_HEADERS_H
#define CULVERT_FASTPATH_HEADERS_H

#include "dataplane/fastpath/base.h"

#define FP_ETH_BYTES 14u
#define FP_VLAN_BYTES 4u
#define FP_IPV4_BYTES 20u
#define FP_IPV6_BYTES 40u
#define FP_UDP_BYTES 8u
#define FP_TCP_BYTES 20u
#define FP_ICMP_BYTES 8u

#define FP_ETH_IPV4 0x0800u
#define FP_ETH_IPV6 0x86ddu
#define FP_ETH_8021Q 0x8100u
#define FP_ETH_8021AD 0x88a8u

/* IANA protocol numbers */
#define FP_IP_HOPOPTS 0u
#define FP_IP_ICMP 1u
#define FP_IP_IPIP 4u
#define FP_IP_TCP 6u
#define FP_IP_UDP 17u
#define FP_IP_IPV6 41u
#define FP_IP_ROUTING 43u
#define FP_IP_FRAGMENT 44u
#define FP_IP_ICMPV6 58u
#define FP_IP_DSTOPTS 60u

#define FP_IPV4_DF 0x4000u
#define FP_IPV4_MF 0x2000u
#define FP_IPV4_OFFSET 0x1fffu

#define FP_TCP_SYN 0x02u
#define FP_TCP_ACK 0x10u

#define FP_L3_MASK 0x1fu /* bounds of the offsets, as the verifier sees them */
#define FP_L4_MASK 0x1ffu
#define FP_EXT_HEADERS_MAX 8 /* IPv6 extension headers in a row */

#define FP_PARSED_FRAGMENT 0x01u /* a part of a fragmented packet */
#define FP_PARSED_LATER 0x02u    /* not its first part: there is no L4 header */
#define FP_PARSED_OPTIONS 0x04u  /* IPv4 options or IPv6 extension headers lie before L4 */
#define FP_PARSED_DF 0x08u       /* must not be fragmented on the way (always for IPv6) */
#define FP_PARSED_SYN 0x10u      /* TCP: opens a flow (SYN without ACK) */
#define FP_PARSED_ERROR 0x20u    /* an ICMP error; addresses and ports are of the flow inside */
#define FP_PARSED_GROUP 0x40u    /* sent to an Ethernet group address */

/* What the headers say. Offsets count from the frame's start, numbers are in host order,
 * addresses in the form of table keys (region.h). */
struct fp_parsed {
    fp_u64 source[2];
    fp_u64 destination[2];
    fp_u32 bytes; /* of the IP packet, header included; the frame has at least as many */
    fp_u32 fragment_id;
    fp_u16 l3;       /* offset of the IP header, 14..FP_L3_MASK */
    fp_u16 l4;       /* offset behind the IP headers, up to FP_L4_MASK */
    fp_u16 inner_l4; /* FP_PARSED_ERROR: where L4 starts in the packet inside */
    fp_u16 payload;  /* UDP: bytes of the message behind the UDP header */
    fp_u16 sport;    /* UDP and TCP, else 0 */
    fp_u16 dport;
    fp_u8 family;     /* 4 or 6 */
    fp_u8 protocol;   /* behind all extension headers */
    fp_u8 flags;      /* FP_PARSED_* */
    fp_u8 type, code; /* ICMP and ICMPv6 */
    fp_u8 problem;    /* a DROP reason of what is wrong above the IP header, else 0 */
    fp_u8 dscp_ecn;   /* the type-of-service or traffic-class byte */
    fp_u8 hops;       /* TTL or hop limit */
};

#endif
