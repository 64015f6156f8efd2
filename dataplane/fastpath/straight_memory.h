/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the straight way (straight.h) knows of a burst, and remembers from one to the next: whose a
 * destination is and where a backend is, as long as nothing changes in the region but what packets
 * change.
 */
#ifndef CULVERT_FASTPATH_STRAIGHT_MEMORY_H
#define CULVERT_FASTPATH_STRAIGHT_MEMORY_H

#include "dataplane/fastpath/ahead.h"
#include "dataplane/fastpath/dns_burst.h"
#include "dataplane/fastpath/fastpath.h"
#include "dataplane/fastpath/plain.h"

#define FP_BURST_MAX 32u

/* Packets and bytes, for struct fp_counter. */
typedef fp_u64 fp_straight_sum __attribute__((vector_size(16), aligned(8), may_alias));

/* Ethernet's header up to a tag's end, or up to the type and two bytes more. */
#define FP_STRAIGHT_ETHERNET 16u
FP_STATIC_ASSERT(FP_STRAIGHT_ETHERNET == FP_ETH_BYTES + 2 &&
                     FP_STRAIGHT_ETHERNET == FP_ETH_BYTES - 2 + FP_VLAN_BYTES,
                 "layout");

/* Where the packets to one port of an address go. */
struct fp_straight_way;
struct fp_straight_service {
    fp_u64 key;                   /* address | protocol << 16 | port */
    fp_u64 version;               /* of the memory, when it was looked up; 0: it is still to be */
    fp_u32 *bucket;               /* its pool's; NULL: its packets don't go straight */
    struct fp_straight_way *ways; /* those of its mode */
    fp_straight_sum *count;       /* of the virtual IP */
    fp_u32 mask;                  /* of the pool's places */
    fp_u16 mode;                  /* enum fp_mode */
    fp_u16 dns;                   /* its packets are DNS queries for us */
} __attribute__((aligned(FP_CACHE_LINE)));

/* Where a backend is, for a mode. */
struct fp_straight_way {
    fp_u64 key;             /* version | number of the backend */
    fp_u64 addresses;       /* of the outer IPv4 header */
    fp_straight_sum *count; /* of the backend */
    struct fp_result result;
    fp_u8
        ethernet[FP_STRAIGHT_ETHERNET]; /* the header's first bytes, and what may be written over */
    fp_u32 sum;   /* 16 bits: of the outer header but for its first two words */
    fp_u32 most;  /* bytes of an inner IP packet that pass; 0: none goes straight */
    fp_u32 outer; /* bytes of the outer header, 0: none */
    fp_u32 grow;  /* bytes that the frame gets more */
} __attribute__((aligned(FP_CACHE_LINE)));
FP_STATIC_ASSERT(sizeof(struct fp_straight_way) == FP_CACHE_LINE, "a way is one line");
FP_STATIC_ASSERT(FP_MODE_DSR_IPIP == 0 && FP_MODE_DSR_L2 == 1, "modes of direct return");

/* What is known of a packet on the way. */
struct fp_straight_item {
    struct fp_straight_service *service;
    const fp_u32 *bucket; /* NULL: it doesn't go straight */
    fp_u32 number;        /* in the burst */
};

/* The frames of a burst side by side: what is read of each (struct fp_plain), */
struct fp_straight_read {
    fp_u64 head[FP_BURST_MAX], middle[FP_BURST_MAX], addresses[FP_BURST_MAX], l4[FP_BURST_MAX];
    fp_u64 tcp[FP_BURST_MAX], group[FP_BURST_MAX], size[FP_BURST_MAX];
} __attribute__((aligned(FP_CACHE_LINE)));

/* and what that says. */
struct fp_straight_said {
    fp_u64 plain[FP_BURST_MAX]; /* it may go straight; else the rest is void */
    fp_u64 flow[FP_BURST_MAX];  /* its flow's hash */
    fp_u64 key[FP_BURST_MAX];   /* of its service, */
    fp_u64 place[FP_BURST_MAX]; /* and where that is remembered */
    fp_u64 bytes[FP_BURST_MAX]; /* of the IP packet */
    fp_u64 outer[FP_BURST_MAX]; /* an outer IPv4 header's first two words, */
    fp_u64 sum[FP_BURST_MAX];   /* and their sum, of 16 bits */
} __attribute__((aligned(FP_CACHE_LINE)));

#define FP_STRAIGHT_MODES 2u
#define FP_STRAIGHT_LOG2 10u /* of the services that are remembered, and of each mode's ways */
#define FP_STRAIGHT_STEP (1u << 16) /* leaves room for a backend in a way's key */
struct fp_straight {
    /* fp_straight_vectors(); NULL: still to be chosen */
    fp_u32 (*run)(struct fp_env *env, struct fp_straight *straight, struct fp_packet *packets,
                  fp_u32 count, struct fp_result *results);
    void (*hash)(struct fp_dns_names *names, fp_u64 k0, fp_u64 k1, fp_u64 seed);
    fp_u64 version; /* steps by FP_STRAIGHT_STEP at changes: never 0 after the first burst */
    const void *base;
    fp_u32 generation, locals; /* of the region at that version, */
    fp_u32 counters;           /* and where counters were */
    fp_u64 seed;               /* of the flows' hash */
    fp_u32 left;               /* packets that take the general way, a bit each, */
    fp_u32 queries;            /* and DNS queries that don't */
    fp_u32 count, asked;       /* of `item` and of `ask` */
    struct fp_straight_read read;
    struct fp_straight_said said;
    fp_straight_sum nowhere; /* is counted where nothing is */
    struct fp_straight_item item[FP_BURST_MAX];
    struct fp_straight_service *ask[FP_BURST_MAX]; /* services to look up */
    struct fp_straight_service service[1u << FP_STRAIGHT_LOG2];
    struct fp_straight_way way[FP_STRAIGHT_MODES][1u << FP_STRAIGHT_LOG2];
};

/* A counter of struct fp_counters. */
#define FP_STRAIGHT_COUNT(env, straight, field, number)                                            \
    ((env)->counters                                                                               \
         ? (fp_straight_sum *)&FP_AT(env, struct fp_counters, (env)->counters)->field[number]      \
         : &(straight)->nowhere)

/* ---- whose ---- */

/* The service of packet `number`, or NULL: its place is another one's that is asked for in this
 * burst. A new one's bucket is asked for. */
static fp_inline struct fp_straight_service *
fp_straight_service_of(struct fp_env *env, struct fp_straight *straight, fp_u32 number)
{
    struct fp_straight_service *service = &straight->service[straight->said.place[number]];
    fp_u64 key = straight->said.key[number];

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
static __attribute__((noinline)) void
fp_straight_ask(struct fp_env *env, struct fp_straight *straight, struct fp_straight_service *asked)
{
    struct fp_parsed parsed = {
        .destination[1] = FP_KEY_IPV4(asked->key >> 32),
        .family = 4,
        .protocol = (fp_u8)(asked->key >> 16),
        .dport = (fp_u16)asked->key,
    };
    struct fp_service service = {0};
    struct fp_pool *pool;

    asked->version = straight->version;
    if (!fp_service_vip(env, &parsed, &service)) {
        fp_service_address(env, &parsed, &service);
        asked->dns = service.flags & FP_ADDRESS_DNS && !service.nlimits &&
                     parsed.dport == FP_PORT_DNS && parsed.protocol == FP_IP_UDP;
        return;
    }
    if (service.nlimits || service.vip->mode >= FP_STRAIGHT_MODES)
        return;
    pool = fp_balance_pool(env, service.vip->pool);
    if (!pool)
        return;
    asked->bucket = pool->bucket;
    asked->mask = fp_balance_mask(pool);
    asked->count = FP_STRAIGHT_COUNT(env, straight, vip, service.vip->id & (FP_COUNT_VIPS - 1));
    asked->mode = service.vip->mode;
    asked->ways = straight->way[asked->mode];
}

/* Finds the flow's place in its service's pool, and asks for it. */
static fp_inline void fp_straight_place(struct fp_straight_item *item, fp_u64 flow)
{
    const struct fp_straight_service *service = item->service;

    item->bucket = 0;
    if (fp_likely(service && service->bucket)) {
        item->bucket = &service->bucket[fp_balance_place(flow, service->mask)];
        fp_prefetch(item->bucket);
    }
}

/* ---- where ---- */

/* Finds out where a backend is, for a mode. */
static __attribute__((noinline)) void fp_straight_locate(struct fp_env *env,
                                                         struct fp_straight *straight,
                                                         fp_u32 number, fp_u32 mode,
                                                         struct fp_straight_way *to)
{
    struct fp_rec *hop = fp_slot(env, FP_KIND_NEXTHOP, number, FP_SLOTS_NEXTHOP);
    struct fp_rec *record = fp_slot(env, FP_KIND_BACKEND, number, FP_SLOTS_BACKEND);
    fp_u8 ethernet[FP_ETH_BYTES + FP_VLAN_BYTES] = {0};
    struct fp_nexthop *nexthop;
    struct fp_backend *backend;
    struct fp_way way;
    fp_u32 mtu;

    *to = (struct fp_straight_way){.key = straight->version | number};
    if (!hop || !record)
        return;
    nexthop = FP_BODY(struct fp_nexthop, hop);
    backend = FP_BODY(struct fp_backend, record);
    if (!nexthop->ifindex || (mode == FP_MODE_DSR_IPIP ? fp_family_of(backend->address) != 4
                                                       : !(nexthop->flags & FP_NEXTHOP_ONLINK)))
        return;
    fp_way_load(&way, nexthop);
    fp_way_put(ethernet, &way, fp_htons(FP_ETH_IPV4));
    __builtin_memcpy(to->ethernet, ethernet, sizeof(to->ethernet));
    to->addresses =
        FP_WORDS(nexthop->source)[1] >> 32 | (FP_WORDS(backend->address)[1] & ~0xffffffffull);
    to->sum = fp_sum_fold(fp_encap_third(4) + (to->addresses & 0xffffffff) + (to->addresses >> 32));
    to->count = FP_STRAIGHT_COUNT(env, straight, backend, number);
    to->result = (struct fp_result){
        .verdict = FP_VERDICT_FORWARD,
        .reason = (fp_u8)(FP_LB_IPIP + mode),
        .ifindex = nexthop->ifindex,
    };
    to->outer = mode == FP_MODE_DSR_IPIP ? FP_IPV4_BYTES : 0;
    to->grow = fp_way_bytes(way.vlan) - FP_ETH_BYTES + to->outer;
    mtu = nexthop->mtu ? nexthop->mtu : ~0u;
    to->most = mtu > to->outer ? mtu - to->outer : 0;
}

#endif
