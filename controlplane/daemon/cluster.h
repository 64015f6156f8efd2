/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's part of the replicated core, as one thing: its identity (node.json), the log and the
 * store in the state folder, group 0, the service over it, and the site's history.
 *
 *   STATE-DIR/node.json   ids of the node and of its site, made at the first start
 *   STATE-DIR/log/        the write-ahead log
 *   STATE-DIR/db/         the store
 */
#ifndef CULVERT_DAEMON_CLUSTER_H
#define CULVERT_DAEMON_CLUSTER_H

#include <uv.h>

#include "controlplane/history/history.h"

struct cluster;

struct cluster_options {
    uv_loop_t *loop;
    const char *state_dir;
    const char *name; /* of the node, for the audit log */
    /* The node can't go on (a full disk): nothing is stored any more until it is opened anew. */
    void (*failed)(void *arg, int error, const char *problem);
    void (*changed)(void *arg); /* the history's */
    void *arg;
};

/* Opens everything, or makes it at the first start: a site of one node. Blocks, and runs the loop
 * until what was acknowledged before is there to be read, or no leader is found in a few seconds.
 * On an error one line says why on standard error. */
int cluster_open(struct cluster **out, const struct cluster_options *options);
/* Hands leadership on, ends what is under way, and frees all. Runs the loop meanwhile. */
void cluster_close(struct cluster *cluster);

/* Its parts, as long as it is open. */
struct env *cluster_env(const struct cluster *cluster);
struct kv_service *cluster_service(const struct cluster *cluster);
struct history *cluster_history(const struct cluster *cluster);

#endif
