/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, which are no commands: of now, or of a moment that is kept. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

/* Answers as of the work's state. Uses nothing of the store but its engine. */
static int read_run(struct kv_work *work, const struct kv_command *command)
{
    struct buffer *result = work->result;
    size_t at = result->length;
    int error;

    work->answer_max = work->pairs.bound = KV_RESULT_MAX;
    if (command->kind != KV_RANGE &&
        (command->kind != KV_TXN || !kv_txn_reads_only(&command->op.txn)))
        return CULVERT_EINVAL;
    kv_result_room(result);
    error = result->error ? result->error : kv_op_run(work, &command->op);
    if (error >= 0)
        error = kv_result_finish(work, at, command->kind);
    if (error)
        result->length = at;
    return error;
}

int kv_store_read(struct kv_store *store, const struct kv_command *command, struct buffer *result)
{
    struct kv_work work;
    int error;

    kv_work_begin(&work, store, result);
    error = read_run(&work, command);
    kv_work_end(&work);
    return error;
}

int kv_view_open(struct kv_view **out, struct kv_store *store)
{
    struct kv_view *view = calloc(1, sizeof(*view));
    int error =
        view ? store->engine->ops->snapshot(store->engine, &view->snapshot) : CULVERT_ENOMEM;

    if (error) {
        free(view);
        return error;
    }
    view->store = store;
    view->meta = store->meta;
    *out = view;
    return 0;
}

int kv_view_read(struct kv_view *view, const struct kv_command *command, struct buffer *result)
{
    struct kv_work work = {.store = view->store,
                           .snapshot = view->snapshot,
                           .meta = view->meta,
                           .start = view->meta.revision,
                           .result = result};
    int error;

    error = read_run(&work, command);
    kv_work_end(&work);
    return error;
}

void kv_view_close(struct kv_view *view)
{
    if (!view)
        return;
    view->store->engine->ops->snapshot_free(view->snapshot);
    free(view);
}
