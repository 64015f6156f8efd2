/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The straight way through a burst (host only; burst.h), for what most packets are: plain ones
 * (plain.h) that the access list drops, or that go on to the backend of a virtual IP without
 * limits, in a mode of direct return, from a bucket that isn't moving; and DNS queries to a
 * listener without limits. What becomes of such a packet depends on no other one, so all of a burst
 * go side by side, and the steps of fastpath.h that it doesn't need are never taken. Every other
 * packet is left, unchanged and not counted, to the general way.
 *
 *     headers, flow's hash -> access list -> whose, pool's place -> forward
 *                                                                -> names -> answer
 *
 * What is remembered from burst to burst: straight_memory.h.
 */
#ifndef CULVERT_FASTPATH_STRAIGHT_H
#define CULVERT_FASTPATH_STRAIGHT_H

#include "dataplane/fastpath/straight_memory.h"

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

/* Tells the plain ones. Like fp_straight_say() always of FP_BURST_MAX frames: what lies behind the
 * burst's is void. */
static fp_inline void fp_straight_check(struct fp_straight *straight)
{
    const struct fp_straight_read *read = &straight->read;
    struct fp_straight_said *said = &straight->said;

    for (fp_u32 i = 0; i < FP_BURST_MAX; i++) {
        struct fp_plain plain = fp_straight_plain(read, i);

        said->plain[i] = fp_plain_check(&plain) & ~fp_plain_source_is_bad(&plain);
    }
}

/* Says what was read. Two loops, for the vectors of one alone fill the registers. */
static fp_inline void fp_straight_say(struct fp_straight *straight)
{
    const struct fp_straight_read *read = &straight->read;
    struct fp_straight_said *said = &straight->said;
    fp_u64 seed = straight->seed;

    for (fp_u32 i = 0; i < FP_BURST_MAX; i++) {
        struct fp_plain plain = fp_straight_plain(read, i);
        fp_u64 protocol = plain.middle >> 24 & 0xff, ports = FP_PLAIN_32(plain.l4);
        struct fp_parsed parsed = {
            .source[1] = FP_MAPPED | plain.addresses << 32,
            .destination[1] = FP_MAPPED | (plain.addresses & ~0xffffffffull),
            .family = 4,
        };

        said->flow[i] = fp_flow_hash(&parsed, protocol << 32 | ports, seed);
        said->key[i] = (plain.addresses & ~0xffffffffull) | protocol << 16 | (ports & 0xffff);
        said->place[i] = said->key[i] * 0x9e3779b97f4a7c15ull >> (64 - FP_STRAIGHT_LOG2);
    }
    for (fp_u32 i = 0; i < FP_BURST_MAX; i++) {
        fp_u64 head = read->head[i], bytes = FP_PLAIN_16(head, 32);
        fp_u64 outer = fp_encap_words(head >> 24 & 0xff, bytes, read->middle[i] & 0x40, head >> 48);

        said->bytes[i] = bytes;
        said->outer[i] = outer;
        said->sum[i] = fp_plain_fold((outer & 0xffffffff) + (outer >> 32));
    }
}

/* An IPv4 source that was read, in key form, the lower half. */
static fp_inline fp_u64 fp_straight_source(const struct fp_straight *straight, fp_u32 i)
{
    return FP_MAPPED | straight->read.addresses[i] << 32;
}

/* Takes in the packets that may go straight. */
static fp_inline void fp_straight_take(struct fp_straight *straight, fp_u32 count)
{
    struct fp_straight_item *item = straight->item;

    for (fp_u32 i = 0; i < count; i++) {
        if (!straight->said.plain[i]) {
            straight->left |= 1u << i;
            continue;
        }
        item++->number = i;
    }
    straight->count = (fp_u32)(item - straight->item);
}

/* Drops what the access list denies. */
static fp_inline void fp_straight_admit(struct fp_env *env, struct fp_straight *straight,
                                        const struct fp_packet *packets, struct fp_result *results)
{
    struct fp_ahead_access access[FP_BURST_MAX];
    fp_u32 kept = 0;
    fp_u64 bytes = 0;

    for (fp_u32 i = 0; i < straight->count; i++)
        fp_ahead_access(env, &access[i], 0, fp_straight_source(straight, straight->item[i].number));
    for (fp_u32 i = 0; i < straight->count; i++)
        fp_ahead_access_record(env, &access[i]);
    for (fp_u32 i = 0; i < straight->count; i++) {
        fp_u32 number = straight->item[i].number;

        if (fp_ahead_access_find(env, &access[i], 0, fp_straight_source(straight, number)) !=
            FP_ACCESS_DENY) {
            straight->item[kept++].number = number;
            continue;
        }
        bytes += fp_frame_bytes(&packets[number]);
        results[number] = (struct fp_result){.verdict = FP_VERDICT_DROP, .reason = FP_DROP_ACCESS};
    }
    fp_count_many(env, reason, FP_DROP_ACCESS, straight->count - kept, bytes);
    straight->count = kept;
}

/* Finds each packet's service, and its place in the pool. */
static fp_inline void fp_straight_find(struct fp_env *env, struct fp_straight *straight)
{
    for (fp_u32 i = 0; i < straight->count; i++) {
        struct fp_straight_item *item = &straight->item[i];

        item->service = fp_straight_service_of(env, straight, item->number);
        fp_straight_place(item, straight->said.flow[item->number]);
    }
}

/* Looks up the services that weren't known, and finds all places again. */
static __attribute__((noinline)) void fp_straight_whose(struct fp_env *env,
                                                        struct fp_straight *straight)
{
    for (fp_u32 i = 0; i < straight->asked; i++)
        fp_straight_ask(env, straight, straight->ask[i]);
    for (fp_u32 i = 0; i < straight->count; i++)
        fp_straight_place(&straight->item[i], straight->said.flow[straight->item[i].number]);
}

/* What was sent, in all and without an outer header. */
struct fp_straight_sent {
    fp_straight_sum all, bare;
};

/* Sends a packet to its backend. False: it doesn't go straight, nothing was changed. */
static fp_inline int fp_straight_forward(struct fp_env *env, struct fp_straight *straight,
                                         struct fp_packet *packet,
                                         const struct fp_straight_item *item,
                                         struct fp_result *result, struct fp_straight_sent *sent)
{
    const struct fp_straight_said *said = &straight->said;
    const struct fp_straight_service *service = item->service;
    fp_u32 number = *item->bucket, i = item->number, sum;
    struct fp_straight_way *way = &service->ways[number & ((1u << FP_STRAIGHT_LOG2) - 1)];
    fp_straight_sum one = {1, straight->read.size[i]};
    fp_u8 *l3 = packet->data + FP_ETH_BYTES, *data;

    if (fp_unlikely(number - 1 >= 0xffff)) /* none, or moving */
        return 0;
    if (fp_unlikely(way->key != (straight->version | number)))
        fp_straight_locate(env, straight, number, service->mode, way);
    data = packet->data - way->grow;
    if (fp_unlikely(said->bytes[i] > way->most || data < packet->head))
        return 0;
    packet->data = data;
    *result = way->result;
    *service->count += one;
    *way->count += one;
    sent->all += one;
    if (way->outer) {
        sum = (fp_u32)said->sum[i] + way->sum;
        sum = ~(sum + (sum >> 16));
        l3 -= FP_IPV4_BYTES;
        __builtin_memcpy(data, way->ethernet, FP_STRAIGHT_ETHERNET);
        fp_store16(l3 - 2, fp_htons(FP_ETH_IPV4));
        fp_store64(l3, said->outer[i]);
        fp_store32(l3 + 8, fp_encap_third(4) | sum << 16);
        fp_store64(l3 + 12, way->addresses);
    } else {
        __builtin_memcpy(data, way->ethernet, way->grow ? FP_STRAIGHT_ETHERNET : FP_ETH_BYTES);
        fp_store16(l3 - 2, fp_htons(FP_ETH_IPV4));
        sent->bare += one;
    }
    return 1;
}

/* Sends each packet to its backend. */
static fp_inline void fp_straight_send(struct fp_env *env, struct fp_straight *straight,
                                       struct fp_packet *packets, struct fp_result *results)
{
    const struct fp_straight_item *end = straight->item + straight->count;
    struct fp_straight_sent sent = {0};
    fp_u32 left = straight->left, queries = 0;

    for (const struct fp_straight_item *item = straight->item; item < end; item++) {
        fp_u32 i = item->number;

        if (item->bucket &&
            fp_straight_forward(env, straight, &packets[i], item, &results[i], &sent))
            continue;
        if (item->service && item->service->dns)
            queries |= 1u << i;
        else
            left |= 1u << i;
    }
    straight->left = left;
    straight->queries = queries;
    *FP_STRAIGHT_COUNT(env, straight, reason, FP_LB_IPIP) += sent.all - sent.bare;
    *FP_STRAIGHT_COUNT(env, straight, reason, FP_LB_L2) += sent.bare;
}

/* All the steps but the first. */
static fp_inline fp_u32 fp_straight_steps(struct fp_env *env, struct fp_straight *straight,
                                          struct fp_packet *packets, fp_u32 count,
                                          struct fp_result *results)
{
    fp_u32 access = fp_published(&FP_ROOT(env)->access_count);
    struct fp_env here = *env; /* which no store to a frame can change */

    fp_straight_read(straight, packets, count);
    fp_straight_check(straight);
    fp_straight_take(straight, count);
    if (access) {
        fp_straight_admit(&here, straight, packets, results);
        if (!straight->count)
            return straight->left;
    }
    fp_straight_say(straight);
    fp_straight_find(&here, straight);
    if (fp_unlikely(straight->asked))
        fp_straight_whose(&here, straight);
    fp_straight_send(&here, straight, packets, results);
    return straight->left;
}

/* The same, and fp_dns_names_hash(), for what the CPU can do: the compiler makes vectors of what is
 * done side by side. */
#define FP_STRAIGHT_FOR(cpu, attributes)                                                           \
    static __attribute__((noinline)) attributes fp_u32 fp_straight_steps_##cpu(                    \
        struct fp_env *env, struct fp_straight *straight, struct fp_packet *packets, fp_u32 count, \
        struct fp_result *results)                                                                 \
    {                                                                                              \
        return fp_straight_steps(env, straight, packets, count, results);                          \
    }                                                                                              \
    static __attribute__((noinline)) attributes void fp_straight_hash_##cpu(                       \
        struct fp_dns_names *names, fp_u64 k0, fp_u64 k1, fp_u64 seed)                             \
    {                                                                                              \
        fp_dns_names_hash(names, k0, k1, seed);                                                    \
    }
FP_STRAIGHT_FOR(any, )
#ifdef __x86_64__
#define FP_STRAIGHT_AVX2 "avx2,bmi,bmi2"
#define FP_STRAIGHT_AVX512 FP_STRAIGHT_AVX2 ",avx512f,avx512bw,avx512dq,avx512vl"
FP_STRAIGHT_FOR(avx2, __attribute__((target(FP_STRAIGHT_AVX2))))
FP_STRAIGHT_FOR(avx512, __attribute__((target(FP_STRAIGHT_AVX512))))
#endif

/* Chooses vectors of at most `bits` (512, 256; 0: what every CPU has). False: this CPU has less. */
static inline int fp_straight_vectors(struct fp_straight *straight, fp_u32 bits)
{
#ifdef __x86_64__
    int some = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");

    if (bits == 512 && some && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        straight->run = fp_straight_steps_avx512;
        straight->hash = fp_straight_hash_avx512;
        return 1;
    }
    if (bits == 256 && some) {
        straight->run = fp_straight_steps_avx2;
        straight->hash = fp_straight_hash_avx2;
        return 1;
    }
#endif
    if (bits)
        return 0;
    straight->run = fp_straight_steps_any;
    straight->hash = fp_straight_hash_any;
    return 1;
}

/* Begins a burst: what the region has changed is forgotten. */
static fp_inline void fp_straight_begin(struct fp_env *env, struct fp_straight *straight)
{
    fp_u32 locals = fp_published(&FP_ROOT(env)->locals);
    struct fp_rec *config;

    straight->left = straight->queries = straight->count = straight->asked = 0;
    if (fp_likely(straight->generation == env->generation && straight->locals == locals &&
                  straight->base == env->base && straight->counters == env->counters))
        return;
    if (!straight->run && !fp_straight_vectors(straight, 512) &&
        !fp_straight_vectors(straight, 256))
        fp_straight_vectors(straight, 0);
    config = fp_slot(env, FP_KIND_CONFIG, 0, FP_SLOTS_CONFIG);
    straight->seed = config ? FP_BODY(struct fp_config, config)->flow_seed : 0;
    straight->base = env->base;
    straight->generation = env->generation;
    straight->locals = locals;
    straight->counters = env->counters;
    straight->version += FP_STRAIGHT_STEP;
}

/* Answers the DNS queries. Returns those that it leaves, a bit each. */
static __attribute__((noinline)) fp_u32 fp_straight_answer(struct fp_env *env,
                                                           struct fp_straight *straight,
                                                           struct fp_packet *packets,
                                                           struct fp_result *results)
{
    struct fp_parsed parsed[FP_BURST_MAX];
    struct fp_dns_burst burst;
    fp_u32 count = 0;

    if (fp_dns_burst_begin(env, &burst))
        return straight->queries;
    for (fp_u32 queries = straight->queries; queries; queries &= queries - 1, count++) {
        fp_u32 i = (fp_u32)__builtin_ctz(queries);
        struct fp_plain plain = fp_straight_plain(&straight->read, i);

        fp_plain_say(&plain, &parsed[count]);
        fp_dns_burst_add(&burst, &packets[i], &parsed[count]);
    }
    fp_dns_burst_look(env, &burst, straight->hash);
    count = 0;
    for (fp_u32 queries = straight->queries; queries; queries &= queries - 1, count++) {
        fp_u32 i = (fp_u32)__builtin_ctz(queries);

        results[i] = fp_dns_process(env, &packets[i], &parsed[count]);
        fp_finish(env, &results[i], (fp_u32)straight->read.size[i]);
        packets[i].dns = NULL;
    }
    return 0;
}

/* Does what fp_process() does, but for fp_env_begin(), for those of `count` (at most FP_BURST_MAX)
 * packets that go straight. Returns the others, a bit each. */
static inline fp_u32 fp_straight_run(struct fp_env *env, struct fp_straight *straight,
                                     struct fp_packet *packets, fp_u32 count,
                                     struct fp_result *results)
{
    fp_u32 left;

    fp_straight_begin(env, straight);
    left = straight->run(env, straight, packets, count, results);
    if (straight->queries)
        left |= fp_straight_answer(env, straight, packets, results);
    return left;
}

#endif
