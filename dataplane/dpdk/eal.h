/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's environment (EAL): cores, memory, its log, and the tables' memory. */
#ifndef CULVERT_DPDK_EAL_H
#define CULVERT_DPDK_EAL_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/dpdk/eal_options.h"
#include "dataplane/dpdk/settings.h"

#define EAL_WHY 200

/* Cores as EAL's --lcores takes them: lcore 0 is the main one, 1 and on poll. */
struct eal_plan {
    unsigned workers;
    uint16_t core[SETTINGS_CORES_MAX]; /* of each */
    char map[16 * (SETTINGS_CORES_MAX + 1)];
};

/* Gives each thread its core. CULVERT_EINVAL, CULVERT_EUNSUPPORTED: this machine, or what the
 * process may use of it, has them not; `why` says it. */
int eal_plan(const struct settings *given, struct eal_plan *plan, char why[EAL_WHY]);

/* Has the kernel make the hugepages (of 2 MiB) that are missing for the buffers. What it has no
 * memory for eal_start() tells. */
void eal_reserve(const struct settings *settings);

/* Starts EAL: no device is probed. Returns 0, or an error after one log line that says what to do.
 * Ends with eal_close(). */
int eal_start(const char *program, const struct settings *settings, const struct eal_plan *plan);

/* Both for a program that has nothing but its command line. Returns the number of polling cores, or
 * an error (logged). */
int eal_open(const struct eal_options *options);
void eal_close(void);

/* What DPDK first complained of since eal_complaint_clear(); empty: nothing. */
const char *eal_complaint(void);
void eal_complaint_clear(void);

/* A pool of packet buffers, freed by rte_mempool_free() or with EAL. NULL: no memory (logged). */
struct rte_mempool;
struct rte_mempool *eal_buffers(unsigned mbufs);

/* Zeroed memory for the tables, in hugepages if there are as many, else in what the kernel makes
 * huge by itself (that at once without `hugepages`). NULL: none (logged). */
void *eal_tables_memory(size_t size, bool hugepages);

#endif
