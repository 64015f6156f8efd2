/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a group, shared by the group*.c and node.c only.
 *
 * Every event from outside (a message, a timer, a finished sync, the loop's turn) becomes steps of
 * libraft (group_step), and then group_settle() does what has become possible: apply, answer,
 * compact. A step's update is carried out in the order that Raft needs: the term and the vote,
 * then the entries go to the log; then messages leave, but none before the term it carries is on
 * the disk; entries are reported to libraft as persisted only after the log's sync.
 */
#ifndef CULVERT_CORE_GROUP_PRIVATE_H
#define CULVERT_CORE_GROUP_PRIVATE_H

#include <raft.h>

#include "controlplane/base/env.h"
#include "controlplane/core/group.h"
#include "controlplane/core/message.h"
#include "controlplane/core/node.h"
#include "controlplane/core/wal.h"

#define GROUP_HELD_MAX 512u /* messages that wait for a term's sync */
#define GROUP_HELD_BYTES ((size_t)16 << 20)
#define GROUP_STREAMS_MAX 2u             /* snapshots sent at a time */
#define GROUP_META_HEAD sizeof(uint64_t) /* a mark's meta: the members' index, the members */
#define NS_PER_MS 1000000ull

/* A proposal: first in `waiting`, then, with its index, `under way`. */
struct proposal {
    struct proposal *next;
    group_proposed done;
    void *arg;
    uint64_t index;
    size_t length;
    uint8_t data[];
};

struct proposals {
    struct proposal *first, **last;
};

struct read {
    struct read *next;
    void (*done)(void *arg, int status); /* NULL: a follower's */
    void *arg;
    uint64_t node, id;     /* a follower's: who asks, and its name of the request */
    uint64_t round;        /* leader: 0: not yet sent. Follower: the request it belongs to */
    uint64_t index, since; /* to have applied; ms */
};

struct reads {
    struct read *first, **last;
};

/* Bytes that wait until the term in them is durable. */
struct held {
    struct held *next;
    uint64_t node, term_seq;
    size_t length;
    uint8_t bytes[];
};

/* A snapshot on its way to a follower (group_send.c). */
struct stream {
    uint64_t node, id; /* 0: not used */
    uint64_t index, term, members_index;
    struct raft_buffer members;
    struct machine_dump *dump;
    struct buffer chunk; /* not yet acknowledged */
    uint64_t sequence;
    bool last;
    uint64_t heard, sent; /* ms */
};

/* A snapshot that is being received (group_load.c). */
struct load {
    uint64_t node, stream; /* stream 0: none */
    uint64_t sequence;     /* wanted next */
    uint64_t index, index_term, members_index;
    struct raft_configuration members;
    bool installing; /* libraft has taken it; acknowledged once it is durable */
};

struct change {
    group_changed done; /* NULL: none */
    void *arg;
    uint64_t index;    /* of the entry; 0: the member is still catching up */
    uint64_t catch_up; /* the member */
};

struct group {
    struct node *node;
    struct env *env;
    struct wal *wal;
    struct group *next, *active_next;
    bool active;         /* on the node's list of groups with something to do this turn */
    bool opened, closed; /* closed: freed when the flush is done */
    uint32_t number;
    struct raft raft;
    struct machine *machine;
    struct group_options options;
    struct env_timer timer;
    uint64_t tick_floor; /* ns: no tick before, whatever libraft says */
    uint64_t heard;      /* ms: from the leader */

    /* What the log has, and what the running sync covers of it. */
    uint64_t appended, term_seq, term_synced;
    bool dirty, mark_unsynced;
    struct {
        uint64_t index, term_seq;
        bool mark;
    } syncing;
    struct raft_snapshot_metadata mark; /* being installed */
    /* The log was full: carried out after the next sync. */
    bool stalled_term, stalled_mark;
    struct {
        uint64_t index;
        struct raft_entry *entries;
        unsigned count;
    } stalled;
    struct held *held, **held_last;
    unsigned held_count;
    size_t held_bytes;

    bool was_leading, want_barrier;
    uint64_t term_index; /* leader: the first entry of its term; 0: none yet */

    uint64_t applied;
    uint64_t snapshot_bytes; /* applied since the last snapshot */
    unsigned snapshot_early; /* entries by which the next one is before its time */
    bool flushing;
    struct proposals waiting, under_way;
    unsigned proposals_count;
    uint64_t proposals_bytes;

    struct reads asked;     /* to be confirmed, or (follower) to get an index */
    struct reads confirmed; /* to be applied */
    unsigned reads_count;
    uint64_t round, confirmed_round; /* the second: by how far a quorum has answered */
    struct {
        uint64_t id, round;
    } acks[GROUP_MEMBERS_MAX];
    uint64_t fetch_first, fetch_id; /* follower: its requests to the leader so far */
    struct env_timer reads_timer;

    struct {
        uint64_t id, commit; /* what followers were told, in told_term */
        uint64_t heard;      /* and when they answered last; ms */
    } told[GROUP_MEMBERS_MAX];
    uint64_t told_term;
    struct env_timer commit_timer;
    bool telling; /* it is set */

    struct stream streams[GROUP_STREAMS_MAX];
    struct load load;

    struct change change, transfer;
    struct group_listener listener;
};

/* ---- group.c ---- */
int group_open(struct group **out, struct node *node, uint32_t number, struct machine *machine,
               const struct group_options *options, const struct group_member *members,
               size_t count);
void group_close(struct group *group);
void group_turn(struct group *group);    /* once a turn of the loop, when active */
void group_syncing(struct group *group); /* a sync begins, which covers all appended so far */
void group_synced(struct group *group);  /* and is done */
/* One event to libraft, its update carried out. CULVERT_EREJECTED: libraft doesn't take it now. */
int group_step(struct group *group, struct raft_event *event);
void group_settle(struct group *group);
/* False: it is lost. */
bool group_send(struct group *group, uint64_t to, struct message *message);
void group_fail(struct group *group, int error, const char *what);
uint64_t group_now_ms(const struct group *group);
static inline bool group_leading(const struct group *group)
{
    return group->raft.state == RAFT_LEADER;
}
/* The leader has committed an entry of its own term: it knows all that is committed. */
bool group_established(const struct group *group);
const struct raft_server *group_server(const struct raft_configuration *members, uint64_t id);
unsigned group_voters(const struct raft_configuration *members);

/* ---- group_receive.c ---- */
void group_receive(struct group *group, uint64_t from, struct message *message);

/* ---- group_restore.c ---- */
int group_restore(struct group *group, const struct group_member *members, size_t count);

/* ---- group_log.c ---- */
void group_touched(struct group *group); /* something is to be synced */
int group_persist_term(struct group *group);
int group_persist_entries(struct group *group, const struct raft_update *update);
void group_unstall(struct group *group);
/* What is committed as far as the log has it: in the place of entries that the log had no room for
 * it may still have those that they replace. */
uint64_t group_committed(const struct group *group);
void group_send_entries(struct group *group, const struct raft_message *from);
/* wal_snapshot() with the members as the mark's meta data. */
int group_write_mark(struct group *group, uint64_t index, uint64_t term, unsigned trailing,
                     const struct raft_configuration *members, uint64_t members_index);
void group_compact(struct group *group); /* begins a flush when enough was applied */
/* Draws when the next flush is: had all nodes theirs after the same entry, a quorum would wait. */
void group_stagger(struct group *group);

/* ---- group_apply.c ---- */
/* Whether there is something to submit, and a turn may: one batch is on its way at a time, until
 * it is on this disk or a quorum's. What comes meanwhile is the next one: one write and one sync a
 * node and one message a follower, however many they are. */
bool group_may_submit(const struct group *group);
void group_submit(struct group *group); /* all that wait, now */
void group_apply(struct group *group);
void group_lose_proposals(struct group *group, int waiting, int under_way);

/* ---- group_commit.c ---- */
void group_note_told(struct group *group, uint64_t node, uint64_t commit);
/* A follower has answered; and libraft is to hear of all that have lately, before each timeout of
 * the leader. */
void group_note_answer(struct group *group, uint64_t node);
int group_recall_answers(struct group *group);
void group_commit_settle(struct group *group);
void group_commit_tick(void *arg); /* commit_timer's; a group */

/* ---- group_read.c ---- */
void group_reads_turn(struct group *group);
void group_reads_tick(void *arg); /* reads_timer's; a group */
void group_reads_settle(struct group *group);
void group_reads_fail(struct group *group, int status);
void group_receive_read(struct group *group, uint64_t from, const struct message *message);

/* ---- group_send.c, group_load.c ---- */
void group_stream_begin(struct group *group, uint64_t to);
void group_streams_tick(struct group *group);
void group_streams_end(struct group *group);
void group_receive_chunk_result(struct group *group, uint64_t from, const struct message *message);
void group_receive_chunk(struct group *group, uint64_t from, const struct message *message);
void group_load_install(struct group *group, const struct raft_update *update);
void group_load_persisted(struct group *group);
int group_load_mark(struct group *group); /* to the log; again after a sync when it was full */
void group_load_end(struct group *group);

/* ---- group_members.c ---- */
void group_members_settle(struct group *group);
void group_members_fail(struct group *group, int status);
bool group_settled(const struct group *group);

/* ---- node.c ---- */
struct env *node_env(const struct node *node);
struct wal *node_wal(const struct node *node);
uint64_t node_id(const struct node *node);
const char *node_address(const struct node *node);
bool node_stopping(const struct node *node);                /* no new proposals */
bool node_dead(const struct node *node);                    /* nothing at all any more */
void node_activate(struct node *node, struct group *group); /* group_turn() soon */
void node_deactivate(struct node *node, struct group *group);
void node_fail(struct node *node, int error, const char *problem);
struct buffer *node_scratch(struct node *node); /* empty; until the next call */

#endif
