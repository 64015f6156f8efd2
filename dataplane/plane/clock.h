/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path's clock (fp_env.now), for those that run it in user space. */
#ifndef CULVERT_PLANE_CLOCK_H
#define CULVERT_PLANE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "dataplane/fastpath/region.h"

/* In 1/256 ns, of the clock that bpf_ktime_get_ns() reads. */
static inline uint64_t plane_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) << FP_TIME_SHIFT;
}

#endif
