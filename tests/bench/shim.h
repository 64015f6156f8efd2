/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the cost rig's shim and its loader share. */
#ifndef CULVERT_BENCH_SHIM_H
#define CULVERT_BENCH_SHIM_H

#include <linux/types.h>

#define SHIM_FRAME_BYTES 80 /* of every template; a multiple of 8 */
#define SHIM_NAME_AT 54     /* Ethernet, IPv4, UDP, DNS header */

enum shim_kind { SHIM_FLOW, SHIM_NAME };

struct shim_config {
    __u32 kind;      /* enum shim_kind */
    __u32 mask;      /* flows or names - 1 */
    __u32 sum;       /* one's complement sum of the IPv4 header with source and checksum zero */
    __u32 interface; /* where generate sends to */
    __u8 frame[SHIM_FRAME_BYTES];
};

#endif
