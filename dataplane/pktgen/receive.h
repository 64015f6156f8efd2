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
static fp_inline void count_backend(struct pktgen_store *store, struct pktgen_counters *counters,
                                    const fp_u64 to[2], fp_u32 forwarded, fp_u32 bytes)
{
    struct pktgen_backend_key key = {to[0], to[1], forwarded};
    struct pktgen_backend *backend = store_backend(store, &key);

    counters->reply[forwarded ? PKTGEN_REPLY_FORWARDED : PKTGEN_REPLY_ENCAPSULATED]++;
    if (!backend)
        return;
    backend->packets++;
    backend->bytes += bytes;
}

/* ---- of the test? ---- */

static fp_inline int is_source(pktgen_settings *settings, const fp_u64 address[2], fp_u32 port)
{
    if (port < settings->port_low || port > settings->port_high)
        return 0;
    for (int i = 0; i < 2; i++) {
        if ((address[0] & settings->source[i].mask[0]) == settings->source[i].base[0] &&
            (address[1] & settings->source[i].mask[1]) == settings->source[i].base[1])
            return 1;
    }
    return 0;
}

/* The kinds of traffic that go to an address and port. */
static fp_inline fp_u32 target_kinds(struct pktgen_store *store, const fp_u64 address[2],
                                     fp_u32 port)
{
    pktgen_settings *settings = store_settings(store);
    struct pktgen_target_key key = {address[0], address[1], port};

    if (key.a == settings->first.a && key.b == settings->first.b && port == settings->first.port)
        return settings->first.kinds;
    return store_target(store, &key);
}

/* ---- round-trip times ---- */

static fp_inline void time_cookie(struct pktgen_counters *counters, fp_u32 cookie)
{
    fp_u32 now;

    if (!(cookie & 1))
        return;
    now = (fp_u32)(store_now() >> PKTGEN_TICK_SHIFT);
    count_rtt(counters, (fp_u64)((now - (cookie >> 1)) & 0x7fffffff) << PKTGEN_TICK_SHIFT);
}

static fp_inline void time_stamp(struct pktgen_counters *counters, const fp_u8 *stamp)
{
    fp_u64 time = fp_load64(stamp + 8);

    if (fp_load32(stamp) == PKTGEN_MAGIC && time)
        count_rtt(counters, store_now() - time);
}

static fp_inline void time_dns(struct pktgen_store *store, struct pktgen_counters *counters,
                               fp_u32 key)
{
    struct pktgen_dns_stamp *stamp = store_stamp(store, stamp_slot(key));

    if (!stamp || stamp->key != key || !stamp->time)
        return;
    count_rtt(counters, store_now() - stamp->time);
    stamp->time = 0;
}

/* ---- answers ---- */

/* False: no answer to a query of ours. */
static fp_inline int take_dns(struct pktgen_store *store, struct fp_packet *packet,
                              const struct fp_parsed *parsed, struct pktgen_counters *counters)
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
    time_dns(store, counters, (fp_u32)fp_load16(header) << 16 | fp_htons(parsed->dport));
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

static fp_inline int take_encapsulated(struct pktgen_store *store, struct fp_packet *packet,
                                       const struct fp_parsed *parsed,
                                       struct pktgen_counters *counters)
{
    pktgen_settings *settings = store_settings(store);
    struct flow flow;
    fp_u32 l4 = 0;
    fp_u32 protocol = read_inside(packet, parsed->l4, &flow, &l4);

    if (!settings->count_only && (!protocol || !is_source(settings, flow.ours, flow.our_port)))
        return 0;
    count_backend(store, counters, parsed->destination, 0, parsed->bytes);
    if (protocol)
        time_own(packet, l4, protocol, counters);
    return 1;
}

/* An ICMP error about a packet of ours (RFC 792, RFC 4443: it carries that packet's start). */
static fp_inline int take_icmp(struct pktgen_store *store, struct fp_packet *packet,
                               const struct fp_parsed *parsed, struct pktgen_counters *counters)
{
    pktgen_settings *settings = store_settings(store);
    fp_u8 *icmp = fp_bytes(packet, parsed->l4, FP_ICMP_BYTES);
    struct flow flow;
    fp_u32 l4 = 0;

    if (!icmp)
        return 0;
    if (!settings->count_only && (!read_inside(packet, parsed->l4 + FP_ICMP_BYTES, &flow, &l4) ||
                                  !is_source(settings, flow.ours, flow.our_port) ||
                                  !target_kinds(store, flow.theirs, flow.their_port)))
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
static fp_inline int take_flow(struct pktgen_store *store, struct fp_packet *packet,
                               const struct fp_parsed *parsed, struct pktgen_counters *counters)
{
    pktgen_settings *settings = store_settings(store);
    fp_u32 kinds = settings->count_only ? ~0u : 0;

    if (!kinds && is_source(settings, parsed->destination, parsed->dport))
        kinds = target_kinds(store, parsed->source, parsed->sport);
    if (kinds) {
        if (parsed->protocol == FP_IP_TCP)
            take_tcp(packet, parsed, counters);
        else if (settings->count_only ? parsed->sport == 53 : kinds & 1u << PKTGEN_DNS)
            return take_dns(store, packet, parsed, counters);
        else
            take_udp(packet, parsed, counters);
        return 1;
    }
    if (!is_source(settings, parsed->source, parsed->sport))
        return 0;
    count_backend(store, counters, parsed->destination, 1, parsed->bytes);
    time_own(packet, parsed->l4, parsed->protocol, counters);
    return 1;
}

static fp_inline int take_packet(struct pktgen_store *store, struct fp_packet *packet,
                                 struct fp_parsed *parsed, struct pktgen_counters *counters)
{
    switch (parsed->protocol) {
    case FP_IP_IPIP:
    case FP_IP_IPV6:
        return take_encapsulated(store, packet, parsed, counters);
    case FP_IP_UDP:
    case FP_IP_TCP:
        return take_flow(store, packet, parsed, counters);
    case FP_IP_ICMP:
    case FP_IP_ICMPV6:
        return take_icmp(store, packet, parsed, counters);
    default:
        return 0;
    }
}

/* What becomes of a frame. */
enum receive_verdict {
    RECEIVE_PASS, /* to whoever else is interested */
    RECEIVE_DROP, /* it was for us alone */
};

static fp_inline enum receive_verdict receive_frame(struct pktgen_store *store,
                                                    struct fp_packet *packet,
                                                    struct pktgen_counters *counters)
{
    pktgen_settings *settings = store_settings(store);
    struct fp_parsed parsed = {0};

    if (fp_parse(packet, &parsed) != FP_GO_ON || parsed.problem || parsed.flags & FP_PARSED_LATER) {
        counters->passed++;
        return RECEIVE_PASS;
    }
    if (!take_packet(store, packet, &parsed, counters)) {
        counters->passed++;
        counters->reply[PKTGEN_REPLY_OTHER] += settings->count_only;
        return RECEIVE_PASS;
    }
    counters->received++;
    counters->bytes += parsed.l3 + parsed.bytes;
    if (!settings->count_only)
        return RECEIVE_DROP;
    return settings->drop && (parsed.protocol == FP_IP_IPIP || parsed.protocol == FP_IP_IPV6)
               ? RECEIVE_DROP
               : RECEIVE_PASS;
}

#endif
