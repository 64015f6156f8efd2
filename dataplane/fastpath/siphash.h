/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SipHash-1-3 with 128 bits out (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012;
 * the 128-bit output as in the authors' reference code), a word at a time: the caller loads words,
 * so that eBPF can check each load.
 */
#ifndef CULVERT_FASTPATH_SIPHASH_H
#define CULVERT_FASTPATH_SIPHASH_H

#include "dataplane/fastpath/base.h"

struct fp_sip {
    fp_u64 v0, v1, v2, v3;
};

#define FP_ROTL64(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

static fp_inline void fp_sip_round(struct fp_sip *s)
{
    s->v0 += s->v1;
    s->v1 = FP_ROTL64(s->v1, 13) ^ s->v0;
    s->v0 = FP_ROTL64(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = FP_ROTL64(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = FP_ROTL64(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = FP_ROTL64(s->v1, 17) ^ s->v2;
    s->v2 = FP_ROTL64(s->v2, 32);
}

static fp_inline void fp_sip_init(struct fp_sip *s, fp_u64 k0, fp_u64 k1)
{
    s->v0 = k0 ^ 0x736f6d6570736575ull;
    s->v1 = k1 ^ 0x646f72616e646f6dull ^ 0xee;
    s->v2 = k0 ^ 0x6c7967656e657261ull;
    s->v3 = k1 ^ 0x7465646279746573ull;
}

/* Takes 8 bytes of the message, the first in the low byte. */
static fp_inline void fp_sip_word(struct fp_sip *s, fp_u64 word)
{
    s->v3 ^= word;
    fp_sip_round(s);
    s->v0 ^= word;
}

/* The end, after the last word: two halves come out. */
static fp_inline void fp_sip_end(struct fp_sip *s, fp_u64 *a, fp_u64 *b)
{
    s->v2 ^= 0xee;
    fp_sip_round(s);
    fp_sip_round(s);
    fp_sip_round(s);
    *a = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    s->v1 ^= 0xdd;
    fp_sip_round(s);
    fp_sip_round(s);
    fp_sip_round(s);
    *b = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The last word holds the `length` & 7 bytes that are left, zeros above. */
static fp_inline void fp_sip_final(struct fp_sip *s, fp_u64 rest, fp_u32 length, fp_u64 *a,
                                   fp_u64 *b)
{
    fp_sip_word(s, rest | (fp_u64)length << 56);
    fp_sip_end(s, a, b);
}

#endif
