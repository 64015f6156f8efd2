/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of culvert-dpdk. */
#ifndef CULVERT_DPDK_OPTIONS_H
#define CULVERT_DPDK_OPTIONS_H

#include <stdbool.h>

#include "dataplane/plane/arguments.h"

struct options {
    struct arguments common;
    unsigned buffer_memory; /* MiB for EAL: packet buffers and rings; 0: by the number of buffers */
    unsigned mbufs;         /* packet buffers */
    bool no_huge;
    const char *cores; /* that poll, a list; NULL: all but the main one */
    int main_core;     /* of the event loop; -1: the first that the process may use */
};

/* Returns 0, or CULVERT_EINVAL after having said on standard error what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

#endif
