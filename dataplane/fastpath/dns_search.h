/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds the node that answers a question: the name itself, else its closest encloser (RFC 4592
 * section 3.3.1) and what that says: a wildcard, a delegation, or that there is no such name.
 */
#ifndef CULVERT_FASTPATH_DNS_SEARCH_H
#define CULVERT_FASTPATH_DNS_SEARCH_H

#include "dataplane/fastpath/dns_hash.h"
#include "dataplane/fastpath/dns_query.h"
#include "dataplane/fastpath/lookup.h"

/* Offset of the body of the node whose record that is; 0: there is none. */
static fp_inline fp_u32 fp_dns_node_at(struct fp_env *env, fp_u32 ref)
{
    if (!ref)
        return 0;
#ifdef FP_BPF
    /* A node spans two cache lines or three, and where its answer lies is read in the first: the
     * next one is asked for at the same time. */
    (void)*(volatile fp_u64 FP_REGION *)FP_AT(env, fp_u64, ref + FP_CACHE_LINE);
#endif
    return ref + (fp_u32)sizeof(struct fp_rec);
}

/* A look-up is a function of its own for eBPF: verified once, called in the loop below.
 *
 * Offset of the body of the node whose name is [from, end) of the scratch; 0: there is none.
 * `range`: from | end << 16 | key's c << 32. */
#ifdef FP_BPF
__noinline fp_u32 fp_dns_lookup(struct fp_dns_scratch *scratch __arg_nonnull, fp_u64 range,
                                fp_u32 generation, fp_u64 k0, fp_u64 k1)
{
    struct fp_env env_of_call = {.generation = generation};
    struct fp_env *env = &env_of_call;
    const fp_u8 *bytes = scratch->bytes;
#else
static inline fp_u32 fp_dns_lookup(struct fp_env *env, const fp_u8 *bytes, fp_u64 range, fp_u64 k0,
                                   fp_u64 k1)
{
#endif
    fp_u64 from = range & 0xffff;
    fp_u64 end = (range >> 16) & 0xffff;
    fp_u64 a, b;

    fp_dns_hash(bytes, FP_SCRATCH_BYTES, from, end, k0, k1, &a, &b);
    /* Inlined: a call deeper, and the stacks of all callers would pass eBPF's 512 bytes. */
    return fp_dns_node_at(env, fp_find_here(env, a, b, (fp_u32)(range >> 32), FP_KIND_DNS));
}

static fp_inline int fp_dns_site(struct fp_env *env, struct fp_dns_site *site)
{
    struct fp_rec FP_REGION *record = fp_slot(env, FP_KIND_CONFIG, 0, 1);
    struct fp_config FP_REGION *config;

    if (!record)
        return -1;
    config = FP_BODY(struct fp_config, record);
    site->k0 = config->dns_key[0];
    site->k1 = config->dns_key[1];
    site->udp_max = config->dns_udp_max;
    site->max_labels = config->dns_max_labels;
    return 0;
}

/* The same, once: not again for a query that was read ahead. */
static fp_inline int fp_dns_site_of(struct fp_env *env, const struct fp_packet *packet,
                                    struct fp_dns_site *site)
{
#ifndef FP_BPF
    if (packet->dns) {
        *site = *packet->dns->site;
        return 0;
    }
#endif
    (void)packet;
    return fp_dns_site(env, site);
}

static fp_inline fp_u32 fp_dns_lookup_at(struct fp_env *env, struct fp_packet *packet,
                                         const struct fp_dns_site *site, fp_u32 from, fp_u32 end,
                                         fp_u32 c)
{
    fp_u64 range = from | end << 16 | (fp_u64)c << 32;

#ifdef FP_BPF
    return fp_dns_lookup((struct fp_dns_scratch *)packet->scratch, range, env->generation, site->k0,
                         site->k1);
#else
    return fp_dns_lookup(env, packet->scratch, range, site->k0, site->k1);
#endif
}

/* The node of the question's own name. */
static fp_inline fp_u32 fp_dns_lookup_name(struct fp_env *env, struct fp_packet *packet,
                                           const struct fp_dns_site *site,
                                           const struct fp_dns_query *query, fp_u32 c)
{
#ifndef FP_BPF
    const struct fp_dns_ahead *ahead = packet->dns;

    if (ahead && c == FP_DNS_KEY_NODE)
        return fp_dns_node_at(
            env, fp_find_ahead(env, ahead->ref, ahead->hash, ahead->a, ahead->b, c, FP_KIND_DNS));
    if (ahead)
        return fp_dns_node_at(env, fp_find_here(env, ahead->a, ahead->b, c, FP_KIND_DNS));
#endif
    return fp_dns_lookup_at(env, packet, site, FP_DNS_HEADER, query->name_end, c);
}

/* Puts the label "*" before the suffix at `from`, over what stood there. Returns its place. */
static fp_inline fp_u32 fp_dns_asterisk(struct fp_packet *packet, fp_u32 from)
{
    /* Above the suffix lies a label at least: a length and a byte. */
    from = (from - 2) & 0x1ff;
    if (from >= FP_DNS_IMAGE)
        return 0;
    packet->scratch[from] = 1;
    packet->scratch[from + 1] = '*';
    return from;
}

/* The deepest node above a name that is no node: the offset of its body | the offset in the
 * scratch of its name << 32; 0: none. `shape`: name's end | labels << 16 | max_labels << 32. */
#ifdef FP_BPF
__noinline fp_u64 fp_dns_encloser(struct fp_dns_scratch *scratch __arg_nonnull, fp_u64 shape,
                                  fp_u32 generation, fp_u64 k0, fp_u64 k1)
{
    const fp_u8 *bytes = scratch->bytes;
#define FP_DNS_LOOKUP(range) fp_dns_lookup(scratch, range, generation, k0, k1)
#else
static inline fp_u64 fp_dns_encloser(struct fp_env *env, const fp_u8 *bytes, fp_u64 shape,
                                     fp_u64 k0, fp_u64 k1)
{
#define FP_DNS_LOOKUP(range) fp_dns_lookup(env, bytes, range, k0, k1)
#endif
    fp_u64 end = shape & 0xffff;
    fp_u64 labels = (shape >> 16) & 0x7f;
    fp_u64 below = 0;      /* a depth at which there is a node (the root is taken for one) */
    fp_u64 above = labels; /* a depth at which there is none */
    fp_u64 found = 0;
    fp_u64 probe;

    if (above > (shape >> 32) + 1)
        above = (shape >> 32) + 1;
    /* Most names that don't exist are one label below one that does: that depth is tried first. */
    probe = above - 1;
    for (int i = 0; i < 8; i++) {
        fp_u64 from;
        fp_u32 node;

        fp_opaque(below, shape);
        fp_opaque(above, shape);
        fp_opaque(probe, shape);
        if (above <= below + 1)
            break;
        from = FP_DNS_HEADER + bytes[FP_DNS_LABEL_AT + ((labels - probe) & 0x7f)];
        node = FP_DNS_LOOKUP(from | end << 16);
        if (node) {
            below = probe;
            found = node | from << 32;
        } else {
            above = probe;
        }
        probe = (below + above) >> 1;
    }
    if (!found && labels) {
        found = FP_DNS_LOOKUP((end - 1) | end << 16);
        if (found)
            found |= (end - 1) << 32;
    }
    return found;
#undef FP_DNS_LOOKUP
}

static fp_inline fp_u64 fp_dns_encloser_of(struct fp_env *env, struct fp_packet *packet,
                                           const struct fp_dns_site *site,
                                           const struct fp_dns_query *query)
{
    fp_u64 shape = query->name_end | query->labels << 16 | (fp_u64)site->max_labels << 32;

#ifdef FP_BPF
    return fp_dns_encloser((struct fp_dns_scratch *)packet->scratch, shape, env->generation,
                           site->k0, site->k1);
#else
    return fp_dns_encloser(env, packet->scratch, shape, site->k0, site->k1);
#endif
}

#endif
