/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot entry: the kernel image culvert-VERSION.efi, culvert-VERSION+LEFT.efi or
 * culvert-VERSION+LEFT-DONE.efi (systemd's Automatic Boot Assessment). With a counter it is on
 * trial: systemd-boot moves a try from LEFT to DONE at each start, and sorts it last when none is
 * left.
 */
#ifndef CULVERT_SYSTEM_ENTRY_H
#define CULVERT_SYSTEM_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/base/digest.h"
#include "controlplane/cli/system/manifest.h"

#define ENTRY_NAME 96
#define ENTRY_TRIES 3   /* that an update gets */
#define ENTRY_GOOD (-1) /* as `left`: no counter */

struct entry {
    char version[SYSTEM_VERSION];
    int left, done; /* tries; `left` may be ENTRY_GOOD */
};

/* Whether the file's name is that of an entry of ours. */
bool entry_parse(const char *name, struct entry *entry);
void entry_name(const struct entry *entry, char name[ENTRY_NAME]);

/* Negative when systemd-boot starts `a` rather than `b`. */
int entry_compare(const struct entry *a, const struct entry *b);

enum entry_state {
    ENTRY_IS_GOOD,
    ENTRY_IS_NEW,      /* not tried yet */
    ENTRY_IS_ON_TRIAL, /* tried, not settled */
    ENTRY_IS_BAD,      /* as often as it may be */
    ENTRY_IS_ASIDE     /* by a rollback */
};
enum entry_state entry_state(const struct entry *entry);

/* The root hash on the command line that a kernel image (PE file with a section .cmdline) holds.
 * 0; CULVERT_EPROTO: there is none. Reads the file by pread. */
int entry_root_hash(int file, char hash[DIGEST_TEXT]);

#endif
