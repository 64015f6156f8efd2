/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/options_device.h"
#include "dataplane/tool/options.h"

static const char help[] =
    "culvert-pktgen --interface IF --profile PROFILE --to TARGETS [options]\n"
    "culvert-pktgen --device DEVICE --profile PROFILE --to TARGETS [options]\n"
    "Sends test traffic from XDP, or by a DPDK device, and counts and times what comes back.\n"
    "\n"
    "  --profile P          dns, udp, tcp (segments with ACK), syn, or weights: mix=dns:50,syn:20\n"
    "  --to A[:PORT][,...]  where to; DNS needs no port. A target of one kind: dns=192.0.2.53\n"
    "  --queries FILE       DNS: lines of `name type`; asked in turn\n"
    "  --edns BYTES         DNS: with an OPT record that tells this UDP size\n"
    "  --sources PREFIX     source addresses, one prefix per family (default: our own address)\n"
    "  --ports LOW-HIGH     source ports (default 1024-32767: the kernel's own are above)\n"
    "  --flows N            different source addresses and ports (default 1024; syn: all)\n"
    "  --size BYTES         of UDP and TCP frames, Ethernet header included (default: small)\n"
    "  --rate PPS           packets a second, k and M understood (default: full speed)\n"
    "  --duration TIME      e.g. 10s; a number alone is seconds (default: until Ctrl-C)\n"
    "  --count N            send so many packets\n"
    "  --threads N          sending threads, one CPU each (default 1)\n"
    "  --gateway-mac MAC    where frames go to (default: by the kernel's routes and neighbours, "
    "or\n"
    "                       what answers for --via or the target)\n"
    "  --vlan ID            tag the frames (with --gateway-mac)\n"
    "  --count-only         send nothing: count what arrives, encapsulated packets by backend\n"
    "  --drop               with --count-only: drop what is encapsulated\n"
    "  -o json              print only JSON, at the end\n"
    "  --version, --help\n"
    "\n"
    "With a DPDK device (a PCI address, net_af_xdp0,iface=eth0, net_memif0,...):\n"
    "  --address A[,A]      our own, one per family: ARP and ND are answered and asked from there\n"
    "  --via A[,A]          the router, one per family (default: targets are on the link)\n"
    "  --source-mac MAC     instead of the device's\n"
    "  --cores LIST         cores that send and receive, such as 1-3,5, instead of "
    "--threads\n" EAL_OPTIONS_USAGE;

enum {
    OPTION_INTERFACE = 256,
    OPTION_PROFILE,
    OPTION_TO,
    OPTION_QUERIES,
    OPTION_EDNS,
    OPTION_SOURCES,
    OPTION_PORTS,
    OPTION_FLOWS,
    OPTION_SIZE,
    OPTION_RATE,
    OPTION_DURATION,
    OPTION_COUNT,
    OPTION_THREADS,
    OPTION_GATEWAY_MAC,
    OPTION_VLAN,
    OPTION_COUNT_ONLY,
    OPTION_DROP,
    OPTION_DEVICE,
    OPTION_ADDRESS,
    OPTION_VIA,
    OPTION_SOURCE_MAC,
};

static const struct option known[] = {
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"to", required_argument, NULL, OPTION_TO},
    {"queries", required_argument, NULL, OPTION_QUERIES},
    {"edns", required_argument, NULL, OPTION_EDNS},
    {"sources", required_argument, NULL, OPTION_SOURCES},
    {"ports", required_argument, NULL, OPTION_PORTS},
    {"flows", required_argument, NULL, OPTION_FLOWS},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"gateway-mac", required_argument, NULL, OPTION_GATEWAY_MAC},
    {"vlan", required_argument, NULL, OPTION_VLAN},
    {"count-only", no_argument, NULL, OPTION_COUNT_ONLY},
    {"drop", no_argument, NULL, OPTION_DROP},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"via", required_argument, NULL, OPTION_VIA},
    {"source-mac", required_argument, NULL, OPTION_SOURCE_MAC},
    EAL_OPTIONS_LONG,
    TOOL_OPTIONS_END,
};

static const char *const kind_names[] = {
#define X(name, number, text) text,
    PKTGEN_KINDS(X)
#undef X
};

static int kind_find(const char *text, size_t length)
{
    for (int kind = 0; kind < (int)PKTGEN_KIND_COUNT; kind++) {
        if (strlen(kind_names[kind]) == length && memcmp(kind_names[kind], text, length) == 0)
            return kind;
    }
    return -1;
}

/* A number between two bounds. */
static int take_number(const char *option, const char *text, uint64_t low, uint64_t high,
                       uint64_t *value)
{
    if (units_parse_size(text, value) || *value < low || *value > high)
        return tool_fail("%s %s: not a number from %llu to %llu", option, text,
                         (unsigned long long)low, (unsigned long long)high);
    return 0;
}

/* ---- profiles ---- */

static int take_mix(struct options *options, const char *list)
{
    char copy[128];
    char *rest = copy, *word;

    if (snprintf(copy, sizeof(copy), "%s", list) >= (int)sizeof(copy))
        return tool_fail("--profile: the mix is too long");
    while ((word = strsep(&rest, ","))) {
        char *colon = strchr(word, ':');
        int kind = kind_find(word, colon ? (size_t)(colon - word) : strlen(word));
        uint64_t weight = 1;

        if (kind < 0)
            return tool_fail("--profile: \"%s\" in the mix is none of dns, udp, tcp, syn", word);
        if (colon && take_number("--profile: weight", colon + 1, 1, OPTIONS_WEIGHT_MAX, &weight))
            return CULVERT_EINVAL;
        options->weight[kind] = (unsigned)weight;
    }
    return 0;
}

static int take_profile(struct options *options, const char *text)
{
    int kind = kind_find(text, strlen(text));

    memset(options->weight, 0, sizeof(options->weight));
    options->profile = text;
    if (strncmp(text, "mix=", 4) == 0)
        return take_mix(options, text + 4);
    if (kind < 0)
        return tool_fail("--profile %s: none of dns, udp, tcp, syn, mix=KIND:WEIGHT,...", text);
    options->weight[kind] = 1;
    return 0;
}

/* ---- targets ---- */

static int take_port(const char *text, uint16_t *port)
{
    uint64_t value;

    if (units_parse_number(text, &value) || value < 1 || value > 65535)
        return CULVERT_EINVAL;
    *port = (uint16_t)value;
    return 0;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
static int take_endpoint(char *text, struct options_target *target)
{
    char *end = NULL;
    char *port = NULL;

    if (*text == '[') {
        text++;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return CULVERT_EINVAL;
        port = end[1] ? end + 2 : NULL;
    } else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
        end = strchr(text, ':');
        port = end + 1;
    }
    if (end)
        *end = '\0';
    if (units_parse_address(text, &target->address))
        return CULVERT_EINVAL;
    return port ? take_port(port, &target->port) : 0;
}

static int take_target(struct options *options, const char *word)
{
    struct options_target *target = &options->target[options->target_count];
    const char *equals = strchr(word, '=');
    char copy[80];

    if (options->target_count == OPTIONS_TARGETS_MAX)
        return tool_fail("--to: more than %d targets", OPTIONS_TARGETS_MAX);
    memset(target, 0, sizeof(*target));
    if (equals) {
        int kind = kind_find(word, (size_t)(equals - word));

        if (kind < 0)
            return tool_fail("--to %s: \"%.*s\" is none of dns, udp, tcp, syn", word,
                             (int)(equals - word), word);
        target->kinds = 1u << kind;
    }
    snprintf(copy, sizeof(copy), "%s", equals ? equals + 1 : word);
    if (take_endpoint(copy, target))
        return tool_fail("--to %s: not like 192.0.2.1:80 or [2001:db8::1]:80", word);
    options->target_count++;
    return 0;
}

static int take_targets(struct options *options, const char *text)
{
    char *copy = strdup(text);
    char *rest = copy, *word;
    int error = copy ? 0 : CULVERT_ENOMEM;

    while (!error && (word = strsep(&rest, ",")))
        error = take_target(options, word);
    free(copy);
    return error;
}

/* ---- the rest ---- */

static int take_sources(struct options *options, const char *text)
{
    struct options_prefix prefix = {.given = true};
    int family;

    if (tool_take_prefix("--sources", text, "198.18.0.0/15", &prefix.address, &prefix.length))
        return CULVERT_EINVAL;
    family = address_is_v4(&prefix.address) ? 0 : 1;
    if (options->source[family].given)
        return tool_fail("--sources: one IPv4 and one IPv6 prefix at most");
    prefix.length += family ? 0 : 96;
    options->source[family] = prefix;
    return 0;
}

static int take_ports(struct options *options, const char *text)
{
    char copy[16];
    char *dash;
    uint16_t low = 0, high = 0;
    bool right = snprintf(copy, sizeof(copy), "%s", text) < (int)sizeof(copy);

    dash = strchr(copy, '-');
    if (dash)
        *dash++ = '\0';
    right = right && !take_port(copy, &low) && !take_port(dash ? dash : copy, &high);
    if (!right || low > high)
        return tool_fail("--ports %s: not like 1024-32767", text);
    options->port_low = low;
    options->port_high = high;
    return 0;
}

static int take_duration(struct options *options, const char *text)
{
    uint64_t seconds;

    if (!units_parse_number(text, &seconds) && seconds && seconds <= UINT64_MAX / 1000000000)
        options->duration_ms = seconds * 1000;
    else if (units_parse_time(text, &options->duration_ms) || !options->duration_ms)
        return tool_fail("--duration %s: not a time like 500ms, 10s or 5m", text);
    return 0;
}

static int take_numbers(struct options *options, int option, const char *argument)
{
    uint64_t value = 0;
    int error;

    switch (option) {
    case OPTION_EDNS:
        error = take_number("--edns", argument, 512, 65535, &value);
        options->edns = (unsigned)value;
        return error;
    case OPTION_FLOWS:
        error = take_number("--flows", argument, 1, 1u << 31, &value);
        options->flows = (uint32_t)value;
        return error;
    case OPTION_SIZE:
        error = take_number("--size", argument, 60, PKTGEN_FRAME_MAX, &value);
        options->size = (unsigned)value;
        return error;
    case OPTION_RATE:
        error = take_number("--rate", argument, 1, 1000000000, &value);
        options->rate = (double)value;
        return error;
    case OPTION_COUNT:
        return take_number("--count", argument, 1, UINT64_MAX / 2, &options->count);
    case OPTION_THREADS:
        error = take_number("--threads", argument, 1, OPTIONS_THREADS_MAX, &value);
        options->threads = (unsigned)value;
        return error;
    case OPTION_VLAN:
        error = take_number("--vlan", argument, 1, 4094, &value);
        options->vlan = (unsigned)value;
        return error;
    default:
        abort(); /* the table has no other */
    }
}

static int take(void *arg, int option, char *argument)
{
    struct options *options = arg;

    switch (option) {
    case OPTION_INTERFACE:
        options->interface = argument;
        return 0;
    case OPTION_PROFILE:
        return take_profile(options, argument);
    case OPTION_TO:
        return take_targets(options, argument);
    case OPTION_QUERIES:
        options->queries = argument;
        return 0;
    case OPTION_SOURCES:
        return take_sources(options, argument);
    case OPTION_PORTS:
        return take_ports(options, argument);
    case OPTION_DURATION:
        return take_duration(options, argument);
    case OPTION_GATEWAY_MAC:
        options->gateway_given = true;
        return options_take_mac("--gateway-mac", argument, options->gateway_mac);
    case OPTION_COUNT_ONLY:
        options->count_only = true;
        return 0;
    case OPTION_DROP:
        options->drop = true;
        return 0;
    case OPTION_DEVICE:
        options->device = argument;
        return 0;
    case OPTION_ADDRESS:
        return options_take_addresses("--address", argument, options->own);
    case OPTION_VIA:
        return options_take_addresses("--via", argument, options->via);
    case OPTION_SOURCE_MAC:
        options->source_given = true;
        return options_take_mac("--source-mac", argument, options->source_mac);
    default:
        if (eal_options_has(option))
            return options_take_eal(options, option, argument);
        return take_numbers(options, option, argument);
    }
}

/* Says which kinds go to each target: those that it names, else DNS to port 53 or none, the
 * others to other ports; a profile of DNS alone takes any port. */
static int assign_kinds(struct options *options)
{
    const unsigned dns = 1u << PKTGEN_DNS;
    unsigned wanted = 0, served = 0;

    for (int kind = 0; kind < (int)PKTGEN_KIND_COUNT; kind++)
        wanted |= options->weight[kind] ? 1u << kind : 0;
    for (size_t i = 0; i < options->target_count; i++) {
        struct options_target *target = &options->target[i];

        if (!target->kinds && wanted == dns)
            target->kinds = dns;
        else if (!target->kinds)
            target->kinds = !target->port || target->port == 53 ? dns : ~dns;
        target->kinds &= wanted;
        if (!target->port && target->kinds == dns)
            target->port = 53;
        if (!target->port && target->kinds)
            return tool_fail("--to: a port is missing, as in 192.0.2.1:80");
        served |= target->kinds;
    }
    for (int kind = 0; kind < (int)PKTGEN_KIND_COUNT; kind++) {
        if (wanted & ~served & 1u << kind)
            return tool_fail("--to ADDRESS%s is missing for %s", kind == PKTGEN_DNS ? "" : ":PORT",
                             kind_names[kind]);
    }
    return 0;
}

static int check(struct options *options)
{
    int error = options_check_device(options);

    if (error)
        return error;
    if (options->count_only)
        return options->profile ? tool_fail("--count-only sends nothing: no --profile with it") : 0;
    if (options->drop)
        return tool_fail("--drop goes with --count-only");
    if (!options->profile)
        return tool_fail("--profile is missing: dns, udp, tcp, syn or mix=...");
    if (options->weight[PKTGEN_DNS] && !options->queries)
        return tool_fail("--queries FILE is missing (lines of `name type`)");
    if (!options->weight[PKTGEN_DNS] && options->queries)
        return tool_fail("--queries is for the profile dns");
    if (options->interface && options->vlan && !options->gateway_given)
        return tool_fail("--vlan needs --gateway-mac");
    if (options->size && options->weight[PKTGEN_DNS] && !options->weight[PKTGEN_UDP] &&
        !options->weight[PKTGEN_TCP])
        return tool_fail("--size is for udp and tcp");
    error = assign_kinds(options);
    return error ? error : options_check_ways(options);
}

static const struct tool_options tool = {
    .name = "culvert-pktgen",
    .help = help,
    .known = known,
    .take = take,
};

int options_parse(struct options *options, int argc, char **argv)
{
    int result;

    memset(options, 0, sizeof(*options));
    options->port_low = 1024;
    options->port_high = 32767;
    eal_options_default(&options->eal, tool.name);
    result = tool_options_parse(&tool, argc, argv, options, &options->json);
    return result ? result : check(options);
}
