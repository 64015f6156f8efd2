/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/nexthops.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/neighbour.h>

#include "controlplane/base/error.h"
#include "dataplane/kernel/gateways.h"
#include "dataplane/kernel/routes.h"

#define BACKENDS 65536u /* the slot capacity of kinds BACKEND and NEXTHOP */

/* One backend. Links and gateways are positions in their arrays; 0 is "none" in all of them
 * (backend 0 is never used). */
struct hop {
    uint8_t address[16];
    uint8_t source[16];
    uint32_t gateway;    /* its neighbour */
    uint32_t next, prev; /* others with the same neighbour */
    uint32_t mtu;
    const char *why; /* static text: why it has no next hop; NULL: it has one, or isn't asked yet */
    bool used, queued, seen;
    bool route_stale; /* ask for the route before anything else */
    bool onlink;
    bool published;
    bool inherited; /* published by a predecessor; the address is not known yet */
};

struct nexthops {
    struct tables *tables;
    struct rtnl *rtnl;
    const struct devices *devices;
    struct hop *hop;          /* [BACKENDS] */
    struct gateways gateways; /* no more than there are backends */
    uint32_t *queue;          /* [BACKENDS], a ring */
    uint32_t queue_head, queue_count;
    bool changed;
    struct nexthops_count count;
};

/* ---- gateways ---- */

static void hop_leave_gateway(struct nexthops *nexthops, uint32_t number)
{
    struct hop *hop = &nexthops->hop[number];
    uint32_t at = hop->gateway;

    if (!at)
        return;
    if (hop->prev)
        nexthops->hop[hop->prev].next = hop->next;
    else
        nexthops->gateways.all[at].first = hop->next;
    if (hop->next)
        nexthops->hop[hop->next].prev = hop->prev;
    hop->gateway = hop->next = hop->prev = 0;
    if (!nexthops->gateways.all[at].first)
        gateway_release(&nexthops->gateways, nexthops->rtnl, at);
}

static void hop_enter_gateway(struct nexthops *nexthops, uint32_t number, uint32_t at)
{
    struct hop *hop = &nexthops->hop[number];

    hop->gateway = at;
    hop->prev = 0;
    hop->next = nexthops->gateways.all[at].first;
    if (hop->next)
        nexthops->hop[hop->next].prev = number;
    nexthops->gateways.all[at].first = number;
}

/* ---- the queue ---- */

static void enqueue(struct nexthops *nexthops, uint32_t number)
{
    if (nexthops->hop[number].queued)
        return;
    nexthops->hop[number].queued = true;
    nexthops->queue[(nexthops->queue_head + nexthops->queue_count++) % BACKENDS] = number;
}

static void enqueue_gateway(struct nexthops *nexthops, uint32_t at)
{
    for (uint32_t number = nexthops->gateways.all[at].first; number;
         number = nexthops->hop[number].next)
        enqueue(nexthops, number);
}

/* ---- the table ---- */

static struct fp_key hop_key(uint32_t number)
{
    return (struct fp_key){.a = number, .kind = FP_KIND_NEXTHOP};
}

static void withdraw(struct nexthops *nexthops, uint32_t number, const char *why)
{
    struct hop *hop = &nexthops->hop[number];
    struct fp_key key = hop_key(number);

    if (hop->why != why)
        nexthops->changed = true;
    hop->why = why;
    if (!hop->published)
        return;
    hop->published = false;
    nexthops->count.resolved--;
    tables_delete_local(nexthops->tables, &key);
}

static void publish(struct nexthops *nexthops, uint32_t number, const struct fp_nexthop *body)
{
    struct hop *hop = &nexthops->hop[number];
    struct fp_key key = hop_key(number);
    size_t length = 0;
    const void *old = tables_get(nexthops->tables, &key, &length);
    int error = 0;

    if (!old || length != sizeof(*body) || memcmp(old, body, sizeof(*body)) != 0)
        error = tables_put_local(nexthops->tables, &key, body, sizeof(*body));
    nexthops->count.error = error;
    if (error) {
        withdraw(nexthops, number, "the region is full");
        return;
    }
    nexthops->changed |= !hop->published || hop->why;
    nexthops->count.resolved += !hop->published;
    hop->published = true;
    hop->why = NULL;
}

/* ---- one backend's work ---- */

/* Asks for the route; false: there is none. */
static bool hop_find_route(struct nexthops *nexthops, uint32_t number)
{
    struct hop *hop = &nexthops->hop[number];
    struct route route;
    const char *why;
    uint32_t at;

    hop->route_stale = false;
    if (route_find(nexthops->rtnl, hop->address, &route, &why)) {
        hop_leave_gateway(nexthops, number);
        withdraw(nexthops, number, why);
        return false;
    }
    memcpy(hop->source, route.source, sizeof(hop->source));
    hop->mtu = route.mtu;
    hop->onlink = route.onlink;
    at = gateway_make(&nexthops->gateways, route.ifindex, route.gateway);
    if (at == hop->gateway)
        return true;
    if (hop->gateway) /* another way: the old one leads astray */
        withdraw(nexthops, number, "the neighbour is being asked");
    hop_leave_gateway(nexthops, number);
    hop_enter_gateway(nexthops, number, at);
    return true;
}

static void hop_work(struct nexthops *nexthops, uint32_t number)
{
    struct hop *hop = &nexthops->hop[number];
    struct gateway *gateway;
    struct fp_nexthop body;
    struct route route = {.mtu = hop->mtu};
    const char *why;

    if (!hop->used || (hop->route_stale && !hop_find_route(nexthops, number)) || !hop->gateway)
        return;
    gateway = &nexthops->gateways.all[hop->gateway];
    if (gateway->stale)
        gateway_refresh(gateway, nexthops->rtnl);
    route.ifindex = gateway->ifindex;
    route.mtu = hop->mtu;
    route.onlink = hop->onlink;
    memcpy(route.source, hop->source, sizeof(route.source));
    if (nexthop_compose(nexthops->devices, &route, gateway->neighbour.mac, &body, &why))
        withdraw(nexthops, number, why);
    else if (neighbour_is_usable(&gateway->neighbour))
        publish(nexthops, number, &body);
    else if (gateway->lost || (gateway->neighbour.state & NUD_FAILED))
        withdraw(nexthops, number, "the neighbour does not answer");
    else if (!hop->published)
        withdraw(nexthops, number, "the neighbour is being asked");
}

bool nexthops_work(struct nexthops *nexthops, size_t budget)
{
    while (budget-- && nexthops->queue_count) {
        uint32_t number = nexthops->queue[nexthops->queue_head];

        nexthops->queue_head = (nexthops->queue_head + 1) % BACKENDS;
        nexthops->queue_count--;
        nexthops->hop[number].queued = false;
        hop_work(nexthops, number);
    }
    return nexthops->queue_count > 0;
}

bool nexthops_idle(const struct nexthops *nexthops)
{
    return nexthops->queue_count == 0;
}

/* ---- what the tables say ---- */

static void hop_take(struct nexthops *nexthops, uint32_t number, const uint8_t address[16])
{
    struct hop *hop = &nexthops->hop[number];

    hop->seen = true;
    if (hop->used && memcmp(hop->address, address, 16) == 0)
        return;
    if (!hop->used) {
        nexthops->count.backends++;
        nexthops->changed = true;
    } else if (!hop->inherited) {
        hop_leave_gateway(nexthops, number);
        withdraw(nexthops, number, "the route is being asked");
    }
    hop->used = true;
    hop->inherited = false;
    hop->route_stale = true;
    memcpy(hop->address, address, sizeof(hop->address));
    enqueue(nexthops, number);
}

static void hop_forget(struct nexthops *nexthops, uint32_t number)
{
    struct hop *hop = &nexthops->hop[number];
    bool queued = hop->queued;

    hop_leave_gateway(nexthops, number);
    withdraw(nexthops, number, NULL);
    memset(hop, 0, sizeof(*hop));
    hop->queued = queued; /* its place in the ring stays until its turn */
    nexthops->count.backends--;
    nexthops->changed = true;
}

static int take_backend(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    const struct fp_backend *backend = body;

    if (length >= sizeof(*backend) && key->a && key->a < BACKENDS)
        hop_take(arg, (uint32_t)key->a, backend->address);
    return 0;
}

void nexthops_sync(struct nexthops *nexthops)
{
    for (uint32_t number = 1; number < BACKENDS; number++)
        nexthops->hop[number].seen = false;
    tables_each(nexthops->tables, FP_KIND_BACKEND, take_backend, nexthops);
    for (uint32_t number = 1; number < BACKENDS; number++) {
        if (nexthops->hop[number].used && !nexthops->hop[number].seen)
            hop_forget(nexthops, number);
    }
}

/* ---- what the kernel says ---- */

static bool prefix_covers(const uint8_t prefix[16], unsigned bits, const uint8_t address[16])
{
    unsigned bytes = bits / 8;

    if (memcmp(prefix, address, bytes) != 0)
        return false;
    return bits % 8 == 0 || ((prefix[bytes] ^ address[bytes]) & (0xff00u >> (bits % 8))) == 0;
}

static void take_route_event(struct nexthops *nexthops, const struct nlmsghdr *message)
{
    const struct rtmsg *info = NLMSG_DATA(message);
    const struct rtattr *at[RTA_DST + 1];
    uint8_t prefix[16] = {0};
    unsigned bits;

    if (!rtnl_attributes(message, sizeof(*info), at, RTA_DST) || (info->rtm_flags & RTM_F_CLONED))
        return;
    if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6)
        return;
    bits = info->rtm_dst_len;
    if (info->rtm_family == AF_INET) {
        bits += 96;
        prefix[10] = prefix[11] = 0xff;
    }
    if (bits > 128)
        return;
    rtnl_address(at[RTA_DST], prefix);
    for (uint32_t number = 1; number < BACKENDS; number++) {
        struct hop *hop = &nexthops->hop[number];

        if (hop->used && prefix_covers(prefix, bits, hop->address)) {
            hop->route_stale = true;
            enqueue(nexthops, number);
        }
    }
}

static void take_neighbour_event(struct nexthops *nexthops, const struct nlmsghdr *message)
{
    struct neighbour neighbour;
    struct gateway *gateway;
    uint8_t address[16];
    uint32_t ifindex;
    uint32_t at;

    if (!neighbour_parse(message, &ifindex, address, &neighbour))
        return;
    at = gateway_find(&nexthops->gateways, ifindex, address);
    if (!at)
        return;
    gateway = &nexthops->gateways.all[at];
    if (message->nlmsg_type == RTM_DELNEIGH)
        gateway->stale = true; /* someone took it away: ask anew */
    gateway->lost = message->nlmsg_type == RTM_DELNEIGH || (neighbour.state & NUD_FAILED);
    gateway->neighbour = neighbour;
    enqueue_gateway(nexthops, at);
}

void nexthops_event(struct nexthops *nexthops, const struct nlmsghdr *message)
{
    switch (message->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
        take_neighbour_event(nexthops, message);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        take_route_event(nexthops, message);
        break;
    default:
        break;
    }
}

void nexthops_refresh(struct nexthops *nexthops)
{
    for (uint32_t number = 1; number < BACKENDS; number++) {
        struct hop *hop = &nexthops->hop[number];

        if (!hop->used)
            continue;
        hop->route_stale = true;
        if (hop->gateway)
            nexthops->gateways.all[hop->gateway].stale = true;
        enqueue(nexthops, number);
    }
}

/* ---- life ---- */

/* Entries that a predecessor left: taken as published, so that they are withdrawn when the kernel
 * says that the way is gone, or when their backend is. */
static int take_published(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct nexthops *nexthops = arg;

    (void)body;
    (void)length;
    if (key->a && key->a < BACKENDS) {
        nexthops->hop[key->a].published = true;
        nexthops->hop[key->a].used = true;
        nexthops->hop[key->a].inherited = true;
        nexthops->count.resolved++;
        nexthops->count.backends++;
    }
    return 0;
}

int nexthops_new(struct nexthops **out, struct tables *tables, struct rtnl *rtnl,
                 const struct devices *devices)
{
    struct nexthops *nexthops = calloc(1, sizeof(*nexthops));

    *out = NULL;
    if (!nexthops)
        return CULVERT_ENOMEM;
    nexthops->tables = tables;
    nexthops->rtnl = rtnl;
    nexthops->devices = devices;
    nexthops->hop = calloc(BACKENDS, sizeof(*nexthops->hop));
    nexthops->queue = calloc(BACKENDS, sizeof(*nexthops->queue));
    if (!nexthops->hop || !nexthops->queue || gateways_init(&nexthops->gateways, BACKENDS)) {
        nexthops_free(nexthops);
        return CULVERT_ENOMEM;
    }
    nexthops->changed = true;
    tables_each(tables, FP_KIND_NEXTHOP, take_published, nexthops);
    *out = nexthops;
    return 0;
}

void nexthops_free(struct nexthops *nexthops)
{
    if (!nexthops)
        return;
    free(nexthops->hop);
    gateways_free(&nexthops->gateways);
    free(nexthops->queue);
    free(nexthops);
}

/* ---- status ---- */

bool nexthops_take_changed(struct nexthops *nexthops)
{
    bool changed = nexthops->changed;

    nexthops->changed = false;
    return changed;
}

void nexthops_count(const struct nexthops *nexthops, struct nexthops_count *count)
{
    *count = nexthops->count;
}

void nexthops_unresolved(const struct nexthops *nexthops, size_t max, nexthops_each_fn each,
                         void *arg)
{
    for (uint32_t number = 1; number < BACKENDS && max; number++) {
        const struct hop *hop = &nexthops->hop[number];

        if (!hop->used || hop->published)
            continue;
        each(arg, number, hop->address, hop->why ? hop->why : "the route is being asked");
        max--;
    }
}
