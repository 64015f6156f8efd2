/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followers hear of commitment with the next entries or the next heartbeat. What they serve by
 * themselves (watches, the tables of their data plane) would be so late. So those that no entries
 * have told within a millisecond, or at once when none are on their way, get what a heartbeat is:
 * an append without entries, behind the last one that the leader knows them to have.
 */
#include <string.h>

#include "controlplane/core/group_private.h"

#define TELL_NS (1 * NS_PER_MS)

static unsigned told_of(struct group *group, uint64_t node)
{
    unsigned i = 0;

    if (group->told_term != group->raft.current_term) {
        memset(group->told, 0, sizeof(group->told));
        group->told_term = group->raft.current_term;
    }
    while (i < GROUP_MEMBERS_MAX - 1 && group->told[i].id && group->told[i].id != node)
        i++;
    if (group->told[i].id != node) {
        memset(&group->told[i], 0, sizeof(group->told[i]));
        group->told[i].id = node;
    }
    return i;
}

void group_note_told(struct group *group, uint64_t node, uint64_t commit)
{
    unsigned i = told_of(group, node);

    if (group->told[i].commit < commit)
        group->told[i].commit = commit;
}

void group_note_answer(struct group *group, uint64_t node)
{
    group->told[told_of(group, node)].heard = group_now_ms(group);
}

/* libraft forgets, whenever a heartbeat to any follower is due, what it has heard of all of them;
 * one that hasn't answered between two such times is taken for unreachable, and gets new entries
 * only with heartbeats. When these are due at different times, that is all of them, for good. */
int group_recall_answers(struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t now = group_now_ms(group);
    int error = 0;

    for (unsigned i = 0; i < members->n && group_leading(group) && !error; i++) {
        struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_address = ""};
        struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &message};
        raft_index match;
        uint64_t heard;

        message.server_id = members->servers[i].id;
        heard = group->told[told_of(group, message.server_id)].heard;
        if (message.server_id == group->raft.id || !heard ||
            now - heard >= 2 * (uint64_t)group->options.heartbeat_ms ||
            raft_match_index(&group->raft, message.server_id, &match))
            continue;
        message.append_entries_result = (struct raft_append_entries_result){
            .version = 2, .term = group->raft.current_term, .last_log_index = match};
        error = group_step(group, &event);
    }
    return error;
}

/* The follower's last entry, if it has all that is committed and has not heard so; else 0. */
static uint64_t untold(struct group *group, const struct raft_server *server)
{
    const struct raft *raft = &group->raft;
    raft_index match;

    if (server->id == raft->id || server->role == RAFT_SPARE ||
        raft_match_index(raft, server->id, &match) || match < raft->commit_index ||
        group->told[told_of(group, server->id)].commit >= raft->commit_index)
        return 0;
    return match;
}

static void tell(struct group *group, uint64_t node, uint64_t match)
{
    struct message message = {.kind = MESSAGE_APPEND, .term = group->raft.current_term};

    message.append.prev_index = match;
    message.append.prev_term = wal_term_at(group->wal, group->number, match);
    message.append.commit = group->raft.commit_index;
    if (message.append.prev_term && group_send(group, node, &message))
        group_note_told(group, node, message.append.commit);
}

void group_commit_tick(void *arg)
{
    struct group *group = arg;
    const struct raft_configuration *members = &group->raft.configuration;

    group->telling = false;
    if (!group_leading(group) || node_dead(group->node))
        return;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t match = untold(group, &members->servers[i]);

        if (match)
            tell(group, members->servers[i].id, match);
    }
}

/* Entries are on their way, and others behind them will tell. */
static bool entries_follow(struct group *group)
{
    return raft_last_index(&group->raft) > group->raft.commit_index;
}

void group_commit_settle(struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;

    if (!group_leading(group) || group->telling)
        return;
    for (unsigned i = 0; i < members->n && !group->telling; i++)
        group->telling = untold(group, &members->servers[i]) != 0;
    if (group->telling)
        group->env->ops->timer_set(group->env, &group->commit_timer,
                                   env_now(group->env) + (entries_follow(group) ? TELL_NS : 0));
}
