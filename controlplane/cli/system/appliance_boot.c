/* SPDX-License-Identifier: Apache-2.0 */
/* The boot entries of an appliance. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/system/appliance.h"

#define FOLDER "/efi/EFI/Linux"

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

int appliance_entries(const struct appliance *appliance, struct entry entries[ENTRIES_MAX],
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
        *count += entry_parse(item->d_name, &entries[*count]);
    closedir(folder);
    qsort(entries, *count, sizeof(*entries), compare);
    return 0;
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

/* The file system is mounted so that folders are written in order (dirsync): the new name is there
 * before the old one goes. */
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
    if (strcmp(old, new) != 0 && (renameat(folder, old, folder, new) || syncfs(folder)))
        error = failed(why, old);
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
