/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deterministic simulator: a whole cluster, its disks, network, clocks and clients in one
 * thread, one seed a history. Everything that happens is an event of one queue; chance comes from
 * the seed alone. What happens is traced; the hash of the trace is the same whenever a seed is run.
 *
 * An episode: nodes and groups start, clients work while faults come and go, then everything is
 * healed, and must work again within bounded time. Checked all along: one leader a term, the same
 * commands and states at the same indexes; at the end: every key's history is linearizable.
 */
#ifndef CULVERT_SIM_H
#define CULVERT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/core/node.h"
#include "tests/sim/disk.h"
#include "tests/sim/random.h"

#define SIM_SLOTS 7u /* machines */
#define SIM_GROUPS 16u
#define SIM_KEYS 4u /* of a group */
#define SIM_CLIENTS 8u
#define SIM_OPS 8192u
#define SIM_INDEXES 65536u
#define SIM_TERMS 4096u
#define SIM_MS 1000000ull /* ns */

struct sim;

/* Faults of the program itself, for tests of the checks: culvert-sim-broken has them. */
/* Which episodes: registers, every fourth one the store (tests/sim/store.h); or only those. */
extern bool sim_store_only;

enum sim_bug { SIM_BUG_NONE, SIM_BUG_EARLY_SYNC, SIM_BUG_STALE_READ, SIM_BUG_NO_VOTE };
extern enum sim_bug sim_bug;

/* ---- world.c: the queue of events, the trace ---- */

struct sim_event {
    uint64_t at, order;
    void (*fn)(void *arg); /* NULL: was taken back */
    void *arg;
};

struct sim_queue {
    struct sim_event **heap;
    size_t count, capacity;
    uint64_t order;
};

/* The event is the queue's, until it has happened. */
struct sim_event *sim_at(struct sim *sim, uint64_t at, void (*fn)(void *arg), void *arg);
bool sim_next(struct sim *sim); /* false: nothing is left */
void sim_queue_free(struct sim *sim);
/* `slot` negative: the world. */
void sim_trace(struct sim *sim, int slot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the episode; the first one is what is reported. */
void sim_finding(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t sim_hash(uint64_t hash, const void *bytes, size_t length); /* FNV-1a */

/* ---- env.c, net.c: a node's environment, one for each of its lives ---- */

struct sim_env;
/* What comes in is given to whom env_ops.events() has named. */
struct env *sim_env_new(struct sim *sim, unsigned slot);
void sim_env_kill(struct env *env); /* nothing happens in it any more */
void sim_env_free(struct env *env);
void sim_env_deliver(struct env *env, uint64_t from, const uint8_t *bytes, size_t length);
void sim_env_connected(struct env *env, uint64_t other, bool up);
void sim_env_writable(struct env *env, uint64_t other);

struct sim_link {
    bool cut;
    uint64_t connection, last_at;
    size_t queued;
    bool was_full;
};

/* What env_send() does, and a connection that is replaced by a new one. */
int sim_send(struct sim *sim, unsigned from, uint64_t to, const struct iovec *parts,
             unsigned count);
void sim_reset_link(struct sim *sim, unsigned a, unsigned b);

/* ---- machine.c: registers, durable only by flush ---- */

struct sim_state {
    uint64_t index, digest;
    uint64_t values[SIM_KEYS];
};

enum sim_kind { SIM_GET, SIM_PUT, SIM_CAS, SIM_APPEND };

struct sim_command {
    uint64_t id;
    uint8_t kind, key;
    uint64_t value, expected;
};

/* `disk` is what survives a crash. */
struct machine *sim_machine_new(struct sim *sim, unsigned slot, unsigned group, struct env *env,
                                struct sim_state *disk);
void sim_machine_free(struct machine *machine);
uint64_t sim_machine_get(struct machine *machine, unsigned key);
/* What a command makes of a value; the result is the value before. */
uint64_t sim_command_apply(const struct sim_command *command, uint64_t before);

/* ---- cluster.c ---- */

/* Another machine than machine.c's, of one group, and what a node has over it. */
struct sim_nodes {
    struct machine *(*open)(struct sim *sim, unsigned slot, struct env *env);
    void (*serve)(struct sim *sim, unsigned slot); /* the group is open */
    void (*close)(struct sim *sim, unsigned slot); /* the node is closed */
    void (*wipe)(struct sim *sim, unsigned slot);  /* the machine was rebuilt */
};

struct sim_slot {
    struct sim *sim;
    struct sim_disk *disk;
    struct sim_state durable[SIM_GROUPS];
    struct env *env; /* NULL: down */
    struct node *node;
    struct machine *machines[SIM_GROUPS];
    uint64_t id;
    char address[16];
    unsigned lives; /* rebuilt so many times */
    bool rotten;    /* damage was done to its log */
    bool filled;    /* its disk was full since it started: what failed then may be told later */
    bool failed;
    bool stopping;
    unsigned crash_at;   /* crashes at that many writes from now; 0: no */
    int64_t wall_offset; /* ms */
    uint64_t slow_ns;
};

/* All machines at their start, then one by one. */
void sim_cluster_new(struct sim *sim);
void sim_cluster_free(struct sim *sim);
void sim_start(struct sim *sim, unsigned i);
void sim_crash(struct sim *sim, unsigned i);
void sim_stop(struct sim *sim, unsigned i);                       /* in good order */
void sim_start_in(struct sim *sim, unsigned slot, uint64_t wait); /* unless the episode is over */
uint64_t sim_outage(struct sim *sim);           /* how long a machine stays down */
void sim_wrote(struct sim *sim, unsigned slot); /* a write to its disk has begun */
int sim_slot_of(const struct sim *sim, uint64_t id);
/* The slot that leads a group, by the highest term; negative: none. */
int sim_leader(const struct sim *sim, unsigned group);
void sim_check_leaders(struct sim *sim, unsigned i);

/* ---- clients.c, linear.c ---- */

enum sim_read { SIM_READ_ONE, SIM_READ_ALL, SIM_READ_BARRIER, SIM_READ_LOCAL, SIM_READS_KINDS };

struct sim_op {
    struct sim *sim;
    unsigned client, group;
    struct sim_command command;
    uint64_t call, back; /* in the order of things; back 0: never known */
    uint64_t result;
    bool ended, dropped; /* dropped: it certainly did not happen */
    struct env *env;     /* where it was sent */
    int slot;
    uint64_t floor;     /* the store's revision that was known then */
    enum sim_read read; /* of the store */
};

/* Each client begins soon. */
void sim_clients_start(struct sim *sim);
void sim_op_ended(struct sim_op *op, int status);
/* An operation at a slot; false: it was refused at once. */
bool sim_operate(struct sim *sim, unsigned client, int slot, unsigned group,
                 const struct sim_command *command);
/* True: linearizable, or too hard to tell (`*undecided`). */
bool sim_linearizable(struct sim_op *const *ops, size_t count, bool *undecided);
void sim_check_history(struct sim *sim);

/* ---- faults.c ---- */

/* Chooses the seed's faults; ends them. */
void sim_faults_start(struct sim *sim);
void sim_heal(struct sim *sim);
bool sim_administer(struct sim *sim); /* one step to a healthy membership; false: it is one */

/* ---- the world ---- */

struct sim {
    uint64_t seed, now, events, trace_hash;
    struct sim_random random;
    struct sim_queue queue;
    bool verbose, healing, over;
    bool starting;     /* a node is being opened */
    unsigned full_log; /* of a thousand calls of a log so many find it full */
    bool tolerant;     /* a node may fail: it is fed lies */
    char finding[512];

    unsigned slots, groups, voters;
    struct sim_slot slot[SIM_SLOTS];
    struct sim_link link[SIM_SLOTS][SIM_SLOTS];
    uint64_t apply_ns;             /* that a command takes, during which nothing else goes on */
    uint64_t delay_min, delay_max; /* ns of a message */
    unsigned loss, duplicate;      /* in a thousand */
    struct env *graves[4096];      /* environments of former lives */
    unsigned graves_count;
    struct sim_disk *old_disks[256];
    unsigned old_disks_count;

    /* Who led a term; what was applied at an index, and what came of it. */
    uint64_t leader_of[SIM_GROUPS][SIM_TERMS];
    uint64_t *command_at[SIM_GROUPS], *state_at[SIM_GROUPS];

    struct group_options options;
    unsigned faults; /* which ones, as bits */
    uint64_t pace;   /* ns between two of them, at most */

    struct sim_op *ops;
    struct client *client;
    unsigned ops_count, clients;
    const struct sim_nodes *nodes; /* NULL: machine.c */
    struct sim_store *store;       /* NULL: registers */
    uint64_t order;                /* of calls and returns */
    bool clients_stop;
    unsigned undecided;

    uint64_t dead_id;   /* of a node that was rebuilt, still a member of something */
    unsigned counts[8]; /* crashes, rebuilds, snapshots loaded, changes, acknowledged, unknown */
};

enum { SIM_CRASHES, SIM_REBUILDS, SIM_LOADS, SIM_CHANGES, SIM_ACKED, SIM_UNKNOWN, SIM_READS };

extern struct sim *sim_current; /* the one that runs */

/* Runs a seed; true: no finding. */
bool sim_run(struct sim *sim, uint64_t seed, bool verbose);

#endif
