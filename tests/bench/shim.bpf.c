/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP cost rig's shim: each run of a repeated test-run finds the frame as the run before left
 * it, so the shim restores the template, varies it, and tail-calls the program under test. With
 * `empty` as the program under test the shim alone is timed, and subtracted.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "tests/bench/shim.h"

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} under_test SEC(".maps");

struct shim_config shim_config;
__u64 shim_runs;

#define TO_L3 14
#define TO_SOURCE (TO_L3 + 12)
#define TO_PORT (TO_L3 + 20)

/* Adds `value` (any bytes) to a one's complement sum kept in 64 bits. */
static inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)(sum + (sum >> 16));
}

/* The source address and port of flow n, and the header checksum that goes with it: the template
 * has source and checksum zero and its sum in shim_config.sum. */
static inline void vary_flow(__u8 *data, __u32 n)
{
    __u32 source = __builtin_bswap32(0x0a800000u | (n >> 6));

    *(__u32 *)(data + TO_SOURCE) = source;
    *(__u16 *)(data + TO_L3 + 10) = (__u16)~fold((__u64)shim_config.sum + source);
    *(__u16 *)(data + TO_PORT) = __builtin_bswap16((__u16)(1024 + (n & 63)));
}

/* The name: its first label is "hx" and six hexadecimal digits of n. */
static inline void vary_name(__u8 *data, __u32 n)
{
    __u8 *digits = data + SHIM_NAME_AT + 3;

#pragma unroll
    for (int i = 0; i < 6; i++) {
        __u8 digit = (n >> (20 - 4 * i)) & 15;

        digits[i] = digit < 10 ? '0' + digit : 'a' + digit - 10;
    }
}

/* A fresh frame of flow or name n over `data`, which has room for it. */
static inline void make_frame(__u8 *data, __u32 n)
{
    __builtin_memcpy(data, shim_config.frame, SHIM_FRAME_BYTES);
    vary_flow(data, shim_config.kind == SHIM_FLOW ? n : 7);
    if (shim_config.kind == SHIM_NAME)
        vary_name(data, n);
}

SEC("xdp")
int shim(struct xdp_md *ctx)
{
    long grown = (long)ctx->data_end - (long)ctx->data - SHIM_FRAME_BYTES;
    __u8 *data, *end;
    __u32 n = (__u32)((shim_runs++ * 2654435761u) & shim_config.mask);

    /* Always called, also with 0, so that both timings hold the same calls. */
    if (shim_config.kind == SHIM_FLOW)
        bpf_xdp_adjust_head(ctx, (int)grown);
    else
        bpf_xdp_adjust_tail(ctx, (int)-grown);
    data = (__u8 *)(long)ctx->data;
    end = (__u8 *)(long)ctx->data_end;
    if (data + SHIM_FRAME_BYTES > end)
        return XDP_ABORTED;
    make_frame(data, n);
    bpf_tail_call(ctx, &under_test, 0);
    return XDP_ABORTED;
}

/* The bounce rig's generator: a fresh frame for each run, into the interface. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
    __u8 *data = (__u8 *)(long)ctx->data;
    __u8 *end = (__u8 *)(long)ctx->data_end;
    __u32 n = (__u32)((shim_runs++ * 2654435761u) & shim_config.mask);

    if (data + SHIM_FRAME_BYTES > end)
        return XDP_ABORTED;
    make_frame(data, n);
    return (int)bpf_redirect(shim_config.interface, 0);
}

__u64 counted;

/* The bounce rig's near end: what came back. */
SEC("xdp")
int count(struct xdp_md *ctx)
{
    (void)ctx;
    counted++;
    return XDP_DROP;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_TX;
}

/* The bounce rig's baseline: swap the MAC addresses and send the frame back. */
SEC("xdp")
int bounce(struct xdp_md *ctx)
{
    __u8 *data = (__u8 *)(long)ctx->data;
    __u8 *end = (__u8 *)(long)ctx->data_end;
    __u16 *mac = (__u16 *)data;

    if (data + 14 > end)
        return XDP_DROP;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        __u16 half = mac[i];

        mac[i] = mac[i + 3];
        mac[i + 3] = half;
    }
    return XDP_TX;
}

__u64 dropped;

SEC("xdp")
int drop(struct xdp_md *ctx)
{
    (void)ctx;
    dropped++;
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
