/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding a record: by key through the index, by number through a slot array; always the version
 * that the packet's generation sees.
 */
#ifndef CULVERT_FASTPATH_LOOKUP_H
#define CULVERT_FASTPATH_LOOKUP_H

#include "dataplane/fastpath/env.h"

#if !defined(FP_BPF) && defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Mixes a key to 64 bits. Keys of service tables come from the operator and DNS keys are keyed
 * hashes already, so this need not resist an adversary beyond the secret seed. */
static fp_inline fp_u64 fp_key_hash(fp_u64 a, fp_u64 b, fp_u32 c, fp_u32 kind, fp_u64 seed)
{
    fp_u64 h = seed ^ (((fp_u64)kind << 56) | c);

    h = (h ^ a) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h = (h ^ b) * 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ull;
    return h ^ (h >> 32);
}

/* The bucket is chosen by the hash's low bits; the tag is its high half. */
static fp_inline fp_u32 fp_hash_tag(fp_u64 hash)
{
    fp_u32 tag = (fp_u32)(hash >> 32);

    return tag | !tag;
}

/* The offset in the region of what `at` points to. The arena's base is a multiple of 4 GiB. */
#ifdef FP_BPF
#define fp_region_offset(env, at) ((void)(env), (fp_u32)(fp_u64)(at))
#else
#define fp_region_offset(env, at) ((fp_u32)((const char *)(at) - (const char *)(env)->base))
#endif

#define FP_ROOT(env) FP_AT(env, struct fp_root, 0)
#define FP_BODY(type, record) ((type FP_REGION *)((record) + 1))
#define FP_RECORD(body) ((struct fp_rec FP_REGION *)(body) - 1)

/* The version of a record that this packet's generation sees, or NULL. */
static fp_inline struct fp_rec FP_REGION *fp_visible(struct fp_env *env, fp_u32 ref)
{
    struct fp_rec FP_REGION *record;

    if (!ref)
        return 0;
    record = FP_AT(env, struct fp_rec, ref);
    if (fp_unlikely((fp_s32)(fp_published(&record->gen) - env->generation) > 0)) {
        ref = fp_published(&record->prev);
        if (!ref)
            return 0;
        record = FP_AT(env, struct fp_rec, ref);
    }
    return record->kind & FP_REC_DEAD ? 0 : record;
}

/* The bucket for the low bits of a hash, `index` being the root's. */
static fp_inline struct fp_bucket FP_REGION *fp_bucket_at(struct fp_env *env, fp_u64 index,
                                                          fp_u32 at)
{
    fp_u32 mask = (1u << ((index >> 32) & 31)) - 1;

    return FP_AT(env, struct fp_bucket, (fp_u32)index + (at & mask) * sizeof(struct fp_bucket));
}

/* The ref of a bucket's entry, if it is that of the key, as this packet's generation sees it. */
static fp_inline fp_u32 fp_entry_ref(struct fp_env *env, fp_u32 ref, fp_u64 a, fp_u64 b, fp_u32 c,
                                     fp_u32 kind)
{
    struct fp_rec FP_REGION *record = fp_visible(env, ref);

    if (record && record->a == a && record->b == b && record->c == c && record->kind == kind)
        return fp_region_offset(env, record);
    return 0;
}

#ifndef FP_BPF
#ifdef __has_feature
#define FP_WATCHED __has_feature(thread_sanitizer)
#else
#define FP_WATCHED 0
#endif
/* The ways of a bucket that have the tag, a bit each. All are compared: which one it is can't be
 * foretold, and a wrong guess costs more. ThreadSanitizer takes no vector for atomic; x86-64 reads
 * each of its aligned words at once. */
static fp_inline fp_u32 fp_bucket_ways(const struct fp_bucket *bucket, fp_u32 tag)
{
#if defined(__SSE2__) && !FP_WATCHED
    const __m128i *tags = (const __m128i *)bucket->tag;
    __m128i wanted = _mm_set1_epi32((int)tag);
    __m128i low = _mm_cmpeq_epi32(_mm_load_si128(tags), wanted);
    __m128i high = _mm_cmpeq_epi32(_mm_load_si128(tags + 1), wanted);
    __m128i both = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return (fp_u32)_mm_movemask_epi8(both) & ((1u << FP_BUCKET_WAYS) - 1);
#else
    fp_u32 ways = 0;

    for (int way = 0; way < FP_BUCKET_WAYS; way++)
        ways |= (fp_u32)(fp_published(&bucket->tag[way]) == tag) << way;
    return ways;
#endif
}
#endif

/* The ref of the key's entry in one bucket, or 0. */
static fp_inline fp_u32 fp_bucket_find(struct fp_env *env, struct fp_bucket FP_REGION *bucket,
                                       fp_u32 tag, fp_u64 a, fp_u64 b, fp_u32 c, fp_u32 kind)
{
    fp_u32 ref;

#ifdef FP_BPF
    for (int way = 0; way < FP_BUCKET_WAYS; way++) {
        if (fp_likely(fp_published(&bucket->tag[way]) != tag))
            continue;
        ref = fp_entry_ref(env, fp_published(&bucket->ref[way]), a, b, c, kind);
        if (ref)
            return ref;
    }
#else
    for (fp_u32 ways = fp_bucket_ways(bucket, tag); ways; ways &= ways - 1) {
        ref = fp_entry_ref(env, fp_published(&bucket->ref[__builtin_ctz(ways)]), a, b, c, kind);
        if (ref)
            return ref;
    }
#endif
    return 0;
}

/* The ref of an entry of an index kind, or 0. `hash` is the key's. */
static fp_inline fp_u32 fp_find_hashed(struct fp_env *env, fp_u64 hash, fp_u64 a, fp_u64 b,
                                       fp_u32 c, fp_u32 kind)
{
    fp_u64 index = fp_published(&FP_ROOT(env)->index);
    fp_u32 tag = fp_hash_tag(hash);
    fp_u32 at = (fp_u32)hash;

    for (int probe = 0; probe < FP_PROBE_MAX; probe++, at++) {
        struct fp_bucket FP_REGION *bucket = fp_bucket_at(env, index, at);
        fp_u32 ref = fp_bucket_find(env, bucket, tag, a, b, c, kind);

        if (ref)
            return ref;
        if (fp_likely(!fp_published(&bucket->spilled)))
            return 0;
    }
    return 0;
}

#ifndef FP_BPF
/* The same, where `ref` (0: none) was found in the index for the hash since the reader began. */
static fp_inline fp_u32 fp_find_ahead(struct fp_env *env, fp_u32 ref, fp_u64 hash, fp_u64 a,
                                      fp_u64 b, fp_u32 c, fp_u32 kind)
{
    ref = fp_entry_ref(env, ref, a, b, c, kind);
    return fp_likely(ref) ? ref : fp_find_hashed(env, hash, a, b, c, kind);
}
#endif

static fp_inline fp_u32 fp_find_here(struct fp_env *env, fp_u64 a, fp_u64 b, fp_u32 c, fp_u32 kind)
{
    fp_u64 hash = fp_key_hash(a, b, c, kind, FP_ROOT(env)->index_seed);

    return fp_find_hashed(env, hash, a, b, c, kind);
}

/* The same as a function of its own. */
fp_subprogram fp_u32 fp_find_ref(struct fp_env *env, fp_u64 a, fp_u64 b, fp_u32 c, fp_u32 kind)
{
    return env ? fp_find_here(env, a, b, c, kind) : 0;
}

/* The entry of an index kind, or NULL. */
static fp_inline struct fp_rec FP_REGION *fp_find(struct fp_env *env, fp_u32 kind, fp_u64 a,
                                                  fp_u64 b, fp_u32 c)
{
    fp_u32 ref = fp_find_ref(env, a, b, c, kind);

    return ref ? FP_AT(env, struct fp_rec, ref) : 0;
}

/* The entry of a slot kind, or NULL. */
static fp_inline struct fp_rec FP_REGION *fp_slot(struct fp_env *env, fp_u32 kind, fp_u32 number,
                                                  fp_u32 capacity)
{
    fp_u32 FP_REGION *slots;

    if (number >= capacity)
        return 0;
    slots = FP_AT(env, fp_u32, FP_ROOT(env)->slots[kind]);
    return fp_visible(env, fp_published(&slots[number]));
}

/* Begins a packet: what of the region's root every step needs. The caller has set env->cpu (and
 * on the host env->base and env->now). */
static fp_inline void fp_env_begin(struct fp_env *env)
{
    struct fp_root FP_REGION *root = FP_ROOT(env);

#ifdef FP_BPF
    env->generation = *(volatile fp_u32 FP_REGION *)&root->generation;
#else
    env->generation = __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE);
#endif
    env->counters = 0;
    if (!fp_dry(env) && env->cpu < root->cpus)
        env->counters = root->counters + env->cpu * (fp_u32)sizeof(struct fp_counters);
}

/* Adds packets, of `length` bytes in all, to a counter of this CPU. `field` names an array of
 * struct fp_counters, `number` is below its size. */
#define fp_count_many(env, field, number, count, length)                                           \
    do {                                                                                           \
        if (fp_likely((env)->counters)) {                                                          \
            struct fp_counter FP_REGION *fp_counter_ =                                             \
                &FP_AT(env, struct fp_counters, (env)->counters)->field[number];                   \
            fp_counter_->packets += (count);                                                       \
            fp_counter_->bytes += (length);                                                        \
        }                                                                                          \
    } while (0)

/* The same for one packet. */
#define fp_count(env, field, number, length) fp_count_many(env, field, number, 1, length)

#endif
