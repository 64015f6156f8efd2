/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command or a read gives back: written by the store while it works, decoded by a front.
 * The versions, revisions and counts are those of etcd's responses.
 */
#ifndef CULVERT_CORE_KV_RESULT_H
#define CULVERT_CORE_KV_RESULT_H

#include "controlplane/core/kv/command.h"

/* A key and its value at a revision. */
struct kv_pair {
    struct kv_slice key, value;
    uint64_t create, mod, version;
    int64_t lease;
};

struct kv_pairs {
    struct kv_pair *list;
    size_t count;
};

struct kv_op_result {
    enum kv_kind kind;
    uint64_t count;        /* KV_RANGE: keys in the range whatever the limit; KV_DELETE: deleted */
    bool more;             /* KV_RANGE: the limit cut the list */
    bool succeeded;        /* KV_TXN */
    struct kv_pairs pairs; /* KV_RANGE; what was before: KV_PUT (at most one), KV_DELETE */
    struct kv_op_result *results; /* KV_TXN */
    size_t result_count;
};

struct kv_result {
    enum kv_kind kind;
    int status;             /* 0 or an error: nothing was changed then */
    uint64_t revision;      /* of the store, after the command */
    struct kv_op_result op; /* kinds up to KV_TXN, status 0 */
    struct kv_lease lease;  /* KV_LEASE_GRANT */
};

/* Decodes; lists are of the arena, slices point into the bytes. CULVERT_EPROTO, CULVERT_ENOMEM,
 * CULVERT_EUNSUPPORTED: of a newer version. */
int kv_result_decode(struct kv_result *result, struct arena *arena, struct kv_slice bytes);

/* Pieces for the store. The head is of fixed length: it is written first and filled in last. */
#define KV_RESULT_HEAD 11u /* bytes: version, kind, status, revision */
void kv_result_head(uint8_t head[KV_RESULT_HEAD], enum kv_kind kind, int status, uint64_t revision);
void kv_result_pair(struct buffer *to, const struct kv_pair *pair, bool keys_only);

#endif
