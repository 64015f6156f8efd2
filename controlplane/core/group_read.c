/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linearizable reads without writing (the thesis, section 6.4, "ReadIndex").
 *
 * A read that arrives at the leader of term T takes the commit index as it is then, once an entry
 * of T is committed: it covers all that was acknowledged before. It is served when a quorum of the
 * voters has answered a question asked after the read arrived, and the machine has applied the
 * index. The question is a message of our own, MESSAGE_CONFIRM with T and a round; a node answers
 * only while its current term is T. Why that is enough: had another leader of a term T' > T
 * acknowledged anything before the read arrived, a quorum would have voted in T' before, with T'
 * on their disks. That quorum and the one that answers share a node, and its term was T' and not T
 * when it was asked. (Members change by one at a time, so this holds across a change as it does for
 * commitment.) The rounds of a term are numbered, one a turn of the loop for all its reads; an
 * answer to a round also confirms the rounds before it. No node leads one term twice, so an old
 * answer fits nothing.
 *
 * A follower asks the leader for an index confirmed in this way, one request a turn, and serves
 * once it has applied so much. Its requests are numbered from a random start, and an answer counts
 * only within the numbers given out since: one to its life before a crash may come late.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

static void push(struct reads *queue, struct read *read)
{
    read->next = NULL;
    *queue->last = read;
    queue->last = &read->next;
}

static struct read *pop(struct reads *queue)
{
    struct read *read = queue->first;

    queue->first = read->next;
    if (!queue->first)
        queue->last = &queue->first;
    return read;
}

/* Tells a follower the index; 0: this is not the leader. */
static void answer(struct group *group, uint64_t node, uint64_t id, uint64_t index)
{
    struct message message = {.kind = MESSAGE_READ_RESULT, .term = group->raft.current_term};

    message.read.id = id;
    message.read.index = index;
    group_send(group, node, &message);
}

static void finish(struct group *group, struct read *read, int status)
{
    group->reads_count--;
    if (read->done)
        read->done(read->arg, status);
    else
        answer(group, read->node, read->id, status ? 0 : read->index);
    free(read);
}

static int ask(struct group *group, struct reads *queue, const struct read *as)
{
    struct read *read;

    if (group->reads_count >= group->options.reads_max)
        return CULVERT_EFULL;
    read = malloc(sizeof(*read));
    if (!read)
        return CULVERT_ENOMEM;
    *read = *as;
    read->since = group_now_ms(group);
    push(queue, read);
    group->reads_count++;
    node_activate(group->node, group);
    return 0;
}

static uint64_t leader_of(const struct group *group)
{
    const char *address;
    raft_id id;

    raft_leader((struct raft *)&group->raft, &id, &address);
    return id;
}

int group_wait(struct group *group, uint64_t index, void (*done)(void *arg, int status), void *arg)
{
    return ask(group, &group->confirmed, &(struct read){.done = done, .arg = arg, .index = index});
}

int group_read(struct group *group, void (*done)(void *arg, int status), void *arg)
{
    if (node_dead(group->node) || !leader_of(group))
        return CULVERT_ENOTLEADER;
    return ask(group, &group->asked, &(struct read){.done = done, .arg = arg});
}

void group_reads_fail(struct group *group, int status)
{
    while (group->confirmed.first)
        finish(group, pop(&group->confirmed), status);
    while (group->asked.first)
        finish(group, pop(&group->asked), status);
}

/* ---- rounds ---- */

static void confirm(struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    struct message message = {.kind = MESSAGE_CONFIRM, .term = group->raft.current_term};

    message.read.id = ++group->round;
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].role == RAFT_VOTER)
            group_send(group, members->servers[i].id, &message);
}

static void fetch(struct group *group)
{
    struct message message = {.kind = MESSAGE_READ_INDEX, .term = group->raft.current_term};

    message.read.id = ++group->fetch_id;
    group_send(group, leader_of(group), &message);
}

static void arm(struct group *group)
{
    group->env->ops->timer_set(group->env, &group->reads_timer,
                               env_now(group->env) + group->options.heartbeat_ms * NS_PER_MS);
}

/* Gives the reads that came since the last turn their round. */
void group_reads_turn(struct group *group)
{
    struct read *read = group->asked.first;

    while (read && read->round)
        read = read->next;
    if (!read || (group_leading(group) && !group_established(group)))
        return;
    if (!group_leading(group) && !leader_of(group))
        return; /* the timer goes on asking */
    if (group_leading(group))
        confirm(group);
    else
        fetch(group);
    for (; read; read = read->next) {
        read->round = group_leading(group) ? group->round : group->fetch_id;
        read->index = group->raft.commit_index;
    }
    arm(group);
}

static void expire(struct group *group, struct reads *queue, uint64_t before)
{
    while (queue->first && queue->first->since < before)
        finish(group, pop(queue), CULVERT_ETIMEOUT);
}

/* Messages may be lost: asks again, with a new number, which also answers the older reads. A
 * leader that gets no answers steps down; a follower gives up. */
void group_reads_tick(void *arg)
{
    struct group *group = arg;
    uint64_t now = group_now_ms(group), most = 2ull * group->options.election_ms;

    if (node_dead(group->node))
        return;
    if (!group_leading(group) && now > most) {
        expire(group, &group->asked, now - most);
        expire(group, &group->confirmed, now - most);
    }
    if (!group->asked.first && !group->confirmed.first)
        return;
    if (group->asked.first && group_established(group))
        confirm(group);
    else if (group->asked.first && !group_leading(group) && leader_of(group))
        fetch(group);
    arm(group);
    group_settle(group);
    node_activate(group->node, group);
}

static bool quorum_answered(const struct group *group, uint64_t round)
{
    const struct raft_configuration *members = &group->raft.configuration;
    unsigned answers = 0;

    for (unsigned i = 0; i < members->n; i++) {
        uint64_t id = members->servers[i].id;

        if (members->servers[i].role != RAFT_VOTER)
            continue;
        if (id == group->raft.id)
            answers++;
        for (unsigned j = 0; j < GROUP_MEMBERS_MAX; j++)
            answers += group->acks[j].id == id && group->acks[j].round >= round;
    }
    return answers > group_voters(members) / 2;
}

void group_reads_settle(struct group *group)
{
    while (group_leading(group) && group->asked.first && group->asked.first->round &&
           quorum_answered(group, group->asked.first->round)) {
        struct read *read = pop(&group->asked);

        if (read->done)
            push(&group->confirmed, read);
        else
            finish(group, read, 0);
    }
    while (group->confirmed.first && group->confirmed.first->index <= group->applied)
        finish(group, pop(&group->confirmed), 0);
    if (group->asked.first && !group->asked.first->round && group_established(group))
        node_activate(group->node, group);
}

/* ---- messages ---- */

static void note_answer(struct group *group, uint64_t from, uint64_t round)
{
    unsigned at = 0, unused = GROUP_MEMBERS_MAX;

    while (at < GROUP_MEMBERS_MAX && group->acks[at].id != from) {
        if (unused == GROUP_MEMBERS_MAX &&
            !group_server(&group->raft.configuration, group->acks[at].id))
            unused = at;
        at++;
    }
    if (at == GROUP_MEMBERS_MAX) {
        if (unused == GROUP_MEMBERS_MAX)
            return;
        at = unused;
        group->acks[at].id = from;
        group->acks[at].round = 0;
    }
    if (round <= group->round && round > group->acks[at].round)
        group->acks[at].round = round;
}

static void receive_result(struct group *group, uint64_t id, uint64_t index)
{
    if (group_leading(group) || id < group->fetch_first || id > group->fetch_id)
        return;
    while (group->asked.first && group->asked.first->round && group->asked.first->round <= id) {
        struct read *read = pop(&group->asked);

        read->index = index;
        if (index)
            push(&group->confirmed, read);
        else
            finish(group, read, CULVERT_ENOTLEADER);
    }
}

void group_receive_read(struct group *group, uint64_t from, const struct message *message)
{
    struct message yes = {.kind = MESSAGE_CONFIRMED, .term = message->term};

    switch (message->kind) {
    case MESSAGE_CONFIRM:
        yes.read.id = message->read.id;
        if (message->term == group->raft.current_term && !group_leading(group))
            group_send(group, from, &yes);
        break;
    case MESSAGE_CONFIRMED:
        if (message->term == group->raft.current_term && group_leading(group))
            note_answer(group, from, message->read.id);
        break;
    case MESSAGE_READ_INDEX:
        if (!group_leading(group) ||
            ask(group, &group->asked, &(struct read){.node = from, .id = message->read.id}))
            answer(group, from, message->read.id, 0);
        break;
    default:
        receive_result(group, message->read.id, message->read.index);
        break;
    }
}
