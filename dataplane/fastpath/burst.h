/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many frames at once (host only; the DPDK driver): what fp_process() gives for each in turn, but
 * the memory that a frame will need is asked for while others are worked on. Most frames are done
 * with on the straight way (straight.h); this is the general way, for all others:
 *
 *     headers, buckets -> whose, name -> record -> decide and change
 *
 * The steps before the last only read the region and frames. What depends on the packets before
 * (meters, flows, counters) is left to the last, which goes frame by frame.
 */
#ifndef CULVERT_FASTPATH_BURST_H
#define CULVERT_FASTPATH_BURST_H

#include "dataplane/fastpath/straight.h"

/* What is known of a frame before its turn. */
struct fp_burst_item {
    struct fp_parsed parsed;
    struct fp_service service;
    struct fp_pool *pool; /* of a virtual IP's packet, or NULL */
    fp_u64 flow;          /* its flow's hash (fp_site_hash()) */
    struct fp_ahead_access access;
    fp_u32 reason; /* FP_GO_ON, or why it ends */
    fp_u32 bytes;
    fp_u8 same;   /* number of an item before with the same destination, or its own */
    fp_u8 served; /* `service` is set, or `reason` says why not */
};

/* A burst's frames, and which of them was the first to each destination. */
#define FP_BURST_FIRSTS 16u /* a power of two */
struct fp_burst {
    fp_u8 first[FP_BURST_FIRSTS]; /* number of an item, by a hash of the destination */
    struct fp_burst_item item[FP_BURST_MAX];
    struct fp_dns_burst dns;
    int no_dns; /* the site has no configuration for it */
};

/* What not all frames need, kept out of the loops that all go through. */
#define fp_burst_rare static __attribute__((noinline))

/* True when both packets' services are the same. */
static inline int fp_burst_same(const struct fp_parsed *parsed, const struct fp_parsed *other)
{
    return parsed->destination[1] == other->destination[1] &&
           parsed->destination[0] == other->destination[0] && parsed->dport == other->dport &&
           parsed->protocol == other->protocol;
}

/* Looks for a frame before with the same destination; asks for the buckets of a new one. What an
 * ICMP error is about isn't known yet. */
static inline void fp_burst_destination(struct fp_env *env, struct fp_burst *burst, fp_u32 number)
{
    const struct fp_parsed *parsed = &burst->item[number].parsed;
    fp_u64 seed = FP_ROOT(env)->index_seed;
    fp_u64 a = parsed->destination[0], b = parsed->destination[1];
    fp_u8 *first;

    if (parsed->protocol != FP_IP_TCP && parsed->protocol != FP_IP_UDP)
        return;
    first = &burst->first[((fp_u32)(b >> 56) + parsed->dport) & (FP_BURST_FIRSTS - 1)];
    if (*first < number && fp_burst_same(parsed, &burst->item[*first].parsed)) {
        burst->item[number].same = *first;
        return;
    }
    *first = (fp_u8)number;
    fp_ahead_bucket(
        env, fp_key_hash(a, b, (fp_u32)parsed->protocol << 16 | parsed->dport, FP_KIND_VIP, seed));
    fp_ahead_bucket(env, fp_key_hash(a, b, 0, FP_KIND_ADDRESS, seed));
}

/* fp_parse(), for what isn't plain. */
fp_burst_rare fp_u32 fp_burst_parse_any(struct fp_packet *packet, struct fp_parsed *parsed)
{
    return fp_parse(packet, parsed);
}

/* Reads the headers, asks for where look-ups by address begin. `place`: of the frame in the burst
 * that the straight way has looked through. */
static inline void fp_burst_parse(struct fp_env *env, const struct fp_straight *straight,
                                  fp_u32 place, struct fp_packet *packet, struct fp_burst *burst,
                                  fp_u32 number)
{
    struct fp_burst_item *item = &burst->item[number];

    packet->dns = NULL;
    item->bytes = fp_frame_bytes(packet);
    item->service = (struct fp_service){0};
    item->pool = NULL;
    item->same = (fp_u8)number;
    item->served = 0;
    item->access.length = FP_AHEAD_NONE;
    if (straight->said.plain[place]) {
        struct fp_plain plain = fp_straight_plain(&straight->read, place);

        item->reason = FP_GO_ON;
        fp_plain_say(&plain, &item->parsed);
        fp_burst_destination(env, burst, number);
        return; /* admitted already */
    }
    item->reason = fp_burst_parse_any(packet, &item->parsed);
    if (item->reason != FP_GO_ON)
        return;
    if (fp_published(&FP_ROOT(env)->access_count))
        fp_ahead_access(env, &item->access, item->parsed.source[0], item->parsed.source[1]);
    fp_burst_destination(env, burst, number);
}

/* Whether the access list denies a frame. */
static inline int fp_burst_denied(struct fp_env *env, const struct fp_burst_item *item)
{
    const fp_u64 *source = item->parsed.source;

    return fp_ahead_access_find(env, &item->access, source[0], source[1]) == FP_ACCESS_DENY &&
           !fp_is_discovery(&item->parsed);
}

/* Asks for the meters of the first limit. */
fp_burst_rare void fp_burst_meter(struct fp_env *env, const struct fp_burst_item *item)
{
    const struct fp_parsed *parsed = &item->parsed;
    fp_u32 number = item->service.limits & 0xffff;
    struct fp_rec *record;

    record = fp_slot(env, FP_KIND_LIMIT, number, FP_SLOTS_LIMIT);
    if (record)
        fp_prefetch(fp_meter_line_of(env, fp_limit_key(env, FP_BODY(struct fp_limit, record),
                                                       number, parsed->source[0], parsed->source[1],
                                                       fp_service_scope(parsed, &item->service))));
}

/* Asks for the pool's place for the flow. `same` is an item of the same service. */
static inline void fp_burst_pool(struct fp_env *env, struct fp_burst_item *item,
                                 const struct fp_burst_item *same)
{
    item->pool = same->pool ? same->pool : fp_balance_pool(env, item->service.vip->pool);
    item->flow = fp_site_hash(env, &item->parsed);
    if (item->pool)
        fp_prefetch(&item->pool->bucket[fp_balance_bucket(item->pool, item->flow)]);
}

/* Reads a DNS query. */
fp_burst_rare void fp_burst_query(struct fp_burst *burst, struct fp_packet *packet,
                                  const struct fp_parsed *parsed)
{
    fp_dns_burst_add(&burst->dns, packet, parsed);
}

/* fp_whose(), for the first of a burst to its destination. */
fp_burst_rare fp_u32 fp_burst_whose_any(struct fp_env *env, struct fp_packet *packet,
                                        struct fp_burst_item *item)
{
    return fp_whose(env, packet, &item->parsed, &item->service);
}

/* Finds whose the frame is, asks for what that will need. */
static inline void fp_burst_whose(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_burst *burst, fp_u32 number)
{
    struct fp_burst_item *item = &burst->item[number];
    struct fp_burst_item *same = &burst->item[item->same];
    struct fp_parsed *parsed = &item->parsed;

    if (item->reason == FP_GO_ON)
        item->reason = fp_admit(parsed, fp_burst_denied(env, item));
    if (item->reason != FP_GO_ON || parsed->flags & FP_PARSED_LATER)
        return; /* a later fragment follows its first, which may be in this burst */
    if (same->served)
        item->service = same->service;
    else
        item->reason = fp_burst_whose_any(env, packet, item);
    item->served = 1;
    if (item->service.nlimits)
        fp_burst_meter(env, item);
    if (item->service.vip)
        fp_burst_pool(env, item, same);
    else if (!burst->no_dns && item->service.flags & FP_ADDRESS_DNS &&
             parsed->dport == FP_PORT_DNS && parsed->protocol == FP_IP_UDP && fp_is_plain(parsed))
        fp_burst_query(burst, packet, parsed);
}

/* A frame of a virtual IP of which all is known. */
static inline void fp_burst_vip(struct fp_env *env, struct fp_packet *packet,
                                struct fp_burst_item *item, struct fp_result *result)
{
    fp_u32 reason = fp_serve_check(env, &item->parsed, &item->service);

    if (reason == FP_GO_ON)
        reason = fp_serve_vip(env, packet, &item->parsed, item->service.vip, item->pool, item->flow,
                              &result->ifindex);
    result->reason = (fp_u8)reason;
}

/* A frame of which not all is known, or which isn't a virtual IP's. */
fp_burst_rare void fp_burst_other(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_burst_item *item, struct fp_result *result)
{
    if (!item->served)
        item->reason = fp_whose(env, packet, &item->parsed, &item->service);
    if (item->reason == FP_GO_ON)
        *result = fp_serve(env, packet, &item->parsed, &item->service);
    else
        result->reason = (fp_u8)item->reason;
}

/* Decides for a frame whose turn has come. */
static inline void fp_burst_decide(struct fp_env *env, struct fp_packet *packet,
                                   struct fp_burst_item *item, struct fp_result *result)
{
    *result = (struct fp_result){.reason = (fp_u8)item->reason};
    if (fp_likely(item->pool)) {
        fp_burst_vip(env, packet, item, result);
    } else if (item->reason == FP_GO_ON) {
        fp_burst_other(env, packet, item, result);
    }
    fp_finish(env, result, item->bytes);
    packet->dns = NULL;
}

/* The general way, for the frames of which `left` has a bit. */
static __attribute__((noinline)) void fp_burst_general(struct fp_env *env,
                                                       const struct fp_straight *straight,
                                                       struct fp_packet *packets, fp_u32 left,
                                                       struct fp_result *results)
{
    fp_u8 place[FP_BURST_MAX];
    struct fp_burst burst;
    fp_u32 count = 0;

    for (; left; left &= left - 1)
        place[count++] = (fp_u8)__builtin_ctz(left);
    __builtin_memset(burst.first, FP_BURST_MAX, sizeof(burst.first));
    burst.no_dns = fp_dns_burst_begin(env, &burst.dns);
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_parse(env, straight, place[i], &packets[place[i]], &burst, i);
    for (fp_u32 i = 0; i < count; i++)
        fp_ahead_access_record(env, &burst.item[i].access);
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_whose(env, &packets[place[i]], &burst, i);
    if (burst.dns.count)
        fp_dns_burst_look(env, &burst.dns, straight->hash);
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_decide(env, &packets[place[i]], &burst.item[i], &results[place[i]]);
}

/* Decides for `count` (at most FP_BURST_MAX) frames, changes them accordingly, and counts: the
 * same bytes and reasons as fp_process() on each in turn, but all see one generation. The caller
 * has set env as for fp_process(), without a trace (steps of many packets would mix), and asked for
 * the frames' first and last lines; frames don't overlap. `results` has as many places. `straight`
 * is what the core remembers from burst to burst, zeroed before the first. */
static inline void fp_process_burst(struct fp_env *env, struct fp_straight *straight,
                                    struct fp_packet *packets, fp_u32 count,
                                    struct fp_result *results)
{
    fp_u32 left;

    fp_env_begin(env);
    left = fp_straight_run(env, straight, packets, count, results);
    if (left)
        fp_burst_general(env, straight, packets, left, results);
}

#endif
