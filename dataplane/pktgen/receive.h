/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Receiving: is it of the test, what is it, how long did it take. */
#ifndef CULVERT_PKTGEN_RECEIVE_H
#define CULVERT_PKTGEN_RECEIVE_H

#include "dataplane/fastpath/parse.h"
#include "dataplane/pktgen/send.h"

#define TCP_RST 0x04u
#define DNS_QR 0x80u /* in the third byte of the header */
#define DNS_TC 0x02u
#define DNS_BYTES 12u

/* The addresses and ports of a flow, seen from us. */
struct flow {
    fp_u64 ours[2], theirs[2];
    fp_u32 our_port, their_port;
};

/* ---- counting ---- */

static fp_inline fp_u32 rtt_bucket(fp_u64 ns)
{
    fp_u32 high = 0;
    fp_u64 left = ns;

    for (fp_u32 step = 32; step; step >>= 1) {
        if (left >> step) {
            left >>= step;
            high += step;
        }
    }
    if (high < PKTGEN_BUCKET_SHIFT)
        return (fp_u32)ns;
    return (high - PKTGEN_BUCKET_SHIFT + 1) << PKTGEN_BUCKET_SHIFT |
           (fp_u32)((ns >> (high - PKTGEN_BUCKET_SHIFT)) & ((1 << PKTGEN_BUCKET_SHIFT) - 1));
}

static fp_inline void count_rtt(struct pktgen_counters *counters, fp_u64 ns)
{
    fp_u32 bucket = rtt_bucket(ns);

    if (!ns || ns > PKTGEN_RTT_MAX || bucket >= PKTGEN_BUCKETS)
        return;
    counters->rtt[bucket]++;
    counters->rtt_count++;
    counters->rtt_sum += ns;
    if (!counters->rtt_min || ns < counters->rtt_min)
        counters->rtt_min = ns;
    if (ns > counters->rtt_max)
        counters->rtt_max = ns;
}

/* Counts a packet that was sent on, by where to. */
static fp_inline void count_backend(struct pktgen_counters *counters, const fp_u64 to[2],
                                    fp_u32 forwarded, fp_u32 bytes)
{
    struct pktgen_backend_key key = {to[0], to[1], forwarded};
    struct pktgen_backend *backend = bpf_map_lookup_elem(&pktgen_backends, &key);
    struct pktgen_backend first = {1, bytes};

    counters->reply[forwarded ? PKTGEN_REPLY_FORWARDED : PKTGEN_REPLY_ENCAPSULATED]++;
    if (!backend) {
        bpf_map_update_elem(&pktgen_backends, &key, &first, BPF_NOEXIST);
        return;
    }
    backend->packets++;
    backend->bytes += bytes;
}

/* ---- of the test? ---- */

static fp_inline int is_source(const fp_u64 address[2], fp_u32 port)
{
    if (port < config.port_low || port > config.port_high)
        return 0;
    for (int i = 0; i < 2; i++) {
        if ((address[0] & config.source[i].mask[0]) == config.source[i].base[0] &&
            (address[1] & config.source[i].mask[1]) == config.source[i].base[1])
            return 1;
    }
    return 0;
}

/* The kinds of traffic that go to an address and port. */
static fp_inline fp_u32 target_kinds(const fp_u64 address[2], fp_u32 port)
{
    struct pktgen_target_key key = {address[0], address[1], port};
    fp_u32 *kinds;

    if (key.a == config.first.a && key.b == config.first.b && port == config.first.port)
        return config.first.kinds;
    kinds = bpf_map_lookup_elem(&pktgen_targets, &key);
    return kinds ? *kinds : 0;
}

/* ---- round-trip times ---- */

static fp_inline void time_cookie(struct pktgen_counters *counters, fp_u32 cookie)
{
    fp_u32 now;

    if (!(cookie & 1))
        return;
    now = (fp_u32)(bpf_ktime_get_ns() >> PKTGEN_TICK_SHIFT);
    count_rtt(counters, (fp_u64)((now - (cookie >> 1)) & 0x7fffffff) << PKTGEN_TICK_SHIFT);
}

static fp_inline void time_stamp(struct pktgen_counters *counters, const fp_u8 *stamp)
{
    fp_u64 time = fp_load64(stamp + 8);

    if (fp_load32(stamp) == PKTGEN_MAGIC && time)
        count_rtt(counters, bpf_ktime_get_ns() - time);
}

static fp_inline void time_dns(struct pktgen_counters *counters, fp_u32 key)
{
    fp_u32 slot = stamp_slot(key);
    struct pktgen_dns_stamp *stamp = bpf_map_lookup_elem(&pktgen_stamps, &slot);

    if (!stamp || stamp->key != key || !stamp->time)
        return;
    count_rtt(counters, bpf_ktime_get_ns() - stamp->time);
    stamp->time = 0;
}

/* ---- answers ---- */

/* False: no answer to a query of ours. */
static fp_inline int take_dns(struct fp_packet *packet, const struct fp_parsed *parsed,
                              struct pktgen_counters *counters)
{
    fp_u8 *header = fp_bytes(packet, parsed->l4 + FP_UDP_BYTES, DNS_BYTES);

    if (!header || parsed->payload < DNS_BYTES || !(header[2] & DNS_QR)) {
        counters->reply[PKTGEN_REPLY_DNS_MALFORMED]++;
        return 1;
    }
    counters->reply[PKTGEN_REPLY_DNS]++;
    counters->rcode[header[3] & 15]++;
    if (header[2] & DNS_TC)
        counters->reply[PKTGEN_REPLY_DNS_TRUNCATED]++;
    time_dns(counters, (fp_u32)fp_load16(header) << 16 | fp_htons(parsed->dport));
    return 1;
}

static fp_inline void take_udp(struct fp_packet *packet, const struct fp_parsed *parsed,
                               struct pktgen_counters *counters)
{
    fp_u8 *stamp = fp_bytes(packet, parsed->l4 + FP_UDP_BYTES, sizeof(struct pktgen_stamp));

    counters->reply[PKTGEN_REPLY_UDP]++;
    if (stamp)
        time_stamp(counters, stamp);
}

static fp_inline void take_tcp(struct fp_packet *packet, const struct fp_parsed *parsed,
                               struct pktgen_counters *counters)
{
    fp_u8 *tcp = fp_bytes(packet, parsed->l4, FP_TCP_BYTES);

    if (!tcp)
        return;
    if (tcp[13] & TCP_RST) {
        counters->reply[PKTGEN_REPLY_RST]++;
        /* RFC 9293 section 3.10.7.1: to a segment with ACK, SEQ is what that acknowledged. */
        if (!(tcp[13] & FP_TCP_ACK)) {
            time_cookie(counters, fp_ntohl(fp_load32(tcp + 4)));
            return;
        }
    } else if ((tcp[13] & (FP_TCP_SYN | FP_TCP_ACK)) == (FP_TCP_SYN | FP_TCP_ACK)) {
        counters->reply[PKTGEN_REPLY_SYN_ACK]++;
    } else {
        counters->reply[PKTGEN_REPLY_TCP_OTHER]++;
        return;
    }
    time_cookie(counters, fp_ntohl(fp_load32(tcp + 8)) - 1);
}

/* A packet of ours that comes back as it was sent, for the headers that follow at l4. */
static fp_inline void time_own(struct fp_packet *packet, fp_u32 l4, fp_u32 protocol,
                               struct pktgen_counters *counters)
{
    fp_u8 *header;

    if (protocol == FP_IP_TCP) {
        header = fp_bytes(packet, l4 & FP_L4_MASK, FP_TCP_BYTES);
        if (header)
            time_cookie(counters, fp_ntohl(fp_load32(header + 4)));
        return;
    }
    header = fp_bytes(packet, l4 & FP_L4_MASK, FP_UDP_BYTES + sizeof(struct pktgen_stamp));
    if (header)
        time_stamp(counters, header + FP_UDP_BYTES);
}

/* ---- packets of ours inside of others ---- */

/* Reads the packet inside at `offset` (no IPv6 extension headers) as one that we sent. Returns
 * its protocol, with where its L4 header starts, or 0. */
static fp_inline fp_u32 read_inside(struct fp_packet *packet, fp_u32 offset, struct flow *flow,
                                    fp_u32 *l4)
{
    fp_u8 *ip = fp_bytes(packet, offset & FP_L4_MASK, FP_IPV4_BYTES);
    fp_u8 *ports;
    fp_u32 protocol;

    if (!ip)
        return 0;
    if ((ip[0] >> 4) == 4) {
        flow->ours[0] = flow->theirs[0] = 0;
        flow->ours[1] = FP_KEY_IPV4(fp_load32(ip + 12));
        flow->theirs[1] = FP_KEY_IPV4(fp_load32(ip + 16));
        protocol = ip[9];
        *l4 = offset + (ip[0] & 15u) * 4;
    } else {
        ip = fp_bytes(packet, offset & FP_L4_MASK, FP_IPV6_BYTES);
        if (!ip)
            return 0;
        flow->ours[0] = fp_load64(ip + 8);
        flow->ours[1] = fp_load64(ip + 16);
        flow->theirs[0] = fp_load64(ip + 24);
        flow->theirs[1] = fp_load64(ip + 32);
        protocol = ip[6];
        *l4 = offset + FP_IPV6_BYTES;
    }
    if (protocol != FP_IP_UDP && protocol != FP_IP_TCP)
        return 0;
    ports = fp_bytes(packet, *l4 & FP_L4_MASK, 4);
    if (!ports)
        return 0;
    flow->our_port = fp_ntohs(fp_load16(ports));
    flow->their_port = fp_ntohs(fp_load16(ports + 2));
    return protocol;
}

static fp_inline int take_encapsulated(struct fp_packet *packet, const struct fp_parsed *parsed,
                                       struct pktgen_counters *counters)
{
    struct flow flow;
    fp_u32 l4 = 0;
    fp_u32 protocol = read_inside(packet, parsed->l4, &flow, &l4);

    if (!config.count_only && (!protocol || !is_source(flow.ours, flow.our_port)))
        return 0;
    count_backend(counters, parsed->destination, 0, parsed->bytes);
    if (protocol)
        time_own(packet, l4, protocol, counters);
    return 1;
}

/* An ICMP error about a packet of ours (RFC 792, RFC 4443: it carries that packet's start). */
static fp_inline int take_icmp(struct fp_packet *packet, const struct fp_parsed *parsed,
                               struct pktgen_counters *counters)
{
    fp_u8 *icmp = fp_bytes(packet, parsed->l4, FP_ICMP_BYTES);
    struct flow flow;
    fp_u32 l4 = 0;

    if (!icmp)
        return 0;
    if (!config.count_only &&
        (!read_inside(packet, parsed->l4 + FP_ICMP_BYTES, &flow, &l4) ||
         !is_source(flow.ours, flow.our_port) || !target_kinds(flow.theirs, flow.their_port)))
        return 0;
    if (parsed->family == 4) {
        counters->reply[PKTGEN_REPLY_ICMP]++;
        counters->icmp[icmp[0]]++;
    } else {
        counters->reply[PKTGEN_REPLY_ICMPV6]++;
        counters->icmpv6[icmp[0]]++;
    }
    return 1;
}

/* UDP and TCP: an answer to us, or our own packet sent on with other addresses around it. */
static fp_inline int take_flow(struct fp_packet *packet, const struct fp_parsed *parsed,
                               struct pktgen_counters *counters)
{
    fp_u32 kinds = config.count_only ? ~0u : 0;

    if (!kinds && is_source(parsed->destination, parsed->dport))
        kinds = target_kinds(parsed->source, parsed->sport);
    if (kinds) {
        if (parsed->protocol == FP_IP_TCP)
            take_tcp(packet, parsed, counters);
        else if (config.count_only ? parsed->sport == 53 : kinds & 1u << PKTGEN_DNS)
            return take_dns(packet, parsed, counters);
        else
            take_udp(packet, parsed, counters);
        return 1;
    }
    if (!is_source(parsed->source, parsed->sport))
        return 0;
    count_backend(counters, parsed->destination, 1, parsed->bytes);
    time_own(packet, parsed->l4, parsed->protocol, counters);
    return 1;
}

static fp_inline int take_packet(struct fp_packet *packet, struct fp_parsed *parsed,
                                 struct pktgen_counters *counters)
{
    switch (parsed->protocol) {
    case FP_IP_IPIP:
    case FP_IP_IPV6:
        return take_encapsulated(packet, parsed, counters);
    case FP_IP_UDP:
    case FP_IP_TCP:
        return take_flow(packet, parsed, counters);
    case FP_IP_ICMP:
    case FP_IP_ICMPV6:
        return take_icmp(packet, parsed, counters);
    default:
        return 0;
    }
}

/* Returns the XDP action. */
static fp_inline int receive_frame(struct fp_packet *packet, struct pktgen_counters *counters)
{
    struct fp_parsed parsed = {0};

    if (fp_parse(packet, &parsed) != FP_GO_ON || parsed.problem || parsed.flags & FP_PARSED_LATER) {
        counters->passed++;
        return XDP_PASS;
    }
    if (!take_packet(packet, &parsed, counters)) {
        counters->passed++;
        counters->reply[PKTGEN_REPLY_OTHER] += config.count_only;
        return XDP_PASS;
    }
    counters->received++;
    counters->bytes += parsed.l3 + parsed.bytes;
    if (!config.count_only)
        return XDP_DROP;
    return config.drop && (parsed.protocol == FP_IP_IPIP || parsed.protocol == FP_IP_IPV6)
               ? XDP_DROP
               : XDP_PASS;
}

#endif
