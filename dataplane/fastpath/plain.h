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

/* Of the words: EtherType, version and header length; and the fragment field but for "don't
 * fragment" and the reserved bit. */
#define FP_PLAIN_HEAD_MASK 0xffffffull
#define FP_PLAIN_HEAD 0x450008ull
#define FP_PLAIN_FRAGMENT 0xff3full

/* What is read of a frame, as it lies in memory. */
struct fp_plain {
    fp_u64 head;      /* from EtherType to the IP header's id */
    fp_u64 middle;    /* from the fragment field to half of the source */
    fp_u64 addresses; /* source and destination */
    fp_u64 l4;        /* L4's first 8 bytes: ports, the UDP header's length */
    fp_u64 tcp;       /* the TCP header's length and flags (16 bits) */
    fp_u64 group;     /* the destination MAC's first byte */
    fp_u64 size;      /* of the frame */
};

/* Reads a frame of at least FP_PLAIN_BYTES. */
static fp_inline void fp_plain_load(const fp_u8 *frame, fp_u64 size, struct fp_plain *plain)
{
    plain->head = fp_load64(frame + 12);
    plain->middle = fp_load64(frame + 20);
    plain->addresses = fp_load64(frame + 26);
    plain->l4 = fp_load64(frame + FP_PLAIN_L4);
    plain->tcp = fp_load16(frame + FP_PLAIN_L4 + 12);
    plain->group = frame[0];
    plain->size = size;
}

/* A word's 16 bits from bit `at` on, from network order. */
#define FP_PLAIN_16(word, at) (((word) >> ((at) + 8) & 0xff) | ((word) >> (at) & 0xff) << 8)

/* A word's first 32 bits, from network order: of two ports the first one is above. */
#define FP_PLAIN_32(word)                                                                          \
    (((word) >> 24 & 0xff) | ((word) >> 8 & 0xff00) | ((word) & 0xff00) << 8 |                     \
     ((word) & 0xff) << 24)

/* Says what fp_parse() says of a plain packet; of another one, anything. One by one: a whole struct
 * would be put together elsewhere first. */
static fp_inline void fp_plain_say(const struct fp_plain *plain, struct fp_parsed *parsed)
{
    fp_u32 tcp = (fp_u8)(plain->middle >> 24) == FP_IP_TCP;
    fp_u32 syn = (plain->tcp >> 8 & (FP_TCP_SYN | FP_TCP_ACK)) == FP_TCP_SYN;

    parsed->source[0] = parsed->destination[0] = 0;
    parsed->source[1] = FP_MAPPED | plain->addresses << 32;
    parsed->destination[1] = FP_MAPPED | (plain->addresses & ~0xffffffffull);
    parsed->bytes = (fp_u32)FP_PLAIN_16(plain->head, 32);
    parsed->fragment_id = (fp_u32)(plain->head >> 48);
    parsed->l3 = FP_ETH_BYTES;
    parsed->l4 = FP_PLAIN_L4;
    parsed->inner_l4 = 0;
    parsed->payload = tcp ? 0 : (fp_u16)(FP_PLAIN_16(plain->l4, 32) - FP_UDP_BYTES);
    parsed->sport = (fp_u16)FP_PLAIN_16(plain->l4, 0);
    parsed->dport = (fp_u16)FP_PLAIN_16(plain->l4, 16);
    parsed->family = 4;
    parsed->protocol = (fp_u8)(plain->middle >> 24);
    parsed->flags =
        (fp_u8)((plain->middle & 0x40 ? FP_PARSED_DF : 0) | (tcp & syn ? FP_PARSED_SYN : 0));
    parsed->type = parsed->code = parsed->problem = 0;
    parsed->dscp_ecn = (fp_u8)(plain->head >> 24);
    parsed->hops = (fp_u8)(plain->middle >> 16);
}

/* A sum of at most 48 bits, folded to 16 as fp_sum_fold() does. */
static fp_inline fp_u64 fp_plain_fold(fp_u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16); /* 18 bits at most */
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Whether it is a plain packet. No branches, and no numbers but of 64 bits: many are looked at side
 * by side (straight.h). */
static fp_inline fp_u64 fp_plain_check(const struct fp_plain *plain)
{
    fp_u64 bytes = FP_PLAIN_16(plain->head, 32), left = bytes - FP_IPV4_BYTES;
    fp_u64 protocol = plain->middle >> 24 & 0xff, tcp = protocol == FP_IP_TCP ? ~0ull : 0;
    fp_u64 least = FP_UDP_BYTES + (tcp & (FP_TCP_BYTES - FP_UDP_BYTES));
    fp_u64 header = (tcp & plain->tcp >> 2 & 0x3c) | (~tcp & FP_PLAIN_16(plain->l4, 32));
    /* A word of 48 bits counts as its three of 16 do. */
    fp_u64 sum = (plain->head >> 16) + (plain->middle << 16 >> 16) +
                 (plain->addresses & 0xffffffff) + (plain->addresses >> 32);
    fp_u64 wrong = (plain->head & FP_PLAIN_HEAD_MASK) ^ FP_PLAIN_HEAD;

    wrong |= (plain->middle & FP_PLAIN_FRAGMENT) | (plain->group & 1);
    wrong |= ~tcp & (protocol ^ FP_IP_UDP);
    wrong |= FP_LESS(bytes, FP_IPV4_BYTES + FP_UDP_BYTES);
    wrong |= FP_LESS(plain->size, FP_ETH_BYTES + bytes);
    wrong |= FP_LESS(header, least) | FP_LESS(left, header);
    wrong |= fp_plain_fold(sum) ^ 0xffff;
    return wrong == 0;
}

/* What fp_source_is_bad() says of a plain packet, as fp_plain_check(). */
static fp_inline fp_u64 fp_plain_source_is_bad(const struct fp_plain *plain)
{
    fp_u64 first = plain->addresses & 0xff;
    fp_u64 same = (plain->addresses ^ plain->addresses >> 32) & 0xffffffff;

    return FP_LESS(same, 1) | FP_LESS(first, 1) | FP_LESS(first ^ 127, 1) | FP_LESS(223, first);
}

#endif
