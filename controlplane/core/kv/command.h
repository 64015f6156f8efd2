/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the key-value store, as the Raft log holds them, and their results. They mirror
 * etcd's v3 API. All slices point into the bytes that were decoded or are the caller's.
 *
 * A command carries all that its effect depends on but the state: no node adds a clock or a random
 * number when it applies one. Who proposes fills in a chosen lease id.
 */
#ifndef CULVERT_CORE_KV_COMMAND_H
#define CULVERT_CORE_KV_COMMAND_H

#include "controlplane/base/arena.h"
#include "controlplane/core/kv/codec.h"

enum kv_kind {
    KV_RANGE = 1,
    KV_PUT,
    KV_DELETE,
    KV_TXN,
    KV_COMPACT,
    KV_TIDY, /* removes a bounded number of compacted records */
    KV_LEASE_GRANT,
    KV_LEASE_REVOKE,
    KV_LEASE_CHECKPOINT, /* keeps leases' remaining times across a change of the leader */
    KV_ALARM,            /* sets or clears the alarm about space */
    KV_QUOTA,
};

/* A key, or with `end` all keys from it up to but without the end; the end "\0": all from it. */
struct kv_keys {
    struct kv_slice key, end;
};

enum kv_order { KV_ORDER_NONE, KV_ORDER_ASCEND, KV_ORDER_DESCEND };
enum kv_target { KV_BY_KEY, KV_BY_VERSION, KV_BY_CREATE, KV_BY_MOD, KV_BY_VALUE };

struct kv_range {
    struct kv_keys keys;
    uint64_t limit, revision; /* 0: none; the newest */
    uint8_t order, target;
    bool keys_only, count_only;
    uint64_t min_mod, max_mod, min_create, max_create; /* 0: none */
};

struct kv_put {
    struct kv_slice key, value;
    int64_t lease; /* 0: none */
    bool prev, ignore_value, ignore_lease;
};

struct kv_delete {
    struct kv_keys keys;
    bool prev;
};

enum kv_relation { KV_EQUAL, KV_GREATER, KV_LESS, KV_NOT_EQUAL };
enum kv_compared { KV_IF_VERSION, KV_IF_CREATE, KV_IF_MOD, KV_IF_VALUE, KV_IF_LEASE };

struct kv_compare {
    struct kv_keys keys;
    uint8_t compared, relation;
    int64_t number;        /* but for KV_IF_VALUE */
    struct kv_slice value; /* for KV_IF_VALUE */
};

struct kv_op;

struct kv_ops {
    struct kv_op *list;
    size_t count;
};

struct kv_txn {
    struct kv_compare *compares;
    size_t compare_count;
    struct kv_ops branch[2]; /* 0: when a comparison fails, 1: when all hold */
};

struct kv_op {
    enum kv_kind kind; /* KV_RANGE, KV_PUT, KV_DELETE or KV_TXN */
    union {
        struct kv_range range;
        struct kv_put put;
        struct kv_delete delete;
        struct kv_txn txn;
    };
};

struct kv_lease {
    int64_t id;
    uint64_t ttl, remaining; /* seconds; remaining 0: all of the ttl */
};

struct kv_command {
    enum kv_kind kind;
    union {
        struct kv_op op;       /* of the same kind */
        uint64_t revision;     /* KV_COMPACT */
        uint64_t records;      /* KV_TIDY: at most so many */
        struct kv_lease lease; /* KV_LEASE_GRANT, KV_LEASE_REVOKE (its id) */
        struct {
            struct kv_lease *list;
            size_t count;
        } checkpoint;
        bool alarm;     /* KV_ALARM */
        uint64_t quota; /* KV_QUOTA: bytes, 0: the default */
    };
};

/* What a command may be. Larger ones than these are not decoded, whatever the limits. */
#define KV_COMMAND_MAX ((size_t)8 << 20) /* bytes */
#define KV_OPS_MAX 16384u                /* operations and comparisons in all */
#define KV_DEPTH_MAX 8u                  /* transactions within transactions */
#define KV_TTL_MAX 9000000000ull         /* seconds, as etcd's */

/* What a client may ask for; etcd's defaults. */
struct kv_limits {
    size_t ops;   /* in the longest list of a transaction; lists of nested ones add up */
    size_t bytes; /* of the command */
};
#define KV_LIMITS_DEFAULT ((struct kv_limits){.ops = 128, .bytes = 1536u << 10})

/* Appends the command's encoding; the error is the buffer's. */
void kv_command_encode(const struct kv_command *command, struct buffer *to);

/* Decodes all of the bytes; what is encoded again is the same bytes. Lists are of the arena.
 * CULVERT_EPROTO: not a command; CULVERT_ETOOLARGE, CULVERT_ETOOMANY: past the bounds above;
 * CULVERT_EUNSUPPORTED: of a newer version; CULVERT_ENOMEM. */
int kv_command_decode(struct kv_command *command, struct arena *arena, struct kv_slice bytes);

/* Whether a client's command of `length` bytes is acceptable before the state is looked at.
 * CULVERT_ETOOMANY, CULVERT_ETOOLARGE, CULVERT_EDUPLICATE, CULVERT_ETTL; CULVERT_EINVAL: an empty
 * key, or a value or lease given that is to be ignored; CULVERT_ENOMEM. */
int kv_command_check(const struct kv_command *command, size_t length,
                     const struct kv_limits *limits);

/* True when a transaction changes nothing whatever its comparisons say: it can be a read. */
bool kv_txn_reads_only(const struct kv_txn *txn);

#endif
