/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the service: requests on their way (service.c, service_request.c), what nodes say
 * to each other about them (service_peer.c), and what the leader does of its own (service_duty.c).
 */
#ifndef CULVERT_CORE_KV_SERVICE_INTERNAL_H
#define CULVERT_CORE_KV_SERVICE_INTERNAL_H

#include "controlplane/core/group.h"
#include "controlplane/core/kv/lessor.h"
#include "controlplane/core/kv/service.h"

#define SERVICE_NS_PER_MS 1000000ull
#define SERVICE_TICK_MS 20u  /* while requests are under way */
#define SERVICE_IDLE_MS 100u /* otherwise */

enum request_kind {
    REQUEST_PROPOSE = 1,
    REQUEST_KEEP,
    REQUEST_TIME,
    REQUEST_READ,
    REQUEST_BARRIER,
    REQUEST_LOCAL
};

enum request_state {
    REQUEST_WAITING, /* for a leader */
    REQUEST_HERE,    /* the group has it */
    REQUEST_AWAY,    /* with the node `node` */
};

/* Something that was asked of this node. Ends by one answer, in request_end(). */
struct request {
    struct request *next, *prev; /* in the order of their deadlines */
    struct request *chain;       /* of the table by id */
    struct kv_service *service;
    enum request_kind kind;
    enum request_state state;
    bool answered; /* too late for the group's answer, which is yet to come */
    uint64_t id, node, deadline;
    union {
        kv_answer answer;
        kv_lease_answer lease_answer;
        void (*done)(void *arg, int status);
    };
    void *arg;
    int64_t lease;
    struct buffer result; /* another node's, until this one has applied it too */
    size_t length;        /* of the encoded command */
    uint8_t command[];
};

/* Who has asked: a node, its service's life, the request's id. */
struct asker {
    uint64_t node, life, id;
};
#define SERVICE_ASKERS 64u

/* Another node's request that this one, as the leader, sees to. */
struct guest {
    struct guest *next, *prev;
    struct kv_service *service;
    enum request_kind kind;
    struct asker asker;
    int64_t lease;
};

struct kv_service {
    struct env *env;
    struct group *group;
    struct kv_store *store;
    struct kv_service_options options;
    struct request *first, *last;
    struct request **table;
    size_t table_size;             /* a power of two */
    size_t requests, bytes, local; /* local: reads of the state as it is */
    struct guest *guests;
    size_t guest_count;
    uint64_t life, next_id;              /* life: a random number, of this service's requests */
    struct asker askers[SERVICE_ASKERS]; /* the last request of each, the latest first */
    struct env_timer timer, soon;        /* the tick; local reads */
    bool ticking;
    uint64_t term; /* in which this node has the leader's duties; 0: it has none */
    struct kv_lessor *lessor;
    struct kv_compactor compactor;
    unsigned duties;  /* commands of the service's own under way */
    bool compacting;  /* one of them compacts */
    uint64_t compact; /* when to look again, ns */
    struct buffer scratch;
};

/* ---- service_request.c ---- */

/* A new one, waiting; the caller fills it in. CULVERT_EFULL, CULVERT_ENOMEM. */
int request_new(struct kv_service *service, enum request_kind kind, size_t length,
                struct request **out);
/* It goes without an answer, or has had it. */
void request_refuse(struct request *request);
/* Another id, higher than all before. */
void request_renumber(struct request *request);
/* Ends a request that status says went wrong, or with its result. */
void request_end(struct request *request, int status, const struct kv_result *result);
/* The same for one about a lease. */
void request_end_lease(struct request *request, int status, uint64_t remaining, uint64_t granted);
/* Decodes a result's bytes and ends the request with it. */
void request_end_bytes(struct request *request, const void *bytes, size_t length);
/* NULL: not there (any more). */
struct request *request_find(struct kv_service *service, uint64_t id);

/* ---- service.c ---- */

/* It is certain that it was not done: tries again, as long as there is time. */
void request_again(struct request *request);
/* Sets the timer to the next tick. */
void service_wake(struct kv_service *service);

/* ---- service_peer.c ---- */

/* Hands a request to the leader. False: lost already. */
bool peer_ask(struct request *request, uint64_t leader);
void peer_told(void *arg, uint64_t from, const void *bytes, size_t length);
void peer_connected(void *arg, uint64_t node, bool up);
void guests_free(struct kv_service *service);

/* ---- service_duty.c: what the leader does of its own ---- */

/* CULVERT_ENOMEM. */
int duty_open(struct kv_service *service);
void duty_close(struct kv_service *service);
/* Every tick: takes up or lays down the leader's duties; revokes leases that ran out, notes
 * remaining times, compacts old history, removes what was compacted. */
void duty_tick(struct kv_service *service);
/* A lease is renewed (REQUEST_KEEP), or looked at (REQUEST_TIME); times in seconds. A quorum has
 * confirmed the group's leader since it was asked. The answer may come inside the call, its status
 * 0, CULVERT_ENOLEASE, or CULVERT_ENOTLEADER: ask again. */
void duty_lease(struct kv_service *service, enum request_kind kind, int64_t id,
                kv_lease_answer answer, void *arg);

#endif
