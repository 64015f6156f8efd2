/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever leads makes the members what the records want, one change at a time: who is to go goes,
 * who is to join becomes standby, standbys become voters while there are fewer than three. Each
 * node keeps its own record true.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define WAIT_NS ((uint64_t)30 * 1000000000)

struct members {
    struct group_member list[CLUSTER_NODES_MAX];
    char addresses[CLUSTER_NODES_MAX][MESSAGE_ADDRESS_MAX];
    unsigned count, voters;
};

static int add_member(void *arg, const struct group_member *member)
{
    struct members *members = arg;
    unsigned i = members->count;

    if (i == CLUSTER_NODES_MAX)
        return 0;
    members->list[i] = *member;
    snprintf(members->addresses[i], MESSAGE_ADDRESS_MAX, "%s", member->address);
    members->list[i].address = members->addresses[i];
    members->voters += member->role == GROUP_VOTER;
    members->count++;
    return 0;
}

static const struct group_member *find(const struct members *members, uint64_t id)
{
    for (unsigned i = 0; i < members->count; i++)
        if (members->list[i].id == id)
            return &members->list[i];
    return NULL;
}

/* ---- changes, one at a time ---- */

static void on_changed(void *arg, int status)
{
    struct cluster *cluster = arg;

    cluster->changing = false;
    if (status && status != CULVERT_ETIMEOUT && status != CULVERT_ENOTLEADER)
        log_warn("the site's members were not changed: %s", culvert_strerror(status));
}

static void on_stored(void *arg, int status, const struct kv_result *result)
{
    struct cluster *cluster = arg;

    (void)status; /* what is still so is seen at the next tick */
    (void)result;
    cluster->storing = false;
}

static void store(struct cluster *cluster, struct node_record *record, enum node_want want)
{
    record->want = want;
    cluster->storing = !record_store(cluster, record, on_stored, cluster);
}

/* A record and the member that it is of, or NULL. True: something was begun. */
static bool keep_record(struct cluster *cluster, const struct members *members,
                        struct node_record *record)
{
    const struct group_member *member = find(members, record->id);
    struct group_member added = {
        .id = record->id, .role = GROUP_STANDBY, .address = record->address};

    if (record->want == WANT_GONE && member)
        cluster->changing = !group_member_remove(cluster->group, record->id, on_changed, cluster);
    else if (record->want == WANT_JOIN && !member)
        cluster->changing = !group_member_add(cluster->group, &added, on_changed, cluster);
    else if (!member)
        cluster->storing = !record_delete(cluster, record, on_stored, cluster);
    else if (record->want == WANT_JOIN)
        store(cluster, record, WANT_MEMBER);
    else if (record->address[0] && strcmp(record->address, member->address) != 0)
        cluster->changing =
            !group_member_move(cluster->group, record->id, record->address, on_changed, cluster);
    else
        return false;
    return cluster->changing || cluster->storing;
}

/* A standby that is there becomes a voter. */
static bool promote(struct cluster *cluster, const struct members *members,
                    const struct node_record *records, int count)
{
    for (int i = 0; i < count; i++) {
        const struct group_member *member = find(members, records[i].id);
        bool told = records[i].want == WANT_VOTER && members->voters < CLUSTER_VOTERS_MAX;

        if (!member || member->role != GROUP_STANDBY || records[i].want == WANT_GONE ||
            (members->voters >= CLUSTER_VOTERS && !told) ||
            !cluster_net_connected(cluster, member->id))
            continue;
        cluster->changing =
            !group_member_assign(cluster->group, member->id, GROUP_VOTER, on_changed, cluster);
        if (cluster->changing)
            return true;
    }
    return false;
}

static void lead(struct cluster *cluster, const struct members *members,
                 struct node_record *records, int count)
{
    struct group_status status;

    group_status(cluster->group, &status);
    if (!status.settled || cluster->changing || cluster->storing)
        return;
    for (int gone = 1; gone >= 0; gone--) /* who goes first makes room for who comes */
        for (int i = 0; i < count; i++)
            if ((records[i].want == WANT_GONE) == gone &&
                keep_record(cluster, members, &records[i]))
                return;
    if (!cluster_ca_lead(cluster, records, count))
        promote(cluster, members, records, count);
}

/* ---- this node's own record ---- */

static void on_described(void *arg, int status, const struct kv_result *result)
{
    struct cluster *cluster = arg;

    (void)status;
    (void)result;
    cluster->describing = false;
}

static void on_published(void *arg, int status, const struct kv_result *result)
{
    struct cluster *cluster = arg;

    (void)status;
    (void)result;
    cluster->publishing = false;
}

struct told {
    const struct cluster *cluster;
    char client[UNITS_TEXT];
    bool same;
};

static int compare_told(void *arg, const struct kv_member *member)
{
    struct told *told = arg;

    if (member->id == told->cluster->node_id)
        told->same = !strcmp(member->name, told->cluster->name) &&
                     !strcmp(member->client_address, told->client);
    return 0;
}

/* What etcd's clients see of this node. */
static void describe(struct cluster *cluster)
{
    struct told told = {.cluster = cluster};

    cluster_etcd_address(cluster, told.client);
    kv_service_members(cluster->service, compare_told, &told);
    if (!told.same && !cluster->describing)
        cluster->describing = !kv_service_describe(cluster->service, cluster->name, told.client,
                                                   on_described, cluster);
}

static bool same_record(const struct node_record *x, const struct node_record *y)
{
    return x->want == y->want && x->expires == y->expires && x->followed == y->followed &&
           x->protocol == y->protocol && !strcmp(x->ca, y->ca) && !strcmp(x->name, y->name) &&
           !strcmp(x->version, y->version) && !strcmp(x->address, y->address);
}

static void publish(struct cluster *cluster, const struct members *members,
                    const struct node_record *record)
{
    struct node_record own = {.id = cluster->node_id, .want = WANT_MEMBER};
    const X509 *certificate = sk_X509_value(cluster->identity->chain, 0);
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT];
    int64_t from;

    if (record)
        own = *record;
    else if (members->count != 1)
        return; /* it may have been removed a moment ago */
    snprintf(own.name, sizeof(own.name), "%s", cluster->name);
    snprintf(own.version, sizeof(own.version), "%s", protocol_own.software);
    if (cluster->address[0] || !record)
        snprintf(own.address, sizeof(own.address), "%s", cluster->address);
    if (certificate_times(certificate, &from, &own.expires))
        own.expires = 0;
    ca_name(identity_fingerprint(cluster->identity, fingerprint), fingerprint, own.ca);
    own.followed = cluster->ca.mod;
    own.protocol = protocol_own.max;
    if (record && same_record(&own, record))
        return;
    cluster->publishing = !record_store(cluster, &own, on_published, cluster);
}

/* ---- who waits ---- */

int cluster_wait(struct cluster *cluster, uint64_t id, enum cluster_change change,
                 cluster_done done, void *arg, struct waiter **out)
{
    for (unsigned i = 0; i < CLUSTER_WAITERS_MAX; i++) {
        struct waiter *waiter = &cluster->waiters[i];

        if (waiter->done)
            continue;
        *waiter = (struct waiter){.done = done,
                                  .arg = arg,
                                  .id = id,
                                  .change = change,
                                  .deadline = env_now(cluster_env(cluster)) + WAIT_NS};
        *out = waiter;
        return 0;
    }
    return CULVERT_EFULL;
}

void waiter_end(struct waiter *waiter, int status, const char *text)
{
    struct waiter done = *waiter;

    *waiter = (struct waiter){0};
    done.done(done.arg, status, text ? text : culvert_strerror(status));
}

/* Whether what somebody waits for is so. */
static bool is_so(const struct cluster *cluster, const struct waiter *waiter,
                  const struct members *members, const struct node_record *records, int count)
{
    const struct group_member *member = find(members, waiter->id);

    switch (waiter->change) {
    case CLUSTER_REMOVE:
        return !member;
    case CLUSTER_PROMOTE:
        return member && member->role == GROUP_VOTER;
    case CLUSTER_ROTATE:
        return cluster_ca_settled(cluster, waiter->mod, records, count);
    }
    return false;
}

static void tell(struct cluster *cluster, const struct members *members,
                 const struct node_record *records, int count)
{
    uint64_t now = env_now(cluster_env(cluster));

    for (unsigned i = 0; i < CLUSTER_WAITERS_MAX; i++) {
        struct waiter *waiter = &cluster->waiters[i];

        if (!waiter->done || !waiter->stored)
            continue;
        if (is_so(cluster, waiter, members, records, count))
            waiter_end(waiter, 0, "");
        else if (now > waiter->deadline)
            waiter_end(waiter, CULVERT_ETIMEOUT,
                       "not yet: it goes on when the nodes that it takes are there; look at "
                       "`culvert node list`");
    }
}

void cluster_keep_close(struct cluster *cluster)
{
    for (unsigned i = 0; i < CLUSTER_WAITERS_MAX; i++)
        if (cluster->waiters[i].done)
            waiter_end(&cluster->waiters[i], CULVERT_EUNKNOWN, NULL);
}

void cluster_keep_tick(struct cluster *cluster)
{
    struct node_record records[CLUSTER_NODES_MAX];
    struct members members = {0};
    struct group_status status;
    int count = records_read(cluster, records);

    if (count < 0)
        return;
    group_members(cluster->group, add_member, &members);
    group_status(cluster->group, &status);
    tell(cluster, &members, records, count);
    if (status.member && status.leader) {
        if (!cluster->publishing)
            publish(cluster, &members, records_find(records, count, cluster->node_id));
        describe(cluster);
    }
    if (status.leading)
        lead(cluster, &members, records, count);
}
