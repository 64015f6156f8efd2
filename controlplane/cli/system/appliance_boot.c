/* SPDX-License-Identifier: Apache-2.0 */
/* The boot entries of an appliance. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/system/appliance.h"

#define FOLDER "/efi/EFI/Linux"
#define COPY_BYTES ((size_t)1 << 30)

int appliance_open_entries(const struct appliance *appliance)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s" FOLDER, appliance->folder);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int failed(char why[SYSTEM_WHY], const char *name)
{
    snprintf(why, SYSTEM_WHY, FOLDER "%s%s: %s", *name ? "/" : "", name, strerror(errno));
    return CULVERT_ESYSTEM;
}

static int compare(const void *a, const void *b)
{
    return entry_compare(a, b);
}

/* Whether the boot loader takes the file for a program. */
static bool has_head(int folder, const char *name)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    char head[2] = "";
    bool has = file >= 0 && pread(file, head, 2, 0) == 2 && !memcmp(head, "MZ", 2);

    if (file >= 0)
        close(file);
    return has;
}

/* `all`: what a crash has left among them. */
static int list(const struct appliance *appliance, bool all, struct entry entries[ENTRIES_MAX],
                unsigned *count, char why[SYSTEM_WHY])
{
    int fd = appliance_open_entries(appliance);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *item;

    *count = 0;
    if (!folder) {
        failed(why, "");
        if (fd >= 0)
            close(fd);
        return CULVERT_ESYSTEM;
    }
    while (*count < ENTRIES_MAX && (item = readdir(folder)))
        *count +=
            entry_parse(item->d_name, &entries[*count]) && (all || has_head(fd, item->d_name));
    closedir(folder);
    qsort(entries, *count, sizeof(*entries), compare);
    return 0;
}

int appliance_entries(const struct appliance *appliance, struct entry entries[ENTRIES_MAX],
                      unsigned *count, char why[SYSTEM_WHY])
{
    return list(appliance, false, entries, count, why);
}

const struct entry *appliance_own_entry(const struct appliance *appliance,
                                        const struct entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(entries[i].version, appliance->version))
            return &entries[i];
    return NULL;
}

/* Whether the slot has the system that the entry's kernel image starts. */
static bool names_slot(const struct appliance *appliance, const struct entry *entry, unsigned slot)
{
    char name[ENTRY_NAME], hash[DIGEST_TEXT];
    int folder = appliance_open_entries(appliance), file;
    bool found = false;

    if (folder < 0)
        return false;
    entry_name(entry, name);
    file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    close(folder);
    if (file >= 0) {
        found = !entry_root_hash(file, hash) && appliance_slot_has(appliance, slot, hash);
        close(file);
    }
    return found;
}

const struct entry *appliance_other_entry(const struct appliance *appliance,
                                          const struct entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(entries[i].version, appliance->version) != 0 &&
            names_slot(appliance, &entries[i], appliance_other(appliance)))
            return &entries[i];
    return NULL;
}

int appliance_write_head(int file, const void *head, size_t length)
{
    if (syncfs(file) || pwrite(file, head, length, 0) != (ssize_t)length || fsync(file))
        return CULVERT_ESYSTEM;
    return 0;
}

int appliance_remove_file(int folder, const char *name)
{
    static const char none[ENTRY_HEAD];
    int file = openat(folder, name, O_RDWR | O_CLOEXEC), error = 0;
    struct stat info;

    if (file < 0)
        return CULVERT_ESYSTEM;
    if (fstat(file, &info))
        error = CULVERT_ESYSTEM;
    else if (info.st_size > 0)
        error = appliance_write_head(file, none,
                                     info.st_size < ENTRY_HEAD ? (size_t)info.st_size : ENTRY_HEAD);
    close(file);
    return error || unlinkat(folder, name, 0) ? CULVERT_ESYSTEM : 0;
}

/* Copies a file, its head last. */
static int copy_file(int from, int to)
{
    char head[ENTRY_HEAD], none[ENTRY_HEAD] = "";
    ssize_t size = pread(from, head, sizeof(head), 0), done = 1;

    if (size < 0 || pwrite(to, none, (size_t)size, 0) != size)
        return CULVERT_ESYSTEM;
    if (lseek(from, size, SEEK_SET) < 0 || lseek(to, size, SEEK_SET) < 0)
        return CULVERT_ESYSTEM;
    while (done > 0)
        done = sendfile(to, from, NULL, COPY_BYTES);
    return done < 0 ? CULVERT_ESYSTEM : appliance_write_head(to, head, (size_t)size);
}

static int move_file(int folder, const char *old, const char *new)
{
    int from = openat(folder, old, O_RDONLY | O_CLOEXEC);
    int to = from < 0 ? -1 : openat(folder, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = to < 0 ? CULVERT_ESYSTEM : copy_file(from, to), number = errno;

    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    if (to >= 0 && error)
        unlinkat(folder, new, 0);
    errno = number;
    return error ? error : appliance_remove_file(folder, old);
}

int appliance_rename_entry(const struct appliance *appliance, const struct entry *from, int left,
                           int done, char why[SYSTEM_WHY])
{
    struct entry to = *from;
    char old[ENTRY_NAME], new[ENTRY_NAME];
    int folder = appliance_open_entries(appliance), error = 0;

    if (folder < 0)
        return failed(why, "");
    to.left = left;
    to.done = done;
    entry_name(from, old);
    entry_name(&to, new);
    if (strcmp(old, new) != 0 && (move_file(folder, old, new) || syncfs(folder)))
        error = failed(why, old);
    close(folder);
    return error;
}

int appliance_keep_only_own(const struct appliance *appliance, char why[SYSTEM_WHY])
{
    struct entry entries[ENTRIES_MAX], own = {.left = ENTRY_GOOD};
    char name[ENTRY_NAME], kept[ENTRY_NAME];
    const struct entry *found;
    unsigned count;
    int folder, error = appliance_entries(appliance, entries, &count, why);

    found = error ? NULL : appliance_own_entry(appliance, entries, count);
    if (found)
        error = appliance_rename_entry(appliance, found, ENTRY_GOOD, 0, why);
    if (!error)
        error = list(appliance, true, entries, &count, why);
    folder = error ? -1 : appliance_open_entries(appliance);
    if (folder < 0)
        return error ? error : failed(why, "");
    memcpy(own.version, appliance->version, SYSTEM_VERSION);
    entry_name(&own, kept);
    for (unsigned i = 0; i < count && !error; i++) {
        entry_name(&entries[i], name);
        if (strcmp(name, kept) != 0 && appliance_remove_file(folder, name))
            error = failed(why, name);
    }
    if (!error && syncfs(folder))
        error = failed(why, "");
    close(folder);
    return error;
}

int appliance_switch(const struct appliance *appliance, char version[SYSTEM_VERSION],
                     char why[SYSTEM_WHY])
{
    struct entry entries[ENTRIES_MAX];
    const struct entry *own, *other;
    unsigned count;
    int error = appliance_entries(appliance, entries, &count, why);

    if (error)
        return error;
    own = appliance_own_entry(appliance, entries, count);
    other = appliance_other_entry(appliance, entries, count);
    if (!other) {
        snprintf(why, SYSTEM_WHY, "slot %c has no whole system to go back to",
                 appliance_slot_letter(appliance_other(appliance)));
        return CULVERT_ENOTFOUND;
    }
    memcpy(version, other->version, SYSTEM_VERSION);
    /* One that did not come healthy is tried again, not trusted. */
    if (entry_state(other) == ENTRY_IS_ASIDE)
        error = appliance_rename_entry(appliance, other, ENTRY_GOOD, 0, why);
    else if (entry_state(other) == ENTRY_IS_BAD)
        error = appliance_rename_entry(appliance, other, ENTRY_TRIES, 0, why);
    if (!error && own && version_compare(own->version, other->version) > 0)
        error = appliance_rename_entry(appliance, own, 0, 0, why);
    return error;
}
