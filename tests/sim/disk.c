/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

#define NAME_BYTES 128u

/* A write that is not durable yet. */
struct pending {
    const struct env_write *write; /* NULL: it has ended */
    uint8_t *bytes;
    uint64_t offset;
    size_t length;
};

struct file {
    struct file *next;
    char name[NAME_BYTES];
    bool removed, gone; /* gone: also a crash doesn't bring it back */
    unsigned handles;
    uint64_t size;
    uint8_t *seen, *durable; /* what reads give; what is on the disk: `size` bytes each */
    struct pending *pending; /* in the order in which they were begun */
    size_t pending_count, pending_room;
};

struct env_file {
    struct file *file;
    uint64_t epoch;
};

struct sim_disk {
    struct sim_disk_faults faults;
    struct file *files;
    uint64_t operations;
    uint64_t epoch; /* how many crashes there were */
};

/* A simulation that is out of memory has nothing to say. */
static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct sim_disk *sim_disk_new(void)
{
    return calloc(1, sizeof(struct sim_disk));
}

static void pending_clear(struct file *file)
{
    for (size_t i = 0; i < file->pending_count; i++)
        free(file->pending[i].bytes);
    free(file->pending);
    file->pending = NULL;
    file->pending_count = file->pending_room = 0;
}

static void file_free(struct file *file)
{
    pending_clear(file);
    free(file->seen);
    free(file->durable);
    free(file);
}

/* The folder is synced: what is removed stays so, and goes unless it is open. */
static void folder_sync(struct sim_disk *disk)
{
    for (struct file **at = &disk->files; *at;) {
        struct file *file = *at;

        file->gone = file->removed;
        if (file->gone && !file->handles) {
            *at = file->next;
            file_free(file);
        } else {
            at = &file->next;
        }
    }
}

void sim_disk_free(struct sim_disk *disk)
{
    if (!disk)
        return;
    while (disk->files) {
        struct file *file = disk->files;

        disk->files = file->next;
        file_free(file);
    }
    free(disk);
}

static struct file *file_find(const struct sim_disk *disk, const char *name)
{
    for (struct file *file = disk->files; file; file = file->next)
        if (!file->removed && !strcmp(file->name, name))
            return file;
    return NULL;
}

/* Files are kept in the order of their making, the newest last. */
static struct file *file_add(struct sim_disk *disk, const char *name)
{
    struct file **at = &disk->files;
    struct file *file = must(calloc(1, sizeof(*file)));

    while (*at)
        at = &(*at)->next;
    strncpy(file->name, name, NAME_BYTES - 1);
    *at = file;
    return file;
}

static void file_resize(struct file *file, uint64_t size)
{
    if (size == file->size)
        return;
    file->seen = must(realloc(file->seen, size + 1));
    file->durable = must(realloc(file->durable, size + 1));
    if (size > file->size) {
        memset(file->seen + file->size, 0, size - file->size);
        memset(file->durable + file->size, 0, size - file->size);
    }
    file->size = size;
}

struct sim_disk *sim_disk_clone(const struct sim_disk *disk)
{
    struct sim_disk *copy = sim_disk_new();

    if (!copy)
        return NULL;
    copy->faults = disk->faults;
    for (const struct file *file = disk->files; file; file = file->next) {
        struct file *to;

        if (file->removed)
            continue;
        to = file_add(copy, file->name);
        file_resize(to, file->size);
        if (!file->size)
            continue;
        memcpy(to->seen, file->seen, file->size);
        memcpy(to->durable, file->seen, file->size);
    }
    return copy;
}

struct sim_disk_faults *sim_disk_faults(struct sim_disk *disk)
{
    return &disk->faults;
}

uint64_t sim_disk_operations(const struct sim_disk *disk)
{
    return disk->operations;
}

/* Counts an operation; the error with which it is to fail, 0: none. */
static int operate(struct sim_disk *disk, const struct env_file *file)
{
    struct sim_disk_faults *faults = &disk->faults;

    disk->operations++;
    if (file && file->epoch != disk->epoch)
        return CULVERT_EIO;
    if (!faults->fail_after || --faults->fail_after)
        return 0;
    faults->fail_after = faults->fail_for_good;
    return faults->fail_with;
}

/* The disk has room for a file to become so long. */
static bool fits(const struct sim_disk *disk, const struct file *file, uint64_t size)
{
    uint64_t used = size;

    if (!disk->faults.capacity || size <= file->size)
        return true;
    for (const struct file *other = disk->files; other; other = other->next)
        if (other != file && (!other->removed || other->handles))
            used += other->size;
    return used <= disk->faults.capacity;
}

int sim_disk_open(struct sim_disk *disk, const char *name, unsigned flags, struct env_file **out)
{
    struct file *file = file_find(disk, name);
    int error = operate(disk, NULL);

    if (error)
        return error;
    if (strlen(name) >= NAME_BYTES || strchr(name, '/'))
        return CULVERT_EINVAL;
    if (!file && !(flags & ENV_FILE_CREATE))
        return CULVERT_ENOTFOUND;
    if (!file) {
        file = file_add(disk, name);
        folder_sync(disk);
    }
    *out = must(calloc(1, sizeof(**out)));
    **out = (struct env_file){.file = file, .epoch = disk->epoch};
    file->handles++;
    return 0;
}

void sim_disk_close(struct sim_disk *disk, struct env_file *file)
{
    disk->operations++;
    file->file->handles--;
    free(file);
}

int sim_disk_size(struct sim_disk *disk, struct env_file *file, uint64_t *size)
{
    int error = operate(disk, file);

    if (!error)
        *size = file->file->size;
    return error;
}

int64_t sim_disk_read(struct sim_disk *disk, struct env_file *file, uint64_t offset, void *to,
                      size_t length)
{
    const struct file *from = file->file;
    int error = operate(disk, file);

    if (error)
        return error;
    if (offset >= from->size)
        return 0;
    if (length > from->size - offset)
        length = (size_t)(from->size - offset);
    memcpy(to, from->seen + offset, length);
    return (int64_t)length;
}

int sim_disk_allocate(struct sim_disk *disk, struct env_file *file, uint64_t size)
{
    int error = operate(disk, file);

    if (error)
        return error;
    if (!fits(disk, file->file, size))
        return CULVERT_ENOSPC;
    if (size > file->file->size)
        file_resize(file->file, size);
    return 0;
}

static void durable_all(struct file *file)
{
    pending_clear(file);
    if (file->size)
        memcpy(file->durable, file->seen, file->size);
}

int sim_disk_truncate(struct sim_disk *disk, struct env_file *file, uint64_t size)
{
    int error = operate(disk, file);

    if (error)
        return error;
    if (size > file->file->size && !fits(disk, file->file, size))
        return CULVERT_ENOSPC;
    file_resize(file->file, size);
    durable_all(file->file);
    return 0;
}

int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    struct file *file, *old;
    int error = operate(disk, NULL);

    if (error)
        return error;
    file = file_find(disk, from);
    old = file_find(disk, to);
    if (!file)
        return CULVERT_ENOTFOUND;
    if (old && old != file)
        old->removed = true;
    memset(file->name, 0, NAME_BYTES);
    strncpy(file->name, to, NAME_BYTES - 1);
    folder_sync(disk);
    return 0;
}

int sim_disk_remove(struct sim_disk *disk, const char *name)
{
    struct file *file;
    int error = operate(disk, NULL);

    if (error)
        return error;
    file = file_find(disk, name);
    if (!file)
        return CULVERT_ENOTFOUND;
    file->removed = true;
    return 0;
}

int sim_disk_list(struct sim_disk *disk, int (*each)(void *arg, const char *name), void *arg)
{
    int error = operate(disk, NULL);

    for (struct file *file = disk->files, *next; file && !error; file = next) {
        next = file->next;
        if (!file->removed)
            error = each(arg, file->name);
    }
    return error;
}

void sim_disk_write_begin(struct sim_disk *disk, const struct env_write *write)
{
    struct file *file = write->file->file;
    struct pending one = {.write = write, .offset = write->offset};

    disk->operations++;
    if (write->file->epoch != disk->epoch)
        return;
    for (unsigned i = 0; i < write->count; i++)
        one.length += write->parts[i].iov_len;
    one.bytes = must(malloc(one.length + 1));
    one.length = 0;
    for (unsigned i = 0; i < write->count; i++) {
        memcpy(one.bytes + one.length, write->parts[i].iov_base, write->parts[i].iov_len);
        one.length += write->parts[i].iov_len;
    }
    if (!fits(disk, file, one.offset + one.length))
        one.length = file->size > one.offset ? (size_t)(file->size - one.offset) : 0;
    if (one.offset + one.length > file->size)
        file_resize(file, one.offset + one.length);
    memcpy(file->seen + one.offset, one.bytes, one.length);
    if (file->pending_count == file->pending_room) {
        file->pending_room = 2 * file->pending_room + 4;
        file->pending = must(realloc(file->pending, file->pending_room * sizeof(one)));
    }
    file->pending[file->pending_count++] = one;
}

/* Makes the first `count` pending writes durable. */
static void durable_first(struct file *file, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(file->durable + file->pending[i].offset, file->pending[i].bytes,
               file->pending[i].length);
        free(file->pending[i].bytes);
    }
    file->pending_count -= count;
    memmove(file->pending, file->pending + count, file->pending_count * sizeof(*file->pending));
}

int sim_disk_write_end(struct sim_disk *disk, const struct env_write *write)
{
    struct file *file = write->file->file;
    size_t asked = 0, at = 0;
    int error = operate(disk, write->file);

    while (at < file->pending_count && file->pending[at].write != write)
        at++;
    if (at == file->pending_count)
        return error ? error : CULVERT_EINVAL;
    file->pending[at].write = NULL;
    if (error)
        return error; /* what it wrote may be lost until a later sync */
    for (unsigned i = 0; i < write->count; i++)
        asked += write->parts[i].iov_len;
    if (file->pending[at].length < asked)
        return CULVERT_ENOSPC;
    if (write->sync)
        durable_first(file, at + 1);
    return 0;
}

/* Copies the part of a pending write that lies in a sector. */
static bool sector_put(struct file *file, const struct pending *one, uint64_t sector, bool put)
{
    uint64_t from = sector * SIM_SECTOR, to = from + SIM_SECTOR;

    if (from < one->offset)
        from = one->offset;
    if (to > one->offset + one->length)
        to = one->offset + one->length;
    if (from >= to)
        return false;
    if (put)
        memcpy(file->durable + from, one->bytes + (from - one->offset), to - from);
    return true;
}

/* Each sector has the content that it had after any of the writes to it. */
static void crash_torn(struct file *file, struct sim_random *random)
{
    uint64_t sectors = (file->size + SIM_SECTOR - 1) / SIM_SECTOR;

    for (uint64_t sector = 0; file->pending_count && sector < sectors; sector++) {
        uint64_t writes = 0, kept;

        for (size_t i = 0; i < file->pending_count; i++)
            writes += sector_put(file, &file->pending[i], sector, false);
        if (!writes)
            continue;
        kept = sim_random_below(random, writes + 1);
        for (size_t i = 0; i < file->pending_count && kept; i++)
            kept -= sector_put(file, &file->pending[i], sector, true);
    }
}

static void crash_file(const struct sim_disk_faults *faults, struct file *file,
                       struct sim_random *random)
{
    /* Now and then all of it was written, or nothing. */
    uint64_t mood = faults->lost || faults->torn ? sim_random_below(random, 4) : 0;

    if (mood == 1) {
        pending_clear(file);
    } else if (mood > 1 && faults->torn) {
        crash_torn(file, random);
    } else {
        for (size_t i = 0; i < file->pending_count; i++)
            if (!mood || sim_random_percent(random, 50))
                memcpy(file->durable + file->pending[i].offset, file->pending[i].bytes,
                       file->pending[i].length);
    }
    pending_clear(file);
    if (file->size)
        memcpy(file->seen, file->durable, file->size);
}

void sim_disk_crash(struct sim_disk *disk, struct sim_random *random)
{
    disk->epoch++;
    for (struct file *file = disk->files; file; file = file->next) {
        if (file->removed && !file->gone && (disk->faults.lost || disk->faults.torn) &&
            !file_find(disk, file->name) && sim_random_percent(random, 50))
            file->removed = false;
        crash_file(&disk->faults, file, random);
    }
    folder_sync(disk);
}

void sim_disk_kill(struct sim_disk *disk)
{
    disk->epoch++;
    for (struct file *file = disk->files; file; file = file->next)
        for (size_t i = 0; i < file->pending_count; i++)
            file->pending[i].write = NULL;
}

bool sim_disk_rot(struct sim_disk *disk, const char *name, uint64_t offset, uint8_t mask)
{
    struct file *file = file_find(disk, name);

    if (!file || offset >= file->size)
        return false;
    file->seen[offset] ^= mask;
    file->durable[offset] ^= mask;
    return true;
}
