/* SPDX-License-Identifier: Apache-2.0 */
/* A seeded bug that stands in the way of a call, by the linker's --wrap. */
#include "controlplane/core/wal.h"
#include "tests/sim/sim.h"

#define SYNCS 4096u

void __real_wal_sync(struct wal *wal, struct wal_sync *sync);
void __wrap_wal_sync(struct wal *wal, struct wal_sync *sync);

static void nobody(struct wal_sync *sync, int status)
{
}

/* Says that it is on the disk before it is. */
void __wrap_wal_sync(struct wal *wal, struct wal_sync *sync)
{
    static struct wal_sync syncs[SYNCS];
    static unsigned next;
    struct wal_sync *other = &syncs[next++ % SYNCS];

    if (sim_bug != SIM_BUG_EARLY_SYNC) {
        __real_wal_sync(wal, sync);
        return;
    }
    *other = (struct wal_sync){.done = nobody};
    __real_wal_sync(wal, other);
    sync->done(sync, 0);
}
