/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/clock.h"
#include "dataplane/pktgen/engine.h"

void sums_add_counters(struct engine_sums *sums, const struct pktgen_counters *one)
{
    struct pktgen_counters *sum = &sums->counters;
    uint64_t low = sum->rtt_min, high = sum->rtt_max;
    const fp_u64 *from = (const fp_u64 *)one;
    fp_u64 *to = (fp_u64 *)sum;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
    sum->rtt_min = !low || (one->rtt_min && one->rtt_min < low) ? one->rtt_min : low;
    sum->rtt_max = one->rtt_max > high ? one->rtt_max : high;
}

void sums_add_sender(struct engine_sums *sums, const struct pktgen_sender *one)
{
    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++)
        sums->made[kind] += one->sent[kind];
}

void sums_finish(struct engine_sums *sums)
{
    sums->time = pktgen_clock();
    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++)
        sums->sent += sums->made[kind];
    sums->sent -= sums->counters.refused < sums->sent ? sums->counters.refused : sums->sent;
}
