/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by this folder's files only. */
#ifndef CULVERT_PLANES_INTERNAL_H
#define CULVERT_PLANES_INTERNAL_H

#include "controlplane/planes/planes.h"

#define PLANES_ASKS_MAX 16u
#define PLANES_COUNTERS                                                                            \
    (FP_COUNT_REASONS + FP_COUNT_VIPS + FP_COUNT_BACKENDS + FP_COUNT_ZONES + FP_COUNT_LIMITS)
#define PLANE_WRITE_BYTES 65536u

/* A data plane: a connection, or what is remembered of one. */
struct plane {
    struct planes *planes;
    struct plane *next;        /* the newest first */
    struct channel_sync *sync; /* NULL: remembered only */
    uv_pipe_t pipe;
    uv_timer_t retry; /* closes a connection whose transaction failed */
    unsigned handles;
    bool closing, reading, writing, greeted;
    uv_write_t write;
    char name[32];
    uint32_t pid;
    uint64_t generation;
    char error[256]; /* "": none */
    char *state;
    struct fp_counter *counters; /* last whole reading, [PLANES_COUNTERS]; NULL: none */
    struct fp_counter *fresh;    /* the reading under way */
    uint32_t stats_cookie;       /* awaited; 0: none */
    uint64_t silent_since;       /* loop time of the question it left unanswered; 0: it answers */
    char out[PLANE_WRITE_BYTES];
};

struct stats_ask {
    planes_stats_fn done;
    void *arg;
};

struct explain_ask {
    struct plane *plane; /* NULL: free */
    uint32_t cookie;
    uint64_t deadline; /* loop time, ms */
    planes_explain_fn done;
    void *arg;
};

struct planes {
    uv_loop_t *loop;
    uv_pipe_t listener;
    uv_timer_t timer; /* ends questions that wait too long */
    unsigned handles;
    struct tables *tables;
    struct plane *list;
    unsigned connected;
    bool held, closing;
    uint32_t cookie;
    uint64_t stats_time_ns;  /* of the last reading; 0: none */
    uint64_t stats_deadline; /* of the reading under way; 0: none */
    bool stats_held;         /* it was held meanwhile: silence says nothing */
    struct stats_ask stats_asks[PLANES_ASKS_MAX];
    unsigned stats_ask_count;
    struct explain_ask explain_asks[PLANES_ASKS_MAX];
    void (*closed)(void *arg);
    void *closed_arg;
};

/* The newest connection of each name counts; older ones are on their way out. */
bool plane_is_current(const struct plane *plane);

/* Sends what the state machine has, as far as the socket takes it. */
void plane_pump(struct plane *plane);
void plane_close(struct plane *plane, const char *why);

/* Hooks of the state machine, and: a connection is gone. */
void plane_on_stats(void *arg, uint32_t cookie, const struct channel_stat *stats, size_t count,
                    bool more);
void plane_on_explained(void *arg, uint32_t cookie, const char *json, size_t length);
void planes_ask_plane_gone(struct planes *planes, struct plane *plane);

#endif
