/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-xdp. */
#ifndef CULVERT_XDP_OPTIONS_H
#define CULVERT_XDP_OPTIONS_H

#include <stddef.h>

#include "controlplane/base/log.h"

enum options_action {
    OPTIONS_RUN,
    OPTIONS_DETACH,
    OPTIONS_STATUS,
    OPTIONS_EXIT, /* --help, --version: all is said */
};

struct options {
    enum options_action action;
    const char *run_dir;
    const char *pin_dir;
    size_t memory; /* bytes; 0: not given */
    enum log_level log_level;
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
