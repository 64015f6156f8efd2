/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/store_files.h"

#define SYNC_EACH_MAX 8 /* more new blobs than this: one syncfs instead of an fsync each */

void store_set_problem(struct store *store, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(store->problem, sizeof(store->problem), format, args);
    va_end(args);
}

const char *store_problem(const struct store *store)
{
    return store->problem;
}

void store_name(char name[STORE_NAME_MAX], uint64_t number)
{
    snprintf(name, STORE_NAME_MAX, "%010" PRIu64 ".json", number);
}

/* The number in a revision's file name, 0: it is none. */
static uint64_t name_number(const char *name)
{
    char real[STORE_NAME_MAX];
    uint64_t number = strtoull(name, NULL, 10);

    store_name(real, number);
    return strcmp(real, name) ? 0 : number;
}

int store_each_name(int folder, int (*each)(void *arg, const char *name), void *arg)
{
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    DIR *list = again < 0 ? NULL : fdopendir(again);
    struct dirent *entry;

    if (!list) {
        result = file_error(errno);
        if (again >= 0)
            close(again);
        return result;
    }
    while (!result && (errno = 0, entry = readdir(list)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = each(arg, entry->d_name);
    if (!result && errno)
        result = file_error(errno);
    closedir(list);
    return result;
}

static int number_add(struct store *store, uint64_t number)
{
    if (store->count == store->capacity) {
        size_t capacity = store->capacity ? 2 * store->capacity : 64;
        uint64_t *list = realloc(store->number, capacity * sizeof(*list));

        if (!list)
            return CULVERT_ENOMEM;
        store->number = list;
        store->capacity = capacity;
    }
    store->number[store->count++] = number;
    return 0;
}

static bool tmp_remove(int folder, const char *name)
{
    size_t length = strlen(name);

    return length > 4 && !strcmp(name + length - 4, ".tmp") && !unlinkat(folder, name, 0);
}

static int revision_found(void *arg, const char *name)
{
    struct store *store = arg;
    uint64_t number = name_number(name);

    if (tmp_remove(store->revisions, name) || !number)
        return 0;
    return number_add(store, number);
}

static int blob_found(void *arg, const char *name)
{
    struct store *store = arg;

    (void)tmp_remove(store->blobs, name);
    return 0;
}

static int number_compare(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return a < b ? -1 : a > b;
}

static int folder_open(struct store *store, int parent, const char *name, int *out)
{
    if (mkdirat(parent, name, 0750) && errno != EEXIST)
        goto fail;
    *out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out >= 0)
        return 0;
fail:
    store_set_problem(store, "%s/%s: %s", store->folder, name, strerror(errno));
    return file_error(errno);
}

static int store_lock(struct store *store, int folder)
{
    char text[32];
    ssize_t length;

    store->lock = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (store->lock < 0) {
        store_set_problem(store, "%s/lock: %s", store->folder, strerror(errno));
        return file_error(errno);
    }
    if (flock(store->lock, LOCK_EX | LOCK_NB)) {
        length = pread(store->lock, text, sizeof(text) - 1, 0);
        text[length > 0 ? length : 0] = 0;
        text[strspn(text, "0123456789")] = 0;
        store_set_problem(store, "%s is in use by another culvertd%s%s", store->folder,
                          *text ? ", pid " : "", text);
        return CULVERT_EBUSY;
    }
    /* Only for that message; no harm when the disk is full. */
    length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (!ftruncate(store->lock, 0) && pwrite(store->lock, text, (size_t)length, 0) < 0)
        return 0;
    return 0;
}

static int store_start(struct store *store)
{
    int folder, error = file_make_folder(store->folder);

    folder = error ? -1 : open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        store_set_problem(store, "%s: %s", store->folder, strerror(errno));
        return error ? error : file_error(errno);
    }
    error = store_lock(store, folder);
    if (!error)
        error = folder_open(store, folder, "revisions", &store->revisions);
    if (!error)
        error = folder_open(store, folder, "blobs", &store->blobs);
    if (!error && fsync(folder))
        error = file_error(errno);
    close(folder);
    if (!error)
        error = store_each_name(store->revisions, revision_found, store);
    if (!error)
        error = store_each_name(store->blobs, blob_found, store);
    if (!error && store->count)
        qsort(store->number, store->count, sizeof(*store->number), number_compare);
    if (error && !*store->problem)
        store_set_problem(store, "%s: %s", store->folder, culvert_strerror(error));
    return error;
}

int store_open(struct store **out, const struct store_options *options, char **problem)
{
    const char *folder = options->folder ? options->folder : STORE_FOLDER_DEFAULT;
    struct store *store = calloc(1, sizeof(*store));
    int error = CULVERT_ENOMEM;

    if (problem)
        *problem = NULL;
    if (!store)
        return error;
    store->lock = store->revisions = store->blobs = -1;
    store->keep = options->keep ? options->keep : STORE_KEEP_DEFAULT;
    store->folder = strdup(folder);
    if (store->folder)
        error = store_start(store);
    if (error) {
        if (problem)
            *problem = strdup(store->problem);
        store_close(store);
        return error;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->blobs >= 0)
        close(store->blobs);
    if (store->revisions >= 0)
        close(store->revisions);
    if (store->lock >= 0)
        close(store->lock); /* and so unlocks */
    free(store->number);
    free(store->folder);
    free(store);
}

uint64_t store_latest(const struct store *store)
{
    return store->count ? store->number[store->count - 1] : 0;
}

static const struct store_blob *blob_find(const struct store_blob *blobs, size_t count,
                                          const char *digest)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(blobs[i].digest, digest))
            return &blobs[i];
    return NULL;
}

static int names_check(struct store *store, const struct store_revision *revision,
                       const struct store_blob *blobs, size_t count)
{
    for (size_t i = 0; i < revision->blob_count; i++) {
        if (blob_find(blobs, count, revision->blobs[i]) ||
            store_blob_has(store, revision->blobs[i]))
            continue;
        store_set_problem(store, "%s/blobs/%s: missing", store->folder, revision->blobs[i]);
        return CULVERT_ENOTFOUND;
    }
    return 0;
}

/* Writes the blobs that are not there yet: all bytes to the disk, then all names. */
static int blobs_write(struct store *store, const struct store_blob *blobs, size_t count)
{
    bool each = count <= SYNC_EACH_MAX;
    size_t written = 0;
    int error = 0;

    for (size_t i = 0; i < count && !error; i++) {
        if (store_blob_has(store, blobs[i].digest))
            continue;
        error = file_write_tmp(store->blobs, blobs[i].digest, blobs[i].data, blobs[i].length, each);
        written++;
    }
    if (!error && written && !each && syncfs(store->blobs))
        error = file_error(errno);
    for (size_t i = 0; i < count && written; i++) {
        char tmp[DIGEST_TEXT + 4];

        snprintf(tmp, sizeof(tmp), "%s.tmp", blobs[i].digest);
        if (error)
            unlinkat(store->blobs, tmp, 0);
        else if (renameat(store->blobs, tmp, store->blobs, blobs[i].digest) && errno != ENOENT)
            error = file_error(errno);
    }
    if (!error && written && fsync(store->blobs))
        error = file_error(errno);
    return error;
}

int store_append(struct store *store, struct store_revision *revision,
                 const struct store_blob *blobs, size_t blob_count)
{
    struct buffer text = {.bound = STORE_DOCUMENT_MAX};
    char name[STORE_NAME_MAX];
    int error;

    store->problem[0] = 0;
    revision->number = store_latest(store) + 1;
    store_name(name, revision->number);
    error = number_add(store, revision->number); /* now: it could fail after the write */
    if (error)
        return error;
    store->count--;
    error = names_check(store, revision, blobs, blob_count);
    if (!error) {
        store_document_write(revision, &text);
        error = text.error;
    }
    if (!error)
        error = blobs_write(store, blobs, blob_count);
    if (!error) {
        error = file_write(store->revisions, name, text.data, text.length);
        if (error)
            unlinkat(store->revisions, name, 0); /* when only the folder's fsync failed */
    }
    buffer_free(&text);
    if (!error)
        store->count++;
    else if (!*store->problem)
        store_set_problem(store, "%s: revision %" PRIu64 " not stored: %s", store->folder,
                          revision->number, culvert_strerror(error));
    return error;
}

int store_get(struct store *store, uint64_t number, struct store_revision **out)
{
    char name[STORE_NAME_MAX];
    const char *why;
    size_t length;
    char *text;
    int error;

    if (!number)
        number = store_latest(store);
    if (!number || !store->count ||
        !bsearch(&number, store->number, store->count, sizeof(number), number_compare))
        return CULVERT_ENOTFOUND;
    store_name(name, number);
    error = file_read(store->revisions, name, STORE_DOCUMENT_MAX, &text, &length);
    if (error) {
        store_set_problem(store, "%s/revisions/%s: %s", store->folder, name,
                          culvert_strerror(error));
        return error;
    }
    error = store_document_read(text, length, out, &why);
    free(text);
    if (!error && (*out)->number != number) {
        store_revision_free(*out);
        why = "it holds another revision";
        error = CULVERT_ECORRUPT;
    }
    if (error)
        store_set_problem(store, "%s/revisions/%s is damaged: %s", store->folder, name, why);
    return error;
}

int store_list(struct store *store, store_each_fn each, void *arg)
{
    int result = 0;

    for (size_t i = store->count; i-- && !result;) {
        struct store_revision *revision;
        char name[STORE_NAME_MAX];

        store_name(name, store->number[i]);
        if (store_document_head(store->revisions, name, false, &revision))
            continue;
        result = each(arg, revision);
        store_revision_free(revision);
    }
    return result;
}

int store_fall_back(struct store *store)
{
    char name[STORE_NAME_MAX], aside[STORE_NAME_MAX + 8];
    struct store_revision *revision;
    int error = store_get(store, 0, &revision);

    if (!error)
        store_revision_free(revision);
    if (error != CULVERT_ECORRUPT)
        return error ? error : CULVERT_EINVAL;
    store_name(name, store_latest(store));
    snprintf(aside, sizeof(aside), "%s.damaged", name);
    if (renameat(store->revisions, name, store->revisions, aside) || fsync(store->revisions))
        return file_error(errno);
    store->count--;
    return 0;
}
