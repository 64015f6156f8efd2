/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of network data have in common. */
#ifndef CULVERT_FIRSTBOOT_NETWORK_H
#define CULVERT_FIRSTBOOT_NETWORK_H

#include "controlplane/firstboot/reading.h"

/* Runs `take` over the document. With an error in it the machine is told of no NIC. */
int network_run(struct machine *machine, const char *name, const char *text, size_t length,
                struct seed_report *report, reading_take *take);

/* A new NIC of the machine, NULL with an error when there are too many. */
struct machine_nic *network_nic(struct reading *reading, const struct site_node *node);

/* Takers of one value; `arg` is a struct machine_nic, for the first two a struct machine_names. */
reading_take network_take_servers, network_take_searches, network_take_mac, network_take_name,
    network_take_mtu, network_take_addresses;

/* A route as version 1 and OpenStack write it: network, netmask, gateway, metric. */
reading_take network_take_classic_routes;
/* The gateway of a struct machine_route, which is `arg`. */
reading_take network_take_via;
/* The default route by this gateway. */
reading_take network_take_gateway;

/* Version 1 and 2 of NoCloud's network-config. */
reading_take network_take_v1, network_take_v2;

#endif
