/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site's side of joining, on any node: the token is looked at and marked as used in one
 * transaction with the new node's record; whoever leads then adds it. Tokens are made here, too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define TRIES_MAX 4u

static void token_key(uint64_t id, char key[RECORD_KEY])
{
    snprintf(key, RECORD_KEY, "%cjoin/%016" PRIx64, KV_SPACE_SITE, id);
}

/* ---- a token is made ---- */

struct making {
    char text[TOKEN_TEXT];
    cluster_done done;
    void *arg;
};

static void on_made(void *arg, int status, const struct kv_result *result)
{
    struct making *making = arg;
    int error = status ? status : result->status;

    making->done(making->arg, error, error ? culvert_strerror(error) : making->text);
    free(making);
}

int cluster_token(struct cluster *cluster, int64_t life, bool multiple, cluster_done done,
                  void *arg)
{
    struct kv_command command = {.kind = KV_PUT, .op = {.kind = KV_PUT}};
    struct making *making = calloc(1, sizeof(*making));
    struct token_record record;
    struct buffer value = {.bound = 256};
    char key[RECORD_KEY];
    int error = making ? 0 : CULVERT_ENOMEM;

    if (!error && !cluster_net_told(cluster))
        error = CULVERT_EUNSUPPORTED;
    if (!error)
        error = token_make(cluster->identity, time(NULL), life, multiple, making->text, &record);
    if (!error) {
        making->done = done;
        making->arg = arg;
        token_key(record.id, key);
        token_record_write(&record, &value);
        command.op.put.key = kv_text(key);
        command.op.put.value = kv_buffer_slice(&value);
        error = value.error ? value.error
                            : kv_service_propose(cluster->service, &command, on_made, making);
    }
    buffer_free(&value);
    if (error)
        free(making);
    return error;
}

/* ---- a node asks ---- */

struct admission {
    struct cluster *cluster;
    transport_call call;
    uint64_t token, node;
    uint8_t secret[TOKEN_SECRET], user[TOKEN_DIGEST];
    char address[UNITS_TEXT], version[32];
    unsigned tries;
};

static void deny(struct admission *admission, int status)
{
    transport_deny(admission->cluster->transport, admission->call, status);
    free(admission);
}

static void grant(struct admission *admission)
{
    struct cluster *cluster = admission->cluster;
    struct endpoint endpoint;
    int error;

    /* It will come before it is among the members. */
    if (!units_parse_endpoint(admission->address, &endpoint))
        transport_peer_set(cluster->transport, admission->node, &endpoint);
    error = transport_grant(cluster->transport, admission->call, admission->node, cluster->peers,
                            cluster->peer_count);
    if (error)
        log_warn("node %016" PRIx64 " joins, but did not hear of it: %s", admission->node,
                 culvert_strerror(error));
    free(admission);
}

static void look(struct admission *admission);

static void on_admitted(void *arg, int status, const struct kv_result *result)
{
    struct admission *admission = arg;
    int error = status ? status : result->status;

    if (error)
        deny(admission, error);
    else if (result->op.succeeded)
        grant(admission);
    else if (++admission->tries < TRIES_MAX)
        look(admission);
    else
        deny(admission, CULVERT_ECONFLICT);
}

/* The token's record, the node's, and those of nodes that had the address before, in one. */
static int write_all(struct admission *admission, const struct token_record *token, uint64_t mod)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct node_record list[CLUSTER_NODES_MAX], own = {.id = admission->node, .want = WANT_JOIN};
    struct record_put memory[CLUSTER_NODES_MAX + 1];
    struct kv_op puts[CLUSTER_NODES_MAX + 2];
    struct kv_compare compare = {
        .compared = KV_IF_MOD, .relation = KV_EQUAL, .number = (int64_t)mod};
    struct buffer value = {.bound = 256};
    char key[RECORD_KEY];
    size_t count = 0;
    int known = records_read(admission->cluster, list), error;

    if (known < 0)
        return known;
    token_key(token->id, key);
    token_record_write(token, &value);
    compare.keys.key = kv_text(key);
    puts[count++] = (struct kv_op){.kind = KV_PUT,
                                   .put = {.key = kv_text(key), .value = kv_buffer_slice(&value)}};
    snprintf(own.address, sizeof(own.address), "%s", admission->address);
    snprintf(own.version, sizeof(own.version), "%s", admission->version);
    for (int i = 0; i < known; i++) {
        if (list[i].id == own.id || strcmp(list[i].address, own.address) != 0)
            continue;
        list[i].want = WANT_GONE;
        puts[count] = record_put(&list[i], &memory[count]);
        count++;
    }
    if (!records_find(list, known, own.id)) {
        puts[count] = record_put(&own, &memory[count]);
        count++;
    }
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){.list = puts, .count = count};
    error = value.error
                ? value.error
                : kv_service_propose(admission->cluster->service, &command, on_admitted, admission);
    buffer_free(&value);
    return error;
}

static int check(struct admission *admission, const struct kv_result *result)
{
    const struct kv_pair *pair = result->op.pairs.count ? result->op.pairs.list : NULL;
    struct token_record token;
    bool again;
    int error =
        pair ? token_record_read(pair->value.data, pair->value.length, &token) : CULVERT_EACCES;

    if (!error)
        error = token_verify(&token, admission->token, admission->secret, admission->user,
                             time(NULL), &again);
    if (error)
        return error;
    if (again)
        admission->node = token.node;
    token_use(&token, admission->user, admission->node);
    return write_all(admission, &token, pair->mod);
}

static void on_looked(void *arg, int status, const struct kv_result *result)
{
    struct admission *admission = arg;
    int error = status ? status : result->status;

    if (!error)
        error = check(admission, result);
    if (error)
        deny(admission, error);
}

static void look(struct admission *admission)
{
    struct kv_command command = {.kind = KV_RANGE, .op = {.kind = KV_RANGE}};
    char key[RECORD_KEY];
    int error;

    token_key(admission->token, key);
    command.op.range.keys.key = kv_text(key);
    error = kv_service_read(admission->cluster->service, &command, false, on_looked, admission);
    if (error)
        deny(admission, error);
}

void cluster_admit(void *arg, transport_call call, const struct join_request *request)
{
    struct cluster *cluster = arg;
    struct admission *admission =
        cluster->service && !cluster->failed ? calloc(1, sizeof(*admission)) : NULL;

    if (!admission) {
        transport_deny(cluster->transport, call, CULVERT_EBUSY);
        return;
    }
    admission->cluster = cluster;
    admission->call = call;
    admission->token = request->token;
    memcpy(admission->secret, request->secret, sizeof(admission->secret));
    memcpy(admission->user, request->user, sizeof(admission->user));
    units_write_endpoint(&request->address, admission->address);
    /* What a stranger sends goes into no record as it is. */
    for (size_t i = 0; i < sizeof(admission->version) - 1 && request->software[i]; i++)
        admission->version[i] = strchr("\"\\", request->software[i]) ||
                                        request->software[i] < ' ' || request->software[i] > '~'
                                    ? '?'
                                    : request->software[i];
    do
        cluster_env(cluster)->ops->random(cluster_env(cluster), &admission->node,
                                          sizeof(admission->node));
    while (!admission->node);
    look(admission);
}
