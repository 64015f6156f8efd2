/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/decap/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"

static const char help[] =
    "culvert-decap --interface IF (--from PREFIX... | --from-any) [--vip ADDRESS...]\n"
    "Unwraps IP-in-IP packets that arrive on an interface and are for this host, in XDP.\n"
    "\n"
    "  --interface IF   where the encapsulated packets arrive\n"
    "  --from PREFIX    a source that may encapsulate for us, e.g. 10.0.0.2/32; repeat it\n"
    "  --from-any       any source may (then anyone who reaches us can forge inner sources)\n"
    "  --vip ADDRESS    a virtual IP: put on lo while we run, and only packets for the ones named\n"
    "                   are unwrapped; repeat it. For IPv4 ones arp_ignore=1 and arp_announce=2\n"
    "                   are set on IF, so that this host doesn't answer ARP for them\n"
    "  --local ADDRESS  the outer destination to take (default: every address of this host)\n"
    "  --pin            attach, pin and exit: the program stays until --detach. Addresses that\n"
    "                   the host gets later aren't noticed then; arp_* stay as they were set\n"
    "  --detach         take a pinned program off, and its virtual IPs off lo\n"
    "  --pin-dir DIR    where pins are, on a bpf file system (default " OPTIONS_PIN_DIR ")\n"
    "  --stats          print the counts of the program on IF\n"
    "  -o json          the counts as JSON\n"
    "  --version, --help\n"
    "\n"
    "Without --pin it stays until SIGINT or SIGTERM, then takes off what it put on.\n";

enum {
    OPTION_INTERFACE = 256,
    OPTION_FROM,
    OPTION_FROM_ANY,
    OPTION_VIP,
    OPTION_LOCAL,
    OPTION_PIN,
    OPTION_DETACH,
    OPTION_PIN_DIR,
    OPTION_STATS,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option known[] = {
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"from-any", no_argument, NULL, OPTION_FROM_ANY},
    {"vip", required_argument, NULL, OPTION_VIP},
    {"local", required_argument, NULL, OPTION_LOCAL},
    {"pin", no_argument, NULL, OPTION_PIN},
    {"detach", no_argument, NULL, OPTION_DETACH},
    {"pin-dir", required_argument, NULL, OPTION_PIN_DIR},
    {"stats", no_argument, NULL, OPTION_STATS},
    {"output", required_argument, NULL, 'o'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

#define fail(...)                                                                                  \
    (fprintf(stderr, "culvert-decap: " __VA_ARGS__), fputc('\n', stderr), CULVERT_EINVAL)

static int add_from(struct options *options, const char *text)
{
    struct options_prefix *prefix = &options->from[options->from_count];
    bool host_bits = false;

    if (options->from_count == OPTIONS_LIST_MAX)
        return fail("--from: more than %d prefixes", OPTIONS_LIST_MAX);
    if (units_parse_prefix(text, &prefix->address, &prefix->length, &host_bits)) {
        char right[UNITS_TEXT];

        if (!host_bits)
            return fail("--from %s: not a prefix like 10.0.0.0/24 or 2001:db8::/64", text);
        units_write_prefix(&prefix->address, prefix->length, right);
        return fail("--from %s: bits are set behind the length; %s would be right", text, right);
    }
    options->from_count++;
    return 0;
}

static int add_address(const char *option, struct address *list, size_t *count, const char *text)
{
    if (*count == OPTIONS_LIST_MAX)
        return fail("%s: more than %d addresses", option, OPTIONS_LIST_MAX);
    if (units_parse_address(text, &list[*count]))
        return fail("%s %s: not an IPv4 or IPv6 address", option, text);
    ++*count;
    return 0;
}

static int set_action(struct options *options, enum options_action action)
{
    if (options->action != ACTION_RUN && options->action != action)
        return fail("only one of --pin, --detach and --stats");
    options->action = action;
    return 0;
}

static int take(struct options *options, int option, char *argument)
{
    switch (option) {
    case OPTION_INTERFACE:
        options->interface = argument;
        return 0;
    case OPTION_FROM:
        return add_from(options, argument);
    case OPTION_FROM_ANY:
        options->from_any = true;
        return 0;
    case OPTION_VIP:
        return add_address("--vip", options->vip, &options->vip_count, argument);
    case OPTION_LOCAL:
        return add_address("--local", options->local, &options->local_count, argument);
    case OPTION_PIN:
        return set_action(options, ACTION_PIN);
    case OPTION_DETACH:
        return set_action(options, ACTION_DETACH);
    case OPTION_STATS:
        return set_action(options, ACTION_STATS);
    case OPTION_PIN_DIR:
        options->pin_dir = argument;
        return 0;
    case 'o':
        options->json = strcmp(argument, "json") == 0;
        return options->json || strcmp(argument, "text") == 0 ? 0 : fail("-o takes json or text");
    case OPTION_VERSION:
        printf("culvert-decap %s\n", CULVERT_VERSION);
        return 1;
    case OPTION_HELP:
        fputs(help, stdout);
        return 1;
    default:
        return fail("try --help");
    }
}

static int check(const struct options *options)
{
    bool runs = options->action == ACTION_RUN || options->action == ACTION_PIN;

    if (!options->interface)
        return fail("--interface is missing");
    if (runs && !options->from_count && !options->from_any)
        return fail("--from PREFIX is missing (or --from-any, to take packets from anyone)");
    if (options->from_count && options->from_any)
        return fail("--from and --from-any exclude each other");
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    int option;

    memset(options, 0, sizeof(*options));
    options->pin_dir = OPTIONS_PIN_DIR;
    while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
        int result = take(options, option, optarg);

        if (result)
            return result;
    }
    if (optind < argc)
        return fail("what is \"%s\"? Try --help", argv[optind]);
    return check(options);
}
