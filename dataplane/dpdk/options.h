/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-dpdk. */
#ifndef CULVERT_DPDK_OPTIONS_H
#define CULVERT_DPDK_OPTIONS_H

#include "dataplane/dpdk/eal_options.h"
#include "dataplane/dpdk/settings.h"
#include "dataplane/plane/arguments.h"

#define OPTION_RESERVE 300 /* no number of the other lists */

struct options {
    struct arguments common;
    struct eal_options eal;
    unsigned given;           /* the settings that it says: bits, by enum settings_field */
    bool reserve;             /* hugepages that are missing are made */
    struct settings settings; /* those, and defaults for the rest */
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
