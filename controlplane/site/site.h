/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site: its document (parsed, checked, printed, compared) and the engine that turns one
 * document after the other into table entries.
 *
 * culvertd's way for an apply: site_prepare (parses, checks, compiles into an open transaction of
 * its tables; on a worker thread), history_append of the plan's revision (controlplane/history),
 * site_commit; then it streams the plan's changes to the data planes. Other nodes site_adopt the
 * revision. Anything that fails: site_abort, and nothing has changed. Used by one thread at a
 * time, no clock of its own: `now` is wall-clock milliseconds.
 */
#ifndef CULVERT_SITE_SITE_H
#define CULVERT_SITE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"
#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "dataplane/tables/tables.h"

#define SITE_TEXT_MAX ((size_t)64 << 20) /* bytes of a site file */
#define SITE_ERRORS_MAX 200u             /* kept; more are only counted */

/* ---- what is stored ---- */

/* A revision as it is stored. All pointers belong to whoever made the struct. */
struct site_revision {
    uint64_t number;              /* the first is 1 */
    int64_t time_ms;              /* wall clock */
    const char *author, *comment; /* "" when there is none */
    uint64_t changes;             /* number of paths that differ from the revision before */
    const char *site;             /* canonical JSON of the site; NULL: only the patch is there */
    const char *state;        /* JSON: ids, secrets, bucket tables' digests, zone files' digests */
    const char *const *blobs; /* digests of every blob that the revision needs */
    size_t blob_count;
    const char *patch; /* JSON: what differs from the revision before (patch.h); NULL: none */
};
#define SITE_PATCH_MAX ((size_t)128 << 10) /* bytes */

/* What a revision is by the texts of an earlier one and all patches behind that one, in their
 * order: `*site` and `*state`, free()d, become its. CULVERT_ECORRUPT, CULVERT_ENOMEM: they stay. */
int site_patch_texts(char **site, char **state, const char *const *patches, size_t count);

/* Bytes known by their SHA-256: zone files and bucket tables. */
struct site_blob {
    char digest[DIGEST_TEXT];
    const void *data;
    size_t length;
};

/* Where the engine reads blobs from, on the thread that the engine is called on. */
struct site_blobs {
    /* The bytes, to be ended with release. CULVERT_ENOTFOUND; CULVERT_ECORRUPT: they don't have
     * that digest; CULVERT_ENOMEM; CULVERT_EIO. */
    int (*get)(struct site_blobs *blobs, const char *digest, const void **data, size_t *length);
    void (*release)(struct site_blobs *blobs, const void *data, size_t length);
};

/* ---- errors ---- */

/* What is wrong, where, and what would be right. NULL or 0: doesn't apply. */
struct site_error {
    char *file;
    unsigned line, column; /* from 1 */
    char *field;           /* path, e.g. "vips.web.pool" */
    char *message;
    char *hint;
};

/* A zeroed one is an empty list. Sorted by place when a call here returns it. */
struct site_errors {
    struct site_error *list;
    size_t count;   /* in the list */
    size_t dropped; /* past SITE_ERRORS_MAX, or for lack of memory */
};

/* Frees all and leaves an empty list. */
void site_errors_free(struct site_errors *errors);
/* Adds an error; any text may be NULL; all are copied. */
void site_errors_add(struct site_errors *errors, const char *file, unsigned line, unsigned column,
                     const char *field, const char *message, const char *hint);
/* The array of API.md: [{"file", "line", "column", "field", "message", "hint"}, ...]. */
void site_errors_json(const struct site_errors *errors, struct buffer *json);
/* A line each: "FILE:LINE:COLUMN: FIELD: MESSAGE; HINT". */
void site_errors_text(const struct site_errors *errors, struct buffer *text);

/* ---- the document ---- */

/* A file that came along with the site file: its name as written there, and its blob. */
struct site_upload {
    const char *name;
    const char *digest; /* SHA-256, hexadecimal */
};

/* What an apply brings. Nothing is kept after the call. */
struct site_source {
    const char *name; /* of the site file, for errors */
    const char *text; /* YAML or JSON */
    size_t length;
    const struct site_upload *uploads;
    size_t upload_count;
    bool canonical; /* the text is what site_get() wrote: read faster, errors have no places */
};

struct site; /* a checked document; never changes */

/* Parses and checks all but the contents of zone files. Returns 0 and a document for site_free(),
 * CULVERT_EREJECTED and all errors, or CULVERT_ENOMEM. */
int site_parse(struct site **out, const struct site_source *source, struct site_errors *errors);
void site_free(struct site *site);

/* The value of "site". */
const char *site_name(const struct site *site);

/* The canonical JSON of the whole document (path NULL or "") or of the part at a path such as
 * "vips.web.ports": keys in a fixed order, names sorted, defaults filled in, units in one form. It
 * parses to the same document again. CULVERT_ENOTFOUND, CULVERT_ENOMEM. */
int site_get(const struct site *site, const char *path, struct buffer *json);

/* What differs, as the array of API.md: [{"path", "old", "new"}, ...] (`old` or `new` null: the
 * one hasn't it), in the order of the document. `old` NULL: an empty site. A zone file whose bytes
 * differ shows as its name and the start of its digest. Returns how many or CULVERT_ENOMEM. */
int site_diff(const struct site *old, const struct site *new, struct buffer *json);

/* The zone files that a site file names, without checking anything else, for the CLI to upload:
 * a list of `*count` names, each and the list to free(). CULVERT_EREJECTED: not YAML. */
int site_files(const char *text, size_t length, char ***names, size_t *count);

/* The zone files of a document (NULL: none): a JSON object of their names and digests. */
void site_files_json(const struct site *site, struct buffer *json);

/* Words that may follow a path of the schema or of a document (NULL: schema only), for shell
 * completion: one to a line. */
void site_words(const struct site *site, const char *path, struct buffer *lines);

/* ---- the engine ---- */

struct site_engine; /* the committed document, its ids, bucket tables and zones */

/* An engine with nothing committed, for site_engine_free(); it is the only writer of transactions
 * of the tables, which outlive it. CULVERT_ENOMEM. */
int site_engine_new(struct site_engine **out, struct tables *tables);
void site_engine_free(struct site_engine *engine);

/* One key that a transaction puts or deletes. A put's body: tables_get() once committed. */
struct site_change {
    struct fp_key key;
    bool deleted;
};
#define SITE_CHANGES_LISTED 65536u
struct site_changes {
    const struct site_change *list; /* in the order of their keys; NULL: too many to list */
    size_t count;
};

/* Brings the tables (empty or not) to a stored revision, its ids and bucket tables included, and
 * commits as `generation`. For start-up. CULVERT_EREJECTED with errors: the revision doesn't
 * compile (any more); the tables are as before. */
int site_load(struct site_engine *engine, const struct site_revision *revision,
              struct site_blobs *blobs, uint64_t generation, int64_t now,
              struct site_errors *errors);

/* A document compiled into the open transaction of the engine's tables. One at a time. */
struct site_plan;

/* Returns 0 and a plan for site_commit() or site_abort(); CULVERT_EREJECTED and all errors, of
 * zone files too; CULVERT_EBUSY: a plan is open; CULVERT_ENOMEM. */
int site_prepare(struct site_engine *engine, const struct site_source *source,
                 struct site_blobs *blobs, int64_t now, struct site_plan **out,
                 struct site_errors *errors);

/* The same for a revision that another node has stored: what was decided for it (numbers, secrets,
 * bucket tables) is taken over, what didn't change since the committed document is shared, so that
 * the tables become those of that node by a transaction of what differs. Everything is compiled
 * anew where the two contradict each other (a name that has another number). The plan has changed,
 * and no diff and nothing to store. Likewise; CULVERT_ECORRUPT.
 *
 * A revision without `site` is taken over by its patch, which is of the committed one: the work is
 * that of what changed. CULVERT_ECONFLICT: it doesn't lead to what it should lead to, from here;
 * then the revision is to be read whole. */
int site_adopt(struct site_engine *engine, const struct site_revision *revision,
               struct site_blobs *blobs, int64_t now, struct site_plan **out,
               struct site_errors *errors);

/* False: the document is the committed one (nothing to store; site_abort it). */
bool site_plan_changed(const struct site_plan *plan);
/* The diff against the committed document, as site_diff writes it, and its length. */
const char *site_plan_diff(const struct site_plan *plan, size_t *paths);
/* The revision to store: patch and changes are set, and after site_plan_whole() also site, state
 * and the names of all blobs; time, author and comment are the caller's to set. The plan's, valid
 * until commit or abort. CULVERT_ENOMEM. */
struct site_revision *site_plan_revision(struct site_plan *plan);
int site_plan_whole(struct site_plan *plan);
const struct site_blob *site_plan_blobs(const struct site_plan *plan, size_t *count);
const struct site *site_plan_site(const struct site_plan *plan);

/* Commits the tables and makes the plan's document the engine's. The list of changes is valid
 * until the next site_commit or site_tick; it is NULL when there are more than SITE_CHANGES_LISTED
 * or no memory for it (tables_changes() knows them all the same). The plan is gone. */
void site_commit(struct site_engine *engine, struct site_plan *plan, uint64_t generation,
                 struct site_changes *changes);
void site_abort(struct site_engine *engine, struct site_plan *plan); /* plan may be NULL */
/* Frees the state that the last commit replaced, which of a large document takes long; the next
 * commit does it else. What is read of the committed state meanwhile isn't touched. */
void site_clean(struct site_engine *engine);

/* When the next mark of a bucket ends, or -1. */
int64_t site_deadline(const struct site_engine *engine);
/* Takes off the marks that ended: commits as `generation` when any did, and returns the number of
 * changes; 0: nothing to do. CULVERT_EBUSY while a plan is open: call again after it.
 * CULVERT_ENOMEM, CULVERT_EFULL: call again later; the marks do no harm meanwhile. */
int site_tick(struct site_engine *engine, uint64_t generation, int64_t now,
              struct site_changes *changes);

/* ---- what is committed ---- */

const struct site *site_engine_site(const struct site_engine *engine); /* NULL: none yet */

/* The name behind a number: kind is FP_KIND_INTERFACE, _LIMIT, _POOL, _BACKEND (then *pool is its
 * pool's name), _ZONE, or _VIP (the counter's number). NULL: not in use. `pool` may be NULL. */
const char *site_number_name(const struct site_engine *engine, enum fp_kind kind, unsigned number,
                             const char **pool);
/* All numbers of a kind are below this. */
unsigned site_number_end(const struct site_engine *engine, enum fp_kind kind);

struct site_counts {
    size_t interfaces, pools, backends, vips, limits, access, zones;
    size_t names;           /* nodes of all zones */
    size_t dpdk_interfaces; /* of `interfaces`, those of driver dpdk */
};
void site_counts(const struct site_engine *engine, struct site_counts *counts);

/* The addresses that DNS listens on; the list is valid until the next commit. */
size_t site_listen(const struct site_engine *engine, const struct address **list);

#define SITE_API_LISTEN_MAX 64u
/* The addresses that nodes offer the API at. Returns how many. */
size_t site_api_listen(const struct site_engine *engine, struct endpoint list[SITE_API_LISTEN_MAX]);

#endif
