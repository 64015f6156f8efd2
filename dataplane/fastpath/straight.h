/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The straight way through a burst (host only; burst.h), for what most packets are: plain ones
 * (plain.h) that the access list drops, or that go on to the backend of a virtual IP without
 * limits, in a mode of direct return, from a bucket that isn't moving. What becomes of such a
 * packet depends on no other one, so all of a burst go side by side, and the steps of fastpath.h
 * that it doesn't need are never taken. Every other packet is left, unchanged and not counted, to
 * the general way.
 *
 *     headers, flow's hash -> access list -> whose, pool's place -> forward
 *
 * Whose a destination is and where a backend is are remembered from burst to burst, as long as
 * nothing changes in the region but what packets change.
 */
#ifndef CULVERT_FASTPATH_STRAIGHT_H
#define CULVERT_FASTPATH_STRAIGHT_H

#include "dataplane/fastpath/ahead.h"
#include "dataplane/fastpath/fastpath.h"
#include "dataplane/fastpath/plain.h"

#define FP_BURST_MAX 32u

/* Where the packets to one port of an address go. */
struct fp_straight_service {
    fp_u64 key;           /* address | protocol << 16 | port */
    fp_u64 version;       /* of the memory, when it was looked up; 0: it is still to be */
    struct fp_pool *pool; /* NULL: its packets don't go straight */
    fp_u32 vip;           /* counter number */
    fp_u8 mode;           /* enum fp_mode */
} __attribute__((aligned(FP_CACHE_LINE)));

/* Where a backend is. */
struct fp_straight_way {
    fp_u64 key; /* version << 16 | number of the backend */
    struct fp_way way;
    fp_be32 source, destination; /* of the outer IP header */
    fp_u32 ifindex;
    fp_u32 most;  /* bytes of an IP packet that pass */
    fp_u32 modes; /* 1 << mode: those that are straight */
} __attribute__((aligned(FP_CACHE_LINE)));

/* What is known of a packet on the way. */
struct fp_straight_item {
    fp_u64 flow;   /* its flow's hash */
    fp_u64 source; /* in key form, its lower half */
    struct fp_ahead_access access;
    struct fp_straight_service *service;
    fp_u32 number; /* in the burst */
};

#define FP_STRAIGHT_LOG2 10u /* of the services and of the ways that are remembered */
struct fp_straight {
    fp_u64 version; /* counts the changes that were seen: never 0 after the first burst */
    const void *base;
    fp_u32 generation, locals; /* of the region at that version */
    fp_u64 seed;               /* of the flows' hash */
    fp_u32 left;               /* packets that take the general way, a bit each */
    fp_u32 count, asked;       /* of `item` and of `ask` */
    struct fp_straight_item item[FP_BURST_MAX];
    struct fp_straight_service *ask[FP_BURST_MAX]; /* services to look up */
    struct fp_straight_service service[1u << FP_STRAIGHT_LOG2];
    struct fp_straight_way way[1u << FP_STRAIGHT_LOG2];
};

/* Begins a burst: what the region has changed is forgotten. */
static fp_inline void fp_straight_begin(struct fp_env *env, struct fp_straight *straight)
{
    fp_u32 locals = fp_published(&FP_ROOT(env)->locals);
    struct fp_rec *config;

    straight->left = straight->count = straight->asked = 0;
    if (fp_likely(straight->generation == env->generation && straight->locals == locals &&
                  straight->base == env->base))
        return;
    config = fp_slot(env, FP_KIND_CONFIG, 0, FP_SLOTS_CONFIG);
    straight->seed = config ? FP_BODY(struct fp_config, config)->flow_seed : 0;
    straight->base = env->base;
    straight->generation = env->generation;
    straight->locals = locals;
    straight->version++;
}

/* ---- whose ---- */

/* The place of a destination's service, or NULL: another one's that is asked for. The bucket of a
 * new one is asked for. */
static fp_inline struct fp_straight_service *fp_straight_service_of(struct fp_env *env,
                                                                    struct fp_straight *straight,
                                                                    const struct fp_parsed *parsed)
{
    fp_u32 port = (fp_u32)parsed->protocol << 16 | parsed->dport;
    fp_u64 address = parsed->destination[1];
    fp_u64 key = (address & ~0xffffffffull) | port;
    struct fp_straight_service *service =
        &straight->service[key * 0x9e3779b97f4a7c15ull >> (64 - FP_STRAIGHT_LOG2)];

    if (fp_likely(service->key == key && service->version == straight->version))
        return service;
    if (!service->version && straight->asked && service->key != key)
        return 0;
    if (service->key != key || service->version) {
        *service = (struct fp_straight_service){.key = key};
        straight->ask[straight->asked++] = service;
        fp_ahead_bucket(env, fp_key_hash(0, address, port, FP_KIND_VIP, FP_ROOT(env)->index_seed));
    }
    return service;
}

/* Looks a service up. */
static __attribute__((noinline)) void fp_straight_ask(struct fp_env *env, fp_u64 version,
                                                      struct fp_straight_service *straight)
{
    struct fp_parsed parsed = {
        .destination[1] = FP_MAPPED | (straight->key & ~0xffffffffull),
        .family = 4,
        .protocol = (fp_u8)(straight->key >> 16),
        .dport = (fp_u16)straight->key,
    };
    struct fp_service service = {0};

    straight->version = version;
    if (!fp_service_vip(env, &parsed, &service) || service.nlimits ||
        service.vip->mode > FP_MODE_DSR_L2)
        return;
    straight->pool = fp_balance_pool(env, service.vip->pool);
    straight->vip = service.vip->id & (FP_COUNT_VIPS - 1);
    straight->mode = service.vip->mode;
}
FP_STATIC_ASSERT(FP_MODE_DSR_IPIP == 0 && FP_MODE_DSR_L2 == 1, "modes of direct return");

/* ---- where ---- */

/* Finds out where a backend is. */
static __attribute__((noinline)) void fp_straight_locate(struct fp_env *env, fp_u32 number,
                                                         fp_u64 key, struct fp_straight_way *way)
{
    struct fp_rec *hop = fp_slot(env, FP_KIND_NEXTHOP, number, FP_SLOTS_NEXTHOP);
    struct fp_rec *record = fp_slot(env, FP_KIND_BACKEND, number, FP_SLOTS_BACKEND);
    struct fp_nexthop *nexthop;
    struct fp_backend *backend;

    *way = (struct fp_straight_way){.key = key};
    if (!hop || !record)
        return;
    nexthop = FP_BODY(struct fp_nexthop, hop);
    backend = FP_BODY(struct fp_backend, record);
    if (!nexthop->ifindex)
        return;
    fp_way_load(&way->way, nexthop);
    way->source = (fp_be32)(FP_WORDS(nexthop->source)[1] >> 32);
    way->destination = (fp_be32)(FP_WORDS(backend->address)[1] >> 32);
    way->ifindex = nexthop->ifindex;
    way->most = nexthop->mtu ? nexthop->mtu : ~0u;
    way->modes = (fp_family_of(backend->address) == 4 ? 1u << FP_MODE_DSR_IPIP : 0) |
                 (nexthop->flags & FP_NEXTHOP_ONLINK ? 1u << FP_MODE_DSR_L2 : 0);
}

/* ---- the steps ---- */

/* Takes in the packets that may go straight; `access`: there is an access list. */
static fp_inline void fp_straight_parse(struct fp_env *env, struct fp_straight *straight,
                                        const struct fp_packet *packets, fp_u32 count,
                                        fp_u32 access)
{
    for (fp_u32 i = 0; i < count; i++) {
        struct fp_straight_item *item = &straight->item[straight->count];
        struct fp_parsed parsed;

        if (!fp_parse_plain(&packets[i], &parsed) || fp_source_is_bad(&parsed)) {
            straight->left |= 1u << i;
            continue;
        }
        item->number = i;
        item->flow = fp_flow_hash(&parsed, fp_flow_word(&parsed), straight->seed);
        if (access) {
            item->source = parsed.source[1];
            fp_ahead_access(env, &item->access, 0, item->source);
        }
        item->service = fp_straight_service_of(env, straight, &parsed);
        straight->count++;
    }
}

/* Drops what the access list denies. */
static fp_inline void fp_straight_admit(struct fp_env *env, struct fp_straight *straight,
                                        const struct fp_packet *packets, struct fp_result *results)
{
    fp_u32 kept = 0;
    fp_u64 bytes = 0;

    for (fp_u32 i = 0; i < straight->count; i++)
        fp_ahead_access_record(env, &straight->item[i].access);
    for (fp_u32 i = 0; i < straight->count; i++) {
        const struct fp_straight_item *item = &straight->item[i];

        if (fp_ahead_access_find(env, &item->access, 0, item->source) != FP_ACCESS_DENY) {
            straight->item[kept++] = *item;
            continue;
        }
        bytes += fp_frame_bytes(&packets[item->number]);
        results[item->number] =
            (struct fp_result){.verdict = FP_VERDICT_DROP, .reason = FP_DROP_ACCESS};
    }
    fp_count_many(env, reason, FP_DROP_ACCESS, straight->count - kept, bytes);
    straight->count = kept;
}

/* Knows each packet's service, asks for its pool's place. */
static fp_inline void fp_straight_whose(struct fp_env *env, struct fp_straight *straight)
{
    for (fp_u32 i = 0; i < straight->asked; i++)
        fp_straight_ask(env, straight->version, straight->ask[i]);
    for (fp_u32 i = 0; i < straight->count; i++) {
        const struct fp_straight_item *item = &straight->item[i];

        if (item->service && item->service->pool)
            fp_prefetch(
                &item->service->pool->bucket[fp_balance_bucket(item->service->pool, item->flow)]);
    }
}

/* Sends a packet to its backend. False: it doesn't go straight, nothing was changed. */
static fp_inline int fp_straight_forward(struct fp_env *env, struct fp_straight *straight,
                                         struct fp_packet *packet,
                                         const struct fp_straight_item *item,
                                         struct fp_result *result)
{
    const struct fp_straight_service *service = item->service;
    fp_u32 number = service->pool->bucket[fp_balance_bucket(service->pool, item->flow)];
    struct fp_straight_way *way = &straight->way[number & ((1u << FP_STRAIGHT_LOG2) - 1)];
    fp_u32 bytes = fp_frame_bytes(packet);
    fp_u64 key = straight->version << 16 | number;
    fp_u32 l2, outer = service->mode == FP_MODE_DSR_IPIP ? FP_IPV4_BYTES : 0;
    struct fp_parsed parsed;

    if (fp_unlikely(!number || number > 0xffff)) /* moving */
        return 0;
    if (fp_unlikely(way->key != key))
        fp_straight_locate(env, number, key, way);
    fp_plain_ip(packet->data, &parsed);
    l2 = fp_way_bytes(way->way.vlan);
    if (fp_unlikely(!(way->modes >> service->mode & 1) || parsed.bytes + outer > way->most ||
                    fp_way_room(packet, &parsed, l2 + outer)))
        return 0;
    fp_way_put(packet->data, &way->way, 4);
    if (outer)
        fp_encap_ipv4(packet->data + l2, &parsed, way->source, way->destination);
    *result = (struct fp_result){
        .verdict = FP_VERDICT_FORWARD,
        .reason = (fp_u8)(FP_LB_IPIP + service->mode),
        .ifindex = way->ifindex,
    };
    fp_count(env, vip, service->vip, bytes);
    fp_count(env, backend, number, bytes);
    return 1;
}

/* Sends each packet to its backend. */
static fp_inline void fp_straight_send(struct fp_env *env, struct fp_straight *straight,
                                       struct fp_packet *packets, struct fp_result *results)
{
    for (fp_u32 i = 0; i < straight->count; i++) {
        const struct fp_straight_item *item = &straight->item[i];
        fp_u32 bytes = fp_frame_bytes(&packets[item->number]);

        if (item->service && item->service->pool &&
            fp_straight_forward(env, straight, &packets[item->number], item,
                                &results[item->number]))
            fp_count(env, reason, FP_LB_IPIP + item->service->mode, bytes);
        else
            straight->left |= 1u << item->number;
    }
}

/* Does what fp_process() does, but for fp_env_begin(), for those of `count` (at most FP_BURST_MAX)
 * packets that go straight. Returns the others, a bit each. */
static inline fp_u32 fp_straight_run(struct fp_env *env, struct fp_straight *straight,
                                     struct fp_packet *packets, fp_u32 count,
                                     struct fp_result *results)
{
    fp_u32 access = fp_published(&FP_ROOT(env)->access_count);
    struct fp_env here = *env; /* which no store to a frame can change */

    fp_straight_begin(&here, straight);
    fp_straight_parse(&here, straight, packets, count, access);
    if (access)
        fp_straight_admit(&here, straight, packets, results);
    fp_straight_whose(&here, straight);
    fp_straight_send(&here, straight, packets, results);
    return straight->left;
}

#endif
