/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An update file: a ustar archive of manifest.json, manifest.sig, kernel, root, hash. It is taken
 * in from front to end; nothing of it is kept but in the slot that doesn't run. `why` is one line
 * for the operator, set with every error.
 */
#ifndef CULVERT_SYSTEM_UPDATE_H
#define CULVERT_SYSTEM_UPDATE_H

#include "controlplane/cli/system/appliance.h"
#include "controlplane/cli/system/tar.h"

struct update {
    const struct appliance *appliance;
    bool forced; /* take also a version older than the running one, or another flavour */
    struct tar tar;
    struct manifest manifest;
    char head[ENTRY_HEAD]; /* of the kernel image, until all else is written */
    size_t head_length;
};

/* Reads the head of the update from a descriptor, which the caller closes after: who signed it,
 * whether it is for this appliance. Nothing is changed. 0; CULVERT_EPROTO: it is none, or damaged;
 * CULVERT_EIO: it is truncated or can't be read; CULVERT_EACCES: not signed by a key of this
 * system; CULVERT_EREJECTED: not newer, or of another flavour; CULVERT_ETOOLARGE; CULVERT_EBUSY:
 * the running system is on trial; CULVERT_ESYSTEM. */
int update_open(struct update *update, const struct appliance *appliance, int fd, bool forced,
                char why[SYSTEM_WHY]);

/* Writes the system to the other slot and makes it the one that is tried at the next start. The
 * other slot's entry goes first, the new one comes when all is written and checked: after an error
 * or a crash the running system is what starts. Errors as above, and CULVERT_ENOSPC. */
int update_write(struct update *update, char why[SYSTEM_WHY]);

#endif
