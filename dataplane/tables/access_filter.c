/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of prefix lengths (struct fp_access_filter). A bit is set before the entry that needs
 * it is seen. Bits that no entry needs any more only cost probes; they are cleared when the
 * packets that could see the entry are gone.
 */
#include <stdlib.h>

#include "dataplane/fastpath/access.h"
#include "dataplane/tables/internal.h"

static struct fp_access_filter *filter_of(const struct tables *tables)
{
    return (struct fp_access_filter *)(tables->base + tables->root->access_filter);
}

static void bit_set(fp_u64 *word, unsigned bit)
{
    if (!(*word >> bit & 1))
        __atomic_store_n(word, *word | 1ull << bit, __ATOMIC_RELEASE);
}

/* A short prefix covers many lines: the range of IPv4 lines, all of IPv6's (they are folded). */
static void filter_add(struct fp_access_filter *filter, const struct fp_key *key)
{
    uint32_t line, lines = 1;

    if (tables_is_access4(key)) {
        unsigned length = key->c - FP_MAPPED_LENGTH;

        line = fp_filter_line4(key->b);
        if (length < FP_FILTER_LINE4_BITS) {
            lines = 1u << (FP_FILTER_LINE4_BITS - length);
            line &= ~(lines - 1);
        }
        for (uint32_t i = 0; i < lines; i++)
            bit_set(&filter->v4[line + i], length);
        return;
    }
    line = fp_filter_line6(key->a);
    if (key->c < FP_FILTER_LINE6_BITS) {
        line = 0;
        lines = FP_FILTER_LINES;
    }
    for (uint32_t i = 0; i < lines; i++)
        bit_set(&filter->v6[line + i][key->c / 64], key->c % 64);
}

void tables_access_filter(struct tables *tables, const struct fp_key *key)
{
    filter_add(filter_of(tables), key);
}

static int each_add(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    filter_add(arg, key);
    return 0;
}

void tables_access_narrow(struct tables *tables)
{
    struct fp_access_filter *fresh = calloc(1, sizeof(*fresh));
    uint64_t *to = (uint64_t *)filter_of(tables), *from = (uint64_t *)fresh;

    if (!fresh)
        return; /* next time */
    tables_each(tables, FP_KIND_ACCESS, each_add, fresh);
    for (size_t i = 0; i < sizeof(*fresh) / sizeof(uint64_t); i++)
        if (to[i] != from[i])
            __atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
    free(fresh);
    tables->filter_stale = false;
}
