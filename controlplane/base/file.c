/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"

int file_error(int number)
{
    switch (number) {
    case 0:
        return 0;
    case ENOMEM:
        return CULVERT_ENOMEM;
    case ENOENT:
    case ENOTDIR:
        return CULVERT_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return CULVERT_EACCES;
    case EEXIST:
        return CULVERT_EEXIST;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CULVERT_ENOSPC;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
        return CULVERT_EINVAL;
    default:
        return CULVERT_EIO;
    }
}

static int read_all(int file, char *to, size_t length)
{
    while (length) {
        ssize_t got = read(file, to, length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? file_error(errno) : CULVERT_EIO; /* shorter than fstat said */
        to += got;
        length -= (size_t)got;
    }
    return 0;
}

int file_read(int folder, const char *name, size_t bound, char **data, size_t *length)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *bytes = NULL;
    struct stat info;
    int error = 0;

    if (file < 0)
        return file_error(errno);
    if (fstat(file, &info))
        error = file_error(errno);
    else if (!S_ISREG(info.st_mode))
        error = CULVERT_EINVAL;
    else if ((uint64_t)info.st_size > bound)
        error = CULVERT_EFULL;
    else if (!(bytes = malloc((size_t)info.st_size + 1)))
        error = CULVERT_ENOMEM;
    else
        error = read_all(file, bytes, (size_t)info.st_size);
    close(file);
    if (error || !bytes) {
        free(bytes);
        return error ? error : CULVERT_EIO;
    }
    bytes[info.st_size] = 0;
    *data = bytes;
    *length = (size_t)info.st_size;
    return 0;
}

static int write_all(int file, const char *from, size_t length)
{
    while (length) {
        ssize_t put = write(file, from, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return file_error(errno);
        from += put;
        length -= (size_t)put;
    }
    return 0;
}

static int write_tmp(int folder, const char *name, const void *data, size_t length, int sync,
                     mode_t mode)
{
    char tmp[NAME_MAX + 1];
    int file, error;

    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= sizeof(tmp))
        return CULVERT_EINVAL;
    file = openat(folder, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file < 0)
        return file_error(errno);
    /* One that a crash left behind may have had another mode. */
    error = fchmod(file, mode) ? file_error(errno) : write_all(file, data, length);
    if (!error && sync && fsync(file))
        error = file_error(errno);
    if (close(file) && !error)
        error = file_error(errno);
    if (error)
        unlinkat(folder, tmp, 0);
    return error;
}

int file_write_tmp(int folder, const char *name, const void *data, size_t length, int sync)
{
    return write_tmp(folder, name, data, length, sync, 0640);
}

static int write_replacing(int folder, const char *name, const void *data, size_t length,
                           mode_t mode)
{
    const char *slash = strrchr(name, '/');
    char tmp[NAME_MAX + 1], parent[PATH_MAX];
    int error, in;

    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= sizeof(tmp) ||
        (size_t)snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - name) + 1 : 1,
                         slash ? name : ".") >= sizeof(parent))
        return CULVERT_EINVAL;
    error = write_tmp(folder, name, data, length, 1, mode);
    if (error)
        return error;
    if (renameat(folder, tmp, folder, name)) {
        error = file_error(errno);
        unlinkat(folder, tmp, 0);
        return error;
    }
    in = openat(folder, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0)
        return file_error(errno);
    if (fsync(in))
        error = file_error(errno);
    close(in);
    return error;
}

int file_write(int folder, const char *name, const void *data, size_t length)
{
    return write_replacing(folder, name, data, length, 0640);
}

int file_write_secret(int folder, const char *name, const void *data, size_t length)
{
    return write_replacing(folder, name, data, length, 0600);
}

int file_make_folder(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);

    if (!length || length >= sizeof(part))
        return CULVERT_EINVAL;
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i])
            continue;
        part[i] = 0;
        if (mkdir(part, 0750) && errno != EEXIST)
            return file_error(errno);
        part[i] = path[i];
    }
    return 0;
}
