/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The DNS queries of a burst (host only), read and looked up ahead of their turn:
 *
 *     read -> hash all names -> index -> record; then fp_dns_process() for each
 */
#ifndef CULVERT_FASTPATH_DNS_BURST_H
#define CULVERT_FASTPATH_DNS_BURST_H

#include "dataplane/fastpath/ahead.h"
#include "dataplane/fastpath/dns.h"
#include "dataplane/fastpath/dns_names.h"

struct fp_dns_burst {
    struct fp_dns_site site;
    struct fp_dns_names names;
    fp_u32 count;
    struct fp_dns_ahead ahead[FP_NAMES_MAX];
    fp_u8 name[FP_NAMES_MAX]; /* number in `names` of a query's; FP_NAMES_MAX: it isn't looked up */
    fp_u8 scratch[FP_NAMES_MAX][FP_SCRATCH_BYTES];
};

/* Begins a burst. Returns 0, or -1: the site has no configuration. */
static fp_inline int fp_dns_burst_begin(struct fp_env *env, struct fp_dns_burst *burst)
{
    burst->count = burst->names.count = 0;
    burst->names.words = 0;
    return fp_dns_site(env, &burst->site);
}

/* Reads the query of a UDP packet. */
static fp_inline void fp_dns_burst_add(struct fp_dns_burst *burst, struct fp_packet *packet,
                                       const struct fp_parsed *parsed)
{
    fp_u32 number = burst->count++;
    struct fp_dns_ahead *ahead = &burst->ahead[number];

    packet->scratch = burst->scratch[number];
    packet->dns = ahead;
    fp_dns_place(&ahead->query, parsed);
    ahead->site = &burst->site;
    ahead->hash = 0;
    ahead->ref = 0;
    ahead->reason = fp_dns_read(packet, &ahead->query);
    burst->name[number] = FP_NAMES_MAX;
    if (!ahead->reason && ahead->query.labels <= burst->site.max_labels)
        burst->name[number] = (fp_u8)fp_dns_names_add(
            &burst->names, packet->scratch + FP_DNS_HEADER, ahead->query.name_end - FP_DNS_HEADER);
}

/* Looks up what was asked for; `hash` is fp_dns_names_hash() for this CPU. */
static fp_inline void fp_dns_burst_look(struct fp_env *env, struct fp_dns_burst *burst,
                                        void (*hash)(struct fp_dns_names *names, fp_u64 k0,
                                                     fp_u64 k1, fp_u64 seed))
{
    const struct fp_dns_names *names = &burst->names;

    hash(&burst->names, burst->site.k0, burst->site.k1, FP_ROOT(env)->index_seed);
    for (fp_u32 i = 0; i < names->count; i++)
        fp_ahead_bucket(env, names->hash[i]);
    for (fp_u32 i = 0; i < burst->count; i++) {
        struct fp_dns_ahead *ahead = &burst->ahead[i];
        fp_u32 name = burst->name[i];

        if (name == FP_NAMES_MAX)
            continue;
        ahead->a = names->a[name];
        ahead->b = names->b[name];
        ahead->hash = names->hash[name];
        ahead->ref = fp_ahead_record(env, ahead->hash, 2 * FP_CACHE_LINE);
    }
}

#endif
