/* SPDX-License-Identifier: Apache-2.0 */
/* The site's nodes: who they are, tokens, joining, removal, promotion, recovery. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define LIFE_DEFAULT 3600 /* seconds of a token */

/* False: there is no store now, and it has been answered. */
static bool is_open(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;

    if (daemon->cluster)
        return true;
    api_respond_error(exchange, daemon->store_error ? daemon->store_error : CULVERT_EBUSY,
                      daemon->store_problem);
    return false;
}

/* A member of the body that is true or not; false: the body is no object, and that was answered. */
static bool read_flag(struct http_exchange *exchange, const char *name, bool *value)
{
    yyjson_doc *doc = api_read_object(exchange);

    *value = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), name));
    yyjson_doc_free(doc);
    return doc;
}

/* ---- the list ---- */

static void write_node(struct buffer *json, const struct cluster_node *node)
{
    static const char *const roles[] = {"joining", "standby", "voter"};

    buffer_format(json, "{\"id\":\"%016" PRIx64 "\",\"name\":", node->id);
    buffer_json_text(json, node->name);
    buffer_text(json, ",\"address\":");
    buffer_json_text(json, node->address);
    buffer_format(json,
                  ",\"role\":\"%s\",\"self\":%s,\"leader\":%s,\"connected\":%s,\"leaving\":%s,",
                  roles[node->role], node->self ? "true" : "false", node->leader ? "true" : "false",
                  node->connected ? "true" : "false", node->leaving ? "true" : "false");
    buffer_format(json, "\"ca\":\"%s\",\"behind\":%s,\"protocol\":%u,\"version\":", node->ca,
                  node->behind ? "true" : "false", node->protocol);
    buffer_json_text(json, node->version);
    buffer_format(json, ",\"expires\":%lld,\"lag\":", (long long)node->expires);
    if (node->lag < 0)
        buffer_text(json, "null");
    else
        buffer_format(json, "%lld", (long long)node->lag);
    if (node->clock_ms == CLUSTER_CLOCK_UNKNOWN)
        buffer_text(json, ",\"clock_ms\":null}");
    else
        buffer_format(json, ",\"clock_ms\":%lld}", (long long)node->clock_ms);
}

void api_write_cluster(struct cluster *cluster, struct buffer *json)
{
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    struct cluster_state state;
    int count = cluster_nodes(cluster, nodes);
    unsigned protocol = UINT_MAX; /* that all of them speak */

    cluster_state(cluster, &state);
    for (int i = 0; i < count; i++)
        if (nodes[i].protocol < protocol)
            protocol = nodes[i].protocol;
    buffer_format(json,
                  "{\"site\":\"%s\",\"node\":\"%016" PRIx64 "\",\"address\":\"%s\",\"listens\":%s,"
                  "\"quorum\":%s,\"voters\":%u,\"size\":%llu,\"quota\":%llu,\"full\":%s,"
                  "\"ca\":\"%s\",\"ca_step\":\"%s\",\"protocol\":%u,\"nodes\":[",
                  state.site, state.node, state.address, state.listens ? "true" : "false",
                  state.quorum ? "true" : "false", state.voters, (unsigned long long)state.size,
                  (unsigned long long)state.quota, state.full ? "true" : "false", state.ca,
                  state.ca_step, count > 0 ? protocol : 0);
    for (int i = 0; i < count; i++) {
        if (i)
            buffer_char(json, ',');
        write_node(json, &nodes[i]);
    }
    buffer_text(json, "]}");
}

void api_nodes(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    struct buffer json = {0};

    if (!is_open(exchange))
        return;
    api_write_cluster(daemon->cluster, &json);
    api_respond(exchange, 200, &json);
}

/* ---- tokens ---- */

void api_node_token(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    yyjson_doc *doc = api_read_object(exchange);
    yyjson_val *root = yyjson_doc_get_root(doc), *life = yyjson_obj_get(root, "life");
    int error;

    if (!doc)
        return;
    if (is_open(exchange)) {
        error = cluster_token(daemon->cluster, life ? yyjson_get_sint(life) : LIFE_DEFAULT,
                              yyjson_get_bool(yyjson_obj_get(root, "multiple")), api_respond_token,
                              exchange);
        if (error == CULVERT_EUNSUPPORTED)
            http_respond_error(exchange, 409, "this node has no address for other nodes",
                               "start culvertd with --listen and --advertise");
        else if (error == CULVERT_EINVAL)
            http_respond_error(exchange, 400, "a token is good for 1 s to 90 days", NULL);
        else if (error)
            api_respond_error(exchange, error, NULL);
    }
    yyjson_doc_free(doc);
}

/* ---- removal and promotion ---- */

struct node_call {
    struct http_exchange *exchange;
    uint64_t id;
};

static void on_node_changed(void *arg, int status, const char *text)
{
    struct node_call *call = arg;
    struct buffer json = {0};

    if (status) {
        api_respond_error(call->exchange, status, text);
    } else {
        buffer_format(&json, "{\"id\":\"%016" PRIx64 "\"}", call->id);
        api_respond(call->exchange, 200, &json);
    }
    free(call);
}

/* The node that a text means: its id, or its name if only one has it. 0: answered. */
static uint64_t find_node(struct http_exchange *exchange, const char *text)
{
    const struct daemon *daemon = exchange->app;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    int count = cluster_nodes(daemon->cluster, nodes), found = 0;
    uint64_t id = 0;

    for (int i = 0; i < count; i++) {
        char number[17];

        snprintf(number, sizeof(number), "%016" PRIx64, nodes[i].id);
        if (!strcmp(number, text))
            return nodes[i].id;
        if (!strcmp(nodes[i].name, text)) {
            id = nodes[i].id;
            found++;
        }
    }
    if (found == 1)
        return id;
    if (found)
        http_respond_error(exchange, 409, "several nodes have that name: give the id",
                           "see `culvert node list`");
    else
        http_respond_error(exchange, 404, "the site has no such node", "see `culvert node list`");
    return 0;
}

static void change_node(struct http_exchange *exchange, enum cluster_change change)
{
    const struct daemon *daemon = exchange->app;
    yyjson_doc *doc = api_read_object(exchange);
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "node"));
    struct node_call *call = NULL;
    uint64_t id = 0;
    int error = CULVERT_ENOMEM;

    if (!doc)
        return;
    if (!text)
        http_respond_error(exchange, 400, "`node` must be a node's id or name", NULL);
    else if (is_open(exchange))
        id = find_node(exchange, text);
    yyjson_doc_free(doc);
    if (!id)
        return;
    call = malloc(sizeof(*call));
    if (call) {
        *call = (struct node_call){.exchange = exchange, .id = id};
        snprintf(exchange->note, sizeof(exchange->note), "node %016" PRIx64, id);
        error = cluster_node_change(daemon->cluster, id, change, on_node_changed, call);
    }
    if (error) {
        free(call);
        api_respond_error(exchange, error, NULL);
    }
}

void api_node_remove(struct http_exchange *exchange)
{
    change_node(exchange, CLUSTER_REMOVE);
}

void api_node_promote(struct http_exchange *exchange)
{
    change_node(exchange, CLUSTER_PROMOTE);
}

/* ---- the CA ---- */

static void on_rotated(void *arg, int status, const char *text)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    struct cluster_state state;
    struct buffer json = {0};

    if (status) {
        api_respond_error(exchange, status, text);
        return;
    }
    cluster_state(daemon->cluster, &state);
    buffer_format(&json, "{\"ca\":\"%s\"}", state.ca);
    api_respond(exchange, 200, &json);
}

void api_node_rotate_ca(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    bool force;
    int error;

    if (!read_flag(exchange, "force", &force) || !is_open(exchange))
        return;
    error = cluster_rotate_ca(daemon->cluster, force, on_rotated, exchange);
    if (error)
        api_respond_error(exchange, error, NULL);
}

/* ---- another state: joining, recovery ---- */

static void on_reopened(void *arg, int status)
{
    struct http_exchange *exchange = arg;
    const struct daemon *daemon = exchange->app;
    struct cluster_state state;
    struct buffer json = {0};

    if (status || !daemon->cluster) {
        api_respond_error(exchange, status ? status : CULVERT_EIO, daemon->store_problem);
        return;
    }
    cluster_state(daemon->cluster, &state);
    buffer_format(&json, "{\"site\":\"%s\",\"node\":\"%016" PRIx64 "\"}", state.site, state.node);
    api_respond(exchange, 200, &json);
}

void api_reopen(struct http_exchange *exchange)
{
    int error = daemon_reopen(exchange->app, on_reopened, exchange);

    if (error)
        api_respond_error(exchange, error, NULL);
}

struct join_job {
    struct job job;
    struct http_exchange *exchange;
    struct cluster_join *join;
    char problem[CLUSTER_TEXT];
    int error;
};

static void join_work(struct job *base)
{
    struct join_job *job = (struct join_job *)base;

    job->error = cluster_join_run(job->join, job->problem);
}

static void join_done(struct job *base)
{
    struct join_job *job = (struct join_job *)base;
    struct http_exchange *exchange = job->exchange;

    if (!job->error)
        job->error = cluster_join_take(job->join, job->problem);
    job_end(base);
    if (job->error)
        http_respond_error(exchange, job->error == CULVERT_EACCES ? 409 : 502, job->problem, NULL);
    else
        api_reopen(exchange);
    cluster_join_free(job->join);
    free(job);
}

/* At its turn, for the cluster may be another by then. */
static void join_start(struct job *base)
{
    struct join_job *job = (struct join_job *)base;
    const struct daemon *daemon = base->daemon;
    yyjson_doc *doc = api_read_object(job->exchange);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *token = yyjson_get_str(yyjson_obj_get(root, "token"));
    const char *address = yyjson_get_str(yyjson_obj_get(root, "address"));
    bool answered = !doc || !is_open(job->exchange);

    if (!answered && !cluster_is_fresh(daemon->cluster)) {
        answered = true;
        http_respond_error(job->exchange, 409, "this node has a site of its own already",
                           "`culvert node rebuild` sets it aside");
    }
    if (!answered && cluster_join_new(&job->join, daemon->cluster, token ? token : "",
                                      address ? address : "", job->problem)) {
        answered = true;
        http_respond_error(job->exchange, 400,
                           job->problem[0] ? job->problem : culvert_strerror(CULVERT_ENOMEM), NULL);
    }
    yyjson_doc_free(doc);
    if (!answered) {
        job_work(base);
        return;
    }
    job_end(base);
    free(job);
}

void api_node_join(struct http_exchange *exchange)
{
    struct join_job *job = calloc(1, sizeof(*job));
    int error = CULVERT_ENOMEM;

    if (job) {
        job->job = (struct job){.start = join_start, .work = join_work, .done = join_done};
        job->exchange = exchange;
        error = daemon_submit(exchange->app, &job->job);
    }
    if (error) {
        free(job);
        api_respond_error(exchange, error, NULL);
    }
}

void api_node_recover(struct http_exchange *exchange)
{
    const struct daemon *daemon = exchange->app;
    struct cluster_state state;
    bool yes;
    int error;

    if (!read_flag(exchange, "yes", &yes) || !is_open(exchange))
        return;
    cluster_state(daemon->cluster, &state);
    if (state.quorum) {
        http_respond_error(exchange, 409, "the site has a quorum: there is nothing to recover",
                           "dead nodes are taken out by `culvert node remove`");
        return;
    }
    if (!yes) {
        http_respond_error(exchange, 400, "`yes` must be true", NULL);
        return;
    }
    error = cluster_recover(daemon->cluster);
    if (error)
        api_respond_error(exchange, error, NULL);
    else
        api_reopen(exchange);
}
