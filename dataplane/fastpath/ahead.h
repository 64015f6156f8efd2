/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory that is asked for before a packet's turn (host only; burst.h): the lines of the index and
 * of records that it will read.
 */
#ifndef CULVERT_FASTPATH_AHEAD_H
#define CULVERT_FASTPATH_AHEAD_H

#include "dataplane/fastpath/access.h"

#define fp_prefetch(address) __builtin_prefetch(address)

/* Asks for the bucket of a hash. */
static fp_inline void fp_ahead_bucket(struct fp_env *env, fp_u64 hash)
{
    fp_prefetch(fp_bucket_at(env, fp_published(&FP_ROOT(env)->index), (fp_u32)hash));
}

/* Asks for the first `bytes` (at most two lines) of the record that the bucket of a hash has.
 * Returns its ref: probably that of the key, for fp_find_ahead(); or 0. */
static fp_inline fp_u32 fp_ahead_record(struct fp_env *env, fp_u64 hash, fp_u32 bytes)
{
    const struct fp_bucket *bucket =
        fp_bucket_at(env, fp_published(&FP_ROOT(env)->index), (fp_u32)hash);
    fp_u32 ways = fp_bucket_ways(bucket, fp_hash_tag(hash));
    fp_u32 ref;

    if (!ways)
        return 0;
    ref = fp_published(&bucket->ref[__builtin_ctz(ways)]);
    fp_prefetch(FP_AT(env, char, ref));
    if ((ref & (FP_CACHE_LINE - 1)) + bytes > FP_CACHE_LINE)
        fp_prefetch(FP_AT(env, char, ref + FP_CACHE_LINE));
    return ref;
}

/* The entry of the access list that a source is looked up by first: that of the longest prefix
 * which may cover it. Most sources have no other. */
struct fp_ahead_access {
    const struct fp_access4_line *line; /* where it stands, or NULL: in the index */
    fp_u64 hash;                        /* of its key there */
    fp_u32 ref;                         /* fp_ahead_record() */
    fp_u32 word;                        /* in the line */
    fp_u8 length; /* of the prefix, or FP_AHEAD_NONE: none covers the source */
    fp_u8 others; /* shorter ones may cover it too */
};
#define FP_AHEAD_NONE 0xffu

/* Chooses the entry for an IPv4 source, `bits` being the filter's, and asks for its line. */
static fp_inline void fp_ahead_access4(struct fp_env *env, struct fp_ahead_access *ahead,
                                       fp_u32 lines, fp_u64 bits, fp_u32 source)
{
    fp_u32 length;

    ahead->length = FP_AHEAD_NONE;
    if (!bits)
        return;
    length = 63u - (fp_u32)__builtin_clzll(bits);
    ahead->length = (fp_u8)length;
    ahead->others = !!(bits & (bits - 1));
    ahead->line = fp_access4_line(env, lines, fp_access4_cut(source, length), length, &ahead->word);
    fp_prefetch(ahead->line);
}

/* Chooses the entry for source a, b and asks for its line, or bucket. */
static fp_inline void fp_ahead_access(struct fp_env *env, struct fp_ahead_access *ahead, fp_u64 a,
                                      fp_u64 b)
{
    int mapped = fp_is_mapped(a, b);
    const fp_u64 *lengths = fp_access_lengths(env, a, b);
    fp_u32 lines = mapped ? fp_access4_lines(env) : 0;
    int word = mapped ? 0 : 2;
    fp_u64 bits;

    if (fp_likely(lines)) {
        fp_ahead_access4(env, ahead, lines, fp_published(lengths), (fp_u32)(b >> 32));
        return;
    }
    ahead->line = 0;
    ahead->length = FP_AHEAD_NONE;
    while (!(bits = fp_published(&lengths[word])) && word)
        word--;
    if (!bits)
        return;
    ahead->length = (fp_u8)(63u - (fp_u32)__builtin_clzll(bits) +
                            (mapped ? FP_MAPPED_LENGTH : 64u * (fp_u32)word));
    fp_prefix_cut(&a, &b, ahead->length);
    ahead->hash = fp_key_hash(a, b, ahead->length, FP_KIND_ACCESS, FP_ROOT(env)->index_seed);
    fp_ahead_bucket(env, ahead->hash);
}

/* Asks for the entry itself. */
static fp_inline void fp_ahead_access_record(struct fp_env *env, struct fp_ahead_access *ahead)
{
    if (ahead->length != FP_AHEAD_NONE && !ahead->line)
        ahead->ref =
            fp_ahead_record(env, ahead->hash, sizeof(struct fp_rec) + sizeof(struct fp_access));
}

/* What fp_access_find() says. */
static fp_inline fp_u32 fp_ahead_access_find(struct fp_env *env,
                                             const struct fp_ahead_access *ahead, fp_u64 a,
                                             fp_u64 b)
{
    fp_u64 cut_a = a, cut_b = b;
    fp_u32 ref;

    if (ahead->length == FP_AHEAD_NONE)
        return FP_ACCESS_NONE;
    if (fp_likely(ahead->line)) {
        fp_u32 action = fp_access4_action(ahead->line, ahead->word);

        if (fp_likely(action < FP_ACCESS_UNTOLD || (action == FP_ACCESS_NONE && !ahead->others)))
            return action;
        return fp_access_find(env, a, b);
    }
    fp_prefix_cut(&cut_a, &cut_b, ahead->length);
    ref = fp_find_ahead(env, ahead->ref, ahead->hash, cut_a, cut_b, ahead->length, FP_KIND_ACCESS);
    if (fp_unlikely(!ref))
        return fp_access_find(env, a, b);
    return FP_BODY(struct fp_access, FP_AT(env, struct fp_rec, ref))->action;
}

#endif
