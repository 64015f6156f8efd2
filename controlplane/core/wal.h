/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead log of a node, shared by all its Raft groups: terms, votes, entries and snapshot
 * marks of every group as checksummed records in preallocated segments. What is appended while a
 * write is under way goes out with the next one: one fsync serves all groups.
 *
 * A tail torn by a crash is cut at opening; damage before the tail is refused, with the file and
 * the offset. Files are reached through the environment only.
 */
#ifndef CULVERT_CORE_WAL_H
#define CULVERT_CORE_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/env.h"

struct wal;

#define WAL_SEGMENT_DEFAULT ((uint64_t)64 << 20) /* bytes */
#define WAL_ENTRY_MAX ((size_t)8 << 20)          /* bytes of one entry's data */
#define WAL_GROUPS_MAX 1024u
#define WAL_META_MAX 65536u /* bytes of a snapshot mark's meta data */

struct wal_entry {
    uint64_t term;
    uint8_t type; /* the caller's; not 0 */
    const void *data;
    size_t length;
};

/* What the log knows of a group: zero where nothing was ever written. */
struct wal_group {
    uint64_t id;
    uint64_t term, vote;
    uint64_t first, last; /* indexes of the entries held; last < first (1 and 0, at first): none */
    uint64_t snapshot_index, snapshot_term;
    const void *meta; /* of the snapshot mark (the members); valid until the next change */
    size_t meta_length;
};

struct wal_options {
    uint64_t segment; /* bytes; 0: WAL_SEGMENT_DEFAULT */
};

/* Opens and recovers the log; blocks. `*problem` (may be NULL) is set to a text for the operator,
 * to free(), on an error. CULVERT_ECORRUPT: damaged before its tail. */
int wal_open(struct wal **out, struct env *env, const struct wal_options *options, char **problem);
/* No sync may be under way; what was not synced is lost. NULL is allowed. What the environment
 * still does for the log (a write, a work) goes on: the memory is freed when the last of it was
 * called back, so an environment that ends, or is crashed, calls all of its callbacks. */
void wal_close(struct wal *wal);

/* The group's state as of the last append, on the disk or not. CULVERT_ENOTFOUND. */
int wal_group(const struct wal *wal, uint64_t group, struct wal_group *out);
/* Calls `each` for every group until it returns non-zero, which is returned. */
int wal_groups(const struct wal *wal, int (*each)(void *arg, const struct wal_group *group),
               void *arg);

/* Appends. They are in memory on return, on the disk after the next wal_sync() is done. Data is
 * copied. CULVERT_EFULL: too much waits for the disk, or too many groups; CULVERT_EIO after a write
 * has failed, for good: the node must stop. CULVERT_ENOMEM: nothing was appended. */
int wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote);
/* `index` is at most last + 1 and behind the snapshot; entries from there on are replaced. All of
 * them are appended or, on an error, none. CULVERT_EINVAL: also an entry too long for a segment. */
int wal_append(struct wal *wal, uint64_t group, uint64_t index, const struct wal_entry *entries,
               size_t count);
/* The state up to `index`, not before the last snapshot's, is safe elsewhere. Entries up to
 * `index - trailing` are forgotten; all of them where the log doesn't reach `index` or has another
 * term there. Segments that hold nothing of use any more are removed; where there are many of
 * them, trailing entries in the oldest are forgotten too. */
int wal_snapshot(struct wal *wal, uint64_t group, uint64_t index, uint64_t term, uint64_t trailing,
                 const void *meta, size_t length);

/* When there are many segments: the group that has to take a snapshot before the oldest of them can
 * go (its entries in there are in no snapshot). CULVERT_ENOTFOUND: none has to. */
int wal_pinned(const struct wal *wal, uint64_t *group);

/* Calls `done` when all that was appended so far is on the disk (status 0), or can't be. */
struct wal_sync {
    void (*done)(struct wal_sync *sync, int status);
    void *arg;
    struct wal_sync *next; /* the log's */
};
void wal_sync(struct wal *wal, struct wal_sync *sync);

/* Reads up to `count` entries from `index` on, at most `bound` bytes of data but always one. Sets
 * `*out` (of `count` places), whose data lies in `*memory`, the caller's to free() (one
 * allocation). Returns how many; CULVERT_ENOTFOUND: before the first or past the last. Recent
 * entries come from memory; older ones block for a read. */
int wal_read(struct wal *wal, uint64_t group, uint64_t index, size_t count, size_t bound,
             struct wal_entry *out, void **memory);
/* The term of the entry (or snapshot mark) at an index, 0: not known. */
uint64_t wal_term_at(const struct wal *wal, uint64_t group, uint64_t index);

#endif
