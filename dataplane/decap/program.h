/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded program: its maps filled, its counts read, its pins. */
#ifndef CULVERT_DECAP_PROGRAM_H
#define CULVERT_DECAP_PROGRAM_H

#include <stdint.h>

#include "dataplane/decap/decap.h"
#include "dataplane/decap/options.h"
#include "dataplane/tool/attach.h"

struct decap_bpf; /* the skeleton */

/* Loads the program for the options and fills the maps of sources and given local addresses.
 * Ends with program_close(). CULVERT_ESYSTEM: attach_log_last() says why. */
int program_open(struct decap_bpf **out, const struct options *options);
void program_close(struct decap_bpf *program);

/* Makes the map of local addresses hold just these. */
int program_set_locals(struct decap_bpf *program, const struct address *addresses, size_t count);

/* Notes a virtual IP (DECAP_VIP_ADDED or DECAP_VIP_FOUND). */
int program_add_vip(struct decap_bpf *program, const struct address *vip, uint32_t state);

/* Calls `each` for every virtual IP in a map of them. */
typedef void (*program_vip_fn)(void *arg, const struct address *vip, uint32_t state);
void program_each_vip(int map, program_vip_fn each, void *arg);

/* The descriptor of the map of that name of the culvert-decap program on the interface;
 * CULVERT_ENOTFOUND: no program of ours is there. */
int program_find_map(uint32_t ifindex, const char *name);

/* Sums the counts over the CPUs. */
int program_counts(int map, struct decap_count counts[DECAP_RESULT_COUNT]);

/* The link's pin: made, and taken off with its program (CULVERT_ENOTFOUND: none there). */
int program_pin(int link, const struct options *options);
int program_unpin(const struct options *options);

#endif
