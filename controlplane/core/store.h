/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where revisions are kept. Narrow, so that a replicated store can take the files' place: append
 * a revision with its blobs, read revisions back, keep blobs by digest.
 *
 * Every call blocks (fsync): a process with a loop calls store_append from a worker thread. One
 * call at a time; the store is not thread-safe.
 */
#ifndef CULVERT_CORE_STORE_H
#define CULVERT_CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/digest.h"

#define STORE_FOLDER_DEFAULT "/var/lib/culvert"
#define STORE_DOCUMENT_MAX ((size_t)256 << 20) /* bytes of one revision's file */
#define STORE_BLOB_MAX ((size_t)1 << 30)
#define STORE_KEEP_DEFAULT 1000u /* revisions */

struct store;

/* A revision as it is stored. All pointers belong to whoever made the struct. */
struct store_revision {
    uint64_t number;              /* set by store_append: the latest plus 1; the first is 1 */
    int64_t time_ms;              /* wall clock */
    const char *author, *comment; /* "" when there is none */
    uint64_t changes;             /* number of paths that differ from the revision before */
    const char *site;             /* canonical JSON of the site */
    const char *state;        /* JSON: ids, secrets, bucket tables' digests, zone files' digests */
    const char *const *blobs; /* digests of every blob that the revision needs */
    size_t blob_count;
};

struct store_blob {
    char digest[DIGEST_TEXT];
    const void *data;
    size_t length;
};

struct store_options {
    const char *folder; /* NULL: STORE_FOLDER_DEFAULT; made when missing */
    unsigned keep;      /* revisions kept; 0: STORE_KEEP_DEFAULT */
};

/* Opens a store of files and locks it. `*problem` (may be NULL) is set to a text for the operator,
 * to free(), when an error is returned. CULVERT_EBUSY: another process has it, CULVERT_EACCES. */
int store_open(struct store **out, const struct store_options *options, char **problem);
void store_close(struct store *store);

/* Stores a revision and the blobs that are new with it; sets revision->number. On return it is on
 * the disk, whole; on an error nothing changed. CULVERT_ENOSPC, CULVERT_EIO, CULVERT_ENOMEM,
 * CULVERT_ENOTFOUND: a blob that the revision names is neither there nor given. */
int store_append(struct store *store, struct store_revision *revision,
                 const struct store_blob *blobs, size_t blob_count);

/* The latest revision's number, 0: none. */
uint64_t store_latest(const struct store *store);

/* Reads revision `number` (0: the latest). The caller ends it with store_revision_free().
 * CULVERT_ENOTFOUND, CULVERT_ECORRUPT: the file is damaged (store_problem() names it). */
int store_get(struct store *store, uint64_t number, struct store_revision **out);
void store_revision_free(struct store_revision *revision);

/* Calls `each` for every revision, newest first, `site` and `state` NULL; stops at the first
 * non-zero return and returns it. Damaged files are passed over. */
typedef int (*store_each_fn)(void *arg, const struct store_revision *revision);
int store_list(struct store *store, store_each_fn each, void *arg);

/* Sets a damaged latest revision aside (renamed to end in ".damaged") so that the one before is
 * the latest: only when the operator says so. CULVERT_EINVAL: the latest is not damaged. */
int store_fall_back(struct store *store);

/* Text of the last error of this store, naming the file; "" when there was none. */
const char *store_problem(const struct store *store);

/* Blobs by SHA-256. put: CULVERT_EINVAL when the bytes don't have that digest. get: the bytes,
 * mapped, are ended with store_blob_release(); CULVERT_ECORRUPT when they were damaged. */
int store_blob_put(struct store *store, const char *digest, const void *data, size_t length);
bool store_blob_has(struct store *store, const char *digest);
int store_blob_get(struct store *store, const char *digest, const void **data, size_t *length);
void store_blob_release(const void *data, size_t length);

/* Removes revisions past `keep` and blobs that no revision names and that are older than `age`
 * seconds (an upload comes before its apply). Returns the number of files removed or an error. */
int store_collect(struct store *store, unsigned age);

#endif
