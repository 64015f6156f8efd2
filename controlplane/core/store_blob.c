/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: files named by the SHA-256 of their bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/store_files.h"

bool store_blob_has(struct store *store, const char *digest)
{
    return digest_valid(digest) && !faccessat(store->blobs, digest, R_OK, 0);
}

int store_blob_put(struct store *store, const char *digest, const void *data, size_t length)
{
    char real[DIGEST_TEXT];
    int error;

    if (!digest_valid(digest))
        return CULVERT_EINVAL;
    error = digest_text(data, length, real);
    if (error)
        return error;
    if (strcmp(real, digest))
        return CULVERT_EINVAL;
    if (length > STORE_BLOB_MAX)
        return CULVERT_EFULL;
    /* A new time keeps a blob that is put again from being collected before its apply. */
    if (store_blob_has(store, digest) && !utimensat(store->blobs, digest, NULL, 0))
        return 0;
    error = file_write(store->blobs, digest, data, length);
    if (error)
        store_set_problem(store, "%s/blobs/%s: %s", store->folder, digest, culvert_strerror(error));
    return error;
}

int store_blob_get(struct store *store, const char *digest, const void **data, size_t *length)
{
    char real[DIGEST_TEXT];
    struct stat info = {0};
    void *bytes = NULL;
    int file, error = 0;

    if (!digest_valid(digest))
        return CULVERT_EINVAL;
    file = openat(store->blobs, digest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || fstat(file, &info))
        error = file_error(errno);
    else if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size > STORE_BLOB_MAX)
        error = CULVERT_ECORRUPT;
    else if (info.st_size) {
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED) {
            error = file_error(errno);
            bytes = NULL;
        }
    }
    if (file >= 0)
        close(file);
    if (!error && !(error = digest_text(bytes, (size_t)info.st_size, real)) &&
        strcmp(real, digest)) {
        store_blob_release(bytes, (size_t)info.st_size);
        error = CULVERT_ECORRUPT;
    }
    if (error) {
        store_set_problem(store, "%s/blobs/%s: %s", store->folder, digest, culvert_strerror(error));
        return error;
    }
    *data = bytes ? bytes : "";
    *length = (size_t)info.st_size;
    return 0;
}

void store_blob_release(const void *data, size_t length)
{
    if (length)
        munmap((void *)data, length);
}
