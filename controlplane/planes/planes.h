/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data planes: the server side of the channel (dataplane/tables/channel_sync.h) on the
 * caller's libuv loop. A data plane that is slow, stuck or hostile costs its own connection only.
 *
 * Bounds: 16 connections; 64 KiB being written to each; 16 questions under way; 16 data planes
 * remembered after they went.
 */
#ifndef CULVERT_PLANES_PLANES_H
#define CULVERT_PLANES_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "dataplane/tables/channel_sync.h"

#define PLANES_MAX 16u

struct planes;

struct planes_options {
    int fd;                /* listening, non-blocking; owned by the object from a successful new */
    struct tables *tables; /* outlives the object */
};

/* Returns 0, CULVERT_ENOMEM or CULVERT_ESYSTEM. */
int planes_new(struct planes **out, uv_loop_t *loop, const struct planes_options *options);

/* Closes everything, frees the object and then calls `closed` (or NULL). Questions under way are
 * answered with CULVERT_ENOTFOUND. */
void planes_close(struct planes *planes, void (*closed)(void *arg), void *arg);

/* The tables committed a transaction: call before the next one begins. */
void planes_update(struct planes *planes);

/* While held, the tables are not read and nothing is sent: another thread writes them. */
void planes_hold(struct planes *planes, bool hold);

/* Whether every connected data plane has all that was committed (or refused it). */
bool planes_settled(const struct planes *planes);

/* One data plane, connected or remembered. Strings are valid until the loop goes on. */
struct plane_info {
    const char *name;
    uint32_t pid;
    bool connected;      /* and has said hello */
    bool in_sync;        /* has all that the tables committed */
    uint64_t generation; /* of ours that it last acknowledged */
    uint64_t silent_ms;  /* since a question about its counters that it left unanswered for a
                            second, and nothing was heard since; 0: it answers */
    const char *error;   /* of its last transaction; NULL: none */
    const char *state;   /* JSON as it was sent; NULL: none yet */
};
void planes_each(struct planes *planes, void (*each)(void *arg, const struct plane_info *info),
                 void *arg);

/* The sum over data planes of one counter of the last reading. */
struct fp_counter planes_counter(struct planes *planes, enum channel_stat_kind kind,
                                 unsigned number);

/* Reads the counters of all data planes, unless they were read in the last 200 ms, and calls
 * `done` (perhaps at once). A data plane that doesn't answer within a second counts with its last
 * reading. CULVERT_EFULL: too many ask. */
typedef void (*planes_stats_fn)(void *arg, uint64_t time_ns);
int planes_ask_stats(struct planes *planes, planes_stats_fn done, void *arg);

/* Asks the data plane of that name (NULL: any) what would become of a frame. `done` gets 0 and
 * its JSON, or an error: CULVERT_ETIMEOUT, CULVERT_ENOTFOUND (it went). Returns CULVERT_ENOTFOUND:
 * it is not connected, CULVERT_EFULL: too many ask; then `done` is not called. */
typedef void (*planes_explain_fn)(void *arg, int error, const char *json, size_t length);
int planes_ask_explain(struct planes *planes, const char *name, uint32_t ifindex, const void *frame,
                       size_t length, planes_explain_fn done, void *arg);

#endif
