/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-xdp. */
#ifndef CULVERT_XDP_OPTIONS_H
#define CULVERT_XDP_OPTIONS_H

#include "dataplane/plane/arguments.h"

struct options {
    struct arguments common;
    const char *pin_dir;
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
