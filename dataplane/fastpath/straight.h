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
    fp_u64 addresses; /* of the outer IPv4 header */
    fp_u64 sum;       /* of that, but for its first two words */
    fp_u32 ifindex;
    fp_u32 most;  /* bytes of an IP packet that pass */
    fp_u32 modes; /* 1 << mode: those that are straight */
} __attribute__((aligned(FP_CACHE_LINE)));

/* What is known of a packet on the way. */
struct fp_straight_item {
    struct fp_straight_service *service;
    struct fp_ahead_access access;
    fp_u32 number; /* in the burst */
};

/* The frames of a burst side by side: what is read of each (struct fp_plain), */
struct fp_straight_read {
    fp_u64 head[FP_BURST_MAX], middle[FP_BURST_MAX], addresses[FP_BURST_MAX], l4[FP_BURST_MAX];
    fp_u64 tcp[FP_BURST_MAX], group[FP_BURST_MAX], size[FP_BURST_MAX];
} __attribute__((aligned(FP_CACHE_LINE)));

/* and what that says. */
struct fp_straight_said {
    fp_u64 plain[FP_BURST_MAX];  /* it may go straight; else the rest is void */
    fp_u64 flow[FP_BURST_MAX];   /* its flow's hash */
    fp_u64 source[FP_BURST_MAX]; /* in key form, the lower half */
    fp_u64 key[FP_BURST_MAX];    /* of its service */
    fp_u64 bytes[FP_BURST_MAX];  /* of the IP packet */
    fp_u64 outer[FP_BURST_MAX];  /* an outer IPv4 header's first two words, */
    fp_u64 sum[FP_BURST_MAX];    /* and their sum */
} __attribute__((aligned(FP_CACHE_LINE)));

#define FP_STRAIGHT_LOG2 10u /* of the services and of the ways that are remembered */
struct fp_straight {
    void (*say)(struct fp_straight *straight); /* fp_straight_vectors(); NULL: still to be chosen */
    fp_u64 version; /* counts the changes that were seen: never 0 after the first burst */
    const void *base;
    fp_u32 generation, locals; /* of the region at that version */
    fp_u64 seed;               /* of the flows' hash */
    fp_u32 left;               /* packets that take the general way, a bit each */
    fp_u32 count, asked;       /* of `item` and of `ask` */
    struct fp_straight_read read;
    struct fp_straight_said said;
    struct fp_straight_item item[FP_BURST_MAX];
    struct fp_straight_service *ask[FP_BURST_MAX]; /* services to look up */
    struct fp_straight_service service[1u << FP_STRAIGHT_LOG2];
    struct fp_straight_way way[1u << FP_STRAIGHT_LOG2];
};

static inline int fp_straight_vectors(struct fp_straight *straight, fp_u32 bits);

/* Begins a burst: what the region has changed is forgotten. */
static fp_inline void fp_straight_begin(struct fp_env *env, struct fp_straight *straight)
{
    fp_u32 locals = fp_published(&FP_ROOT(env)->locals);
    struct fp_rec *config;

    straight->left = straight->count = straight->asked = 0;
    if (fp_likely(straight->generation == env->generation && straight->locals == locals &&
                  straight->base == env->base))
        return;
    if (!straight->say && !fp_straight_vectors(straight, 512) &&
        !fp_straight_vectors(straight, 256))
        fp_straight_vectors(straight, 0);
    config = fp_slot(env, FP_KIND_CONFIG, 0, FP_SLOTS_CONFIG);
    straight->seed = config ? FP_BODY(struct fp_config, config)->flow_seed : 0;
    straight->base = env->base;
    straight->generation = env->generation;
    straight->locals = locals;
    straight->version++;
}

/* ---- whose ---- */

/* The service with a key, or NULL: its place is another one's that is asked for in this burst. A
 * new one's bucket is asked for. */
static fp_inline struct fp_straight_service *
fp_straight_service_of(struct fp_env *env, struct fp_straight *straight, fp_u64 key)
{
    struct fp_straight_service *service =
        &straight->service[key * 0x9e3779b97f4a7c15ull >> (64 - FP_STRAIGHT_LOG2)];

    if (fp_likely(service->key == key && service->version == straight->version))
        return service;
    if (!service->version && straight->asked)
        return service->key == key ? service : 0;
    *service = (struct fp_straight_service){.key = key};
    straight->ask[straight->asked++] = service;
    fp_ahead_bucket(env, fp_key_hash(0, FP_KEY_IPV4(key >> 32), (fp_u32)key, FP_KIND_VIP,
                                     FP_ROOT(env)->index_seed));
    return service;
}

/* Looks a service up. */
static __attribute__((noinline)) void fp_straight_ask(struct fp_env *env, fp_u64 version,
                                                      struct fp_straight_service *straight)
{
    struct fp_parsed parsed = {
        .destination[1] = FP_KEY_IPV4(straight->key >> 32),
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
    way->addresses =
        FP_WORDS(nexthop->source)[1] >> 32 | (FP_WORDS(backend->address)[1] & ~0xffffffffull);
    way->sum = fp_encap_third(4) + (way->addresses & 0xffffffff) + (way->addresses >> 32);
    way->ifindex = nexthop->ifindex;
    way->most = nexthop->mtu ? nexthop->mtu : ~0u;
    way->modes = (fp_family_of(backend->address) == 4 ? 1u << FP_MODE_DSR_IPIP : 0) |
                 (nexthop->flags & FP_NEXTHOP_ONLINK ? 1u << FP_MODE_DSR_L2 : 0);
}

/* ---- the steps ---- */

/* Reads the frames. One that is too short is read as zeros, which no plain one is. */
static fp_inline void fp_straight_read(struct fp_straight *straight,
                                       const struct fp_packet *packets, fp_u32 count)
{
    static const fp_u8 zeros[FP_PLAIN_BYTES];
    struct fp_straight_read *read = &straight->read;

    for (fp_u32 i = 0; i < count; i++) {
        fp_u64 size = (fp_u64)(packets[i].end - packets[i].data);
        struct fp_plain plain;

        fp_plain_load(size < FP_PLAIN_BYTES ? zeros : packets[i].data, size, &plain);
        read->head[i] = plain.head;
        read->middle[i] = plain.middle;
        read->addresses[i] = plain.addresses;
        read->l4[i] = plain.l4;
        read->tcp[i] = plain.tcp;
        read->group[i] = plain.group;
        read->size[i] = plain.size;
    }
}

/* What was read of frame i. */
static fp_inline struct fp_plain fp_straight_plain(const struct fp_straight_read *read, fp_u32 i)
{
    return (struct fp_plain){
        .head = read->head[i],
        .middle = read->middle[i],
        .addresses = read->addresses[i],
        .l4 = read->l4[i],
        .tcp = read->tcp[i],
        .group = read->group[i],
        .size = read->size[i],
    };
}

/* Says what was read. Always of FP_BURST_MAX frames, what lies behind the burst's is void. */
static fp_inline void fp_straight_say(struct fp_straight *straight)
{
    const struct fp_straight_read *read = &straight->read;
    struct fp_straight_said *said = &straight->said;
    fp_u64 seed = straight->seed;

    for (fp_u32 i = 0; i < FP_BURST_MAX; i++) {
        struct fp_plain plain = fp_straight_plain(read, i);
        fp_u64 protocol = plain.middle >> 24 & 0xff, port = FP_PLAIN_16(plain.l4, 16);
        fp_u64 word = protocol << 32 | FP_PLAIN_16(plain.l4, 0) << 16 | port;
        fp_u64 outer = fp_encap_words(plain.head >> 24 & 0xff, FP_PLAIN_16(plain.head, 32),
                                      plain.middle & 0x40, plain.head >> 48);
        struct fp_parsed parsed = {
            .source[1] = FP_MAPPED | plain.addresses << 32,
            .destination[1] = FP_MAPPED | (plain.addresses & ~0xffffffffull),
            .family = 4,
        };

        said->plain[i] = fp_plain_check(&plain) & ~fp_plain_source_is_bad(&plain);
        said->flow[i] = fp_flow_hash(&parsed, word, seed);
        said->source[i] = parsed.source[1];
        said->key[i] = (plain.addresses & ~0xffffffffull) | protocol << 16 | port;
        said->bytes[i] = FP_PLAIN_16(plain.head, 32);
        said->outer[i] = outer;
        said->sum[i] = (outer & 0xffffffff) + (outer >> 32);
    }
}

/* The same for what the CPU can do: the compiler makes vectors of it. */
#define FP_STRAIGHT_SAY(name, attributes)                                                          \
    static __attribute__((noinline)) attributes void name(struct fp_straight *straight)            \
    {                                                                                              \
        fp_straight_say(straight);                                                                 \
    }
FP_STRAIGHT_SAY(fp_straight_say_any, )
#ifdef __x86_64__
#define FP_STRAIGHT_AVX512 "avx512f,avx512bw,avx512dq,avx512vl"
FP_STRAIGHT_SAY(fp_straight_say_avx2, __attribute__((target("avx2"))))
FP_STRAIGHT_SAY(fp_straight_say_avx512, __attribute__((target(FP_STRAIGHT_AVX512))))
#endif

/* Chooses vectors of at most `bits` (512, 256; 0: what every CPU has). False: this CPU has less. */
static inline int fp_straight_vectors(struct fp_straight *straight, fp_u32 bits)
{
#ifdef __x86_64__
    if (bits == 512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        straight->say = fp_straight_say_avx512;
        return 1;
    }
    if (bits == 256 && __builtin_cpu_supports("avx2")) {
        straight->say = fp_straight_say_avx2;
        return 1;
    }
#endif
    if (!bits)
        straight->say = fp_straight_say_any;
    return !bits;
}

/* Takes in the packets that may go straight; `access`: there is an access list. */
static fp_inline void fp_straight_take(struct fp_env *env, struct fp_straight *straight,
                                       fp_u32 count, fp_u32 access)
{
    const struct fp_straight_said *said = &straight->said;

    for (fp_u32 i = 0; i < count; i++) {
        struct fp_straight_item *item = &straight->item[straight->count];

        if (!said->plain[i]) {
            straight->left |= 1u << i;
            continue;
        }
        item->number = i;
        if (access)
            fp_ahead_access(env, &item->access, 0, said->source[i]);
        item->service = fp_straight_service_of(env, straight, said->key[i]);
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

        if (fp_ahead_access_find(env, &item->access, 0, straight->said.source[item->number]) !=
            FP_ACCESS_DENY) {
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
        struct fp_pool *pool = item->service ? item->service->pool : 0;

        if (pool)
            fp_prefetch(&pool->bucket[fp_balance_bucket(pool, straight->said.flow[item->number])]);
    }
}

/* Sends a packet to its backend. False: it doesn't go straight, nothing was changed. */
static fp_inline int fp_straight_forward(struct fp_env *env, struct fp_straight *straight,
                                         struct fp_packet *packet,
                                         const struct fp_straight_service *service, fp_u32 i,
                                         struct fp_result *result)
{
    const struct fp_straight_said *said = &straight->said;
    fp_u32 number = service->pool->bucket[fp_balance_bucket(service->pool, said->flow[i])];
    struct fp_straight_way *way = &straight->way[number & ((1u << FP_STRAIGHT_LOG2) - 1)];
    fp_u64 key = straight->version << 16 | number;
    fp_u32 bytes = (fp_u32)straight->read.size[i];
    fp_u32 outer = service->mode == FP_MODE_DSR_IPIP ? FP_IPV4_BYTES : 0, l2;
    fp_u8 *data, *ip;

    if (fp_unlikely(!number || number > 0xffff)) /* moving */
        return 0;
    if (fp_unlikely(way->key != key))
        fp_straight_locate(env, number, key, way);
    l2 = fp_way_bytes(way->way.vlan);
    data = packet->data + FP_ETH_BYTES - (l2 + outer);
    if (fp_unlikely(!(way->modes >> service->mode & 1) || said->bytes[i] + outer > way->most ||
                    data < packet->head))
        return 0;
    packet->data = data;
    fp_way_put(data, &way->way, fp_htons(FP_ETH_IPV4));
    if (outer) {
        ip = data + l2;
        fp_store64(ip, said->outer[i]);
        fp_store32(ip + 8, fp_encap_third(4) | (fp_u32)fp_sum_finish(said->sum[i] + way->sum)
                                                   << 16);
        fp_store64(ip + 12, way->addresses);
    }
    *result = (struct fp_result){
        .verdict = FP_VERDICT_FORWARD,
        .reason = (fp_u8)(FP_LB_IPIP + service->mode),
        .ifindex = way->ifindex,
    };
    fp_count(env, vip, service->vip, bytes);
    fp_count(env, backend, number, bytes);
    fp_count(env, reason, FP_LB_IPIP + service->mode, bytes);
    return 1;
}

/* Sends each packet to its backend. */
static fp_inline void fp_straight_send(struct fp_env *env, struct fp_straight *straight,
                                       struct fp_packet *packets, struct fp_result *results)
{
    for (fp_u32 i = 0; i < straight->count; i++) {
        const struct fp_straight_service *service = straight->item[i].service;
        fp_u32 number = straight->item[i].number;

        if (!service || !service->pool ||
            !fp_straight_forward(env, straight, &packets[number], service, number,
                                 &results[number]))
            straight->left |= 1u << number;
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
    fp_straight_read(straight, packets, count);
    straight->say(straight);
    fp_straight_take(&here, straight, count, access);
    if (access)
        fp_straight_admit(&here, straight, packets, results);
    fp_straight_whose(&here, straight);
    fp_straight_send(&here, straight, packets, results);
    return straight->left;
}

#endif
