/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash of bytes that finds differences between nodes, not attackers: FNV-1a over 64-bit words
 * with a final mix (the finalizer of MurmurHash3). Part of the stored state: it must not change.
 */
#ifndef CULVERT_CORE_KV_HASH_H
#define CULVERT_CORE_KV_HASH_H

#include "controlplane/core/kv/codec.h"

#define KV_HASH_START 0xcbf29ce484222325ull

/* The hash of what `before` is the hash of, followed by the bytes and their number. */
static inline uint64_t kv_hash(uint64_t before, struct kv_slice bytes)
{
    uint64_t hash = before, word;
    size_t at = 0;

    for (; bytes.length - at >= 8; at += 8) {
        memcpy(&word, bytes.data + at, 8);
        hash = (hash ^ le64toh(word)) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    for (; at < bytes.length; at++)
        hash = (hash ^ bytes.data[at]) * 0x100000001b3ull;
    hash ^= bytes.length;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
    return hash ^ hash >> 33;
}

#endif
