/* SPDX-License-Identifier: Apache-2.0 */
/* A log that is full, now and then: what waits for the disk is at its bound. By the linker's
 * --wrap in front of the log's functions. */
#include "controlplane/base/error.h"
#include "controlplane/core/wal.h"
#include "tests/sim/sim.h"

int __real_wal_append(struct wal *wal, uint64_t group, uint64_t index,
                      const struct wal_entry *entries, size_t count);
int __wrap_wal_append(struct wal *wal, uint64_t group, uint64_t index,
                      const struct wal_entry *entries, size_t count);
int __real_wal_snapshot(struct wal *wal, uint64_t group, uint64_t index, uint64_t term,
                        uint64_t trailing, const void *meta, size_t length);
int __wrap_wal_snapshot(struct wal *wal, uint64_t group, uint64_t index, uint64_t term,
                        uint64_t trailing, const void *meta, size_t length);
int __real_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote);
int __wrap_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote);

static bool full(void)
{
    struct sim *sim = sim_current;

    return sim && sim->full_log && !sim->starting &&
           sim_random_below(&sim->random, 1000) < sim->full_log;
}

int __wrap_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote)
{
    if (full())
        return CULVERT_EFULL;
    return __real_wal_set_term(wal, group, term, sim_bug == SIM_BUG_NO_VOTE ? 0 : vote);
}

int __wrap_wal_append(struct wal *wal, uint64_t group, uint64_t index,
                      const struct wal_entry *entries, size_t count)
{
    return full() ? CULVERT_EFULL : __real_wal_append(wal, group, index, entries, count);
}

int __wrap_wal_snapshot(struct wal *wal, uint64_t group, uint64_t index, uint64_t term,
                        uint64_t trailing, const void *meta, size_t length)
{
    return full() ? CULVERT_EFULL
                  : __real_wal_snapshot(wal, group, index, term, trailing, meta, length);
}
