/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-dpdk. */
#ifndef CULVERT_DPDK_OPTIONS_H
#define CULVERT_DPDK_OPTIONS_H

#include "dataplane/dpdk/eal_options.h"
#include "dataplane/plane/arguments.h"

struct options {
    struct arguments common;
    struct eal_options eal;
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
