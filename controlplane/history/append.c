/* SPDX-License-Identifier: Apache-2.0 */
/* A revision on its way: its blobs, then the one transaction that makes it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

/* ---- an upload ---- */

struct blob_put {
    struct history_writer *writer;
    void (*done)(void *arg, int status);
    void *arg;
};

static void blob_there(void *arg, int status)
{
    struct blob_put put = *(struct blob_put *)arg;

    free(arg);
    writer_free(put.writer);
    put.done(put.arg, status);
}

int history_blob_put(struct history *history, const struct site_blob *blob, int64_t now_ms,
                     void (*done)(void *arg, int status), void *arg)
{
    struct blob_put *put = calloc(1, sizeof(*put));
    int error = put ? writer_new(&put->writer) : CULVERT_ENOMEM;

    if (!error) {
        put->done = done;
        put->arg = arg;
        error = writer_add_blob(put->writer, blob, now_ms);
    }
    if (!error)
        error = writer_start(put->writer, history, blob_there, put);
    if (error && put) {
        writer_free(put->writer);
        free(put);
    }
    return error;
}

/* ---- an append ---- */

static int digest_order(const void *x, const void *y)
{
    return strcmp((*(const struct site_blob *const *)x)->digest,
                  (*(const struct site_blob *const *)y)->digest);
}

/* Each blob that isn't there, once. */
static int add_blobs(struct history_append *append, struct history_view *view)
{
    const struct site_blob **list = calloc(append->blob_count + 1, sizeof(*list));
    int error = list ? 0 : CULVERT_ENOMEM;

    for (size_t i = 0; list && i < append->blob_count; i++)
        list[i] = &append->blobs[i];
    if (list && append->blob_count > 1)
        qsort(list, append->blob_count, sizeof(*list), digest_order);
    for (size_t i = 0; i < append->blob_count && !error; i++) {
        if (i && !strcmp(list[i - 1]->digest, list[i]->digest))
            continue;
        error = history_view_has(view, list[i]->digest);
        if (error == CULVERT_ENOTFOUND)
            error = writer_add_blob(append->writer, list[i], append->revision->time_ms);
    }
    free(list);
    return error;
}

/* Where the document of a revision with that patch is, behind `base`; whole 0: nowhere yet. */
static int find_place(struct history_view *view, uint64_t base,
                      const struct site_revision *revision, struct document_place *place)
{
    int error;

    *place = (struct document_place){0};
    if (!base || !revision->patch)
        return 0;
    error = view_place(view, base, place);
    place->patched += strlen(revision->patch);
    if (base + 1 - place->whole >= PATCHES_MAX ||
        place->patched > view_blob_length(view, place->digest))
        *place = (struct document_place){0};
    return error;
}

int history_wants_whole(struct history_view *view, uint64_t base,
                        const struct site_revision *revision, bool *whole)
{
    struct document_place place;
    int error = find_place(view, base, revision, &place);

    *whole = !place.whole;
    return error;
}

/* The document as a blob. */
static int make_document(struct history_append *append)
{
    struct site_blob *document = &append->document_blob;
    int error;

    buffer_init(&append->document, HISTORY_DOCUMENT_MAX);
    document_write(&append->document, append->revision);
    error = append->document.error;
    if (!error)
        error = digest_text(append->document.data, append->document.length, document->digest);
    if (error)
        return error;
    document->data = append->document.data;
    document->length = append->document.length;
    append->place = (struct document_place){.whole = append->base + 1};
    memcpy(append->place.digest, document->digest, DIGEST_TEXT);
    return writer_add_blob(append->writer, document, append->revision->time_ms);
}

int history_append_prepare(struct history_append *append, struct history_view *view)
{
    uint64_t collected = 0;
    int error = view_number(view->view, KEY_COLLECTED, &collected);

    snprintf(append->collected, sizeof(append->collected), "%" PRIu64, collected);
    append->revision->number = append->base + 1;
    if (!error)
        error = writer_new(&append->writer);
    if (!error)
        error = add_blobs(append, view);
    if (error)
        return error;
    if (append->revision->site)
        return make_document(append);
    return find_place(view, append->base, append->revision, &append->place);
}

void history_append_free(struct history_append *append)
{
    writer_free(append->writer);
    append->writer = NULL;
    buffer_free(&append->record);
    buffer_free(&append->document);
}

/* True of a number as it was read: 0 is a key that isn't there. */
static struct kv_compare compare_number(const char *key, const char *number)
{
    struct kv_compare compare = {.keys.key = kv_text(key), .relation = KV_EQUAL};

    if (!strcmp(number, "0")) {
        compare.compared = KV_IF_VERSION;
    } else {
        compare.compared = KV_IF_VALUE;
        compare.value = kv_text(number);
    }
    return compare;
}

/* Everything that the transaction's slices point to. */
struct transaction {
    struct kv_command command;
    struct kv_compare compares[3];
    struct kv_op puts[BATCH_OPS + 8], looks[2];
    char base[24], number[24], revision_key[KEY_MAX], patch_key[KEY_MAX], audit_key[KEY_MAX];
    struct buffer audit, pending;
};

static void make_compares(struct transaction *txn, const struct history_append *append)
{
    const struct history *history = append->history;
    size_t count = 0;

    snprintf(txn->base, sizeof(txn->base), "%" PRIu64, append->base);
    txn->compares[count++] = compare_number(KEY_LATEST, txn->base);
    txn->compares[count++] = compare_number(KEY_COLLECTED, append->collected);
    if (append->pends == HISTORY_PENDS_REFUSE)
        txn->compares[count++] = compare_number(KEY_CONFIRM, "0");
    else if (append->pends == HISTORY_PENDS_EXPIRE)
        txn->compares[count++] = (struct kv_compare){.keys.key = kv_text(KEY_CONFIRM),
                                                     .compared = KV_IF_VALUE,
                                                     .relation = KV_EQUAL,
                                                     .value = kv_buffer_slice(&history->confirm)};
    txn->command.op.txn.compares = txn->compares;
    txn->command.op.txn.compare_count = count;
}

static void make_audit(struct transaction *txn, const struct history_append *append)
{
    const struct site_revision *revision = append->revision;
    struct history_audit audit = {.time_ms = revision->time_ms,
                                  .author = revision->author,
                                  .comment = revision->comment,
                                  .node = append->history->options.node,
                                  .caller = append->caller,
                                  .what = append->what,
                                  .outcome = "done",
                                  .revision = revision->number};

    key_audit(txn->audit_key, append->history, audit.time_ms);
    audit_write(&txn->audit, &audit);
}

static int make_puts(struct transaction *txn, struct history_append *append)
{
    const struct site_revision *revision = append->revision;
    struct kv_op *puts = txn->puts;
    size_t count = writer_operations(append->writer, puts);

    buffer_clear(&append->record);
    revision_write(&append->record, revision, append->history->options.node, &append->place);
    snprintf(txn->number, sizeof(txn->number), "%" PRIu64, revision->number);
    key_revision(txn->revision_key, revision->number);
    make_audit(txn, append);
    puts[count++] = put_op(txn->revision_key, kv_buffer_slice(&append->record));
    if (revision->patch) {
        key_patch(txn->patch_key, revision->number);
        puts[count++] = put_op(txn->patch_key, kv_text(revision->patch));
    }
    puts[count++] = put_op(KEY_LATEST, kv_text(txn->number));
    puts[count++] = put_op(txn->audit_key, kv_buffer_slice(&txn->audit));
    if (append->deadline_ms) {
        pending_write(&txn->pending, &(struct history_pending){.revision = revision->number,
                                                               .back = append->base,
                                                               .deadline_ms = append->deadline_ms});
        puts[count++] = put_op(KEY_CONFIRM, kv_buffer_slice(&txn->pending));
    } else if (append->pends != HISTORY_PENDS_REFUSE) {
        puts[count++] =
            (struct kv_op){.kind = KV_DELETE, .delete = {.keys.key = kv_text(KEY_CONFIRM)}};
    }
    txn->command.op.txn.branch[1] = (struct kv_ops){puts, count};
    if (append->record.error)
        return append->record.error;
    return txn->audit.error ? txn->audit.error : txn->pending.error;
}

/* Why the comparisons failed, by what the other branch has read. */
static int refusal(const struct history_append *append, const struct kv_op_result *txn)
{
    const struct kv_pairs *latest, *confirm;
    uint64_t number = 0;

    if (txn->result_count != 2)
        return CULVERT_ECONFLICT;
    latest = &txn->results[0].pairs;
    confirm = &txn->results[1].pairs;
    if (latest->count)
        number_read(latest->list[0].value, &number);
    if (number == append->base && confirm->count && append->pends == HISTORY_PENDS_REFUSE)
        return CULVERT_EBUSY;
    return CULVERT_ECONFLICT;
}

static void on_transaction(void *arg, int status, const struct kv_result *result)
{
    struct history_append *append = arg;
    int error = answer_error(status, result);

    if (!error && !result->op.succeeded)
        error = refusal(append, &result->op);
    append->done(append, error);
}

static int send_transaction(struct history_append *append)
{
    struct transaction *txn = calloc(1, sizeof(*txn));
    int error;

    if (!txn)
        return CULVERT_ENOMEM;
    txn->command = (struct kv_command){.kind = KV_TXN, .op.kind = KV_TXN};
    make_compares(txn, append);
    error = make_puts(txn, append);
    for (unsigned i = 0; i < 2; i++)
        txn->looks[i] = (struct kv_op){
            .kind = KV_RANGE, .range = {.keys.key = kv_text(i ? KEY_CONFIRM : KEY_LATEST)}};
    txn->command.op.txn.branch[0] = (struct kv_ops){txn->looks, 2};
    if (!error)
        error = kv_service_propose(append->history->options.service, &txn->command, on_transaction,
                                   append);
    buffer_free(&txn->audit);
    buffer_free(&txn->pending);
    free(txn);
    return error;
}

static void on_blobs(void *arg, int status)
{
    struct history_append *append = arg;
    int error = status ? status : send_transaction(append);

    if (error)
        append->done(append, error);
}

int history_append_start(struct history *history, struct history_append *append)
{
    append->history = history;
    if (writer_fits(append->writer))
        return send_transaction(append);
    return writer_start(append->writer, history, on_blobs, append);
}
