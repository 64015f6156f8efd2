/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site's revisions, their blobs and the audit log, in the replicated store:
 *
 *   s/latest              number of the latest revision
 *   s/rev/NUMBER          a revision: who, when, why, and the digest of its document, which may be
 *                         an earlier one's: then the patches behind that one make it this one's
 *   s/patch/NUMBER        what differs between a revision and the one before (site/patch.h)
 *   s/blob/SHA256         a blob's length and age; its bytes when they are few
 *   s/data/SHA256/CHUNK   else its bytes
 *   s/confirm             the revision that waits to be confirmed, and until when
 *   s/audit/TIME-NODE-N   what was done, by whom, with what outcome
 *   s/collected           counts the removals of blobs
 *
 * A revision is one transaction: it compares what it was made from and puts the revision, its
 * patch, the latest number and the line of the audit log. Its blobs are there before.
 *
 * All on the loop's thread, but what is said to be for any thread: a view is read, and an append
 * prepared, by one thread at a time. A callback never runs inside the call that asked for it.
 */
#ifndef CULVERT_HISTORY_HISTORY_H
#define CULVERT_HISTORY_HISTORY_H

#include "controlplane/base/env.h"
#include "controlplane/core/kv/service.h"
#include "controlplane/site/site.h"

#define HISTORY_BLOB_MAX ((size_t)1 << 30)       /* bytes of a blob */
#define HISTORY_DOCUMENT_MAX ((size_t)256 << 20) /* and of a revision's document */

struct history;
struct history_view;

/* Zero is the default of each but the first two. */
struct history_options {
    struct env *env;
    struct kv_service *service;
    const char *node;    /* its name, for the audit log; "" */
    unsigned keep;       /* 1000 revisions */
    uint64_t keep_bytes; /* 512 MiB: as many as have so much of blobs together; the last two stay */
    unsigned keep_audit; /* 10000 lines */
    /* The latest revision or the pending confirmation is another one than at the last call. */
    void (*changed)(void *arg);
    void *arg;
};

/* CULVERT_ENOMEM, or the store's error. The service outlives it. */
int history_open(struct history **out, const struct history_options *options);
/* Nothing that it was asked for is under way. NULL is allowed. */
void history_close(struct history *history);

/* A revision that is taken back unless it is confirmed in time. */
struct history_pending {
    uint64_t revision;   /* 0: there is none */
    uint64_t back;       /* the revision whose content comes back */
    int64_t deadline_ms; /* wall clock */
};
/* As this node's store has them. */
uint64_t history_latest(const struct history *history); /* 0: no revision yet */
const struct history_pending *history_pending(const struct history *history);
bool history_leads(const struct history *history); /* this node leads the site's group */

/* ---- reading ---- */

/* What the store has now. Opened and closed on the loop's thread, read on any. */
int history_view_open(struct history_view **out, struct history *history);
void history_view_close(struct history_view *view); /* NULL is allowed */

/* Reads of these never fail for what isn't there but by CULVERT_ENOTFOUND; CULVERT_ECORRUPT: not
 * what was written; CULVERT_EIO; CULVERT_ENOMEM. */
int history_view_latest(struct history_view *view, uint64_t *number); /* 0: no revision yet */
int history_view_get(struct history_view *view, uint64_t number, struct site_revision **out);
/* Only its number and patch, to be taken over by who has the revision before. */
int history_view_patch(struct history_view *view, uint64_t number, struct site_revision **out);
void history_revision_free(struct site_revision *revision); /* NULL is allowed */
/* Calls `each` for every revision, newest first, `site` and `state` NULL, until it returns
 * non-zero, which is returned. */
int history_view_list(struct history_view *view,
                      int (*each)(void *arg, const struct site_revision *revision), void *arg);
/* CULVERT_ENOTFOUND also for one that is still being written. */
int history_view_has(struct history_view *view, const char *digest);
struct site_blobs *history_view_blobs(struct history_view *view); /* the view's */

/* Who asked for something, as the API knows it: `author` is what they say themselves. All NULL:
 * culvertd itself, or it is not known. */
struct history_caller {
    const char *user; /* of the machine, or "token:NAME" */
    const char *role;
    const char *from; /* address and port, or "local" */
};

/* A line of the audit log. */
struct history_audit {
    int64_t time_ms;
    const char *author, *comment, *node;
    struct history_caller caller;
    const char *what;    /* apply, rollback, confirm, expire, a change of nodes or tokens, ... */
    const char *outcome; /* done, or what went wrong */
    uint64_t revision;   /* the one that it made or was about; 0: none */
};
/* Likewise, newest first. */
int history_view_audit(struct history_view *view,
                       int (*each)(void *arg, const struct history_audit *audit), void *arg);

/* ---- writing ---- */

/* Puts a blob, whose digest was checked, in pieces; calls `done` when it is there or can't be. Its
 * memory is the caller's until then. On an error of the call `done` is not called. */
int history_blob_put(struct history *history, const struct site_blob *blob, int64_t now_ms,
                     void (*done)(void *arg, int status), void *arg);

enum history_pends {
    HISTORY_PENDS_REFUSE, /* CULVERT_EBUSY while a revision waits to be confirmed */
    HISTORY_PENDS_END,    /* it is settled by this one */
    HISTORY_PENDS_EXPIRE, /* likewise; CULVERT_ECONFLICT when it was settled already */
};

/* Where a revision's document is. */
struct document_place {
    char digest[DIGEST_TEXT];
    uint64_t whole;   /* the revision whose document that is: its own, or an earlier one's */
    uint64_t patched; /* bytes of all patches behind that one */
};

/* A revision on its way into the store. */
struct history_append {
    /* in; stay until done */
    struct site_revision *revision; /* time, author and comment set; its number is base + 1 */
    const struct site_blob *blobs;  /* those that the store may not have */
    size_t blob_count;
    uint64_t base; /* the revision that it was made from, 0: none */
    const char *what;
    struct history_caller caller;
    enum history_pends pends;
    int64_t deadline_ms; /* to be confirmed until then; 0: no need */
    /* 0; CULVERT_ECONFLICT: the latest revision is not `base`, or blobs were removed meanwhile;
     * CULVERT_EBUSY as above; others as of kv_service_propose(), CULVERT_EUNKNOWN too, and of the
     * store: CULVERT_EQUOTA. */
    void (*done)(struct history_append *append, int status);
    void *arg;
    /* private */
    struct history *history;
    struct history_writer *writer;
    struct buffer record;
    struct buffer document; /* empty: the patch is enough */
    struct site_blob document_blob;
    struct document_place place;
    char collected[24];
};

/* Whether a revision made from `base` has to be stored whole: it has no patch, or many are there
 * since the last whole one. On any thread. */
int history_wants_whole(struct history_view *view, uint64_t base,
                        const struct site_revision *revision, bool *whole);
/* What takes long of it; on any thread. The revision is whole if it has to be. */
int history_append_prepare(struct history_append *append, struct history_view *view);
/* After that. On an error `done` is not called. */
int history_append_start(struct history *history, struct history_append *append);
void history_append_free(struct history_append *append); /* its private parts; a zeroed one too */

/* Settles what waits to be confirmed: it stays. `audit`'s time, author, comment and `what` are
 * used. CULVERT_ENOTFOUND: nothing waits; `done`: CULVERT_ECONFLICT: settled meanwhile. */
int history_confirm(struct history *history, const struct history_audit *audit,
                    void (*done)(void *arg, int status), void *arg);

/* Notes a line about something that made no revision. Nobody waits for it. */
void history_note(struct history *history, const struct history_audit *audit);

/* ---- what nobody needs any more ---- */

/* Revisions past the number or the bytes that are kept, blobs that none of the others names and
 * that are older than `age_ms` (an upload comes before its apply), lines of the audit log past the
 * number kept. */
struct history_collection;
/* Looks for it; on any thread. NULL in *out: there is nothing. */
int history_collect_find(struct history_collection **out, struct history *history,
                         struct history_view *view, int64_t now_ms, int64_t age_ms);
/* Removes it, and frees the collection. On an error `done` is not called, but it is freed. */
int history_collect(struct history *history, struct history_collection *collection,
                    void (*done)(void *arg, int status), void *arg);

#endif
