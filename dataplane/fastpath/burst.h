/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many frames at once (host only; the DPDK driver): what fp_process() gives for each in turn, but
 * the memory that a frame will need is asked for while others are worked on.
 *
 *     heads -> headers, buckets -> whose, name -> record -> decide and change
 *
 * The steps before the last only read the region and frames. What depends on the packets before
 * (meters, flows, counters) is left to the last, which goes frame by frame.
 */
#ifndef CULVERT_FASTPATH_BURST_H
#define CULVERT_FASTPATH_BURST_H

#include "dataplane/fastpath/fastpath.h"

#define FP_BURST_MAX 32u

/* What is known of a frame before its turn. */
struct fp_burst_item {
    struct fp_parsed parsed;
    struct fp_service service;
    struct fp_dns_ahead dns;
    fp_u64 access; /* hash of the access list's key that is looked up first, 0: none */
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
};

#define fp_prefetch(address) __builtin_prefetch(address)

/* Asks for the bucket of a hash. */
static inline void fp_burst_bucket(struct fp_env *env, fp_u64 hash)
{
    fp_prefetch(fp_bucket_at(env, fp_published(&FP_ROOT(env)->index), (fp_u32)hash));
}

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
    fp_burst_bucket(
        env, fp_key_hash(a, b, (fp_u32)parsed->protocol << 16 | parsed->dport, FP_KIND_VIP, seed));
    fp_burst_bucket(env, fp_key_hash(a, b, 0, FP_KIND_ADDRESS, seed));
}

/* Reads the headers, asks for where look-ups by address begin. */
static inline void fp_burst_parse(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_burst *burst, fp_u32 number)
{
    struct fp_burst_item *item = &burst->item[number];

    packet->dns = NULL;
    item->bytes = fp_frame_bytes(packet);
    item->service = (struct fp_service){0};
    item->same = (fp_u8)number;
    item->served = 0;
    item->reason = fp_parse(packet, &item->parsed);
    if (item->reason != FP_GO_ON)
        return;
    if (fp_published(&FP_ROOT(env)->access_count))
        fp_prefetch(fp_access_lengths(env, item->parsed.source[0], item->parsed.source[1]));
    fp_burst_destination(env, burst, number);
}

/* Asks for the record that the bucket of a hash has. */
static inline void fp_burst_record(struct fp_env *env, fp_u64 hash)
{
    const struct fp_bucket *bucket =
        fp_bucket_at(env, fp_published(&FP_ROOT(env)->index), (fp_u32)hash);
    fp_u32 ways = fp_bucket_ways(bucket, fp_hash_tag(hash));
    fp_u32 ref;

    if (!ways)
        return;
    ref = fp_published(&bucket->ref[__builtin_ctz(ways)]);
    fp_prefetch(FP_AT(env, char, ref));
    fp_prefetch(FP_AT(env, char, ref + FP_CACHE_LINE));
}

/* Asks for the bucket of the longest prefix that may cover the source. */
static inline void fp_burst_access(struct fp_env *env, struct fp_burst_item *item)
{
    fp_u64 a = item->parsed.source[0], b = item->parsed.source[1];
    int mapped = fp_is_mapped(a, b);
    const fp_u64 *lengths;
    fp_u32 length;
    int word;

    item->access = 0;
    if (item->reason != FP_GO_ON)
        return;
    lengths = fp_access_lengths(env, a, b);
    word = mapped ? 0 : 2;
    while (word && !lengths[word])
        word--;
    if (!lengths[word])
        return;
    length = 63u - (fp_u32)__builtin_clzll(lengths[word]) +
             (mapped ? FP_MAPPED_LENGTH : 64u * (fp_u32)word);
    fp_prefix_cut(&a, &b, length);
    item->access = fp_key_hash(a, b, length, FP_KIND_ACCESS, FP_ROOT(env)->index_seed);
    fp_burst_bucket(env, item->access);
}

/* The same for the whole burst, and for the entries that the buckets have. */
static inline void fp_burst_sources(struct fp_env *env, struct fp_burst *burst, fp_u32 count)
{
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_access(env, &burst->item[i]);
    for (fp_u32 i = 0; i < count; i++)
        if (burst->item[i].access)
            fp_burst_record(env, burst->item[i].access);
}

/* Asks for the meters of the first limit. */
static inline void fp_burst_meter(struct fp_env *env, const struct fp_burst_item *item)
{
    const struct fp_parsed *parsed = &item->parsed;
    fp_u32 number = item->service.limits & 0xffff;
    struct fp_rec *record;

    if (!item->service.nlimits)
        return;
    record = fp_slot(env, FP_KIND_LIMIT, number, FP_SLOTS_LIMIT);
    if (record)
        fp_prefetch(fp_meter_line_of(env, fp_limit_key(env, FP_BODY(struct fp_limit, record),
                                                       number, parsed->source[0], parsed->source[1],
                                                       fp_service_scope(parsed, &item->service))));
}

/* Asks for the pool's place for the flow. */
static inline void fp_burst_pool(struct fp_env *env, const struct fp_burst_item *item)
{
    struct fp_rec *record = fp_slot(env, FP_KIND_POOL, item->service.vip->pool, FP_SLOTS_POOL);
    struct fp_pool *pool;

    if (!record)
        return;
    pool = FP_BODY(struct fp_pool, record);
    fp_prefetch(&pool->bucket[fp_balance_bucket(pool, fp_site_hash(env, &item->parsed))]);
}

/* Reads a DNS query, asks for the bucket of its name. */
static inline void fp_burst_query(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_burst_item *item)
{
    struct fp_dns_ahead *ahead = &item->dns;
    struct fp_dns_site site;

    if (fp_dns_site(env, &site))
        return;
    fp_dns_place(&ahead->query, &item->parsed);
    ahead->reason = fp_dns_read(packet, &ahead->query);
    ahead->hash = 0;
    packet->dns = ahead;
    if (ahead->reason || ahead->query.labels > site.max_labels)
        return;
    fp_dns_hash(packet->scratch, FP_SCRATCH_BYTES, FP_DNS_HEADER, ahead->query.name_end, site.k0,
                site.k1, &ahead->a, &ahead->b);
    ahead->hash =
        fp_key_hash(ahead->a, ahead->b, FP_DNS_KEY_NODE, FP_KIND_DNS, FP_ROOT(env)->index_seed);
    fp_burst_bucket(env, ahead->hash);
}

/* Finds whose the frame is, asks for what that will need. */
static inline void fp_burst_whose(struct fp_env *env, struct fp_packet *packet,
                                  struct fp_burst *burst, fp_u32 number)
{
    struct fp_burst_item *item = &burst->item[number];
    struct fp_burst_item *same = &burst->item[item->same];
    struct fp_parsed *parsed = &item->parsed;

    if (item->reason == FP_GO_ON)
        item->reason = fp_admit(env, parsed);
    if (item->reason != FP_GO_ON || parsed->flags & FP_PARSED_LATER)
        return; /* a later fragment follows its first, which may be in this burst */
    if (same->served)
        item->service = same->service;
    else
        item->reason = fp_whose(env, packet, parsed, &item->service);
    item->served = 1;
    fp_burst_meter(env, item);
    if (item->service.vip)
        fp_burst_pool(env, item);
    else if (item->service.flags & FP_ADDRESS_DNS && parsed->dport == FP_PORT_DNS &&
             parsed->protocol == FP_IP_UDP && fp_is_plain(parsed))
        fp_burst_query(env, packet, item);
}

/* Decides for a frame whose turn has come. */
static inline struct fp_result fp_burst_decide(struct fp_env *env, struct fp_packet *packet,
                                               struct fp_burst_item *item)
{
    struct fp_result result = {.ifindex = 0};

    if (item->reason == FP_GO_ON && !item->served)
        item->reason = fp_whose(env, packet, &item->parsed, &item->service);
    if (item->reason == FP_GO_ON)
        result = fp_serve(env, packet, &item->parsed, &item->service);
    else
        result.reason = (fp_u8)item->reason;
    fp_finish(env, &result, item->bytes);
    packet->dns = NULL;
    return result;
}

/* Decides for `count` (at most FP_BURST_MAX) frames, changes them accordingly, and counts: the
 * same bytes and reasons as fp_process() on each in turn, but all see one generation. The caller
 * has set env as for fp_process(), without a trace (steps of many packets would mix); frames don't
 * overlap. The scratch of the packets need not be cleared. `results` has as many places. */
static inline void fp_process_burst(struct fp_env *env, struct fp_packet *packets, fp_u32 count,
                                    struct fp_result *results)
{
    struct fp_burst burst;

    __builtin_memset(burst.first, FP_BURST_MAX, sizeof(burst.first));
    for (fp_u32 i = 0; i < count; i++) {
        fp_prefetch(packets[i].data);
        fp_prefetch(packets[i].data + FP_CACHE_LINE);
    }
    fp_env_begin(env);
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_parse(env, &packets[i], &burst, i);
    if (fp_published(&FP_ROOT(env)->access_count))
        fp_burst_sources(env, &burst, count);
    for (fp_u32 i = 0; i < count; i++)
        fp_burst_whose(env, &packets[i], &burst, i);
    for (fp_u32 i = 0; i < count; i++)
        if (packets[i].dns && packets[i].dns->hash)
            fp_burst_record(env, packets[i].dns->hash);
    for (fp_u32 i = 0; i < count; i++)
        results[i] = fp_burst_decide(env, &packets[i], &burst.item[i]);
}

#endif
