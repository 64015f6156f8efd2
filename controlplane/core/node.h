/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of the cluster: its Raft groups, the write-ahead log that they share, and the dispatch of
 * messages to them. What the groups append in one turn of the loop is made durable by one sync.
 */
#ifndef CULVERT_CORE_NODE_H
#define CULVERT_CORE_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/env.h"
#include "controlplane/core/group.h"
#include "controlplane/core/machine.h"

struct node;

struct node_options {
    uint64_t id;         /* not 0; one that was wiped comes back under another */
    const char *address; /* as in the members of its groups */
    struct wal_options wal;
    /* The node can't go on (a disk error, a state machine's, damage): it does nothing any more.
     * Called once, from the loop. `problem` is a text for the operator. */
    void (*failed)(void *arg, int error, const char *problem);
    void *arg;
};

/* Opens the log; blocks. CULVERT_ECORRUPT: the log is damaged, the node must be rebuilt. `*problem`
 * (may be NULL) is set to a text for the operator, to free(), on an error. */
int node_open(struct node **out, struct env *env, const struct node_options *options,
              char **problem);

/* Opens a group; blocks while its log is read. With members, when the log knows nothing of the
 * group, it begins with these (the same call on each of them); with none it waits to be added by a
 * leader. `machine` outlives the group. CULVERT_ECORRUPT: log and machine don't fit together. */
int node_group_open(struct node *node, uint32_t number, struct machine *machine,
                    const struct group_options *options, const struct group_member *members,
                    size_t count, struct group **out);

/* NULL: no such group. */
struct group *node_group(const struct node *node, uint32_t number);

/* Hands leadership of every group to another member, as far as that goes within an election
 * timeout, then calls `done` (unless the node fails meanwhile). Proposals are refused from now on.
 * Then close. */
void node_stop(struct node *node, void (*done)(void *arg), void *arg);

/* Frees the node and its groups; all that is under way ends with CULVERT_EUNKNOWN or
 * CULVERT_ENOTLEADER, inside this call. The environment, and the machines, must live on until they
 * have ended the sync and the flushes that are under way. NULL is allowed. */
void node_close(struct node *node);

#endif
