/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a POSIX ustar archive of plain files from a descriptor, from front to end. */
#ifndef CULVERT_SYSTEM_TAR_H
#define CULVERT_SYSTEM_TAR_H

#include <stddef.h>
#include <stdint.h>

#define TAR_NAME 101

/* `fd` is set by the caller, who closes it; the rest is zeroed at the beginning. */
struct tar {
    int fd;
    uint64_t left;    /* bytes of the member that were not read */
    unsigned padding; /* bytes behind it */
};

struct tar_member {
    char name[TAR_NAME];
    uint64_t size;
};

/* The next member, whatever is left of the one before skipped. 0; CULVERT_ENOTFOUND: none is left
 * (the archive's end mark); CULVERT_EPROTO: no such archive; CULVERT_EIO: it ends before its end
 * mark, or can't be read. */
int tar_next(struct tar *tar, struct tar_member *member);

/* Up to `size` bytes of the member, *got of them; 0 at its end. CULVERT_EIO as above. */
int tar_read(struct tar *tar, void *to, size_t size, size_t *got);

#endif
