/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/flow.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *parse_protocol(const char *text, struct flow_end *end)
{
    if (!strcasecmp(text, "tcp"))
        end->protocol = FLOW_TCP;
    else if (!strcasecmp(text, "udp"))
        end->protocol = FLOW_UDP;
    else if (!strcasecmp(text, "icmp"))
        end->protocol = FLOW_ICMP;
    else
        return "the protocol must be tcp, udp or icmp";
    return NULL;
}

static const char *parse_port(const char *text, struct flow_end *end)
{
    uint64_t port;

    if (units_parse_number(text, &port) || !port || port > 65535)
        return "a port is a number from 1 to 65535";
    end->has_port = true;
    end->port = (uint16_t)port;
    return NULL;
}

const char *flow_end_parse(const char *text, struct flow_end *end)
{
    char copy[96], *address = copy, *slash, *port = NULL, *bracket;
    const char *problem = NULL;

    memset(end, 0, sizeof(*end));
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return "not an address";
    slash = strchr(copy, '/');
    if (slash) {
        *slash = 0;
        problem = parse_protocol(slash + 1, end);
    }
    bracket = copy[0] == '[' ? strchr(copy, ']') : NULL;
    if (copy[0] == '[' && (!bracket || (bracket[1] && bracket[1] != ':')))
        return "write it so: [2001:db8::1]:80";
    if (bracket) {
        *bracket = 0;
        address = copy + 1;
        port = bracket[1] ? bracket + 2 : NULL;
    } else if (strchr(copy, ':') == strrchr(copy, ':')) { /* one colon: IPv4 and a port */
        port = strchr(copy, ':');
        if (port)
            *port++ = 0;
    }
    if (!problem && units_parse_address(address, &end->address))
        problem = "not an IPv4 or IPv6 address (with a port: 192.0.2.1:80 or [2001:db8::1]:80)";
    if (!problem && port)
        problem = parse_port(port, end);
    return problem;
}
