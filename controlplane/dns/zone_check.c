/* SPDX-License-Identifier: Apache-2.0 */
/* What the finished tree must hold. Everything wrong is reported, not only the first. */
#include <stdio.h>

#include "controlplane/dns/zone_internal.h"

/* The one that stands last in the file. */
static const struct rr *latest(const struct rrset *set)
{
    const struct rr *last = set->rr;

    for (uint32_t i = 1; i < set->count; i++) {
        if (set->rr[i].line > last->line)
            last = &set->rr[i];
    }
    return last;
}

static void check_rrset(struct zone *zone, const struct rrset *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct rr *rr = &set->rr[i];
        struct rdata_names names;

        if (!rdata_names(rr->type, rr_rdata(zone, rr), rr->rdlen, &names))
            zone_report(zone, rr, NULL, "the data does not have the form of its type");
        if (i && rr->rdlen == rr[-1].rdlen &&
            !memcmp(rr_rdata(zone, rr), rr_rdata(zone, rr - 1), rr->rdlen))
            zone_report(zone, rr, "remove one of them", "the same record occurs twice");
        /* Each RRSIG has the TTL of what it signs (RFC 4034 section 3). */
        if (i && rr->ttl != set->rr->ttl && rr->type != TYPE_RRSIG) {
            char hint[64];

            snprintf(hint, sizeof(hint), "%u as for the first of them (RFC 2181 section 5.2)",
                     set->rr->ttl);
            zone_report(zone, rr, hint, "TTL %u differs from that of the others of this type",
                        rr->ttl);
        }
    }
    if (set->count > 1 && (set->rr->type == TYPE_CNAME || set->rr->type == TYPE_DNAME))
        zone_report(zone, latest(set), "one", "more than one record of a type that stands alone");
}

static bool beside_cname(uint16_t type)
{
    return type == TYPE_CNAME || type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_KEY ||
           type == TYPE_SIG || type == TYPE_CHILD;
}

/* True if a name server of the cut has this name. */
static bool is_glue(const struct zone *zone, const struct node *node)
{
    struct rrset servers = node_rrset(zone, &zone->nodes[node->cut], TYPE_NS);
    struct name name = zone_name(zone, &node->name);

    for (uint32_t i = 0; i < servers.count; i++) {
        struct name_buffer target;

        if (rdata_target(zone, &servers.rr[i], &target) && !name_compare(&target.name, &name))
            return true;
    }
    return false;
}

/* At a cut and below it a zone holds NS, DS and glue (RFC 1034 section 4.2.1). */
static void check_delegated(struct zone *zone, const struct node *node, const struct rrset *set)
{
    uint16_t type = set->rr->type;

    if (type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3)
        return;
    if (node->flags & NODE_CUT && (type == TYPE_NS || type == TYPE_DS))
        return;
    if ((type == TYPE_A || type == TYPE_AAAA) && is_glue(zone, node))
        return;
    zone_report(zone, set->rr, "only NS, DS and addresses of the name servers may stand there",
                "the record is at or below a delegation and is never served");
}

static bool has_address(const struct zone *zone, const struct node *node)
{
    return node_rrset(zone, node, TYPE_A).count || node_rrset(zone, node, TYPE_AAAA).count;
}

/* A name server inside the zone needs an address there. One below another delegation has it
 * there, and a child zone of ours knows its own. */
static void check_server(struct zone *zone, const struct node *owner, const struct rr *rr)
{
    const struct node *node, *found;
    struct name_buffer target;
    char text[NAME_TEXT_MAX];

    if (!rdata_target(zone, rr, &target) || !name_is_within(&target.name, &zone->apex.name))
        return;
    node = zone_closest(zone, &target.name);
    if (node->flags & (NODE_CHILD | NODE_HIDDEN | NODE_DNAME))
        return;
    if (node->cut != UINT32_MAX && &zone->nodes[node->cut] != owner)
        return;
    found = zone_node(zone, &target.name);
    if (!found && zone_seek(zone, &target.name, &node) == SEEK_WILDCARD)
        found = node;
    if (found && has_address(zone, found))
        return;
    name_to_text(target.wire, text);
    if (found && node_rrset(zone, found, TYPE_CNAME).count)
        zone_report(zone, rr, "the name that has the addresses (RFC 2181 section 10.3)",
                    "the name server %s is an alias", text);
    else
        zone_report(zone, rr, "add an A or AAAA record for it",
                    "the name server %s has no address in the zone", text);
}

/* Follows a CNAME as far as it leads inside the zone. */
static void check_chain(struct zone *zone, const struct node *node, const struct rr *cname)
{
    const struct rr *rr = cname;
    const struct node *at = node;

    for (int hops = 0; rr; hops++) {
        struct name_buffer target;
        enum seek seek;

        if (hops == ZONE_CHAIN_MAX) {
            zone_report(zone, cname, "at most 16 aliases in a row, ending at other data",
                        "the alias is part of a loop or a chain that is too long");
            return;
        }
        if (!rdata_target(zone, rr, &target))
            return;
        seek = zone_seek(zone, &target.name, &at);
        if (seek != SEEK_NODE && seek != SEEK_WILDCARD)
            return;
        rr = node_rrset(zone, at, TYPE_CNAME).rr;
    }
}

static void check_place(struct zone *zone, const struct node *node, const struct rrset *set)
{
    const uint8_t *wire = zone->pool.data + node->name.wire;
    bool wildcard = wire[0] == 1 && wire[1] == '*';
    uint16_t type = set->rr->type;

    if (type == TYPE_SOA && !(node->flags & NODE_APEX))
        zone_report(zone, set->rr, "make it a zone of its own", "SOA below the zone's apex");
    if (type == TYPE_DS && !(node->flags & NODE_CUT))
        zone_report(zone, set->rr, "DS beside the NS records of a delegation",
                    "DS where nothing is delegated");
    if (wildcard && (type == TYPE_NS || type == TYPE_DNAME))
        zone_report(zone, set->rr, "name each delegation (RFC 4592 section 4.2)",
                    "a wildcard cannot be delegated or redirected");
    if (type == TYPE_DNAME)
        zone_report(zone, set->rr, "CNAME records for the names", "DNAME is not supported");
}

static void check_node(struct zone *zone, const struct node *node)
{
    struct rrset cname = node_rrset(zone, node, TYPE_CNAME);
    bool delegated = node->flags & (NODE_CUT | NODE_BELOW);
    unsigned types = 0;

    if (node->flags & (NODE_CHILD | NODE_HIDDEN))
        return;
    for (struct rrset set = node_next_rrset(zone, node, NULL); set.count;
         set = node_next_rrset(zone, node, &set)) {
        check_rrset(zone, &set);
        check_place(zone, node, &set);
        if (++types == FP_DNS_TYPES_MAX)
            zone_report(zone, set.rr, "at most 63", "too many record types at one name");
        if (cname.count && !delegated && !beside_cname(set.rr->type))
            zone_report(zone, set.rr, "remove the CNAME or this record (RFC 2181 section 10.1)",
                        "CNAME and other data at one name");
        if (delegated)
            check_delegated(zone, node, &set);
        if (set.rr->type != TYPE_NS || node->flags & NODE_BELOW)
            continue;
        for (uint32_t i = 0; i < set.count; i++)
            check_server(zone, node, &set.rr[i]);
    }
    if (cname.count && !delegated)
        check_chain(zone, node, cname.rr);
}

/* What doesn't fit an answer or an entry. Building a node is the exact test; only those that may
 * be too large are built here. */
static int check_size(struct zone *zone, const struct node *node)
{
    const struct node *at = node;
    size_t weight = 0;
    int error;

    for (int hops = 0; hops <= ZONE_CHAIN_MAX; hops++) {
        struct rrset cname = node_rrset(zone, at, TYPE_CNAME);
        struct name_buffer target;

        for (uint32_t i = at->first; i < at->first + at->count; i++)
            weight += 2u * NAME_WIRE_MAX + zone->rrs[i].rdlen;
        if (!cname.count || !rdata_target(zone, cname.rr, &target) ||
            zone_seek(zone, &target.name, &at) == SEEK_OUTSIDE)
            break;
    }
    if (weight < 32768)
        return 0;
    error = zone_node_size(zone, node);
    if (error != CULVERT_EFULL)
        return error;
    zone_report(zone, &zone->rrs[node->first], "at most 64 KiB a type and 512 KiB a name",
                "the name has too much data");
    return 0;
}

static void check_apex(struct zone *zone)
{
    struct rrset soa = {0}, servers = {0};
    struct name at;

    if (zone->nodes_count) {
        at = zone_name(zone, &zone->nodes[0].name);
        if (!name_compare(&at, &zone->apex.name)) {
            soa = node_rrset(zone, &zone->nodes[0], TYPE_SOA);
            servers = node_rrset(zone, &zone->nodes[0], TYPE_NS);
        }
    }
    if (!soa.count)
        zone_report(zone, NULL, "one SOA record at the apex", "the zone has no SOA record");
    if (soa.count > 1)
        zone_report(zone, latest(&soa), "one SOA record at the apex", "more than one SOA record");
    if (!servers.count)
        zone_report(zone, NULL, "NS records at the apex", "the zone has no NS record");
    zone->soa = (struct rr *)soa.rr;
}

int zone_check(struct zone *zone)
{
    int error = 0;

    check_apex(zone);
    for (uint32_t i = 0; i < zone->nodes_count; i++)
        check_node(zone, &zone->nodes[i]);
    for (uint32_t i = 0; i < zone->nodes_count && !zone->errors && !error; i++)
        error = check_size(zone, &zone->nodes[i]);
    return error;
}
