/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Ethernet header for the way to a next hop.
 */
#ifndef CULVERT_FASTPATH_WAY_H
#define CULVERT_FASTPATH_WAY_H

#include "dataplane/fastpath/lookup.h"
#include "dataplane/fastpath/parse.h"

/* What the Ethernet header of a way has: the MAC addresses as its first 12 bytes, and a tag. */
struct fp_way {
    fp_u64 macs_rest; /* bytes 4..11 */
    fp_u32 macs;      /* bytes 0..3 */
    fp_u32 vlan;      /* id, or 0: untagged */
};

/* A next hop's first words, which hold the MAC addresses as a frame has them. */
struct fp_nexthop_words {
    fp_u32 ifindex, macs;
    fp_u64 macs_rest;
};
FP_STATIC_ASSERT(__builtin_offsetof(struct fp_nexthop, dmac) == 4, "layout");
FP_STATIC_ASSERT(__builtin_offsetof(struct fp_nexthop, smac) == 10, "layout");

static fp_inline void fp_way_load(struct fp_way *way, struct fp_nexthop FP_REGION *nexthop)
{
    struct fp_nexthop_words FP_REGION *words = (struct fp_nexthop_words FP_REGION *)nexthop;

    way->macs = words->macs;
    way->macs_rest = words->macs_rest;
    way->vlan = nexthop->vlan & 0xfff;
}

/* Bytes of an Ethernet header with that VLAN id (0: untagged). */
static fp_inline fp_u32 fp_way_bytes(fp_u32 vlan)
{
    return vlan ? FP_ETH_BYTES + FP_VLAN_BYTES : FP_ETH_BYTES;
}

/* Makes room before the IP header for `bytes` of new headers in place of what was there. Pointers
 * into the frame are void then. Returns 0, or -1: no room. */
static fp_inline int fp_way_room(struct fp_packet *packet, const struct fp_parsed *parsed,
                                 fp_u32 bytes)
{
    int delta = (int)parsed->l3 - (int)bytes;

    return delta ? fp_adjust_head(packet, delta) : 0;
}

/* Writes the Ethernet header to `frame`, of FP_ETH_BYTES + FP_VLAN_BYTES or more. */
static fp_inline void fp_way_put(fp_u8 *frame, const struct fp_way *way, fp_be16 type)
{
    fp_store32(frame, way->macs);
    fp_store64(frame + 4, way->macs_rest);
    if (way->vlan) {
        fp_store32(frame + 12, fp_htonl(FP_ETH_8021Q << 16 | way->vlan));
        fp_store16(frame + 16, type);
    } else {
        fp_store16(frame + 12, type);
    }
}

/* Writes it at the frame's start. Returns 0, or -1: the frame is too short. */
static fp_inline int fp_way_write(struct fp_packet *packet, const struct fp_way *way, fp_u32 family)
{
    fp_be16 type = family == 4 ? fp_htons(FP_ETH_IPV4) : fp_htons(FP_ETH_IPV6);
    fp_u8 *frame = fp_bytes(packet, 0, FP_ETH_BYTES + FP_VLAN_BYTES);

    if (!frame)
        return -1;
    fp_way_put(frame, way, type);
    return 0;
}

#endif
