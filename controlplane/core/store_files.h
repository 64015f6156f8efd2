/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of files, seen from inside:
 *
 *   FOLDER/lock                      held while a process has the store
 *   FOLDER/revisions/NNNNNNNNNN.json one file a revision (store_document.c)
 *   FOLDER/blobs/SHA256
 *
 * A name ending in ".tmp" is what a crash left; store_open removes it.
 */
#ifndef CULVERT_CORE_STORE_FILES_H
#define CULVERT_CORE_STORE_FILES_H

#include "controlplane/base/buffer.h"
#include "controlplane/core/store.h"

struct store {
    char *folder;
    int lock, revisions, blobs; /* descriptors */
    uint64_t *number;           /* of the revisions there are, ascending */
    size_t count, capacity;
    unsigned keep;
    char problem[512];
};

#define STORE_NAME_MAX 32 /* of a revision's file */

/* The file name of a revision; what store_problem() will say. */
void store_name(char name[STORE_NAME_MAX], uint64_t number);
void store_set_problem(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls `each` for every name in a folder but "." and ".."; stops at a non-zero return. */
int store_each_name(int folder, int (*each)(void *arg, const char *name), void *arg);

/* A revision as the text of its file. */
void store_document_write(const struct store_revision *revision, struct buffer *text);
/* Back; `length` bytes of `text`, changed by the call. CULVERT_ECORRUPT and *why (static). */
int store_document_read(char *text, size_t length, struct store_revision **out, const char **why);
/* Only what the first lines hold: the fields before `site`, and `blobs` when asked. */
int store_document_head(int folder, const char *name, bool blobs, struct store_revision **out);

#endif
