/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A short cut through parse.h for what most packets are (host only; burst.h): untagged IPv4 to one
 * host, without options or fragments, with TCP or UDP in it, nothing wrong with it. It says what
 * fp_parse() says of such a packet, and nothing of any other.
 */
#ifndef CULVERT_FASTPATH_PLAIN_H
#define CULVERT_FASTPATH_PLAIN_H

#include "dataplane/fastpath/parse.h"

#define FP_PLAIN_L4 (FP_ETH_BYTES + FP_IPV4_BYTES)
#define FP_PLAIN_BYTES (FP_PLAIN_L4 + FP_TCP_BYTES) /* Ethernet pads shorter frames to 60 bytes */

/* Words of a frame as they lie in memory: EtherType, version and header length; and the fragment
 * field but for "don't fragment" and the reserved bit. */
#define FP_PLAIN_HEAD_MASK 0xffffffull
#define FP_PLAIN_HEAD 0x450008ull
#define FP_PLAIN_FRAGMENT 0xff3full

/* What the L4 header says, `at` its start. False: something is wrong, or odd. */
static fp_inline int fp_plain_l4(const fp_u8 *at, struct fp_parsed *parsed)
{
    fp_u32 left = parsed->bytes - FP_IPV4_BYTES;
    fp_u32 ports = fp_ntohl(fp_load32(at));
    fp_u32 header = at[12] >> 4;

    parsed->payload = 0;
    parsed->sport = (fp_u16)(ports >> 16);
    parsed->dport = (fp_u16)ports;
    if (parsed->protocol == FP_IP_TCP) {
        if ((at[13] & (FP_TCP_SYN | FP_TCP_ACK)) == FP_TCP_SYN)
            parsed->flags |= FP_PARSED_SYN;
        return header >= FP_TCP_BYTES / 4 && header * 4 <= left;
    }
    header = fp_ntohs(fp_load16(at + 4));
    parsed->payload = (fp_u16)(header - FP_UDP_BYTES);
    return parsed->protocol == FP_IP_UDP && header >= FP_UDP_BYTES && header <= left;
}

/* What the IP header of a plain packet says. One by one: a whole struct would be put together
 * elsewhere first. */
static fp_inline void fp_plain_ip(const fp_u8 *frame, struct fp_parsed *parsed)
{
    fp_u64 head = fp_load64(frame + 12);
    fp_u64 middle = fp_load64(frame + 20);
    fp_u64 addresses = fp_load64(frame + 26);

    parsed->source[0] = parsed->destination[0] = 0;
    parsed->source[1] = FP_MAPPED | addresses << 32;
    parsed->destination[1] = FP_MAPPED | (addresses & ~0xffffffffull);
    parsed->bytes = fp_ntohs((fp_u16)(head >> 32));
    parsed->fragment_id = (fp_u32)(head >> 48);
    parsed->l3 = FP_ETH_BYTES;
    parsed->l4 = FP_PLAIN_L4;
    parsed->inner_l4 = 0;
    parsed->family = 4;
    parsed->protocol = (fp_u8)(middle >> 24);
    parsed->flags = middle & 0x40 ? FP_PARSED_DF : 0;
    parsed->type = parsed->code = parsed->problem = 0;
    parsed->dscp_ecn = (fp_u8)(head >> 24);
    parsed->hops = (fp_u8)(middle >> 16);
}

/* Reads the headers of a plain packet. False: it is none, `parsed` is undefined. */
static fp_inline int fp_parse_plain(const struct fp_packet *packet, struct fp_parsed *parsed)
{
    const fp_u8 *frame = packet->data;
    fp_u64 size = (fp_u64)(packet->end - frame);
    fp_u64 head, middle, addresses, sum;

    if (size < FP_PLAIN_BYTES)
        return 0;
    head = fp_load64(frame + 12);
    middle = fp_load64(frame + 20);
    addresses = fp_load64(frame + 26);
    if ((head & FP_PLAIN_HEAD_MASK) != FP_PLAIN_HEAD || middle & FP_PLAIN_FRAGMENT || frame[0] & 1)
        return 0;
    fp_plain_ip(frame, parsed);
    if (parsed->bytes < FP_IPV4_BYTES + FP_UDP_BYTES || parsed->bytes > size - FP_ETH_BYTES)
        return 0;
    /* A word of 48 bits counts as its three of 16 do. */
    sum = (head >> 16) + (middle << 16 >> 16) + (fp_u32)addresses + (addresses >> 32);
    return fp_plain_l4(frame + FP_PLAIN_L4, parsed) && fp_sum_fold(sum) == 0xffff;
}

#endif
