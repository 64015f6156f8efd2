/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unwraps IP in IP (RFC 2003, RFC 2473, RFC 4213) on a backend and passes the inner packet to the
 * stack. What is for this host and encapsulated is either unwrapped, or dropped and counted: the
 * stack never sees an inner packet whose headers do not agree with the outer one.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/decap/decap.h"
#include "dataplane/fastpath/parse.h"

#define L2_BYTES_MAX (FP_L3_MASK + 1)
#define ECN_MASK 3u
#define ECN_CE 3u

const volatile __u32 decap_from_any;  /* any source may encapsulate for us */
const volatile __u32 decap_only_vips; /* only unwrap what is for decap_vips */

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DECAP_PREFIXES_MAX);
    __type(key, struct decap_prefix);
    __type(value, __u32);
} decap_sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, DECAP_ADDRESSES_MAX);
    __type(key, struct decap_address);
    __type(value, __u32);
} decap_locals SEC(".maps"), decap_vips SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DECAP_RESULT_COUNT);
    __type(key, __u32);
    __type(value, struct decap_count);
} decap_counters SEC(".maps");

/* fastpath/env.h asks every program for it; nothing here copies a DNS question. */
static fp_inline __attribute__((unused)) fp_u8 *fp_scratch_of_cpu(void)
{
    return 0;
}

static fp_inline int is_encapsulation(fp_u32 protocol)
{
    return protocol == FP_IP_IPIP || protocol == FP_IP_IPV6;
}

static fp_inline int source_is_allowed(const struct fp_parsed *outer)
{
    struct decap_prefix key = {
        .length = 128,
        .word = {(fp_u32)outer->source[0], (fp_u32)(outer->source[0] >> 32),
                 (fp_u32)outer->source[1], (fp_u32)(outer->source[1] >> 32)},
    };

    return decap_from_any || bpf_map_lookup_elem(&decap_sources, &key);
}

/* A frame whose outer headers could not be read: is it one that claims to be encapsulated? */
static fp_inline fp_u32 judge_unreadable(struct fp_packet *packet, const struct fp_parsed *outer,
                                         fp_u32 reason)
{
    fp_u8 *ip;

    if (reason == FP_PASS_NOT_IP || reason == FP_DROP_VLAN_DEPTH || outer->l3 < FP_ETH_BYTES)
        return DECAP_NOT_ENCAPSULATED;
    ip = fp_bytes(packet, outer->l3 & FP_L3_MASK, 10);
    if (ip && is_encapsulation((ip[0] >> 4) == 6 ? ip[6] : ip[9]))
        return DECAP_MALFORMED;
    return DECAP_NOT_ENCAPSULATED;
}

/* What can be said before the frame is touched; DECAP_DECAPSULATED: unwrap it. */
static fp_inline fp_u32 judge_outer(const struct fp_parsed *outer)
{
    struct decap_address local = {outer->destination[0], outer->destination[1]};

    if (!is_encapsulation(outer->protocol))
        return DECAP_NOT_ENCAPSULATED;
    if (!bpf_map_lookup_elem(&decap_locals, &local))
        return DECAP_NOT_LOCAL;
    if (!source_is_allowed(outer))
        return DECAP_REFUSED_SOURCE;
    if (outer->flags & FP_PARSED_FRAGMENT)
        return DECAP_FRAGMENT;
    return DECAP_DECAPSULATED;
}

/* Takes the outer IP header away and leaves the Ethernet header and its tags as they were, but
 * for the EtherType. Returns 0, or -1 when the frame is too short for that. */
static fp_inline int strip(struct fp_packet *packet, const struct fp_parsed *outer)
{
    fp_u8 l2[L2_BYTES_MAX];
    fp_u32 l2_bytes = outer->l3 & FP_L3_MASK;
    fp_u8 *type;

    if (l2_bytes < FP_ETH_BYTES || fp_load_bytes(packet, 0, l2, l2_bytes) ||
        fp_adjust_head(packet, outer->l4 - l2_bytes) ||
        bpf_xdp_store_bytes(packet->ctx, 0, l2, l2_bytes))
        return -1;
    type = fp_bytes(packet, (l2_bytes - 2) & FP_L3_MASK, 2);
    if (!type)
        return -1;
    fp_store16(type, fp_htons(outer->protocol == FP_IP_IPIP ? FP_ETH_IPV4 : FP_ETH_IPV6));
    return 0;
}

/* RFC 6040 section 4.2: a congestion mark of the outer header goes on to the inner one; -1 when
 * the inner packet's sender would not understand it. */
static fp_inline int carry_congestion(struct fp_packet *packet, const struct fp_parsed *inner)
{
    fp_u8 *ip = fp_bytes(packet, inner->l3 & FP_L3_MASK, FP_IPV4_BYTES);
    fp_u16 before;

    if (!ip || !(inner->dscp_ecn & ECN_MASK))
        return -1;
    before = fp_load16(ip);
    if (inner->family == 4) {
        ip[1] |= ECN_CE;
        fp_store16(ip + 10, fp_sum_update(fp_load16(ip + 10), before, fp_load16(ip)));
    } else {
        ip[1] |= ECN_CE << 4;
    }
    return 0;
}

static fp_inline fp_u32 judge_inner(struct fp_packet *packet, const struct fp_parsed *outer)
{
    fp_u32 room = outer->l3 + outer->bytes - outer->l4;
    struct decap_address destination;
    struct fp_parsed inner;

    if (strip(packet, outer) || fp_parse(packet, &inner) != FP_GO_ON || inner.bytes > room ||
        inner.problem)
        return DECAP_MALFORMED;
    if (is_encapsulation(inner.protocol))
        return DECAP_NESTED;
    if (fp_source_is_bad(&inner))
        return DECAP_MALFORMED;
    destination.a = inner.destination[0];
    destination.b = inner.destination[1];
    if (decap_only_vips && !bpf_map_lookup_elem(&decap_vips, &destination))
        return DECAP_REFUSED_VIP;
    if ((outer->dscp_ecn & ECN_MASK) == ECN_CE && carry_congestion(packet, &inner))
        return DECAP_MALFORMED;
    return DECAP_DECAPSULATED;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
    struct fp_packet packet = {
        .data = (fp_u8 *)(long)ctx->data,
        .end = (fp_u8 *)(long)ctx->data_end,
        .ctx = ctx,
    };
    struct fp_parsed outer = {0};
    fp_u32 bytes = fp_frame_bytes(&packet);
    fp_u32 reason = fp_parse(&packet, &outer);
    struct decap_count *count;
    fp_u32 result;

    if (reason != FP_GO_ON)
        result = judge_unreadable(&packet, &outer, reason);
    else
        result = judge_outer(&outer);
    if (result == DECAP_DECAPSULATED)
        result = judge_inner(&packet, &outer);
    count = bpf_map_lookup_elem(&decap_counters, &result);
    if (count) {
        count->packets++;
        count->bytes += bytes;
    }
    return result <= DECAP_NOT_LOCAL ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
