/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replicated state machine behind a Raft group, as the group sees it. One by one and in the
 * order of the log, committed commands are applied; the state can be written out in chunks for
 * another node while commands go on, and be replaced by such chunks.
 *
 * Same commands, same state and results on every node: nothing here may read a clock, a random
 * number or anything of its node.
 */
#ifndef CULVERT_CORE_MACHINE_H
#define CULVERT_CORE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"

struct machine;
struct machine_dump; /* a state at one index, being read out */

struct machine_ops {
    /* Index of the last command that the state holds, as far as it is durable: after a crash, the
     * ones behind are applied again. 0: the empty state. */
    uint64_t (*durable)(struct machine *machine);
    uint64_t (*applied)(struct machine *machine);

    /* Applies the command of the entry at `index`, which is the one after applied(), or later
     * (entries between were not commands). `result` (NULL: nobody waits) gets the answer for who
     * sent it. An error is the node's (a full disk): the command is not applied. A bad command is
     * none: it is applied as one that changes nothing, and the result says so. */
    int (*apply)(struct machine *machine, uint64_t index, const void *command, size_t length,
                 struct buffer *result);

    /* Makes all that is applied durable, on a thread or at once; `done` on the loop. One at a
     * time. */
    void (*flush)(struct machine *machine, void (*done)(void *arg, int status), void *arg);

    /* Reads the state as of applied() out in chunks of at most `bound` bytes, consistent whatever
     * is applied meanwhile. next: appends to `chunk`; 1: there is more, 0: that was the last. */
    int (*dump_open)(struct machine *machine, struct machine_dump **out, uint64_t *index);
    int (*dump_next)(struct machine_dump *dump, size_t bound, struct buffer *chunk);
    void (*dump_close)(struct machine_dump *dump);

    /* Replaces the state by the one that was dumped at `index`. Until commit the old state is
     * kept; commit makes the new one durable before it returns. CULVERT_EPROTO: not a dump. */
    int (*load_begin)(struct machine *machine, uint64_t index);
    int (*load_chunk)(struct machine *machine, const void *chunk, size_t length);
    int (*load_commit)(struct machine *machine);
    void (*load_abort)(struct machine *machine);
};

/* The first member of every state machine. */
struct machine {
    const struct machine_ops *ops;
};

#endif
