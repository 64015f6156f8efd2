/* SPDX-License-Identifier: Apache-2.0 */
/* From records to the tree of names: an array in canonical order. */
#include <stdlib.h>

#include "controlplane/dns/zone_internal.h"

static int compare_rrs(const void *a_, const void *b_, void *arg)
{
    const struct zone *zone = arg;
    const struct rr *a = a_, *b = b_;
    int order = 0;

    if (a->name.key != b->name.key) {
        struct name a_name = zone_name(zone, &a->name), b_name = zone_name(zone, &b->name);

        order = name_compare(&a_name, &b_name);
    }
    if (!order)
        order = (int)a->type - (int)b->type;
    if (!order)
        order =
            memcmp(rr_rdata(zone, a), rr_rdata(zone, b), a->rdlen < b->rdlen ? a->rdlen : b->rdlen);
    if (!order)
        order = (int)a->rdlen - (int)b->rdlen;
    if (!order && a->line != b->line)
        order = a->line < b->line ? -1 : 1; /* of two equal ones the later is at fault */
    return order;
}

static void sort_rrs(struct zone *zone)
{
    for (uint32_t i = 1; i < zone->rrs_count; i++) {
        if (compare_rrs(&zone->rrs[i - 1], &zone->rrs[i], zone) > 0) {
            qsort_r(zone->rrs, zone->rrs_count, sizeof(struct rr), compare_rrs, zone);
            return;
        }
    }
}

/* Other zones' apexes below ours become records of no type, so that their names are nodes. */
static int add_children(struct zone *zone)
{
    const struct zone_source *source = zone->source;

    for (size_t i = 0; i < source->apexes_count; i++) {
        struct rr rr = {.type = TYPE_CHILD};
        struct name_buffer name;
        int error;

        if (!name_from_text(&name, source->apexes[i]) ||
            name.name.labels <= zone->apex.name.labels ||
            !name_is_within(&name.name, &zone->apex.name))
            continue;
        error = zone_add(zone, &name.name, &rr, NULL);
        if (error)
            return error;
    }
    return 0;
}

static struct node *add_node(struct zone *zone)
{
    if (zone->nodes_count == zone->nodes_capacity) {
        uint32_t capacity = zone->nodes_capacity ? zone->nodes_capacity * 3 / 2 : 64;
        struct node *nodes = realloc(zone->nodes, capacity * sizeof(*nodes));

        if (!nodes)
            return NULL;
        zone->nodes = nodes;
        zone->nodes_capacity = capacity;
    }
    zone->nodes[zone->nodes_count] = (struct node){.cut = UINT32_MAX};
    return &zone->nodes[zone->nodes_count++];
}

/* Labels that two names share, counted from the root. */
static unsigned shared_labels(const struct name *a, const struct name *b)
{
    unsigned labels = 0;

    for (size_t i = 0; i < a->key_length && i < b->key_length && a->key[i] == b->key[i]; i++)
        labels += !a->key[i];
    return labels;
}

/* The pool's name of the last `labels` labels of a pool's name. */
static struct pool_name pool_suffix(const struct zone *zone, const struct pool_name *from,
                                    unsigned labels)
{
    struct name whole = zone_name(zone, from);
    struct name suffix = name_suffix(&whole, labels);

    return (struct pool_name){.wire = from->wire + (uint32_t)(suffix.wire - whole.wire),
                              .key = from->key,
                              .key_length = suffix.key_length,
                              .length = suffix.length,
                              .labels = suffix.labels};
}

/* What a node is by its parent and its own records. */
static void classify_node(struct zone *zone, struct node *node)
{
    struct node *parent = &zone->nodes[node->parent];
    uint32_t self = (uint32_t)(node - zone->nodes);
    const uint8_t *wire = zone->pool.data + node->name.wire;

    if (node == parent) {
        node->flags = NODE_APEX;
        return;
    }
    node->cut = parent->cut;
    if (parent->flags & (NODE_CUT | NODE_BELOW))
        node->flags |= NODE_BELOW;
    if (parent->flags & (NODE_CHILD | NODE_HIDDEN))
        node->flags |= NODE_HIDDEN;
    else if (node_rrset(zone, node, TYPE_CHILD).count)
        node->flags |= NODE_CHILD;
    if (!(node->flags & (NODE_BELOW | NODE_HIDDEN | NODE_CHILD)) &&
        node_rrset(zone, node, TYPE_NS).count) {
        node->flags |= NODE_CUT;
        node->cut = self;
    }
    if (node_rrset(zone, node, TYPE_DNAME).count)
        node->flags |= NODE_DNAME;
    if (wire[0] == 1 && wire[1] == '*' && !(node->flags & NODE_CHILD))
        parent->flags |= NODE_WILDCARD;
    if (node->flags & NODE_CHILD) {
        for (; parent->flags & NODE_BELOW; parent = &zone->nodes[parent->parent])
            parent->flags |= NODE_KEPT;
    }
}

/* Makes the nodes of one owner: those above it that are missing, and its own. */
static int add_owner(struct zone *zone, const struct pool_name *name, uint32_t first,
                     uint32_t count, uint32_t stack[128])
{
    unsigned apex = zone->apex.name.labels, from = apex;

    if (zone->nodes_count) {
        struct name last = zone_name(zone, &zone->nodes[zone->nodes_count - 1].name);
        struct name next = zone_name(zone, name);

        from = shared_labels(&last, &next) + 1;
    }
    for (unsigned labels = from; labels <= name->labels; labels++) {
        struct node *node = add_node(zone);

        if (!node)
            return CULVERT_ENOMEM;
        stack[labels] = (uint32_t)(node - zone->nodes);
        node->name = pool_suffix(zone, name, labels);
        node->parent = stack[labels > apex ? labels - 1 : apex];
        if (labels == name->labels) {
            node->first = first;
            node->count = count;
        }
        classify_node(zone, node);
    }
    return 0;
}

int zone_build(struct zone *zone)
{
    uint32_t stack[128] = {0};
    int error = add_children(zone);

    if (error)
        return error;
    sort_rrs(zone);
    for (uint32_t first = 0, end; first < zone->rrs_count; first = end) {
        struct name owner = zone_name(zone, &zone->rrs[first].name);

        for (end = first + 1; end < zone->rrs_count; end++) {
            struct name next = zone_name(zone, &zone->rrs[end].name);

            if (next.key_length != owner.key_length ||
                memcmp(next.key, owner.key, owner.key_length) != 0)
                break;
        }
        error = add_owner(zone, &zone->rrs[first].name, first, end - first, stack);
        if (error)
            return error;
    }
    return 0;
}

struct rrset node_next_rrset(const struct zone *zone, const struct node *node,
                             const struct rrset *previous)
{
    const struct rr *end = zone->rrs + node->first + node->count;
    struct rrset set = {.rr = previous && previous->rr ? previous->rr + previous->count
                                                       : zone->rrs + node->first};

    while (set.rr < end && set.rr->type == TYPE_CHILD)
        set.rr++;
    while (set.rr + set.count < end && set.rr[set.count].type == set.rr->type)
        set.count++;
    return set;
}

struct rrset node_rrset(const struct zone *zone, const struct node *node, uint16_t type)
{
    struct rrset set = {0};

    for (uint32_t i = node->first; i < node->first + node->count; i++) {
        if (zone->rrs[i].type != type)
            continue;
        if (!set.count++)
            set.rr = &zone->rrs[i];
    }
    return set;
}

const struct node *zone_node(const struct zone *zone, const struct name *name)
{
    uint32_t low = 0, high = zone->nodes_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct name there = zone_name(zone, &zone->nodes[middle].name);
        int order = name_compare(name, &there);

        if (!order)
            return &zone->nodes[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct node *zone_closest(const struct zone *zone, const struct name *name)
{
    const struct node *found;
    struct name at = *name;

    while (!(found = zone_node(zone, &at)))
        at = name_suffix(&at, at.labels - 1u); /* ends at the apex, which is a node */
    return found;
}

enum seek zone_seek(const struct zone *zone, const struct name *name, const struct node **node)
{
    struct name_buffer asterisk;
    const struct node *found;
    struct name at;
    uint8_t wire[NAME_WIRE_MAX];

    if (!name_is_within(name, &zone->apex.name))
        return SEEK_OUTSIDE;
    found = zone_closest(zone, name);
    at = zone_name(zone, &found->name);
    if (found->flags & (NODE_CUT | NODE_BELOW | NODE_CHILD | NODE_HIDDEN))
        return SEEK_OUTSIDE;
    *node = found;
    if (at.labels == name->labels)
        return SEEK_NODE;
    if (found->flags & NODE_DNAME)
        return SEEK_OUTSIDE; /* the client follows the redirection itself */
    if (!(found->flags & NODE_WILDCARD))
        return SEEK_NOTHING;
    /* The wildcard's name is no longer than the one that it stands for. */
    wire[0] = 1;
    wire[1] = '*';
    memcpy(wire + 2, at.wire, at.length);
    name_from_wire(&asterisk, wire, at.length + 2u);
    *node = zone_node(zone, &asterisk.name);
    return SEEK_WILDCARD;
}
