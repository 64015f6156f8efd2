/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, which are no commands. */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

int kv_read_run(struct kv_work *work, const struct kv_command *command)
{
    struct buffer *result = work->result;
    size_t at = result->length;
    int error;

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
    error = kv_read_run(&work, command);
    kv_work_end(&work);
    return error;
}
