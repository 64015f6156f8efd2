/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Episodes of the key-value store: each node has a store on an engine in memory, whose flushed part
 * outlives a crash, the service over its group, and watches. Clients ask any node.
 *
 * Whatever a node applies first at a revision is the history, which each node must have the same,
 * and which every answer and every watcher is compared with: no write is lost or done twice, none
 * is done that was refused, a lease does not end before its time.
 */
#ifndef CULVERT_SIM_STORE_H
#define CULVERT_SIM_STORE_H

#include "controlplane/core/kv/service.h"
#include "controlplane/core/kv/watch.h"
#include "tests/sim/sim.h"

#define STORE_REVISIONS 32768u
#define STORE_CHANGES 4u /* of one revision, at most */
#define STORE_VALUES 65536u
#define STORE_LEASES 4096u
#define STORE_HOLDERS 3u
#define STORE_WATCHERS 4u
/* Names are 'k' and a digit: registers of the clients, then two keys of each lease's holder. */
#define STORE_KEYS (SIM_KEYS + 2 * STORE_HOLDERS)

struct sim_change {
    uint64_t value; /* 0: deleted; each value is written once */
    uint8_t key;
};

struct sim_revision {
    uint64_t chain;
    unsigned count; /* 0: not there yet */
    struct sim_change changes[STORE_CHANGES];
};

/* What its holder knows of a lease. */
struct sim_lease {
    uint64_t ttl;   /* seconds */
    uint64_t until; /* it must be there as long */
    uint64_t gone;  /* when it ended; 0: it did not */
    bool revoked;   /* the holder has asked for that */
};

/* A node from its start to its end; the store may yet end a flush after that. */
struct sim_life {
    struct sim *sim;
    unsigned slot;
    struct env *env;
    struct kv_memory_disk disk;
    struct kv_store *store;
    struct kv_service *service;
    struct kv_watch_hub *hub;
    struct kv_observer observer;
    struct env_timer pump;
    struct sim_life *next; /* among those that have ended */
};

struct sim_holder {
    struct sim *sim;
    unsigned number;
    uint32_t lease; /* 0: none */
    bool put, asking;
    struct env *env; /* who was asked, and when */
    uint64_t asked, floor;
    int slot;
};

struct sim_watcher {
    struct sim *sim;
    unsigned number;
    struct sim_life *life;
    struct kv_watch *watch; /* NULL: none, or it has ended */
    uint64_t next;          /* revision; of which so many changes were seen: */
    unsigned taken;
    bool full;
};

struct sim_store {
    struct kv_service_options options;
    struct kv_memory_disk rest[SIM_SLOTS]; /* disks of nodes that are down */
    struct sim_life *life[SIM_SLOTS];      /* NULL: down */
    struct sim_life *ended;
    struct sim_revision *revisions;
    uint64_t newest;   /* of them */
    uint64_t acked;    /* the newest one that a client knows */
    uint64_t *written; /* by value: the revision */
    uint64_t values;
    struct sim_lease leases[STORE_LEASES]; /* by id */
    uint32_t leases_count;
    struct sim_holder holders[STORE_HOLDERS];
    struct sim_watcher watchers[STORE_WATCHERS];
};

/* ---- store.c ---- */

/* The state of an episode, before its cluster; freed after that, and the last event. */
void sim_store_new(struct sim *sim);
void sim_store_start(struct sim *sim); /* holders of leases, and watchers */
void sim_store_free(struct sim *sim);
/* There is no room for what the store writes, until the node starts anew or all is healed. */
void sim_store_full(struct sim *sim, unsigned slot);
void sim_store_heal(struct sim *sim);
/* What a key was at a revision, 0: not there. */
uint64_t sim_store_value(const struct sim_store *store, unsigned key, uint64_t revision);
/* A slot to ask; negative: none that is up. */
int sim_store_pick(struct sim *sim);
/* Whether all members have the same, all leases are gone and all watchers have seen all. */
bool sim_store_level(struct sim *sim, int leader, char why[128]);

/* ---- store_clients.c ---- */

/* Asks the operation's slot; false: it was refused at once. */
bool sim_store_operate(struct sim *sim, struct sim_op *op);
/* No operation that was refused is in the history. */
void sim_store_check(struct sim *sim);
/* A value's bytes, and what they say. */
uint64_t sim_store_number(struct kv_slice bytes);
/* "k0" and so on. */
struct kv_slice sim_store_key(unsigned key);
/* Remembers what an answer says of revisions: they only grow. */
void sim_store_seen(struct sim *sim, int slot, uint64_t floor, uint64_t revision);

/* ---- store_leases.c ---- */

/* Each holder begins soon; a node says that a lease has ended. */
void sim_store_leases_start(struct sim *sim);
void sim_store_lease_gone(struct sim *sim, uint32_t id);
/* Every question has its answer in time. */
void sim_store_leases_check(struct sim *sim);

/* ---- store_watch.c ---- */

/* Each watcher begins soon; those of a node that has ended go on elsewhere. */
void sim_store_watch_start(struct sim *sim);
void sim_store_watch_lost(struct sim *sim, const struct sim_life *life);
/* Whether all have seen all; if not, why. */
bool sim_store_watch_level(struct sim *sim, char why[128]);

#endif
