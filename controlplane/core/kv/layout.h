/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys and records of the key-value store in its engine. A byte says what a record is:
 *
 *   m                     the store itself: struct kv_meta
 *   k KEY                 the newest version of a key, with its value
 *   h MAIN SUB            the change of that revision, with key and value: what watches read
 *   i KEY' 00 MAIN SUB    that KEY changed then: what reads of the past search
 *   l ID                  a lease
 *   a ID KEY              the key is attached to the lease
 *
 * Numbers are big endian. In KEY' each 00 is followed by ff, so that the order is that of the keys.
 */
#ifndef CULVERT_CORE_KV_LAYOUT_H
#define CULVERT_CORE_KV_LAYOUT_H

#include "controlplane/core/kv/result.h"

enum { LAYOUT_META = 'm', LAYOUT_LIVE = 'k', LAYOUT_HISTORY = 'h', LAYOUT_INDEX = 'i' };
enum { LAYOUT_LEASE = 'l', LAYOUT_ATTACHED = 'a' };

#define LAYOUT_VERSION 1
#define LAYOUT_SUB_LAST UINT32_MAX
#define LAYOUT_POINT 12u /* bytes of a point, at the end of an index key */

/* A point in the history: the revision, and the change within it. Main 0 is before all. */
struct kv_point {
    uint64_t main;
    uint32_t sub;
};

static inline int kv_compare_points(struct kv_point x, struct kv_point y)
{
    if (x.main != y.main)
        return x.main < y.main ? -1 : 1;
    return (x.sub > y.sub) - (x.sub < y.sub);
}

struct kv_meta {
    uint64_t applied;  /* index of the last command */
    uint64_t revision; /* 1: nothing was ever written */
    uint64_t compacted;
    struct kv_point tidied; /* removal goes on here */
    struct kv_point seam;   /* changes of this revision before the point were looked at twice */
    bool tidying;           /* there are compacted records left to remove */
    bool alarm;             /* no space */
    uint64_t chain;         /* hash of all changes ever */
    uint64_t size;          /* bytes of keys and records */
    uint64_t keys, leases;
    uint64_t quota; /* bytes; 0: the default */
};

/* The newest version of a key. */
struct kv_live {
    uint64_t create, version;
    struct kv_point mod;
    int64_t lease;
    struct kv_slice value;
};
#define LAYOUT_LIVE_HEAD 36u /* bytes before the value */

struct kv_history {
    bool put;
    uint64_t chain;         /* of all changes up to and with this one */
    struct kv_point before; /* the version that this one replaces; main 0: none */
    uint32_t before_size;   /* bytes of that one's record */
    struct kv_slice key;
    uint64_t create, version; /* 0 of a deletion; so are these: */
    int64_t lease;
    struct kv_slice value;
};

/* Keys of records; the buffer is cleared before. */
void layout_key(struct buffer *to, char kind, struct kv_slice rest);
void layout_history_key(struct buffer *to, struct kv_point point);
void layout_index_key(struct buffer *to, struct kv_slice key, struct kv_point point);
void layout_index_behind(struct buffer *to, struct kv_slice key); /* of all of the key's */
void layout_index_start(struct buffer *to, struct kv_slice key);  /* before all of the key's */
void layout_lease_key(struct buffer *to, char kind, int64_t id, struct kv_slice key);

/* Bytes of the record of a put. */
size_t layout_history_size(size_t key_length, size_t value_length);

/* Records; the buffer is cleared before. The decoders return false for what is none. */
void layout_meta_encode(struct buffer *to, const struct kv_meta *meta);
bool layout_meta_decode(struct kv_meta *meta, struct kv_slice record);
void layout_live_encode(uint8_t *to, const struct kv_live *live); /* head and value */
bool layout_live_decode(struct kv_live *live, struct kv_slice record);
/* Computes history->chain from the one before. */
void layout_history_encode(struct buffer *to, struct kv_history *history, struct kv_point point,
                           uint64_t chain);
bool layout_history_decode(struct kv_history *history, struct kv_slice record);
bool layout_point_decode(struct kv_point *point, struct kv_slice key); /* of a history's key */
/* The user's key goes to `key`, which is cleared before; its error says out of memory. */
bool layout_index_decode(struct buffer *key, struct kv_point *point, struct kv_slice index);
struct kv_point
layout_index_point(struct kv_slice index); /* of one that was decoded, or is like it */
void layout_lease_encode(struct buffer *to, const struct kv_lease *lease);
bool layout_lease_decode(struct kv_lease *lease, struct kv_slice key, struct kv_slice record);

#endif
