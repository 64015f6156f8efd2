/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: culvert-dpdk [OPTION]...\n"
    "The DPDK data plane: runs the fast path in poll mode on the interfaces that the site gives "
    "to\n"
    "driver dpdk, by the tables that culvertd sends. What is not for the fast path goes to the\n"
    "kernel through a TAP device that has the interface's name, and back.\n"
    "\n"
    "The first five and --memory override what the site says (`dpdk:`); that, the defaults.\n"
    "\n"
    "  --cores LIST         cores that poll, such as 1 or 1-3,5 (default: all but the main one)\n"
    "  --main-core N        core of everything else (default: the first that doesn't poll)\n"
    "  --mbufs N            packet buffers (default 32767)\n"
    "  --buffer-memory MIB  for DPDK's own memory (default: as the buffers need)\n"
    "  --no-huge            without hugepages: for trying out\n"
    "  --detach             end the running instance, remove its TAP devices and addresses, "
    "exit\n" ARGUMENTS_USAGE;

/* Takes a number; false: it is none, or out of the setting's bounds. */
static bool take_number(struct options *options, enum settings_field field, const char *text)
{
    unsigned long value;
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    value = strtoul(text, &end, 10);
    if (errno || *end || !settings_take(&options->settings, field, value))
        return false;
    options->given |= 1u << field;
    return true;
}

static int take(void *arg, int option, const char *value)
{
    struct options *options = arg;

    switch (option) {
    case 'c':
        /* Who names cores here shares the main one on purpose. */
        options->given |= 1u << SETTINGS_CORES | 1u << SETTINGS_SHARE_MAIN_CORE;
        options->settings.value[SETTINGS_SHARE_MAIN_CORE] = 1;
        return settings_take_cores(&options->settings, value)
                   ? 0
                   : arguments_refuse(&options->common, "--cores", value,
                                      "a list such as 1-3,5 is right, at most 64, each once");
    case 'n':
        options->given |= 1u << SETTINGS_HUGEPAGES;
        options->settings.value[SETTINGS_HUGEPAGES] = 0;
        return 0;
    case 'b':
        return take_number(options, SETTINGS_PACKET_BUFFERS, value)
                   ? 0
                   : arguments_refuse(&options->common, "--mbufs", value,
                                      "1023 to 8388608 is right");
    case 'B':
        return take_number(options, SETTINGS_BUFFER_MEMORY, value)
                   ? 0
                   : arguments_refuse(&options->common, "--buffer-memory", value,
                                      "16 to 1048576 MiB is right");
    default:
        return take_number(options, SETTINGS_MAIN_CORE, value)
                   ? 0
                   : arguments_refuse(&options->common, "--main-core", value,
                                      "the number of a core is needed");
    }
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"cores", required_argument, NULL, 'c'},
        {"main-core", required_argument, NULL, 'M'},
        {"mbufs", required_argument, NULL, 'b'},
        {"buffer-memory", required_argument, NULL, 'B'},
        {"no-huge", no_argument, NULL, 'n'},
        ARGUMENTS_LONG,
        {NULL, 0, NULL, 0},
    };
    int error;

    *options = (struct options){.common = {.program = "culvert-dpdk", .usage = usage}};
    settings_default(&options->settings);
    error = arguments_parse(&options->common, known, argc, argv, take, options);
    if (!error && options->common.memory) {
        options->given |= 1u << SETTINGS_TABLE_MEMORY;
        settings_take(&options->settings, SETTINGS_TABLE_MEMORY, options->common.memory >> 20);
    }
    return error;
}
