/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "controlplane/base/error.h"
#include "dataplane/plane/memory.h"

#define RUN_DIR_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/channel.sock"))
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
    "  --run-dir DIR        culvertd's socket is DIR/channel.sock (default /run/culvert)\n"
    "  --memory SIZE        of the tables, 64M to 4G; taken as it is used (default 1G)\n"
    "  --cores LIST         cores that poll, such as 1 or 1-3,5 (default: all but the main one)\n"
    "  --main-core N        core of everything else (default: the first)\n"
    "  --mbufs N            packet buffers (default 32767)\n"
    "  --buffer-memory MIB  for DPDK's own memory (default: as the buffers need)\n"
    "  --no-huge            without hugepages: for trying out\n"
    "  --log-level LEVEL    error, warn, info, debug (default info)\n"
    "  --status             print the running instance's status as JSON and exit\n"
    "  --detach             end the running instance, remove its TAP devices and addresses, exit\n"
    "  --version, --help\n";

static int refuse(const char *option, const char *value, const char *right)
{
    fprintf(stderr, "culvert-dpdk: %s %s: %s\n", option, value, right);
    return CULVERT_EINVAL;
}

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

static int take_size(struct options *options, int option, const char *value)
{
    unsigned number = 0;

    switch (option) {
    case 'm':
        return memory_parse(value, &options->memory) ? 0 : refuse("--memory", value, MEMORY_WORDS);
    case 'b':
        return parse_number(value, MBUFS_MIN, MBUFS_MAX, &options->mbufs)
                   ? 0
                   : refuse("--mbufs", value, "1023 to 8388608 is right");
    case 'B':
        return parse_number(value, 16, 1u << 20, &options->buffer_memory)
                   ? 0
                   : refuse("--buffer-memory", value, "16 to 1048576 MiB is right");
    default:
        if (!parse_number(value, 0, CORE_MAX, &number))
            return refuse("--main-core", value, "the number of a core is needed");
        options->main_core = (int)number;
        return 0;
    }
}

static int take(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'r':
        options->run_dir = value;
        return strlen(value) > RUN_DIR_MAX ? refuse("--run-dir", value, "too long a path") : 0;
    case 'c':
        options->cores = value;
        return cores_are_sane(value) ? 0
                                     : refuse("--cores", value, "a list such as 1-3,5 is right");
    case 'n':
        options->no_huge = true;
        return 0;
    case 'l':
        return log_level_parse(value, &options->log_level)
                   ? 0
                   : refuse("--log-level", value, "error, warn, info or debug is right");
    case 's':
        options->action = OPTIONS_STATUS;
        return 0;
    case 'd':
        options->action = OPTIONS_DETACH;
        return 0;
    case 'v':
        options->action = OPTIONS_EXIT;
        puts("culvert-dpdk " CULVERT_VERSION);
        return 0;
    case 'h':
        options->action = OPTIONS_EXIT;
        fputs(usage, stdout);
        return 0;
    case '?':
        fputs("Try `culvert-dpdk --help`.\n", stderr);
        return CULVERT_EINVAL;
    default:
        return take_size(options, option, value);
    }
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"run-dir", required_argument, NULL, 'r'},
        {"memory", required_argument, NULL, 'm'},
        {"cores", required_argument, NULL, 'c'},
        {"main-core", required_argument, NULL, 'M'},
        {"mbufs", required_argument, NULL, 'b'},
        {"buffer-memory", required_argument, NULL, 'B'},
        {"no-huge", no_argument, NULL, 'n'},
        {"log-level", required_argument, NULL, 'l'},
        {"status", no_argument, NULL, 's'},
        {"detach", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *options = (struct options){
        .run_dir = "/run/culvert",
        .memory = MEMORY_DEFAULT,
        .mbufs = MBUFS_DEFAULT,
        .main_core = -1,
        .log_level = LOG_LEVEL_INFO,
    };
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int error = take(options, option, optarg);

        if (error || options->action == OPTIONS_EXIT)
            return error;
    }
    if (optind < argc)
        return refuse("argument", argv[optind], "none is expected");
    return 0;
}
