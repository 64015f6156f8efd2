/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"

static const struct option long_options[] = {
    {"state-dir", required_argument, NULL, 's'},
    {"run-dir", required_argument, NULL, 'r'},
    {"alarms-dir", required_argument, NULL, 'a'},
    {"name", required_argument, NULL, 'n'},
    {"listen", required_argument, NULL, 'L'},
    {"advertise", required_argument, NULL, 'A'},
    {"joins", no_argument, NULL, 'j'},
    {"etcd", required_argument, NULL, 'e'},
    {"etcd-tls", required_argument, NULL, 'E'},
    {"etcd-cert", required_argument, NULL, 'c'},
    {"etcd-key", required_argument, NULL, 'k'},
    {"etcd-ca", required_argument, NULL, 'C'},
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
    "  --state-dir DIR      where all is kept (default: /var/lib/culvert)\n"
    "  --run-dir DIR        where the sockets are (default: /run/culvert)\n"
    "  --alarms-dir DIR     each line of a file there is an alarm "
    "(default: /run/culvert-system/alarms)\n"
    "  --name NAME          of this node (default: the host's)\n"
    "  --listen ADDRESS     for the site's other nodes (default: [::]:7480; or none)\n"
    "  --advertise ADDRESS  where they find this one (default: the first that isn't loopback)\n"
    "  --joins              when there is no site yet: no etcd client is served before this node "
    "joins one\n"
    "  --etcd ADDRESS       for etcd clients, in the clear; up to 4 (default: 127.0.0.1:2379; or "
    "none)\n"
    "  --etcd-tls ADDRESS   for etcd clients, over TLS; up to 4\n"
    "  --etcd-cert FILE, --etcd-key FILE  for that (PEM)\n"
    "  --etcd-ca FILE       clients must have a certificate of it\n"
    "  --log-level LEVEL    error, warn, info (default) or debug\n"
    "  --version            print the version and end\n"
    "  --help               print this and end\n";

/* Adds to a list of addresses; false: there are too many. */
static bool add_address(const char **list, unsigned *count, const char *text)
{
    if (*count == CLUSTER_ETCD_MAX)
        return false;
    list[(*count)++] = text;
    return true;
}

/* An option of the cluster; false: it is none, or one too many. */
static bool set_address(struct cluster_addresses *addresses, int option, const char *text)
{
    switch (option) {
    case 'n':
        addresses->name = text;
        return true;
    case 'L':
        addresses->listen = text;
        return true;
    case 'j':
        addresses->joins = true;
        return true;
    case 'A':
        addresses->advertise = text;
        return true;
    case 'e':
        return add_address(addresses->etcd, &addresses->etcd_count, text);
    case 'E':
        return add_address(addresses->etcd_tls, &addresses->etcd_tls_count, text);
    case 'c':
        addresses->etcd_certificate = text;
        return true;
    case 'k':
        addresses->etcd_key = text;
        return true;
    case 'C':
        addresses->etcd_ca = text;
        return true;
    default:
        return false;
    }
}

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
        case 'a':
            options->alarms_dir = optarg;
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
            if (set_address(&options->addresses, option, optarg))
                break;
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
    struct daemon_options options = {.state_dir = "/var/lib/culvert",
                                     .run_dir = "/run/culvert",
                                     .alarms_dir = "/run/culvert-system/alarms"};
    enum log_level level = LOG_LEVEL_INFO;
    static struct daemon daemon;
    int code = parse_options(argc, argv, &options, &level);

    if (code >= 0)
        return code;
    log_start("culvertd", level);
    if (daemon_start(&daemon, &options))
        return 1;
    return daemon_run(&daemon);
}
