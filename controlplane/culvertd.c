/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

static const struct option long_options[] = {
    {"state-dir", required_argument, NULL, 's'},
    {"run-dir", required_argument, NULL, 'r'},
    {"log-level", required_argument, NULL, 'l'},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: culvertd [OPTION...]\n"
    "\n"
    "The control plane: keeps the site's revisions, compiles them for the data planes, answers "
    "DNS\n"
    "over TCP and the API at RUN-DIR/api.sock.\n"
    "\n"
    "  --state-dir DIR    where revisions are kept (default: /var/lib/culvert)\n"
    "  --run-dir DIR      where the sockets are (default: /run/culvert)\n"
    "  --log-level LEVEL  error, warn, info (default) or debug\n"
    "  --version          print the version and end\n"
    "  --help             print this and end\n";

/* Reads the command line. Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, struct daemon_options *options,
                         enum log_level *level)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's':
            options->state_dir = optarg;
            break;
        case 'r':
            options->run_dir = optarg;
            break;
        case 'l':
            if (log_level_parse(optarg, level))
                break;
            fprintf(stderr, "culvertd: --log-level takes error, warn, info or debug, not `%s`\n",
                    optarg);
            return 2;
        case 'v':
            puts("culvertd " CULVERT_VERSION);
            return 0;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            fputs("culvertd: see `culvertd --help`\n", stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "culvertd: what is `%s` for? See `culvertd --help`\n", argv[optind]);
    return 2;
}

int main(int argc, char **argv)
{
    struct daemon_options options = {.state_dir = "/var/lib/culvert", .run_dir = "/run/culvert"};
    enum log_level level = LOG_LEVEL_INFO;
    static struct daemon daemon;
    int code = parse_options(argc, argv, &options, &level);

    if (code >= 0)
        return code;
    log_start("culvertd", level);
    if (daemon_start(&daemon, &options))
        return 1;
    daemon_run(&daemon);
    return 0;
}
