/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where sending and receiving have their data: maps for eBPF, memory elsewhere. Both supply:
 *
 *   pktgen_settings          struct pktgen_config, as it may be read
 *   store_settings()
 *   store_template(), store_schedule(), store_query(), store_stamp()   by number; NULL: none
 *   store_target()           the kinds of traffic that go to an address and port
 *   store_backend()          the sums of an address, made when it is new; NULL: no room
 *   store_now()              ns, CLOCK_MONOTONIC
 *   store_copy_template()    a template's bytes to the start of a frame
 */
#ifndef CULVERT_PKTGEN_STORE_H
#define CULVERT_PKTGEN_STORE_H

#include "dataplane/fastpath/base.h"

#ifdef FP_BPF
#include "dataplane/pktgen/xdp/maps.h"
#else
#include "dataplane/pktgen/host.h"
#endif

#endif
