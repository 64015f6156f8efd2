/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-dpdk. */
#ifndef CULVERT_DPDK_OPTIONS_H
#define CULVERT_DPDK_OPTIONS_H

#include <stdbool.h>
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
    size_t memory;          /* bytes of the tables */
    unsigned buffer_memory; /* MiB for EAL: packet buffers and rings; 0: by the number of buffers */
    unsigned mbufs;         /* packet buffers */
    bool no_huge;
    const char *cores; /* that poll, as EAL's -l takes them; NULL: all but the main one */
    int main_core;     /* of the event loop; -1: the first that the process may use */
    enum log_level log_level;
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
