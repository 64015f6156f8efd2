/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of a flow, and the small table of things to remember about some flows: which backend
 * got the SYN while its bucket was moving, and what the first fragment of a packet said.
 *
 * Lines of 8 words, each a whole entry: written and read in one piece, no locks. The entry that
 * was used longest ago gives way, so the table never fills; who needs an entry that is gone is
 * treated as if it had never been there.
 */
#ifndef CULVERT_FASTPATH_FLOW_H
#define CULVERT_FASTPATH_FLOW_H

#include "dataplane/fastpath/lookup.h"
#include "dataplane/fastpath/parse.h"

#define FP_FLOW_TICK 38u           /* bits of fp_now() below the tick: 2^30 ns, about a second */
#define FP_FLOW_SYN_TICKS 4096u    /* longer than any drain time */
#define FP_FLOW_FRAGMENT_TICKS 30u /* RFC 8200 section 4.5: a minute; kernels keep them for 30 s */
#define FP_FLOW_NONE 0x10000u

/* Keyed hash of addresses and one more word. The seed goes in before each multiplication, and the
 * products are folded, so that who doesn't know it can't aim at a bucket. */
static fp_inline fp_u64 fp_flow_hash(const struct fp_parsed *parsed, fp_u64 word, fp_u64 seed)
{
    fp_u64 from = (parsed->source[1] ^ seed) * 0x9e3779b97f4a7c15ull;
    fp_u64 to = (parsed->destination[1] + seed) * 0xd6e8feb86659fd93ull;
    fp_u64 rest = (word ^ (seed >> 7)) * 0xc2b2ae3d27d4eb4full;

    if (parsed->family == 6) {
        from ^= ((parsed->source[0] + seed) ^ from >> 29) * 0x165667b19e3779f9ull;
        to ^= ((parsed->destination[0] ^ seed) + (to >> 29)) * 0x9e3779b97f4a7c15ull;
    }
    from ^= from >> 32;
    to ^= to >> 29;
    rest ^= rest >> 31;
    from = (from + rest) * 0xd6e8feb86659fd93ull;
    from = (from ^ from >> 32 ^ to) * 0x9e3779b97f4a7c15ull;
    return from ^ from >> 32;
}

/* The word for a flow of UDP or TCP; with the addresses it makes the 5-tuple. */
static fp_inline fp_u64 fp_flow_word(const struct fp_parsed *parsed)
{
    return (fp_u64)parsed->protocol << 32 | (fp_u32)parsed->sport << 16 | parsed->dport;
}

/* The word for all fragments of one packet: no flow's word has the top bit. */
static fp_inline fp_u64 fp_flow_word_fragment(const struct fp_parsed *parsed)
{
    return 1ull << 63 | (fp_u64)parsed->protocol << 32 | parsed->fragment_id;
}

static fp_inline fp_u64 FP_REGION *fp_flow_line(struct fp_env *env, fp_u64 hash)
{
    struct fp_root FP_REGION *root = FP_ROOT(env);
    fp_u32 line = (fp_u32)hash & ((1u << (root->flows_log2 & 31)) - 1);

    return FP_AT(env, struct fp_flow_line, root->flows + line * sizeof(struct fp_flow_line))->way;
}

static fp_inline fp_u64 fp_flow_entry(fp_u64 hash, fp_u32 value, fp_u64 tick)
{
    return (fp_u64)fp_hash_tag(hash) << 32 | (value & 0xffff) << 16 | (tick & 0xffff);
}

/* The value of 16 bits noted under `hash` no more than `ticks` ago, or FP_FLOW_NONE. */
fp_subprogram fp_u32 fp_flow_find(struct fp_env *env, fp_u64 hash, fp_u32 ticks)
{
    fp_u64 FP_REGION *way;
    fp_u64 tick;

    if (!env || !FP_ROOT(env)->flows)
        return FP_FLOW_NONE;
    way = fp_flow_line(env, hash);
    tick = fp_now(env) >> FP_FLOW_TICK;
    for (int i = 0; i < FP_FLOW_WAYS; i++) {
        fp_u64 entry = way[i];
        fp_u32 age;

        if (entry >> 32 != fp_hash_tag(hash))
            continue;
        age = (fp_u32)(tick - entry) & 0xffff;
        if (age > ticks)
            return FP_FLOW_NONE;
        if (age && !fp_dry(env))
            way[i] = fp_flow_entry(hash, (fp_u32)(entry >> 16), tick);
        return (fp_u32)(entry >> 16) & 0xffff;
    }
    return FP_FLOW_NONE;
}

/* Notes `value` under `hash`, in place of what was there, a free place, or the oldest entry. */
fp_subprogram fp_u32 fp_flow_note(struct fp_env *env, fp_u64 hash, fp_u32 value)
{
    fp_u64 FP_REGION *way;
    fp_u32 oldest = 0, oldest_age = 0;
    fp_u64 tick;

    if (!env || fp_dry(env) || !FP_ROOT(env)->flows)
        return 0;
    way = fp_flow_line(env, hash);
    tick = fp_now(env) >> FP_FLOW_TICK;
    for (fp_u32 i = 0; i < FP_FLOW_WAYS; i++) {
        fp_u64 entry = way[i];
        fp_u32 age = entry ? (fp_u32)(tick - entry) & 0xffff : 0x10000;

        if (entry >> 32 == fp_hash_tag(hash)) {
            oldest = i;
            break;
        }
        if (age > oldest_age) {
            oldest = i;
            oldest_age = age;
        }
    }
    way[oldest & (FP_FLOW_WAYS - 1)] = fp_flow_entry(hash, value, tick);
    return 0;
}

#endif
