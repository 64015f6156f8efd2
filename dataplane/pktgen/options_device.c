/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/options_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/tool/options.h"

int options_take_mac(const char *option, const char *text, uint8_t mac[6])
{
    const char *at = text;

    for (int i = 0; i < 6; i++) {
        char *end;
        unsigned long byte = strtoul(at, &end, 16);

        if (end == at || end - at > 2 || byte > 255 || *end != (i < 5 ? ':' : '\0'))
            return tool_fail("%s %s: not like 02:00:00:00:00:01", option, text);
        mac[i] = (uint8_t)byte;
        at = end + 1;
    }
    if (mac[0] & 1)
        return tool_fail("%s %s: a group's address, not one station's", option, text);
    return 0;
}

int options_take_addresses(const char *option, const char *text, struct options_address to[2])
{
    char copy[2 * UNITS_TEXT], *rest = copy, *word;

    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return tool_fail("%s: one IPv4 and one IPv6 address at most", option);
    while ((word = strsep(&rest, ","))) {
        struct address address;
        struct options_address *slot;

        if (units_parse_address(word, &address))
            return tool_fail("%s %s: not an address like 198.18.0.10 or 2001:db8::10", option,
                             word);
        slot = &to[address_is_v4(&address) ? 0 : 1];
        if (slot->given)
            return tool_fail("%s: one IPv4 and one IPv6 address at most", option);
        *slot = (struct options_address){.address = address, .given = true};
    }
    return 0;
}

int options_take_eal(struct options *options, int option, const char *value)
{
    struct eal_options_wrong wrong;

    if (!eal_options_take(&options->eal, option, value, &wrong))
        return 0;
    return tool_fail("%s %s: %s", wrong.option, value, wrong.right);
}

/* The first option given that only a DPDK device has; NULL: none. */
static const char *device_option(const struct options *options)
{
    struct eal_options plain;

    eal_options_default(&plain, options->eal.program);
    if (options->own[0].given || options->own[1].given)
        return "--address";
    if (options->via[0].given || options->via[1].given)
        return "--via";
    if (options->source_given)
        return "--source-mac";
    if (options->eal.cores)
        return "--cores";
    if (options->eal.main_core != plain.main_core)
        return "--main-core";
    if (options->eal.mbufs != plain.mbufs)
        return "--mbufs";
    if (options->eal.buffer_memory)
        return "--buffer-memory";
    return options->eal.no_huge ? "--no-huge" : NULL;
}

int options_check_device(struct options *options)
{
    if (options->interface && options->device)
        return tool_fail("--interface (XDP) and --device (DPDK) exclude each other");
    if (!options->interface && !options->device)
        return tool_fail("--interface is missing (or --device, for DPDK)");
    if (options->interface && device_option(options))
        return tool_fail("%s goes with --device", device_option(options));
    if (options->threads && options->eal.cores)
        return tool_fail("--threads and --cores exclude each other");
    if (!options->threads && !options->eal.cores)
        options->threads = 1;
    options->eal.most = options->threads;
    for (int family = 0; family < 2; family++) {
        if (options->via[family].given && !options->own[family].given)
            return tool_fail("--via needs an --address of ours of its family, to ask from");
    }
    return 0;
}

int options_check_ways(const struct options *options)
{
    for (size_t i = 0; options->device && !options->gateway_given && i < options->target_count;
         i++) {
        const struct address *target = &options->target[i].address;
        char text[UNITS_TEXT];

        if (options->own[address_is_v4(target) ? 0 : 1].given)
            continue;
        units_write_address(target, text);
        return tool_fail("no way to %s is known: give --gateway-mac MAC, or --address ADDRESS of "
                         "ours of its family (and --via ROUTER)",
                         text);
    }
    return 0;
}
