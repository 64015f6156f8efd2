/* SPDX-License-Identifier: Apache-2.0 */
/* The transport: where it listens, who the peers are. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define LISTEN_TICKS (5u * 1000 / CLUSTER_TICK_MS)

static bool is_any(const struct address *address)
{
    static const struct address any6;
    struct address any4;

    return address_equal(address, &any6) ||
           (!units_parse_address("0.0.0.0", &any4) && address_equal(address, &any4));
}

/* The first address of this machine that others may reach; IPv4 before IPv6. */
static bool own_address(struct address *out)
{
    struct ifaddrs *list, *one;
    bool some = false;

    if (getifaddrs(&list))
        return false;
    for (one = list; one; one = one->ifa_next) {
        struct endpoint endpoint;
        struct sockaddr_storage address = {0};
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;

        if ((family != AF_INET && family != AF_INET6) || one->ifa_flags & IFF_LOOPBACK ||
            !(one->ifa_flags & IFF_UP) || (some && family == AF_INET6))
            continue;
        memcpy(&address, one->ifa_addr,
               family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (family == AF_INET6 &&
            IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)&address)->sin6_addr))
            continue;
        endpoint_from_socket(&address, &endpoint);
        *out = endpoint.address;
        some = true;
        if (family == AF_INET)
            break;
    }
    freeifaddrs(list);
    return some;
}

/* Where others find this node. */
static int find_address(struct cluster *cluster, const char *advertise)
{
    struct endpoint endpoint = cluster->listen;

    cluster->address[0] = 0;
    if (advertise && units_parse_endpoint(advertise, &endpoint)) {
        log_error("--advertise takes an address and port such as 10.0.0.2:7480, not `%s`",
                  advertise);
        return CULVERT_EINVAL;
    }
    if (cluster->listens &&
        (advertise || !is_any(&endpoint.address) || own_address(&endpoint.address)))
        units_write_endpoint(&endpoint, cluster->address);
    return 0;
}

static int parse_addresses(struct cluster *cluster)
{
    const struct cluster_addresses *addresses = cluster->options.addresses;
    const char *listen = addresses->listen ? addresses->listen : CLUSTER_LISTEN;

    snprintf(cluster->name, sizeof(cluster->name), "%s",
             addresses->name ? addresses->name : cluster->options.host);
    cluster->listens = strcmp(listen, "none") != 0;
    if (cluster->listens && units_parse_endpoint(listen, &cluster->listen)) {
        log_error("--listen takes an address and port such as 10.0.0.2:7480, or none, not `%s`",
                  listen);
        return CULVERT_EINVAL;
    }
    return find_address(cluster, addresses->advertise);
}

/* Chunks of snapshots let others pass (core/message.h: version, kind). */
static bool is_bulk(const void *bytes, size_t length)
{
    return length > 1 && ((const uint8_t *)bytes)[1] == MESSAGE_CHUNK;
}

static void listen_again(struct cluster *cluster)
{
    int error;

    if (!cluster->listens || cluster->listening)
        return;
    error = transport_listen(cluster->transport, &cluster->listen);
    if (error && error != cluster->listen_error)
        log_error("no other node can reach this one: listening fails: %s", culvert_strerror(error));
    cluster->listen_error = error;
    cluster->listening = !error;
}

/* ---- peers ---- */

struct look {
    struct join_member *list;
    size_t count;
};

static int add_member(void *arg, const struct group_member *member)
{
    struct look *look = arg;
    struct join_member *to = &look->list[look->count];

    if (look->count < JOIN_MEMBERS_MAX && !units_parse_endpoint(member->address, &to->address)) {
        to->node = member->id;
        to->role = (uint8_t)member->role;
        look->count++;
    }
    return 0;
}

static bool has(const struct join_member *list, size_t count, uint64_t node)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].node == node)
            return true;
    return false;
}

bool cluster_net_address(struct cluster *cluster)
{
    if (!cluster->address[0])
        find_address(cluster, cluster->options.addresses->advertise);
    return cluster->address[0] != 0;
}

bool cluster_net_told(struct cluster *cluster)
{
    return cluster_net_address(cluster) &&
           has(cluster->peers, cluster->peer_count, cluster->node_id);
}

static void set_peers(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->peer_count; i++)
        if (cluster->peers[i].node != cluster->node_id)
            transport_peer_set(cluster->transport, cluster->peers[i].node,
                               &cluster->peers[i].address);
}

static bool same_peers(const struct cluster *cluster, const struct look *look)
{
    if (look->count != cluster->peer_count)
        return false;
    for (size_t i = 0; i < look->count; i++) {
        const struct join_member *x = &look->list[i], *y = &cluster->peers[i];

        if (x->node != y->node || x->role != y->role || x->address.port != y->address.port ||
            !address_equal(&x->address.address, &y->address.address))
            return false;
    }
    return true;
}

/* A node that has noted peers doesn't found its site again: the founding is on the disk first. */
static void note_peers(struct cluster *cluster)
{
    struct group_status status;

    if (!cluster->unnoted)
        return;
    group_status(cluster->group, &status);
    if (cluster->founds && !status.term_kept)
        return;
    cluster->unnoted = false;
    if (cluster_peers_save(cluster))
        log_warn("the addresses of the site's nodes can't be noted");
}

/* The members of the group are the peers, once it has any. */
static void follow_members(struct cluster *cluster)
{
    struct join_member list[JOIN_MEMBERS_MAX] = {0};
    struct look look = {.list = list};

    group_members(cluster->group, add_member, &look);
    if (!look.count || same_peers(cluster, &look))
        return;
    for (size_t i = 0; i < cluster->peer_count; i++)
        if (!has(list, look.count, cluster->peers[i].node))
            transport_peer_remove(cluster->transport, cluster->peers[i].node);
    memcpy(cluster->peers, list, sizeof(list));
    cluster->peer_count = look.count;
    set_peers(cluster);
    cluster->unnoted = true;
}

/* ---- this node was removed ---- */

struct refusals {
    unsigned others, refused, connected;
    uint64_t wanted;
};

static void count_peer(void *arg, const struct transport_peer *peer)
{
    struct refusals *count = arg;

    count->others++;
    count->connected += peer->connected && (!count->wanted || peer->node == count->wanted);
    count->refused += !peer->connected && peer->last == TRANSPORT_REFUSED &&
                      (peer->refused == TRANSPORT_STRANGER || peer->refused == TRANSPORT_REMOVED);
}

bool cluster_net_connected(struct cluster *cluster, uint64_t node)
{
    struct refusals count = {.wanted = node};

    transport_peers(cluster->transport, count_peer, &count);
    return count.connected;
}

struct problem {
    uint64_t node;
    char *text;
};

static void write_problem(void *arg, const struct transport_peer *peer)
{
    const struct problem *problem = arg;

    if (peer->node == problem->node && !peer->connected && peer->last)
        snprintf(problem->text, CLUSTER_TEXT, "%s%s%s", transport_reason_text(peer->last),
                 *peer->detail ? ": " : "", peer->detail);
}

void cluster_net_problem(struct cluster *cluster, uint64_t node, char text[CLUSTER_TEXT])
{
    struct problem problem = {.node = node, .text = text};

    text[0] = 0;
    transport_peers(cluster->transport, write_problem, &problem);
}

/* Most of the others say that it is no member, and none that it is. */
static void look_for_removal(struct cluster *cluster)
{
    struct refusals count = {0};
    struct group_status status;

    group_status(cluster->group, &status);
    transport_peers(cluster->transport, count_peer, &count);
    if (cluster->removed || !status.member || status.leader || count.connected ||
        count.refused * 2 <= count.others)
        return;
    cluster->removed = true;
    cluster_identity_removed(cluster);
    log_error("this node was removed from its site and ends; `culvert node rebuild` sets what it "
              "has aside");
    cluster->options.removed(cluster->options.arg);
}

void cluster_net_tick(struct cluster *cluster)
{
    if (cluster->ticks % LISTEN_TICKS == 0) {
        listen_again(cluster);
        cluster_net_address(cluster);
    }
    follow_members(cluster);
    note_peers(cluster);
    look_for_removal(cluster);
}

int cluster_net_open(struct cluster *cluster)
{
    struct transport_options options = {.identity = cluster->identity,
                                        .software = protocol_own.software,
                                        .version_min = protocol_own.min,
                                        .version_max = protocol_own.max,
                                        .report = cluster_health_write,
                                        .report_arg = cluster,
                                        .bulk = is_bulk,
                                        .join = cluster_admit,
                                        .join_arg = cluster};
    int error = parse_addresses(cluster);

    if (error)
        return error;
    if (cluster->address[0])
        snprintf(cluster->member, sizeof(cluster->member), "%s", cluster->address);
    else
        snprintf(cluster->member, sizeof(cluster->member), "%016" PRIx64, cluster->node_id);
    error = transport_new(&cluster->transport, cluster->options.loop, &options);
    if (error) {
        log_error("the transport: %s", culvert_strerror(error));
        return error;
    }
    set_peers(cluster);
    listen_again(cluster);
    return 0;
}
