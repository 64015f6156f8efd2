/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/options.h"

#include <getopt.h>

static const char usage[] =
    "Usage: culvert-dpdk [OPTION]...\n"
    "The DPDK data plane: runs the fast path in poll mode on the interfaces that the site gives "
    "to\n"
    "driver dpdk, by the tables that culvertd sends. What is not for the fast path goes to the\n"
    "kernel through a TAP device that has the interface's name, and back.\n"
    "\n"
    "  --cores LIST         cores that poll, such as 1 or 1-3,5 (default: all but the main "
    "one)\n" EAL_OPTIONS_USAGE
    "  --detach             end the running instance, remove its TAP devices and addresses, "
    "exit\n" ARGUMENTS_USAGE;

static int take(void *arg, int option, const char *value)
{
    struct options *options = arg;
    struct eal_options_wrong wrong;

    if (!eal_options_take(&options->eal, option, value, &wrong))
        return 0;
    return arguments_refuse(&options->common, wrong.option, value, wrong.right);
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        EAL_OPTIONS_LONG,
        ARGUMENTS_LONG,
        {NULL, 0, NULL, 0},
    };

    *options = (struct options){.common = {.program = "culvert-dpdk", .usage = usage}};
    eal_options_default(&options->eal, options->common.program);
    return arguments_parse(&options->common, known, argc, argv, take, options);
}
