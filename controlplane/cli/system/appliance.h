/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of an appliance that an update touches: two slots for systems on one disk, each a
 * partition of the root and one of its hash tree, and the kernel images (boot entries) on the EFI
 * system partition, of which systemd-boot counts the tries (docs/decisions/0015-updates.md). All
 * is read and written below one folder. `why` is one line for the operator, set with every error.
 */
#ifndef CULVERT_SYSTEM_APPLIANCE_H
#define CULVERT_SYSTEM_APPLIANCE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/cli/system/entry.h"
#include "controlplane/cli/system/manifest.h"

#define SLOTS 2
#define ENTRIES_MAX 16
#define DEVICE_NAME 64

struct slot {
    char root[DEVICE_NAME], hash[DEVICE_NAME]; /* devices, by the kernel's names; "": none */
};

struct appliance {
    const char *folder; /* "" for the machine itself; outlives this */
    char version[SYSTEM_VERSION];
    char flavour[SYSTEM_FLAVOUR];
    struct slot slots[SLOTS]; /* a and b */
    unsigned running;         /* the slot */
};

/* Finds out about the machine. 0; CULVERT_EUNSUPPORTED: it is no appliance; CULVERT_ESYSTEM: one
 * without what it must have. */
int appliance_open(struct appliance *appliance, const char *folder, char why[SYSTEM_WHY]);

/* The slot that doesn't run, and the letter of a slot. */
unsigned appliance_other(const struct appliance *appliance);
char appliance_slot_letter(unsigned slot);

/* Opens a slot's device ("vda2") for reading or, `exclusive`, for writing, which fails while the
 * device is in use. The descriptor, or -1 with errno. */
int appliance_open_device(const struct appliance *appliance, const char *device, bool exclusive);

/* Whether the slot has the system of this root hash: its hash tree's superblock says so, as
 * images/initrd/init reads it. */
bool appliance_slot_has(const struct appliance *appliance, unsigned slot, const char *root_hash);

/* Opens the folder of the kernel images; -1 with errno. */
int appliance_open_entries(const struct appliance *appliance);

/* The entries, *count of them, best first as systemd-boot sorts them; files that it passes over,
 * for they are no programs, are none. 0 or CULVERT_ESYSTEM. */
int appliance_entries(const struct appliance *appliance, struct entry entries[ENTRIES_MAX],
                      unsigned *count, char why[SYSTEM_WHY]);

/* What the slot that doesn't run has: the entry that names it, NULL when none does. */
const struct entry *appliance_other_entry(const struct appliance *appliance,
                                          const struct entry *entries, unsigned count);
/* The entry of the running system; NULL: none. */
const struct entry *appliance_own_entry(const struct appliance *appliance,
                                        const struct entry *entries, unsigned count);

/* A kernel image becomes an entry in the file of its name, its first bytes last: without them it is
 * no program. No name is changed, for FAT's rename has both names lead to the same clusters for a
 * moment, and whoever removes one of them after a crash then, takes the content of the other. */
#define ENTRY_HEAD 512 /* bytes: a sector, which is written as a whole or not at all */

/* Writes the head of a file when the rest of it, where zeros are in its place, is on the disk. 0 or
 * CULVERT_ESYSTEM with errno. */
int appliance_write_head(int file, const void *head, size_t length);

/* Removes a file, its head first: what is freed must not look like a program in a new file whose
 * own zeros don't reach the disk. 0 or CULVERT_ESYSTEM with errno. */
int appliance_remove_file(int folder, const char *name);

/* Gives the entry other counters, by a copy: the old name or the new one, or both, are there after
 * a crash. 0 or CULVERT_ESYSTEM. */
int appliance_rename_entry(const struct appliance *appliance, const struct entry *from, int left,
                           int done, char why[SYSTEM_WHY]);

/* The running system's entry becomes good: it is what there is to return to. All others go, and
 * what a crash has left. 0 or CULVERT_ESYSTEM. */
int appliance_keep_only_own(const struct appliance *appliance, char why[SYSTEM_WHY]);

/* Makes the other entry the one that boots. The running one is set aside when systemd-boot would
 * prefer it. 0; CULVERT_ENOTFOUND: there is none, or its slot has another system;
 * CULVERT_ESYSTEM. */
int appliance_switch(const struct appliance *appliance, char version[SYSTEM_VERSION],
                     char why[SYSTEM_WHY]);

/* Asks for empty data at the next start. 0 or CULVERT_ESYSTEM. */
int appliance_request_reset(const struct appliance *appliance, char why[SYSTEM_WHY]);

#endif
