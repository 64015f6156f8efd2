/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nodes report to each other once a second (core/transport.h): how far each one's log is,
 * whom it is connected to, and as the leader how far it knows the others to be. So every node can
 * say how all are.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/bytes.h"
#include "controlplane/daemon/cluster_internal.h"

/* A report: flags, last entry, leader, then of each other member id, whether it is connected, and
 * up to where it has the log. Later versions may say more behind what this one knows. */
#define FLAG_FAILED 1u
#define MEMBER_BYTES 17u

_Static_assert(18 + CLUSTER_NODES_MAX * MEMBER_BYTES <= TRANSPORT_REPORT_MAX, "fits");

struct writing {
    struct cluster *cluster;
    struct buffer *out;
    unsigned count;
};

static int write_member(void *arg, const struct group_member *member)
{
    struct writing *writing = arg;
    struct cluster *cluster = writing->cluster;
    uint64_t index = 0;

    if (member->id == cluster->node_id || writing->count == CLUSTER_NODES_MAX)
        return 0;
    if (group_progress(cluster->group, member->id, &index))
        index = 0;
    bytes_put_number(writing->out, member->id, 8);
    bytes_put_number(writing->out, cluster_net_connected(cluster, member->id), 1);
    bytes_put_number(writing->out, index, 8);
    writing->count++;
    return 0;
}

void cluster_health_write(void *arg, struct buffer *out)
{
    struct cluster *cluster = arg;
    struct buffer members = {.bound = TRANSPORT_REPORT_MAX};
    struct writing writing = {.cluster = cluster, .out = &members};
    struct group_status status = {0};

    if (cluster->group) {
        group_status(cluster->group, &status);
        group_members(cluster->group, write_member, &writing);
    }
    bytes_put_number(out, cluster->failed ? FLAG_FAILED : 0, 1);
    bytes_put_number(out, status.last, 8);
    bytes_put_number(out, status.leader, 8);
    bytes_put_number(out, writing.count, 1);
    buffer_add(out, members.data, members.length);
    buffer_free(&members);
}

static bool read_report(const struct transport_peer *peer, struct health *out)
{
    struct bytes bytes = {.at = peer->report, .left = peer->report_length};
    uint64_t flags = bytes_take_number(&bytes, 1);

    *out = (struct health){.failed = flags & FLAG_FAILED, .clock_ms = peer->clock_ms};
    out->last = bytes_take_number(&bytes, 8);
    out->leader = bytes_take_number(&bytes, 8);
    out->count = (unsigned)bytes_take_number(&bytes, 1);
    if (out->count > CLUSTER_NODES_MAX)
        return false;
    for (unsigned i = 0; i < out->count; i++) {
        out->members[i].id = bytes_take_number(&bytes, 8);
        out->members[i].connected = bytes_take_number(&bytes, 1);
        out->members[i].index = bytes_take_number(&bytes, 8);
    }
    return !bytes.bad;
}

struct looking {
    uint64_t node;
    struct health *out;
    bool found;
};

static void look_at_peer(void *arg, const struct transport_peer *peer)
{
    struct looking *looking = arg;

    if (peer->node == looking->node && peer->report)
        looking->found = read_report(peer, looking->out);
}

bool cluster_health_read(struct cluster *cluster, uint64_t node, struct health *out)
{
    struct looking looking = {.node = node, .out = out};

    transport_peers(cluster->transport, look_at_peer, &looking);
    return looking.found;
}

int64_t cluster_health_lag(struct cluster *cluster, uint64_t node)
{
    struct group_status status;
    struct health leader;
    uint64_t last, index = 0;
    bool known = false;

    group_status(cluster->group, &status);
    last = status.last;
    if (node == status.leader)
        return 0;
    if (status.leading) {
        known = !group_progress(cluster->group, node, &index);
    } else if (status.leader && cluster_health_read(cluster, status.leader, &leader) &&
               leader.leader == status.leader) {
        last = leader.last;
        for (unsigned i = 0; i < leader.count && !known; i++) {
            known = leader.members[i].id == node;
            index = leader.members[i].index;
        }
    }
    if (!known)
        return -1;
    return last > index ? (int64_t)(last - index) : 0;
}

bool cluster_health_has_lost(struct cluster *cluster)
{
    struct group_status status;
    struct health leader;

    group_status(cluster->group, &status);
    if (status.leading || !status.leader || !cluster_health_read(cluster, status.leader, &leader) ||
        leader.leader != status.leader)
        return false;
    for (unsigned i = 0; i < leader.count; i++)
        if (leader.members[i].id == cluster->node_id)
            return leader.members[i].index > status.last;
    return false;
}
