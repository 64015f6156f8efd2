/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's log written by hand while the group is closed, when there is no quorum to do it: a
 * survivor becomes its only member, or a state that was loaded becomes a new group's beginning.
 * On the disk after the next wal_sync().
 */
#ifndef CULVERT_CORE_GROUP_REWRITE_H
#define CULVERT_CORE_GROUP_REWRITE_H

#include "controlplane/core/group.h"
#include "controlplane/core/wal.h"

/* Makes `id` the only member and voter: a change of the members at the log's end, in a new term.
 * What the log has will be committed, also what never had a quorum. CULVERT_ENOTFOUND: the log
 * knows nothing of the group; those of wal_append(). */
int group_rewrite_sole(struct wal *wal, uint32_t number, uint64_t id, const char *address);

/* Begins the log of a group that has none with a state that the machine has up to `index`, and
 * `id` as the only voter. CULVERT_EEXIST: there is a log; those of wal_snapshot(). */
int group_rewrite_begin(struct wal *wal, uint32_t number, uint64_t index, uint64_t id,
                        const char *address);

#endif
