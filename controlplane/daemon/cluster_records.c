/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the site knows of its nodes and wants of them: a key in the store for every node. Any node
 * writes a wish, whoever leads makes it true (cluster_keep.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/cluster_internal.h"

#define PREFIX "snode/"
#define PREFIX_END "snode0"

static const char *const wants[] = {"join", "member", "voter", "gone"};

static void text_of(yyjson_val *object, const char *name, char *to, size_t size)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));

    snprintf(to, size, "%s", text ? text : "");
}

/* False: not a record. */
static bool read_record(const struct kv_pair *pair, struct node_record *out)
{
    char key[RECORD_KEY] = "";
    yyjson_doc *doc = yyjson_read((const char *)pair->value.data, pair->value.length, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *want = yyjson_get_str(yyjson_obj_get(root, "want"));
    bool good = false;

    *out = (struct node_record){.mod = pair->mod};
    if (pair->key.length < sizeof(key))
        memcpy(key, pair->key.data, pair->key.length);
    for (unsigned i = 0; want && i < sizeof(wants) / sizeof(wants[0]); i++)
        if (!strcmp(want, wants[i])) {
            out->want = (enum node_want)i;
            out->id = strtoull(key + sizeof(PREFIX) - 1, NULL, 16);
            good = out->id != 0;
        }
    text_of(root, "address", out->address, sizeof(out->address));
    text_of(root, "name", out->name, sizeof(out->name));
    text_of(root, "version", out->version, sizeof(out->version));
    text_of(root, "ca", out->ca, sizeof(out->ca));
    out->followed = yyjson_get_uint(yyjson_obj_get(root, "followed"));
    out->protocol = (unsigned)yyjson_get_uint(yyjson_obj_get(root, "protocol"));
    out->expires = yyjson_get_sint(yyjson_obj_get(root, "expires"));
    yyjson_doc_free(doc);
    return good;
}

int records_range(struct cluster *cluster, struct kv_keys keys, struct buffer *bytes,
                  struct arena *arena, struct kv_result *result)
{
    struct kv_command command = {.kind = KV_RANGE, .op = {.kind = KV_RANGE}};
    int error;

    command.op.range.keys = keys;
    error = kv_store_read(cluster->store, &command, bytes);
    if (!error)
        error = kv_result_decode(result, arena, kv_buffer_slice(bytes));
    return error ? error : result->status;
}

int records_read(struct cluster *cluster, struct node_record list[CLUSTER_NODES_MAX])
{
    struct kv_keys keys = {.key = kv_text(PREFIX), .end = kv_text(PREFIX_END)};
    struct buffer bytes = {.bound = (size_t)1 << 20};
    struct arena arena = {0};
    struct kv_result result;
    int error = records_range(cluster, keys, &bytes, &arena, &result), count = 0;

    for (size_t i = 0; !error && i < result.op.pairs.count && count < (int)CLUSTER_NODES_MAX; i++)
        count += read_record(&result.op.pairs.list[i], &list[count]);
    arena_free(&arena);
    buffer_free(&bytes);
    return error ? error : count;
}

struct node_record *records_find(struct node_record *list, int count, uint64_t id)
{
    for (int i = 0; i < count; i++)
        if (list[i].id == id)
            return &list[i];
    return NULL;
}

static void write_key(uint64_t id, struct record_put *memory)
{
    snprintf(memory->key, sizeof(memory->key), PREFIX "%016" PRIx64, id);
}

static void write_value(const struct node_record *record, struct record_put *memory)
{
    struct buffer json = {.bound = RECORD_VALUE - 1};

    buffer_format(&json, "{\"want\":\"%s\",\"address\":\"%s\",\"version\":\"%s\",\"expires\":%lld,",
                  wants[record->want], record->address, record->version,
                  (long long)record->expires);
    buffer_format(&json, "\"ca\":\"%s\",\"followed\":%llu,\"protocol\":%u,", record->ca,
                  (unsigned long long)record->followed, record->protocol);
    buffer_text(&json, "\"name\":");
    buffer_json_text(&json, record->name);
    buffer_char(&json, '}');
    snprintf(memory->value, sizeof(memory->value), "%s", json.data ? json.data : "{}");
    buffer_free(&json);
}

struct kv_op record_put(const struct node_record *record, struct record_put *memory)
{
    write_key(record->id, memory);
    write_value(record, memory);
    return (struct kv_op){.kind = KV_PUT,
                          .put = {.key = kv_text(memory->key), .value = kv_text(memory->value)}};
}

struct kv_compare record_same(const struct node_record *record, struct record_put *memory)
{
    write_key(record->id, memory);
    return (struct kv_compare){.keys = {.key = kv_text(memory->key)},
                               .compared = KV_IF_MOD,
                               .relation = KV_EQUAL,
                               .number = (int64_t)record->mod};
}

int record_store(struct cluster *cluster, const struct node_record *record, kv_answer answer,
                 void *arg)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct record_put memory, key;
    struct kv_compare compare = record_same(record, &key);
    struct kv_op put = record_put(record, &memory);

    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){.list = &put, .count = 1};
    return kv_service_propose(cluster->service, &command, answer, arg);
}

int record_delete(struct cluster *cluster, const struct node_record *record, kv_answer answer,
                  void *arg)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct record_put key;
    char told[RECORD_KEY];
    struct kv_compare compare = record_same(record, &key);
    struct kv_op deletes[2] = {
        {.kind = KV_DELETE, .delete = {.keys = {.key = kv_text(key.key)}}},
        {.kind = KV_DELETE},
    };

    snprintf(told, sizeof(told), "%cmember/%016" PRIx64, KV_SPACE_SITE, record->id);
    deletes[1].delete.keys.key = kv_text(told);
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){.list = deletes, .count = 2};
    return kv_service_propose(cluster->service, &command, answer, arg);
}
