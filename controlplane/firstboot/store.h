/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an appliance keeps what it was told, and where it counts:
 *
 *   STORE/hostname  authorized_keys  timesyncd.conf  network/  site  join  instance
 *   RUN/systemd/network/  RUN/systemd/timesyncd.conf.d/culvert.conf  the kernel's host name
 */
#ifndef CULVERT_FIRSTBOOT_STORE_H
#define CULVERT_FIRSTBOOT_STORE_H

#include <stdbool.h>

#include "controlplane/firstboot/machine.h"

struct store {
    int folder; /* STORE, open */
    int run;    /* RUN, open */
};

/* Makes the folders and opens them; closed by store_close(). Errors of the table. */
int store_open(struct store *store, const char *folder, const char *run);
void store_close(struct store *store);

/* Whether this instance's data has been taken already. */
bool store_has(const struct store *store, const char *instance);

/* Keeps what the machine was told; what it wasn't told stays as it is. Each file is replaced as a
 * whole, and with `whole` the instance is remembered last, so that after a crash all is done again.
 */
int store_keep(const struct store *store, const struct machine *machine, bool whole);

/* Puts in force what is kept. What `given` (by credentials) says goes before it; `named`: the host
 * has its name already, from the kernel's command line. Goes on after an error; the last one. */
int store_apply(const struct store *store, const struct machine *given, bool named);

#endif
