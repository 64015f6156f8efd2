/* SPDX-License-Identifier: Apache-2.0 */
/* One DPDK device: found, configured, started, and taken away again. */
#ifndef CULVERT_DPDK_DEVICE_H
#define CULVERT_DPDK_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_mempool;

struct device_request {
    struct rte_mempool *pool; /* received frames' */
    uint16_t receive, send;   /* queues wanted */
    uint32_t mtu;             /* 0: as it is */
};

/* Probes and starts a device: a PCI address or a virtual device's arguments. Returns 0 with its
 * number and the queues that it has; or CULVERT_ESYSTEM, eal_complaint() may tell more. */
int device_open(const char *arguments, const struct device_request *request, uint16_t *id,
                uint16_t *receive, uint16_t *send);
/* The same for a device that a user named: CULVERT_ENOTFOUND or CULVERT_ESYSTEM, `why` (one line)
 * says what to do. */
int device_open_named(const char *arguments, const struct device_request *request, uint16_t *id,
                      uint16_t *receive, uint16_t *send, char *why, size_t size);
void device_close(uint16_t id);

/* Of a device that is open. */
bool device_is_linked(uint16_t id);
uint32_t device_kernel_index(uint16_t id); /* of the kernel's device below; 0: none */
uint64_t device_lost(uint16_t id);         /* frames that came and found no buffer or no room */
uint32_t device_mtu(uint16_t id);          /* bytes of the L3 packet */

#endif
