/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: of one view of the store, on any thread. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

static int blob_get(struct site_blobs *blobs, const char *digest, const void **data,
                    size_t *length);
static void blob_release(struct site_blobs *blobs, const void *data, size_t length);

int history_view_open(struct history_view **out, struct history *history)
{
    struct history_view *view = calloc(1, sizeof(*view));
    int error;

    if (!view)
        return CULVERT_ENOMEM;
    view->blobs = (struct site_blobs){.get = blob_get, .release = blob_release};
    error = kv_view_open(&view->view, kv_service_store(history->options.service));
    if (error) {
        free(view);
        return error;
    }
    *out = view;
    return 0;
}

void history_view_close(struct history_view *view)
{
    if (!view)
        return;
    kv_view_close(view->view);
    free(view);
}

struct site_blobs *history_view_blobs(struct history_view *view)
{
    return &view->blobs;
}

int view_number(struct kv_view *view, const char *key, uint64_t *number)
{
    struct buffer value = {0};
    int error = kv_view_get(view, kv_text(key), &value);

    *number = 0;
    if (!error && !number_read(kv_buffer_slice(&value), number))
        error = CULVERT_ECORRUPT;
    buffer_free(&value);
    return error == CULVERT_ENOTFOUND ? 0 : error;
}

int history_view_latest(struct history_view *view, uint64_t *number)
{
    return view_number(view->view, KEY_LATEST, number);
}

/* ---- blobs ---- */

struct gather {
    char *data;
    size_t length, at;
};

static int add_chunk(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct gather *gather = arg;

    (void)key;
    if (value.length > gather->length - gather->at)
        return CULVERT_ECORRUPT;
    memcpy(gather->data + gather->at, value.data, value.length);
    gather->at += value.length;
    return 0;
}

static int gather_chunks(struct kv_view *view, const char *digest, struct gather *gather)
{
    char first[KEY_MAX], end[KEY_MAX];
    int error;

    key_chunk(first, digest, 0);
    *strrchr(first, '/') = 0;
    strcat(first, "/");
    key_behind(end, first);
    error = kv_view_each(view, kv_text(first), kv_text(end), false, add_chunk, gather);
    return error ? error : gather->at == gather->length ? 0 : CULVERT_ECORRUPT;
}

static int blob_head(struct kv_view *view, const char *digest, struct buffer *record,
                     struct blob_head *head, struct kv_slice *data)
{
    char key[KEY_MAX];
    int error;

    if (!digest_valid(digest))
        return CULVERT_EINVAL;
    key_blob(key, digest);
    error = kv_view_get(view, kv_text(key), record);
    if (error)
        return error;
    if (!blob_head_read(head, kv_buffer_slice(record), data))
        return CULVERT_ECORRUPT;
    return head->whole ? 0 : CULVERT_ENOTFOUND;
}

int history_view_has(struct history_view *view, const char *digest)
{
    struct buffer record = {0};
    struct blob_head head;
    struct kv_slice data;
    int error = blob_head(view->view, digest, &record, &head, &data);

    buffer_free(&record);
    return error;
}

uint64_t view_blob_length(struct history_view *view, const char *digest)
{
    struct buffer record = {0};
    struct blob_head head;
    struct kv_slice data;
    int error = blob_head(view->view, digest, &record, &head, &data);

    buffer_free(&record);
    return error ? 0 : head.length;
}

static int check_digest(const char *digest, const void *data, size_t length)
{
    char real[DIGEST_TEXT];
    int error = digest_text(data, length, real);

    return error ? error : strcmp(real, digest) ? CULVERT_ECORRUPT : 0;
}

static int blob_get(struct site_blobs *blobs, const char *digest, const void **data, size_t *length)
{
    struct history_view *view = (struct history_view *)blobs;
    struct gather gather = {0};
    struct buffer record = {0};
    struct blob_head head;
    struct kv_slice few;
    int error = blob_head(view->view, digest, &record, &head, &few);

    if (!error) {
        gather.length = (size_t)head.length;
        gather.data = malloc(gather.length + 1);
        error = gather.data ? 0 : CULVERT_ENOMEM;
    }
    if (!error)
        error = few.length == gather.length ? add_chunk(&gather, few, few)
                                            : gather_chunks(view->view, digest, &gather);
    if (!error)
        error = check_digest(digest, gather.data, gather.length);
    buffer_free(&record);
    if (error) {
        free(gather.data);
        return error;
    }
    *data = gather.data;
    *length = gather.length;
    return 0;
}

static void blob_release(struct site_blobs *blobs, const void *data, size_t length)
{
    (void)blobs;
    (void)length;
    free((void *)data);
}

/* ---- revisions ---- */

int view_document(struct history_view *view, const char *digest, const void **text, size_t *length)
{
    int error = blob_get(&view->blobs, digest, text, length);

    return error == CULVERT_ENOTFOUND ? CULVERT_ECORRUPT : error;
}

static int read_record(struct history_view *view, uint64_t number, struct site_revision **out,
                       struct document_place *place)
{
    struct buffer record = {0};
    char key[KEY_MAX];
    int error;

    key_revision(key, number);
    error = kv_view_get(view->view, kv_text(key), &record);
    if (!error)
        error = revision_read(out, kv_buffer_slice(&record), place);
    buffer_free(&record);
    return error;
}

int view_place(struct history_view *view, uint64_t number, struct document_place *place)
{
    struct site_revision *revision;
    int error = read_record(view, number, &revision, place);

    if (!error)
        history_revision_free(revision);
    return error;
}

int view_patch(struct history_view *view, uint64_t number, struct buffer *patch)
{
    char key[KEY_MAX];

    key_patch(key, number);
    return kv_view_get(view->view, kv_text(key), patch);
}

/* One after the other: a list of blobs with another's behind it. */
static int blobs_add(struct site_revision *revision, const struct buffer *patch)
{
    char **more, **all = NULL;
    size_t count;
    int error = document_blobs(patch->data, patch->length, &more, &count);

    if (!error)
        all = realloc((void *)revision->blobs, (revision->blob_count + count + 1) * sizeof(*all));
    if (!all) {
        for (size_t i = 0; i < count; i++)
            free(more[i]);
        free(more);
        return error ? error : CULVERT_ENOMEM;
    }
    if (count)
        memcpy(all + revision->blob_count, more, count * sizeof(*all));
    free(more);
    revision->blobs = (const char *const *)all;
    revision->blob_count += count;
    return 0;
}

/* Makes an earlier document that of the revision. */
static int apply_patches(struct history_view *view, struct site_revision *revision,
                         const struct document_place *place)
{
    size_t count = (size_t)(revision->number - place->whole);
    struct buffer patches[PATCHES_MAX] = {0};
    const char *texts[PATCHES_MAX];
    int error = 0;

    for (size_t i = 0; i < count && !error; i++) {
        error = view_patch(view, place->whole + i + 1, &patches[i]);
        if (!error)
            error = blobs_add(revision, &patches[i]);
        texts[i] = patches[i].data;
    }
    if (!error && count)
        error = site_patch_texts((char **)&revision->site, (char **)&revision->state, texts, count);
    for (size_t i = 0; i < count; i++)
        buffer_free(&patches[i]);
    return error == CULVERT_ENOTFOUND ? CULVERT_ECORRUPT : error;
}

int history_view_get(struct history_view *view, uint64_t number, struct site_revision **out)
{
    struct site_revision *revision = NULL;
    struct document_place place;
    const void *text = NULL;
    size_t length;
    int error = read_record(view, number, &revision, &place);

    if (error)
        return error;
    error = view_document(view, place.digest, &text, &length);
    if (!error)
        error = document_split(revision, text, length);
    free((void *)text);
    if (!error)
        error = apply_patches(view, revision, &place);
    if (error)
        history_revision_free(revision);
    else
        *out = revision;
    return error;
}

int history_view_patch(struct history_view *view, uint64_t number, struct site_revision **out)
{
    struct site_revision *revision = calloc(1, sizeof(*revision));
    struct buffer patch = {0};
    int error = revision ? view_patch(view, number, &patch) : CULVERT_ENOMEM;

    if (!error) {
        revision->number = number;
        revision->patch = buffer_take(&patch);
        error = revision->patch ? 0 : CULVERT_ENOMEM;
    }
    buffer_free(&patch);
    if (error)
        history_revision_free(revision);
    else
        *out = revision;
    return error;
}

struct lister {
    int (*revision)(void *arg, const struct site_revision *revision);
    int (*audit)(void *arg, const struct history_audit *audit);
    void *arg;
};

static int list_revision(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct lister *lister = arg;
    struct document_place place;
    struct site_revision *revision;
    int result = revision_read(&revision, value, &place);

    (void)key;
    if (result)
        return result;
    result = lister->revision(lister->arg, revision);
    history_revision_free(revision);
    return result;
}

static int list_audit(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct lister *lister = arg;
    struct history_audit audit;
    yyjson_doc *doc;
    int result = 0;

    (void)key;
    if (audit_read(&audit, value, &doc))
        result = lister->audit(lister->arg, &audit);
    yyjson_doc_free(doc);
    return result;
}

static int list_prefix(struct history_view *view, const char *prefix, kv_view_fn each,
                       struct lister *lister)
{
    char end[KEY_MAX];

    key_behind(end, prefix);
    return kv_view_each(view->view, kv_text(prefix), kv_text(end), true, each, lister);
}

int history_view_list(struct history_view *view,
                      int (*each)(void *arg, const struct site_revision *revision), void *arg)
{
    return list_prefix(view, PREFIX_REVISION, list_revision,
                       &(struct lister){.revision = each, .arg = arg});
}

int history_view_audit(struct history_view *view,
                       int (*each)(void *arg, const struct history_audit *audit), void *arg)
{
    return list_prefix(view, PREFIX_AUDIT, list_audit, &(struct lister){.audit = each, .arg = arg});
}
