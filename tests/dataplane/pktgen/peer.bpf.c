/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The far end of the cable: drops, sends back, or sends back encapsulated. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/fastpath/parse.h"

static fp_inline __attribute__((unused)) fp_u8 *fp_scratch_of_cpu(void)
{
    return 0;
}

static fp_inline void swap_macs(fp_u8 *frame)
{
    for (int i = 0; i < 6; i += 2) {
        fp_u16 half = fp_load16(frame + i);

        fp_store16(frame + i, fp_load16(frame + 6 + i));
        fp_store16(frame + 6 + i, half);
    }
}

/* ARP and neighbour discovery belong to the kernel. */
static fp_inline int is_traffic(struct xdp_md *ctx)
{
    fp_u8 *frame = (fp_u8 *)(long)ctx->data;

    if (frame + FP_ETH_BYTES + 7 > (fp_u8 *)(long)ctx->data_end)
        return 0;
    if (fp_load16(frame + 12) == fp_htons(FP_ETH_IPV4))
        return 1;
    return fp_load16(frame + 12) == fp_htons(FP_ETH_IPV6) &&
           frame[FP_ETH_BYTES + 6] != FP_IP_ICMPV6;
}

SEC("xdp")
int drop(struct xdp_md *ctx)
{
    return is_traffic(ctx) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int bounce(struct xdp_md *ctx)
{
    fp_u8 *frame = (fp_u8 *)(long)ctx->data;

    if (!is_traffic(ctx) || frame + FP_ETH_BYTES > (fp_u8 *)(long)ctx->data_end)
        return XDP_PASS;
    swap_macs(frame);
    return XDP_TX;
}

/* IPv4 in IPv4 to 172.16.0.N: N is 1 for even source ports, 2 for odd ones. */
SEC("xdp")
int encapsulate(struct xdp_md *ctx)
{
    struct fp_packet packet = {
        .data = (fp_u8 *)(long)ctx->data, .end = (fp_u8 *)(long)ctx->data_end, .ctx = ctx};
    struct fp_parsed parsed = {0};
    fp_u8 macs[12], *ip;

    if (fp_parse(&packet, &parsed) != FP_GO_ON || parsed.family != 4 || !parsed.sport)
        return XDP_PASS;
    if (fp_load_bytes(&packet, 0, macs, sizeof(macs)) ||
        fp_adjust_head(&packet, -(int)FP_IPV4_BYTES))
        return XDP_DROP;
    ip = fp_bytes(&packet, FP_ETH_BYTES, FP_IPV4_BYTES);
    if (!ip)
        return XDP_DROP;
    __builtin_memcpy(packet.data, macs, sizeof(macs));
    fp_store16(packet.data + 12, fp_htons(FP_ETH_IPV4));
    swap_macs(packet.data);
    fp_store32(ip, fp_htonl(0x45000000u | (FP_IPV4_BYTES + parsed.bytes)));
    fp_store32(ip + 4, 0);
    fp_store32(ip + 8, fp_htonl(64u << 24 | FP_IP_IPIP << 16));
    fp_store32(ip + 12, fp_htonl(0xac100001u));
    fp_store32(ip + 16, fp_htonl(0xac100001u + (parsed.sport & 1)));
    fp_store16(ip + 10, fp_sum_finish(fp_sum_ipv4_header(ip)));
    return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
