/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS listeners' addresses, put on `lo` so that the kernel takes what the fast path leaves to
 * it (DNS over TCP, ping). Ours carry RTNL_PROTOCOL_CULVERT (IFA_PROTO); others are left alone.
 * They stay when the process ends.
 */
#ifndef CULVERT_KERNEL_ADDRESSES_H
#define CULVERT_KERNEL_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/kernel/rtnl.h"
#include "dataplane/tables/tables.h"

#define ADDRESSES_MAX 1024
#define ADDRESS_REASON_BYTES 96

struct listen_address {
    uint8_t address[16];
    bool present;                      /* on lo, by us or by the operator */
    char reason[ADDRESS_REASON_BYTES]; /* why not */
};

struct addresses {
    struct listen_address all[ADDRESSES_MAX];
    size_t count;
    bool full;    /* there were more than ADDRESSES_MAX */
    bool changed; /* cleared by its reader */
};

/* The ADDRESS table has changed: reads the listeners from it. */
void addresses_sync(struct addresses *addresses, struct tables *tables);

/* Makes `lo` agree: adds what is missing, removes what is ours and not wanted. */
void addresses_apply(struct addresses *addresses, struct rtnl *rtnl);

/* Removes all of ours. Returns how many, or an error. */
int addresses_remove_ours(struct rtnl *rtnl);

#endif
