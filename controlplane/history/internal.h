/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by this folder's files only: how things lie in the store, and puts on their way. */
#ifndef CULVERT_HISTORY_INTERNAL_H
#define CULVERT_HISTORY_INTERNAL_H

#include <yyjson.h>

#include "controlplane/core/kv/view.h"
#include "controlplane/history/history.h"

#define KEY_MAX 112u /* bytes of a key, with a NUL */
#define KEY_LATEST "s/latest"
#define KEY_CONFIRM "s/confirm"
#define KEY_COLLECTED "s/collected"
#define PREFIX_REVISION "s/rev/"
#define PREFIX_PATCH "s/patch/"
#define PREFIX_BLOB "s/blob/"
#define PREFIX_DATA "s/data/"
#define PREFIX_AUDIT "s/audit/"

#define CHUNK_BYTES ((size_t)1 << 20)
#define INLINE_BYTES ((size_t)256 << 10) /* a blob up to that lies in its own record */
#define BATCH_OPS 60u                    /* puts of one transaction */

struct history {
    struct history_options options;
    struct kv_observer observer;
    struct env_timer timer; /* something of ours has changed */
    uint64_t latest;
    struct history_pending pending;
    struct buffer confirm; /* the value behind `pending` */
    unsigned audits;       /* lines written, for their keys */
    uint64_t node;
};

struct history_view {
    struct site_blobs blobs; /* first */
    struct kv_view *view;
};

/* ---- record.c ---- */

/* Keys, as history.h has them. */
void key_revision(char key[KEY_MAX], uint64_t number);
void key_patch(char key[KEY_MAX], uint64_t number);
void key_blob(char key[KEY_MAX], const char *digest);
void key_chunk(char key[KEY_MAX], const char *digest, size_t chunk);
void key_audit(char key[KEY_MAX], struct history *history, int64_t time_ms);
/* The end of all keys that begin with a prefix, which ends in '/'. */
void key_behind(char key[KEY_MAX], const char *prefix);

/* A number as s/latest and s/collected hold it. */
bool number_read(struct kv_slice value, uint64_t *number);

/* A document and patches behind it, fewer than that. */
#define PATCHES_MAX 256u

/* A revision's record. */
void revision_write(struct buffer *json, const struct site_revision *revision, const char *node,
                    const struct document_place *place);
/* Sets what the record has; strings are copied. */
int revision_read(struct site_revision **out, struct kv_slice json, struct document_place *place);

/* A revision's document: three lines of one JSON object, its blobs, its state, the site. */
void document_write(struct buffer *text, const struct site_revision *revision);
int document_split(struct site_revision *revision, const char *text, size_t length);
/* Only its blobs, each for free(), the list too. A patch's, likewise. */
int document_blobs(const char *text, size_t length, char ***blobs, size_t *count);

/* What waits to be confirmed. */
void pending_write(struct buffer *json, const struct history_pending *pending);
void pending_read(struct history_pending *pending, struct kv_slice json); /* bad: none */

/* A line of the audit log. */
void audit_write(struct buffer *json, const struct history_audit *audit);
/* Strings are the doc's, which the caller frees. False: it is none. */
bool audit_read(struct history_audit *audit, struct kv_slice json, yyjson_doc **doc);

/* A blob's own record: this, and its bytes if they are few. */
struct blob_head {
    uint64_t length;
    int64_t time_ms; /* of the upload */
    bool whole;      /* all chunks are there */
};
#define BLOB_HEAD_BYTES 17u
/* Numbers are big endian. False: not a record. */
void blob_head_write(uint8_t bytes[BLOB_HEAD_BYTES], const struct blob_head *head);
bool blob_head_read(struct blob_head *head, struct kv_slice record, struct kv_slice *data);

/* ---- view.c ---- */

int view_number(struct kv_view *view, const char *key, uint64_t *number); /* 0: not there */
/* A blob's length, 0: it isn't there. */
uint64_t view_blob_length(struct history_view *view, const char *digest);
/* A revision's document, to free(); one that isn't there is damage. */
int view_document(struct history_view *view, const char *digest, const void **text, size_t *length);
/* The place of a revision's document. CULVERT_ENOTFOUND. */
int view_place(struct history_view *view, uint64_t number, struct document_place *place);
/* A revision's patch. */
int view_patch(struct history_view *view, uint64_t number, struct buffer *patch);

/* ---- write.c: puts, in order of their stages, several at a time ---- */

struct history_writer;
/* An empty one; CULVERT_ENOMEM. */
int writer_new(struct history_writer **out);
void writer_free(struct history_writer *writer); /* NULL is allowed */
/* All puts of a blob. Its bytes stay the caller's until the writer is freed. */
int writer_add_blob(struct history_writer *writer, const struct site_blob *blob, int64_t now_ms);
/* Begins; `done` is called at the end, unless an error is returned. */
int writer_start(struct history_writer *writer, struct history *history,
                 void (*done)(void *arg, int status), void *arg);
/* The rest of the puts is few enough to be part of another transaction, as operations of it. */
bool writer_fits(const struct history_writer *writer);
size_t writer_operations(const struct history_writer *writer, struct kv_op *list);

/* A put; neither key nor value is copied. */
struct kv_op put_op(const char *key, struct kv_slice value);
/* The error of an answer, of its way or its own. */
int answer_error(int status, const struct kv_result *result);

#endif
