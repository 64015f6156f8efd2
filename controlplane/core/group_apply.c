/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: proposed, submitted once a turn, applied once committed. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

#define APPLY_ENTRIES 64u             /* read at a time */
#define APPLY_BYTES ((size_t)1 << 20) /* likewise */
#define APPLY_TURN 1024u              /* entries before others have their turn */

static void push(struct proposals *queue, struct proposal *proposal)
{
    proposal->next = NULL;
    *queue->last = proposal;
    queue->last = &proposal->next;
}

static struct proposal *pop(struct proposals *queue)
{
    struct proposal *proposal = queue->first;

    queue->first = proposal->next;
    if (!queue->first)
        queue->last = &queue->first;
    return proposal;
}

static void finish(struct group *group, struct proposal *proposal, int status,
                   const struct buffer *result)
{
    group->proposals_count--;
    group->proposals_bytes -= proposal->length;
    proposal->done(proposal->arg, status ? 0 : proposal->index, status, result);
    free(proposal);
}

int group_propose(struct group *group, const void *command, size_t length, group_proposed done,
                  void *arg)
{
    struct proposal *proposal;

    if (length > GROUP_COMMAND_MAX)
        return CULVERT_EINVAL;
    if (!group_leading(group) || node_stopping(group->node) || node_dead(group->node) ||
        raft_transferee(&group->raft))
        return CULVERT_ENOTLEADER;
    if (group->proposals_count >= group->options.proposals_max ||
        group->proposals_bytes + length > group->options.proposals_bytes)
        return CULVERT_EFULL;
    proposal = malloc(sizeof(*proposal) + length);
    if (!proposal)
        return CULVERT_ENOMEM;
    *proposal = (struct proposal){.done = done, .arg = arg, .length = length};
    if (length)
        memcpy(proposal->data, command, length);
    push(&group->waiting, proposal);
    group->proposals_count++;
    group->proposals_bytes += length;
    node_activate(group->node, group);
    return 0;
}

void group_lose_proposals(struct group *group, int waiting, int under_way)
{
    while (group->under_way.first)
        finish(group, pop(&group->under_way), under_way, NULL);
    while (group->waiting.first)
        finish(group, pop(&group->waiting), waiting, NULL);
}

bool group_may_submit(const struct group *group)
{
    bool under_way =
        group->appended > group->raft.last_stored && group->appended > group->raft.commit_index;

    return group->waiting.first && !under_way && !group->stalled.count && !group->want_barrier;
}

/* All that wait, as one batch. The array is the batch, too: the data lies in the proposals, which
 * outlive the step, and the log copies. */
void group_submit(struct group *group)
{
    struct raft_event event = {.type = RAFT_SUBMIT};
    uint64_t index = raft_last_index(&group->raft) + 1;
    struct raft_entry *entries;
    unsigned count = 0;
    int error;

    if (!group->waiting.first || group->stalled.count || group->want_barrier)
        return;
    for (struct proposal *each = group->waiting.first; each; each = each->next)
        count++;
    entries = calloc(count, sizeof(*entries));
    if (!entries) {
        while (group->waiting.first)
            finish(group, pop(&group->waiting), CULVERT_ENOMEM, NULL);
        return;
    }
    count = 0;
    for (struct proposal *each = group->waiting.first; each; each = each->next)
        entries[count++] = (struct raft_entry){.term = group->raft.current_term,
                                               .type = RAFT_COMMAND,
                                               .buf = {.base = each->data, .len = each->length},
                                               .batch = entries};
    event.submit.entries = entries;
    event.submit.n = count;
    while (group->waiting.first) {
        struct proposal *proposal = pop(&group->waiting);

        proposal->index = index++;
        push(&group->under_way, proposal);
    }
    error = group_step(group, &event);
    if (error != CULVERT_EREJECTED)
        return;
    free(entries);
    group_lose_proposals(group, CULVERT_ENOTLEADER, CULVERT_EUNKNOWN);
}

static int apply_command(struct group *group, uint64_t index, const struct wal_entry *entry)
{
    struct buffer result = {0};
    struct proposal *proposal = NULL;
    int error;

    if (group->under_way.first && group->under_way.first->index == index)
        proposal = pop(&group->under_way);
    error = group->machine->ops->apply(group->machine, index, entry->data, entry->length,
                                       proposal ? &result : NULL);
    group->snapshot_bytes += entry->length;
    if (proposal)
        finish(group, proposal, error ? CULVERT_EUNKNOWN : 0, &result);
    buffer_free(&result);
    return error;
}

void group_apply(struct group *group)
{
    struct wal_entry entries[APPLY_ENTRIES];
    uint64_t began = env_now(group->env), most = group->options.heartbeat_ms * NS_PER_MS / 2;
    unsigned budget = APPLY_TURN;

    while (group->applied < group_committed(group) && budget && !node_dead(group->node)) {
        uint64_t left = group_committed(group) - group->applied;
        void *memory;
        int count =
            wal_read(group->wal, group->number, group->applied + 1,
                     left < APPLY_ENTRIES ? left : APPLY_ENTRIES, APPLY_BYTES, entries, &memory);
        int error = count < 0 ? count : 0;

        for (int i = 0; i < count && !error; i++) {
            if (entries[i].type == MESSAGE_COMMAND)
                error = apply_command(group, group->applied + 1, &entries[i]);
            if (!error)
                group->applied++;
            if (env_now(group->env) - began >= most) { /* the loop has others to serve, too */
                count = i + 1;
                budget = (unsigned)count;
            }
        }
        if (count > 0)
            free(memory);
        if (error) {
            group_fail(group, error, "applying a command");
            return;
        }
        budget -= (unsigned)count < budget ? (unsigned)count : budget;
    }
    if (!budget)
        node_activate(group->node, group);
}
