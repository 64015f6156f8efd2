/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends a packet to the backend that was chosen for it, in the mode of its virtual IP.
 */
#ifndef CULVERT_FASTPATH_FORWARD_H
#define CULVERT_FASTPATH_FORWARD_H

#include "dataplane/fastpath/balance.h"
#include "dataplane/fastpath/encap.h"
#include "dataplane/fastpath/nat.h"
#include "dataplane/fastpath/toobig.h"

/* Mode nat: the destination becomes the backend's address and port. Returns FP_GO_ON, or the
 * reason of the packet's end. */
static fp_inline fp_u32 fp_forward_nat(struct fp_packet *packet, const struct fp_parsed *parsed,
                                       struct fp_backend FP_REGION *backend, fp_u16 port)
{
    struct fp_nat nat;

    if (parsed->hops <= 1)
        return FP_PASS_TTL;
    if (fp_family_of(backend->address) != parsed->family)
        return FP_DROP_INTERNAL; /* no translation between the families */
    fp_nat_set(&nat, parsed, FP_NAT_DESTINATION, FP_WORDS(backend->address)[0],
               FP_WORDS(backend->address)[1], port);
    return fp_nat_write(packet, parsed, &nat) ? FP_DROP_INTERNAL : FP_GO_ON;
}

/* Puts the headers of the way before the packet: Ethernet, and the outer IP header of mode
 * dsr-ipip, `outer` bytes (else 0). Returns FP_GO_ON, or the reason to drop it. */
static fp_inline fp_u32 fp_forward_write(struct fp_packet *packet, const struct fp_parsed *parsed,
                                         struct fp_nexthop FP_REGION *nexthop,
                                         struct fp_backend FP_REGION *backend, fp_u32 outer,
                                         fp_u64 hash)
{
    fp_u32 l2 = fp_way_bytes(nexthop->vlan);
    fp_u32 family = outer ? fp_family_of(backend->address) : parsed->family;
    struct fp_way way;

    if (fp_way_room(packet, parsed, l2 + outer))
        return FP_DROP_NO_ROOM;
    fp_way_load(&way, nexthop);
    if (fp_way_write(packet, &way, family))
        return FP_DROP_INTERNAL;
    if (outer && fp_encap_write(packet, parsed, l2, nexthop, backend, hash))
        return FP_DROP_INTERNAL;
    return FP_GO_ON;
}

/* Sends the packet to backend `number` (not 0). Returns the reason of the packet's end, and the
 * ifindex of the port for those that are forwarded. */
static fp_inline fp_u32 fp_forward(struct fp_env *env, struct fp_packet *packet,
                                   const struct fp_parsed *parsed, struct fp_vip FP_REGION *vip,
                                   fp_u32 number, fp_u64 hash, fp_u32 *ifindex)
{
    struct fp_rec FP_REGION *record = fp_slot(env, FP_KIND_NEXTHOP, number, FP_SLOTS_NEXTHOP);
    struct fp_nexthop FP_REGION *nexthop;
    struct fp_backend FP_REGION *backend;
    fp_u32 outer = 0, reason, mode = vip->mode;

    if (!record)
        return FP_DROP_NO_NEIGHBOUR;
    nexthop = FP_BODY(struct fp_nexthop, record);
    record = fp_slot(env, FP_KIND_BACKEND, number, FP_SLOTS_BACKEND);
    if (!record)
        return FP_DROP_NO_BACKEND;
    backend = FP_BODY(struct fp_backend, record);
    if (!nexthop->ifindex || (mode == FP_MODE_DSR_L2 && !(nexthop->flags & FP_NEXTHOP_ONLINK)))
        return FP_DROP_NO_NEIGHBOUR;
    *ifindex = nexthop->ifindex;
    fp_trace(env, "way", "found: next-hop, vlan", nexthop->ifindex, nexthop->vlan & 0xfff);
    if (mode == FP_MODE_DSR_IPIP)
        outer = fp_family_of(backend->address) == 4 ? FP_IPV4_BYTES : FP_IPV6_BYTES;
    if (fp_unlikely(nexthop->mtu && parsed->bytes + outer > nexthop->mtu)) {
        fp_trace(env, "way", "too big: bytes, mtu", parsed->bytes + outer, nexthop->mtu);
        return fp_toobig_reply(packet, parsed, nexthop->mtu - outer);
    }
    if (mode == FP_MODE_NAT) {
        reason = fp_forward_nat(packet, parsed, backend, vip->port);
        if (reason != FP_GO_ON)
            return reason;
    }
    reason = fp_forward_write(packet, parsed, nexthop, backend, outer, hash);
    if (reason != FP_GO_ON)
        return reason;
    return parsed->flags & FP_PARSED_ERROR ? FP_LB_ICMP : FP_LB_IPIP + mode;
}
FP_STATIC_ASSERT(FP_LB_L2 == FP_LB_IPIP + FP_MODE_DSR_L2, "reasons follow the modes");
FP_STATIC_ASSERT(FP_LB_NAT == FP_LB_IPIP + FP_MODE_NAT, "reasons follow the modes");

#endif
