/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot from the leader. libraft hears of it only when all chunks are there: from then on it
 * has thrown its log away and there is no way back. The old state stands until then, so that a
 * leader that is lost in the middle costs nothing.
 *
 * The machine takes the new state durably before the log's mark is written. After a crash between
 * the two the machine is ahead of the log, which does no harm: what it holds is committed, the log
 * is filled up by a leader, and what the machine has is not applied again. The other way round
 * there would be a hole.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

static void answer(struct group *group, uint64_t to, uint64_t stream, uint64_t sequence,
                   bool refused)
{
    struct message message = {.kind = MESSAGE_CHUNK_RESULT, .term = group->raft.current_term};

    message.chunk_result.stream = stream;
    message.chunk_result.sequence = sequence;
    message.chunk_result.refused = refused;
    group_send(group, to, &message);
}

void group_load_end(struct group *group)
{
    if (!group->load.stream || group->load.installing)
        return;
    group->machine->ops->load_abort(group->machine);
    raft_configuration_close(&group->load.members);
    memset(&group->load, 0, sizeof(group->load));
}

static bool begin(struct group *group, uint64_t from, const struct message *message)
{
    struct load *load = &group->load;
    struct raft_buffer members = {.base = (void *)message->chunk.members,
                                  .len = message->chunk.members_length};

    group_load_end(group);
    /* All there already: libraft would refuse it at the end. */
    if (message->chunk.index <= group->raft.trail.snapshot.index ||
        wal_term_at(group->wal, group->number, message->chunk.index) == message->chunk.index_term)
        return false;
    if (raft_configuration_decode(&members, &load->members))
        return false;
    if (group->machine->ops->load_begin(group->machine, message->chunk.index)) {
        raft_configuration_close(&load->members);
        memset(load, 0, sizeof(*load));
        return false;
    }
    load->node = from;
    load->stream = message->chunk.stream;
    load->index = message->chunk.index;
    load->index_term = message->chunk.index_term;
    load->members_index = message->chunk.members_index;
    return true;
}

/* All chunks are there: libraft decides. */
static void install(struct group *group)
{
    struct load *load = &group->load;
    struct raft_message message = {
        .type = RAFT_INSTALL_SNAPSHOT, .server_id = load->node, .server_address = ""};
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &message};
    uint64_t node = load->node, stream = load->stream, sequence = load->sequence;

    message.install_snapshot = (struct raft_install_snapshot){
        .term = group->raft.current_term,
        .last_index = load->index,
        .last_term = load->index_term,
        .conf = load->members,
        .conf_index = load->members_index,
    };
    memset(&load->members, 0, sizeof(load->members)); /* libraft's now */
    group_step(group, &event);
    if (load->installing || node_dead(group->node))
        return;
    group_load_end(group);
    answer(group, node, stream, sequence, true);
}

void group_load_install(struct group *group, const struct raft_update *update)
{
    struct machine *machine = group->machine;
    int error = 0;

    group->mark = update->snapshot.metadata;
    group->load.installing = true;
    if (machine->ops->applied(machine) < group->mark.index)
        error = machine->ops->load_commit(machine);
    else /* ahead of the log, see above */
        machine->ops->load_abort(machine);
    if (error) {
        group_fail(group, error, "a snapshot can't be loaded");
        return;
    }
    if (group->applied < group->mark.index)
        group->applied = group->mark.index;
    error = group_load_mark(group);
    if (error && error != CULVERT_EFULL)
        group_fail(group, error, "the log");
}

void group_load_persisted(struct group *group)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    struct load load = group->load;

    event.persisted_snapshot.metadata = group->mark;
    event.persisted_snapshot.last = true;
    memset(&group->mark, 0, sizeof(group->mark)); /* libraft's now */
    memset(&group->load, 0, sizeof(group->load));
    if (!group_step(group, &event))
        answer(group, load.node, load.stream, load.sequence, false);
}

void group_receive_chunk(struct group *group, uint64_t from, const struct message *message)
{
    struct load *load = &group->load;
    const char *address;
    raft_id leader;
    int error;

    raft_leader(&group->raft, &leader, &address);
    /* While one is being installed the leader just asks again. */
    if (message->term != group->raft.current_term || group_leading(group) || leader != from ||
        load->installing || group->raft.snapshot.installing || group->stalled.count)
        return;
    if (!message->chunk.sequence && message->chunk.stream != load->stream &&
        !begin(group, from, message)) {
        answer(group, from, message->chunk.stream, 0, true);
        return;
    }
    if (message->chunk.stream != load->stream || from != load->node) {
        answer(group, from, message->chunk.stream, 0, true);
        return;
    }
    if (message->chunk.sequence != load->sequence) {
        answer(group, from, load->stream, load->sequence, false);
        return;
    }
    if (message->chunk.last && group->flushing)
        return; /* the machine does one thing at a time */
    error =
        group->machine->ops->load_chunk(group->machine, message->chunk.data, message->chunk.length);
    if (error) {
        group_load_end(group);
        answer(group, from, message->chunk.stream, 0, true);
        return;
    }
    load->sequence++;
    if (message->chunk.last)
        install(group);
    else
        answer(group, from, load->stream, load->sequence, false);
}
