/* SPDX-License-Identifier: Apache-2.0 */
/* options.c's part for DPDK devices. */
#ifndef CULVERT_PKTGEN_OPTIONS_DEVICE_H
#define CULVERT_PKTGEN_OPTIONS_DEVICE_H

#include "dataplane/pktgen/options.h"

/* The value of an option. All return 0, or CULVERT_EINVAL after one line to stderr. */
int options_take_mac(const char *option, const char *text, uint8_t mac[6]);
int options_take_addresses(const char *option, const char *text, struct options_address to[2]);
int options_take_eal(struct options *options, int option, const char *value);

/* Is there one interface or device, and does everything go with it? Sets how many threads. */
int options_check_device(struct options *options);
/* Is a way to every target told? */
int options_check_ways(const struct options *options);

#endif
