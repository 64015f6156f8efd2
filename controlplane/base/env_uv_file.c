/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the real environment. What blocks is plain system calls; writes go to threads. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/env_uv_internal.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

static int folder_of(struct env *env)
{
    return ((struct env_uv *)env)->folder;
}

static int folder_sync(struct env *env)
{
    return fsync(folder_of(env)) ? file_error(errno) : 0;
}

int env_uv_file_open(struct env *env, const char *name, unsigned flags, struct env_file **out)
{
    int mode = O_RDWR | O_CLOEXEC | O_NOFOLLOW, error = 0;
    struct env_file *file;

    if (!*name || strchr(name, '/'))
        return CULVERT_EINVAL;
    file = calloc(1, sizeof(*file));
    if (!file)
        return CULVERT_ENOMEM;
    file->descriptor = openat(folder_of(env), name, mode);
    if (file->descriptor < 0 && errno == ENOENT && flags & ENV_FILE_CREATE) {
        file->descriptor = openat(folder_of(env), name, mode | O_CREAT, 0640);
        error = file->descriptor < 0 ? 0 : folder_sync(env);
    }
    if (file->descriptor < 0 || error) {
        error = error ? error : file_error(errno);
        if (file->descriptor >= 0)
            close(file->descriptor);
        free(file);
        return error;
    }
    *out = file;
    return 0;
}

void env_uv_file_close(struct env *env, struct env_file *file)
{
    close(file->descriptor);
    free(file);
}

int env_uv_file_size(struct env *env, struct env_file *file, uint64_t *size)
{
    struct stat info;

    if (fstat(file->descriptor, &info))
        return file_error(errno);
    *size = (uint64_t)info.st_size;
    return 0;
}

int64_t env_uv_file_read(struct env *env, struct env_file *file, uint64_t offset, void *to,
                         size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t got =
            pread(file->descriptor, (char *)to + done, length - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(errno);
        if (!got)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

/* Zeros where the file system can't reserve. */
static int zeros_write(int descriptor, uint64_t from, uint64_t to)
{
    static const char zeros[65536];

    while (from < to) {
        size_t length = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        ssize_t put = pwrite(descriptor, zeros, length, (off_t)from);

        if (put < 0 && errno != EINTR)
            return file_error(errno);
        from += put > 0 ? (uint64_t)put : 0;
    }
    return 0;
}

int env_uv_file_allocate(struct env *env, struct env_file *file, uint64_t size)
{
    uint64_t old = 0;
    int error = env_uv_file_size(env, file, &old);

    if (error || size <= old)
        return error;
    if (fallocate(file->descriptor, 0, (off_t)old, (off_t)(size - old)))
        error = errno == EOPNOTSUPP ? zeros_write(file->descriptor, old, size) : file_error(errno);
    if (!error && fsync(file->descriptor))
        error = file_error(errno);
    return error;
}

int env_uv_file_truncate(struct env *env, struct env_file *file, uint64_t size)
{
    if (ftruncate(file->descriptor, (off_t)size) || fsync(file->descriptor))
        return file_error(errno);
    return 0;
}

int env_uv_file_rename(struct env *env, const char *from, const char *to)
{
    if (renameat(folder_of(env), from, folder_of(env), to))
        return file_error(errno);
    return folder_sync(env);
}

int env_uv_file_remove(struct env *env, const char *name)
{
    return unlinkat(folder_of(env), name, 0) ? file_error(errno) : 0;
}

int env_uv_file_list(struct env *env, int (*each)(void *arg, const char *name), void *arg)
{
    int descriptor = openat(folder_of(env), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), stop = 0;
    DIR *folder = descriptor < 0 ? NULL : fdopendir(descriptor);
    struct dirent *entry;

    if (!folder) {
        stop = file_error(errno);
        if (descriptor >= 0)
            close(descriptor);
        return stop;
    }
    while (!stop && (errno = 0, entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            stop = each(arg, entry->d_name);
    if (!stop && errno)
        stop = file_error(errno);
    closedir(folder);
    return stop;
}

/* Queues a file for the writing threads. */
static void write_queue(struct env_uv *uv, struct env_file *file)
{
    uv_mutex_lock(&uv->mutex);
    file->next = NULL;
    if (uv->write_first)
        uv->write_last->next = file;
    else
        uv->write_first = file;
    uv->write_last = file;
    uv_cond_signal(&uv->written);
    uv_mutex_unlock(&uv->mutex);
}

void env_uv_file_write(struct env *env, struct env_write *write)
{
    struct env_uv *uv = (struct env_uv *)env;
    struct env_file *file = write->file;

    write->impl = NULL;
    env_uv_begin(uv);
    if (file->first) {
        file->last->impl = write;
        file->last = write;
        return;
    }
    file->first = file->last = write;
    write_queue(uv, file);
}

/* On a thread: the first write of a file. */
static int write_carry_out(const struct env_file *file)
{
    const struct env_write *write = file->first;
    struct iovec parts[16];
    uint64_t offset = write->offset;
    unsigned at = 0;

    while (at < write->count) {
        unsigned count = write->count - at < 16 ? write->count - at : 16, part = 0;

        memcpy(parts, write->parts + at, count * sizeof(*parts));
        while (part < count) {
            ssize_t put =
                pwritev(file->descriptor, parts + part, (int)(count - part), (off_t)offset);

            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? CULVERT_ENOSPC
                                                                            : CULVERT_EIO;
            offset += (uint64_t)put;
            while (part < count && (size_t)put >= parts[part].iov_len)
                put -= (ssize_t)parts[part++].iov_len;
            if (part < count) {
                parts[part].iov_base = (char *)parts[part].iov_base + put;
                parts[part].iov_len -= (size_t)put;
            }
        }
        at += count;
    }
    if (write->sync && fdatasync(file->descriptor))
        return errno == ENOSPC || errno == EDQUOT ? CULVERT_ENOSPC : CULVERT_EIO;
    return 0;
}

void env_uv_writer(void *arg)
{
    struct env_uv *uv = arg;

    uv_mutex_lock(&uv->mutex);
    for (;;) {
        struct env_file *file = uv->write_first;

        if (!file) {
            if (uv->stop)
                break;
            uv_cond_wait(&uv->written, &uv->mutex);
            continue;
        }
        uv->write_first = file->next;
        uv_mutex_unlock(&uv->mutex);
        if (!file->status)
            file->status = write_carry_out(file);
        uv_mutex_lock(&uv->mutex);
        file->next = NULL;
        if (uv->write_done_first)
            uv->write_done_last->next = file;
        else
            uv->write_done_first = file;
        uv->write_done_last = file;
        uv_async_send(&uv->async);
    }
    uv_mutex_unlock(&uv->mutex);
}

void env_uv_written(struct env_uv *uv)
{
    struct env_file *file, *next;

    uv_mutex_lock(&uv->mutex);
    file = uv->write_done_first;
    uv->write_done_first = NULL;
    uv_mutex_unlock(&uv->mutex);
    for (; file; file = next) {
        struct env_write *write = file->first;
        int status = file->status;

        next = file->next;
        file->first = write->impl;
        if (file->first)
            write_queue(uv, file);
        env_uv_end(uv);
        write->done(write, status);
    }
}
