/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followers hear of commitment with the next entries or the next heartbeat. What they serve by
 * themselves (watches, the tables of their data plane) would be so late. So those that no entries
 * have told within a millisecond get what a heartbeat is: an append without entries, behind the
 * last one that the leader knows them to have.
 */
#include <string.h>

#include "controlplane/core/group_private.h"

#define TELL_NS (1 * NS_PER_MS)

static uint64_t *told_of(struct group *group, uint64_t node)
{
    unsigned i = 0;

    while (i < GROUP_MEMBERS_MAX - 1 && group->told[i].id && group->told[i].id != node)
        i++;
    if (group->told[i].id != node) {
        group->told[i].id = node;
        group->told[i].commit = 0;
    }
    return &group->told[i].commit;
}

void group_note_told(struct group *group, uint64_t node, uint64_t commit)
{
    uint64_t *told = told_of(group, node);

    if (*told < commit)
        *told = commit;
}

/* The follower's last entry, if it has all that is committed and has not heard so; else 0. */
static uint64_t untold(struct group *group, const struct raft_server *server)
{
    const struct raft *raft = &group->raft;
    raft_index match;

    if (server->id == raft->id || server->role == RAFT_SPARE ||
        raft_match_index(raft, server->id, &match) || match < raft->commit_index ||
        *told_of(group, server->id) >= raft->commit_index)
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

void group_commit_settle(struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;

    if (!group_leading(group) || group->telling)
        return;
    if (group->told_term != group->raft.current_term) {
        memset(group->told, 0, sizeof(group->told));
        group->told_term = group->raft.current_term;
    }
    for (unsigned i = 0; i < members->n && !group->telling; i++)
        group->telling = untold(group, &members->servers[i]) != 0;
    if (group->telling)
        group->env->ops->timer_set(group->env, &group->commit_timer, env_now(group->env) + TELL_NS);
}
