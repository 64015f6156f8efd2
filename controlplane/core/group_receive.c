/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for a group, on their way to libraft: what libraft takes for granted is made sure of
 * here, and what it leaves out is added.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

/* libraft takes an entry below the first of its log for a new one when the message begins at the
 * log's first (nothing precedes it, so nothing is compared). What the snapshot covers is
 * committed, so the sender, a leader of this term, has the same: it is cut off. */
static void skip_compacted(struct group *group, struct message *message, unsigned *skipped)
{
    uint64_t snapshot = group->raft.trail.snapshot.index;
    uint64_t last = message->append.prev_index + message->append.count;

    *skipped = 0;
    if (message->append.prev_index >= snapshot || message->term < group->raft.current_term)
        return;
    *skipped = (unsigned)((last < snapshot ? last : snapshot) - message->append.prev_index);
    message->append.prev_index = snapshot;
    message->append.prev_term = group->raft.trail.snapshot.term;
}

/* The second change of the members since the last that is known to be committed: a leader begins
 * one only when the one before is committed (the thesis, 4.1), so that one is. libraft would
 * forget it, and go back too far should the new one be taken back. */
static int commit_earlier_change(struct group *group, const struct wal_entry *entry, uint64_t prev,
                                 uint64_t prev_term)
{
    uint64_t earlier = group->raft.configuration_uncommitted_index;
    struct raft_event event = {.type = RAFT_CONFIGURATION, .configuration.index = earlier};
    struct wal_entry found;
    void *memory;
    int error;

    if (entry->type != MESSAGE_MEMBERS || !earlier || earlier > prev ||
        wal_term_at(group->wal, group->number, prev) != prev_term ||
        wal_term_at(group->wal, group->number, prev + 1) == entry->term)
        return 0;
    if (wal_read(group->wal, group->number, earlier, 1, SIZE_MAX, &found, &memory) != 1)
        return CULVERT_ENOTFOUND;
    error = raft_configuration_decode(
        &(struct raft_buffer){.base = (void *)found.data, .len = found.length},
        &event.configuration.conf);
    free(memory);
    return error ? CULVERT_ENOMEM : group_step(group, &event);
}

static int step_append(struct group *group, uint64_t from, const struct message *message,
                       const struct wal_entry *entries, unsigned count, uint64_t prev,
                       uint64_t prev_term)
{
    struct raft_message to = {.type = RAFT_APPEND_ENTRIES, .server_id = from, .server_address = ""};
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &to};
    struct raft_entry *list = calloc(count + 1, sizeof(*list));
    size_t length = 0;
    uint8_t *batch;
    int error;

    for (unsigned i = 0; i < count; i++)
        length += entries[i].length;
    batch = count ? malloc(length + 1) : NULL;
    if (!list || (count && !batch)) {
        free(list);
        free(batch);
        return CULVERT_ENOMEM;
    }
    length = 0;
    for (unsigned i = 0; i < count; i++) {
        list[i] = (struct raft_entry){
            .term = entries[i].term,
            .type = (enum raft_entry_type)entries[i].type,
            .buf = {.base = batch + length, .len = entries[i].length},
            .batch = batch,
        };
        memcpy(batch + length, entries[i].data, entries[i].length);
        length += entries[i].length;
    }
    to.append_entries = (struct raft_append_entries){
        .term = message->term,
        .prev_log_index = prev,
        .prev_log_term = prev_term,
        .leader_commit = message->append.commit,
        .entries = list,
        .n_entries = count,
    };
    error = group_step(group, &event); /* takes the batch */
    free(list);
    return error;
}

/* One step for each change of the members, which comes first in it: libraft notes every change as
 * being at the index of the message's first new entry. */
static void receive_append(struct group *group, uint64_t from, struct message *message)
{
    const struct wal_entry *entries = message->append.entries;
    unsigned at, count;
    uint64_t prev, prev_term;
    int error;

    if ((group_leading(group) && message->term == group->raft.current_term) ||
        (group->stalled.count && message->append.count))
        return;
    if (message->term >= group->raft.current_term)
        group->heard = group_now_ms(group);
    skip_compacted(group, message, &at);
    prev = message->append.prev_index;
    prev_term = message->append.prev_term;
    if (at < message->append.count && entries[at].term < prev_term)
        return;
    do {
        for (count = at < message->append.count; at + count < message->append.count; count++)
            if (entries[at + count].type == MESSAGE_MEMBERS)
                break;
        error = count ? commit_earlier_change(group, &entries[at], prev, prev_term) : 0;
        if (!error)
            error = step_append(group, from, message, count ? &entries[at] : NULL, count, prev,
                                prev_term);
        if (error || group->stalled.count)
            return;
        at += count;
        prev += count;
        if (count)
            prev_term = entries[at - 1].term;
    } while (at < message->append.count);
}

/* These two: false when it would break what libraft takes for granted. A follower doesn't lack what
 * it has acknowledged; if it says so it is an old message, or a lie. */
static bool result_plausible(const struct group *group, uint64_t from,
                             const struct message *message)
{
    uint64_t rejected = message->append_result.rejected;
    raft_index match;

    return !rejected || message->term != group->raft.current_term ||
           raft_match_index(&group->raft, from, &match) ||
           (rejected > match && message->append_result.last_index >= match);
}

static bool vote_plausible(const struct group *group, const struct message *message)
{
    const struct raft *raft = &group->raft;

    if (message->kind == MESSAGE_VOTE)
        return !message->vote.last_index == !message->vote.last_term;
    /* libraft looks at the candidate's state before it looks whether it is one. */
    return raft->state == RAFT_CANDIDATE &&
           !(message->vote_result.granted && message->term > raft->current_term + 1);
}

static void receive_raft(struct group *group, uint64_t from, const struct message *message)
{
    struct raft_message to = {.server_id = from, .server_address = ""};
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &to};

    switch (message->kind) {
    case MESSAGE_APPEND_RESULT:
        to.type = RAFT_APPEND_ENTRIES_RESULT;
        to.append_entries_result = (struct raft_append_entries_result){
            .version = 2,
            .term = message->term,
            .rejected = message->append_result.rejected,
            .last_log_index = message->append_result.last_index,
        };
        break;
    case MESSAGE_VOTE:
        to.type = RAFT_REQUEST_VOTE;
        to.request_vote = (struct raft_request_vote){
            .version = 2,
            .term = message->term,
            .candidate_id = from,
            .last_log_index = message->vote.last_index,
            .last_log_term = message->vote.last_term,
            .disrupt_leader = message->vote.disrupt,
            .pre_vote = message->vote.pre_vote,
        };
        break;
    case MESSAGE_VOTE_RESULT:
        to.type = RAFT_REQUEST_VOTE_RESULT;
        to.request_vote_result = (struct raft_request_vote_result){
            .version = 2,
            .term = message->term,
            .vote_granted = message->vote_result.granted,
            .pre_vote = message->vote_result.pre_vote,
        };
        break;
    default:
        to.type = RAFT_TIMEOUT_NOW;
        to.timeout_now = (struct raft_timeout_now){
            .term = message->term,
            .last_log_index = message->vote.last_index,
            .last_log_term = message->vote.last_term,
        };
        break;
    }
    group_step(group, &event);
}

/* Members of whatever role, and none, vote as the candidate asks (the thesis, 4.1: "servers process
 * incoming RPC requests without consulting their current configurations"); whether the vote counts
 * is the candidate's to know. libraft denies it when this node isn't a voter by its own log: one
 * that was promoted and doesn't know it yet would be missing in a quorum. So it is one for the
 * step.
 * Nor does libraft forget a leader that is silent before its own timeout, or ever without a vote
 * (4.2.3: the minimum election timeout). */
static void receive_vote(struct group *group, uint64_t from, const struct message *message)
{
    struct raft *raft = &group->raft;
    struct raft_configuration members = raft->configuration;
    struct raft_server self = {.id = raft->id, .address = raft->address, .role = RAFT_VOTER};

    if (raft->state == RAFT_FOLLOWER &&
        group_now_ms(group) - group->heard >= group->options.election_ms)
        raft->follower_state.current_leader.id = 0;
    if (raft->state == RAFT_FOLLOWER)
        raft->configuration = (struct raft_configuration){.servers = &self, .n = 1};
    receive_raft(group, from, message);
    if (raft->configuration.servers == &self)
        raft->configuration = members;
}

void group_receive(struct group *group, uint64_t from, struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_APPEND:
        receive_append(group, from, message);
        break;
    case MESSAGE_VOTE:
        if (vote_plausible(group, message))
            receive_vote(group, from, message);
        break;
    case MESSAGE_VOTE_RESULT:
        if (vote_plausible(group, message))
            receive_raft(group, from, message);
        break;
    case MESSAGE_APPEND_RESULT:
        if (group_leading(group) && message->term == group->raft.current_term)
            group_note_answer(group, from);
        if (result_plausible(group, from, message))
            receive_raft(group, from, message);
        break;
    case MESSAGE_TIMEOUT_NOW:
        receive_raft(group, from, message);
        break;
    case MESSAGE_CONFIRM:
    case MESSAGE_CONFIRMED:
    case MESSAGE_READ_INDEX:
    case MESSAGE_READ_RESULT:
        group_receive_read(group, from, message);
        break;
    case MESSAGE_CHUNK:
        group_receive_chunk(group, from, message);
        break;
    case MESSAGE_CHUNK_RESULT:
        group_receive_chunk_result(group, from, message);
        break;
    case MESSAGE_TOLD:
        if (group->listener.told)
            group->listener.told(group->listener.arg, from, message->told.data,
                                 message->told.length);
        break;
    }
    group_settle(group);
}
