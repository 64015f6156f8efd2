/* SPDX-License-Identifier: Apache-2.0 */
/*
 * culvertd's parts put together: the replicated core, tables, site engine, data planes, DNS and API
 * on one loop.
 *
 * Threads: everything runs on the loop's thread but jobs' `work`, which runs on a libuv worker, one
 * job at a time. A worker reads what is stored by a view (controlplane/history). The engine and the
 * tables belong to the loop's thread except while a job that `writes` has its turn; the data
 * planes are held then. DNS only reads the region, whose readers need no lock; records are reused
 * by the next job at the earliest, after the loop's thread has had a turn, so no reader holds one.
 */
#ifndef CULVERT_DAEMON_DAEMON_H
#define CULVERT_DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/daemon/cluster.h"
#include "controlplane/daemon/remote.h"
#include "controlplane/daemon/revision.h"
#include "controlplane/dns/server.h"
#include "controlplane/fronts/http/server.h"
#include "controlplane/planes/planes.h"
#include "controlplane/site/site.h"

#define DAEMON_JOBS_MAX 64u

struct daemon_options {
    const char *state_dir, *run_dir, *alarms_dir;
    struct cluster_addresses addresses;
};

struct daemon;
struct reopen;

/* Something that needs a worker thread. The maker owns it. Its turn lasts until job_end(); `start`
 * and `done` call that, or job_work(), or leave it to a callback that they wait for. */
struct job {
    void (*start)(struct job *job); /* on the loop, at its turn; NULL: job_work() */
    void (*work)(struct job *job);  /* on the worker */
    void (*done)(struct job *job);  /* on the loop, after it */
    bool writes;                    /* uses the engine or the tables */
    struct daemon *daemon;          /* set by daemon_submit() */
    struct job *next;
};

struct daemon {
    struct daemon_options options;
    char host[65];
    uv_loop_t loop;
    struct cluster *cluster; /* NULL: as the history */
    struct history *history; /* the cluster's; NULL: it can't be opened again yet */
    void *region;
    size_t region_size;
    struct tables *tables;
    struct site_engine *engine;
    struct planes *planes;
    struct dns_server *dns;
    struct http_server *http; /* the Unix socket's */
    struct remote remote;
    char api_path[108], channel_path[108];
    uint64_t revision;         /* the committed one; 0: none */
    uint64_t generation;       /* of the tables */
    struct site_counts counts; /* of the committed site */
    char problem[600];         /* the last apply that failed for a reason of ours; "": none */
    int store_error;           /* why nothing can be stored now; 0: it can */
    char store_problem[300];   /* the same as a text */
    bool store_failed;         /* since it was opened */
    struct job *jobs, **jobs_end;
    unsigned job_count;
    bool stopping; /* it is being taken down */
    struct job *running;
    uv_work_t work;
    uv_timer_t tick;     /* marks of moving buckets that end */
    uv_timer_t listen;   /* another try to listen */
    uv_timer_t watchdog; /* systemd's */
    uv_timer_t collect;  /* old revisions and blobs */
    uv_timer_t settle;   /* data planes take in a change before the next one is made */
    uv_timer_t follow;   /* another try to take over what another node has made */
    uv_timer_t expire;   /* a revision that was not confirmed */
    uv_timer_t reopen;   /* another try to open the store */
    uint64_t settle_end; /* loop time, ms */
    bool following, expiring, reopening; /* such a job waits or has its turn */
    struct reopen *due;                  /* the same, to be done outside of the loop */
    bool ending;                         /* a signal came, or: */
    bool removed;                        /* from the site */
    uv_signal_t signals[2];
    unsigned open_parts; /* that the stop waits for */
};

/* ---- start.c ---- */

/* Brings everything up. On an error all is undone, and one line says why on standard error. */
int daemon_start(struct daemon *daemon, const struct daemon_options *options);
/* Runs until SIGTERM or SIGINT, or until the node is removed from its site, then takes everything
 * down. The exit code: 0, or DAEMON_REMOVED. */
#define DAEMON_REMOVED 3
int daemon_run(struct daemon *daemon);

/* ---- job.c ---- */

/* Queues a job. CULVERT_EFULL: 64 wait already. */
int daemon_submit(struct daemon *daemon, struct job *job);
/* The job whose turn it is goes (on) to the worker; its turn is over, and it may be freed. */
void job_work(struct job *job);
void job_end(struct job *job);
/* Whether the engine and the tables are a job's now. */
bool daemon_is_written(const struct daemon *daemon);

/* ---- change.c: an apply, a rollback or their dry run ---- */

struct daemon_change {
    struct job job; /* private */
    /* in; `read` may set all but itself and `ended`, on a worker: 0, or an error that ends it */
    int (*read)(struct daemon_change *change, struct history_view *view);
    void (*ended)(struct daemon_change *change); /* on the loop; may free it */
    struct site_source source;                   /* its texts must stay until the end */
    const char *author, *comment;
    const char *what;             /* for the audit log, */
    struct history_caller caller; /* likewise; its texts stay until the end */
    bool dry_run;
    bool has_condition; /* if_revision was given */
    uint64_t if_revision;
    enum history_pends pends;
    uint64_t confirm_ms; /* it is taken back unless confirmed in that time; 0: no need */
    /* out */
    int error; /* 0; CULVERT_EREJECTED: see errors; CULVERT_ECONFLICT; others: see problem */
    struct site_errors errors;
    char problem[480];
    uint64_t revision; /* the current one, after */
    bool changed;
    int64_t deadline_ms; /* to be confirmed until then; 0: no need */
    char *diff;          /* JSON array, to free() */
    /* private */
    int64_t now;
    struct history_view *view;
    struct history_append append;
    struct site_plan *plan;
    bool was_read, adopts;
    uint64_t latest, adopted;
    unsigned tries;
};

/* Queues it. On an error (as of daemon_submit()) `ended` is not called. */
int daemon_change(struct daemon *daemon, struct daemon_change *change);
void daemon_change_free(struct daemon_change *change);

/* ---- follow.c: what other nodes have made ---- */

/* The latest revision or the pending confirmation may have changed. */
void daemon_follow(struct daemon *daemon);
/* Makes a plan for a revision, on a worker: the one behind the committed one, if it is a patch of
 * that and `*number` is not far off, or else revision `*number`. *number says which. `problem`: a
 * text for the operator. */
int daemon_adopt(struct daemon *daemon, struct history_view *view, uint64_t *number,
                 struct site_plan **plan, char *problem, size_t size);

/* ---- keep.c: what is done now and then ---- */

/* The store has failed: it is opened again as soon as that goes. */
void daemon_store_failed(struct daemon *daemon, int error, const char *problem);
int daemon_open_cluster(struct daemon *daemon);
/* Closes the cluster and opens it as what is now on the disk: another site, or members. `done` is
 * called on the loop. CULVERT_EFULL, CULVERT_ENOMEM: it isn't. */
int daemon_reopen(struct daemon *daemon, void (*done)(void *arg, int status), void *arg);
/* Does that, when its turn has come and the loop was stopped for it. */
void daemon_reopen_due(struct daemon *daemon);
/* Whether something new can be stored: 0, or the error and in `problem` its text. A disk that is
 * nearly full takes no more: what the core has under way must never find it full. */
int daemon_may_store(const struct daemon *daemon, char *problem, size_t size);
void daemon_collect_start(struct daemon *daemon);

/* ---- commit.c ---- */

/* Commits a plan as a revision, and streams it. */
void daemon_commit(struct daemon *daemon, struct site_plan *plan, uint64_t revision,
                   const char *author);
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
