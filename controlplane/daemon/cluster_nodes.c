/* SPDX-License-Identifier: Apache-2.0 */
/* The site's nodes as people see them, and what they ask for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/daemon/cluster_internal.h"

/* ---- the list ---- */

struct list {
    struct cluster *cluster;
    struct cluster_node *to;
    int count;
    const struct group_status *status;
};

static int add_member(void *arg, const struct group_member *member)
{
    struct list *list = arg;
    struct cluster_node *to = &list->to[list->count];
    struct health health = {0};

    if (list->count == (int)CLUSTER_NODES_MAX)
        return 0;
    *to =
        (struct cluster_node){.id = member->id,
                              .role = member->role == GROUP_VOTER ? CLUSTER_VOTER : CLUSTER_STANDBY,
                              .self = member->id == list->cluster->node_id,
                              .leader = member->id == list->status->leader,
                              .protocol = 1,
                              .behind = list->cluster->ca.mod != 0,
                              .lag = cluster_health_lag(list->cluster, member->id)};
    to->connected = to->self || cluster_net_connected(list->cluster, member->id);
    if (to->self || cluster_health_read(list->cluster, member->id, &health))
        to->clock_ms = health.clock_ms;
    else
        to->clock_ms = CLUSTER_CLOCK_UNKNOWN;
    snprintf(to->address, sizeof(to->address), "%s", member->address);
    list->count++;
    return 0;
}

static void add_record(struct list *list, const struct node_record *record)
{
    struct cluster_node *to = NULL;

    for (int i = 0; i < list->count && !to; i++)
        if (list->to[i].id == record->id)
            to = &list->to[i];
    if (!to) {
        if (list->count == (int)CLUSTER_NODES_MAX || record->want != WANT_JOIN)
            return;
        to = &list->to[list->count++];
        *to = (struct cluster_node){.id = record->id,
                                    .role = CLUSTER_JOINING,
                                    .protocol = 1,
                                    .lag = -1,
                                    .clock_ms = CLUSTER_CLOCK_UNKNOWN};
        snprintf(to->address, sizeof(to->address), "%s", record->address);
    }
    snprintf(to->name, sizeof(to->name), "%s", record->name);
    snprintf(to->version, sizeof(to->version), "%s", record->version);
    snprintf(to->ca, sizeof(to->ca), "%s", record->ca);
    to->expires = record->expires;
    to->behind = record->followed != list->cluster->ca.mod;
    if (record->protocol)
        to->protocol = record->protocol;
    to->leaving = record->want == WANT_GONE;
}

int cluster_nodes(struct cluster *cluster, struct cluster_node list[CLUSTER_NODES_MAX])
{
    struct node_record records[CLUSTER_NODES_MAX];
    struct group_status status;
    struct list found = {.cluster = cluster, .to = list, .status = &status};
    int count = records_read(cluster, records);

    if (count < 0)
        return count;
    group_status(cluster->group, &status);
    group_members(cluster->group, add_member, &found);
    for (int i = 0; i < count; i++)
        add_record(&found, &records[i]);
    return found.count;
}

static int count_voter(void *arg, const struct group_member *member)
{
    *(unsigned *)arg += member->role == GROUP_VOTER;
    return 0;
}

void cluster_state(struct cluster *cluster, struct cluster_state *out)
{
    static const char *const steps[] = {
        [ROLLOVER_DONE] = "done", [ROLLOVER_SPREAD] = "spread", [ROLLOVER_RENEW] = "renew"};
    struct kv_status status;

    kv_service_status(cluster->service, &status);
    *out = (struct cluster_state){.node = cluster->node_id,
                                  .leader = status.leader,
                                  .quorum = status.leader != 0,
                                  .listens = cluster->listening,
                                  .size = status.store.size,
                                  .quota = status.store.quota,
                                  .full = status.store.alarm,
                                  .ca_step = steps[cluster->ca.step]};
    snprintf(out->ca, sizeof(out->ca), "%s", cluster->ca.name);
    group_members(cluster->group, count_voter, &out->voters);
    snprintf(out->site, sizeof(out->site), "%s", cluster->identity->name.site);
    snprintf(out->address, sizeof(out->address), "%s", cluster->address);
}

/* ---- changes ---- */

struct wish {
    struct cluster *cluster;
    struct waiter *waiter;
};

/* What of the members would be left without one of them. */
struct left {
    struct cluster *cluster;
    uint64_t without;
    unsigned voters, connected;
    bool known, voter;
};

static int count_left(void *arg, const struct group_member *member)
{
    struct left *left = arg;
    bool voter = member->role == GROUP_VOTER;

    if (member->id == left->without) {
        left->known = true;
        left->voter = voter;
        return 0;
    }
    left->voters += voter;
    left->connected += voter && (member->id == left->cluster->node_id ||
                                 cluster_net_connected(left->cluster, member->id));
    return 0;
}

/* Why it may not be; NULL: it may. */
static const char *forbid(struct cluster *cluster, uint64_t id, enum cluster_change change)
{
    struct left left = {.cluster = cluster, .without = id};

    group_members(cluster->group, count_left, &left);
    if (change == CLUSTER_PROMOTE) {
        if (left.known && left.voters >= CLUSTER_VOTERS_MAX && !left.voter)
            return "a site has at most 7 voters";
        return NULL;
    }
    if (!left.known || !left.voter)
        return NULL;
    if (!left.voters)
        return "it is the site's only voter";
    if (left.connected * 2 <= left.voters)
        return "without it too few of the voters are connected: the site would have no quorum";
    return NULL;
}

static void on_wished(void *arg, int status, const struct kv_result *result)
{
    struct wish *wish = arg;
    int error = status ? status : result->status;

    if (!error && !result->op.succeeded)
        error = CULVERT_ECONFLICT;
    if (error)
        waiter_end(wish->waiter, error, NULL);
    else
        wish->waiter->stored = true;
    free(wish);
}

static void on_current(void *arg, int status)
{
    struct wish *wish = arg;
    struct cluster *cluster = wish->cluster;
    struct node_record records[CLUSTER_NODES_MAX], *record = NULL;
    const char *why = NULL;
    int count;

    if (status == CULVERT_ENOTLEADER)
        why = "no node leads the site: are most of its voters up?";
    if (!status) {
        count = records_read(cluster, records);
        record = count < 0 ? NULL : records_find(records, count, wish->waiter->id);
        status = record ? 0 : CULVERT_ENOTFOUND;
    }
    if (!status) {
        why = forbid(cluster, record->id, wish->waiter->change);
        status = why ? CULVERT_ECONFLICT : 0;
    }
    if (!status) {
        record->want = wish->waiter->change == CLUSTER_REMOVE ? WANT_GONE : WANT_VOTER;
        status = record_store(cluster, record, on_wished, wish);
        if (!status)
            return;
    }
    waiter_end(wish->waiter, status, why);
    free(wish);
}

int cluster_node_change(struct cluster *cluster, uint64_t id, enum cluster_change change,
                        cluster_done done, void *arg)
{
    struct wish *wish = calloc(1, sizeof(*wish));
    int error = wish ? cluster_wait(cluster, id, change, done, arg, &wish->waiter) : CULVERT_ENOMEM;

    if (!error) {
        wish->cluster = cluster;
        error = kv_service_barrier(cluster->service, on_current, wish);
        if (error)
            *wish->waiter = (struct waiter){0};
    }
    if (error)
        free(wish);
    return error;
}
