/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's part of the replicated core, as one thing: its identity, the connections to other
 * nodes, the log and the store in the state folder, group 0, the service over it, the site's
 * history, and the etcd front.
 *
 *   STATE-DIR/lock           held by the culvertd that runs
 *   STATE-DIR/identity/      key, certificates, peers (controlplane/identity)
 *   STATE-DIR/identity.new/  another identity, when the node joins a site: takes the place of the
 *                            first, and log and store are removed, once its node.pem is there
 *   STATE-DIR/restore.dump   a backup that becomes the store of a new site
 *   STATE-DIR/log/           the write-ahead log
 *   STATE-DIR/db/            the store
 */
#ifndef CULVERT_DAEMON_CLUSTER_H
#define CULVERT_DAEMON_CLUSTER_H

#include <uv.h>

#include "controlplane/history/history.h"
#include "controlplane/identity/access.h"
#include "controlplane/identity/token.h"

struct cluster;

#define CLUSTER_ETCD_MAX 4u   /* addresses of either kind */
#define CLUSTER_NODES_MAX 32u /* of a site */
#define CLUSTER_VOTERS 3u     /* so many are promoted without being told */
#define CLUSTER_VOTERS_MAX 7u
#define CLUSTER_TEXT 300u
#define CA_TEXT 17 /* the short name of a CA: digits of its fingerprint, with the NUL */
#define CLUSTER_CLOCK_UNKNOWN INT64_MIN
#define CLUSTER_LISTEN "[::]:7480"
#define CLUSTER_ETCD "127.0.0.1:2379"

/* Addresses are texts of units_parse_endpoint(), or "none". */
struct cluster_addresses {
    const char *name;                   /* of the node; NULL: the host's */
    const char *listen;                 /* for other nodes; NULL: CLUSTER_LISTEN */
    const char *advertise;              /* where they find it; NULL: found out */
    const char *etcd[CLUSTER_ETCD_MAX]; /* none of either: CLUSTER_ETCD */
    const char *etcd_tls[CLUSTER_ETCD_MAX];
    unsigned etcd_count, etcd_tls_count;
    bool joins; /* a site that is made now is only there to be left: no etcd client may see it */
    const char *etcd_certificate, *etcd_key, *etcd_ca; /* PEM files for the second */
};

struct cluster_options {
    uv_loop_t *loop;
    const char *state_dir;
    const char *host; /* the node's name unless the addresses have one */
    const struct cluster_addresses *addresses;
    bool settle; /* wait, at most some seconds, until what was acknowledged is there to be read */
    /* The node can't go on (a full disk): nothing is stored any more until it is opened anew. */
    void (*failed)(void *arg, int error, const char *problem);
    void (*changed)(void *arg); /* the history's */
    void (*removed)(void *arg); /* this node is no longer a member of its site: it must end */
    void *arg;
};

/* Opens everything, or makes it at the first start: a site of one node. Blocks; with `settle` it
 * runs the loop, too. On an error one line says why on standard error. */
int cluster_open(struct cluster **out, const struct cluster_options *options);
/* Hands leadership on, ends what is under way, and frees all. Runs the loop meanwhile. */
void cluster_close(struct cluster *cluster);

/* Its parts, which live as long as it. */
struct env *cluster_env(const struct cluster *cluster);
struct kv_service *cluster_service(const struct cluster *cluster);
struct history *cluster_history(const struct cluster *cluster);

/* ---- nodes (cluster_nodes.c) ---- */

enum cluster_role { CLUSTER_JOINING, CLUSTER_STANDBY, CLUSTER_VOTER };

struct cluster_node {
    uint64_t id;
    char name[65], address[UNITS_TEXT], version[32];
    enum cluster_role role;
    char ca[CA_TEXT];  /* that signed its certificate; "": not known */
    unsigned protocol; /* its highest version of the transport's; 1 where it is not known */
    bool self, leader, connected, leaving;
    bool behind;      /* it has not taken the step that the CA's change is at */
    int64_t lag;      /* entries behind the leader; -1: nobody knows */
    int64_t clock_ms; /* that its clock is ahead of this node's, or CLUSTER_CLOCK_UNKNOWN */
    int64_t expires;  /* its certificate, seconds since 1970; 0: not known */
};

/* All nodes of the site as this one knows them, at most CLUSTER_NODES_MAX. Returns how many, or an
 * error. */
int cluster_nodes(struct cluster *cluster, struct cluster_node list[CLUSTER_NODES_MAX]);

struct cluster_state {
    char site[SITE_ID_TEXT];
    uint64_t node, leader;
    unsigned voters;
    bool quorum;  /* a leader is known */
    bool listens; /* for other nodes */
    char address[UNITS_TEXT];
    uint64_t size, quota; /* bytes of the store */
    bool full;            /* it takes deletions only */
    char ca[CA_TEXT];     /* the CA, in the end */
    const char *ca_step;  /* "done"; else it is being changed: "spread", "renew" */
};
void cluster_state(struct cluster *cluster, struct cluster_state *out);
/* How old what this node has may be: ms since it knew of a leader, 0 while it does; -1: it has not
 * since it was opened. */
int64_t cluster_age(struct cluster *cluster);
/* Calls `each` for every problem that the operator should know of. */
void cluster_alarms(struct cluster *cluster, void (*each)(void *arg, const char *text), void *arg);

/* Status 0, or an error and what is wrong, valid during the call. */
typedef void (*cluster_done)(void *arg, int status, const char *text);

/* Makes a join token; `done` gets its text. CULVERT_EINVAL: `life`, in seconds; CULVERT_EFULL,
 * CULVERT_ENOMEM; CULVERT_EUNSUPPORTED: this node doesn't listen for others. On an error of the
 * call `done` is not called. */
int cluster_token(struct cluster *cluster, int64_t life, bool multiple, cluster_done done,
                  void *arg);

enum cluster_change { CLUSTER_REMOVE, CLUSTER_PROMOTE, CLUSTER_ROTATE };
/* Removes or promotes a node; `done` when the members are so, or CULVERT_ETIMEOUT: not yet, it goes
 * on. CULVERT_ECONFLICT: it may not be, and why. Likewise. */
int cluster_node_change(struct cluster *cluster, uint64_t id, enum cluster_change change,
                        cluster_done done, void *arg);

/* ---- access tokens, and what the API shows of this node (cluster_access.c) ---- */

#define CLUSTER_ACCESS_MAX 1024u /* tokens */

/* As this node has them: the caller has waited for what was acknowledged, or does without. */
int cluster_access_list(struct cluster *cluster,
                        void (*each)(void *arg, const struct access_record *record), void *arg);
/* CULVERT_ENOTFOUND. */
int cluster_access_find(struct cluster *cluster, uint64_t id, struct access_record *out);
/* Makes a token of a record that has all but id and digest; `done` gets its text, or
 * CULVERT_EEXIST: the name is taken. CULVERT_EFULL: there are CLUSTER_ACCESS_MAX; those of
 * access_make(). */
int cluster_access_create(struct cluster *cluster, struct access_record *record, cluster_done done,
                          void *arg);
/* Revokes the token of that name or id; `done` gets its name. CULVERT_ENOTFOUND, of the call or to
 * `done`. Likewise. */
int cluster_access_revoke(struct cluster *cluster, const char *name, cluster_done done, void *arg);

/* A TLS context with this node's certificate, for clients without one; the caller's. */
int cluster_api_context(const struct cluster *cluster, SSL_CTX **out);
/* That certificate; another one when it was renewed. Lives as long as the cluster, or the next
 * renewal. */
const X509 *cluster_certificate(const struct cluster *cluster);

/* ---- the CA (cluster_ca.c) ---- */

/* Begins to put another CA in the place of the site's, or with `force` also goes on with that
 * without the nodes that are not connected: they will have to join anew. `done` when only the new
 * one is believed, or CULVERT_ETIMEOUT: not yet, it goes on. CULVERT_ECONFLICT: it may not begin,
 * and why. Likewise. */
int cluster_rotate_ca(struct cluster *cluster, bool force, cluster_done done, void *arg);

/* ---- backup (cluster_backup.c) ---- */

/* Begins a dump of the whole store as it is now; an earlier one is cut off. */
int cluster_backup_begin(struct cluster *cluster, uint64_t *id);
/* Appends the next piece; nothing: the one before was the last. CULVERT_ENOTFOUND: cut off. */
int cluster_backup_next(struct cluster *cluster, uint64_t id, struct buffer *chunk);

/* ---- other states (cluster_state.c): prepared on the disk, for the next cluster_open() ---- */

/* Whether there is nothing to lose: a site of this node alone without a revision. */
bool cluster_is_fresh(struct cluster *cluster);
/* Asks the site of the token to let this node in, at `at`: run() blocks and is for a worker. After
 * take() the node is a member of it from the next cluster_open() on, and all that it has now is
 * gone. `problem`: for the operator. The cluster outlives it until then. */
struct cluster_join;
int cluster_join_new(struct cluster_join **out, struct cluster *cluster, const char *token,
                     const char *at, char problem[CLUSTER_TEXT]);
int cluster_join_run(struct cluster_join *join, char problem[CLUSTER_TEXT]);
int cluster_join_take(struct cluster_join *join, char problem[CLUSTER_TEXT]);
void cluster_join_free(struct cluster_join *join); /* NULL is allowed */
/* The next cluster_open() makes this node the only member of its site. */
int cluster_recover(struct cluster *cluster);
/* The next cluster_open() begins a new site with the backup that lies at STATE-DIR/restore.tmp,
 * which was checked. */
int cluster_restore(struct cluster *cluster);

#endif
