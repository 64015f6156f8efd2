/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path's clock (fp_env.now), for those that run it in user space. */
#ifndef CULVERT_PLANE_CLOCK_H
#define CULVERT_PLANE_CLOCK_H

#include <time.h>

#include "dataplane/fastpath/region.h"

/* In 1/256 ns, of the clock that bpf_ktime_get_ns() reads. */
static inline fp_u64 plane_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((fp_u64)now.tv_sec * 1000000000u + (fp_u64)now.tv_nsec) << FP_TIME_SHIFT;
}

#endif
