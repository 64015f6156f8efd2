/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/dump_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_dump.h"

#define READ_BYTES ((size_t)1 << 20)

/* Reads the head. */
static int read_head(int fd, uint8_t head[DUMP_HEAD])
{
    ssize_t got = pread(fd, head, DUMP_HEAD, 0);

    if (got < 0)
        return CULVERT_EIO;
    return (size_t)got == DUMP_HEAD && !memcmp(head, DUMP_MAGIC, sizeof(DUMP_MAGIC) - 1)
               ? 0
               : CULVERT_EPROTO;
}

int kv_dump_index(int fd, uint64_t *index)
{
    uint8_t head[DUMP_HEAD];
    int error = read_head(fd, head);

    *index = 0;
    for (size_t i = sizeof(DUMP_MAGIC) - 1; !error && i < DUMP_HEAD; i++)
        *index = *index << 8 | head[i];
    if (!error && lseek(fd, 0, SEEK_SET))
        error = CULVERT_EIO;
    return error;
}

/* The digest of the first `length` bytes. */
static int digest_file_part(int fd, uint64_t length, char text[DIGEST_TEXT])
{
    struct digest *digest = digest_new();
    char *chunk = malloc(READ_BYTES);
    int error = digest && chunk ? 0 : CULVERT_ENOMEM;
    uint64_t at = 0;

    while (!error && at < length) {
        size_t left = length - at < READ_BYTES ? (size_t)(length - at) : READ_BYTES;
        ssize_t got = pread(fd, chunk, left, (off_t)at);

        if (got <= 0) {
            error = CULVERT_EIO;
            break;
        }
        error = digest_add(digest, chunk, (size_t)got);
        at += (uint64_t)got;
    }
    free(chunk);
    if (error)
        digest_free(digest);
    return error ? error : digest_end(digest, text);
}

int kv_dump_check(int fd)
{
    uint8_t head[DUMP_HEAD];
    char said[DUMP_DIGEST], text[DIGEST_TEXT];
    struct stat status;
    int error = read_head(fd, head);
    uint64_t covered;

    if (error)
        return error;
    if (fstat(fd, &status))
        return CULVERT_EIO;
    if (status.st_size < (off_t)(DUMP_HEAD + DUMP_TAIL))
        return CULVERT_ECORRUPT;
    covered = (uint64_t)status.st_size - DUMP_DIGEST;
    error = digest_file_part(fd, covered, text);
    if (error)
        return error;
    if (pread(fd, said, DUMP_DIGEST, (off_t)covered) != (ssize_t)DUMP_DIGEST)
        return CULVERT_EIO;
    return memcmp(said, text, DUMP_DIGEST) ? CULVERT_ECORRUPT : 0;
}
