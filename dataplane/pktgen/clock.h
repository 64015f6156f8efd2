/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one clock: of time stamps, rates and reports. */
#ifndef CULVERT_PKTGEN_CLOCK_H
#define CULVERT_PKTGEN_CLOCK_H

#include <time.h>

#include "dataplane/fastpath/base.h"

#define PKTGEN_NS_PER_S 1000000000ull

/* ns, CLOCK_MONOTONIC, as bpf_ktime_get_ns(). The kernel reads the TSC for it without a call. */
static inline fp_u64 pktgen_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (fp_u64)now.tv_sec * PKTGEN_NS_PER_S + (fp_u64)now.tv_nsec;
}

#endif
