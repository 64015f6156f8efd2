/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that every verifier refuses: it reads a packet whose length it did not look at. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int refused(struct xdp_md *context)
{
    return *(volatile unsigned char *)(long)context->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
