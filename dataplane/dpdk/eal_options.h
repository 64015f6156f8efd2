/* SPDX-License-Identifier: Apache-2.0 */
/* The options of every program that polls with DPDK: cores and memory. Needs no DPDK itself. */
#ifndef CULVERT_DPDK_EAL_OPTIONS_H
#define CULVERT_DPDK_EAL_OPTIONS_H

#include <stdbool.h>

struct eal_options {
    const char *program;
    unsigned buffer_memory; /* MiB for EAL: packet buffers and rings; 0: by the number of buffers */
    unsigned mbufs;         /* packet buffers */
    bool no_huge;
    const char *cores; /* that poll, a list; NULL: all but the main one */
    unsigned most;     /* of those that are not listed; 0: no bound */
    int main_core;     /* of everything else; -1: the first that the process may use */
};

enum {
    EAL_OPTION_CORES = 200,
    EAL_OPTION_MAIN_CORE,
    EAL_OPTION_MBUFS,
    EAL_OPTION_BUFFER_MEMORY,
    EAL_OPTION_NO_HUGE,
};

/* For the array that getopt_long() takes. */
#define EAL_OPTIONS_LONG                                                                           \
    {"cores", required_argument, NULL, EAL_OPTION_CORES},                                          \
        {"main-core", required_argument, NULL, EAL_OPTION_MAIN_CORE},                              \
        {"mbufs", required_argument, NULL, EAL_OPTION_MBUFS},                                      \
        {"buffer-memory", required_argument, NULL, EAL_OPTION_BUFFER_MEMORY},                      \
    {                                                                                              \
        "no-huge", no_argument, NULL, EAL_OPTION_NO_HUGE                                           \
    }

/* The text of --help for all but --cores. */
#define EAL_OPTIONS_USAGE                                                                          \
    "  --main-core N        core of everything else (default: the first)\n"                        \
    "  --mbufs N            packet buffers (default 32767)\n"                                      \
    "  --buffer-memory MIB  for DPDK's own memory (default: as the buffers need)\n"                \
    "  --no-huge            without hugepages: for trying out\n"

/* What holds where the command line says nothing; borrows `program`. */
void eal_options_default(struct eal_options *options, const char *program);

/* What is wrong with a value: the option's name, and what would be right. */
struct eal_options_wrong {
    const char *option, *right;
};

/* Takes one of EAL_OPTIONS_LONG; borrows `value`. CULVERT_EINVAL with `wrong` set. */
int eal_options_take(struct eal_options *options, int option, const char *value,
                     struct eal_options_wrong *wrong);

/* True for the number of one of EAL_OPTIONS_LONG. */
static inline bool eal_options_has(int option)
{
    return option >= EAL_OPTION_CORES && option <= EAL_OPTION_NO_HUGE;
}

#endif
