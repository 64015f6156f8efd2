/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/node.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/core/group_private.h"

struct node {
    struct env *env;
    struct wal *wal;
    uint64_t id;
    char *address;
    struct group *groups;
    struct group *active, **active_last; /* group_turn() at the end of this turn */
    struct env_timer turn;
    bool turn_set;
    struct wal_sync sync;
    bool syncing, closed; /* closed: freed, with the log, when the sync is done */
    struct buffer scratch;
    void (*failed)(void *arg, int error, const char *problem);
    void *arg;
    int error; /* dead */
    char *problem;
    bool stopping;
    unsigned handing; /* groups whose leadership is on its way */
    struct env_timer stop;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

struct env *node_env(const struct node *node)
{
    return node->env;
}

struct wal *node_wal(const struct node *node)
{
    return node->wal;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

const char *node_address(const struct node *node)
{
    return node->address;
}

bool node_stopping(const struct node *node)
{
    return node->stopping;
}

bool node_dead(const struct node *node)
{
    return node->error != 0;
}

struct buffer *node_scratch(struct node *node)
{
    buffer_clear(&node->scratch);
    return &node->scratch;
}

struct group *node_group(const struct node *node, uint32_t number)
{
    struct group *group = node->groups;

    while (group && group->number != number)
        group = group->next;
    return group;
}

/* ---- the turn ---- */

static void set_turn(struct node *node)
{
    if (node->turn_set)
        return;
    node->turn_set = true;
    node->env->ops->timer_set(node->env, &node->turn, env_now(node->env));
}

void node_activate(struct node *node, struct group *group)
{
    if (!group->active) {
        group->active = true;
        group->active_next = NULL;
        *node->active_last = group;
        node->active_last = &group->active_next;
    }
    set_turn(node);
}

void node_deactivate(struct node *node, struct group *group)
{
    struct group **at = &node->active;

    while (*at && *at != group)
        at = &(*at)->active_next;
    if (*at)
        *at = group->active_next;
    node->active_last = &node->active;
    while (*node->active_last)
        node->active_last = &(*node->active_last)->active_next;
}

void node_fail(struct node *node, int error, const char *problem)
{
    if (node->error)
        return;
    node->error = error;
    node->problem = strdup(problem);
    node->turn_set = false;
    set_turn(node);
}

static void begin_sync(struct node *node);

static void node_free(struct node *node)
{
    wal_close(node->wal);
    buffer_free(&node->scratch);
    free(node->address);
    free(node->problem);
    free(node);
}

static void synced(struct wal_sync *sync, int status)
{
    struct node *node = sync->arg;

    node->syncing = false;
    if (node->closed) {
        node_free(node);
        return;
    }
    if (node->error)
        return;
    if (status) {
        node_fail(node, status, "the log can't be written");
        return;
    }
    for (struct group *group = node->groups; group && !node->error; group = group->next)
        group_synced(group);
    begin_sync(node);
}

/* One sync for all; what is appended while it runs goes with the next. */
static void begin_sync(struct node *node)
{
    bool dirty = false;

    if (node->syncing || node->error)
        return;
    for (struct group *group = node->groups; group; group = group->next)
        dirty |= group->dirty;
    if (!dirty)
        return;
    for (struct group *group = node->groups; group; group = group->next)
        group_syncing(group);
    node->syncing = true;
    node->sync = (struct wal_sync){.done = synced, .arg = node};
    wal_sync(node->wal, &node->sync);
}

static void turn(void *arg)
{
    struct node *node = arg;
    struct group *group = node->active;

    node->turn_set = false;
    if (node->error) {
        node->failed(node->arg, node->error, node->problem ? node->problem : "out of memory");
        return;
    }
    /* What they activate meanwhile has the next turn. */
    node->active = NULL;
    node->active_last = &node->active;
    while (group && !node->error) {
        struct group *next = group->active_next;

        group->active = false;
        group_turn(group);
        group = next;
    }
    begin_sync(node);
}

/* ---- messages ---- */

static void receive(void *arg, uint64_t from, const uint8_t *bytes, size_t length)
{
    struct node *node = arg;
    struct message message;
    struct group *group;

    if (node->error || message_decode(bytes, length, &message))
        return;
    group = node_group(node, message.group);
    if (group)
        group_receive(group, from, &message);
    message_free(&message);
}

/* Raft's timers repeat what a broken connection or a full queue has lost. */
static void connected(void *arg, uint64_t other, bool up)
{
    struct node *node = arg;

    for (struct group *group = node->groups; group && !node->error; group = group->next)
        if (group->listener.connected)
            group->listener.connected(group->listener.arg, other, up);
}

static void writable(void *arg, uint64_t other)
{
}

/* ---- libraft's memory ---- */

static void *heap_have(void *memory, size_t size)
{
    if (!memory && size) {
        log_error("out of memory in libraft, %zu bytes: the process ends", size);
        abort();
    }
    return memory;
}

static void *heap_malloc(void *data, size_t size)
{
    return heap_have(malloc(size), size);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    return heap_have(calloc(count, size), count * size);
}

static void *heap_realloc(void *data, void *memory, size_t size)
{
    return heap_have(realloc(memory, size), size);
}

static void heap_free(void *data, void *memory)
{
    free(memory);
}

/* Some of libraft's own ways out of a lack of memory leave freed memory in use without an error
 * (its RestoreSnapshot, membershipRollback), so there is none: a node that ends may begin again.
 * What libraft asks for is small; entries and their data are allocated, and refused, by this
 * folder with malloc(), and freed by either. */
static void heap_set(void)
{
    static struct raft_heap heap = {
        .malloc = heap_malloc, .free = heap_free, .calloc = heap_calloc, .realloc = heap_realloc};

    raft_heap_set(&heap);
}

/* ---- opening, stopping, closing ---- */

int node_open(struct node **out, struct env *env, const struct node_options *options,
              char **problem)
{
    struct node *node = calloc(1, sizeof(*node));
    int error;

    if (problem)
        *problem = NULL;
    if (!node)
        return CULVERT_ENOMEM;
    heap_set();
    node->env = env;
    node->id = options->id;
    node->address = strdup(options->address);
    node->failed = options->failed;
    node->arg = options->arg;
    node->active_last = &node->active;
    node->turn = (struct env_timer){.fn = turn, .arg = node};
    buffer_init(&node->scratch, ENV_MESSAGE_MAX);
    error = node->address ? wal_open(&node->wal, env, &options->wal, problem) : CULVERT_ENOMEM;
    if (error) {
        node_close(node);
        return error;
    }
    env->ops->events(
        env, &(struct env_events){
                 .arg = node, .message = receive, .connected = connected, .writable = writable});
    *out = node;
    return 0;
}

int node_group_open(struct node *node, uint32_t number, struct machine *machine,
                    const struct group_options *options, const struct group_member *members,
                    size_t count, struct group **out)
{
    struct group *group;
    int error;

    if (node_group(node, number))
        return CULVERT_EEXIST;
    error = group_open(&group, node, number, machine, options, members, count);
    if (error)
        return error;
    group->next = node->groups;
    node->groups = group;
    if (out)
        *out = group;
    return 0;
}

static void stopped(void *arg)
{
    struct node *node = arg;

    node->stopped(node->stopped_arg);
}

/* libraft gives a transfer up after an election timeout, so each ends. */
static void handed_over(void *arg, int status)
{
    struct node *node = arg;

    if (--node->handing || !node->stop.fn || node->closed)
        return;
    node->env->ops->timer_set(node->env, &node->stop, env_now(node->env));
}

void node_stop(struct node *node, void (*done)(void *arg), void *arg)
{
    node->stopping = true;
    node->stopped = done;
    node->stopped_arg = arg;
    node->stop = (struct env_timer){.fn = stopped, .arg = node};
    for (struct group *group = node->groups; group && !node->error; group = group->next)
        node->handing += !group_transfer(group, 0, handed_over, node);
    if (!node->handing)
        node->env->ops->timer_set(node->env, &node->stop, env_now(node->env));
}

void node_close(struct node *node)
{
    if (!node)
        return;
    if (!node->error)
        node->error = CULVERT_EIO; /* nothing begins any more */
    while (node->groups) {
        struct group *group = node->groups;

        node->groups = group->next;
        group_close(group);
    }
    if (node->turn.fn)
        node->env->ops->timer_stop(node->env, &node->turn);
    if (node->stop.fn)
        node->env->ops->timer_stop(node->env, &node->stop);
    node->closed = true;
    if (!node->syncing)
        node_free(node);
}
