/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP entry: sets the scene, runs the fast path, and carries its verdict out.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/fastpath/fastpath.h"

/* The region (region.h). The loader sets max_entries (pages) before it loads. */
struct {
    __uint(type, BPF_MAP_TYPE_ARENA);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __ulong(map_extra, FP_ARENA_BASE);
} arena SEC(".maps");

/* A DNS question's bytes while it is worked on. */
struct scratch {
    fp_u8 bytes[FP_SCRATCH_BYTES];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratch SEC(".maps");

/* The devices that frames may be redirected to, by ifindex, besides the one they came from. The
 * loader fills it with those that take XDP frames. */
struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u32);
} ports SEC(".maps");

static fp_inline int fp_port_is_ours(fp_u32 ifindex)
{
    return bpf_map_lookup_elem(&ports, &ifindex) != 0;
}

static fp_inline fp_u8 *fp_scratch_of_cpu(void)
{
    fp_u32 zero = 0;

    return bpf_map_lookup_elem(&scratch, &zero);
}

SEC("xdp")
int culvert_xdp(struct xdp_md *ctx)
{
    struct fp_packet packet = {
        .data = (fp_u8 *)(long)ctx->data,
        .end = (fp_u8 *)(long)ctx->data_end,
        .ctx = ctx,
    };
    struct fp_env env = {.cpu = bpf_get_smp_processor_id()};
    struct fp_result result;

    __asm__ volatile("" ::"r"(&arena)); /* the program's one mention of the map */
    result = fp_process(&env, &packet);
    switch (result.verdict) {
    case FP_VERDICT_PASS:
        return XDP_PASS;
    case FP_VERDICT_TX:
        return XDP_TX;
    case FP_VERDICT_FORWARD:
        if (result.ifindex == ctx->ingress_ifindex)
            return XDP_TX;
        return (int)bpf_redirect(result.ifindex, 0);
    default:
        return XDP_DROP;
    }
}

char _license[] SEC("license") = "Dual BSD/GPL";
