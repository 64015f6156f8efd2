/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The IPv4 entries of the access list once more, a word each, so that a look-up reads one line of
 * memory instead of a bucket of the index and a record.
 *
 * A word tells an entry exactly, though it has no room for the prefix: the line is chosen by some
 * bits of a permutation of the prefix (fp_access4_mix()), the word has all the others. An entry
 * that has no room in its line is left to the index, and the line says so.
 *
 * There are no versions here. The lines hold the entries of one generation, which root->access4
 * names, and tell nothing to packets of another one, which use the index. The writer changes them
 * after the grace period that follows a commit, when no packet of the generation that they hold is
 * left.
 */
#ifndef CULVERT_FASTPATH_ACCESS4_H
#define CULVERT_FASTPATH_ACCESS4_H

#include "dataplane/fastpath/lookup.h"

/* What a look-up says beside an entry's action. */
#define FP_ACCESS_NONE 0xffu   /* no entry covers the address */
#define FP_ACCESS_UNTOLD 0xfeu /* the index tells */

/* A word, from the high end: the permutation's bits that did not choose the line; the prefix
 * length (6 bits); whether the entry denies; 1. */
#define FP_ACCESS4_DENY 2u
#define FP_ACCESS4_REST 8u     /* where those bits begin: they are at most 24, */
#define FP_ACCESS4_LOG2_MIN 8u /* for there are so many lines at least */
/* In a line's last word: entries that belong here are only in the index. */
#define FP_ACCESS4_FULL 2u

/* The first `length` (0..32) bits of an address, as they lie. */
static fp_inline fp_u32 fp_access4_cut(fp_u32 address, fp_u32 length)
{
    return address & fp_htonl((fp_u32)(0xffffffff00000000ull >> length));
}

/* A permutation of prefixes of a length: each step can be undone. (The rounds are those of
 * "lowbias32", Wellons, Prospecting for Hash Functions.) */
static fp_inline fp_u32 fp_access4_mix(fp_u32 prefix, fp_u32 length, fp_u64 seed)
{
    fp_u32 x = (prefix ^ (fp_u32)seed) + length * ((fp_u32)(seed >> 32) | 1);

    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* The lines, if they hold what this packet's generation sees: their offset | log2 of their number;
 * or 0. */
static fp_inline fp_u32 fp_access4_lines(struct fp_env *env)
{
    fp_u64 lines = fp_published(&FP_ROOT(env)->access4);

    return lines >> 32 == env->generation ? (fp_u32)lines : 0;
}

/* The line for a prefix of a length; `word` is that of an entry that allows. */
static fp_inline struct fp_access4_line FP_REGION *
fp_access4_line(struct fp_env *env, fp_u32 lines, fp_u32 prefix, fp_u32 length, fp_u32 *word)
{
    fp_u32 mix = fp_access4_mix(prefix, length, FP_ROOT(env)->index_seed);
    fp_u32 log2 = lines & 31, at = mix & ((1u << log2) - 1);

    *word = (mix >> log2) << FP_ACCESS4_REST | length << 2 | 1;
    return FP_AT(env, struct fp_access4_line,
                 (lines & ~(FP_CACHE_LINE - 1)) + at * sizeof(struct fp_access4_line));
}

/* The action of the entry with that word in a line, FP_ACCESS_NONE or FP_ACCESS_UNTOLD. */
static fp_inline fp_u32 fp_access4_action(const struct fp_access4_line FP_REGION *line, fp_u32 word)
{
    fp_u32 found = 0;

    for (fp_u32 i = 0; i < FP_ACCESS4_WORDS; i++) {
        fp_u32 other = line->word[i];

        found |= (other ^ word) & ~FP_ACCESS4_DENY ? 0 : other;
#ifdef FP_BPF
        if (found || !other) /* a line is filled from its start */
            break;
#endif
    }
    if (fp_likely(found))
        return found & FP_ACCESS4_DENY ? FP_ACCESS_DENY : FP_ACCESS_ALLOW;
    return line->word[FP_ACCESS4_WORDS - 1] == FP_ACCESS4_FULL ? FP_ACCESS_UNTOLD : FP_ACCESS_NONE;
}

/* The action of the longest prefix that covers an address (as it lies), of the lengths of which
 * `lengths` has a bit; FP_ACCESS_NONE; or FP_ACCESS_UNTOLD. */
fp_subprogram fp_u32 fp_access4_find(struct fp_env *env, fp_u32 address, fp_u64 lengths)
{
    fp_u32 lines;

    if (!env)
        return FP_ACCESS_UNTOLD;
    lines = fp_access4_lines(env);
    if (!lines)
        return FP_ACCESS_UNTOLD;
    for (fp_u32 length = 33; length-- > 0;) {
        struct fp_access4_line FP_REGION *line;
        fp_u32 word, action;

        if (!(lengths >> length & 1))
            continue;
        line = fp_access4_line(env, lines, fp_access4_cut(address, length), length, &word);
        action = fp_access4_action(line, word);
        if (action != FP_ACCESS_NONE)
            return action;
    }
    return FP_ACCESS_NONE;
}

#endif
