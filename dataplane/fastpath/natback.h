/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mode nat, the way back: what a backend answers gets the virtual IP as its source and goes on to
 * the client. The tables say which address and port of a backend stands for which service, so no
 * flow is remembered. An ICMP error about a packet to a backend goes the same way: its source
 * becomes the virtual IP, whoever tells it, and so does the destination of the packet inside. The
 * kernel's routes give the way; when it has to do more (resolve a neighbour, tell of a
 * smaller MTU) it gets the rewritten packet.
 */
#ifndef CULVERT_FASTPATH_NATBACK_H
#define CULVERT_FASTPATH_NATBACK_H

#include "dataplane/fastpath/flow.h"
#include "dataplane/fastpath/nat.h"

/* What the kernel says of the way to an address. */
enum fp_route { FP_ROUTE_NONE, FP_ROUTE_KERNEL, FP_ROUTE_FOUND };

/* The way that was found. */
struct fp_route_to {
    struct fp_way way;
    fp_u32 ifindex;
    fp_u32 pad;
};

#ifdef FP_BPF

#define FP_AF_INET 2
#define FP_AF_INET6 10

/* True when frames may be redirected to the device. The entry program supplies it. */
static fp_inline int fp_port_is_ours(fp_u32 ifindex);

/* Asks for the way of the packet whose IP header lies at `l3`, when it comes from a, b. */
fp_subprogram int fp_route_ask(struct xdp_md *ctx, fp_u32 l3, fp_u64 a, fp_u64 b,
                               struct fp_route_to *to)
{
    struct bpf_fib_lookup fib __attribute__((aligned(8))) = {.ifindex = ctx->ingress_ifindex};
    fp_u64 *source = (fp_u64 *)(void *)fib.ipv6_src, *destination = (fp_u64 *)(void *)fib.ipv6_dst;
    FP_FRAME_OPEN(ctx, packet);
    fp_u64 dmac, smac; /* 6 bytes as they lie; loaded so as they are aligned in `fib` */
    fp_u8 *ip = fp_bytes(packet, l3 & FP_L3_MASK, FP_IPV4_BYTES);
    long result;

    if (!to || !ip)
        return FP_ROUTE_NONE;
    if ((ip[0] >> 4) == 4) {
        fib.family = FP_AF_INET;
        fib.l4_protocol = ip[9];
        fib.tos = ip[1] & ~3;
        fib.tot_len = fp_ntohs(fp_load16(ip + 2));
        fib.ipv4_src = (fp_u32)(b >> 32);
        fib.ipv4_dst = fp_load32(ip + 16);
    } else {
        ip = fp_bytes(packet, l3 & FP_L3_MASK, FP_IPV6_BYTES);
        if (!ip)
            return FP_ROUTE_NONE;
        fib.family = FP_AF_INET6;
        fib.l4_protocol = ip[6];
        fib.tot_len = (fp_u16)(FP_IPV6_BYTES + fp_ntohs(fp_load16(ip + 4)));
        source[0] = a;
        source[1] = b;
        destination[0] = fp_load64(ip + 24);
        destination[1] = fp_load64(ip + 32);
    }
    result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
    if (result == BPF_FIB_LKUP_RET_NOT_FWDED || result < 0)
        return FP_ROUTE_NONE;
    if (result != BPF_FIB_LKUP_RET_SUCCESS)
        return FP_ROUTE_KERNEL;
    if (fib.ifindex != ctx->ingress_ifindex && !fp_port_is_ours(fib.ifindex))
        return FP_ROUTE_KERNEL; /* a VLAN, tunnel or other device: not for XDP to send to */
    dmac = *(fp_u16 *)(void *)fib.dmac | (fp_u64) * (fp_u32 *)(void *)(fib.dmac + 2) << 16;
    smac = *(fp_u32 *)(void *)fib.smac | (fp_u64) * (fp_u16 *)(void *)(fib.smac + 4) << 32;
    to->way.macs = (fp_u32)dmac;
    to->way.macs_rest = dmac >> 32 | smac << 16;
    to->way.vlan = 0;
    to->ifindex = fib.ifindex;
    return FP_ROUTE_FOUND;
}

/* FP_ROUTE_NONE: the destination is the machine itself, or there is no route. */
static fp_inline int fp_route_find(struct fp_env *env, struct fp_packet *packet,
                                   const struct fp_parsed *parsed, const struct fp_nat *nat,
                                   struct fp_route_to *to)
{
    (void)env;
    return fp_route_ask(packet->ctx, parsed->l3, nat->address[0], nat->address[1], to);
}

#else

static fp_inline int fp_route_find(struct fp_env *env, struct fp_packet *packet,
                                   const struct fp_parsed *parsed, const struct fp_nat *nat,
                                   struct fp_route_to *to)
{
    struct fp_nexthop nexthop = {0};
    fp_u8 address[16];

    (void)packet;
    (void)nat;
    fp_store64(address, parsed->destination[0]);
    fp_store64(address + 8, parsed->destination[1]);
    if (!env->route || !env->route(env->route_arg, address, &nexthop))
        return FP_ROUTE_NONE;
    if (!nexthop.ifindex || (nexthop.mtu && parsed->bytes > nexthop.mtu))
        return FP_ROUTE_KERNEL;
    to->ifindex = nexthop.ifindex;
    fp_way_load(&to->way, &nexthop);
    return FP_ROUTE_FOUND;
}

#endif

/* The service that the packet's source stands for, or NULL. */
static fp_inline struct fp_natback FP_REGION *fp_natback_find(struct fp_env *env,
                                                              struct fp_parsed *parsed)
{
    fp_u32 protocol = (fp_u32)parsed->protocol << 16;
    struct fp_rec FP_REGION *record;

    if ((parsed->protocol != FP_IP_TCP && parsed->protocol != FP_IP_UDP) || parsed->problem)
        return 0;
    record = fp_find(env, FP_KIND_NATBACK, parsed->source[0], parsed->source[1],
                     protocol | parsed->sport);
    if (!record && parsed->sport)
        record = fp_find(env, FP_KIND_NATBACK, parsed->source[0], parsed->source[1], protocol);
    return record ? FP_BODY(struct fp_natback, record) : 0;
}

/* A packet to no address of ours: an answer of a backend is sent on to its client. Returns the
 * reason of the packet's end. */
static fp_inline fp_u32 fp_natback(struct fp_env *env, struct fp_packet *packet,
                                   struct fp_parsed *parsed, fp_u32 *ifindex)
{
    struct fp_natback FP_REGION *back = fp_natback_find(env, parsed);
    struct fp_route_to to = {.ifindex = 0};
    fp_u64 FP_REGION *address;
    struct fp_nat nat;
    int route;

    if (!back)
        return FP_PASS_NOT_OURS;
    address = (fp_u64 FP_REGION *)back->address;
    fp_nat_set(&nat, parsed, FP_NAT_SOURCE, address[0], address[1], back->port);
    route = fp_route_find(env, packet, parsed, &nat, &to);
    fp_trace(env, "nat-back",
             route == FP_ROUTE_FOUND ? "answer of a backend: vip"
                                     : "answer of a backend, the kernel's way: vip",
             back->vip, 0);
    if (route == FP_ROUTE_NONE)
        return FP_PASS_NOT_OURS;
    if (parsed->hops <= 1)
        return FP_PASS_TTL;
    if ((fp_is_mapped(address[0], address[1]) ? 4 : 6) != parsed->family ||
        fp_nat_write(packet, parsed, &nat))
        return FP_DROP_INTERNAL;
    if (route == FP_ROUTE_KERNEL)
        return FP_PASS_NO_NEIGHBOUR;
    *ifindex = to.ifindex;
    if (fp_way_room(packet, parsed, fp_way_bytes(to.way.vlan)))
        return FP_DROP_NO_ROOM;
    return fp_way_write(packet, &to.way, parsed->family) ? FP_DROP_INTERNAL : FP_LB_NAT_BACK;
}

#endif
