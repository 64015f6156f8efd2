/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody needs any more: found in a view, removed by transactions, the one after the other. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

#define BATCH_RANGES 60u
#define KEEP_LEAST 2u /* the latest, and what it may go back to */

struct span {
    char first[KEY_MAX], end[KEY_MAX]; /* end "": one key */
};

struct history_collection {
    struct history *history;
    struct span *span;
    size_t count, capacity, next, under_way;
    char latest[24];
    uint64_t collected;
    void (*done)(void *arg, int status);
    void *arg;
    /* while it is looked for */
    struct history_view *view;
    struct buffer named; /* digests in use, DIGEST_TEXT bytes each */
    size_t named_count, kept;
    uint64_t oldest;             /* the last revision that is kept */
    struct document_place place; /* of its document */
    char **newer;                /* blobs of the document before in the list, sorted */
    size_t newer_count;
    uint64_t bytes;    /* of all blobs named so far, about */
    int64_t before_ms; /* blobs younger than this stay */
};

static void newer_free(struct history_collection *collection)
{
    for (size_t i = 0; i < collection->newer_count; i++)
        free(collection->newer[i]);
    free(collection->newer);
    collection->newer = NULL;
    collection->newer_count = 0;
}

static void collection_free(struct history_collection *collection)
{
    newer_free(collection);
    buffer_free(&collection->named);
    free(collection->span);
    free(collection);
}

static int add_span(struct history_collection *collection, const char *first, const char *end)
{
    if (collection->count == collection->capacity) {
        size_t capacity = collection->capacity ? 2 * collection->capacity : 64;
        struct span *more = realloc(collection->span, capacity * sizeof(*more));

        if (!more)
            return CULVERT_ENOMEM;
        collection->span = more;
        collection->capacity = capacity;
    }
    snprintf(collection->span[collection->count].first, KEY_MAX, "%s", first);
    snprintf(collection->span[collection->count].end, KEY_MAX, "%s", end);
    collection->count++;
    return 0;
}

/* ---- revisions ---- */

static int name_compare(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Notes blobs as in use; their bytes count unless the newer document has them, too. */
static void name_list(struct history_collection *collection, char **blobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_add(&collection->named, blobs[i], DIGEST_TEXT);
        if (!collection->newer || !bsearch(&blobs[i], collection->newer, collection->newer_count,
                                           sizeof(*blobs), name_compare))
            collection->bytes += view_blob_length(collection->view, blobs[i]);
    }
    collection->named_count += count;
}

static int name_document(struct history_collection *collection, const char *document)
{
    const void *text;
    size_t length, count = 0;
    char **blobs = NULL;
    int error = view_document(collection->view, document, &text, &length);

    if (error)
        return error; /* it may name any blob: then all stay */
    error = document_blobs(text, length, &blobs, &count);
    free((void *)text);
    collection->bytes += length;
    name_list(collection, blobs, count);
    buffer_add(&collection->named, document, DIGEST_TEXT);
    collection->named_count++;
    newer_free(collection);
    collection->newer = blobs;
    collection->newer_count = count;
    return error ? error : collection->named.error;
}

/* What a revision has that the one before doesn't; the first of all has no patch. */
static int name_patch(struct history_collection *collection, uint64_t number)
{
    struct buffer patch = {0};
    char **blobs = NULL;
    size_t count = 0;
    int error = view_patch(collection->view, number, &patch);

    if (!error)
        error = document_blobs(patch.data, patch.length, &blobs, &count);
    collection->bytes += patch.length;
    name_list(collection, blobs, count);
    for (size_t i = 0; i < count; i++)
        free(blobs[i]);
    free(blobs);
    buffer_free(&patch);
    return error == CULVERT_ENOTFOUND ? 0 : error ? error : collection->named.error;
}

/* A revision that stays: its own document, if it is whole, and its patch. */
static int name_blobs(struct history_collection *collection, uint64_t number,
                      const struct document_place *place)
{
    int error = 0;

    if (strcmp(place->digest, collection->place.digest) != 0)
        error = name_document(collection, place->digest);
    collection->place = *place;
    collection->oldest = number;
    return error ? error : name_patch(collection, number);
}

/* Whether one more revision is kept. */
static bool keeps(struct history_collection *collection)
{
    const struct history_options *options = &collection->history->options;

    collection->kept++;
    return collection->kept <= KEEP_LEAST ||
           (collection->kept <= options->keep && collection->bytes < options->keep_bytes);
}

/* Revisions before the one with that key go; what the oldest that stays is made of doesn't. */
static int drop_before(struct history_collection *collection, const char *name)
{
    char patch[KEY_MAX];
    int error = add_span(collection, PREFIX_REVISION, name);

    if (!error)
        error = add_span(collection, name, "");
    for (uint64_t at = collection->oldest; at-- > collection->place.whole && !error;)
        error = name_patch(collection, at);
    key_patch(patch, collection->place.whole);
    return error ? error : add_span(collection, PREFIX_PATCH, patch);
}

/* Newest first. */
static int see_revision(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct history_collection *collection = arg;
    struct document_place place;
    struct site_revision *revision;
    char name[KEY_MAX];
    uint64_t number;
    int error;

    if (keeps(collection)) {
        error = revision_read(&revision, value, &place);
        if (error)
            return error;
        number = revision->number;
        history_revision_free(revision);
        return name_blobs(collection, number, &place);
    }
    snprintf(name, sizeof(name), "%.*s", (int)key.length, (const char *)key.data);
    error = drop_before(collection, name);
    return error ? error : 1; /* and all before it */
}

/* ---- blobs ---- */

static int digest_compare(const void *x, const void *y)
{
    return memcmp(x, y, DIGEST_TEXT);
}

static bool is_named(const struct history_collection *collection, const char *digest)
{
    return collection->named_count && bsearch(digest, collection->named.data,
                                              collection->named_count, DIGEST_TEXT, digest_compare);
}

static int see_blob(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct history_collection *collection = arg;
    char name[KEY_MAX], first[KEY_MAX], end[KEY_MAX];
    const char *digest = name + sizeof(PREFIX_BLOB) - 1;
    struct blob_head head;
    struct kv_slice data;
    int error;

    snprintf(name, sizeof(name), "%.*s", (int)key.length, (const char *)key.data);
    if (is_named(collection, digest) || !blob_head_read(&head, value, &data) ||
        head.time_ms > collection->before_ms)
        return 0;
    snprintf(first, sizeof(first), PREFIX_DATA "%.64s/", digest);
    key_behind(end, first);
    error = add_span(collection, name, "");
    return error ? error : add_span(collection, first, end);
}

/* ---- the audit log ---- */

static int see_audit(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct history_collection *collection = arg;
    char name[KEY_MAX];
    int error;

    (void)value;
    if (collection->kept++ < collection->history->options.keep_audit)
        return 0;
    snprintf(name, sizeof(name), "%.*s", (int)key.length, (const char *)key.data);
    error = add_span(collection, PREFIX_AUDIT, name);
    if (!error)
        error = add_span(collection, name, "");
    return error ? error : 1; /* and all before it */
}

static int look_over(struct history_collection *collection, const char *prefix, bool back,
                     kv_view_fn each)
{
    char end[KEY_MAX];
    int result;

    key_behind(end, prefix);
    collection->kept = 0;
    result =
        kv_view_each(collection->view->view, kv_text(prefix), kv_text(end), back, each, collection);
    return result < 0 ? result : 0;
}

int history_collect_find(struct history_collection **out, struct history *history,
                         struct history_view *view, int64_t now_ms, int64_t age_ms)
{
    struct history_collection *collection = calloc(1, sizeof(*collection));
    uint64_t latest;
    int error;

    *out = NULL;
    if (!collection)
        return CULVERT_ENOMEM;
    collection->history = history;
    collection->view = view;
    collection->before_ms = now_ms - age_ms;
    error = history_view_latest(view, &latest);
    snprintf(collection->latest, sizeof(collection->latest), "%" PRIu64, latest);
    if (!error)
        error = view_number(view->view, KEY_COLLECTED, &collection->collected);
    if (!error)
        error = look_over(collection, PREFIX_REVISION, true, see_revision);
    if (!error && collection->named_count)
        qsort(collection->named.data, collection->named_count, DIGEST_TEXT, digest_compare);
    if (!error)
        error = look_over(collection, PREFIX_BLOB, false, see_blob);
    if (!error)
        error = look_over(collection, PREFIX_AUDIT, true, see_audit);
    collection->view = NULL;
    newer_free(collection);
    if (error || !collection->count) {
        collection_free(collection);
        return error;
    }
    *out = collection;
    return 0;
}

/* ---- removing ---- */

static void end(struct history_collection *collection, int status)
{
    void (*done)(void *arg, int status) = collection->done;
    void *arg = collection->arg;

    collection_free(collection);
    done(arg, status);
}

static int remove_some(struct history_collection *collection);

static void on_removed(void *arg, int status, const struct kv_result *result)
{
    struct history_collection *collection = arg;
    int error = answer_error(status, result);

    if (!error && !result->op.succeeded)
        error = CULVERT_ECONFLICT; /* a revision may name what nobody named before */
    collection->next += collection->under_way;
    if (!error && collection->next < collection->count)
        error = remove_some(collection);
    else
        error = error ? error : 1;
    if (error)
        end(collection, error > 0 ? 0 : error);
}

static int remove_some(struct history_collection *collection)
{
    struct kv_op ops[BATCH_RANGES + 1];
    struct kv_compare compare = {.keys.key = kv_text(KEY_LATEST), .relation = KV_EQUAL};
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    char number[24];
    size_t count = 0;

    while (count < BATCH_RANGES && collection->next + count < collection->count) {
        const struct span *span = &collection->span[collection->next + count];

        ops[count++] = (struct kv_op){
            .kind = KV_DELETE,
            .delete = {.keys = {.key = kv_text(span->first), .end = kv_text(span->end)}}};
    }
    collection->under_way = count;
    snprintf(number, sizeof(number), "%" PRIu64, ++collection->collected);
    ops[count++] = put_op(KEY_COLLECTED, kv_text(number));
    compare.compared = strcmp(collection->latest, "0") ? KV_IF_VALUE : KV_IF_VERSION;
    if (compare.compared == KV_IF_VALUE)
        compare.value = kv_text(collection->latest);
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){ops, count};
    return kv_service_propose(collection->history->options.service, &command, on_removed,
                              collection);
}

int history_collect(struct history *history, struct history_collection *collection,
                    void (*done)(void *arg, int status), void *arg)
{
    int error;

    collection->history = history;
    collection->done = done;
    collection->arg = arg;
    error = remove_some(collection);
    if (error)
        collection_free(collection);
    return error;
}
