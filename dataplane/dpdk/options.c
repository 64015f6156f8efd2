/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define MBUFS_DEFAULT 32767
#define MBUFS_MIN 1023
#define MBUFS_MAX (1u << 23)
#define CORE_MAX 1023

static const char usage[] =
    "Usage: culvert-dpdk [OPTION]...\n"
    "The DPDK data plane: runs the fast path in poll mode on the interfaces that the site gives "
    "to\n"
    "driver dpdk, by the tables that culvertd sends. What is not for the fast path goes to the\n"
    "kernel through a TAP device that has the interface's name, and back.\n"
    "\n"
    "  --cores LIST         cores that poll, such as 1 or 1-3,5 (default: all but the main one)\n"
    "  --main-core N        core of everything else (default: the first)\n"
    "  --mbufs N            packet buffers (default 32767)\n"
    "  --buffer-memory MIB  for DPDK's own memory (default: as the buffers need)\n"
    "  --no-huge            without hugepages: for trying out\n"
    "  --detach             end the running instance, remove its TAP devices and addresses, "
    "exit\n" ARGUMENTS_USAGE;

static bool parse_number(const char *text, unsigned long low, unsigned long high, unsigned *number)
{
    unsigned long value;
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    value = strtoul(text, &end, 10);
    if (errno || *end || value < low || value > high)
        return false;
    *number = (unsigned)value;
    return true;
}

/* Digits, commas and dashes: EAL takes what they mean. */
static bool cores_are_sane(const char *text)
{
    return *text && strlen(text) < 200 && strspn(text, "0123456789,-") == strlen(text);
}

static int take(void *arg, int option, const char *value)
{
    struct options *options = arg;
    unsigned number = 0;

    switch (option) {
    case 'c':
        options->cores = value;
        return cores_are_sane(value) ? 0
                                     : arguments_refuse(&options->common, "--cores", value,
                                                        "a list such as 1-3,5 is right");
    case 'n':
        options->no_huge = true;
        return 0;
    case 'b':
        return parse_number(value, MBUFS_MIN, MBUFS_MAX, &options->mbufs)
                   ? 0
                   : arguments_refuse(&options->common, "--mbufs", value,
                                      "1023 to 8388608 is right");
    case 'B':
        return parse_number(value, 16, 1u << 20, &options->buffer_memory)
                   ? 0
                   : arguments_refuse(&options->common, "--buffer-memory", value,
                                      "16 to 1048576 MiB is right");
    default:
        if (!parse_number(value, 0, CORE_MAX, &number))
            return arguments_refuse(&options->common, "--main-core", value,
                                    "the number of a core is needed");
        options->main_core = (int)number;
        return 0;
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

    *options = (struct options){
        .common = {.program = "culvert-dpdk", .usage = usage},
        .mbufs = MBUFS_DEFAULT,
        .main_core = -1,
    };
    return arguments_parse(&options->common, known, argc, argv, take, options);
}
