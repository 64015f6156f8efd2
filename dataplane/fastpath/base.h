/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lets one source compile to eBPF and to the host: types, byte order, address space, hooks.
 *
 * FP_BPF is defined when the target is eBPF. Everything else in this folder is written once
 * against the names below. Functions are `static fp_inline`; there is no code of this folder
 * outside headers.
 */
#ifndef CULVERT_FASTPATH_BASE_H
#define CULVERT_FASTPATH_BASE_H

#include <linux/types.h>

#ifdef __bpf__
#define FP_BPF 1
#endif

typedef __u8 fp_u8;
typedef __u16 fp_u16;
typedef __u32 fp_u32;
typedef __u64 fp_u64;
typedef __s32 fp_s32;
typedef __s64 fp_s64;
typedef fp_u16 fp_be16; /* network byte order, as it lies in the packet */
typedef fp_u32 fp_be32;

#define fp_inline inline __attribute__((always_inline))

/* A function of its own, not part of its caller: for eBPF the verifier takes it by itself, once.
 * It gets scalars and pointers to structs (which it must check for NULL), no packet pointers. */
#ifdef FP_BPF
#define fp_subprogram __attribute__((noinline))
#else
#define fp_subprogram static inline
#endif

#define fp_likely(x) __builtin_expect(!!(x), 1)
#define fp_unlikely(x) __builtin_expect(!!(x), 0)
#define FP_STATIC_ASSERT(cond, text) _Static_assert(cond, text)

/* The region (region.h) is a BPF arena for eBPF, plain memory elsewhere. */
#ifdef FP_BPF
#define FP_REGION __attribute__((address_space(1)))
#else
#define FP_REGION
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only: the loads of region keys rely on it"
#endif

#define fp_bswap16(x) __builtin_bswap16(x)
#define fp_bswap32(x) __builtin_bswap32(x)
#define fp_bswap64(x) __builtin_bswap64(x)
#define fp_htons(x) ((fp_be16)fp_bswap16((fp_u16)(x)))
#define fp_ntohs(x) ((fp_u16)fp_bswap16((fp_u16)(x)))
#define fp_htonl(x) ((fp_be32)fp_bswap32((fp_u32)(x)))
#define fp_ntohl(x) ((fp_u32)fp_bswap32((fp_u32)(x)))

#endif
