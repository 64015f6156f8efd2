/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARP (RFC 826) and neighbour discovery (RFC 4861) for a device that no kernel speaks for: our
 * addresses are told to those who ask, a next hop is asked for its MAC address. Frames in, frames
 * out; who sends them is another matter.
 */
#ifndef CULVERT_PKTGEN_DPDK_NEIGHBOURS_H
#define CULVERT_PKTGEN_DPDK_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/fastpath/env.h"
#include "dataplane/pktgen/options.h"

#define NEIGHBOURS_FRAME_MAX 96u /* bytes of any frame that is written here */

struct neighbours {
    uint8_t mac[6];                /* ours */
    uint16_t vlan;                 /* 0, or GATEWAY_TAGGED | VLAN id */
    struct options_address own[2]; /* IPv4, IPv6 */
};

/* Writes the question for an address's MAC address. We have an address of its family. Returns the
 * frame's bytes. */
size_t neighbours_ask(const struct neighbours *neighbours, const struct address *address,
                      uint8_t frame[NEIGHBOURS_FRAME_MAX]);

/* True when a frame tells the MAC address of an address. */
bool neighbours_hear(const struct neighbours *neighbours, struct fp_packet *packet,
                     const struct address *address, uint8_t mac[6]);

/* Writes the answer when a frame asks for an address of ours. Returns its bytes; 0: it doesn't. */
size_t neighbours_answer(const struct neighbours *neighbours, struct fp_packet *packet,
                         uint8_t frame[NEIGHBOURS_FRAME_MAX]);

#endif
