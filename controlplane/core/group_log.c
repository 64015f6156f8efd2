/* SPDX-License-Identifier: Apache-2.0 */
/* A group and its part of the write-ahead log. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

#define READ_MAX 256u /* entries at a time */

/* ---- what a step wants persisted ---- */

void group_touched(struct group *group)
{
    group->dirty = true;
    node_activate(group->node, group);
}

int group_persist_term(struct group *group)
{
    int error =
        wal_set_term(group->wal, group->number, group->raft.current_term, group->raft.voted_for);

    group->term_seq++;
    group->stalled_term = error == CULVERT_EFULL;
    group_touched(group);
    return group->stalled_term ? 0 : error;
}

static int append(struct group *group, uint64_t index, const struct raft_entry *entries,
                  unsigned count)
{
    struct wal_entry *list = calloc(count, sizeof(*list));
    int error;

    if (!list)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < count; i++)
        list[i] = (struct wal_entry){.term = entries[i].term,
                                     .type = (uint8_t)entries[i].type,
                                     .data = entries[i].buf.base,
                                     .length = entries[i].buf.len};
    error = wal_append(group->wal, group->number, index, list, count);
    free(list);
    return error;
}

/* Copies entries that the log has no room for, into one piece of memory: their data may lie in
 * proposals, which can be lost before the log has room. */
static int stall(struct group *group, const struct raft_update *update)
{
    size_t size = update->entries.n * sizeof(struct raft_entry);
    struct raft_entry *copy;
    uint8_t *data;

    for (unsigned i = 0; i < update->entries.n; i++)
        size += update->entries.batch[i].buf.len;
    copy = malloc(size);
    if (!copy)
        return CULVERT_ENOMEM;
    memcpy(copy, update->entries.batch, update->entries.n * sizeof(*copy));
    data = (uint8_t *)(copy + update->entries.n);
    for (unsigned i = 0; i < update->entries.n; i++) {
        if (copy[i].buf.len)
            memcpy(data, copy[i].buf.base, copy[i].buf.len);
        copy[i].buf.base = data;
        data += copy[i].buf.len;
    }
    group->stalled.index = update->entries.index;
    group->stalled.entries = copy;
    group->stalled.count = update->entries.n;
    return 0;
}

int group_persist_entries(struct group *group, const struct raft_update *update)
{
    uint64_t index = update->entries.index;
    int error = group->stalled_term
                    ? CULVERT_EFULL
                    : append(group, index, update->entries.batch, update->entries.n);

    /* The running sync's entries from there on are replaced. */
    if (group->syncing.index >= index)
        group->syncing.index = index - 1;
    group_touched(group);
    if (error == CULVERT_EFULL) {
        group->appended = index - 1;
        error = stall(group, update);
    } else if (!error) {
        group->appended = index + update->entries.n - 1;
    }
    raft_free(update->entries.batch[0].batch);
    return error;
}

uint64_t group_committed(const struct group *group)
{
    uint64_t commit = group->raft.commit_index;

    return group->stalled.count && commit >= group->stalled.index ? group->stalled.index - 1
                                                                  : commit;
}

static void drop_stalled(struct group *group)
{
    free(group->stalled.entries);
    memset(&group->stalled, 0, sizeof(group->stalled));
}

void group_unstall(struct group *group)
{
    int error = 0;

    if (group->stalled_term) {
        error = wal_set_term(group->wal, group->number, group->raft.current_term,
                             group->raft.voted_for);
        group->stalled_term = error == CULVERT_EFULL;
        group_touched(group);
    }
    if (!error && group->stalled_mark) {
        error = group_load_mark(group);
        group_touched(group);
    }
    if (!error && group->stalled.count) {
        error = append(group, group->stalled.index, group->stalled.entries, group->stalled.count);
        group_touched(group);
        if (!error) {
            group->appended = group->stalled.index + group->stalled.count - 1;
            drop_stalled(group);
        }
    }
    if (error && error != CULVERT_EFULL)
        group_fail(group, error, "the log");
}

/* ---- marks ---- */

int group_write_mark(struct group *group, uint64_t index, uint64_t term, unsigned trailing,
                     const struct raft_configuration *members, uint64_t members_index)
{
    struct buffer meta = {0};
    struct raft_buffer encoded;
    uint64_t head = htole64(members_index);
    int error;

    if (raft_configuration_encode(members, &encoded))
        return CULVERT_ENOMEM;
    buffer_add(&meta, &head, sizeof(head));
    buffer_add(&meta, encoded.base, encoded.len);
    raft_free(encoded.base);
    error = meta.error ? meta.error
                       : wal_snapshot(group->wal, group->number, index, term, trailing, meta.data,
                                      meta.length);
    buffer_free(&meta);
    return error;
}

int group_load_mark(struct group *group)
{
    const struct raft_snapshot_metadata *mark = &group->mark;
    int error = group_write_mark(group, mark->index, mark->term, 0, &mark->configuration,
                                 mark->configuration_index);

    drop_stalled(group);
    group->stalled_mark = error == CULVERT_EFULL;
    group->mark_unsynced = !error;
    group->syncing.index = 0;
    group->appended = mark->index;
    group_touched(group);
    return error;
}

static int configuration_copy(const struct raft_configuration *from, struct raft_configuration *to)
{
    struct raft_buffer encoded;
    int error;

    if (raft_configuration_encode(from, &encoded))
        return CULVERT_ENOMEM;
    error = raft_configuration_decode(&encoded, to);
    raft_free(encoded.base);
    return error ? CULVERT_ENOMEM : 0;
}

/* The machine is durable up to an index: the log before it can go. */
static void compact_to(struct group *group, uint64_t index)
{
    struct raft *raft = &group->raft;
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    uint64_t term = wal_term_at(group->wal, group->number, index);
    int error;

    if (raft->snapshot.installing || index <= raft->trail.snapshot.index ||
        index > raft->commit_index || !term || !raft->configuration_committed_index)
        return;
    event.snapshot.metadata.index = index;
    event.snapshot.metadata.term = term;
    event.snapshot.metadata.configuration_index = raft->configuration_committed_index;
    event.snapshot.trailing = group->options.trailing;
    error = group_write_mark(group, index, term, group->options.trailing,
                             &raft->configuration_committed, raft->configuration_committed_index);
    if (error == CULVERT_EFULL)
        return; /* the next flush comes */
    if (!error)
        error = configuration_copy(&raft->configuration_committed,
                                   &event.snapshot.metadata.configuration);
    if (error) {
        group_fail(group, error, "a snapshot's mark");
        return;
    }
    group_touched(group);
    group_step(group, &event);
}

static void flushed(void *arg, int status)
{
    struct group *group = arg;

    group->flushing = false;
    if (group->closed) {
        free(group);
        return;
    }
    if (node_dead(group->node))
        return;
    if (status)
        group_fail(group, status, "the state can't be made durable");
    else
        compact_to(group, group->machine->ops->durable(group->machine));
    group_settle(group);
}

void group_stagger(struct group *group)
{
    uint32_t random;

    group->env->ops->random(group->env, &random, sizeof(random));
    group->snapshot_early = random % (group->options.snapshot_entries / 4 + 1);
}

void group_compact(struct group *group)
{
    uint64_t applied = group->machine->ops->applied(group->machine);
    uint64_t snapshot = group->raft.trail.snapshot.index;

    /* The machine may be ahead of the log on this disk, for others have committed; also after a
     * crash. Nothing can be marked there. */
    if (group->flushing || group->load.installing || applied <= snapshot ||
        applied > group->raft.commit_index || applied > group->raft.last_stored ||
        (applied - snapshot < group->options.snapshot_entries - group->snapshot_early &&
         group->snapshot_bytes < group->options.snapshot_bytes))
        return;
    group->flushing = true;
    group->snapshot_bytes = 0;
    group_stagger(group);
    group->machine->ops->flush(group->machine, flushed, group);
}

/* ---- entries for a follower ---- */

/* A change of the members goes out only when it is on this disk. Else, of two voters, the leader
 * that takes the other's vote away could forget it in a crash, and the other not: the one would
 * need a vote that the other may not give, for its log is longer, and can't ask for itself. What
 * is left out libraft sends again. */
static int sendable(const struct group *group, const struct wal_entry *entries, int count,
                    uint64_t index)
{
    for (int i = 0; i < count; i++)
        if (entries[i].type == MESSAGE_MEMBERS && index + (unsigned)i > group->raft.last_stored)
            return i;
    return count;
}

void group_send_entries(struct group *group, const struct raft_message *from)
{
    const struct raft_append_entries *args = &from->append_entries;
    struct message message = {.kind = MESSAGE_APPEND, .term = args->term};
    struct wal_entry entries[READ_MAX];
    unsigned left = args->n_entries;
    bool sent;

    message.append.prev_index = args->prev_log_index;
    message.append.prev_term = args->prev_log_term;
    message.append.commit = args->leader_commit;
    message.append.entries = entries;
    do {
        void *memory = NULL;
        int count = 0;

        if (left)
            count =
                wal_read(group->wal, group->number, message.append.prev_index + 1,
                         left < READ_MAX ? left : READ_MAX, MESSAGE_APPEND_MAX, entries, &memory);
        if (count < 0)
            return;
        count = sendable(group, entries, count, message.append.prev_index + 1);
        message.append.count = (unsigned)count;
        sent = group_send(group, from->server_id, &message);
        free(memory);
        if (sent)
            group_note_told(group, from->server_id, args->leader_commit);
        if (!count || !sent)
            return;
        message.append.prev_index += (unsigned)count;
        message.append.prev_term = entries[count - 1].term;
        left -= (unsigned)count;
    } while (left);
}
