/* SPDX-License-Identifier: Apache-2.0 */
/* The disk or CD that a hypervisor gives with a seed on it. */
#ifndef CULVERT_FIRSTBOOT_DISK_H
#define CULVERT_FIRSTBOOT_DISK_H

#include <stdbool.h>

#include "controlplane/firstboot/seed.h"

struct disk {
    int folder;        /* its files, open */
    const char *label; /* for messages */
    bool openstack;    /* a config drive */
};

/* Looks for a disk by its label (cidata, config-2, also in capitals) and mounts it at `where`,
 * read-only and with nothing on it trusted: CULVERT_ENOTFOUND: there is none; CULVERT_ESYSTEM: it
 * can't be mounted, errno says why. Closed by disk_close(), which also unmounts it. */
int disk_open(struct disk *disk, const char *where);
/* A folder in a disk's place, for tests and by hand. Errors of the table. */
int disk_open_folder(struct disk *disk, const char *folder);
void disk_close(struct disk *disk, const char *where);

/* Reads its files into the machine. What can't be read is one of the errors; CULVERT_ENOMEM. */
int disk_read(const struct disk *disk, struct machine *machine, struct seed_report *report);

#endif
