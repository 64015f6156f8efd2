/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes of a frame: unaligned loads and stores, and pointers that were checked against its end.
 */
#ifndef CULVERT_FASTPATH_BYTES_H
#define CULVERT_FASTPATH_BYTES_H

#include "dataplane/fastpath/env.h"

/* Unaligned loads and stores, in the order the bytes lie. eBPF's clang would take memcpy() from a
 * byte pointer apart into single bytes; the machines that we run on load words anywhere. */
#ifdef FP_BPF
#define FP_BYTES_ACCESS(bits)                                                                      \
    static fp_inline fp_u##bits fp_load##bits(const fp_u8 *from)                                   \
    {                                                                                              \
        return *(const fp_u##bits *)(const void *)from;                                            \
    }                                                                                              \
    static fp_inline void fp_store##bits(fp_u8 *to, fp_u##bits value)                              \
    {                                                                                              \
        *(fp_u##bits *)(void *)to = value;                                                         \
    }
#else
#define FP_BYTES_ACCESS(bits)                                                                      \
    static fp_inline fp_u##bits fp_load##bits(const fp_u8 *from)                                   \
    {                                                                                              \
        fp_u##bits value;                                                                          \
        __builtin_memcpy(&value, from, sizeof(value));                                             \
        return value;                                                                              \
    }                                                                                              \
    static fp_inline void fp_store##bits(fp_u8 *to, fp_u##bits value)                              \
    {                                                                                              \
        __builtin_memcpy(to, &value, sizeof(value));                                               \
    }
#endif
FP_BYTES_ACCESS(16)
FP_BYTES_ACCESS(32)
FP_BYTES_ACCESS(64)

/* 1 when `a` is below `b`, else 0, without a branch; both are below 2^63. */
#define FP_LESS(a, b) (((fp_u64)(a) - (fp_u64)(b)) >> 63)

/* fp_barrier(): the compiler keeps this very pointer or number, so that the bound which the
 * verifier learnt for it holds wherever it is used.
 *
 * fp_opaque(): makes the verifier forget the constant in `value` (a u64), so that the paths that
 * lead here are verified once and not once per constant. `unknown` is any number that it doesn't
 * know, of few bits. The caller bounds `value` again with a mask. */
#ifdef FP_BPF
#define fp_barrier(value) __asm__ volatile("" : "+r"(value))
#define fp_opaque(value, unknown)                                                                  \
    __asm__ volatile("%0 ^= %1\n\t%0 ^= %1" : "+r"(value) : "r"((fp_u64)(unknown)))
#else
#define fp_barrier(value) ((void)(value))
#define fp_opaque(value, unknown) ((void)(value), (void)(unknown))
#endif

/* Keeps a scalar of `bits` bits, but makes the verifier forget its value: see fp_opaque(). */
#define fp_forget(value, unknown, bits)                                                            \
    do {                                                                                           \
        fp_u64 fp_value_ = (value);                                                                \
        fp_opaque(fp_value_, unknown);                                                             \
        (value) = fp_value_ & ((1ull << (bits)) - 1);                                              \
    } while (0)

/* The frame as an argument of an fp_subprogram, which for eBPF can't get packet pointers:
 *     fp_subprogram fp_u64 f(FP_FRAME *frame, ...) { FP_FRAME_OPEN(frame, packet); ... packet->data
 * called as f(fp_frame(packet), ...). When it moves the frame's start or end, the caller's
 * pointers are void. */
#ifdef FP_BPF
#define FP_FRAME struct xdp_md
#define FP_FRAME_OPEN(frame, packet)                                                               \
    struct fp_packet fp_packet_ = {                                                                \
        .data = (fp_u8 *)(long)(frame)->data,                                                      \
        .end = (fp_u8 *)(long)(frame)->data_end,                                                   \
        .ctx = (frame),                                                                            \
    };                                                                                             \
    struct fp_packet *packet = &fp_packet_
#define fp_frame(packet) ((packet)->ctx)
#else
#define FP_FRAME struct fp_packet
#define FP_FRAME_OPEN(frame, packet) struct fp_packet *packet = (frame)
#define fp_frame(packet) (packet)
#endif

/* Bytes of the whole frame. */
static fp_inline fp_u32 fp_frame_bytes(const struct fp_packet *packet)
{
    fp_u64 bytes = (fp_u64)(packet->end - packet->data);

    fp_barrier(bytes); /* else clang computes with pointers' lower halves: refused */
    return (fp_u32)bytes;
}

/* `length` bytes at `offset` of the frame, or NULL when it is shorter. For eBPF `length` is a
 * constant and `offset` has a bound that the verifier can see. */
static fp_inline fp_u8 *fp_bytes(const struct fp_packet *packet, fp_u32 offset, fp_u32 length)
{
#ifdef FP_BPF
    fp_u8 *at = packet->data + offset;

    fp_barrier(at);
    return at + length > packet->end ? 0 : at;
#else
    if ((fp_u64)offset + length > (fp_u64)(packet->end - packet->data))
        return 0;
    return packet->data + offset;
#endif
}

#endif
