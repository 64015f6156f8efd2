/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The names of a burst's DNS queries, hashed side by side (host only; dns_burst.h): what
 * fp_dns_hash() says of each. The rounds of one name wait for each other, those of several don't.
 */
#ifndef CULVERT_FASTPATH_DNS_NAMES_H
#define CULVERT_FASTPATH_DNS_NAMES_H

#include "dataplane/fastpath/dns_hash.h"
#include "dataplane/fastpath/dns_layout.h"
#include "dataplane/fastpath/lookup.h"

#define FP_NAMES_MAX 32u   /* names */
#define FP_NAMES_GROUP 16u /* that are hashed at a time: two vectors */
#define FP_NAMES_WORDS ((FP_DNS_NAME_MAX >> 3) + 1)

struct fp_dns_names {
    fp_u32 count;
    fp_u64 words;                              /* of the longest name */
    fp_u64 word[FP_NAMES_WORDS][FP_NAMES_MAX]; /* as they lie; behind a name's end, void */
    fp_u64 length[FP_NAMES_MAX];               /* bytes */
    fp_u64 kept[FP_NAMES_MAX];                 /* of the last word, those bytes that count */
    fp_u64 a[FP_NAMES_MAX], b[FP_NAMES_MAX];   /* the hashes, */
    fp_u64 hash[FP_NAMES_MAX];                 /* and the index's, of the nodes' keys */
};

/* Adds the name of `length` (1..255) bytes at `name`, of which whole words may be read. Returns its
 * number. */
static fp_inline fp_u32 fp_dns_names_add(struct fp_dns_names *names, const fp_u8 *name,
                                         fp_u32 length)
{
    fp_u32 number = names->count++;
    fp_u64 words = (length >> 3) + 1;

    for (fp_u64 i = 0; i < words; i++)
        names->word[i][number] = fp_load64(name + 8 * i);
    names->length[number] = length;
    names->kept[number] = ~(~0ull << ((length & 7) * 8));
    if (words > names->words)
        names->words = words;
    return number;
}

/* The states of a group's hashes. */
struct fp_dns_sips {
    fp_u64 v0[FP_NAMES_GROUP], v1[FP_NAMES_GROUP], v2[FP_NAMES_GROUP], v3[FP_NAMES_GROUP];
};

/* Takes word `number` of those names of a group that have it. No branches, and no numbers but of 64
 * bits: all go side by side. */
static fp_inline void fp_dns_names_word(const struct fp_dns_names *names, fp_u32 group,
                                        struct fp_dns_sips *sips, fp_u64 number)
{
    const fp_u64 *word = names->word[number] + group, *length = names->length + group;
    const fp_u64 *kept = names->kept + group;

    for (fp_u32 i = 0; i < FP_NAMES_GROUP; i++) {
        fp_u64 last = length[i] >> 3, over = -FP_LESS(last, number);
        fp_u64 ends = -FP_LESS(last ^ number, 1);
        struct fp_sip sip = {sips->v0[i], sips->v1[i], sips->v2[i], sips->v3[i]};

        fp_sip_word(&sip, (fp_dns_lower(word[i]) & (kept[i] | ~ends)) | (ends & length[i] << 56));
        sips->v0[i] = (sip.v0 & ~over) | (sips->v0[i] & over);
        sips->v1[i] = (sip.v1 & ~over) | (sips->v1[i] & over);
        sips->v2[i] = (sip.v2 & ~over) | (sips->v2[i] & over);
        sips->v3[i] = (sip.v3 & ~over) | (sips->v3[i] & over);
    }
}

/* Hashes all names with that key, for an index with that seed. */
static fp_inline void fp_dns_names_hash(struct fp_dns_names *names, fp_u64 k0, fp_u64 k1,
                                        fp_u64 seed)
{
    for (fp_u32 group = 0; group < names->count; group += FP_NAMES_GROUP) {
        fp_u64 *a = names->a + group, *b = names->b + group, *hash = names->hash + group;
        struct fp_dns_sips sips;

        for (fp_u32 i = 0; i < FP_NAMES_GROUP; i++) {
            struct fp_sip sip;

            fp_sip_init(&sip, k0, k1);
            sips.v0[i] = sip.v0;
            sips.v1[i] = sip.v1;
            sips.v2[i] = sip.v2;
            sips.v3[i] = sip.v3;
        }
        for (fp_u64 i = 0; i < names->words; i++)
            fp_dns_names_word(names, group, &sips, i);
        for (fp_u32 i = 0; i < FP_NAMES_GROUP; i++) {
            struct fp_sip sip = {sips.v0[i], sips.v1[i], sips.v2[i], sips.v3[i]};

            fp_sip_end(&sip, &a[i], &b[i]);
            hash[i] = fp_key_hash(a[i], b[i], FP_DNS_KEY_NODE, FP_KIND_DNS, seed);
        }
    }
}

#endif
