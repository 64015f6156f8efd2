/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver says of itself: the payload of CHANNEL_STATE and the answer to --status.
 *
 *   {"name": "xdp", "version", "pid", "pin_dir", "connected", "filled",
 *    "interfaces": [{"name", "ifindex", "attached", "state", "mode", "up", "mtu",
 *                    "error", "note"}],
 *    "nexthops": {"backends", "resolved", "unresolved": ["10.0.0.13"],
 *                 "reasons": [{"backend", "address", "error"}]},
 *    "addresses": [{"address", "assigned", "error"}],
 *    "memory": {"region", "used", "free", "entries"},
 *    "errors": ["eth1: no such interface"]}
 *
 * state: attached, absent, foreign, failed; mode: native, generic (null unless attached); note: why
 * not native. `filled` is false while a new region is not yet filled and the interfaces still run
 * by the one before. What is not wrong has a null error; `errors` tells in words all that is.
 * At most 64 unresolved next hops are told.
 */
#ifndef CULVERT_XDP_STATUS_H
#define CULVERT_XDP_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/tables/tables.h"
#include "dataplane/xdp/addresses.h"
#include "dataplane/xdp/interfaces.h"
#include "dataplane/xdp/nexthops.h"

struct status_input {
    const char *pin_dir;
    bool connected; /* to culvertd */
    bool filled;
    const struct tables *tables;
    const struct interfaces *interfaces;
    const struct nexthops *nexthops;
    const struct addresses *addresses;
};

/* One line, malloc'ed and NUL-terminated, no line feed; NULL: out of memory. */
char *status_json(const struct status_input *input);

/* A short text for systemd's status line. */
void status_line(const struct status_input *input, char *line, size_t size);

#endif
