/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a seed, the disk by which a hypervisor tells a machine who it is: of cloud-init's
 * NoCloud and of OpenStack's config drive. Of what they may say the appliance takes the part that
 * docs/OPERATIONS.md lists. Errors (what is there is wrong) and warnings (it isn't for an
 * appliance) name the file, line and field; no value is shown, for some are secrets.
 */
#ifndef CULVERT_FIRSTBOOT_SEED_H
#define CULVERT_FIRSTBOOT_SEED_H

#include <stddef.h>

#include "controlplane/firstboot/machine.h"
#include "controlplane/site/site.h"

#define SEED_BYTES_MAX ((size_t)1 << 20)       /* of a file, but for: */
#define SEED_SITE_BYTES_MAX ((size_t)16 << 20) /* user-data that is a site file */

struct seed_report {
    struct site_errors errors, warnings;
};
/* Frees what it holds and leaves an empty one. */
void seed_report_free(struct seed_report *report);

/* Each reads one file, `name` for messages, into the machine. An empty file says nothing. Returns
 * 0, also with errors and warnings; CULVERT_ENOMEM. */
typedef int seed_reader(struct machine *machine, const char *name, const char *text, size_t length,
                        struct seed_report *report);
/* "#cloud-config" or "#culvert-site", told by the first line. */
seed_reader seed_read_user_data;
/* NoCloud's meta-data, and OpenStack's meta_data.json. */
seed_reader seed_read_meta_data, seed_read_openstack;
/* NoCloud's network-config, versions 1 and 2, and OpenStack's network_data.json. With an error no
 * NIC is taken: all of them go on asking for an address. */
seed_reader seed_read_network, seed_read_openstack_network;

#endif
