/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three nodes in one process, on the simulator's clock, disks and network: each with its store, its
 * history, and tables that its site engine fills from there.
 */
#ifndef CULVERT_TESTS_HISTORY_RIG_H
#define CULVERT_TESTS_HISTORY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/core/kv/service.h"
#include "controlplane/history/history.h"
#include "tests/sim/sim.h"

#define PEERS 3u

struct peer {
    unsigned place;
    struct kv_memory_disk disk;
    struct kv_store *store;
    struct group *group;
    struct kv_service *service;
    struct history *history;
    void *region;
    struct tables *tables;
    struct site_engine *engine;
    uint64_t revision, generation; /* of the tables */
    unsigned changed;              /* calls of the history's */
    unsigned patched;              /* revisions that were taken over by their patch */
};

struct rig {
    struct sim sim;
    struct history_options options; /* of every history */
    struct peer peer[PEERS];
};

/* Opens and closes all of it; nothing may be under way at the end. */
void rig_open(struct rig *rig, const struct history_options *options);
void rig_close(struct rig *rig);
/* Ends a node that has nothing under way and starts it over its disk. */
void rig_restart(struct rig *rig, unsigned place);
/* Cuts a node off the others, or joins it again. */
void rig_cut(struct rig *rig, unsigned place, bool cut);

/* Lets time go on until `*done`, or for so long. */
void rig_wait(struct rig *rig, const bool *done);
void rig_pass(struct rig *rig, unsigned ms);
/* One that leads and isn't cut off; waits for it. */
struct peer *rig_leader(struct rig *rig);
/* Waits until all that aren't cut off have the latest revision in their stores. */
void rig_level(struct rig *rig);
int64_t rig_wall(struct rig *rig);

/* A change under way: what it was prepared from is kept in it. */
struct edit {
    struct peer *peer;
    struct history_view *view;
    struct site_plan *plan;
    struct history_append append;
    bool done;
    int status;
};
/* Prepares a document at a peer on the latest revision that its store has, which it takes over
 * first. False: it is that already, and nothing is under way. */
bool edit_prepare(struct rig *rig, struct edit *edit, struct peer *peer, const char *text,
                  const struct site_upload *upload);
void edit_start(struct edit *edit);
/* Waits, and commits or aborts. Returns the status. */
int edit_finish(struct rig *rig, struct edit *edit);

/* All of it, which must succeed. */
void rig_apply(struct rig *rig, struct peer *peer, const char *text);
/* Puts a blob and waits. The status. */
int rig_put(struct rig *rig, struct peer *peer, const void *data, size_t length,
            char digest[DIGEST_TEXT]);
/* Bytes to free(). */
uint8_t *rig_random(struct rig *rig, size_t length);
/* A node has a blob, and it is that. */
void rig_check_blob(struct rig *rig, unsigned place, const char *digest, const void *data,
                    size_t length);
/* Takes over the latest revision that a peer's store has. */
void peer_follow(struct rig *rig, struct peer *peer);
/* Every node's tables are the same, byte for byte. */
void rig_check_equal(struct rig *rig);

#endif
