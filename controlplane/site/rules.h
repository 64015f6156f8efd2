/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CULVERT_SITE_RULES_H
#define CULVERT_SITE_RULES_H

#include <stdio.h>

#include "controlplane/site/schema.h"

struct rules {
    struct site_report report;
    struct site_node *root;
};

/* Addresses and ports that meet: virtual IPs, backends, DNS listeners, access prefixes. Returns 0
 * (also with errors reported) or CULVERT_ENOMEM. */
int rules_vips_check(struct rules *rules);

#endif
