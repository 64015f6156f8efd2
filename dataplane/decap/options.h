/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-decap's command line. */
#ifndef CULVERT_DECAP_OPTIONS_H
#define CULVERT_DECAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/base/units.h"

#define OPTIONS_LIST_MAX 256
#define OPTIONS_PIN_DIR "/sys/fs/bpf/culvert-decap"

enum options_action { ACTION_RUN, ACTION_PIN, ACTION_DETACH, ACTION_STATS };

struct options_prefix {
    struct address address;
    unsigned length; /* of the address' own family */
};

struct options {
    enum options_action action;
    const char *interface;
    const char *pin_dir;
    bool json;
    bool from_any;
    struct options_prefix from[OPTIONS_LIST_MAX];
    size_t from_count;
    struct address vip[OPTIONS_LIST_MAX];
    size_t vip_count;
    struct address local[OPTIONS_LIST_MAX]; /* none: the host's own, discovered */
    size_t local_count;
};

/* Returns 0: go on; 1: all is done (help, version); CULVERT_EINVAL after one line to stderr. */
int options_parse(struct options *options, int argc, char **argv);

#endif
