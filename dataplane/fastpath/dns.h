/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers DNS queries from compiled answers (dns_layout.h): read, find, copy, fix.
 *
 * RFC 1034 and 1035; 2308 negative answers; 4592 wildcards; 6891 EDNS; 8482 ANY; 9471 glue.
 */
#ifndef CULVERT_FASTPATH_DNS_H
#define CULVERT_FASTPATH_DNS_H

#include "dataplane/fastpath/dns_search.h"
#include "dataplane/fastpath/dns_write.h"
#include "dataplane/fastpath/reply.h"

/* Where the answer lies. */
struct fp_dns_found {
    fp_u32 answer; /* offset in the region of a struct fp_dns_answer */
    fp_u32 base;   /* bytes of the name that it was compiled for */
    fp_u32 zone;   /* number */
    fp_u32 denial; /* FP_DNS_NODATA or FP_DNS_NXDOMAIN where the zone's negative answer is said */
};

/* Offset of a node's answer to a type; 0: NODATA. */
fp_subprogram fp_u32 fp_dns_pick(struct fp_env *env, fp_u32 at, fp_u32 type)
{
    struct fp_dns_node FP_REGION *node;
    fp_u32 count, offset;

    if (!env)
        return 0;
    node = FP_AT(env, struct fp_dns_node, at);
    count = node->ntypes;
    offset = node->other;

    if (fp_unlikely(type == FP_DNS_TYPE_ANY)) {
        if (count && !(node->flags & FP_DNS_CUT))
            offset = node->type[0].offset;
    } else {
        for (fp_u32 i = 0; i < FP_DNS_TYPES_MAX; i++) {
            if (i >= count)
                break;
            if (node->type[i].type == type) {
                offset = node->type[i].offset;
                break;
            }
        }
    }
    return offset ? at + offset * 8 : 0;
}

/* Finds the node that speaks for a name which is no node, and its answer. Returns the node's
 * offset, 0: the name is in none of our zones. */
static fp_inline fp_u32 fp_dns_resolve_missing(struct fp_env *env, struct fp_packet *packet,
                                               const struct fp_dns_site *site,
                                               const struct fp_dns_query *query,
                                               struct fp_dns_found *found)
{
    struct fp_dns_node FP_REGION *node;
    fp_u64 encloser = fp_dns_encloser_of(env, packet, site, query);
    fp_u32 at = (fp_u32)encloser;

    if (!at)
        return 0;
    node = FP_AT(env, struct fp_dns_node, at);
    fp_trace(env, "dns",
             node->flags & FP_DNS_HOLLOW ? "above our zones"
                                         : "the closest name above: zone, labels",
             node->zone, node->labels);
    if (node->flags & FP_DNS_CUT) {
        found->answer = fp_dns_pick(env, at, FP_DNS_TYPE_ANY);
    } else if (node->flags & FP_DNS_WILDCARD) {
        fp_u32 from = fp_dns_asterisk(packet, (fp_u32)(encloser >> 32));

        at = fp_dns_lookup_at(env, packet, site, from, query->name_end, FP_DNS_KEY_NODE);
        if (at)
            found->answer = fp_dns_pick(env, at, query->type);
        fp_trace(env, "dns",
                 found->answer ? "wildcard, has data: zone, type"
                               : "wildcard, no such data: zone, type",
                 node->zone, query->type);
    } else {
        found->denial = FP_DNS_NXDOMAIN;
    }
    return at;
}

/* Finds the answer to a query. Returns 0, or the reason to end here. */
static fp_inline fp_u32 fp_dns_resolve(struct fp_env *env, struct fp_packet *packet,
                                       const struct fp_dns_site *site,
                                       const struct fp_dns_query *query, struct fp_dns_found *found)
{
    struct fp_dns_node FP_REGION *node;
    struct fp_rec FP_REGION *record;
    fp_u32 at = 0;

    found->answer = 0;
    found->denial = FP_DNS_NODATA;
    if (query->labels <= site->max_labels)
        at = fp_dns_lookup_name(env, packet, site, query, FP_DNS_KEY_NODE);
    if (fp_likely(at)) {
        node = FP_AT(env, struct fp_dns_node, at);
        fp_trace(env, "dns",
                 node->flags & FP_DNS_HOLLOW ? "above our zones" : "the name exists: zone, type",
                 node->zone, query->type);
        if (fp_unlikely(query->type == FP_DNS_TYPE_DS && node->flags & FP_DNS_APEX)) {
            fp_u32 parent = fp_dns_lookup_name(env, packet, site, query, FP_DNS_KEY_PARENT);

            if (parent)
                at = parent;
        }
        found->answer = fp_dns_pick(env, at, query->type);
    } else {
        at = fp_dns_resolve_missing(env, packet, site, query, found);
        if (!at)
            return FP_DNS_REFUSED;
    }
    node = FP_AT(env, struct fp_dns_node, at);
    if (node->flags & FP_DNS_HOLLOW)
        return FP_DNS_REFUSED;
    found->zone = node->zone;
    found->base = node->name_length;
    if (fp_likely(found->answer)) {
        found->denial = 0;
        return 0;
    }
    record = fp_slot(env, FP_KIND_ZONE, found->zone, FP_COUNT_ZONES);
    if (!record)
        return FP_DROP_INTERNAL;
    found->base = FP_BODY(struct fp_dns_zone, record)->name_length;
    found->answer = fp_region_offset(env, &FP_BODY(struct fp_dns_zone, record)->negative);
    return 0;
}

/* The RCODE of a reason that ends a query without data. */
static fp_inline fp_u32 fp_dns_rcode(fp_u32 reason)
{
    if (reason == FP_DNS_REFUSED)
        return FP_RCODE_REFUSED;
    if (reason == FP_DNS_FORMERR)
        return FP_RCODE_FORMERR;
    return reason == FP_DNS_BADVERS ? FP_RCODE_BADVERS : FP_RCODE_NOTIMP;
}

/* Replies to the message at query->at with query->length bytes, in place. `tcp`: the reply may
 * have 65,535 bytes. Returns the reason: a DNS_* one with query->length the reply's, where the
 * frame ends; or one to pass or drop, the frame unchanged. */
static fp_inline fp_u32 fp_dns_reply(struct fp_env *env, struct fp_packet *packet,
                                     struct fp_dns_query *query, int tcp)
{
    struct fp_dns_found found = {0};
    struct fp_dns_reply reply;
    struct fp_dns_site site;
    fp_u32 limit;
    fp_u32 reason;

    if (fp_dns_site_of(env, packet, &site))
        return FP_DROP_INTERNAL;
    reason = fp_dns_query_of(packet, query);
    if (!reason)
        reason = fp_dns_resolve(env, packet, &site, query, &found);
    if (fp_likely(!reason)) {
        limit = tcp ? 65535 : query->payload < site.udp_max ? query->payload : site.udp_max;
        reason = fp_dns_say_answer(env, &reply, query, found.answer,
                                   query->name_end - FP_DNS_HEADER - found.base, limit);
        if (found.denial == FP_DNS_NXDOMAIN)
            reply.rcode = FP_RCODE_NXDOMAIN;
        if (found.denial && reason != FP_DNS_TRUNCATED)
            reason = found.denial;
    } else if (reason >= FP_DNS_ANSWER && reason <= FP_DNS_TRUNCATED) {
        fp_dns_say(&reply, query, fp_dns_rcode(reason));
    } else {
        return reason;
    }
    for (int attempt = 0; fp_dns_write(env, packet, query, &reply, site.udp_max); attempt++) {
        /* No room behind the frame: a truncated answer is no longer than its query. */
        if (attempt || !reply.length)
            return FP_DROP_NO_ROOM;
        reply.length = 0;
        reply.counts = FP_DNS_ONE;
        reply.flags |= FP_DNS_TC;
        reason = FP_DNS_TRUNCATED;
    }
    if (found.answer && found.zone < FP_COUNT_ZONES)
        fp_count(env, zone, found.zone, query->length);
    return reason;
}

/* Source ports that answer whatever they get (echo, daytime, quote, character generator, time;
 * RFC 862 to 868), and 0, which nobody can answer to. 53 is legal: old resolvers query from it,
 * and a reply to another server has QR set, which ends there. */
static fp_inline int fp_dns_port_loops(fp_u32 port)
{
    return port <= 37 && (1ull << port & (1ull << 0 | 1ull << 7 | 1ull << 13 | 1ull << 17 |
                                          1ull << 19 | 1ull << 37));
}

/* Where the message of a UDP packet lies. */
static fp_inline void fp_dns_place(struct fp_dns_query *query, const struct fp_parsed *parsed)
{
    query->at = (parsed->l4 & FP_L4_MASK) + FP_UDP_BYTES;
    query->length = parsed->payload;
}

/* Answers a UDP packet to port 53 of an address that serves DNS. */
static fp_inline struct fp_result fp_dns_process(struct fp_env *env, struct fp_packet *packet,
                                                 const struct fp_parsed *parsed)
{
    struct fp_result result = {.verdict = FP_VERDICT_DROP};
    struct fp_dns_query query;

    if (fp_dns_port_loops(parsed->sport) || (parsed->source[0] == parsed->destination[0] &&
                                             parsed->source[1] == parsed->destination[1])) {
        result.reason = FP_DROP_DNS_LOOP;
        return result;
    }
    if (parsed->flags & FP_PARSED_OPTIONS) {
        result.verdict = FP_VERDICT_PASS;
        result.reason = FP_PASS_DNS_ODD;
        return result;
    }
    fp_dns_place(&query, parsed);
    result.reason = (fp_u8)fp_dns_reply(env, packet, &query, 0);
    if (result.reason == FP_PASS_DNS_ODD)
        result.verdict = FP_VERDICT_PASS;
    else if (result.reason >= FP_DNS_ANSWER && result.reason <= FP_DNS_TRUNCATED)
        result.verdict = FP_VERDICT_TX;
    if (result.verdict == FP_VERDICT_TX && fp_reply_udp(env, packet, parsed, query.length)) {
        result.verdict = FP_VERDICT_DROP;
        result.reason = FP_DROP_INTERNAL;
    }
    return result;
}

#endif
