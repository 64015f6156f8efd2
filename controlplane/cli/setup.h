/* SPDX-License-Identifier: Apache-2.0 */
/* What `culvert setup` leaves on the appliance beside the site, below a root ("": the system's). */
#ifndef CULVERT_CLI_SETUP_H
#define CULVERT_CLI_SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/base/buffer.h"
#include "controlplane/firstboot/machine.h"

#define SETUP_ANSWER 512u /* bytes of what is typed */

/* How the management NIC gets its address. */
struct setup_network {
    char name[16];              /* of the interface */
    bool is_static;             /* else DHCP, which is what NICs do anyhow */
    char address[SETUP_ANSWER]; /* with its prefix length */
    char gateway[SETUP_ANSWER], name_server[SETUP_ANSWER]; /* "" : none */
};

/* Reads "ADDRESS/LENGTH" of a host; "ADDRESS". NULL, or what is wrong. */
const char *setup_check_host(const char *text);
const char *setup_check_address(const char *text);

/* The systemd.network file. */
void setup_network_text(const struct setup_network *network, struct buffer *text);

/* Writes that file where it is kept and where it works from now on; with DHCP takes an earlier one
 * away. 0 or CULVERT_*, with the path in `path`. */
int setup_network_write(const char *root, const struct setup_network *network, struct buffer *path);

/* Adds a key that may come in by SSH, unless it is there. Likewise. */
int setup_key_write(const char *root, const char *line, struct buffer *path);

/* Keeps the host's name and the time servers for each start of culvert-firstboot. Likewise. */
int setup_told_write(const char *root, const struct machine *told, struct buffer *path);

#endif
