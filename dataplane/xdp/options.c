/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/options.h"

#include <getopt.h>
#include <string.h>

#include "dataplane/xdp/pins.h"

static const char usage[] =
    "Usage: culvert-xdp [OPTION]...\n"
    "The XDP data plane: runs the fast path on the interfaces that the site names, by the tables\n"
    "that culvertd sends. Ended by SIGTERM or killed, it leaves everything attached and traffic\n"
    "flowing; started again, it takes over without losing a packet.\n"
    "\n"
    "  --pin-dir DIR        on a BPF file system (default /sys/fs/bpf/culvert)\n"
    "  --detach             end the running instance, detach all interfaces, remove all pins\n"
    "                       and addresses, and exit\n" ARGUMENTS_USAGE;

static int take_pin_dir(void *arg, int option, const char *value)
{
    struct options *options = arg;

    (void)option; /* --pin-dir is the only one */
    options->pin_dir = value;
    if (value[0] != '/' || strlen(value) > PINS_DIR_MAX)
        return arguments_refuse(&options->common, "--pin-dir", value,
                                "an absolute path of at most 400 bytes is needed");
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"pin-dir", required_argument, NULL, 'p'},
        ARGUMENTS_LONG,
        {NULL, 0, NULL, 0},
    };

    *options = (struct options){
        .common = {.program = "culvert-xdp", .usage = usage},
        .pin_dir = "/sys/fs/bpf/culvert",
    };
    return arguments_parse(&options->common, known, argc, argv, take_pin_dir, options);
}
