/* SPDX-License-Identifier: Apache-2.0 */
/* What is the latest, what waits to be confirmed, and the audit log. */
#include "controlplane/history/history.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

#define KEEP 1000u
#define KEEP_BYTES ((uint64_t)512 << 20)
#define KEEP_AUDIT 10000u

/* ---- following the store ---- */

/* Reads what the state has now. */
static int look(struct history *history)
{
    struct kv_view *view;
    int error = kv_view_open(&view, kv_service_store(history->options.service));

    if (error)
        return error;
    error = view_number(view, KEY_LATEST, &history->latest);
    buffer_clear(&history->confirm);
    if (!error)
        error = kv_view_get(view, kv_text(KEY_CONFIRM), &history->confirm);
    if (!error || error == CULVERT_ENOTFOUND) {
        pending_read(&history->pending, kv_buffer_slice(&history->confirm));
        error = 0;
    }
    kv_view_close(view);
    return error;
}

static void look_soon(struct history *history)
{
    struct env *env = history->options.env;

    env->ops->timer_set(env, &history->timer, env_now(env));
}

/* A look that fails (no memory) is repeated at the next change. */
static void on_timer(void *arg)
{
    struct history *history = arg;

    if (!look(history) && history->options.changed)
        history->options.changed(history->options.arg);
}

static bool is_ours(struct kv_slice key)
{
    return kv_same_bytes(key, kv_text(KEY_LATEST)) || kv_same_bytes(key, kv_text(KEY_CONFIRM));
}

static void on_changed(void *arg, uint64_t revision, const struct kv_event *events, size_t count)
{
    struct history *history = arg;
    bool ours = !events;

    (void)revision;
    for (size_t i = 0; events && i < count && !ours; i++)
        ours = is_ours(events[i].now.key);
    if (ours)
        look_soon(history);
}

static void on_replaced(void *arg)
{
    look_soon(arg);
}

int history_open(struct history **out, const struct history_options *options)
{
    struct history *history = calloc(1, sizeof(*history));
    struct kv_status status;
    int error;

    if (!history)
        return CULVERT_ENOMEM;
    history->options = *options;
    if (!history->options.keep)
        history->options.keep = KEEP;
    if (!history->options.keep_bytes)
        history->options.keep_bytes = KEEP_BYTES;
    if (!history->options.keep_audit)
        history->options.keep_audit = KEEP_AUDIT;
    if (!history->options.node)
        history->options.node = "";
    kv_service_status(options->service, &status);
    history->node = status.node;
    error = look(history);
    if (error) {
        history_close(history);
        return error;
    }
    history->timer = (struct env_timer){.fn = on_timer, .arg = history};
    history->observer =
        (struct kv_observer){.arg = history, .changed = on_changed, .replaced = on_replaced};
    kv_store_observe(kv_service_store(options->service), &history->observer);
    *out = history;
    return 0;
}

void history_close(struct history *history)
{
    if (!history)
        return;
    if (history->observer.changed)
        kv_store_forget(kv_service_store(history->options.service), &history->observer);
    if (history->timer.fn)
        history->options.env->ops->timer_stop(history->options.env, &history->timer);
    buffer_free(&history->confirm);
    free(history);
}

uint64_t history_latest(const struct history *history)
{
    return history->latest;
}

const struct history_pending *history_pending(const struct history *history)
{
    return &history->pending;
}

bool history_leads(const struct history *history)
{
    struct kv_status status;

    kv_service_status(history->options.service, &status);
    return status.leader && status.leader == status.node;
}

/* ---- confirming ---- */

struct confirm {
    void (*done)(void *arg, int status);
    void *arg;
};

static void on_confirmed(void *arg, int status, const struct kv_result *result)
{
    struct confirm confirm = *(struct confirm *)arg;
    int error = answer_error(status, result);

    free(arg);
    if (!error && !result->op.succeeded)
        error = CULVERT_ECONFLICT;
    confirm.done(confirm.arg, error);
}

static struct history_audit complete(const struct history *history,
                                     const struct history_audit *audit)
{
    struct history_audit line = *audit;

    line.node = history->options.node;
    return line;
}

int history_confirm(struct history *history, const struct history_audit *audit,
                    void (*done)(void *arg, int status), void *arg)
{
    struct kv_compare compare = {.keys.key = kv_text(KEY_CONFIRM),
                                 .compared = KV_IF_VALUE,
                                 .relation = KV_EQUAL,
                                 .value = kv_buffer_slice(&history->confirm)};
    struct history_audit line = complete(history, audit);
    struct confirm *confirm;
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    struct kv_op ops[2];
    struct buffer json = {0};
    char key[KEY_MAX];
    int error;

    if (!history->pending.revision)
        return CULVERT_ENOTFOUND;
    confirm = malloc(sizeof(*confirm));
    if (!confirm)
        return CULVERT_ENOMEM;
    *confirm = (struct confirm){done, arg};
    line.revision = history->pending.revision;
    line.outcome = "done";
    audit_write(&json, &line);
    key_audit(key, history, line.time_ms);
    ops[0] = (struct kv_op){.kind = KV_DELETE, .delete = {.keys.key = kv_text(KEY_CONFIRM)}};
    ops[1] = put_op(key, kv_buffer_slice(&json));
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){ops, 2};
    error = json.error;
    if (!error)
        error = kv_service_propose(history->options.service, &command, on_confirmed, confirm);
    if (error)
        free(confirm);
    buffer_free(&json);
    return error;
}

static void on_noted(void *arg, int status, const struct kv_result *result)
{
    (void)arg;
    (void)status;
    (void)result;
}

void history_note(struct history *history, const struct history_audit *audit)
{
    struct history_audit line = complete(history, audit);
    struct kv_command command = {.kind = KV_PUT};
    struct buffer json = {0};
    char key[KEY_MAX];

    audit_write(&json, &line);
    key_audit(key, history, line.time_ms);
    command.op = put_op(key, kv_buffer_slice(&json));
    if (!json.error)
        kv_service_propose(history->options.service, &command, on_noted, NULL);
    buffer_free(&json);
}
