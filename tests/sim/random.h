/* SPDX-License-Identifier: Apache-2.0 */
/* The one source of chance of a simulated run: same seed, same run. SplitMix64 (Steele, Lea and
 * Flood, "Fast splittable pseudorandom number generators", 2014). */
#ifndef CULVERT_SIM_RANDOM_H
#define CULVERT_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state; /* the seed, at first */
};

static inline uint64_t sim_random(struct sim_random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* One of 0 .. bound - 1; bound is not 0. */
static inline uint64_t sim_random_below(struct sim_random *random, uint64_t bound)
{
    return sim_random(random) % bound;
}

/* True `percent` times of a hundred. */
static inline bool sim_random_percent(struct sim_random *random, unsigned percent)
{
    return sim_random_below(random, 100) < percent;
}

#endif
