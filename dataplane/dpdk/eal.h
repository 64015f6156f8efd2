/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's environment (EAL): cores, memory, its log, and the tables' memory. */
#ifndef CULVERT_DPDK_EAL_H
#define CULVERT_DPDK_EAL_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/dpdk/eal_options.h"

/* Starts EAL: no device is probed. Returns the number of polling cores, or an error after one log
 * line that says what to do. Ends with eal_close(). */
int eal_open(const struct eal_options *options);
void eal_close(void);

/* What DPDK first complained of since eal_complaint_clear(); empty: nothing. */
const char *eal_complaint(void);
void eal_complaint_clear(void);

/* A pool of packet buffers, freed by rte_mempool_free() or with EAL. NULL: no memory (logged). */
struct rte_mempool;
struct rte_mempool *eal_buffers(unsigned mbufs);

/* Zeroed memory for the tables, in hugepages if there are as many, else in what the kernel makes
 * huge by itself (that at once with `no_huge`). NULL: none (logged). */
void *eal_tables_memory(size_t size, bool no_huge);

#endif
