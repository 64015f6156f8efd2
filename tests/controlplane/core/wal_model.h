/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trivial model of the log: what a list of changes makes of a few groups. Every change is one
 * record of the log; the digest of the state after each is kept, so that what a log holds can be
 * found among them. Entries that a snapshot has don't count: a log may forget them.
 */
#ifndef CULVERT_TEST_WAL_MODEL_H
#define CULVERT_TEST_WAL_MODEL_H

#include "controlplane/core/wal.h"
#include "tests/sim/random.h"

#define MODEL_GROUPS 5u
#define MODEL_ENTRIES 4096u
#define MODEL_CHANGES 8192u

struct model_entry {
    uint64_t term, seed; /* seed: of its data and length */
};

struct model_group {
    bool known;
    uint64_t term, vote, last, snapshot_index, snapshot_term, meta_seed;
    struct model_entry entries[MODEL_ENTRIES]; /* by index */
};

/* One change: what a record of the log says. */
struct model_step {
    uint8_t kind; /* of enum wal_kind */
    uint64_t group, index, term, vote, seed;
};

struct model {
    struct model_group groups[MODEL_GROUPS];
    struct model_step steps[MODEL_CHANGES];
    uint64_t digests[MODEL_CHANGES]; /* after so many changes */
    uint64_t count;                  /* of changes */
    uint64_t acknowledged;           /* changes that a sync has covered */
    uint64_t longest;                /* bytes of an entry */
};

/* No change yet; entries of up to 700 bytes (`longest`). */
void model_init(struct model *model);
/* Does one thing by chance to the log and, if the log takes it, to the model: the log's error. */
int model_change(struct model *model, struct wal *wal, struct sim_random *random);
/* Asks for a sync; the changes so far are acknowledged when it is done. Waits for nothing. */
struct model_sync {
    struct wal_sync sync;
    struct model *model;
    uint64_t count;
    int status;
    bool done;
};
void model_sync(struct model *model, struct wal *wal, struct model_sync *sync);
/* The number of changes after which the model was as the log is, at least `from`; -1: never. */
int64_t model_find(const struct model *model, struct wal *wal, uint64_t from);
/* The model goes back to where it was after so many changes. */
void model_rewind(struct model *model, uint64_t count);

#endif
