/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An XDP program that passes everything. On the far end of a veth pair it makes that end take
 * frames that were sent by XDP_TX (with GRO alone they lie there until something else arrives); on
 * an interface of the data plane it is the program of someone else.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass_all(struct xdp_md *ctx)
{
    return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
