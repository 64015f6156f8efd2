/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens in the store, two keys each:
 *
 *   stoken/id/ID       the token's record (identity/access.h)
 *   stoken/name/NAME   its id, so that a name is there once
 *
 * Looked at as this node has them: who asks waits for the barrier before.
 */
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/cluster_internal.h"

#define KEY_BYTES (ACCESS_NAME + 16u)
#define PREFIX_ID "stoken/id/"
#define PREFIX_ID_END "stoken/id0"
#define ID_DIGITS 16u

_Static_assert(KV_SPACE_SITE == 's', "the keys are in the site's space");

static void id_key(uint64_t id, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, PREFIX_ID "%016" PRIx64, id);
}

static void name_key(const char *name, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "stoken/name/%s", name);
}

/* ---- reading ---- */

/* Calls `each` for the record of every token in a range of keys. */
static int read_range(struct cluster *cluster, struct kv_keys keys,
                      void (*each)(void *arg, const struct access_record *record), void *arg)
{
    struct kv_command command = {.kind = KV_RANGE, .op = {.kind = KV_RANGE}};
    struct buffer bytes = {.bound = (size_t)4 << 20};
    struct access_record record;
    struct arena arena = {0};
    struct kv_result result;
    int error;

    command.op.range.keys = keys;
    error = kv_store_read(cluster->store, &command, &bytes);
    if (!error)
        error = kv_result_decode(&result, &arena, kv_buffer_slice(&bytes));
    if (!error)
        error = result.status;
    for (size_t i = 0; !error && i < result.op.pairs.count; i++) {
        struct kv_slice value = result.op.pairs.list[i].value;

        if (!access_record_read(value.data, value.length, &record))
            each(arg, &record);
    }
    arena_free(&arena);
    buffer_free(&bytes);
    return error;
}

int cluster_access_list(struct cluster *cluster,
                        void (*each)(void *arg, const struct access_record *record), void *arg)
{
    return read_range(cluster,
                      (struct kv_keys){.key = kv_text(PREFIX_ID), .end = kv_text(PREFIX_ID_END)},
                      each, arg);
}

static void take_record(void *arg, const struct access_record *record)
{
    *(struct access_record *)arg = *record;
}

int cluster_access_find(struct cluster *cluster, uint64_t id, struct access_record *out)
{
    char key[KEY_BYTES];
    int error;

    id_key(id, key);
    out->role = ACCESS_NONE;
    error = read_range(cluster, (struct kv_keys){.key = kv_text(key)}, take_record, out);
    return error || out->role != ACCESS_NONE ? error : CULVERT_ENOTFOUND;
}

/* ---- a token is made ---- */

struct making {
    char text[ACCESS_TEXT];
    cluster_done done;
    void *arg;
};

static void on_made(void *arg, int status, const struct kv_result *result)
{
    struct making *making = arg;
    int error = status ? status : result->status;

    if (!error && !result->op.succeeded)
        error = CULVERT_EEXIST;
    making->done(making->arg, error, error ? culvert_strerror(error) : making->text);
    OPENSSL_cleanse(making->text, sizeof(making->text));
    free(making);
}

static void count_record(void *arg, const struct access_record *record)
{
    (void)record;
    ++*(unsigned *)arg;
}

/* Puts both keys if neither is there. */
static int store(struct cluster *cluster, const struct access_record *record, struct making *making)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct buffer value = {.bound = ACCESS_RECORD};
    char by_id[KEY_BYTES], by_name[KEY_BYTES], id[ID_DIGITS + 1];
    struct kv_compare compares[2] = {{.compared = KV_IF_VERSION, .relation = KV_EQUAL},
                                     {.compared = KV_IF_VERSION, .relation = KV_EQUAL}};
    struct kv_op puts[2] = {{.kind = KV_PUT}, {.kind = KV_PUT}};
    int error;

    id_key(record->id, by_id);
    name_key(record->name, by_name);
    snprintf(id, sizeof(id), "%016" PRIx64, record->id);
    access_record_write(record, &value);
    compares[0].keys.key = puts[0].put.key = kv_text(by_id);
    compares[1].keys.key = puts[1].put.key = kv_text(by_name);
    puts[0].put.value = kv_buffer_slice(&value);
    puts[1].put.value = kv_text(id);
    command.op.txn.compares = compares;
    command.op.txn.compare_count = 2;
    command.op.txn.branch[1] = (struct kv_ops){.list = puts, .count = 2};
    error =
        value.error ? value.error : kv_service_propose(cluster->service, &command, on_made, making);
    buffer_free(&value);
    return error;
}

int cluster_access_create(struct cluster *cluster, struct access_record *record, cluster_done done,
                          void *arg)
{
    struct making *making = calloc(1, sizeof(*making));
    unsigned count = 0;
    int error = making ? cluster_access_list(cluster, count_record, &count) : CULVERT_ENOMEM;

    if (!error && count >= CLUSTER_ACCESS_MAX)
        error = CULVERT_EFULL;
    if (!error)
        error = access_make(cluster->identity, record, making->text);
    if (!error) {
        making->done = done;
        making->arg = arg;
        error = store(cluster, record, making);
    }
    if (error)
        free(making);
    return error;
}

/* ---- and revoked ---- */

struct wanted {
    const char *text; /* the name or the id */
    struct access_record record;
    bool found, named;
};

static void match(void *arg, const struct access_record *record)
{
    struct wanted *wanted = arg;
    char id[ID_DIGITS + 1];
    bool named = !strcmp(record->name, wanted->text);

    snprintf(id, sizeof(id), "%016" PRIx64, record->id);
    if (wanted->named || (!named && strcmp(id, wanted->text) != 0))
        return;
    wanted->record = *record;
    wanted->found = true;
    wanted->named = named;
}

struct revoking {
    char name[ACCESS_NAME];
    cluster_done done;
    void *arg;
};

static void on_revoked(void *arg, int status, const struct kv_result *result)
{
    struct revoking *revoking = arg;
    int error = status ? status : result->status;

    if (!error && !result->op.succeeded)
        error = CULVERT_ENOTFOUND; /* somebody else was first */
    revoking->done(revoking->arg, error, error ? culvert_strerror(error) : revoking->name);
    free(revoking);
}

int cluster_access_revoke(struct cluster *cluster, const char *name, cluster_done done, void *arg)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct wanted wanted = {.text = name};
    struct revoking *revoking;
    char by_id[KEY_BYTES], by_name[KEY_BYTES];
    struct kv_compare compare = {.compared = KV_IF_VERSION, .relation = KV_GREATER};
    struct kv_op deletes[2] = {{.kind = KV_DELETE}, {.kind = KV_DELETE}};
    int error = cluster_access_list(cluster, match, &wanted);

    if (error || !wanted.found)
        return error ? error : CULVERT_ENOTFOUND;
    revoking = calloc(1, sizeof(*revoking));
    if (!revoking)
        return CULVERT_ENOMEM;
    memcpy(revoking->name, wanted.record.name, sizeof(revoking->name));
    revoking->done = done;
    revoking->arg = arg;
    id_key(wanted.record.id, by_id);
    name_key(wanted.record.name, by_name);
    compare.keys.key = deletes[0].delete.keys.key = kv_text(by_id);
    deletes[1].delete.keys.key = kv_text(by_name);
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){.list = deletes, .count = 2};
    error = kv_service_propose(cluster->service, &command, on_revoked, revoking);
    if (error)
        free(revoking);
    return error;
}

/* ---- the API's end of TLS ---- */

const X509 *cluster_certificate(const struct cluster *cluster)
{
    return sk_X509_value(cluster->identity->chain, 0);
}

int cluster_api_context(const struct cluster *cluster, SSL_CTX **out)
{
    int error = identity_context(cluster->identity, out);

    if (!error)
        SSL_CTX_set_verify(*out, SSL_VERIFY_NONE, NULL); /* clients show a token */
    return error;
}
