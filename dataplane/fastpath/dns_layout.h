/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What controlplane/dns compiles and dns.h answers from: the bodies of the DNS and ZONE entries.
 *
 * - A *node* (kind DNS) is one name: its flags, a directory of types, and the answers themselves,
 *   so that a positive answer is one look-up. Key: a,b = hash of the name (dns_hash.h), c = 0; or
 *   c = 1 for the parent's side of a zone cut whose child we serve too (its DS, RFC 4035 3.1.4.1).
 * - Existence is monotone: every ancestor of a node is a node, up to the top label. So a search by
 *   bisection finds the closest encloser (RFC 4592 section 3.3.1) of a name that is no node.
 * - A *zone* (kind ZONE, key a = number) holds the one negative answer that its nodes share: the
 *   SOA with the negative TTL (RFC 2308).
 * - An *answer* is ready wire bytes that follow the question. They were compiled for a question
 *   whose name has `base` bytes (the node's or zone's name_length); for a longer one (wildcard,
 *   referral, negative) each compression pointer but 0xC00C is moved by the difference: the
 *   fix-ups list where they are.
 */
#ifndef CULVERT_FASTPATH_DNS_LAYOUT_H
#define CULVERT_FASTPATH_DNS_LAYOUT_H

#include "dataplane/fastpath/base.h"

#define FP_DNS_HEADER 12u    /* RFC 1035 section 4.1.1 */
#define FP_DNS_NAME_MAX 255u /* RFC 1035 section 2.3.4 */
#define FP_DNS_LABELS_MAX 127u
#define FP_DNS_OPT_BYTES 11u  /* RFC 6891 section 6.1.2, without options */
#define FP_DNS_TYPES_MAX 64u  /* types of one node */
#define FP_DNS_FIXUPS_MAX 48u /* of one answer */
#define FP_DNS_UDP_MIN 512u
#define FP_DNS_UDP_MAX 4096u
/* The sections of an answer fit a TCP message with the longest question and an OPT record. */
#define FP_DNS_ANSWER_MAX (65535u - FP_DNS_HEADER - FP_DNS_NAME_MAX - 4u - FP_DNS_OPT_BYTES)

#define FP_DNS_KEY_NODE 0u
#define FP_DNS_KEY_PARENT 1u

/* fp_dns_node.flags */
#define FP_DNS_WILDCARD 1u /* "*." under this name is a node */
#define FP_DNS_CUT 2u      /* delegated: this name's and all lower names' answer is `other` */
#define FP_DNS_HOLLOW 4u   /* above our zones: REFUSED here and below */
#define FP_DNS_APEX 8u     /* DS is answered by the parent's side, if we serve it */
#define FP_DNS_DNAME 16u   /* lower names are redirected: the directory's entry of type DNAME */

struct fp_dns_type {
    fp_u16 type;   /* host order */
    fp_u16 offset; /* of its answer from the body's start, in units of 8 bytes; 0: NODATA */
};

/* The first type answers ANY (RFC 8482 section 4.1) unless the node is a cut. */
struct fp_dns_node {
    fp_u16 zone; /* number */
    fp_u8 flags;
    fp_u8 ntypes;
    fp_u16 other;      /* offset of the answer to types that are not listed; 0: NODATA */
    fp_u8 name_length; /* of its name in wire format */
    fp_u8 labels;
    struct fp_dns_type type[];
};
FP_STATIC_ASSERT(sizeof(struct fp_dns_node) == 8, "layout");

/* fp_dns_answer.flags: the low four bits are the RCODE */
#define FP_DNS_AA 0x80u

/* The header is followed by the fix-ups (u16, offsets into the bytes), rounded up to 8 bytes, then
 * by `full` bytes, rounded up to 8. Where it doesn't fit, the bytes after `core` are left off
 * (additional records that are not needed); where core doesn't, the answer is truncated. */
struct fp_dns_answer {
    fp_u16 core; /* bytes */
    fp_u16 full;
    fp_be16 ancount, nscount;
    fp_be16 core_arcount, full_arcount;
    fp_u8 flags;
    fp_u8 fixups;
    fp_u8 reason; /* enum fp_reason */
    fp_u8 pad;
};
FP_STATIC_ASSERT(sizeof(struct fp_dns_answer) == 16, "layout");

struct fp_dns_zone {
    fp_u8 name_length;
    fp_u8 pad[7];
    struct fp_dns_answer negative;
};
FP_STATIC_ASSERT(sizeof(struct fp_dns_zone) == 24, "layout");

#define FP_DNS_FIXUP_BYTES(n) (((n) * 2u + 7u) & ~7u)

#endif
