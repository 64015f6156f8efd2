/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the command line that all data planes have. */
#ifndef CULVERT_PLANE_ARGUMENTS_H
#define CULVERT_PLANE_ARGUMENTS_H

#include <stddef.h>

#include "controlplane/base/log.h"

/* Sizes of the tables, in bytes. */
#define MEMORY_MAX ((size_t)4 << 30)
#define MEMORY_MIN ((size_t)64 << 20)
#define MEMORY_DEFAULT ((size_t)1 << 30)

enum arguments_action {
    ARGUMENTS_RUN,
    ARGUMENTS_DETACH,
    ARGUMENTS_STATUS,
    ARGUMENTS_EXIT, /* --help, --version: all is said */
};

struct arguments {
    const char *program; /* "culvert-xdp" */
    const char *usage;   /* what --help prints */
    enum arguments_action action;
    const char *run_dir;
    size_t memory; /* bytes; 0: not given */
    enum log_level log_level;
};

/* For the array that getopt_long() takes. */
#define ARGUMENTS_LONG                                                                             \
    {"run-dir", required_argument, NULL, 'r'}, {"memory", required_argument, NULL, 'm'},           \
        {"log-level", required_argument, NULL, 'l'}, {"status", no_argument, NULL, 's'},           \
        {"detach", no_argument, NULL, 'd'}, {"version", no_argument, NULL, 'v'},                   \
        {"help", no_argument, NULL, 'h'}

/* The text of --help for them. */
#define ARGUMENTS_USAGE                                                                            \
    "  --run-dir DIR        culvertd's socket is DIR/channel.sock (default /run/culvert)\n"        \
    "  --memory SIZE        of the tables, 64M to 4G; taken as it is used (default 1G)\n"          \
    "  --log-level LEVEL    error, warn, info, debug (default info)\n"                             \
    "  --status             print the running instance's status as JSON and exit\n"                \
    "  --version, --help\n"

struct option;

/* Takes all of them: `own` is called for options that are not in ARGUMENTS_LONG, with their value,
 * and returns 0 or CULVERT_EINVAL after having said what is wrong. Returns likewise. `arguments`
 * has program and usage set. */
int arguments_parse(struct arguments *arguments, const struct option *known, int argc, char **argv,
                    int (*own)(void *arg, int option, const char *value), void *arg);

/* Says what is wrong with an option and what would be right. Returns CULVERT_EINVAL. */
int arguments_refuse(const struct arguments *arguments, const char *option, const char *value,
                     const char *right);

#endif
