/* SPDX-License-Identifier: Apache-2.0 */
/* A group begins: anew, from what its log holds, or with nothing, to be added by a leader. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

#define READ_MAX 256u /* entries at a time */

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
    group_touched(group);
    raft_free(encoded.base);
    raft_configuration_close(&configuration);
    return error;
}

/* Entries for RAFT_START: terms and types, and the data of the members' changes, all of these in
 * one batch. */
static int read_entries(struct group *group, const struct wal_group *log, struct raft_event *event)
{
    size_t count = log->last - log->first + 1, done = 0;
    struct raft_entry *list = calloc(count, sizeof(*list));
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
    batch = error ? NULL : malloc(changes.length + 1);
    if (!error && (changes.error || !batch))
        error = CULVERT_ENOMEM;
    if (!error && changes.length)
        memcpy(batch, changes.data, changes.length);
    buffer_free(&changes);
    if (error) {
        free(batch);
        free(list);
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

/* Whether the group is still to begin. Its first term and its first entry are written at once, but
 * a power cut may have torn that write: nobody was told of what it left. */
static bool is_new(const struct group *group, struct wal_group *log)
{
    if (wal_group(group->wal, group->number, log) == CULVERT_ENOTFOUND)
        return true;
    return log->term <= 1 && !log->vote && !log->snapshot_index && log->last < log->first;
}

int group_restore(struct group *group, const struct group_member *members, size_t count)
{
    struct wal_group log = {0};
    struct raft_snapshot_metadata mark = {0};
    struct raft_event event = {.type = RAFT_START};
    int error = 0;

    if (is_new(group, &log) && count) {
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
        group_touched(group);
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
