/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What culvert-pktgen's programs and its user space share. */
#ifndef CULVERT_PKTGEN_PKTGEN_H
#define CULVERT_PKTGEN_PKTGEN_H

#include "dataplane/fastpath/base.h"

#define PKTGEN_HEAD_BYTES 128u /* of a template that are written word by word; frames have room */
#define PKTGEN_L4_ROOM(words) (24u + (words) * 8) /* behind the IP header, to write questions to */
#define PKTGEN_FRAME_MAX 1536u                    /* bytes of a template */
#define PKTGEN_TEMPLATES_MAX 1024u
#define PKTGEN_SCHEDULE_MAX 4096u
#define PKTGEN_TARGETS_MAX 256u
#define PKTGEN_BACKENDS_MAX 4096u
#define PKTGEN_QUERY_MAX 272u /* a question and an OPT record, a multiple of 8 */
#define PKTGEN_QUERIES_MAX 4000000u
#define PKTGEN_L3_MASK 0x1fu /* bounds of offsets, as the verifier sees them */
#define PKTGEN_L4_MASK 0x7fu

/* What is sent. */
#define PKTGEN_KINDS(X)                                                                            \
    X(DNS, 0, "dns")                                                                               \
    X(UDP, 1, "udp")                                                                               \
    X(TCP, 2, "tcp")                                                                               \
    X(SYN, 3, "syn")

enum pktgen_kind {
#define X(name, number, text) PKTGEN_##name = number,
    PKTGEN_KINDS(X)
#undef X
        PKTGEN_KIND_COUNT = 4,
};

/* A frame to be varied. Sums are one's complement sums of what doesn't vary: the varied fields,
 * the source's last word and the checksums are 0 in it. Of DNS it ends behind the DNS header, and
 * all lengths are 0 as well. */
struct pktgen_template {
    fp_u32 length;       /* bytes of the frame; for DNS without the question */
    fp_u8 kind;          /* enum pktgen_kind */
    fp_u8 family;        /* 4 or 6 */
    fp_u8 l3, l4;        /* offsets */
    fp_be32 source;      /* the source address' last word without its varied bits */
    fp_u32 address_bits; /* how many bits of it vary */
    fp_u64 ip_sum, l4_sum;
    fp_u8 frame[PKTGEN_FRAME_MAX];
};

/* A question in wire form (RFC 1035 section 4.1.2), an OPT record behind it if asked for. */
struct pktgen_query {
    fp_u16 length;
    fp_u16 sum; /* folded; the question starts at an even offset */
    fp_u32 pad;
    fp_u64 wire[PKTGEN_QUERY_MAX / 8]; /* the map holds only as many words as are needed */
};

/* Where a sending CPU stands. */
struct pktgen_sender {
    fp_u32 flow;     /* below config.flows */
    fp_u32 position; /* in the schedule */
    fp_u32 query;
    fp_u32 pad;
    fp_u64 number; /* of packets sent */
    fp_u64 sent[PKTGEN_KIND_COUNT];
    fp_u64 bytes;
};

/* An address (key form) and port that traffic goes to. `kinds`: 1 << enum pktgen_kind. */
struct pktgen_target {
    fp_u64 a, b;
    fp_u32 port;
    fp_u32 kinds;
};

struct pktgen_target_key {
    fp_u64 a, b;
    fp_u64 port;
};

/* Sources in key form; one that matches nothing has bits in base outside of mask. */
struct pktgen_prefix {
    fp_u64 base[2], mask[2];
};

struct pktgen_config {
    fp_u32 ifindex;
    fp_u32 frame_bytes; /* of every frame that the kernel hands to the sender */
    fp_u32 schedule_length;
    fp_u32 flows;
    fp_u32 stride; /* from a flow to the next one; no common factor with `flows` */
    fp_u32 queries;
    fp_u32 query_words;
    fp_u32 sample_mask; /* one packet in sample_mask + 1 carries a time stamp */
    fp_u32 port_low, port_high;
    fp_u32 count_only;   /* classify all that arrives, by what it is; send nothing */
    fp_u32 drop;         /* count_only: drop what is encapsulated */
    fp_u32 namespace_id; /* inode of our network namespace */
    fp_u32 pad;
    struct pktgen_prefix source[2];
    struct pktgen_target first; /* looked at before the map of targets */
};

/* What comes back, but for what is counted by number or by address.
 *   X(NAME, number, "json-name") */
#define PKTGEN_REPLIES(X)                                                                          \
    X(DNS, 0, "dns")                                                                               \
    X(DNS_TRUNCATED, 1, "dns_truncated")                                                           \
    X(DNS_MALFORMED, 2, "dns_malformed")                                                           \
    X(UDP, 3, "udp")                                                                               \
    X(SYN_ACK, 4, "syn_ack")                                                                       \
    X(RST, 5, "rst")                                                                               \
    X(TCP_OTHER, 6, "tcp_other")                                                                   \
    X(ENCAPSULATED, 7, "encapsulated")                                                             \
    X(FORWARDED, 8, "forwarded")                                                                   \
    X(ICMP, 9, "icmp")                                                                             \
    X(ICMPV6, 10, "icmpv6")                                                                        \
    X(OTHER, 11, "other")

enum pktgen_reply {
#define X(name, number, text) PKTGEN_REPLY_##name = number,
    PKTGEN_REPLIES(X)
#undef X
        PKTGEN_REPLY_COUNT = 12,
};

/* Round-trip times: 16 buckets to an octave of nanoseconds (6% wide). */
#define PKTGEN_BUCKETS 640u
#define PKTGEN_BUCKET_SHIFT 4u
#define PKTGEN_RTT_MAX (fp_u64)10000000000ull /* ns; more is no round trip of ours */

struct pktgen_counters {
    fp_u64 received, bytes;
    fp_u64 passed; /* not of the test: left to the kernel */
    fp_u64 reply[PKTGEN_REPLY_COUNT];
    fp_u64 rcode[16];
    fp_u64 icmp[256], icmpv6[256];               /* by type */
    fp_u64 refused;                              /* frames that the interface didn't take */
    fp_u64 rtt_count, rtt_sum, rtt_min, rtt_max; /* ns; rtt_min 0: none yet */
    fp_u64 rtt[PKTGEN_BUCKETS];
};

/* Key and value of the map of backends. */
struct pktgen_backend_key {
    fp_u64 a, b;      /* where the packet was sent on to */
    fp_u64 forwarded; /* 0: encapsulated */
};

struct pktgen_backend {
    fp_u64 packets, bytes;
};

/* What a UDP payload starts with. */
#define PKTGEN_MAGIC 0x43567067u
struct pktgen_stamp {
    fp_u32 magic;
    fp_u32 number;
    fp_u64 time; /* ns, CLOCK_MONOTONIC; 0: not sampled */
};
FP_STATIC_ASSERT(sizeof(struct pktgen_stamp) == 16, "layout");

/* TCP: the sequence number is number << 1, or sampled: 64 ns since boot << 1 | 1. */
#define PKTGEN_TICK_SHIFT 6

/* DNS: when a sampled query left, found by its id and source port. */
#define PKTGEN_STAMPS 16384u
struct pktgen_dns_stamp {
    fp_u32 key; /* id << 16 | port */
    fp_u32 pad;
    fp_u64 time;
};

#endif
