/* SPDX-License-Identifier: Apache-2.0 */
/* From the checked tree to table entries. */
#include "controlplane/dns/zone_body.h"
#include "controlplane/dns/zone_key.h"
#include "dataplane/fastpath/reasons.h"

/* Where entries go, and what of them is counted. */
struct sink {
    zone_emit_fn emit;
    void *arg;
    struct zone_stats *stats;
    const uint64_t *dns_key;
};

static int put_entry(struct sink *sink, const struct fp_key *key, const void *data, size_t length)
{
    sink->stats->entries++;
    sink->stats->bytes += length;
    return sink->emit ? sink->emit(sink->arg, key, data, length) : 0;
}

static int put_node(struct sink *sink, const struct name *name, uint32_t side, const uint8_t *data,
                    size_t length)
{
    struct fp_key key = zone_key(name, side, sink->dns_key);

    return put_entry(sink, &key, data, length);
}

/* The negative answer that all names of the zone share. */
static int put_zone(struct sink *sink, const struct zone *zone, struct body *body)
{
    struct fp_key key = {.a = zone->source->number, .kind = FP_KIND_ZONE};
    struct fp_dns_zone head = {.name_length = zone->apex.name.length};
    size_t at = offsetof(struct fp_dns_zone, negative);

    answer_begin(&body->answer, zone, &zone->apex.name, ANSWER_BELOW);
    answer_add_soa(&body->answer);
    memcpy(body->data, &head, at);
    at += answer_end(&body->answer, FP_DNS_AA, FP_DNS_NODATA, body->data + at);
    return put_entry(sink, &key, body->data, at);
}

/* The entry of one node, if it has one. */
static int put_tree_node(struct sink *sink, const struct zone *zone, const struct node *node,
                         struct body *body)
{
    struct name name = zone_name(zone, &node->name);
    const uint8_t *data = NULL;
    uint32_t side = FP_DNS_KEY_NODE;
    size_t length;

    if (node->flags & NODE_HIDDEN)
        return 0;
    if (node->flags & NODE_BELOW && (node->flags & NODE_CHILD || !(node->flags & NODE_KEPT)))
        return 0;
    if (node->flags & NODE_CHILD) {
        side = FP_DNS_KEY_PARENT;
        length = body_build_parent(body, zone, node, &data);
    } else {
        length = body_build(body, zone, node, &data);
        if (sink->stats->max_labels < name.labels)
            sink->stats->max_labels = name.labels;
        sink->stats->names++;
    }
    return length ? put_node(sink, &name, side, data, length) : CULVERT_EFULL;
}

int zone_emit(struct zone *zone, zone_emit_fn emit, void *arg, struct zone_stats *stats)
{
    struct sink sink = {.emit = emit, .arg = arg, .stats = stats, .dns_key = zone->source->dns_key};
    struct body *body = body_new();
    int error;

    if (!body)
        return CULVERT_ENOMEM;
    error = put_zone(&sink, zone, body);
    for (uint32_t i = 0; i < zone->nodes_count && !error; i++)
        error = put_tree_node(&sink, zone, &zone->nodes[i], body);
    body_free(body);
    return error;
}

int zone_node_size(struct zone *zone, const struct node *node)
{
    struct body *body = body_new();
    const uint8_t *data;
    size_t length;

    if (!body)
        return CULVERT_ENOMEM;
    length = node->flags & (NODE_CHILD | NODE_HIDDEN) ? 1 : body_build(body, zone, node, &data);
    body_free(body);
    return length ? 0 : CULVERT_EFULL;
}
