/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The key of a DNS name: SipHash-1-3-128 of its wire format in lower case, by the site's secret.
 * Used by the compile and by the fast path.
 */
#ifndef CULVERT_FASTPATH_DNS_HASH_H
#define CULVERT_FASTPATH_DNS_HASH_H

#include "dataplane/fastpath/bytes.h"
#include "dataplane/fastpath/siphash.h"

/* Lower case of 8 bytes at once. Length bytes of labels are below 'A', so a name in wire format
 * may be lowered as a whole (RFC 4343). */
static fp_inline fp_u64 fp_dns_lower(fp_u64 word)
{
    fp_u64 seven = word & 0x7f7f7f7f7f7f7f7full;
    fp_u64 from_a = seven + 0x3f3f3f3f3f3f3f3full;
    fp_u64 past_z = seven + 0x2525252525252525ull;

    return word | (((from_a ^ past_z) & ~word & 0x8080808080808080ull) >> 2);
}

/* Hash of the bytes [from, end) of `bytes`, 1..255 of them; `size` bytes (at least 8) may be read,
 * and the name ends at least 8 bytes before that. */
static fp_inline void fp_dns_hash(const fp_u8 *bytes, fp_u64 size, fp_u64 from, fp_u64 end,
                                  fp_u64 k0, fp_u64 k1, fp_u64 *a, fp_u64 *b)
{
    struct fp_sip sip;
    fp_u64 word = 0;
    fp_u64 at = from;

    fp_sip_init(&sip, k0, k1);
    for (int i = 0; i < 32; i++) {
        fp_barrier(at);
        if (at > size - 8)
            break;
        word = fp_dns_lower(fp_load64(bytes + at));
        at += 8;
        if (at > end)
            break;
        fp_sip_word(&sip, word);
    }
    /* Of the last word, those bytes count that lie before `end`. */
    word &= ~(~0ull << (((end - from) & 7) * 8));
    fp_sip_final(&sip, word, (fp_u32)(end - from), a, b);
}

#endif
