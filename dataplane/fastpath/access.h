/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Access lists: the entry with the longest prefix that covers a packet's source decides.
 *
 * One index look-up would be needed for each prefix length; the region's filter says which
 * lengths can match at all under the first bits of an address, so most packets need none. IPv4
 * entries are found by a line of their own (access4.h) while nothing of them changes.
 */
#ifndef CULVERT_FASTPATH_ACCESS_H
#define CULVERT_FASTPATH_ACCESS_H

#include "dataplane/fastpath/access4.h"
#include "dataplane/fastpath/parse.h"

#define FP_MAPPED_LENGTH 96u /* of ::ffff:0:0/96: a key's length is this plus the IPv4 length */

/* Line of the filter for an IPv6 address whose first 8 bytes, as they lie, are `a`. The first 32
 * bits are folded, for most addresses in use share the first 16. */
static fp_inline fp_u32 fp_filter_line6(fp_u64 a)
{
    return (fp_u32)(a ^ (a >> 16)) & 0xffff;
}
#define FP_FILTER_LINE6_BITS 32u /* a shorter prefix lies under every line of v6 */

/* Line of the filter for an IPv4 address, `b` in key form. */
static fp_inline fp_u32 fp_filter_line4(fp_u64 b)
{
    return fp_ntohs((fp_u16)(b >> 32));
}
#define FP_FILTER_LINE4_BITS 16u /* a shorter prefix covers a range of lines of v4 */

/* The first `length` (0..64) bits of 8 address bytes as they lie. */
static fp_inline fp_u64 fp_prefix_mask(fp_u32 length)
{
    return length ? fp_bswap64(~0ull << ((64 - length) & 63)) : 0;
}

/* The address a, b cut to its first `length` (0..128) bits. */
static fp_inline void fp_prefix_cut(fp_u64 *a, fp_u64 *b, fp_u32 length)
{
    *a &= fp_prefix_mask(length < 64 ? length : 64);
    *b &= fp_prefix_mask(length < 64 ? 0 : length - 64);
}

/* The filter's words for an address in key form: one for IPv4, three for IPv6. */
static fp_inline fp_u64 FP_REGION *fp_access_lengths(struct fp_env *env, fp_u64 a, fp_u64 b)
{
    struct fp_access_filter FP_REGION *filter =
        FP_AT(env, struct fp_access_filter, FP_ROOT(env)->access_filter);

    return fp_is_mapped(a, b) ? &filter->v4[fp_filter_line4(b)] : filter->v6[fp_filter_line6(a)];
}

/* The action of the longest prefix that covers a, b, of the lengths `first` + n for each bit n of
 * `lengths`, or FP_ACCESS_NONE. */
static fp_inline fp_u32 fp_access_probe(struct fp_env *env, fp_u64 a, fp_u64 b, fp_u64 lengths,
                                        fp_u32 first)
{
    for (fp_u32 n = 64; n-- > 0 && lengths; lengths <<= 1) {
        struct fp_rec FP_REGION *record;
        fp_u64 cut_a = a, cut_b = b;

        if ((fp_s64)lengths >= 0)
            continue;
        fp_prefix_cut(&cut_a, &cut_b, first + n);
        record = fp_find(env, FP_KIND_ACCESS, cut_a, cut_b, first + n);
        if (record)
            return FP_BODY(struct fp_access, record)->action;
    }
    return FP_ACCESS_NONE;
}

/* The action for a source address: FP_ACCESS_DENY, FP_ACCESS_ALLOW, or FP_ACCESS_NONE. */
fp_subprogram fp_u32 fp_access_find(struct fp_env *env, fp_u64 a, fp_u64 b)
{
    fp_u64 FP_REGION *lengths;
    fp_u32 action;

    if (!env)
        return FP_ACCESS_NONE;
    lengths = fp_access_lengths(env, a, b);
    if (fp_is_mapped(a, b)) {
        action = fp_access4_find(env, (fp_u32)(b >> 32), fp_published(&lengths[0]));
        if (action != FP_ACCESS_UNTOLD)
            return action;
        return fp_access_probe(env, a, b, fp_published(&lengths[0]), FP_MAPPED_LENGTH);
    }
    action = fp_access_probe(env, a, b, fp_published(&lengths[2]), 128);
    if (action == FP_ACCESS_NONE)
        action = fp_access_probe(env, a, b, fp_published(&lengths[1]), 64);
    if (action == FP_ACCESS_NONE)
        action = fp_access_probe(env, a, b, fp_published(&lengths[0]), 0);
    return action;
}

#endif
