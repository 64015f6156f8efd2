/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator should know of the site's nodes, told on any of them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/cluster_internal.h"

#define EXPIRES_SOON (7 * 86400) /* seconds */
#define CLOCK_MS 10000           /* that clocks may differ */

struct alarms {
    struct cluster *cluster;
    void (*each)(void *arg, const char *text);
    void *arg;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    int count;
};

const char *cluster_node_name(const struct cluster_node *node)
{
    return node->name[0] ? node->name : node->address;
}

__attribute__((format(printf, 2, 3))) static void say(const struct alarms *alarms,
                                                      const char *format, ...)
{
    char text[2 * CLUSTER_TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    alarms->each(alarms->arg, text);
}

/* A link between two others that are both connected to this node. */
static void link_alarms(const struct alarms *alarms, const struct cluster_node *node,
                        const struct health *health)
{
    for (unsigned i = 0; i < health->count; i++)
        for (int j = 0; j < alarms->count; j++)
            if (alarms->nodes[j].id == health->members[i].id && alarms->nodes[j].connected &&
                !health->members[i].connected)
                say(alarms, "node %s is not connected to node %s", cluster_node_name(node),
                    cluster_node_name(&alarms->nodes[j]));
}

static void clock_alarm(const struct alarms *alarms, const struct cluster_node *node)
{
    int64_t off = node->clock_ms;

    if (off != CLUSTER_CLOCK_UNKNOWN && (off > CLOCK_MS || off < -CLOCK_MS))
        say(alarms,
            "the clock of node %s is %lld s %s this node's: set the one that is wrong, "
            "certificates and times of revisions go by it",
            cluster_node_name(node), (long long)(llabs(off) / 1000),
            off > 0 ? "ahead of" : "behind");
}

static void node_alarms(const struct alarms *alarms, const struct cluster_node *node)
{
    char why[CLUSTER_TEXT];
    struct health health;

    if (!node->connected && node->role != CLUSTER_JOINING) {
        cluster_net_problem(alarms->cluster, node->id, why);
        say(alarms, "node %s is not connected%s%s", cluster_node_name(node), *why ? ": " : "", why);
    }
    if (node->expires && node->expires < time(NULL) + EXPIRES_SOON)
        say(alarms, "node %s: its certificate ends soon and was not renewed",
            cluster_node_name(node));
    clock_alarm(alarms, node);
    if (!cluster_health_read(alarms->cluster, node->id, &health))
        return;
    if (health.failed)
        say(alarms, "node %s can't store anything: see `culvert status` there",
            cluster_node_name(node));
    link_alarms(alarms, node, &health);
}

static void own_alarms(const struct alarms *alarms)
{
    const struct cluster *cluster = alarms->cluster;
    char address[UNITS_TEXT];

    if (cluster->listens && !cluster->listening) {
        units_write_endpoint(&cluster->listen, address);
        say(alarms, "no other node can reach this one: %s: %s", address,
            culvert_strerror(cluster->listen_error));
    }
    if (cluster->ca.error)
        say(alarms, "the change of the site's CA can't be followed: %s",
            culvert_strerror(cluster->ca.error));
    if (cluster_health_has_lost(alarms->cluster))
        say(alarms,
            "this node has lost entries of its log that it had acknowledged: was its disk put "
            "back to an earlier state? `culvert node rebuild`, then join again");
    if (cluster->waits)
        say(alarms, "this node waits to join a site: `culvert node join`");
    for (unsigned i = 0; i < cluster->etcd_count; i++)
        if (!cluster->etcds[i].up && !cluster->waits)
            say(alarms, "%s", cluster->etcds[i].problem);
}

void cluster_alarms(struct cluster *cluster, void (*each)(void *arg, const char *text), void *arg)
{
    struct alarms alarms = {.cluster = cluster, .each = each, .arg = arg};
    struct cluster_state state;

    cluster_state(cluster, &state);
    alarms.count = cluster_nodes(cluster, alarms.nodes);
    if (!state.quorum)
        say(&alarms, "no node leads the site: nothing can be changed until most of its voters are "
                     "connected");
    if (state.full)
        say(&alarms, "the store has reached its size limit: delete keys, then clear the alarm by "
                     "`etcdctl alarm disarm`");
    own_alarms(&alarms);
    for (int i = 0; i < alarms.count; i++)
        node_alarms(&alarms, &alarms.nodes[i]);
}
