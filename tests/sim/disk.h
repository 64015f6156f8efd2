/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's folder of files in memory, as the environment (controlplane/base/env.h) gives it out,
 * on a disk that forgets: what was written and not synced may be lost, torn at the border of a
 * sector or kept out of order at a crash; names that were removed may come back.
 *
 * The disk is passive. An environment calls it, and decides when a write ends and when it crashes.
 * After a crash old handles stay valid to be closed and fail with CULVERT_EIO otherwise, so that a
 * dead node's memory can be released in the usual way.
 */
#ifndef CULVERT_SIM_DISK_H
#define CULVERT_SIM_DISK_H

#include "controlplane/base/env.h"
#include "tests/sim/random.h"

#define SIM_SECTOR 512u /* bytes that a disk writes whole or not at all */

struct sim_disk;

/* Zeroed: a perfect disk, which loses nothing at a crash. */
struct sim_disk_faults {
    bool lost;           /* a write that was not synced may be gone after a crash */
    bool torn;           /* and sector by sector, not as a whole */
    uint64_t capacity;   /* bytes of all files before CULVERT_ENOSPC; 0: no bound */
    uint64_t fail_after; /* this many operations from now on one fails; 0: none */
    int fail_with;       /* with this */
    bool fail_for_good;  /* and all that follow */
    uint64_t slow_ns;    /* how long a write takes; the environment's to look at */
};

/* NULL: out of memory. */
struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *disk); /* all handles are closed; NULL is allowed */
/* A copy of what reads would give now, all of it durable. NULL: out of memory. */
struct sim_disk *sim_disk_clone(const struct sim_disk *disk);

/* The knobs, to be turned at any time. */
struct sim_disk_faults *sim_disk_faults(struct sim_disk *disk);
/* How many operations there were. */
uint64_t sim_disk_operations(const struct sim_disk *disk);

/* The file operations of struct env_ops. */
int sim_disk_open(struct sim_disk *disk, const char *name, unsigned flags, struct env_file **out);
void sim_disk_close(struct sim_disk *disk, struct env_file *file);
int sim_disk_size(struct sim_disk *disk, struct env_file *file, uint64_t *size);
int64_t sim_disk_read(struct sim_disk *disk, struct env_file *file, uint64_t offset, void *to,
                      size_t length);
int sim_disk_allocate(struct sim_disk *disk, struct env_file *file, uint64_t size);
int sim_disk_truncate(struct sim_disk *disk, struct env_file *file, uint64_t size);
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
int sim_disk_remove(struct sim_disk *disk, const char *name);
int sim_disk_list(struct sim_disk *disk, int (*each)(void *arg, const char *name), void *arg);

/* A write in two steps: begin takes the bytes, which reads see from then on and a crash may keep
 * or lose; end gives the status for write->done, and makes them durable when it has `sync`. The
 * environment ends the writes of one file in the order in which it began them. */
void sim_disk_write_begin(struct sim_disk *disk, const struct env_write *write);
int sim_disk_write_end(struct sim_disk *disk, const struct env_write *write);

/* The power is cut: see the faults. Writes that were begun are not to be ended any more. */
void sim_disk_crash(struct sim_disk *disk, struct sim_random *random);
/* The process is killed, the machine goes on: reads give all that was begun, but what was not
 * synced still is not. */
void sim_disk_kill(struct sim_disk *disk);
/* Flips bits of one byte for good; false: there is no such byte. */
bool sim_disk_rot(struct sim_disk *disk, const char *name, uint64_t offset, uint8_t mask);

#endif
