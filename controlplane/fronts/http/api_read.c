/* SPDX-License-Identifier: Apache-2.0 */
/* The current site, and the revisions. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/revision.h"
#include "controlplane/fronts/http/api.h"

/* ---- what readers don't see ---- */

#define SECRET_DIGITS 32u

/* Blanks a secret that begins there; anything else stays. */
static void blank(char *text)
{
    size_t length = strspn(text, "0123456789abcdef");

    if (length == SECRET_DIGITS && text[length] == '"')
        memset(text, '*', length);
}

/* Blanks `dns.key` in what site_get() or site_diff() has written: within a text its quotes would be
 * escaped, and nothing else of a site has that name and a text for its value. */
static void hide_secrets(const struct http_exchange *exchange, struct buffer *json)
{
    static const char key[] = "\"key\":\"", old[] = "\"path\":\"dns.key\",\"old\":";
    static const char new[] = ",\"new\":\"";
    char *at;

    if (exchange->level >= ACCESS_OPERATOR || !json->data)
        return;
    for (at = json->data; (at = strstr(at, key)); at += sizeof(key) - 1)
        blank(at + sizeof(key) - 1);
    for (at = json->data; (at = strstr(at, old));) {
        at += sizeof(old) - 1;
        if (*at == '"')
            blank(at + 1);
        at += *at == '"' ? SECRET_DIGITS + 2 : sizeof("null") - 1;
        if (!strncmp(at, new, sizeof(new) - 1))
            blank(at + sizeof(new) - 1);
    }
}

/*
 * What is read is all that was acknowledged before, by any node; with `?stale=true` what this node
 * has, and how old that may be.
 */
struct read_job {
    struct job job;
    struct http_exchange *exchange;
    struct history_view *view;
    uint64_t number, from;
    char path[1024];
    bool stale;
    struct buffer json;
    int error;
};

static bool asks_for_stale(const struct http_exchange *exchange)
{
    char stale[8] = "";

    http_query_get(exchange->request->query, "stale", stale, sizeof(stale));
    return !strcmp(stale, "true");
}

/* Adds to an object how long ago this node knew of a leader. */
static void add_age(const struct daemon *daemon, struct buffer *json)
{
    int64_t age = daemon->cluster ? cluster_age(daemon->cluster) : -1;

    json->length--;
    if (age < 0)
        buffer_text(json, ",\"stale_ms\":null}");
    else
        buffer_format(json, ",\"stale_ms\":%lld}", (long long)age);
}

static void respond_read(struct read_job *job)
{
    hide_secrets(job->exchange, &job->json);
    api_respond(job->exchange, 200, &job->json);
}

static void answer(struct read_job *job)
{
    struct http_exchange *exchange = job->exchange;
    const struct daemon *daemon = exchange->app;

    if (!job->error && job->stale)
        add_age(daemon, &job->json);
    if (job->error == CULVERT_ENOTFOUND && job->number)
        http_respond_error(exchange, 404, "there is no such revision", "see `culvert history`");
    else if (job->error)
        api_respond_error(exchange, job->error, daemon->store_problem);
    else
        respond_read(job);
    buffer_free(&job->json);
    free(job);
}

static void read_begin(struct read_job *job)
{
    int error = daemon_submit(job->exchange->app, &job->job);

    if (error) {
        job->error = error;
        answer(job);
    }
}

/* What may be current can't be told: the site has no leader, or this node no store. */
static void refuse_read(struct http_exchange *exchange, int status)
{
    const struct daemon *daemon = exchange->app;
    const char *message = daemon->store_error
                              ? daemon->store_problem
                              : "no node leads the site: are most of its voters up?";

    if (daemon->store_error || status == CULVERT_ENOTLEADER || status == CULVERT_ETIMEOUT)
        http_respond_error(exchange, 503, message, "`--stale` shows what this node has");
    else
        api_respond_error(exchange, status, NULL);
}

static void on_current(void *arg, int status)
{
    struct read_job *job = arg;

    if (!status) {
        read_begin(job);
        return;
    }
    refuse_read(job->exchange, status);
    free(job);
}

static void submit(struct http_exchange *exchange, const struct read_job *wanted)
{
    const struct daemon *daemon = exchange->app;
    struct read_job *job = malloc(sizeof(*job));
    int error = CULVERT_ENOMEM;

    if (job) {
        *job = *wanted;
        job->exchange = exchange;
        job->stale = asks_for_stale(exchange);
        if (job->stale) {
            read_begin(job);
            return;
        }
        error = CULVERT_EBUSY;
        if (daemon->cluster)
            error = kv_service_barrier(cluster_service(daemon->cluster), on_current, job);
        else if (daemon->store_error)
            error = daemon->store_error;
        if (!error)
            return;
    }
    free(job);
    api_respond_error(exchange, error, daemon->store_problem);
}

/* ---- the site as it is: of the engine, which has taken over the latest revision by the turn of
 * this job ---- */

static void site_start(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    const struct daemon *daemon = base->daemon;
    const struct site *site = site_engine_site(daemon->engine);

    buffer_format(&job->json,
                  "{\"revision\":%llu,\"value\":", (unsigned long long)daemon->revision);
    if (site)
        job->error = site_get(site, job->path, &job->json);
    else if (*job->path)
        job->error = CULVERT_ENOTFOUND;
    else
        buffer_text(&job->json, "{}");
    if (!*job->path) {
        buffer_text(&job->json, ",\"files\":");
        site_files_json(site, &job->json);
    }
    buffer_char(&job->json, '}');
    job_end(base);
    if (job->error != CULVERT_ENOTFOUND) {
        answer(job);
        return;
    }
    buffer_clear(&job->json);
    buffer_text(&job->json, "{\"errors\":[{\"field\":");
    buffer_json_text(&job->json, job->path);
    buffer_text(&job->json, ",\"message\":\"the site has nothing there\"}]}");
    api_respond(job->exchange, 404, &job->json);
    free(job);
}

void api_site(struct http_exchange *exchange)
{
    struct read_job job = {.job = {.start = site_start}};

    http_query_get(exchange->request->query, "path", job.path, sizeof(job.path));
    if (!strcmp(job.path, "dns.key") && exchange->level < ACCESS_OPERATOR) {
        http_respond_error(exchange, 403, "that is not shown to readers", NULL);
        return;
    }
    submit(exchange, &job);
}

/* ---- what reads the store, on the worker ---- */

static void read_done(struct job *base)
{
    struct read_job *job = (struct read_job *)base;

    history_view_close(job->view);
    job_end(base);
    answer(job);
}

static void read_start(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct daemon *daemon = base->daemon;

    job->error =
        daemon->history ? history_view_open(&job->view, daemon->history) : daemon->store_error;
    if (job->error)
        read_done(base);
    else
        job_work(base);
}

static void read_store(struct http_exchange *exchange, void (*work)(struct job *job),
                       uint64_t number, uint64_t from)
{
    struct read_job job = {.job = {.start = read_start, .work = work, .done = read_done},
                           .number = number,
                           .from = from};

    submit(exchange, &job);
}

static void write_revision(struct buffer *json, const struct site_revision *revision)
{
    buffer_format(json, "{\"revision\":%llu,\"time\":%lld,\"author\":",
                  (unsigned long long)revision->number, (long long)revision->time_ms);
    buffer_json_text(json, revision->author);
    buffer_text(json, ",\"comment\":");
    buffer_json_text(json, revision->comment);
    buffer_format(json, ",\"changes\":%llu", (unsigned long long)revision->changes);
}

static int history_each(void *arg, const struct site_revision *revision)
{
    struct buffer *json = arg;

    if (json->data[json->length - 1] == '}')
        buffer_char(json, ',');
    write_revision(json, revision);
    buffer_char(json, '}');
    return json->error;
}

static void history_work(struct job *base)
{
    struct read_job *job = (struct read_job *)base;

    buffer_text(&job->json, "{\"revisions\":[");
    job->error =
        job->json.error ? job->json.error : history_view_list(job->view, history_each, &job->json);
    buffer_text(&job->json, "]}");
}

void api_history(struct http_exchange *exchange)
{
    read_store(exchange, history_work, 0, 0);
}

static int audit_each(void *arg, const struct history_audit *audit)
{
    struct buffer *json = arg;

    if (json->data[json->length - 1] == '}')
        buffer_char(json, ',');
    buffer_format(json, "{\"time\":%lld,\"author\":", (long long)audit->time_ms);
    buffer_json_text(json, audit->author);
    buffer_text(json, ",\"node\":");
    buffer_json_text(json, audit->node);
    buffer_text(json, ",\"user\":");
    buffer_json_text(json, audit->caller.user);
    buffer_text(json, ",\"role\":");
    buffer_json_text(json, audit->caller.role);
    buffer_text(json, ",\"from\":");
    buffer_json_text(json, audit->caller.from);
    buffer_text(json, ",\"what\":");
    buffer_json_text(json, audit->what);
    buffer_format(json, ",\"revision\":%llu,\"outcome\":", (unsigned long long)audit->revision);
    buffer_json_text(json, audit->outcome);
    buffer_text(json, ",\"comment\":");
    buffer_json_text(json, audit->comment);
    buffer_char(json, '}');
    return json->error;
}

static void audit_work(struct job *base)
{
    struct read_job *job = (struct read_job *)base;

    buffer_text(&job->json, "{\"audit\":[");
    job->error =
        job->json.error ? job->json.error : history_view_audit(job->view, audit_each, &job->json);
    buffer_text(&job->json, "]}");
}

void api_audit(struct http_exchange *exchange)
{
    read_store(exchange, audit_work, 0, 0);
}

/* The zone files' digests are in what is stored with a revision. */
static void write_files(struct buffer *json, const char *state)
{
    yyjson_doc *doc = yyjson_read(state, strlen(state), 0);
    char *files = yyjson_val_write(yyjson_obj_get(yyjson_doc_get_root(doc), "files"), 0, NULL);

    buffer_format(json, ",\"files\":%s", files ? files : "{}");
    free(files);
    yyjson_doc_free(doc);
}

static void revision_work(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct site_revision *revision;

    job->error = history_view_get(job->view, job->number, &revision);
    if (job->error)
        return;
    write_revision(&job->json, revision);
    buffer_text(&job->json, ",\"site\":");
    buffer_text(&job->json, revision->site);
    write_files(&job->json, revision->state);
    buffer_char(&job->json, '}');
    history_revision_free(revision);
}

/* A revision as a document; revision 0 is the empty site. */
static int parse_revision(struct history_view *view, uint64_t number, struct site **site)
{
    struct revision_source source = {0};
    struct site_errors errors = {0};
    int error;

    *site = NULL;
    if (!number)
        return 0;
    error = revision_source_read(&source, view, number);
    if (!error)
        error = site_parse(site, &source.source, &errors);
    site_errors_free(&errors);
    revision_source_free(&source);
    return error;
}

static void revision_diff_work(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct site *old = NULL, *new = NULL;
    int count;

    job->error = parse_revision(job->view, job->from, &old);
    if (!job->error)
        job->error = parse_revision(job->view, job->number, &new);
    if (!job->error) {
        buffer_format(&job->json,
                      "{\"from\":%llu,\"to\":%llu,\"diff\":", (unsigned long long)job->from,
                      (unsigned long long)job->number);
        count = site_diff(old, new, &job->json);
        buffer_char(&job->json, '}');
        job->error = count < 0 ? count : 0;
    }
    site_free(old);
    site_free(new);
}

/* A revision's number from a path or query; 0 is none. */
static bool read_number(struct http_exchange *exchange, const char *text, uint64_t *number)
{
    if (!units_parse_number(text, number))
        return true;
    http_respond_error(exchange, 400, "a revision is a number", "see `culvert history`");
    return false;
}

void api_revision(struct http_exchange *exchange)
{
    uint64_t number;

    if (!read_number(exchange, exchange->param[0], &number))
        return;
    if (number)
        read_store(exchange, revision_work, number, 0);
    else
        http_respond_error(exchange, 404, "there is no such revision", "see `culvert history`");
}

void api_revision_diff(struct http_exchange *exchange)
{
    char text[32];
    uint64_t number, from;

    if (!read_number(exchange, exchange->param[0], &number))
        return;
    from = number - 1;
    if (number && http_query_get(exchange->request->query, "from", text, sizeof(text)) &&
        !read_number(exchange, text, &from))
        return;
    if (number)
        read_store(exchange, revision_diff_work, number, from);
    else
        http_respond_error(exchange, 404, "there is no such revision", "see `culvert history`");
}
