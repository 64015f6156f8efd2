/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lets everything pass. A veth end hands on what its peer sends by XDP only if it has a program. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
