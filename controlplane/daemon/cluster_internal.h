/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the cluster*.c files only. */
#ifndef CULVERT_DAEMON_CLUSTER_INTERNAL_H
#define CULVERT_DAEMON_CLUSTER_INTERNAL_H

#include "controlplane/base/env_uv.h"
#include "controlplane/core/kv/service.h"
#include "controlplane/core/node.h"
#include "controlplane/core/transport.h"
#include "controlplane/daemon/cluster.h"
#include "controlplane/daemon/protocol.h"
#include "controlplane/fronts/etcd/front.h"
#include "controlplane/identity/rollover.h"

#define CLUSTER_TICK_MS 200u
#define CLUSTER_SEGMENT ((uint64_t)32 << 20) /* bytes of the log; two are there at the least */
#define CLUSTER_WAITERS_MAX 16u

/* A change of the members that somebody waits for. */
struct waiter {
    cluster_done done; /* NULL: none */
    void *arg;
    uint64_t id, deadline; /* ns of the environment */
    enum cluster_change change;
    bool stored;  /* the wish is in the store */
    uint64_t mod; /* CLUSTER_ROTATE: of the CA's record before it */
};

struct etcd_address {
    struct endpoint endpoint;
    bool tls, up;
    char problem[160];
};

struct cluster {
    struct cluster_options options;
    char name[65];
    struct identity *identity;
    EVP_PKEY *join_key;        /* NULL: not needed yet */
    uint64_t node_id, site_id; /* the second: the first bytes of the site's */
    int lock;
    char *path; /* scratch */
    struct endpoint listen;
    bool listens, listening;  /* it should, it does */
    int listen_error;         /* why it doesn't */
    char address[UNITS_TEXT]; /* where others find it; "" when it doesn't listen */
    char member[UNITS_TEXT];  /* the same among the group's members, where it can't be empty */
    struct join_member peers[JOIN_MEMBERS_MAX]; /* as of the last look, or of joining */
    size_t peer_count;
    struct transport *transport;
    struct env_uv *uv;
    struct kv_store *store;
    struct node *node;
    struct group *group;
    struct kv_service *service;
    struct history *history;
    struct etcd_front *etcd;
    SSL_CTX *etcd_tls;
    uint64_t etcd_files; /* which files it was read from */
    struct etcd_address etcds[2 * CLUSTER_ETCD_MAX];
    unsigned etcd_count;
    struct env_timer tick;
    uint64_t ticks;
    uint64_t led; /* ns of the environment, when a leader was known last; 0: never */
    bool failed, stopped, settled, ticking, removed;
    bool founds;   /* the group begins with this node; who joins is added by the leader */
    bool unnoted;  /* the peers are not in their file yet */
    bool waits;    /* to join a site: made with cluster_addresses.joins, or rebuilt */
    bool changing; /* the group's members, by this node */
    bool storing;  /* a record of a node, likewise */
    bool describing, publishing; /* this node itself */
    bool unsaved;                /* the identity is newer than its files, or may be */
    struct {
        uint64_t mod; /* of the CA's record that this node follows; 0: there is none */
        enum rollover_step step;
        bool forced;
        char name[CA_TEXT]; /* of the CA that is to sign in the end */
        int error;          /* why it can't be followed */
    } ca;
    struct waiter waiters[CLUSTER_WAITERS_MAX];
    struct {
        struct machine_dump *dump; /* NULL: none, or all of it was read */
        uint64_t id, used;         /* the second: tick of the last use */
    } backup;
    unsigned closing; /* parts that the close waits for */
};

/* ---- cluster.c ---- */

/* The path of something in the state folder, until the next call. NULL: out of memory. */
const char *cluster_path(struct cluster *cluster, const char *name);

/* ---- cluster_identity.c ---- */

/* Locks the state folder, puts in place what was prepared, reads or makes the identity. */
int cluster_identity_open(struct cluster *cluster);
/* Renews the certificate when it is time. */
void cluster_identity_tick(struct cluster *cluster);
/* Makes the identity what the record says, on the disk, too, and gives it to the transport. */
int cluster_identity_follow(struct cluster *cluster, const struct rollover *rollover);
/* Writes an identity and its peers where the next start takes them. */
int cluster_identity_replace(struct cluster *cluster, const struct identity *identity,
                             const struct join_member *peers, size_t count);
/* Notes the peers beside the identity, for a start before the log knows them. */
int cluster_peers_save(struct cluster *cluster);
/* From now on this node doesn't start any more. */
void cluster_identity_removed(struct cluster *cluster);

/* ---- cluster_net.c ---- */

/* Makes the transport and lets it listen; where that fails, a tick tries again. */
int cluster_net_open(struct cluster *cluster);
/* Makes the transport's peers those of the group; notices that this node was removed. */
void cluster_net_tick(struct cluster *cluster);
/* Whether this node has an address for others: without one so far, looks for one again. */
bool cluster_net_address(struct cluster *cluster);
/* Whether the members know it, too, so that a new one finds this node. */
bool cluster_net_told(struct cluster *cluster);
bool cluster_net_connected(struct cluster *cluster, uint64_t node);
/* Why it isn't: "" when nothing is known. */
void cluster_net_problem(struct cluster *cluster, uint64_t node, char text[CLUSTER_TEXT]);

/* ---- cluster_health.c: what nodes report to each other ---- */

struct health {
    bool failed; /* it can't store anything */
    uint64_t last, leader;
    int64_t clock_ms; /* that its clock is ahead of this one's */
    unsigned count;
    struct {
        uint64_t id;
        bool connected; /* to it */
        uint64_t index; /* of its log, if it leads; else 0 */
    } members[CLUSTER_NODES_MAX];
};

/* The node's name, or where it is. */
const char *cluster_node_name(const struct cluster_node *node);
/* transport_options.report; `arg` is the cluster. */
void cluster_health_write(void *arg, struct buffer *out);
/* What a node has said last. False: it is not connected, or of a version that says nothing. */
bool cluster_health_read(struct cluster *cluster, uint64_t node, struct health *out);
/* Entries that a node is behind the leader; -1: nobody knows. */
int64_t cluster_health_lag(struct cluster *cluster, uint64_t node);
/* The leader has had word from this node of entries that it does not have: its disk was put back
 * to an earlier state, or lost what it was told to keep. It gets nothing more from that leader. */
bool cluster_health_has_lost(struct cluster *cluster);

/* ---- cluster_records.c: what the site knows of its nodes, in the store ---- */

enum node_want {
    WANT_JOIN,   /* is to become a member */
    WANT_MEMBER, /* is one */
    WANT_VOTER,  /* is to be a voter whatever the number of them */
    WANT_GONE,
};

struct node_record {
    uint64_t id, mod; /* the second: revision of its last change; 0: it is new */
    enum node_want want;
    char address[UNITS_TEXT], name[65], version[32];
    char ca[CA_TEXT];  /* that signed its certificate; "": not told */
    uint64_t followed; /* revision of the CA's record that it follows */
    unsigned protocol; /* of the transport, its highest version; 0: not told, which is 1 */
    int64_t expires;
};

/* Reads a range of this node's state into the result, which needs both others. */
int records_range(struct cluster *cluster, struct kv_keys keys, struct buffer *bytes,
                  struct arena *arena, struct kv_result *result);
/* This node's state, not more: at most CLUSTER_NODES_MAX, or an error. */
int records_read(struct cluster *cluster, struct node_record list[CLUSTER_NODES_MAX]);
struct node_record *records_find(struct node_record *list, int count, uint64_t id);

#define RECORD_KEY 32u
#define RECORD_VALUE 1024u
struct record_put {
    char key[RECORD_KEY], value[RECORD_VALUE];
};
/* The operation that writes a record, and the comparison that it is as it was read. */
struct kv_op record_put(const struct node_record *record, struct record_put *memory);
struct kv_compare record_same(const struct node_record *record, struct record_put *memory);
/* Writes one, if it is as it was read: the answer's txn says whether. */
int record_store(struct cluster *cluster, const struct node_record *record, kv_answer answer,
                 void *arg);
/* Removes one, and what the node told of itself. */
int record_delete(struct cluster *cluster, const struct node_record *record, kv_answer answer,
                  void *arg);

/* ---- cluster_keep.c ---- */

/* What whoever leads does to make the members what the records say; what this node tells of
 * itself; who waits is told. */
void cluster_keep_tick(struct cluster *cluster);
void cluster_keep_close(struct cluster *cluster);
/* Another one waits. CULVERT_EFULL. */
int cluster_wait(struct cluster *cluster, uint64_t id, enum cluster_change change,
                 cluster_done done, void *arg, struct waiter **out);
void waiter_end(struct waiter *waiter, int status, const char *text);

/* ---- cluster_ca.c: the site's CA, and another one in its place ---- */

/* Reads the record of the CA as this node has it. CULVERT_ENOTFOUND: there is none yet, the
 * founder's is the one; CULVERT_ECORRUPT. Then rollover_free(). */
int ca_read(struct cluster *cluster, struct rollover *out, uint64_t *mod);
/* Follows the record; whoever waits for its end is told. */
void cluster_ca_tick(struct cluster *cluster);
/* What whoever leads does: the next step, when all have taken the one before. True: it was begun.
 */
bool cluster_ca_lead(struct cluster *cluster, const struct node_record *records, int count);
/* Whether another CA is there than at `before`, the old one gone, and all nodes know. */
bool cluster_ca_settled(const struct cluster *cluster, uint64_t before,
                        const struct node_record *records, int count);
/* The short name of a CA, given its fingerprint; "" after an error of getting that. */
void ca_name(int error, const uint8_t fingerprint[CERTIFICATE_FINGERPRINT], char out[CA_TEXT]);

/* ---- cluster_admit.c: the site's side of joining ---- */

/* transport_options.join; `arg` is the cluster. */
void cluster_admit(void *arg, transport_call call, const struct join_request *request);

/* ---- cluster_etcd.c ---- */

/* Makes the front; the ticks let it listen. */
int cluster_etcd_open(struct cluster *cluster);
void cluster_etcd_tick(struct cluster *cluster); /* listens where it could not yet */
void cluster_etcd_close(struct cluster *cluster);
/* Where clients find it: "" when it doesn't listen. */
void cluster_etcd_address(const struct cluster *cluster, char text[UNITS_TEXT]);

/* ---- cluster_backup.c ---- */

/* Cuts off a backup that nobody reads on. */
void cluster_backup_tick(struct cluster *cluster);
void cluster_backup_close(struct cluster *cluster);

/* ---- cluster_state.c ---- */

/* What was asked of this start: a node that recovers, a backup that is restored. */
int cluster_state_open(struct cluster *cluster);

#endif
