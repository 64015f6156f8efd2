/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Meters: the generic cell rate algorithm (ITU-T I.371), one time a bucket.
 *
 * A bucket holds the time when it would be empty again. A packet moves it by its cost and passes
 * unless that is more than a burst ahead of now. A time in the past is an empty bucket, equal to
 * none at all: so lines of four are reused without any sweeping, and when all four of a line are
 * in use the one that is empty soonest gives way.
 */
#ifndef CULVERT_FASTPATH_METER_H
#define CULVERT_FASTPATH_METER_H

#include "dataplane/fastpath/access.h"

/* A limit on packets and on bytes has two buckets, in the same line; no key is 0. */
#define FP_METER_PACKETS 1u
#define FP_METER_BYTES 2u

/* The line of `key`'s buckets. */
static fp_inline struct fp_meter FP_REGION *fp_meter_line_of(struct fp_env *env, fp_u64 key)
{
    struct fp_root FP_REGION *root = FP_ROOT(env);
    fp_u32 line = (fp_u32)(key >> 32) & ((1u << (root->meters_log2 & 31)) - 1);

    return FP_AT(env, struct fp_meter_line, root->meters + line * sizeof(struct fp_meter_line))
        ->way;
}

/* The bucket of `key`: its own (`*own` is set), or one that it takes over. */
static fp_inline struct fp_meter FP_REGION *fp_meter_find(struct fp_env *env, fp_u64 key, int *own)
{
    struct fp_meter FP_REGION *way = fp_meter_line_of(env, key);
    struct fp_meter FP_REGION *oldest = way;

    *own = 1;
    for (int i = 0; i < FP_METER_WAYS; i++) {
        if (way[i].key == key)
            return &way[i];
        if ((fp_s64)(way[i].time - oldest->time) < 0)
            oldest = &way[i];
    }
    *own = 0;
    if (!fp_dry(env))
        oldest->key = key;
    return oldest;
}

#define FP_METER_TRIES 4

/* Takes `cost` from the bucket of `key`. True when the packet may pass. An empty bucket lets any
 * packet pass, so that a burst smaller than one packet means one packet. When other CPUs keep
 * taking from it at the same moment, the packet passes after some tries. */
static fp_inline int fp_meter_take(struct fp_env *env, fp_u64 key, fp_u64 cost, fp_u64 burst)
{
    fp_u64 now = fp_now(env);
    int own;
    struct fp_meter FP_REGION *meter = fp_meter_find(env, key, &own);
    fp_u64 seen = meter->time;

    for (int i = 0; i < FP_METER_TRIES; i++) {
        fp_s64 ahead = own ? (fp_s64)(seen - now) : 0;
        fp_u64 found;

        if (ahead > 0 && (fp_u64)ahead + cost > burst)
            return 0;
        if (fp_dry(env))
            return 1;
        found =
            __sync_val_compare_and_swap(&meter->time, seen, now + (ahead > 0 ? ahead : 0) + cost);
        if (fp_likely(found == seen))
            return 1;
        seen = found;
        own = 1;
    }
    return 1;
}

/* The key of a limit's bucket of packets for a source address and a service. */
static fp_inline fp_u64 fp_limit_key(struct fp_env *env, struct fp_limit FP_REGION *limit,
                                     fp_u32 number, fp_u64 a, fp_u64 b, fp_u64 scope)
{
    if (limit->per == FP_PER_SOURCE) {
        fp_prefix_cut(&a, &b, fp_is_mapped(a, b) ? FP_MAPPED_LENGTH + limit->len4 : limit->len6);
    } else {
        a = scope;
        b = 0;
    }
    return fp_key_hash(a, b, number, FP_KIND_LIMIT, FP_ROOT(env)->index_seed) | FP_METER_PACKETS;
}

/* Checks one limit for a packet of `bytes` (of IP) from a source address: FP_GO_ON or the reason to
 * drop it. `scope` names the service, for limits "per vip". `what`: number | bytes << 32. */
fp_subprogram fp_u32 fp_limit_check(struct fp_env *env, fp_u64 a, fp_u64 b, fp_u64 scope,
                                    fp_u64 what)
{
    fp_u32 number = (fp_u32)what, bytes = (fp_u32)(what >> 32);
    struct fp_limit FP_REGION *limit;
    struct fp_rec FP_REGION *record;
    fp_u32 reason = FP_GO_ON;
    fp_u64 key;

    if (!env)
        return FP_GO_ON;
    record = fp_slot(env, FP_KIND_LIMIT, number, FP_SLOTS_LIMIT);
    if (!record)
        return FP_GO_ON;
    limit = FP_BODY(struct fp_limit, record);
    key = fp_limit_key(env, limit, number, a, b, scope);
    if (limit->packet_cost && !fp_meter_take(env, key, limit->packet_cost, limit->packet_burst))
        reason = FP_DROP_LIMIT;
    else if (limit->byte_cost &&
             !fp_meter_take(env, key ^ FP_METER_BYTES, limit->byte_cost * bytes, limit->byte_burst))
        reason = FP_DROP_LIMIT_BYTES;
    if (reason != FP_GO_ON)
        fp_count(env, limit, number, bytes);
    fp_trace(env, "limit",
             reason == FP_GO_ON        ? "within: limit"
             : reason == FP_DROP_LIMIT ? "over, in packets: limit"
                                       : "over, in bytes: limit",
             number, 0);
    return reason;
}

#endif
