/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "controlplane/base/error.h"
#include "dataplane/plane/memory.h"
#include "dataplane/xdp/pins.h"

#define RUN_DIR_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/channel.sock"))

static const char usage[] =
    "Usage: culvert-xdp [OPTION]...\n"
    "The XDP data plane: runs the fast path on the interfaces that the site names, by the tables\n"
    "that culvertd sends. Ended by SIGTERM or killed, it leaves everything attached and traffic\n"
    "flowing; started again, it takes over without losing a packet.\n"
    "\n"
    "  --run-dir DIR      culvertd's socket is DIR/channel.sock (default /run/culvert)\n"
    "  --pin-dir DIR      on a BPF file system (default /sys/fs/bpf/culvert)\n"
    "  --memory SIZE      of the tables, 64M to 4G; taken as it is used (default 1G)\n"
    "  --log-level LEVEL  error, warn, info, debug (default info)\n"
    "  --status           print the running instance's status as JSON and exit\n"
    "  --detach           end the running instance, detach all interfaces, remove all pins\n"
    "                     and addresses, and exit\n"
    "  --version, --help\n";

static int refuse(const char *option, const char *value, const char *right)
{
    fprintf(stderr, "culvert-xdp: %s %s: %s\n", option, value, right);
    return CULVERT_EINVAL;
}

static int take(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'r':
        options->run_dir = value;
        return strlen(value) > RUN_DIR_MAX ? refuse("--run-dir", value, "too long a path") : 0;
    case 'p':
        options->pin_dir = value;
        if (value[0] != '/' || strlen(value) > PINS_DIR_MAX)
            return refuse("--pin-dir", value, "an absolute path of at most 400 bytes is needed");
        return 0;
    case 'm':
        return memory_parse(value, &options->memory) ? 0 : refuse("--memory", value, MEMORY_WORDS);
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
        puts("culvert-xdp " CULVERT_VERSION);
        return 0;
    case 'h':
        options->action = OPTIONS_EXIT;
        fputs(usage, stdout);
        return 0;
    default:
        fputs("Try `culvert-xdp --help`.\n", stderr);
        return CULVERT_EINVAL;
    }
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"run-dir", required_argument, NULL, 'r'},
        {"pin-dir", required_argument, NULL, 'p'},
        {"memory", required_argument, NULL, 'm'},
        {"log-level", required_argument, NULL, 'l'},
        {"status", no_argument, NULL, 's'},
        {"detach", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    memset(options, 0, sizeof(*options));
    options->run_dir = "/run/culvert";
    options->pin_dir = "/sys/fs/bpf/culvert";
    options->log_level = LOG_LEVEL_INFO;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int error = take(options, option, optarg);

        if (error || options->action == OPTIONS_EXIT)
            return error;
    }
    if (optind < argc)
        return refuse("argument", argv[optind], "none is expected");
    return 0;
}
