/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/system/tar.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"

#define BLOCK 512u
#define SIZE_MAX_OCTAL 077777777777ull /* what the eleven digits can say */

/* POSIX.1-1988, "ustar Interchange Format". Texts end with a NUL unless they fill their field. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static int read_whole(int fd, void *to, size_t size)
{
    char *at = to;

    while (size) {
        ssize_t got = read(fd, at, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CULVERT_EIO;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

/* Octal digits with a NUL or blank behind. */
static bool read_octal(const char *text, size_t size, uint64_t *value)
{
    size_t i = 0;

    *value = 0;
    while (i < size && text[i] >= '0' && text[i] <= '7')
        *value = *value * 8 + (uint64_t)(text[i++] - '0');
    return i && i < size && (!text[i] || text[i] == ' ') && *value <= SIZE_MAX_OCTAL;
}

static bool checksum_is_right(const struct header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    size_t from = offsetof(struct header, checksum), to = from + sizeof(header->checksum);
    uint64_t said, sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return read_octal(header->checksum, sizeof(header->checksum), &said) && said == sum;
}

static bool is_zero(const struct header *header)
{
    static const struct header zero;

    return !memcmp(header, &zero, BLOCK);
}

static int skip(struct tar *tar)
{
    char bytes[4096];
    size_t got;
    int error;

    do
        error = tar_read(tar, bytes, sizeof(bytes), &got);
    while (!error && got);
    if (!error && tar->padding)
        error = read_whole(tar->fd, bytes, tar->padding);
    tar->padding = 0;
    return error;
}

int tar_next(struct tar *tar, struct tar_member *member)
{
    struct header header;
    int error = skip(tar);

    if (!error)
        error = read_whole(tar->fd, &header, BLOCK);
    if (error)
        return error;
    if (is_zero(&header))
        return CULVERT_ENOTFOUND;
    if (memcmp(header.magic, "ustar", 6) != 0 || !checksum_is_right(&header) ||
        (header.type != '0' && header.type) || header.prefix[0] ||
        !read_octal(header.size, sizeof(header.size), &member->size))
        return CULVERT_EPROTO;
    memcpy(member->name, header.name, sizeof(header.name));
    member->name[sizeof(header.name)] = 0;
    tar->left = member->size;
    tar->padding = (unsigned)((BLOCK - member->size % BLOCK) % BLOCK);
    return 0;
}

int tar_read(struct tar *tar, void *to, size_t size, size_t *got)
{
    *got = size < tar->left ? size : (size_t)tar->left;
    tar->left -= *got;
    return *got ? read_whole(tar->fd, to, *got) : 0;
}
