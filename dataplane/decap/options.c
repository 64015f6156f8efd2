/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/decap/options.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/tool/options.h"

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
    TOOL_OPTIONS_END,
};

static int add_from(struct options *options, const char *text)
{
    struct options_prefix *prefix = &options->from[options->from_count];

    if (options->from_count == OPTIONS_LIST_MAX)
        return tool_fail("--from: more than %d prefixes", OPTIONS_LIST_MAX);
    if (tool_take_prefix("--from", text, "10.0.0.0/24", &prefix->address, &prefix->length))
        return CULVERT_EINVAL;
    options->from_count++;
    return 0;
}

static int add_address(const char *option, struct address *list, size_t *count, const char *text)
{
    if (*count == OPTIONS_LIST_MAX)
        return tool_fail("%s: more than %d addresses", option, OPTIONS_LIST_MAX);
    if (units_parse_address(text, &list[*count]))
        return tool_fail("%s %s: not an IPv4 or IPv6 address", option, text);
    ++*count;
    return 0;
}

static int set_action(struct options *options, enum options_action action)
{
    if (options->action != ACTION_RUN && options->action != action)
        return tool_fail("only one of --pin, --detach and --stats");
    options->action = action;
    return 0;
}

static int take(void *arg, int option, char *argument)
{
    struct options *options = arg;

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
    default:
        abort(); /* the table has no other */
    }
}

static int check(const struct options *options)
{
    bool runs = options->action == ACTION_RUN || options->action == ACTION_PIN;

    if (!options->interface)
        return tool_fail("--interface is missing");
    if (runs && !options->from_count && !options->from_any)
        return tool_fail("--from PREFIX is missing (or --from-any, to take packets from anyone)");
    if (options->from_count && options->from_any)
        return tool_fail("--from and --from-any exclude each other");
    return 0;
}

static const struct tool_options tool = {
    .name = "culvert-decap",
    .help = help,
    .known = known,
    .take = take,
};

int options_parse(struct options *options, int argc, char **argv)
{
    int result;

    memset(options, 0, sizeof(*options));
    options->pin_dir = OPTIONS_PIN_DIR;
    result = tool_options_parse(&tool, argc, argv, options, &options->json);
    return result ? result : check(options);
}
