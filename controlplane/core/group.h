/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Raft group of a node: the I/O around libraft's I/O-free core. Commands go in, are replicated,
 * committed and applied to the group's state machine; reads are linearizable; members change one
 * at a time. (Ongaro, "Consensus: Bridging Theory and Practice", 2014: "the thesis" below.)
 *
 * All on the loop's thread. A callback never runs inside the call that asked for it. Groups are
 * opened and closed by their node (core/node.h).
 */
#ifndef CULVERT_CORE_GROUP_H
#define CULVERT_CORE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"
#include "controlplane/core/machine.h"
#include "controlplane/core/message.h"

struct group;

#define GROUP_MEMBERS_MAX MESSAGE_MEMBERS_MAX
#define GROUP_COMMAND_MAX WAL_ENTRY_MAX

enum group_role {
    GROUP_STANDBY, /* has the log, doesn't count */
    GROUP_VOTER,
    GROUP_SPARE, /* gets nothing until it is promoted */
};

struct group_member {
    uint64_t id; /* of the node; not 0 */
    enum group_role role;
    const char *address; /* unique in the group, shorter than MESSAGE_ADDRESS_MAX */
};

/* Zero is the default of each. */
struct group_options {
    unsigned election_ms;      /* 400; a timeout is once to twice that */
    unsigned heartbeat_ms;     /* 80 */
    unsigned snapshot_entries; /* 8192 applied since the last snapshot, or some fewer, so that nodes
                                  differ, begin the next one */
    uint64_t snapshot_bytes;   /* 64 MiB, likewise */
    unsigned trailing;         /* 1024 entries kept behind a snapshot for slow followers */
    unsigned proposals_max;    /* 4096 waiting or under way */
    uint64_t proposals_bytes;  /* 32 MiB of them */
    unsigned reads_max;        /* 16384 */
    size_t chunk;              /* MESSAGE_CHUNK_MAX bytes */
};

struct group_status {
    uint64_t node;         /* this one's id */
    uint64_t term, leader; /* 0: not known */
    bool leading;          /* this node is it */
    enum group_role role;
    bool member;
    uint64_t last, commit, applied, first, snapshot;
    unsigned sending; /* snapshots under way to others */
    bool loading;     /* one is being received */
    bool settled;     /* leads, and the members are as they are committed: they may be changed */
    bool term_kept;   /* the term is on the disk, and so is the founding */
    unsigned proposals, reads;
};

/* What has become of a command. 0: applied at `index` with `result`, valid during the call.
 * CULVERT_ENOTLEADER: it is not in the log. CULVERT_EUNKNOWN: leadership was lost, or the node
 * stops, while it was under way; it may yet be applied, or never. */
typedef void (*group_proposed)(void *arg, uint64_t index, int status, const struct buffer *result);

/* Replicates a command, which is copied. On an error `done` is not called. CULVERT_ENOTLEADER: ask
 * group_status() who is; CULVERT_EFULL: too many under way; CULVERT_EINVAL: longer than
 * GROUP_COMMAND_MAX; CULVERT_ENOMEM. */
int group_propose(struct group *group, const void *command, size_t length, group_proposed done,
                  void *arg);

/* A linearizable read on any member (the thesis, section 6.4): `done` with 0 when the machine has
 * applied all that was acknowledged before the call. CULVERT_ENOTLEADER: no leader is known, or it
 * changed; CULVERT_ETIMEOUT: it didn't answer. On an error of the call `done` is not called. */
int group_read(struct group *group, void (*done)(void *arg, int status), void *arg);

/* `done` with 0 when this node's machine has applied the entry at `index`, which is known to be
 * committed; with the errors of a read when it is given up. */
int group_wait(struct group *group, uint64_t index, void (*done)(void *arg, int status), void *arg);

/* Changes of the members, by the leader, one at a time (the thesis, section 4.2). `done` with 0
 * once committed; CULVERT_ETIMEOUT: a promoted member didn't catch up; CULVERT_EUNKNOWN as above.
 * A leader that is asked to remove or demote itself begins to hand over: CULVERT_ENOTLEADER, the
 * next one is to be asked.
 * CULVERT_EBUSY: another change is under way, or the leader has not yet committed in its term;
 * CULVERT_EEXIST, CULVERT_ENOTFOUND; CULVERT_EINVAL: no such role, or no voter would be left. */
typedef void (*group_changed)(void *arg, int status);
int group_member_add(struct group *group, const struct group_member *member, group_changed done,
                     void *arg);
int group_member_assign(struct group *group, uint64_t id, enum group_role role, group_changed done,
                        void *arg);
int group_member_remove(struct group *group, uint64_t id, group_changed done, void *arg);
/* Gives a member, which may be the leader itself, another address. */
int group_member_move(struct group *group, uint64_t id, const char *address, group_changed done,
                      void *arg);

/* Hands leadership to a voter (0: the one that is closest behind). `done` with 0 when this node no
 * longer leads; CULVERT_ETIMEOUT: it does. CULVERT_ENOTFOUND: no such voter. */
int group_transfer(struct group *group, uint64_t id, group_changed done, void *arg);

/* What the owner of a group's machine says to its like on other members. Nothing is repeated: it
 * may be lost, as all that the environment sends. */
struct group_listener {
    void *arg;
    /* The bytes are valid during the call. */
    void (*told)(void *arg, uint64_t from, const void *bytes, size_t length);
    void (*connected)(void *arg, uint64_t node, bool up);
};
void group_listen(struct group *group, const struct group_listener *listener);
/* At most MESSAGE_TOLD_MAX bytes, copied. False: lost already. */
bool group_tell(struct group *group, uint64_t node, const void *bytes, size_t length);

/* How the group stands, from this node's point of view. */
void group_status(const struct group *group, struct group_status *out);
/* Calls `each` for every member of the newest configuration until it returns non-zero, which is
 * returned. The address is valid during the call. */
int group_members(const struct group *group,
                  int (*each)(void *arg, const struct group_member *member), void *arg);
/* Up to which entry a member is known to have the log. CULVERT_ENOTLEADER; CULVERT_ENOTFOUND. */
int group_progress(const struct group *group, uint64_t id, uint64_t *index);
/* What it was opened with. */
struct machine *group_machine(const struct group *group);

#endif
