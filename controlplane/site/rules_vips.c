/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about addresses and ports that meet. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/errors.h"
#include "controlplane/site/rules.h"

/* An address (with a port: 0 is all of them) that a node names. */
struct place {
    struct address address;
    uint32_t port;                 /* protocol << 16 | port; prefixes: the length */
    const struct site_node *node;  /* where an error is shown */
    const struct site_node *owner; /* whose it is */
};

struct places {
    struct place *list;
    size_t count, capacity;
    bool no_memory;
};

static void place_add(struct places *places, const struct address *address, uint32_t port,
                      const struct site_node *node, const struct site_node *owner)
{
    if (places->count == places->capacity) {
        size_t capacity = places->capacity ? 2 * places->capacity : 256;
        struct place *list = realloc(places->list, capacity * sizeof(*list));

        if (!list) {
            places->no_memory = true;
            return;
        }
        places->list = list;
        places->capacity = capacity;
    }
    places->list[places->count++] =
        (struct place){.address = *address, .port = port, .node = node, .owner = owner};
}

static unsigned order_of(const struct site_node *node)
{
    while (!node->line && node->parent)
        node = node->parent;
    return node->line;
}

static int place_compare(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    int order = memcmp(&a->address, &b->address, sizeof(a->address));

    if (order)
        return order;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    if (order_of(a->node) != order_of(b->node))
        return order_of(a->node) < order_of(b->node) ? -1 : 1;
    return a->node->column < b->node->column ? -1 : a->node->column > b->node->column;
}

static void places_sort(struct places *places)
{
    if (places->count > 1)
        qsort(places->list, places->count, sizeof(*places->list), place_compare);
}

/* The first place with an address, NULL: none. */
static const struct place *place_find(const struct places *places, const struct address *address)
{
    size_t low = 0, high = places->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&places->list[middle].address, address, sizeof(*address)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < places->count && address_equal(&places->list[low].address, address)
               ? &places->list[low]
               : NULL;
}

static uint32_t vip_protocol(const struct site_node *vip)
{
    const struct site_node *protocol = node_field(vip, VIP_PROTOCOL);

    return (protocol && protocol->number == PROTOCOL_UDP ? 17u : 6u) << 16;
}

static bool vip_is(const struct site_node *vip, enum mode_word word)
{
    const struct site_node *mode = node_field(vip, VIP_MODE);

    return mode && mode->number == word;
}

/* Adds `address` once for every port of a virtual IP, or with the port that its backends have. */
static void ports_add(struct places *places, const struct address *address,
                      const struct site_node *vip, const struct site_node *node, bool backend)
{
    const struct site_node *ports = node_field(vip, VIP_PORTS), *port = node_field(vip, VIP_PORT);
    uint32_t protocol = vip_protocol(vip);

    if (!ports)
        return;
    if (backend && port) {
        place_add(places, address, protocol | (uint32_t)port->number, node, vip);
        return;
    }
    if (ports->kind == NODE_SCALAR) {
        place_add(places, address, protocol, node ? node : ports, vip);
        return;
    }
    NODE_EACH(one, ports)
    place_add(places, address, protocol | (uint32_t)one->number, node ? node : one, vip);
}

static void vips_twice(struct rules *rules, const struct places *vips)
{
    for (size_t i = 1; i < vips->count; i++) {
        const struct place *place = &vips->list[i], *first = place - 1;
        char text[UNITS_TEXT];

        if (!address_equal(&place->address, &first->address) || place->port != first->port)
            continue;
        units_write_address(&place->address, text);
        if (place->owner == first->owner)
            node_error(&rules->report, place->node, "keep one of them",
                       "port %u is in the list twice", place->port & 0xffff);
        else if (!(place->port & 0xffff))
            node_error(&rules->report, place->node, "take another address or protocol",
                       "all ports of %s are those of vips.%s already", text, first->owner->key);
        else
            node_error(&rules->report, place->node, "take another address, protocol or port",
                       "port %u of %s is that of vips.%s already", place->port & 0xffff, text,
                       first->owner->key);
    }
}

static void vip_port_check(struct rules *rules, const struct site_node *vip)
{
    const struct site_node *port = node_field(vip, VIP_PORT), *ports = node_field(vip, VIP_PORTS);

    if (!port)
        return;
    if (node_field(vip, VIP_MODE) && !vip_is(vip, MODE_NAT))
        node_error_at_key(&rules->report, port, "take it out, or set mode: nat",
                          "only mode nat changes ports");
    else if (ports && (ports->kind == NODE_SCALAR || ports->count > 1))
        node_error_at_key(&rules->report, port, "one virtual IP for each port",
                          "several ports to one: the way back would be ambiguous");
}

static void vip_backends_check(struct rules *rules, const struct site_node *vip,
                               const struct places *vips, struct places *nats)
{
    const struct site_node *address = node_field(vip, VIP_ADDRESS);
    const struct site_node *pool = node_field(vip, VIP_POOL);
    bool same_family = vip_is(vip, MODE_DSR_L2) || vip_is(vip, MODE_NAT);

    NODE_EACH(backend, node_field(reference_target(rules->root, pool), POOL_BACKENDS))
    {
        const struct site_node *to = node_field(backend, BACKEND_ADDRESS);

        if (!to)
            continue;
        if (address && same_family &&
            address_is_v4(&to->address) != address_is_v4(&address->address)) {
            node_error(&rules->report, pool, "dsr-ipip can carry one in the other",
                       "mode %s needs backends of the virtual IP's family: %s.%s has %s",
                       node_field(vip, VIP_MODE)->text, pool->text, backend->key, to->text);
            break;
        }
        if (vip_is(vip, MODE_NAT) && !place_find(vips, &to->address))
            ports_add(nats, &to->address, vip, to, true);
    }
}

/* Sorted by address, then protocol and port; all ports (0) of a protocol come before the others. */
static void nats_check(struct rules *rules, const struct places *nats)
{
    const struct place *all = NULL;

    for (size_t i = 0; i < nats->count; i++) {
        const struct place *place = &nats->list[i], *first = i ? place - 1 : NULL;

        if (first && address_equal(&place->address, &first->address)) {
            if (place->port != first->port)
                first = all && all->port == (place->port & ~0xffffu) ? all : NULL;
        } else {
            first = all = NULL;
        }
        if (!(place->port & 0xffff))
            all = place;
        if (first && first->owner != place->owner)
            node_error(&rules->report, node_field(place->owner, VIP_POOL),
                       "other backends, or another mode for one of them",
                       "%s, port %u, is behind vips.%s and vips.%s: the way back of nat would be "
                       "ambiguous",
                       place->node->text, place->port & 0xffff, first->owner->key,
                       place->owner->key);
    }
}

/* A packet to a backend that is a virtual IP would come back to us. */
static void backends_check(struct rules *rules, const struct places *vips)
{
    NODE_EACH(pool, node_field(rules->root, ROOT_POOLS))
    {
        NODE_EACH(backend, node_field(pool, POOL_BACKENDS))
        {
            const struct site_node *address = node_field(backend, BACKEND_ADDRESS);
            const struct place *vip = address ? place_find(vips, &address->address) : NULL;

            if (vip)
                node_error(&rules->report, address, "give the backend's own address",
                           "it is the address of vips.%s", vip->owner->key);
        }
    }
}

static void listen_check(struct rules *rules, const struct places *vips)
{
    const struct site_node *dns = node_field(rules->root, ROOT_DNS);
    const struct place *end = vips->count ? vips->list + vips->count : NULL;

    NODE_EACH(listen, node_field(dns, DNS_LISTEN))
    {
        const struct place *vip = place_find(vips, &listen->address);

        for (; vip && vip < end && address_equal(&vip->address, &listen->address); vip++) {
            uint32_t port = vip->port & 0xffff;

            if (port != 53 && port)
                continue;
            node_error(&rules->report, listen, "another address for one of them",
                       "%s of this address is that of vips.%s", port ? "port 53" : "every port",
                       vip->owner->key);
            break;
        }
    }
}

static void prefixes_check(struct rules *rules, const struct places *prefixes)
{
    for (size_t i = 1; i < prefixes->count; i++) {
        const struct place *place = &prefixes->list[i], *first = place - 1;

        if (address_equal(&place->address, &first->address) && place->port == first->port)
            node_error(&rules->report, place->node, "keep one of them",
                       "%s has a rule already, in line %u", place->node->text, first->node->line);
    }
}

int rules_vips_check(struct rules *rules)
{
    struct places vips = {0}, nats = {0}, prefixes = {0};
    const struct site_node *all = node_field(rules->root, ROOT_VIPS);
    bool no_memory;

    NODE_EACH(vip, all)
    {
        const struct site_node *address = node_field(vip, VIP_ADDRESS);

        if (address)
            ports_add(&vips, &address->address, vip, NULL, false);
    }
    places_sort(&vips);
    vips_twice(rules, &vips);
    NODE_EACH(vip, all)
    {
        vip_port_check(rules, vip);
        vip_backends_check(rules, vip, &vips, &nats);
    }
    places_sort(&nats);
    nats_check(rules, &nats);
    backends_check(rules, &vips);
    listen_check(rules, &vips);
    NODE_EACH(rule, node_field(rules->root, ROOT_ACCESS))
    for (unsigned i = 0; i < ACCESS_FIELDS; i++)
        if (node_field(rule, i))
            place_add(&prefixes, &rule->child[i]->address, rule->child[i]->length, rule->child[i],
                      rule);
    places_sort(&prefixes);
    prefixes_check(rules, &prefixes);
    no_memory = vips.no_memory || nats.no_memory || prefixes.no_memory;
    free(vips.list);
    free(nats.list);
    free(prefixes.list);
    return no_memory ? CULVERT_ENOMEM : 0;
}
