/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a flow as typed: "198.51.100.7:1234", "[2001:db8::1]:80/tcp", "2001:db8::1". */
#ifndef CULVERT_CLI_FLOW_H
#define CULVERT_CLI_FLOW_H

#include <stdbool.h>

#include "controlplane/base/units.h"

enum flow_protocol { FLOW_ANY, FLOW_TCP, FLOW_UDP, FLOW_ICMP };

struct flow_end {
    struct address address;
    bool has_port;
    uint16_t port;               /* host order */
    enum flow_protocol protocol; /* FLOW_ANY: none was named */
};

/* NULL, or what is wrong with the text. */
const char *flow_end_parse(const char *text, struct flow_end *end);

#endif
