/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody needs any more: revisions past the bound, blobs that no revision names. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/store_files.h"

struct collection {
    struct store *store;
    struct buffer named; /* digests in use, DIGEST_TEXT bytes each */
    size_t count;
    int64_t before; /* blobs younger than this stay; seconds */
    int removed;
};

static int digest_compare(const void *x, const void *y)
{
    return memcmp(x, y, DIGEST_TEXT);
}

static int collect_names(struct collection *collection, uint64_t number)
{
    struct store_revision *revision;
    char name[STORE_NAME_MAX];
    int error;

    store_name(name, number);
    error = store_document_head(collection->store->revisions, name, true, &revision);
    if (error)
        return error;
    for (size_t i = 0; i < revision->blob_count; i++)
        buffer_add(&collection->named, revision->blobs[i], DIGEST_TEXT);
    collection->count += revision->blob_count;
    store_revision_free(revision);
    return collection->named.error;
}

static int blob_collect(void *arg, const char *name)
{
    struct collection *collection = arg;
    struct stat info;

    if (!digest_valid(name))
        return 0;
    if (collection->count &&
        bsearch(name, collection->named.data, collection->count, DIGEST_TEXT, digest_compare))
        return 0;
    if (fstatat(collection->store->blobs, name, &info, AT_SYMLINK_NOFOLLOW) ||
        info.st_mtime > collection->before)
        return 0;
    if (!unlinkat(collection->store->blobs, name, 0))
        collection->removed++;
    return 0;
}

static void revisions_drop(struct store *store, struct collection *collection)
{
    size_t drop = store->count > store->keep ? store->count - store->keep : 0;

    for (size_t i = 0; i < drop; i++) {
        char name[STORE_NAME_MAX];

        store_name(name, store->number[i]);
        if (unlinkat(store->revisions, name, 0) && errno != ENOENT) {
            drop = i;
            break;
        }
        collection->removed++;
    }
    store->count -= drop;
    memmove(store->number, store->number + drop, store->count * sizeof(*store->number));
}

int store_collect(struct store *store, unsigned age)
{
    struct collection collection = {.store = store, .before = (int64_t)time(NULL) - age};
    int error = 0;

    revisions_drop(store, &collection);
    /* One that can't be read may name any blob: then all stay. */
    for (size_t i = 0; i < store->count && !error; i++)
        error = collect_names(&collection, store->number[i]);
    if (!error && collection.count)
        qsort(collection.named.data, collection.count, DIGEST_TEXT, digest_compare);
    if (!error)
        error = store_each_name(store->blobs, blob_collect, &collection);
    buffer_free(&collection.named);
    return error ? error : collection.removed;
}
