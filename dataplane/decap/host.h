/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend's kernel must know and tell: its addresses, virtual IPs on lo, ARP's manners. */
#ifndef CULVERT_DECAP_HOST_H
#define CULVERT_DECAP_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/base/units.h"
#include "dataplane/kernel/rtnl.h"

/* Every address of this network namespace, at most `max`. Returns the count, CULVERT_EFULL: more
 * than that, or CULVERT_ESYSTEM. */
int host_addresses(struct address *addresses, size_t max);

/* Puts an address on lo. `*added` false: it was there. CULVERT_ESYSTEM: rtnl->text says why. */
int host_vip_add(struct rtnl *rtnl, const struct address *vip, bool *added);
int host_vip_drop(struct rtnl *rtnl, const struct address *vip);

#define HOST_ARP_SETTINGS 2
/* The values that were there before; -1: not changed. */
struct host_arp {
    int before[HOST_ARP_SETTINGS];
};

/* Makes the kernel answer and ask by ARP on the interface only with the interface's own addresses
 * (arp_ignore 1, arp_announce 2; ip-sysctl). Higher values are left. CULVERT_ESYSTEM: errno. */
int host_arp_quiet(const char *interface, struct host_arp *arp);
void host_arp_restore(const char *interface, const struct host_arp *arp);

#endif
