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
    "The first five and --memory override what the site says (`dpdk:`); that, the defaults.\n"
    "\n"
    "  --cores LIST         cores that poll, such as 1 or 1-3,5 (default: all but the main "
    "one)\n" EAL_OPTIONS_USAGE
    "  --reserve-hugepages  have the kernel make those that are missing\n"
    "  --detach             end the running instance, remove its TAP devices and addresses, "
    "exit\n" ARGUMENTS_USAGE;

/* The settings that an option says, as bits. */
static unsigned settings_of(int option)
{
    switch (option) {
    case EAL_OPTION_CORES:
        return 1u << SETTINGS_CORES | 1u << SETTINGS_SHARE_MAIN_CORE;
    case EAL_OPTION_MAIN_CORE:
        return 1u << SETTINGS_MAIN_CORE;
    case EAL_OPTION_MBUFS:
        return 1u << SETTINGS_PACKET_BUFFERS;
    case EAL_OPTION_BUFFER_MEMORY:
        return 1u << SETTINGS_BUFFER_MEMORY;
    default:
        return 1u << SETTINGS_HUGEPAGES;
    }
}

static int take(void *arg, int option, const char *value)
{
    struct options *options = arg;
    struct eal_options_wrong wrong;

    if (option == OPTION_RESERVE) {
        options->reserve = true;
        return 0;
    }
    options->given |= settings_of(option);
    if (!eal_options_take(&options->eal, option, value, &wrong))
        return 0;
    return arguments_refuse(&options->common, wrong.option, value, wrong.right);
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        EAL_OPTIONS_LONG,
        {"reserve-hugepages", no_argument, NULL, OPTION_RESERVE},
        ARGUMENTS_LONG,
        {NULL, 0, NULL, 0},
    };
    int error;

    *options = (struct options){.common = {.program = "culvert-dpdk", .usage = usage}};
    eal_options_default(&options->eal, options->common.program);
    settings_default(&options->settings);
    error = arguments_parse(&options->common, known, argc, argv, take, options);
    if (!error && !settings_take_options(&options->settings, &options->eal))
        error = arguments_refuse(&options->common, "--cores", options->eal.cores,
                                 "a list such as 1-3,5 is right, at most 64, each once");
    if (!error && options->common.memory) {
        options->given |= 1u << SETTINGS_TABLE_MEMORY;
        settings_take(&options->settings, SETTINGS_TABLE_MEMORY, options->common.memory >> 20);
    }
    return error;
}
