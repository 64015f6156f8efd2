/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CULVERT_DNS_ZONE_KEY_H
#define CULVERT_DNS_ZONE_KEY_H

#include "controlplane/dns/name.h"
#include "dataplane/fastpath/region.h"

/* The table key of a node; `side` is FP_DNS_KEY_NODE or FP_DNS_KEY_PARENT. */
struct fp_key zone_key(const struct name *name, uint32_t side, const uint64_t dns_key[2]);

#endif
