/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which backend a packet goes to: its flow's hash picks a bucket, the bucket names the backend.
 * No state is kept for a flow, but for TCP flows that start while their bucket is moving.
 */
#ifndef CULVERT_FASTPATH_BALANCE_H
#define CULVERT_FASTPATH_BALANCE_H

#include "dataplane/fastpath/flow.h"

/* A bucket that is moving from `previous` to `backend`: new TCP flows go to the new backend and
 * are noted; what isn't noted began before the move and stays. UDP stays. */
static fp_inline fp_u32 fp_balance_moving(struct fp_env *env, const struct fp_parsed *parsed,
                                          fp_u64 hash, fp_u32 backend, fp_u32 previous)
{
    fp_u32 noted;

    if (parsed->protocol != FP_IP_TCP) {
        fp_trace(env, "moving", "not TCP, stays: from, to", previous, backend);
        return previous;
    }
    if (parsed->flags & FP_PARSED_SYN) {
        fp_trace(env, "moving", "a new flow, goes over: from, to", previous, backend);
        fp_flow_note(env, hash, backend);
        return backend;
    }
    noted = fp_flow_find(env, hash, FP_FLOW_SYN_TICKS);
    fp_trace(env, "moving",
             noted == FP_FLOW_NONE ? "an older flow, stays: from, to"
                                   : "began during the move, goes over: from, to",
             previous, backend);
    return noted == FP_FLOW_NONE ? previous : noted;
}

/* Of a pool, whose places are a power of two. */
static fp_inline fp_u32 fp_balance_mask(struct fp_pool FP_REGION *pool)
{
    return (1u << (pool->log2 & 31)) - 1;
}

/* The place of the flow with that hash in a pool of that mask. */
static fp_inline fp_u32 fp_balance_place(fp_u64 hash, fp_u32 mask)
{
    return (fp_u32)(hash >> 16) & mask;
}

/* The place in its pool of the flow with that hash. */
static fp_inline fp_u32 fp_balance_bucket(struct fp_pool FP_REGION *pool, fp_u64 hash)
{
    return fp_balance_place(hash, fp_balance_mask(pool));
}

/* The pool with that number, or NULL. */
static fp_inline struct fp_pool FP_REGION *fp_balance_pool(struct fp_env *env, fp_u32 number)
{
    struct fp_rec FP_REGION *record = fp_slot(env, FP_KIND_POOL, number, FP_SLOTS_POOL);

    return record ? FP_BODY(struct fp_pool, record) : 0;
}

/* The backend's number for a flow, 0: none. `pool` may be NULL. */
static fp_inline fp_u32 fp_balance(struct fp_env *env, const struct fp_parsed *parsed,
                                   struct fp_pool FP_REGION *pool, fp_u64 hash)
{
    fp_u32 bucket, backend, previous;

    if (!pool)
        return 0;
    bucket = fp_balance_bucket(pool, hash);
    backend = pool->bucket[bucket] & 0xffff;
    previous = pool->bucket[bucket] >> 16;
    fp_trace(env, "pool", "found: pool, bucket", (FP_RECORD(pool))->a,
             bucket | 1ull << 32 << (pool->log2 & 31));
    if (fp_unlikely(previous))
        return fp_balance_moving(env, parsed, hash, backend, previous);
    return backend;
}

#endif
