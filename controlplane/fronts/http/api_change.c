/* SPDX-License-Identifier: Apache-2.0 */
/* apply, diff and rollback, which compile a site, on the worker; confirm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/revision.h"
#include "controlplane/fronts/http/api.h"

enum change_kind { CHANGE_APPLY, CHANGE_DIFF, CHANGE_ROLLBACK, CHANGE_CONFIRM };

#define FILES_MAX 65536u
#define TEXT_MAX 4096u /* of an author or comment */
#define CONFIRM_MAX_MS ((uint64_t)7 * 24 * 3600 * 1000)

struct change_job {
    struct daemon_change change; /* first */
    struct http_exchange *exchange;
    enum change_kind kind;
    yyjson_doc *doc;             /* the request */
    struct site_upload *uploads; /* point into doc */
    struct revision_source old;  /* of a rollback */
    char comment[64];
    int status; /* of a request that is wrong in itself; 0: it isn't */
    char message[160];
};

static void refuse(struct change_job *job, int status, const char *message)
{
    job->status = status;
    snprintf(job->message, sizeof(job->message), "%s", message);
}

/* ---- reading the request (on the worker: bodies may be large) ---- */

static const char *read_text(struct change_job *job, yyjson_val *root, const char *name,
                             const char *missing)
{
    yyjson_val *value = yyjson_obj_get(root, name);

    if (!value || yyjson_is_null(value))
        return missing;
    if (!yyjson_is_str(value) || yyjson_get_len(value) > TEXT_MAX ||
        strlen(yyjson_get_str(value)) != yyjson_get_len(value)) {
        char message[96];

        snprintf(message, sizeof(message), "`%s` must be a text of at most %u bytes", name,
                 TEXT_MAX);
        refuse(job, 400, message);
        return missing;
    }
    return yyjson_get_str(value);
}

static void read_files(struct change_job *job, yyjson_val *files)
{
    size_t i, count = yyjson_obj_size(files);
    yyjson_val *key, *value;

    if (!files) /* nor may yyjson's loop get a NULL */
        return;
    if (!yyjson_is_obj(files)) {
        refuse(job, 400, "`files` must be an object of names and SHA-256 digests");
        return;
    }
    job->uploads = count > FILES_MAX ? NULL : calloc(count + 1, sizeof(*job->uploads));
    if (!job->uploads) {
        refuse(job, 413, "too many files");
        return;
    }
    yyjson_obj_foreach (files, i, count, key, value) {
        if (!yyjson_is_str(value) || !digest_valid(yyjson_get_str(value))) {
            refuse(job, 400, "`files` must be an object of names and SHA-256 digests");
            return;
        }
        job->uploads[i] = (struct site_upload){yyjson_get_str(key), yyjson_get_str(value)};
    }
    job->change.source.uploads = job->uploads;
    job->change.source.upload_count = yyjson_obj_size(files);
}

/* How long it waits to be confirmed. */
static void read_confirm(struct change_job *job, yyjson_val *root)
{
    yyjson_val *value = yyjson_obj_get(root, "confirm");
    const char *text = yyjson_get_str(value);

    if (!value || yyjson_is_null(value))
        return;
    if (!text || units_parse_time(text, &job->change.confirm_ms) || !job->change.confirm_ms ||
        job->change.confirm_ms > CONFIRM_MAX_MS)
        refuse(job, 400, "`confirm` must be a time from 1ms to 7d, such as \"5m\"");
}

static void read_site(struct change_job *job, yyjson_val *root)
{
    struct daemon_change *change = &job->change;
    yyjson_val *text = yyjson_obj_get(root, "text"), *dry = yyjson_obj_get(root, "dry_run");

    if (!yyjson_is_str(text)) {
        refuse(job, 400, "`text` must be the site file's text");
        return;
    }
    if (dry && !yyjson_is_bool(dry)) {
        refuse(job, 400, "`dry_run` must be true or false");
        return;
    }
    change->source.name = read_text(job, root, "name", "site");
    change->source.text = yyjson_get_str(text);
    change->source.length = yyjson_get_len(text);
    change->dry_run = job->kind == CHANGE_DIFF || yyjson_is_true(dry);
    read_confirm(job, root);
    read_files(job, yyjson_obj_get(root, "files"));
}

static void read_rollback(struct change_job *job, struct history_view *view, yyjson_val *root)
{
    yyjson_val *number = yyjson_obj_get(root, "revision");
    unsigned long long revision = yyjson_get_uint(number);
    int error;

    if (!yyjson_is_uint(number) || !revision) {
        refuse(job, 400, "`revision` must be a revision's number");
        return;
    }
    error = revision_source_read(&job->old, view, revision);
    if (error == CULVERT_ENOTFOUND) {
        snprintf(job->message, sizeof(job->message), "there is no revision %llu", revision);
        job->status = 404;
    } else if (error) {
        refuse(job, 500, culvert_strerror(error));
    } else {
        job->change.source = job->old.source;
        if (!*job->change.comment) {
            snprintf(job->comment, sizeof(job->comment), "rollback to revision %llu", revision);
            job->change.comment = job->comment;
        }
    }
}

static void read_request(struct change_job *job, struct history_view *view)
{
    const struct http_request *request = job->exchange->request;
    struct daemon_change *change = &job->change;
    yyjson_val *root, *condition;
    yyjson_read_err error;

    job->doc = yyjson_read_opts(request->body, request->body_length, 0, NULL, &error);
    root = yyjson_doc_get_root(job->doc);
    condition = yyjson_obj_get(root, "if_revision");
    if (!request->body || !job->doc) {
        snprintf(job->message, sizeof(job->message), "the body is not JSON: %s at byte %zu",
                 request->body ? error.msg : "empty", request->body ? error.pos : 0);
        job->status = 400;
        return;
    }
    if (!yyjson_is_obj(root) || (condition && !yyjson_is_uint(condition))) {
        refuse(job, 400,
               yyjson_is_obj(root) ? "`if_revision` must be a revision's number"
                                   : "the body must be a JSON object");
        return;
    }
    change->has_condition = condition;
    change->if_revision = yyjson_get_uint(condition);
    change->author = read_text(job, root, "author", NULL);
    change->comment = read_text(job, root, "comment", "");
    if (!change->author || !*change->author)
        change->author = api_author(job->exchange);
    if (job->kind == CHANGE_ROLLBACK)
        read_rollback(job, view, root);
    else if (job->kind != CHANGE_CONFIRM)
        read_site(job, root);
}

static int change_read(struct daemon_change *change, struct history_view *view)
{
    struct change_job *job = (struct change_job *)change;

    read_request(job, view);
    return job->status ? CULVERT_EREJECTED : 0;
}

/* ---- answering ---- */

static void respond_rejected(struct change_job *job)
{
    struct buffer json = {0};

    buffer_text(&json, "{\"errors\":");
    site_errors_json(&job->change.errors, &json);
    buffer_char(&json, '}');
    api_respond(job->exchange, 422, &json);
}

static void respond_change(struct change_job *job)
{
    const struct daemon_change *change = &job->change;
    struct buffer json = {0};

    if (job->status) {
        http_respond_error(job->exchange, job->status, job->message, NULL);
    } else if (change->error == CULVERT_EREJECTED && change->errors.count) {
        respond_rejected(job);
    } else if (change->error) {
        api_respond_error(job->exchange,
                          change->error == CULVERT_EBUSY ? CULVERT_ECONFLICT : change->error,
                          change->problem);
    } else {
        buffer_format(&json, "{\"revision\":%llu,", (unsigned long long)change->revision);
        if (job->kind != CHANGE_DIFF)
            buffer_format(&json, "\"changed\":%s,", change->changed ? "true" : "false");
        if (change->deadline_ms)
            buffer_format(&json, "\"confirm_until\":%lld,", (long long)change->deadline_ms);
        buffer_format(&json, "\"diff\":");
        buffer_text(&json, change->diff);
        buffer_char(&json, '}');
        api_respond(job->exchange, 200, &json);
    }
}

static void change_free(struct change_job *job)
{
    daemon_change_free(&job->change);
    revision_source_free(&job->old);
    free(job->uploads);
    yyjson_doc_free(job->doc);
    free(job);
}

static void change_ended(struct daemon_change *change)
{
    struct change_job *job = (struct change_job *)change;

    respond_change(job);
    change_free(job);
}

static void respond_busy(struct http_exchange *exchange, int error)
{
    http_respond_error(exchange, 503,
                       error == CULVERT_EFULL ? "too many requests wait already"
                                              : culvert_strerror(error),
                       "try again");
}

static void submit(struct http_exchange *exchange, enum change_kind kind)
{
    struct change_job *job = calloc(1, sizeof(*job));
    int error = CULVERT_ENOMEM;

    if (job) {
        job->change.read = change_read;
        job->change.ended = change_ended;
        job->change.what = kind == CHANGE_ROLLBACK ? "rollback" : "apply";
        job->change.pends = kind == CHANGE_ROLLBACK ? HISTORY_PENDS_END : HISTORY_PENDS_REFUSE;
        job->change.dry_run = kind == CHANGE_DIFF;
        job->change.caller = api_caller(exchange);
        job->exchange = exchange;
        job->kind = kind;
        error = daemon_change(exchange->app, &job->change);
    }
    if (!error)
        return;
    free(job);
    respond_busy(exchange, error);
}

void api_apply(struct http_exchange *exchange)
{
    submit(exchange, CHANGE_APPLY);
}

void api_diff(struct http_exchange *exchange)
{
    submit(exchange, CHANGE_DIFF);
}

void api_rollback(struct http_exchange *exchange)
{
    submit(exchange, CHANGE_ROLLBACK);
}

/* ---- confirm ---- */

struct confirm {
    struct http_exchange *exchange;
    uint64_t revision;
};

static void respond_confirm(void *arg, int status)
{
    struct confirm *confirm = arg;
    struct daemon *daemon = confirm->exchange->app;
    struct buffer json = {0};

    if (!status) {
        buffer_format(&json, "{\"revision\":%llu}", (unsigned long long)confirm->revision);
        api_respond(confirm->exchange, 200, &json);
    } else if (status == CULVERT_ENOTFOUND) {
        api_respond_error(confirm->exchange, CULVERT_ECONFLICT,
                          "no revision waits to be confirmed");
    } else if (status == CULVERT_ECONFLICT) {
        api_respond_error(confirm->exchange, status,
                          "too late: it was settled meanwhile, see `culvert history`");
    } else {
        api_respond_error(confirm->exchange, status, daemon->store_problem);
    }
    free(confirm);
}

/* Hands it to the store; it is answered now or later. */
static void begin_confirm(struct confirm *confirm, const struct change_job *job)
{
    struct daemon *daemon = confirm->exchange->app;
    struct history_audit audit = {.time_ms = daemon_clock_ms(),
                                  .author = job->change.author,
                                  .comment = job->change.comment,
                                  .caller = api_caller(confirm->exchange),
                                  .what = "confirm"};
    int error = daemon->store_error;

    if (!error)
        confirm->revision = history_pending(daemon->history)->revision;
    if (!error)
        error = history_confirm(daemon->history, &audit, respond_confirm, confirm);
    if (error)
        respond_confirm(confirm, error);
}

void api_confirm(struct http_exchange *exchange)
{
    struct confirm *confirm = calloc(1, sizeof(*confirm));
    struct change_job *job = calloc(1, sizeof(*job));

    if (!confirm || !job) {
        free(confirm);
        free(job);
        respond_busy(exchange, CULVERT_ENOMEM);
        return;
    }
    confirm->exchange = job->exchange = exchange;
    job->kind = CHANGE_CONFIRM;
    read_request(job, NULL);
    if (job->status) {
        http_respond_error(exchange, job->status, job->message, NULL);
        free(confirm);
    } else {
        begin_confirm(confirm, job);
    }
    change_free(job);
}
