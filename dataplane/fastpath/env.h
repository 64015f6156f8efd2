/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What surrounds a packet: the tables' region, the clock, the frame, and the few operations that
 * a driver supplies. On the host a frame is a buffer with room before and behind it.
 */
#ifndef CULVERT_FASTPATH_ENV_H
#define CULVERT_FASTPATH_ENV_H

#include "dataplane/fastpath/base.h"
#include "dataplane/fastpath/reasons.h"
#include "dataplane/fastpath/region.h"

/* Scratch for the first part of a DNS message and notes about it (layout: dns_query.h). */
#define FP_SCRATCH_BYTES 448u

/* The arena is mapped at this address by every process, and named so by the program. Free of
 * AddressSanitizer's shadow (which ends at 0x10007fff8000), far from the heap and libraries. */
#define FP_ARENA_BASE 0x200000000000ull

#ifdef FP_BPF

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct fp_env {
    fp_u32 generation; /* loaded once per packet */
    fp_u32 cpu;
    fp_u32 counters; /* offset of this CPU's struct fp_counters, 0: none (fp_env_begin()) */
    fp_u32 pad;
    fp_u64 now; /* 1/256 ns; 0 until fp_now() is asked */
};

/* An arena pointer counts by its low 32 bits, and those of the base are 0: the offset is it. */
#define FP_AT(env, type, offset) ((type FP_REGION *)(void FP_REGION *)(fp_u64)(fp_u32)(offset))

#else /* host */

/* One step of `culvert explain`: called only when set. `what` is a static string, "what was found:
 * LABEL, LABEL": the labels say what the numbers `a` and `b` are. culvertd knows (and names) these:
 * vip, pool, backend, from, to (backends), limit, zone (numbers of the tables); next-hop (an
 * ifindex); bucket (number | buckets of the pool << 32); reason; type (of DNS records); port, vlan,
 * labels (0: left out); bytes, mtu. */
typedef void (*fp_trace_fn)(void *arg, const char *stage, const char *what, fp_u64 a, fp_u64 b);

struct fp_packet;
struct fp_nexthop;
struct fp_dns_ahead;

struct fp_env {
    void *base; /* the region */
    fp_u32 generation;
    fp_u32 cpu;
    fp_u32 counters; /* offset of this CPU's struct fp_counters, 0: none (fp_env_begin()) */
    fp_u64 now;      /* 1/256 ns; 0: `clock` is asked when it is needed first (fp_now()) */
    fp_u64 (*clock)(void);
    int dry; /* true: count nothing, meter nothing, note no flow (explain) */
    fp_trace_fn trace;
    void *trace_arg;
    /* The kernel's way to an address (16 bytes, IPv4 mapped); false: unknown. May be NULL. */
    int (*route)(void *arg, const fp_u8 address[16], struct fp_nexthop *out);
    void *route_arg;
};

#define FP_AT(env, type, offset) ((type FP_REGION *)((char *)(env)->base + (fp_u32)(offset)))

#endif

/* A word of the region that the writer changes under readers, with release order: what it leads to
 * is seen whole. On x86-64 it is a plain load, which is what the eBPF program's is. */
#ifdef FP_BPF
#define fp_published(at) (*(at))
#else
#define fp_published(at) __atomic_load_n((at), __ATOMIC_ACQUIRE)
#endif

#ifdef FP_BPF
#define fp_trace(env, stage, what, a, b) ((void)0)
#define fp_dry(env) 0
#else
#define fp_trace(env, stage, what, a, b)                                                           \
    do {                                                                                           \
        if ((env)->trace)                                                                          \
            (env)->trace((env)->trace_arg, stage, what, (fp_u64)(a), (fp_u64)(b));                 \
    } while (0)
#define fp_dry(env) ((env)->dry)
#endif

/* On the host many lie in a row, a line each. */
#ifdef FP_BPF
#define FP_PACKET_ALIGNED
#else
#define FP_PACKET_ALIGNED __attribute__((aligned(FP_CACHE_LINE)))
#endif

/* A frame on its way through. Pointers change with every adjust: never keep one across it. */
struct fp_packet {
    fp_u8 *data;
    fp_u8 *end;
    fp_u32 ifindex; /* where it came in */
#ifdef FP_BPF
    struct xdp_md *ctx;
    fp_u8 *scratch; /* FP_SCRATCH_BYTES of this CPU, outside the region */
#else
    fp_u8 *head;                    /* first byte that data may move down to */
    fp_u8 *limit;                   /* first byte that end must not pass */
    const struct fp_dns_ahead *dns; /* the DNS query in it, read ahead (burst.h), or NULL */
    fp_u8 *scratch;                 /* FP_SCRATCH_BYTES, while a DNS query is looked at */
#endif
} FP_PACKET_ALIGNED;

/* The time in 1/256 ns. eBPF asks the clock at most once a packet, the host while `now` is 0. */
static fp_inline fp_u64 fp_now(struct fp_env *env)
{
#ifdef FP_BPF
    if (!env->now)
        env->now = bpf_ktime_get_ns() << 8;
#else
    if (!env->now)
        env->now = env->clock();
#endif
    return env->now;
}

/* Where a packet goes and why. `ifindex` counts for FP_VERDICT_FORWARD. */
struct fp_result {
    fp_u8 verdict; /* enum fp_verdict */
    fp_u8 reason;  /* enum fp_reason */
    fp_u16 pad;
    fp_u32 ifindex;
};

/* Moves the frame's start by `delta` bytes (negative: grows). Returns 0, or -1: no room. */
static fp_inline int fp_adjust_head(struct fp_packet *packet, int delta)
{
#ifdef FP_BPF
    if (bpf_xdp_adjust_head(packet->ctx, delta))
        return -1;
    packet->data = (fp_u8 *)(long)packet->ctx->data;
    packet->end = (fp_u8 *)(long)packet->ctx->data_end;
    return 0;
#else
    fp_u8 *data = packet->data + delta;

    if (data < packet->head || data > packet->end)
        return -1;
    packet->data = data;
    return 0;
#endif
}

/* Moves the frame's end by `delta` bytes (positive: grows, the new bytes are undefined). Returns
 * 0, or -1: no room. */
static fp_inline int fp_adjust_tail(struct fp_packet *packet, int delta)
{
#ifdef FP_BPF
    if (bpf_xdp_adjust_tail(packet->ctx, delta))
        return -1;
    packet->data = (fp_u8 *)(long)packet->ctx->data;
    packet->end = (fp_u8 *)(long)packet->ctx->data_end;
    return 0;
#else
    fp_u8 *end = packet->end + delta;

    if (end > packet->limit || end < packet->data)
        return -1;
    packet->end = end;
    return 0;
#endif
}

#ifdef FP_BPF
static fp_inline fp_u8 *fp_scratch_of_cpu(void); /* the entry program supplies it */
#endif

/* Memory for a packet's scratch, in a function that makes it ready: eBPF has it elsewhere. */
#ifdef FP_BPF
#define FP_SCRATCH(name) fp_u8 *name = 0
#else
#define FP_SCRATCH(name) fp_u8 name[FP_SCRATCH_BYTES]
#endif

/* Makes packet->scratch usable, as long as `own` (FP_SCRATCH()) is. False: there is none (which the
 * verifier wants to hear of). */
static fp_inline int fp_scratch_ready(struct fp_packet *packet, fp_u8 *own)
{
#ifdef FP_BPF
    (void)own;
    packet->scratch = fp_scratch_of_cpu();
    return packet->scratch != 0;
#else
    if (!packet->dns) /* else it is that of what was read ahead */
        packet->scratch = own;
    return 1;
#endif
}

/* Copies `length` (1..FP_SCRATCH_BYTES) bytes at `offset` of the frame to `to`. Returns 0, or -1
 * when the frame is shorter. */
static fp_inline int fp_load_bytes(struct fp_packet *packet, fp_u32 offset, void *to, fp_u32 length)
{
#ifdef FP_BPF
    fp_u64 bytes = length;

    /* Bounds of this very register, one by one: the compiler would fold them into a difference
     * that tells the verifier nothing. */
    __asm__ volatile("" : "+r"(bytes));
    if (bytes > FP_SCRATCH_BYTES)
        return -1;
    __asm__ volatile("" : "+r"(bytes));
    if (!bytes)
        return -1;
    return bpf_xdp_load_bytes(packet->ctx, offset, to, (fp_u32)bytes) ? -1 : 0;
#else
    if ((fp_u64)offset + length > (fp_u64)(packet->end - packet->data))
        return -1;
    __builtin_memcpy(to, packet->data + offset, length);
    return 0;
#endif
}

#endif
