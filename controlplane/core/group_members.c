/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group, changed one at a time, and the transfer of leadership. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

_Static_assert((int)GROUP_STANDBY == RAFT_STANDBY && (int)GROUP_VOTER == RAFT_VOTER &&
                   (int)GROUP_SPARE == RAFT_SPARE,
               "roles are libraft's");

static void finish(struct change *change, int status)
{
    struct change done = *change;

    memset(change, 0, sizeof(*change));
    if (done.done)
        done.done(done.arg, status);
}

void group_members_fail(struct group *group, int status)
{
    finish(&group->change, status);
    finish(&group->transfer, group_leading(group) ? CULVERT_ETIMEOUT : 0);
}

/* A leader that has committed nothing in its term may not know of a change that is: two would be
 * under way at once (Ongaro, "bug in single-server membership changes", raft-dev, 2015). libraft
 * doesn't look. */
static int changeable(const struct group *group)
{
    if (!group_leading(group))
        return CULVERT_ENOTLEADER;
    if (group->change.done || group->raft.configuration_uncommitted_index ||
        group->raft.leader_state.promotee_id || raft_transferee(&group->raft) ||
        !group_established(group) || group->stalled.count)
        return CULVERT_EBUSY;
    return 0;
}

/* The change as an entry; the batch is the array and the data in one. */
static int submit(struct group *group, const struct raft_configuration *members)
{
    struct raft_event event = {.type = RAFT_SUBMIT};
    struct raft_buffer encoded;
    struct raft_entry *entry;
    int error;

    if (raft_configuration_encode(members, &encoded))
        return CULVERT_ENOMEM;
    entry = malloc(sizeof(*entry) + encoded.len);
    if (entry) {
        memcpy(entry + 1, encoded.base, encoded.len);
        *entry = (struct raft_entry){.term = group->raft.current_term,
                                     .type = RAFT_CHANGE,
                                     .buf = {.base = entry + 1, .len = encoded.len},
                                     .batch = entry};
    }
    raft_free(encoded.base);
    if (!entry)
        return CULVERT_ENOMEM;
    group_submit(group); /* those that wait come first, and may fill the log */
    error = changeable(group);
    if (error) {
        free(entry);
        return error;
    }
    group->change.index = raft_last_index(&group->raft) + 1;
    event.submit.entries = entry;
    event.submit.n = 1;
    error = group_step(group, &event);
    if (error == CULVERT_EREJECTED) {
        free(entry);
        error = CULVERT_EBUSY;
    }
    return error;
}

/* The members as they are, but for one: left out when `role` is negative. */
static int members_with(const struct group *group, uint64_t id, int role,
                        struct raft_configuration *out)
{
    const struct raft_configuration *now = &group->raft.configuration;

    raft_configuration_init(out);
    for (unsigned i = 0; i < now->n; i++) {
        const struct raft_server *server = &now->servers[i];

        if (server->id == id && role < 0)
            continue;
        if (raft_configuration_add(out, server->id, server->address,
                                   server->id == id ? role : server->role)) {
            raft_configuration_close(out);
            return CULVERT_ENOMEM;
        }
    }
    return 0;
}

static int change(struct group *group, uint64_t id, int role, group_changed done, void *arg)
{
    struct raft_configuration members;
    int error = members_with(group, id, role, &members);

    if (error)
        return error;
    error = group_voters(&members) ? submit(group, &members) : CULVERT_EINVAL;
    raft_configuration_close(&members);
    if (!error) {
        group->change.done = done;
        group->change.arg = arg;
    }
    return error;
}

int group_member_add(struct group *group, const struct group_member *member, group_changed done,
                     void *arg)
{
    struct raft_configuration members;
    int error = changeable(group);

    if (error)
        return error;
    if (!member->id || !member->address || strlen(member->address) >= MESSAGE_ADDRESS_MAX ||
        (member->role != GROUP_STANDBY && member->role != GROUP_SPARE))
        return CULVERT_EINVAL;
    if (group->raft.configuration.n >= GROUP_MEMBERS_MAX)
        return CULVERT_EFULL;
    error = members_with(group, 0, 0, &members);
    if (error)
        return error;
    switch (raft_configuration_add(&members, member->id, member->address, (int)member->role)) {
    case 0:
        error = submit(group, &members);
        break;
    case RAFT_NOMEM:
        error = CULVERT_ENOMEM;
        break;
    default:
        error = CULVERT_EEXIST;
        break;
    }
    raft_configuration_close(&members);
    if (!error) {
        group->change.done = done;
        group->change.arg = arg;
    }
    return error;
}

static void handed_over(void *arg, int status)
{
}

/* libraft stands for no election without a vote in its newest members, though the change that took
 * it may be in no other log (the thesis, 4.2.2). So a leader takes no vote from itself. */
static int hand_over(struct group *group)
{
    int error;

    if (group_voters(&group->raft.configuration) == 1)
        return CULVERT_EINVAL;
    error = group_transfer(group, 0, handed_over, NULL);
    return error ? error : CULVERT_ENOTLEADER;
}

int group_member_assign(struct group *group, uint64_t id, enum group_role role, group_changed done,
                        void *arg)
{
    const struct raft_server *server = group_server(&group->raft.configuration, id);
    struct raft_event event = {.type = RAFT_CATCH_UP, .catch_up.server_id = id};
    raft_index match;
    int error = changeable(group);

    if (error)
        return error;
    if (!server)
        return CULVERT_ENOTFOUND;
    if (role != GROUP_STANDBY && role != GROUP_VOTER && role != GROUP_SPARE)
        return CULVERT_EINVAL;
    if (server->role == (int)role)
        return CULVERT_EEXIST;
    if (id == group->raft.id)
        return hand_over(group);
    if (role != GROUP_VOTER ||
        (!raft_match_index(&group->raft, id, &match) && match == raft_last_index(&group->raft)))
        return change(group, id, (int)role, done, arg);
    group->change = (struct change){.done = done, .arg = arg, .catch_up = id};
    error = group_step(group, &event);
    if (error)
        memset(&group->change, 0, sizeof(group->change));
    return error;
}

int group_member_remove(struct group *group, uint64_t id, group_changed done, void *arg)
{
    int error = changeable(group);

    if (error)
        return error;
    if (!group_server(&group->raft.configuration, id))
        return CULVERT_ENOTFOUND;
    if (id == group->raft.id)
        return hand_over(group);
    return change(group, id, -1, done, arg);
}

int group_member_move(struct group *group, uint64_t id, const char *address, group_changed done,
                      void *arg)
{
    const struct raft_configuration *now = &group->raft.configuration;
    struct raft_configuration members;
    int error = changeable(group);

    if (error)
        return error;
    if (!group_server(now, id))
        return CULVERT_ENOTFOUND;
    if (!address || strlen(address) >= MESSAGE_ADDRESS_MAX)
        return CULVERT_EINVAL;
    raft_configuration_init(&members);
    for (unsigned i = 0; i < now->n && !error; i++) {
        const struct raft_server *server = &now->servers[i];
        int status = raft_configuration_add(
            &members, server->id, server->id == id ? address : server->address, server->role);

        error = !status ? 0 : status == RAFT_NOMEM ? CULVERT_ENOMEM : CULVERT_EEXIST;
    }
    if (!error)
        error = submit(group, &members);
    raft_configuration_close(&members);
    if (!error) {
        group->change.done = done;
        group->change.arg = arg;
    }
    return error;
}

bool group_settled(const struct group *group)
{
    return !changeable(group);
}

int group_progress(const struct group *group, uint64_t id, uint64_t *index)
{
    raft_index match;

    if (!group_leading(group))
        return CULVERT_ENOTLEADER;
    if (raft_match_index(&group->raft, id, &match))
        return CULVERT_ENOTFOUND;
    *index = match;
    return 0;
}

/* The voter with the most of the log; libraft would take any. 0: there is no other. */
static uint64_t closest(const struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    raft_index match, most = 0;
    uint64_t id = 0;

    for (unsigned i = 0; i < members->n; i++) {
        const struct raft_server *server = &members->servers[i];

        if (server->role != RAFT_VOTER || server->id == group->raft.id ||
            raft_match_index(&group->raft, server->id, &match) || (id && match <= most))
            continue;
        most = match;
        id = server->id;
    }
    return id;
}

int group_members(const struct group *group,
                  int (*each)(void *arg, const struct group_member *member), void *arg)
{
    const struct raft_configuration *members = &group->raft.configuration;
    int result = 0;

    for (unsigned i = 0; i < members->n && !result; i++) {
        struct group_member member = {.id = members->servers[i].id,
                                      .role = (enum group_role)members->servers[i].role,
                                      .address = members->servers[i].address};

        result = each(arg, &member);
    }
    return result;
}

int group_transfer(struct group *group, uint64_t id, group_changed done, void *arg)
{
    struct raft_event event = {.type = RAFT_TRANSFER};
    int error;

    if (!group_leading(group))
        return CULVERT_ENOTLEADER;
    if (group->transfer.done || raft_transferee(&group->raft))
        return CULVERT_EBUSY;
    group_submit(group);
    event.transfer.server_id = id ? id : closest(group);
    if (!event.transfer.server_id)
        return CULVERT_ENOTFOUND;
    group->transfer = (struct change){.done = done, .arg = arg};
    error = group_step(group, &event);
    if (!error)
        return 0;
    memset(&group->transfer, 0, sizeof(group->transfer));
    return error == CULVERT_EREJECTED ? CULVERT_ENOTFOUND : error;
}

/* The newest change is committed: libraft wants to be told. It may be one that was applied before
 * a restart, so this doesn't wait for its turn among the commands. */
static void commit_members(struct group *group)
{
    uint64_t index = group->raft.configuration_uncommitted_index;
    struct raft_event event = {.type = RAFT_CONFIGURATION, .configuration.index = index};
    struct change own = {0};
    struct wal_entry found;
    void *memory;
    int error;

    /* A snapshot that is being installed brings its own. */
    if (!index || index > group_committed(group) || group->raft.snapshot.installing)
        return;
    error = wal_read(group->wal, group->number, index, 1, SIZE_MAX, &found, &memory);
    if (error < 0) {
        group_fail(group, error, "the log");
        return;
    }
    error = raft_configuration_decode(
        &(struct raft_buffer){.base = (void *)found.data, .len = found.length},
        &event.configuration.conf);
    free(memory);
    if (error) {
        group_fail(group, CULVERT_ENOMEM, "a change of the members");
        return;
    }
    if (group->change.index == index) { /* before this leader may step down over it */
        own = group->change;
        memset(&group->change, 0, sizeof(group->change));
    }
    group_step(group, &event);
    finish(&own, 0);
}

/* A member that was to be promoted has caught up, or has not. */
static void promote(struct group *group)
{
    struct change asked = group->change;
    int status = RAFT_CATCH_UP_ABORTED, error;

    if (!group_leading(group) || raft_catch_up(&group->raft, asked.catch_up, &status))
        status = RAFT_CATCH_UP_ABORTED;
    if (status != RAFT_CATCH_UP_ABORTED && status != RAFT_CATCH_UP_FINISHED)
        return;
    memset(&group->change, 0, sizeof(group->change));
    error = status == RAFT_CATCH_UP_FINISHED ? changeable(group) : CULVERT_ETIMEOUT;
    if (!error)
        error = change(group, asked.catch_up, RAFT_VOTER, asked.done, asked.arg);
    if (error)
        finish(&asked, error);
}

void group_members_settle(struct group *group)
{
    commit_members(group);
    if (group->change.done && group->change.catch_up)
        promote(group);
    if (group->transfer.done && !raft_transferee(&group->raft))
        finish(&group->transfer, group_leading(group) ? CULVERT_ETIMEOUT : 0);
}
