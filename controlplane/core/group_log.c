/* SPDX-License-Identifier: Apache-2.0 */
/* A group and its part of the write-ahead log. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

#define READ_MAX 256u /* entries at a time */

static void touched(struct group *group)
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
    touched(group);
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
    touched(group);
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
        touched(group);
    }
    if (!error && group->stalled_mark) {
        error = group_load_mark(group);
        touched(group);
    }
    if (!error && group->stalled.count) {
        error = append(group, group->stalled.index, group->stalled.entries, group->stalled.count);
        touched(group);
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
    touched(group);
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
    touched(group);
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

void group_compact(struct group *group)
{
    uint64_t applied = group->machine->ops->applied(group->machine);
    uint64_t snapshot = group->raft.trail.snapshot.index;

    /* The machine may be ahead of the log on this disk, for others have committed; also after a
     * crash. Nothing can be marked there. */
    if (group->flushing || group->load.installing || applied <= snapshot ||
        applied > group->raft.commit_index || applied > group->raft.last_stored ||
        (applied - snapshot < group->options.snapshot_entries &&
         group->snapshot_bytes < group->options.snapshot_bytes))
        return;
    group->flushing = true;
    group->snapshot_bytes = 0;
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
        if (!count || !sent)
            return;
        message.append.prev_index += (unsigned)count;
        message.append.prev_term = entries[count - 1].term;
        left -= (unsigned)count;
    } while (left);
}

/* ---- starting ---- */

static int bootstrap(struct group *group, const struct group_member *members, size_t count)
{
    struct raft_configuration configuration;
    struct raft_buffer encoded = {0};
    struct wal_entry entry = {.term = 1, .type = RAFT_CHANGE};
    int error = 0;

    raft_configuration_init(&configuration);
    for (size_t i = 0; i < count && !error; i++)
        if (!members[i].id || !members[i].address || i >= GROUP_MEMBERS_MAX ||
            strlen(members[i].address) >= MESSAGE_ADDRESS_MAX ||
            raft_configuration_add(&configuration, members[i].id, members[i].address,
                                   (int)members[i].role))
            error = CULVERT_EINVAL;
    if (!error && !group_voters(&configuration))
        error = CULVERT_EINVAL;
    if (!error && raft_configuration_encode(&configuration, &encoded))
        error = CULVERT_ENOMEM;
    entry.data = encoded.base;
    entry.length = encoded.len;
    if (!error)
        error = wal_set_term(group->wal, group->number, 1, 0);
    if (!error)
        error = wal_append(group->wal, group->number, 1, &entry, 1);
    /* Nothing is said to anybody before this is on the disk. */
    group->term_seq++;
    touched(group);
    raft_free(encoded.base);
    raft_configuration_close(&configuration);
    return error;
}

/* Entries for RAFT_START: terms and types, and the data of the members' changes, all of these in
 * one batch. */
static int read_entries(struct group *group, const struct wal_group *log, struct raft_event *event)
{
    size_t count = log->last - log->first + 1, done = 0;
    struct raft_entry *list = raft_calloc(count, sizeof(*list));
    struct buffer changes = {0};
    uint8_t *batch;
    size_t at = 0;
    int error = list ? 0 : CULVERT_ENOMEM;

    while (!error && done < count) {
        struct wal_entry entries[READ_MAX];
        size_t left = count - done;
        void *memory;
        int got = wal_read(group->wal, group->number, log->first + done,
                           left < READ_MAX ? left : READ_MAX, MESSAGE_APPEND_MAX, entries, &memory);

        for (int i = 0; i < got; i++) {
            struct raft_entry *to = &list[done + (size_t)i];

            to->term = entries[i].term;
            to->type = (enum raft_entry_type)entries[i].type;
            if (entries[i].type != MESSAGE_MEMBERS)
                continue;
            if (!message_members_valid(entries[i].data, entries[i].length))
                error = CULVERT_ECORRUPT;
            to->buf.len = entries[i].length;
            buffer_add(&changes, entries[i].data, entries[i].length);
        }
        if (got <= 0)
            error = got ? got : CULVERT_ECORRUPT;
        else
            free(memory);
        done += got > 0 ? (size_t)got : 0;
    }
    batch = error ? NULL : raft_malloc(changes.length + 1);
    if (!error && (changes.error || !batch))
        error = CULVERT_ENOMEM;
    if (!error && changes.length)
        memcpy(batch, changes.data, changes.length);
    buffer_free(&changes);
    if (error) {
        raft_free(batch);
        raft_free(list);
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        list[i].batch = batch;
        if (list[i].buf.len)
            list[i].buf.base = batch + at;
        at += list[i].buf.len;
    }
    event->start.entries = list;
    event->start.n_entries = (unsigned)count;
    return 0;
}

static int read_mark(const struct wal_group *log, struct raft_snapshot_metadata *mark)
{
    struct raft_buffer encoded = {.base = (uint8_t *)log->meta + GROUP_META_HEAD,
                                  .len = log->meta_length - GROUP_META_HEAD};
    uint64_t members_index;

    if (log->meta_length <= GROUP_META_HEAD || !log->snapshot_term ||
        !message_members_valid(encoded.base, encoded.len))
        return CULVERT_ECORRUPT;
    memcpy(&members_index, log->meta, sizeof(members_index));
    mark->index = log->snapshot_index;
    mark->term = log->snapshot_term;
    mark->configuration_index = le64toh(members_index);
    return raft_configuration_decode(&encoded, &mark->configuration) ? CULVERT_ENOMEM : 0;
}

/* Whether the newest members in the event are this node as the only voter. */
static bool alone(const struct group *group, const struct raft_event *event)
{
    struct raft_configuration newest;
    const struct raft_server *self;
    bool is = false;

    for (unsigned i = event->start.n_entries; i-- > 0;)
        if (event->start.entries[i].type == RAFT_CHANGE) {
            if (raft_configuration_decode(&event->start.entries[i].buf, &newest))
                return false;
            self = group_server(&newest, group->raft.id);
            is = self && self->role == RAFT_VOTER && group_voters(&newest) == 1;
            raft_configuration_close(&newest);
            return is;
        }
    if (!event->start.metadata)
        return false;
    self = group_server(&event->start.metadata->configuration, group->raft.id);
    return self && self->role == RAFT_VOTER &&
           group_voters(&event->start.metadata->configuration) == 1;
}

/* What libraft asserts of its start, and that the machine reaches up to where the log begins. */
static int check(const struct group *group, const struct wal_group *log,
                 const struct raft_event *event)
{
    const struct raft_entry *entries = event->start.entries;
    uint64_t term =
        log->snapshot_index && log->first > log->snapshot_index ? log->snapshot_term : 1;

    if (group->machine->ops->applied(group->machine) < log->snapshot_index)
        return CULVERT_ECORRUPT;
    if (!event->start.n_entries)
        return 0;
    if (log->snapshot_index ? log->first > log->snapshot_index + 1
                            : log->first != 1 || entries[0].type != RAFT_CHANGE)
        return CULVERT_ECORRUPT;
    for (unsigned i = 0; i < event->start.n_entries; i++) {
        if (entries[i].term < term || entries[i].term > log->term ||
            entries[i].type < RAFT_COMMAND || entries[i].type > RAFT_CHANGE)
            return CULVERT_ECORRUPT;
        term = entries[i].term;
    }
    return 0;
}

static void free_start(struct raft_event *event)
{
    if (event->start.n_entries)
        raft_free(event->start.entries[0].batch);
    raft_free(event->start.entries);
}

int group_restore(struct group *group, const struct group_member *members, size_t count)
{
    struct wal_group log = {0};
    struct raft_snapshot_metadata mark = {0};
    struct raft_event event = {.type = RAFT_START};
    int error = 0;

    if (wal_group(group->wal, group->number, &log) == CULVERT_ENOTFOUND && count) {
        error = bootstrap(group, members, count);
        if (!error)
            error = wal_group(group->wal, group->number, &log);
    }
    if (!error && log.snapshot_index)
        error = read_mark(&log, &mark);
    if (!error && log.first && log.last >= log.first)
        error = read_entries(group, &log, &event);
    if (error)
        return error;
    event.start.start_index = event.start.n_entries ? log.first : log.snapshot_index + 1;
    event.start.metadata = log.snapshot_index ? &mark : NULL;
    event.start.term = log.term;
    event.start.voted_for = log.vote;
    error = check(group, &log, &event);
    if (!error && alone(group, &event)) { /* see begin_term_alone() in group.c */
        event.start.term++;
        event.start.voted_for = group->raft.id;
        group->term_seq++;
        touched(group);
        error = wal_set_term(group->wal, group->number, event.start.term, group->raft.id);
    }
    if (error) {
        free_start(&event);
        raft_configuration_close(&mark.configuration);
        return error;
    }
    group->applied = group->machine->ops->applied(group->machine);
    group->appended = event.start.n_entries ? log.last : log.snapshot_index;
    error = group_step(group, &event);
    if (!error)
        free_start(&event);
    return error;
}
