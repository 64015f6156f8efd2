/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs the fast path over a buffer (host only): for `culvert explain`, tests and fuzzers.
 */
#ifndef CULVERT_FASTPATH_HOST_H
#define CULVERT_FASTPATH_HOST_H

#include <stddef.h>
#include <string.h>

#include "dataplane/fastpath/fastpath.h"

#define FP_HOST_ROOM 256u /* bytes before a frame that it may grow into, as XDP has */

/* A frame in memory of the caller: what runs may move its start and end within `room`. */
struct fp_host_frame {
    fp_u8 *room;
    size_t size;
    size_t start, length;
};

/* Puts `length` bytes into a frame over `room`, FP_HOST_ROOM from its start. Returns 0, or -1: they
 * don't fit. */
static inline int fp_host_load(struct fp_host_frame *frame, void *room, size_t size,
                               const void *bytes, size_t length)
{
    *frame = (struct fp_host_frame){.room = room};
    if (size < FP_HOST_ROOM || length > size - FP_HOST_ROOM)
        return -1;
    *frame = (struct fp_host_frame){
        .room = room,
        .size = size,
        .start = FP_HOST_ROOM,
        .length = length,
    };
    if (length)
        memcpy(frame->room + frame->start, bytes, length);
    return 0;
}

/* Runs one frame that came in on `ifindex` through the fast path. The caller has set env->base,
 * env->cpu, env->now (1/256 ns), and what hooks it wants; the frame is changed in place. */
static inline struct fp_result fp_host_run(struct fp_env *env, struct fp_host_frame *frame,
                                           fp_u32 ifindex)
{
    struct fp_packet packet = {
        .data = frame->room + frame->start,
        .end = frame->room + frame->start + frame->length,
        .ifindex = ifindex,
        .head = frame->room,
        .limit = frame->room + frame->size,
    };
    struct fp_result result = fp_process(env, &packet);

    frame->start = (size_t)(packet.data - frame->room);
    frame->length = (size_t)(packet.end - packet.data);
    return result;
}

#endif
