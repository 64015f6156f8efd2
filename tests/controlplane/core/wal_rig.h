/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An environment for tests of the log: a simulated disk and one queue of what is to be called back,
 * in an order of chance. It dies at a chosen call: the disk crashes, or only the node does; every
 * call after that fails.
 */
#ifndef CULVERT_TEST_WAL_RIG_H
#define CULVERT_TEST_WAL_RIG_H

#include "controlplane/core/wal.h"
#include "tests/sim/disk.h"

#define RIG_WAITING 64u

struct rig {
    struct env env;
    struct sim_disk *disk;
    struct sim_random random;
    uint64_t clock;
    uint64_t calls;    /* of the environment so far */
    uint64_t crash_at; /* dies at this call; 0: never */
    bool kill;         /* only the node dies then, not the machine */
    bool dead;
    bool write_failed; /* some write has */
    bool inside;       /* of the environment: not the log's own doing */
    unsigned syncs;    /* writes with sync that were asked for */
    struct env_write *writes[RIG_WAITING];
    struct env_work *works[RIG_WAITING];
    struct env_timer *timers[RIG_WAITING];
    unsigned write_count, work_count, timer_count;
};

/* An empty disk; the same seed gives the same run. */
void rig_open(struct rig *rig, uint64_t seed);
void rig_close(struct rig *rig);
/* Calls one thing back; false: nothing waits. */
bool rig_step(struct rig *rig);
/* Calls back until nothing waits. */
void rig_run(struct rig *rig);
/* After a death: the node starts again on what the disk kept. */
void rig_revive(struct rig *rig);

#endif
