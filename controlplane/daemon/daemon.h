/* SPDX-License-Identifier: Apache-2.0 */
/*
 * culvertd's parts put together: store, tables, site engine, data planes, DNS and API on one loop.
 *
 * Threads: everything runs on the loop's thread but jobs' `work`, which runs on a libuv worker, one
 * job at a time. The store belongs to jobs. The engine and the tables belong to the loop's thread
 * except while a job that `writes` is at work; the data planes are held then. DNS only reads the
 * region, whose readers need no lock; records are reused by the next job at the earliest, after
 * the loop's thread has had a turn, so no reader holds one.
 */
#ifndef CULVERT_DAEMON_DAEMON_H
#define CULVERT_DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/core/store.h"
#include "controlplane/dns/server.h"
#include "controlplane/fronts/http/server.h"
#include "controlplane/planes/planes.h"
#include "controlplane/site/site.h"

#define DAEMON_JOBS_MAX 64u

struct daemon_options {
    const char *state_dir, *run_dir;
    bool fall_back; /* set a damaged latest revision aside */
};

/* Something for a worker thread. The maker owns it. */
struct job {
    void (*work)(struct job *job); /* on the worker */
    void (*done)(struct job *job); /* on the loop; may free the job */
    bool writes;                   /* uses the engine or the tables */
    struct job *next;
};

struct daemon {
    struct daemon_options options;
    char host[65];
    uv_loop_t loop;
    struct store *store;
    void *region;
    size_t region_size;
    struct tables *tables;
    struct site_engine *engine;
    struct planes *planes;
    struct dns_server *dns;
    struct http_server *http;
    char api_path[108], channel_path[108];
    uint64_t revision;         /* the committed one; 0: none */
    uint64_t generation;       /* of the tables */
    struct site_counts counts; /* of the committed site */
    char problem[300];         /* the last apply that failed for a reason of ours; "": none */
    struct job *jobs, **jobs_end;
    unsigned job_count;
    bool job_running, stopping;
    struct job *running;
    uv_work_t work;
    uv_timer_t tick;     /* marks of moving buckets that end */
    uv_timer_t listen;   /* another try to listen */
    uv_timer_t watchdog; /* systemd's */
    uv_timer_t collect;  /* old revisions and blobs */
    uv_timer_t settle;   /* data planes take in a change before the next one is made */
    uint64_t settle_end; /* loop time, ms */
    uv_signal_t signals[2];
    unsigned open_parts; /* that the stop waits for */
};

/* ---- start.c ---- */

/* Brings everything up. On an error all is undone, and one line says why on standard error. */
int daemon_start(struct daemon *daemon, const struct daemon_options *options);
/* Runs until SIGTERM or SIGINT, then takes everything down. */
void daemon_run(struct daemon *daemon);

/* ---- job.c ---- */

/* Queues a job. CULVERT_EFULL: 64 wait already. */
int daemon_submit(struct daemon *daemon, struct job *job);
/* Whether the engine and the tables are a worker's now. */
bool daemon_is_written(const struct daemon *daemon);

/* ---- change.c: an apply, a rollback or their dry run ---- */

struct daemon_change {
    /* in; must stay until finished */
    struct site_source source;
    const char *author, *comment;
    int64_t now; /* wall clock, ms */
    bool dry_run;
    bool has_condition; /* if_revision was given */
    uint64_t if_revision;
    /* out */
    int error; /* 0; CULVERT_EREJECTED: see errors; CULVERT_ECONFLICT; others: see problem */
    struct site_errors errors;
    char problem[256];
    uint64_t revision; /* the current one, after */
    bool changed;
    char *diff; /* JSON array, to free() */
    /* private */
    struct site_plan *plan;
};

/* The worker's part: prepares and stores. Then the loop's part must follow. */
void daemon_change_work(struct daemon *daemon, struct daemon_change *change);
/* The loop's part: commits and streams to the data planes. */
void daemon_change_finish(struct daemon *daemon, struct daemon_change *change);
void daemon_change_free(struct daemon_change *change);

/* Marks of moving buckets, and listeners, after a commit. */
void daemon_after_commit(struct daemon *daemon);

int64_t daemon_clock_ms(void); /* wall clock */

/* ---- settings.c ---- */

/* Writes what the site says of how culvert-dpdk starts where that finds it (SETTINGS_FILE in the
 * run directory). An error is logged: the file before it stays. */
void daemon_publish_settings(struct daemon *daemon);

/* ---- notify.c ---- */

void daemon_notify(const char *state); /* sd_notify(3) */
int daemon_watchdog_start(struct daemon *daemon);

#endif
