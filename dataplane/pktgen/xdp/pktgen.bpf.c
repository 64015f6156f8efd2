/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * culvert-pktgen's program. Attached to the interface it counts what arrives. Run on live frames
 * by BPF_PROG_TEST_RUN (they come from the namespace's first device) it fills them and redirects
 * them out of the interface. One program for both: while it is attached, the kernel's XDP
 * dispatcher knows it, and a run doesn't wait for two RCU grace periods to make it known.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "dataplane/pktgen/receive.h"
#include "dataplane/pktgen/send.h"

/* fastpath/env.h asks every program for it; nothing here copies a DNS question. */
static fp_inline __attribute__((unused)) fp_u8 *fp_scratch_of_cpu(void)
{
    return 0;
}

static fp_inline struct pktgen_counters *counters_here(void)
{
    fp_u32 zero = 0;

    return bpf_map_lookup_elem(&pktgen_counts, &zero);
}

static fp_inline int send_frame(struct fp_packet *packet)
{
    fp_u32 zero = 0;
    struct pktgen_sender *sender = bpf_map_lookup_elem(&pktgen_senders, &zero);
    fp_u32 bytes;

    if (!sender)
        return XDP_DROP;
    bytes = make_frame(0, packet, sender);
    if (!bytes || bpf_xdp_adjust_tail(packet->ctx, (int)bytes - (int)config.frame_bytes))
        return XDP_DROP;
    return bpf_redirect(config.ifindex, 0);
}

SEC("xdp")
int pktgen(struct xdp_md *ctx)
{
    struct fp_packet packet = {
        .data = (fp_u8 *)(long)ctx->data,
        .end = (fp_u8 *)(long)ctx->data_end,
        .ctx = ctx,
    };
    struct pktgen_counters *counters;

    if (ctx->ingress_ifindex != config.ifindex)
        return config.count_only ? XDP_DROP : send_frame(&packet);
    counters = counters_here();
    if (!counters)
        return XDP_PASS;
    return receive_frame(0, &packet, counters) == RECEIVE_DROP ? XDP_DROP : XDP_PASS;
}

/* ---- what `refused` reads of the kernel; offsets come from the running one ---- */

struct ns_common {
    unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
    struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
    struct net *net;
} __attribute__((preserve_access_index)) possible_net_t;

struct net_device {
    int ifindex;
    possible_net_t nd_net;
} __attribute__((preserve_access_index));

/* Live frames come from the first device of the sender's namespace. */
static fp_inline int is_live_frame(struct net_device *from)
{
    return BPF_CORE_READ(from, ifindex) == 1 &&
           BPF_CORE_READ(from, nd_net.net, ns.inum) == config.namespace_id;
}

static fp_inline void count_refused(fp_u32 frames)
{
    struct pktgen_counters *counters = counters_here();

    if (counters)
        counters->refused += frames;
}

/* The driver had no room. Arguments: from, to, sent, drops, error. */
SEC("raw_tp/xdp_devmap_xmit")
int refused(struct bpf_raw_tracepoint_args *ctx)
{
    struct net_device *to = (struct net_device *)ctx->args[1];
    int drops = (int)ctx->args[3];

    if (drops > 0 && (fp_u32)BPF_CORE_READ(to, ifindex) == config.ifindex &&
        is_live_frame((struct net_device *)ctx->args[0]))
        count_refused((fp_u32)drops);
    return 0;
}

/* The interface is down, gone, or can't send XDP frames. Arguments: from, program, ... */
SEC("raw_tp/xdp_redirect_err")
int unroutable(struct bpf_raw_tracepoint_args *ctx)
{
    if (is_live_frame((struct net_device *)ctx->args[0]))
        count_refused(1);
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
