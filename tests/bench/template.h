/* SPDX-License-Identifier: Apache-2.0 */
/* The frames that the rigs send. */
#ifndef CULVERT_BENCH_TEMPLATE_H
#define CULVERT_BENCH_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/shim.h"

/* Whether there is such a kind: "lb", "drop" and "access" are TCP to a virtual IP, "dns" asks for
 * names that exist, "nxdomain" for names that don't. */
bool template_known(const char *kind);

/* Makes the template for `size` (a power of two) flows or names; `port` is the virtual IP's. */
void template_make(struct shim_config *config, const char *kind, uint16_t port, unsigned size);

#endif
