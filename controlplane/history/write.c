/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts on their way: blobs in chunks, several transactions at a time. The first stage says of a
 * large blob that it is coming and brings its chunks; once all of them are there, the second says
 * that it is whole, and brings the small ones.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

#define FLYING_MAX 4u /* transactions under way */
#define FIT_BYTES ((size_t)512 << 10)

struct put {
    char key[KEY_MAX];
    struct kv_slice value;
    void *memory; /* of the value, if it is ours */
    unsigned stage;
};

struct history_writer {
    struct put *put;
    size_t count, capacity;
    size_t next; /* the next one to be sent */
    unsigned flying;
    int error;
    struct history *history;
    void (*done)(void *arg, int status);
    void *arg;
};

int writer_new(struct history_writer **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : CULVERT_ENOMEM;
}

void writer_free(struct history_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->count; i++)
        free(writer->put[i].memory);
    free(writer->put);
    free(writer);
}

static struct put *add_put(struct history_writer *writer, unsigned stage)
{
    struct put *put;

    if (writer->count == writer->capacity) {
        size_t capacity = writer->capacity ? 2 * writer->capacity : 16;
        struct put *more = realloc(writer->put, capacity * sizeof(*more));

        if (!more)
            return NULL;
        writer->put = more;
        writer->capacity = capacity;
    }
    put = &writer->put[writer->count++];
    *put = (struct put){.stage = stage};
    return put;
}

/* A blob's record, with `length` bytes of it. */
static int add_head(struct history_writer *writer, const struct site_blob *blob,
                    const struct blob_head *head, size_t length)
{
    struct put *put = add_put(writer, head->whole);
    uint8_t *bytes = put ? malloc(BLOB_HEAD_BYTES + length) : NULL;

    if (!bytes) {
        writer->count -= put != NULL;
        return CULVERT_ENOMEM;
    }
    blob_head_write(bytes, head);
    if (length)
        memcpy(bytes + BLOB_HEAD_BYTES, blob->data, length);
    key_blob(put->key, blob->digest);
    put->memory = bytes;
    put->value = (struct kv_slice){bytes, BLOB_HEAD_BYTES + length};
    return 0;
}

int writer_add_blob(struct history_writer *writer, const struct site_blob *blob, int64_t now_ms)
{
    struct blob_head head = {.length = blob->length, .time_ms = now_ms, .whole = true};
    bool few = blob->length <= INLINE_BYTES;
    int error = 0;

    if (!few) {
        head.whole = false;
        error = add_head(writer, blob, &head, 0);
        head.whole = true;
    }
    for (size_t at = 0; !few && !error && at < blob->length; at += CHUNK_BYTES) {
        size_t left = blob->length - at;
        struct put *put = add_put(writer, 0);

        if (!put)
            return CULVERT_ENOMEM;
        key_chunk(put->key, blob->digest, at / CHUNK_BYTES);
        put->value = (struct kv_slice){(const uint8_t *)blob->data + at,
                                       left < CHUNK_BYTES ? left : CHUNK_BYTES};
    }
    return error ? error : add_head(writer, blob, &head, few ? blob->length : 0);
}

struct kv_op put_op(const char *key, struct kv_slice value)
{
    return (struct kv_op){.kind = KV_PUT, .put = {.key = kv_text(key), .value = value}};
}

int answer_error(int status, const struct kv_result *result)
{
    return status ? status : result->status;
}

bool writer_fits(const struct history_writer *writer)
{
    size_t bytes = 0;

    for (size_t i = writer->next; i < writer->count; i++) {
        if (!writer->put[i].stage)
            return false;
        bytes += writer->put[i].value.length;
    }
    return bytes <= FIT_BYTES && writer->count - writer->next <= BATCH_OPS;
}

size_t writer_operations(const struct history_writer *writer, struct kv_op *list)
{
    size_t count = 0;

    for (size_t i = writer->next; i < writer->count; i++)
        list[count++] = put_op(writer->put[i].key, writer->put[i].value);
    return count;
}

/* ---- sending ---- */

static int order(const void *x, const void *y)
{
    const struct put *a = x, *b = y;

    return a->stage != b->stage ? (a->stage < b->stage ? -1 : 1) : strcmp(a->key, b->key);
}

/* As many of the next puts as make one transaction. */
static size_t batch(const struct history_writer *writer, struct kv_op list[BATCH_OPS])
{
    size_t bytes = 0, count = 0;

    while (writer->next + count < writer->count && count < BATCH_OPS) {
        const struct put *put = &writer->put[writer->next + count];

        bytes += put->value.length;
        if (count && (bytes > CHUNK_BYTES || put->stage != writer->put[writer->next].stage))
            break;
        list[count++] = put_op(put->key, put->value);
    }
    return count;
}

static void send_more(struct history_writer *writer);

static void on_answer(void *arg, int status, const struct kv_result *result)
{
    struct history_writer *writer = arg;
    int error = answer_error(status, result);

    writer->flying--;
    if (error && !writer->error)
        writer->error = error;
    send_more(writer);
    if (!writer->flying)
        writer->done(writer->arg, writer->error);
}

static void send_more(struct history_writer *writer)
{
    struct kv_op list[BATCH_OPS];
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    int error = 0;

    while (!writer->error && writer->flying < FLYING_MAX && writer->next < writer->count) {
        if (writer->flying &&
            writer->put[writer->next].stage != writer->put[writer->next - 1].stage)
            return;
        command.op.txn.branch[1] = (struct kv_ops){list, batch(writer, list)};
        error = kv_service_propose(writer->history->options.service, &command, on_answer, writer);
        if (error)
            break;
        writer->next += command.op.txn.branch[1].count;
        writer->flying++;
    }
    /* Others fill the queues: those under way make room. */
    if (error && !(error == CULVERT_EFULL && writer->flying))
        writer->error = error;
}

int writer_start(struct history_writer *writer, struct history *history,
                 void (*done)(void *arg, int status), void *arg)
{
    writer->history = history;
    writer->done = done;
    writer->arg = arg;
    if (writer->count > 1)
        qsort(writer->put, writer->count, sizeof(*writer->put), order);
    send_more(writer);
    return writer->flying ? 0 : writer->error;
}
