/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that the site names: our XDP program on each, through a bpf_link that is pinned
 * under PIN/links, so that it outlives the process and its program can be replaced in one step.
 *
 * Native first, generic when the driver or its settings don't allow that. A program of someone
 * else is never touched. An interface that goes and comes back gets the program again.
 */
#ifndef CULVERT_XDP_INTERFACES_H
#define CULVERT_XDP_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/rtnl.h"
#include "dataplane/plane/status.h"
#include "dataplane/tables/tables.h"

#define INTERFACES_MAX STATUS_INTERFACES_MAX
#define INTERFACE_REASON_BYTES 224

enum interface_state {
    INTERFACE_ABSENT,   /* the kernel has no such device */
    INTERFACE_ATTACHED, /* our program is on it */
    INTERFACE_FOREIGN,  /* someone else's program is on it */
    INTERFACE_FAILED,   /* the kernel refuses, `reason` says why */
};

struct interface {
    char name[DEVICE_NAME_BYTES];
    uint8_t mode; /* as in struct fp_interface */
    bool wanted;
    enum interface_state state;
    bool generic; /* the mode that it is attached in */
    bool up;      /* the device carries packets */
    uint32_t ifindex;
    uint32_t mtu;
    int link;                            /* file descriptor; -1: none */
    char reason[INTERFACE_REASON_BYTES]; /* of a failure, or of the generic mode; may be empty */
};

struct interfaces {
    struct interface all[INTERFACES_MAX];
    size_t count;
    int program; /* file descriptor of the program to attach; borrowed */
    uint32_t program_id;
    const char *pin_dir;           /* PIN; borrowed */
    struct rtnl *rtnl;             /* borrowed */
    const struct devices *devices; /* borrowed */
    bool changed; /* anything that the status shows has changed; cleared by its reader */
};

/* Finds the links that are pinned; nothing is changed. */
int interfaces_open(struct interfaces *interfaces, const char *pin_dir, int program,
                    struct rtnl *rtnl, const struct devices *devices);
/* Forgets all; programs stay attached and pinned. */
void interfaces_close(struct interfaces *interfaces);

/* Makes the kernel agree with the INTERFACE table: attaches, replaces the program of links that
 * have another one, detaches what is not in the table. */
void interfaces_sync(struct interfaces *interfaces, struct tables *tables);

/* Tries again what is not as it should be: after a device changed, or by the clock. */
void interfaces_retry(struct interfaces *interfaces);

/* Takes every pinned program off and removes the pins. Returns how many there were. */
int interfaces_detach_all(struct interfaces *interfaces);

/* The interface with that number in `ifindex`, or for 0 the first attached one; NULL: none. */
const struct interface *interface_find(const struct interfaces *interfaces, uint32_t ifindex);

/* What the status tells of them: `count` entries of `out`, valid until the next change. */
void interfaces_status(const struct interfaces *interfaces,
                       struct status_interface out[INTERFACES_MAX]);

#endif
