/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/core/group_private.h"

#define INFLIGHT_ENTRIES 4096u
#define CATCH_UP_ROUNDS 10u

/* ---- small things ---- */

uint64_t group_now_ms(const struct group *group)
{
    return env_now(group->env) / NS_PER_MS;
}

const struct raft_server *group_server(const struct raft_configuration *members, uint64_t id)
{
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].id == id)
            return &members->servers[i];
    return NULL;
}

unsigned group_voters(const struct raft_configuration *members)
{
    unsigned count = 0;

    for (unsigned i = 0; i < members->n; i++)
        count += members->servers[i].role == RAFT_VOTER;
    return count;
}

bool group_established(const struct group *group)
{
    return group_leading(group) && group->term_index &&
           group->raft.commit_index >= group->term_index;
}

void group_fail(struct group *group, int error, const char *what)
{
    struct buffer text = {0};

    buffer_format(&text, "group %u: %s: %s", group->number, what, culvert_strerror(error));
    node_fail(group->node, error, text.data ? text.data : what);
    buffer_free(&text);
}

/* ---- sending ---- */

static bool hold(struct group *group, uint64_t to, const struct buffer *bytes)
{
    struct held *held;

    if (group->held_count == GROUP_HELD_MAX || bytes->length > GROUP_HELD_BYTES - group->held_bytes)
        return false;
    held = malloc(sizeof(*held) + bytes->length);
    if (!held)
        return false;
    *held = (struct held){.node = to, .term_seq = group->term_seq, .length = bytes->length};
    memcpy(held->bytes, bytes->data, bytes->length);
    *group->held_last = held;
    group->held_last = &held->next;
    group->held_count++;
    group->held_bytes += held->length;
    return true;
}

static void send_held(struct group *group, bool all)
{
    struct held *held;

    while ((held = group->held) && (all || held->term_seq <= group->term_synced)) {
        struct iovec part = {.iov_base = held->bytes, .iov_len = held->length};

        group->held = held->next;
        if (!group->held)
            group->held_last = &group->held;
        group->held_count--;
        group->held_bytes -= held->length;
        if (!all)
            group->env->ops->send(group->env, held->node, &part, 1);
        free(held);
    }
}

/* Raft repeats whatever a full or missing connection loses. */
bool group_send(struct group *group, uint64_t to, struct message *message)
{
    struct buffer *bytes = node_scratch(group->node);
    struct iovec part;

    if (to == group->raft.id)
        return false;
    message->group = group->number;
    message_encode(message, bytes);
    if (bytes->error)
        return false;
    if (group->term_seq != group->term_synced)
        return hold(group, to, bytes);
    part = (struct iovec){.iov_base = bytes->data, .iov_len = bytes->length};
    return !group->env->ops->send(group->env, to, &part, 1);
}

static void send_message(struct group *group, const struct raft_message *from)
{
    struct message message = {0};

    switch (from->type) {
    case RAFT_APPEND_ENTRIES:
        group_send_entries(group, from);
        return;
    case RAFT_INSTALL_SNAPSHOT:
        group_stream_begin(group, from->server_id);
        return;
    case RAFT_APPEND_ENTRIES_RESULT:
        message.kind = MESSAGE_APPEND_RESULT;
        message.term = from->append_entries_result.term;
        message.append_result.rejected = from->append_entries_result.rejected;
        message.append_result.last_index = from->append_entries_result.last_log_index;
        break;
    case RAFT_REQUEST_VOTE:
        message.kind = MESSAGE_VOTE;
        message.term = from->request_vote.term;
        message.vote.last_index = from->request_vote.last_log_index;
        message.vote.last_term = from->request_vote.last_log_term;
        message.vote.disrupt = from->request_vote.disrupt_leader;
        message.vote.pre_vote = from->request_vote.pre_vote;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        /* libraft echoes the term that a pre-vote asks for. Who asks for one that is over must
         * learn so, or with the newest log it is for ever denied by its term, and denies others. */
        message.kind = MESSAGE_VOTE_RESULT;
        message.term = from->request_vote_result.term;
        if (!from->request_vote_result.vote_granted && message.term < group->raft.current_term)
            message.term = group->raft.current_term;
        message.vote_result.granted = from->request_vote_result.vote_granted;
        message.vote_result.pre_vote = from->request_vote_result.pre_vote;
        break;
    case RAFT_TIMEOUT_NOW:
        message.kind = MESSAGE_TIMEOUT_NOW;
        message.term = from->timeout_now.term;
        message.vote.last_index = from->timeout_now.last_log_index;
        message.vote.last_term = from->timeout_now.last_log_term;
        break;
    }
    group_send(group, from->server_id, &message);
}

/* ---- a step and its update ---- */

static void leadership_changed(struct group *group, const struct raft_update *update)
{
    bool leading = group_leading(group);

    if (group->was_leading && !leading) {
        group_lose_proposals(group, CULVERT_ENOTLEADER, CULVERT_EUNKNOWN);
        group_streams_end(group);
        group_members_fail(group, CULVERT_EUNKNOWN);
    }
    if (group->was_leading != leading) {
        group_reads_fail(group, CULVERT_ENOTLEADER);
        memset(group->acks, 0, sizeof(group->acks));
        group->term_index = 0;
    }
    /* The thesis, 6.4: a leader knows what is committed once it has committed an entry of its own
     * term. libraft appends one only when it has uncommitted ones. */
    if (leading && !group->was_leading) {
        if (update->flags & (RAFT_UPDATE_ENTRIES))
            group->term_index = update->entries.index;
        else
            group->want_barrier = true;
        group_load_end(group);
    }
    if (!leading)
        group->want_barrier = false;
    group->was_leading = leading;
}

static int carry_out(struct group *group, const struct raft_update *update)
{
    int error = 0;

    if (update->flags & (RAFT_UPDATE_STATE))
        leadership_changed(group, update);
    if (update->flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) {
        group_load_end(group);
        error = group_persist_term(group);
    }
    if (!error && update->flags & (RAFT_UPDATE_ENTRIES))
        error = group_persist_entries(group, update);
    if (error) {
        group_fail(group, error, "the log");
        return error;
    }
    if (update->flags & (RAFT_UPDATE_SNAPSHOT))
        group_load_install(group, update);
    if (update->flags & (RAFT_UPDATE_MESSAGES))
        for (unsigned i = 0; i < update->messages.n; i++)
            send_message(group, &update->messages.batch[i]);
    return 0;
}

int group_step(struct group *group, struct raft_event *event)
{
    struct raft_update update;
    int error;

    if (node_dead(group->node))
        return CULVERT_EIO;
    event->time = group_now_ms(group);
    event->capacity = 0;
    error = raft_step(&group->raft, event, &update);
    switch (error) {
    case 0:
        return carry_out(group, &update);
    case RAFT_NOTLEADER:
    case RAFT_CANTCHANGE:
    case RAFT_NOTFOUND:
    case RAFT_BADID:
        return CULVERT_EREJECTED;
    case RAFT_NOMEM:
        error = CULVERT_ENOMEM;
        break;
    default: /* a committed entry differs from the leader's */
        error = CULVERT_ECORRUPT;
        break;
    }
    group_fail(group, error, "consensus");
    return error;
}

/* ---- what follows from the steps ---- */

static void submit_barrier(struct group *group)
{
    struct raft_entry *entry = calloc(1, sizeof(*entry) + sizeof(uint64_t));
    struct raft_event event = {.type = RAFT_SUBMIT};
    uint64_t index = raft_last_index(&group->raft) + 1;
    int error;

    if (!entry) {
        group_fail(group, CULVERT_ENOMEM, "a new term's first entry");
        return;
    }
    *entry = (struct raft_entry){.term = group->raft.current_term,
                                 .type = RAFT_BARRIER,
                                 .buf = {.base = entry + 1, .len = sizeof(uint64_t)},
                                 .batch = entry};
    event.submit.entries = entry;
    event.submit.n = 1;
    error = group_step(group, &event);
    if (error == CULVERT_EREJECTED)
        free(entry);
    if (error)
        return;
    group->term_index = index;
    group->want_barrier = false;
}

static void set_timer(struct group *group)
{
    uint64_t at = raft_timeout(&group->raft) * NS_PER_MS;

    if (at < group->tick_floor)
        at = group->tick_floor;
    if (group->timer.at != at || !group->opened)
        group->env->ops->timer_set(group->env, &group->timer, at);
}

void group_settle(struct group *group)
{
    if (node_dead(group->node))
        return;
    if (group->want_barrier && !group->stalled.count && !raft_transferee(&group->raft))
        submit_barrier(group);
    group_members_settle(group);
    group_apply(group);
    group_reads_settle(group);
    group_commit_settle(group);
    group_compact(group);
    if (group_may_submit(group))
        node_activate(group->node, group);
    if (!node_dead(group->node))
        set_timer(group);
}

/* libraft makes the only voter leader without a new term. But the term may have had another leader
 * (which removed itself), or entries that this one has forgotten in a crash and a standby has not:
 * two entries of one index and term. So a term is begun first. */
static void begin_term_alone(struct group *group)
{
    const struct raft *raft = &group->raft;
    const struct raft_server *self = group_server(&raft->configuration, raft->id);

    if (raft->state != RAFT_FOLLOWER || !self || self->role != RAFT_VOTER ||
        group_voters(&raft->configuration) != 1 || group_now_ms(group) < raft_timeout(raft))
        return;
    group->raft.current_term++;
    group->raft.voted_for = raft->id;
    if (group_persist_term(group))
        group_fail(group, CULVERT_EIO, "the log");
}

static void tick(void *arg)
{
    struct group *group = arg;
    struct raft_event event = {.type = RAFT_TIMEOUT};

    if (node_dead(group->node))
        return;
    group->timer.at = 0;
    group->tick_floor = env_now(group->env) + group->options.heartbeat_ms * NS_PER_MS / 4;
    begin_term_alone(group);
    if (!group_recall_answers(group) && !group_step(group, &event))
        group_streams_tick(group);
    group_settle(group);
}

/* ---- the log's syncs and the loop's turns ---- */

void group_syncing(struct group *group)
{
    group->syncing.index = group->appended;
    group->syncing.term_seq = group->stalled_term ? group->term_synced : group->term_seq;
    group->syncing.mark = group->mark_unsynced;
    group->mark_unsynced = false;
    group->dirty = false;
}

void group_synced(struct group *group)
{
    struct raft_event event;

    group->term_synced = group->syncing.term_seq;
    send_held(group, false);
    group_unstall(group);
    if (group->syncing.mark) {
        group->syncing.mark = false;
        group_load_persisted(group);
    } else if (group->syncing.index > group->raft.last_stored && !group->raft.snapshot.installing) {
        event = (struct raft_event){.type = RAFT_PERSISTED_ENTRIES};
        event.persisted_entries.index = group->syncing.index;
        group_step(group, &event);
    }
    group_settle(group);
}

void group_turn(struct group *group)
{
    if (group_may_submit(group))
        group_submit(group);
    group_reads_turn(group);
    group_settle(group);
}

/* ---- opening and closing ---- */

static void set_defaults(struct group_options *options)
{
    options->election_ms = options->election_ms ? options->election_ms : 400;
    options->heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : 80;
    options->snapshot_entries = options->snapshot_entries ? options->snapshot_entries : 8192;
    options->snapshot_bytes = options->snapshot_bytes ? options->snapshot_bytes : 64u << 20;
    options->trailing = options->trailing ? options->trailing : 1024;
    options->proposals_max = options->proposals_max ? options->proposals_max : 4096;
    options->proposals_bytes = options->proposals_bytes ? options->proposals_bytes : 32u << 20;
    options->reads_max = options->reads_max ? options->reads_max : 16384;
    if (!options->chunk || options->chunk > MESSAGE_CHUNK_MAX)
        options->chunk = MESSAGE_CHUNK_MAX;
}

static void set_raft(struct group *group)
{
    struct raft *raft = &group->raft;
    unsigned seed;

    group->env->ops->random(group->env, &seed, sizeof(seed));
    raft_seed(raft, seed);
    raft_set_election_timeout(raft, group->options.election_ms);
    raft_set_heartbeat_timeout(raft, group->options.heartbeat_ms);
    /* It asks for a stream again, which does nothing while one runs. */
    raft_set_install_snapshot_timeout(raft, group->options.election_ms);
    raft_set_pre_vote(raft, true);
    raft_set_max_inflight_entries(raft, INFLIGHT_ENTRIES);
    raft_set_max_catch_up_rounds(raft, CATCH_UP_ROUNDS);
    raft_set_max_catch_up_round_duration(raft, 10 * group->options.election_ms);
    group->env->ops->random(group->env, &group->fetch_id, sizeof(group->fetch_id));
    group->fetch_id >>= 1; /* room to count */
    group->fetch_first = group->fetch_id + 1;
    group_stagger(group);
}

int group_open(struct group **out, struct node *node, uint32_t number, struct machine *machine,
               const struct group_options *options, const struct group_member *members,
               size_t count)
{
    struct group *group = calloc(1, sizeof(*group));
    int error;

    if (!group)
        return CULVERT_ENOMEM;
    group->node = node;
    group->env = node_env(node);
    group->wal = node_wal(node);
    group->number = number;
    group->machine = machine;
    if (options)
        group->options = *options;
    set_defaults(&group->options);
    group->timer = (struct env_timer){.fn = tick, .arg = group};
    group->reads_timer = (struct env_timer){.fn = group_reads_tick, .arg = group};
    group->commit_timer = (struct env_timer){.fn = group_commit_tick, .arg = group};
    group->held_last = &group->held;
    group->waiting.last = &group->waiting.first;
    group->under_way.last = &group->under_way.first;
    group->asked.last = &group->asked.first;
    group->confirmed.last = &group->confirmed.first;
    if (raft_init(&group->raft, NULL, NULL, node_id(node), node_address(node))) {
        free(group);
        return CULVERT_ENOMEM;
    }
    set_raft(group);
    error = group_restore(group, members, count);
    if (error) {
        group_close(group);
        return error;
    }
    *out = group;
    group_settle(group);
    group->opened = true;
    return 0;
}

void group_close(struct group *group)
{
    node_deactivate(group->node, group);
    group->env->ops->timer_stop(group->env, &group->timer);
    group->env->ops->timer_stop(group->env, &group->reads_timer);
    group->env->ops->timer_stop(group->env, &group->commit_timer);
    group_lose_proposals(group, CULVERT_ENOTLEADER, CULVERT_EUNKNOWN);
    group_reads_fail(group, CULVERT_ENOTLEADER);
    group_members_fail(group, CULVERT_EUNKNOWN);
    group_streams_end(group);
    group_load_end(group);
    send_held(group, true);
    free(group->stalled.entries);
    raft_configuration_close(&group->mark.configuration);
    raft_close(&group->raft, NULL);
    group->closed = true;
    if (!group->flushing)
        free(group);
}

struct machine *group_machine(const struct group *group)
{
    return group->machine;
}

void group_status(const struct group *group, struct group_status *out)
{
    const struct raft *raft = &group->raft;
    const struct raft_server *self = group_server(&raft->configuration, raft->id);
    struct wal_group log = {0};
    const char *address;
    raft_id leader;

    raft_leader((struct raft *)raft, &leader, &address);
    wal_group(group->wal, group->number, &log);
    *out = (struct group_status){
        .node = raft->id,
        .term = raft->current_term,
        .leader = leader,
        .leading = group_leading(group),
        .role = self ? (enum group_role)self->role : GROUP_SPARE,
        .member = self != NULL,
        .last = log.last,
        .commit = raft->commit_index,
        .applied = group->applied,
        .first = log.first,
        .snapshot = raft->trail.snapshot.index,
        .loading = group->load.stream != 0,
        .proposals = group->proposals_count,
        .reads = group->reads_count,
        .settled = group_settled(group),
        .term_kept = group->term_seq == group->term_synced,
    };
    for (unsigned i = 0; i < GROUP_STREAMS_MAX; i++)
        out->sending += group->streams[i].node != 0;
}
