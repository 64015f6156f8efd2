/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the log: decoded, carried out, written in one batch with its index, told to the
 * observers. */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

/* What the log may hold whatever the front's limits are. */
static const struct kv_limits hard_limits = {.ops = KV_OPS_MAX, .bytes = KV_COMMAND_MAX};

static int command_run(struct kv_work *work, const struct kv_command *command)
{
    switch (command->kind) {
    case KV_COMPACT:
        return kv_compact(work, command->revision);
    case KV_TIDY:
        return kv_tidy(work, (size_t)command->records);
    case KV_LEASE_GRANT:
        return kv_lease_grant(work, &command->lease);
    case KV_LEASE_REVOKE:
        return kv_lease_revoke(work, command->lease.id);
    case KV_LEASE_CHECKPOINT:
        return kv_lease_checkpoint(work, command->checkpoint.list, command->checkpoint.count);
    case KV_ALARM:
        work->meta.alarm = command->alarm;
        return 0;
    case KV_QUOTA:
        work->meta.quota = command->quota;
        return 0;
    default:
        return kv_op_run(work, &command->op);
    }
}

/* Forgets what a refused command has changed, but for an alarm that it raised. */
static void work_undo(struct kv_work *work)
{
    bool alarm = work->meta.alarm;

    kv_batch_clear(&work->store->batch);
    work->meta = work->store->meta;
    work->meta.alarm = alarm;
    work->changes = 0;
    work->lease_count = 0;
}

void kv_result_room(struct buffer *result)
{
    static const uint8_t head[KV_RESULT_HEAD];

    if (result)
        buffer_add(result, head, sizeof(head));
}

int kv_result_finish(struct kv_work *work, size_t at, enum kv_kind kind)
{
    struct buffer *result = work->result;
    int status = work->status;

    if (!result)
        return 0;
    if (status)
        result->length = at + KV_RESULT_HEAD;
    else if (result->error)
        return result->error;
    kv_result_head((uint8_t *)result->data + at, kind, status, work->meta.revision);
    return 0;
}

static void tell_observers(struct kv_work *work)
{
    struct kv_store *store = work->store;
    struct kv_observer *next;

    for (struct kv_observer *one = store->observers; one; one = next) {
        next = one->next;
        for (size_t i = 0; i < work->lease_count && one->lease; i++)
            one->lease(one->arg, &work->leases[i], work->leases[i].ttl);
        if (work->changes)
            one->changed(one->arg, work->meta.revision,
                         work->changes <= KV_EVENTS_MAX ? work->events : NULL, work->changes);
    }
}

static int write_batch(struct kv_work *work)
{
    struct kv_store *store = work->store;
    static const uint8_t name = LAYOUT_META;
    int error;

    layout_meta_encode(&work->record, &work->meta);
    if (work->record.error)
        return work->record.error;
    kv_batch_put(&store->batch, (struct kv_slice){&name, 1}, kv_buffer_slice(&work->record));
    error = store->engine->ops->write(store->engine, &store->batch);
    if (!error)
        store->meta = work->meta;
    return error;
}

/* The command's effect in the batch. An error is the node's; else work->status is set. */
static int work_command(struct kv_work *work, struct kv_slice bytes, enum kv_kind *kind)
{
    struct kv_command command;
    int error = kv_command_decode(&command, &work->arena, bytes);

    *kind = command.kind;
    if (!error)
        error = kv_command_check(&command, bytes.length, &hard_limits);
    if (error == CULVERT_ENOMEM)
        return error;
    error = error ? kv_refuse(work, error) : command_run(work, &command);
    if (error < 0)
        return error;
    if (error)
        work_undo(work);
    if (*kind != KV_TIDY)
        error = kv_tidy(work, KV_TIDY_STEP);
    else
        error = 0;
    if (!error && *kind != KV_ALARM && !work->status)
        kv_quota_relax(work);
    return error;
}

int kv_apply(struct machine *machine, uint64_t index, const void *command, size_t length,
             struct buffer *result)
{
    struct kv_store *store = (struct kv_store *)machine;
    struct kv_slice bytes = {command, length};
    size_t at = result ? result->length : 0;
    struct kv_work work;
    enum kv_kind kind;
    int error;

    if (index <= store->meta.applied)
        return CULVERT_EINVAL;
    kv_work_begin(&work, store, result);
    kv_batch_clear(&store->batch);
    kv_result_room(result);
    error = result ? result->error : 0;
    if (!error)
        error = work_command(&work, bytes, &kind);
    work.meta.applied = index;
    if (!error)
        error = kv_result_finish(&work, at, kind);
    if (!error)
        error = write_batch(&work);
    if (!error)
        tell_observers(&work);
    else if (result && result->length > at)
        result->length = at;
    kv_work_end(&work);
    return error;
}
