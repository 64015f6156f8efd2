/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a DNS query: header, the one question, and an OPT record when it is all that follows.
 */
#ifndef CULVERT_FASTPATH_DNS_QUERY_H
#define CULVERT_FASTPATH_DNS_QUERY_H

#include "dataplane/fastpath/bytes.h"
#include "dataplane/fastpath/dns_layout.h"

/* RCODEs (RFC 1035 section 4.1.1, RFC 6891 section 9) */
#define FP_RCODE_NOERROR 0u
#define FP_RCODE_FORMERR 1u
#define FP_RCODE_NXDOMAIN 3u
#define FP_RCODE_NOTIMP 4u
#define FP_RCODE_REFUSED 5u
#define FP_RCODE_YXDOMAIN 6u
#define FP_RCODE_BADVERS 16u

#define FP_DNS_TYPE_DNAME 39u
#define FP_DNS_TYPE_OPT 41u
#define FP_DNS_TYPE_DS 43u
#define FP_DNS_TYPE_META 128u /* 128..255 are meta types (RFC 6895 section 3.1) */
#define FP_DNS_TYPE_IXFR 251u
#define FP_DNS_TYPE_AXFR 252u
#define FP_DNS_TYPE_ANY 255u
#define FP_DNS_CLASS_IN 1u

/* The third byte of the header: QR, OPCODE, AA, TC, RD; the fourth: RA, Z, AD, CD, RCODE. */
#define FP_DNS_QR 0x80u
#define FP_DNS_OPCODE 0x78u
#define FP_DNS_TC 0x02u
#define FP_DNS_RD 0x01u
#define FP_DNS_CD 0x10u

/* Scratch: the message's first bytes (header, longest name, type, class and OPT are 282; whole
 * words may be read past that), then the offset of each label in the name, then their number. */
#define FP_DNS_IMAGE 288u
#define FP_DNS_LABEL_AT 304u
#define FP_DNS_COUNT_AT (FP_DNS_LABEL_AT + FP_DNS_LABELS_MAX + 1)
FP_STATIC_ASSERT(FP_DNS_IMAGE + 16 <= FP_DNS_LABEL_AT && FP_DNS_COUNT_AT < FP_SCRATCH_BYTES, "");

#define FP_DNS_SHORT 64u /* bytes of a query that is copied without a look at its length */

struct fp_dns_query {
    fp_u32 at;       /* offset of the message in the frame, up to FP_L4_MASK + 8 */
    fp_u32 length;   /* of the message; then that of the reply */
    fp_u32 payload;  /* longest reply that the sender takes over UDP */
    fp_u32 name_end; /* offset in the message behind the question's name */
    fp_u32 labels;   /* in it, the root not counted */
    fp_u16 type;
    fp_u8 edns; /* 1: the query has an OPT record */
    fp_u8 dok;  /* DO bit, as the byte it lies in (0x80) */
};

/* What a search needs of the site's configuration. */
struct fp_dns_site {
    fp_u64 k0, k1;
    fp_u32 udp_max;
    fp_u32 max_labels;
};

#ifndef FP_BPF
/* A query that was read, and its name hashed, before its turn. */
struct fp_dns_ahead {
    fp_u64 a, b;   /* hash of the question's name, when it may be a node's */
    fp_u64 hash;   /* the index's, of the node's key; 0: the name may not be a node's */
    fp_u32 ref;    /* the record that the index probably has for it, or 0 */
    fp_u32 reason; /* what fp_dns_read() returned */
    const struct fp_dns_site *site;
    struct fp_dns_query query;
};
#endif

/* The scratch, as a function of its own gets it. */
struct fp_dns_scratch {
    fp_u8 bytes[FP_SCRATCH_BYTES];
};

/* Walks the question's name. Returns the offset behind it | its labels << 16, or 0: not a name
 * (compressed, too long, cut off). */
fp_subprogram fp_u32 fp_dns_walk(struct fp_dns_scratch *image, fp_u32 have)
{
    fp_u8 *scratch = image->bytes;
    fp_u64 labels = FP_DNS_LABELS_MAX + 1;
    fp_u64 at = FP_DNS_HEADER;

    if (!image)
        return 0;
    for (fp_u32 i = 0; i <= FP_DNS_LABELS_MAX; i++) {
        fp_u32 length;

        if (at >= FP_DNS_HEADER + FP_DNS_NAME_MAX)
            break;
        length = scratch[at];
        scratch[FP_DNS_LABEL_AT + i] = (fp_u8)(at - FP_DNS_HEADER);
        at++;
        if (!length) {
            labels = i;
            break;
        }
        if (length > 63)
            break;
        at += length;
    }
    fp_opaque(labels, have);
    labels &= 0xff;
    fp_opaque(at, have);
    at &= 0x1ff;
    if (labels > FP_DNS_LABELS_MAX || at + 4 > have)
        return 0;
    return (fp_u32)(labels << 16 | at);
}

/* Reads the OPT record behind the question. Returns 0, or the reason to end here. */
static fp_inline fp_u32 fp_dns_read_opt(struct fp_packet *packet, struct fp_dns_query *query)
{
    const fp_u8 *opt = packet->scratch + query->name_end + 4;
    fp_u32 at = query->name_end + 4;

    if (at + FP_DNS_OPT_BYTES > query->length)
        return FP_DNS_FORMERR;
    if (opt[0] || fp_load16(opt + 1) != fp_htons(FP_DNS_TYPE_OPT))
        return FP_PASS_DNS_ODD;
    if (at + FP_DNS_OPT_BYTES + fp_ntohs(fp_load16(opt + 9)) > query->length)
        return FP_DNS_FORMERR;
    query->edns = 1;
    query->dok = opt[7] & 0x80;
    query->payload = fp_ntohs(fp_load16(opt + 3));
    if (query->payload < FP_DNS_UDP_MIN)
        query->payload = FP_DNS_UDP_MIN;
    return opt[6] ? FP_DNS_BADVERS : 0;
}

/* Copies the first `have` bytes of the message to the scratch, and perhaps void ones behind them.
 * Returns 0, or -1: the frame is shorter. */
static fp_inline int fp_dns_image(struct fp_packet *packet, fp_u32 at, fp_u8 *scratch, fp_u32 have)
{
#ifndef FP_BPF
    /* Most queries are short, and a copy of a known length is far quicker than that of any. */
    if (fp_likely(have <= FP_DNS_SHORT &&
                  (fp_u64)at + have <= (fp_u64)(packet->end - packet->data) &&
                  (fp_u64)at + FP_DNS_SHORT <= (fp_u64)(packet->limit - packet->data))) {
        __builtin_memcpy(scratch, packet->data + at, FP_DNS_SHORT);
        return 0;
    }
#endif
    return fp_load_bytes(packet, at, scratch, have);
}

/* Reads the query at query->at, whose length is set. Returns 0 when it asks for data of
 * class IN, or the reason to end here: what the message deserves. `name_end` is 0 unless the
 * question can be repeated. */
static fp_inline fp_u32 fp_dns_read(struct fp_packet *packet, struct fp_dns_query *query)
{
    fp_u32 have = query->length < FP_DNS_IMAGE ? query->length : FP_DNS_IMAGE;
    fp_u8 *scratch = packet->scratch;
    fp_u64 counts;
    fp_u32 reason;
    fp_u32 what;

    query->name_end = 0;
    query->edns = 0;
    query->dok = 0;
    query->payload = FP_DNS_UDP_MIN;
    if (have < FP_DNS_HEADER)
        return FP_DROP_DNS_SHORT;
    if (fp_dns_image(packet, query->at, scratch, have))
        return FP_DROP_SHORT;
    if (scratch[2] & FP_DNS_QR)
        return FP_DROP_DNS_RESPONSE;
    if (scratch[2] & FP_DNS_OPCODE)
        return FP_DNS_NOTIMP;
    counts = fp_load64(scratch + 4);
    /* QDCOUNT 1, and ARCOUNT 0 or 1: anything in the sections between is rare. */
    if ((counts & 0xffff) != 0x0100)
        return FP_DNS_FORMERR;
    if (counts & ~0x010000000000ffffull)
        return FP_PASS_DNS_ODD;
    what = fp_dns_walk((struct fp_dns_scratch *)scratch, have);
    if (!what)
        return FP_DNS_FORMERR;
    query->labels = what >> 16 & 0x7f;
    query->name_end = what & 0x1ff;
    if (query->name_end > FP_DNS_IMAGE - 4) /* never: said to the verifier */
        return FP_DROP_INTERNAL;
    if (counts >> 56) {
        reason = fp_dns_read_opt(packet, query);
        if (reason)
            return reason;
    }
    what = fp_load32(scratch + query->name_end);
    query->type = fp_ntohs((fp_u16)what);
    if (what >> 16 != fp_htons(FP_DNS_CLASS_IN))
        return FP_DNS_REFUSED;
    if (fp_unlikely(query->type >= FP_DNS_TYPE_META && query->type < FP_DNS_TYPE_ANY))
        return query->type == FP_DNS_TYPE_AXFR || query->type == FP_DNS_TYPE_IXFR ? FP_DNS_REFUSED
                                                                                  : FP_DNS_NOTIMP;
    if (query->type == FP_DNS_TYPE_OPT)
        return FP_DNS_FORMERR;
    return 0;
}

/* The same, once: not again when it was read ahead. */
static fp_inline fp_u32 fp_dns_query_of(struct fp_packet *packet, struct fp_dns_query *query)
{
#ifndef FP_BPF
    if (packet->dns) {
        *query = packet->dns->query;
        return packet->dns->reason;
    }
#endif
    return fp_dns_read(packet, query);
}

#endif
