/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes a DNS reply over its query: header, the question as it came, the answer's bytes with
 * their compression pointers moved, OPT.
 */
#ifndef CULVERT_FASTPATH_DNS_WRITE_H
#define CULVERT_FASTPATH_DNS_WRITE_H

#include "dataplane/fastpath/dns_query.h"

/* What to say. */
struct fp_dns_reply {
    fp_u32 answer; /* offset in the region of a struct fp_dns_answer, 0: none */
    fp_u32 length; /* of its bytes that are sent */
    fp_u32 shift;  /* what its compression pointers move by */
    fp_u64 counts; /* QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT as they lie in the header */
    fp_u32 flags;  /* QR, AA and TC, as in the header's third byte */
    fp_u32 rcode;
};

/* The most that stands before an answer: Ethernet with two tags, IPv6, UDP, header, question. */
#define FP_DNS_KEEP_MAX (22u + 40 + 8 + FP_DNS_HEADER + 255 + 4)

#define FP_DNS_AA_BIT 0x04u
#define FP_DNS_ONE 0x0100ull /* a count of 1 as it lies */

/* Says only a code: with the question if there is one to repeat, no records. */
static fp_inline void fp_dns_say(struct fp_dns_reply *reply, const struct fp_dns_query *query,
                                 fp_u32 rcode)
{
    reply->answer = 0;
    reply->length = 0;
    reply->shift = 0;
    reply->counts = query->name_end ? FP_DNS_ONE : 0;
    reply->flags = FP_DNS_QR;
    reply->rcode = rcode;
}

/* Says a compiled answer, or as much of it as `limit` bytes of message hold. Returns the answer's
 * reason, or FP_DNS_TRUNCATED. */
static fp_inline fp_u32 fp_dns_say_answer(struct fp_env *env, struct fp_dns_reply *reply,
                                          const struct fp_dns_query *query, fp_u32 at, fp_u32 shift,
                                          fp_u32 limit)
{
    struct fp_dns_answer FP_REGION *answer = FP_AT(env, struct fp_dns_answer, at);
    fp_u32 flags = answer->flags;
    fp_u32 used = query->name_end + 4 + (query->edns ? FP_DNS_OPT_BYTES : 0);
    fp_u64 arcount = answer->full_arcount;
    fp_u32 length = answer->full;

    reply->flags = FP_DNS_QR | (flags & FP_DNS_AA ? FP_DNS_AA_BIT : 0);
    reply->rcode = flags & 15;
    reply->shift = shift;
    reply->answer = at;
    reply->counts = FP_DNS_ONE;
    if (fp_unlikely(used + length > limit)) {
        arcount = answer->core_arcount;
        length = answer->core;
        if (used + length > limit) {
            reply->flags |= FP_DNS_TC;
            reply->length = 0;
            return FP_DNS_TRUNCATED;
        }
    }
    reply->length = length;
    reply->counts |= (fp_u64)answer->ancount << 16 | (fp_u64)answer->nscount << 32 | arcount << 48;
    return answer->reason;
}

/* The bytes of an answer into the frame: a function of its own for eBPF, verified once. `place`:
 * offset in the frame | length << 16 | shift << 32 (0: nothing to move). Returns 0, or -1: the
 * frame is shorter than that. */
#ifdef FP_BPF
__noinline int fp_dns_copy(struct xdp_md *ctx, fp_u32 answer_at, fp_u64 place)
{
    struct fp_packet packet_of_call = {.data = (fp_u8 *)(long)ctx->data,
                                       .end = (fp_u8 *)(long)ctx->data_end};
    struct fp_packet *packet = &packet_of_call;
#else
static inline int fp_dns_copy(struct fp_env *env, struct fp_packet *packet, fp_u32 answer_at,
                              fp_u64 place)
{
#endif
    struct fp_dns_answer FP_REGION *answer = FP_AT(env, struct fp_dns_answer, answer_at);
    fp_u16 FP_REGION *fixup = FP_AT(env, fp_u16, answer_at + sizeof(struct fp_dns_answer));
    fp_u32 nfixups = answer->fixups;
    fp_u32 from = answer_at + sizeof(struct fp_dns_answer) + FP_DNS_FIXUP_BYTES(nfixups);
    fp_u64 length = (place >> 16) & 0xffff;
    fp_u32 shift = (fp_u32)(place >> 32);
    fp_u32 to = place & 0xffff;
    fp_u8 *at;

#ifdef FP_BPF
    to &= 0xfff;
    for (fp_u32 i = 0; i < FP_DNS_UDP_MAX; i += 8) {
        if (i + 8 > length)
            break;
        at = fp_bytes(packet, to + i, 8);
        if (!at)
            return -1;
        fp_store64(at, *FP_AT(env, fp_u64, from + i));
    }
    fp_opaque(length, place);
    length &= 0xffff;
    if (length & 7) {
        /* No record is shorter than a word: the last word is written again, shifted. */
        at = fp_bytes(packet, to + ((length - 8) & (FP_DNS_UDP_MAX - 1)), 8);
        if (!at)
            return -1;
        fp_store64(at, *FP_AT(env, fp_u64, from + length - 8));
    }
#else
    at = fp_bytes(packet, to, length);
    if (!at)
        return -1;
    __builtin_memcpy(at, FP_AT(env, fp_u8, from), length);
#endif
    if (fp_likely(!shift))
        return 0;
    for (fp_u32 i = 0; i < FP_DNS_FIXUPS_MAX; i++) {
        fp_u32 offset;

        if (i >= nfixups)
            break;
        offset = fixup[i];
        if (offset >= length)
            break; /* in the part that is left off; they are in order */
#ifdef FP_BPF
        offset &= FP_DNS_UDP_MAX - 1;
#endif
        at = fp_bytes(packet, to + offset, 2);
        if (!at)
            return -1;
        fp_store16(at, fp_htons((fp_u16)(fp_ntohs(fp_load16(at)) + shift)));
    }
    return 0;
}

/* Moves `keep` bytes (8 or more) of the frame from offset `delta` to its start: a function of its
 * own for eBPF. Returns 0, or -1: the frame is shorter than that. */
#ifdef FP_BPF
__noinline int fp_dns_move(struct xdp_md *ctx, fp_u32 delta, fp_u32 keep)
{
    struct fp_packet packet_of_call = {.data = (fp_u8 *)(long)ctx->data,
                                       .end = (fp_u8 *)(long)ctx->data_end};
    struct fp_packet *packet = &packet_of_call;
#else
static inline int fp_dns_move(struct fp_packet *packet, fp_u32 delta, fp_u32 keep)
{
#endif
    fp_u8 *from, *to;
    fp_u64 word, last;

    delta &= 0xff;
    keep &= 0x1ff;
    if (keep < 8)
        return -1;
    /* The last word overlaps the one before, and is read before that is written. */
    from = fp_bytes(packet, (delta + keep - 8) & 0x3ff, 8);
    if (!from)
        return -1;
    last = fp_load64(from);
    for (fp_u32 i = 0; i < FP_DNS_KEEP_MAX; i += 8) {
        if (i + 8 > keep)
            break;
        from = fp_bytes(packet, delta + i, 8);
        if (!from)
            return -1;
        word = fp_load64(from);
        to = fp_bytes(packet, i, 8);
        if (!to)
            return -1;
        fp_store64(to, word);
    }
    to = fp_bytes(packet, (keep - 8) & 0x1ff, 8);
    if (!to)
        return -1;
    fp_store64(to, last);
    return 0;
}

/* Makes the frame `delta` bytes longer (or shorter) behind its first `keep` bytes. Where the
 * driver left no room behind the frame (veth, generic XDP) it grows at its start, and what is to be
 * kept moves there. Returns 0, or -1: no room, nothing is changed. */
static fp_inline int fp_dns_resize(struct fp_packet *packet, int delta, fp_u32 keep)
{
    if (fp_likely(!fp_adjust_tail(packet, delta)))
        return 0;
    if (delta < 0 || delta > 0xff || keep > FP_DNS_KEEP_MAX || fp_adjust_head(packet, -delta))
        return -1;
#ifdef FP_BPF
    if (fp_dns_move(packet->ctx, (fp_u32)delta, keep))
        return -1;
    packet->data = (fp_u8 *)(long)packet->ctx->data;
    packet->end = (fp_u8 *)(long)packet->ctx->data_end;
    return 0;
#else
    return fp_dns_move(packet, (fp_u32)delta, keep);
#endif
}

/* Writes an OPT record (RFC 6891 section 6.1) at `at`. */
static fp_inline int fp_dns_write_opt(struct fp_packet *packet, const struct fp_dns_query *query,
                                      fp_u32 at, fp_u32 udp_max, fp_u32 rcode)
{
    fp_u8 *opt = fp_bytes(packet, at & 0x1fff, FP_DNS_OPT_BYTES);
    fp_u64 first;

    if (!opt)
        return -1;
    /* root, type, class (our payload size), the upper RCODE, version 0, DO; no options */
    first = (fp_u64)FP_DNS_TYPE_OPT << 16 | (fp_u64)fp_htons((fp_u16)udp_max) << 24 |
            (fp_u64)(rcode >> 4) << 40 | (fp_u64)query->dok << 56;
    fp_store64(opt, first);
    fp_store16(opt + 8, 0);
    opt[10] = 0;
    return 0;
}

/* Writes the reply over the query; the frame ends with it, query->length becomes its length.
 * Returns 0, or -1: no room in the frame (nothing is written) or a frame that is too short. */
static fp_inline int fp_dns_write(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_dns_query *query, const struct fp_dns_reply *reply,
                                  fp_u32 udp_max)
{
    fp_u32 body = query->name_end ? query->name_end + 4 : FP_DNS_HEADER;
    fp_u32 edns = query->edns;
    fp_u32 length = body + reply->length + (edns ? FP_DNS_OPT_BYTES : 0);
    fp_u64 counts = reply->counts;
    fp_u32 at = query->at;
    fp_u8 *header;
    int delta;

    delta = (int)(at + length) - (int)fp_frame_bytes(packet);
    if (fp_dns_resize(packet, delta, at + body))
        return -1;
    header = fp_bytes(packet, at, FP_DNS_HEADER);
    if (!header)
        return -1;
    /* ARCOUNT is the last: one more cannot carry out of it, for the compile bounds it. */
    if (edns)
        counts = (counts & 0xffffffffffffull) |
                 (fp_u64)fp_htons((fp_u16)(fp_ntohs((fp_u16)(counts >> 48)) + 1)) << 48;
    header[2] = (fp_u8)(reply->flags | (header[2] & (FP_DNS_OPCODE | FP_DNS_RD)));
    header[3] = (fp_u8)((header[3] & FP_DNS_CD) | (reply->rcode & 15));
    fp_store64(header + 4, counts);
    if (edns &&
        fp_dns_write_opt(packet, query, at + length - FP_DNS_OPT_BYTES, udp_max, reply->rcode))
        return -1;
    if (reply->length) {
        fp_u64 place = (at + body) | (fp_u64)reply->length << 16 | (fp_u64)reply->shift << 32;

#ifdef FP_BPF
        if (fp_dns_copy(packet->ctx, reply->answer, place))
            return -1;
        packet->data = (fp_u8 *)(long)packet->ctx->data;
        packet->end = (fp_u8 *)(long)packet->ctx->data_end;
#else
        if (fp_dns_copy(env, packet, reply->answer, place))
            return -1;
#endif
    }
    query->length = length;
    return 0;
}

#endif
