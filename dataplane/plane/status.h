/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver says of itself: the payload of CHANNEL_STATE and the answer to --status.
 *
 *   {"name", "version", "pid", "pin_dir", "connected", "filled",
 *    "settings": {"runs", "error"}, "workers": [{"core", "frames"}],
 *    "interfaces": [{"name", "ifindex", "attached", "state", "mode", "up", "mtu",
 *                    "lost_in", "lost_out", "link_losses", "resets",
 *                    "error", "note"}],
 *    "nexthops": {"backends", "resolved", "unresolved": ["10.0.0.13"],
 *                 "reasons": [{"backend", "address", "error"}]},
 *    "addresses": [{"address", "assigned", "error"}],
 *    "memory": {"region", "used", "free", "entries"},
 *    "errors": ["eth1: no such interface"]}
 *
 * state: attached, absent, foreign, failed; mode: how, null unless attached (xdp: native, generic);
 * note: why not native. pin_dir: of xdp only; settings, workers (frames that each has taken in by
 * now), lost_in and lost_out (frames), link_losses and resets (times): of dpdk only.
 * `filled` is false while a new region is not yet filled and the interfaces still run by the one
 * before. What is not wrong has a null error; `errors` tells in words all that is. At most 64
 * unresolved next hops are told.
 */
#ifndef CULVERT_PLANE_STATUS_H
#define CULVERT_PLANE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/kernel/addresses.h"
#include "dataplane/kernel/nexthops.h"
#include "dataplane/tables/tables.h"

#define STATUS_INTERFACES_MAX 64 /* the slot capacity of kind INTERFACE */

/* One interface that the site gives to this data plane. All texts are borrowed. */
struct status_interface {
    const char *name;
    uint32_t ifindex;
    bool attached, up;
    const char *state; /* a word */
    const char *mode;  /* a word; counts when attached */
    uint32_t mtu;
    bool counts;       /* the next four are known (the kernel keeps its own for XDP) */
    uint64_t lost_in;  /* frames that came while there was no buffer or no room for them */
    uint64_t lost_out; /* frames that the device had no room to send */
    uint64_t link_losses, resets; /* how often, since the process's start */
    const char *reason;           /* why it is not attached, or a note on how it is; may be empty */
};

/* A core that polls. */
struct status_worker {
    unsigned core;
    uint64_t frames; /* taken in, from the network and from the kernel */
};

/* What a process was started with and keeps. */
struct status_settings {
    const char *runs;  /* in words; NULL: nothing to tell */
    const char *error; /* what the site says otherwise; empty: nothing */
    const struct status_worker *workers;
    size_t workers_count;
};

struct status_input {
    const char *name;    /* of the data plane: "xdp", "dpdk" */
    const char *pin_dir; /* NULL: none */
    bool connected;      /* to culvertd */
    bool filled;
    struct status_settings settings;
    const struct tables *tables;
    const struct status_interface *interfaces;
    size_t interfaces_count;
    const struct nexthops *nexthops;
    const struct addresses *addresses;
};

/* One line, malloc'ed and NUL-terminated, no line feed; NULL: out of memory. */
char *status_json(const struct status_input *input);

/* A short text for systemd's status line. */
void status_line(const struct status_input *input, char *line, size_t size);

#endif
