/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How culvertd leaves the site's settings of culvert-dpdk to it: a file in the run directory, the
 * canonical JSON of the site's section "dpdk" (docs/SITE.md), or {} without one. It is there before
 * culvertd listens on the channel, is replaced as a whole, and stays when culvertd ends.
 */
#ifndef CULVERT_DPDK_SETTINGS_FILE_H
#define CULVERT_DPDK_SETTINGS_FILE_H

#define SETTINGS_FILE "dpdk.json"
#define SETTINGS_BYTES_MAX 4096

/* Bounds of what it says. */
#define SETTINGS_CORES_MAX 64   /* that poll */
#define SETTINGS_CORE_MOST 1023 /* the number of one */
#define SETTINGS_BUFFERS_LEAST 1023
#define SETTINGS_BUFFERS_MOST (1u << 23)
#define SETTINGS_BUFFER_MIB_LEAST 16
#define SETTINGS_BUFFER_MIB_MOST (1u << 20)
#define SETTINGS_TABLE_MIB_LEAST 64
#define SETTINGS_TABLE_MIB_MOST 4096

#endif
