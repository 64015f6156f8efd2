/* SPDX-License-Identifier: Apache-2.0 */
/* What no single field tells: references, what goes together, capacities. */
#include "controlplane/site/rules.h"

#include <string.h>

#include "controlplane/base/suggest.h"
#include "controlplane/site/errors.h"

static void reference_resolve(struct rules *rules, const struct site_node *node)
{
    static const char *const kinds[] = {[ROOT_POOLS] = "pool", [ROOT_LIMITS] = "limit"};
    int section = node->schema->target;
    const struct site_node *resources = node_field(rules->root, (unsigned)section);
    const struct site_node *target = reference_target(rules->root, node);
    struct buffer hint = {0};
    const char *near = NULL;
    unsigned listed = 0;

    if (target)
        return;
    NODE_EACH(resource, resources)
    near = suggest_better(node->text, near, resource->key);
    if (near)
        buffer_format(&hint, "did you mean \"%s\"?", near);
    else if (!resources || !resources->count)
        buffer_format(&hint, "there are no %ss in this site", kinds[section]);
    else
        buffer_text(&hint, "there are: ");
    NODE_EACH(resource, near ? NULL : resources)
    if (listed++ < 8)
        buffer_format(&hint, "%s%s", listed > 1 ? ", " : "", resource->key);
    if (listed > 8)
        buffer_text(&hint, ", ...");
    node_error(&rules->report, node, hint.data, "no %s \"%s\"", kinds[section], node->text);
    buffer_free(&hint);
}

static void references_resolve(struct rules *rules, const struct site_node *node)
{
    if (node->kind == NODE_SCALAR) {
        if (node->schema->type == SCHEMA_REFERENCE)
            reference_resolve(rules, node);
        return;
    }
    for (uint32_t i = 0; i < node->count; i++)
        if (node->child[i])
            references_resolve(rules, node->child[i]);
}

/* The same value twice in a short list. */
static void list_twice(struct rules *rules, const struct site_node *list)
{
    for (uint32_t i = 0; list && i < list->count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(list->child[i]->text, list->child[j]->text)) {
                node_error(&rules->report, list->child[i], "keep one of them",
                           "\"%s\" is in the list twice", list->child[i]->text);
                break;
            }
}

/* What DPDK calls a device: its text up to the arguments. */
static size_t device_name_length(const struct site_node *device)
{
    return strcspn(device->text, ",");
}

static void devices_check(struct rules *rules, const struct site_node *interfaces)
{
    if (!interfaces || interfaces->count > FP_SLOTS_INTERFACE)
        return; /* too many to compare, which is an error of its own */
    for (uint32_t i = 0; i < interfaces->count; i++) {
        const struct site_node *device = node_field(interfaces->child[i], INTERFACE_DEVICE);
        size_t length = device ? device_name_length(device) : 0;

        for (uint32_t j = 0; device && j < i; j++) {
            const struct site_node *other = node_field(interfaces->child[j], INTERFACE_DEVICE);

            if (!other || device_name_length(other) != length ||
                strncmp(device->text, other->text, length) != 0)
                continue;
            node_error(&rules->report, device, "take one device for each interface",
                       "the interfaces \"%s\" and \"%s\" have the same device %.*s",
                       interfaces->child[j]->key, interfaces->child[i]->key, (int)length,
                       device->text);
            break;
        }
    }
}

/* A core that polls has no time for anything else, unless that is what is wanted. */
static void dpdk_check(struct rules *rules, const struct site_node *dpdk)
{
    const struct site_node *cores = node_field(dpdk, DPDK_CORES);
    const struct site_node *main_core = node_field(dpdk, DPDK_MAIN_CORE);
    const struct site_node *share = node_field(dpdk, DPDK_SHARE_MAIN_CORE);

    list_twice(rules, cores);
    if (!main_core || (share && share->number))
        return;
    NODE_EACH(core, cores)
    if (core->number == main_core->number) {
        node_error(&rules->report, main_core, "take another core, or say \"share-main-core: true\"",
                   "core %s is one of the cores that poll", main_core->text);
        return;
    }
}

static void pool_check(struct rules *rules, const struct site_node *pool)
{
    const struct site_node *buckets = node_field(pool, POOL_BUCKETS);
    const struct site_node *backends = node_field(pool, POOL_BACKENDS);
    char hint[64];
    uint64_t near = 64;

    if (!buckets)
        return;
    if (buckets->number & (buckets->number - 1)) {
        while (near * 2 <= buckets->number)
            near *= 2;
        snprintf(hint, sizeof(hint), "%llu or %llu", (unsigned long long)near,
                 (unsigned long long)near * 2);
        node_error(&rules->report, buckets, hint, "%s is not a power of two", buckets->text);
    } else if (backends && backends->count > buckets->number) {
        node_error(&rules->report, buckets, "take more, or leave it out",
                   "fewer buckets than the pool's %u backends", backends->count);
    }
}

static void limit_check(struct rules *rules, const struct site_node *limit)
{
    const struct site_node *per = node_field(limit, LIMIT_PER);
    const struct site_node *per6 = node_field(limit, LIMIT_PER6);
    const struct site_node *packets = node_field(limit, LIMIT_PACKETS);
    const struct site_node *bytes = node_field(limit, LIMIT_BYTES);
    const struct site_node *burst = node_field(limit, LIMIT_BURST);
    const struct site_node *burst_bytes = node_field(limit, LIMIT_BURST_BYTES);

    if (!packets && !bytes && !limit->bad)
        node_error_at_key(&rules->report, limit, "packets: 10k/s, or bytes: 10M/s, or both",
                          "it limits nothing");
    if (burst && !packets && !limit->bad)
        node_error_at_key(&rules->report, burst, "say packets too, or take it out",
                          "a burst of no rate");
    if (burst_bytes && !bytes && !limit->bad)
        node_error_at_key(&rules->report, burst_bytes, "say bytes too, or take it out",
                          "a burst of no rate");
    if (per && per6 && per->number == SOURCE_VIP)
        node_error_at_key(&rules->report, per6, "take it out: the whole virtual IP is one source",
                          "it doesn't go with \"per: vip\"");
}

static void access_check(struct rules *rules, const struct site_node *access)
{
    NODE_EACH(rule, access)
    {
        const struct site_node *allow = node_field(rule, ACCESS_ALLOW);
        const struct site_node *deny = node_field(rule, ACCESS_DENY);

        if (!rule->bad && !allow == !deny)
            node_error(&rules->report, rule, "{ allow: PREFIX } or { deny: PREFIX }",
                       allow ? "both allow and deny" : "neither allow nor deny");
    }
}

static void record_check(struct rules *rules, const struct site_node *record)
{
    const struct site_node *pool = node_field(record, RECORD_POOL);

    for (uint32_t i = RECORD_FIELDS; pool && i < record->count; i++) {
        const char *type = record->child[i]->key;

        if (!strcmp(type, "A") || !strcmp(type, "AAAA") || !strcmp(type, "CNAME"))
            node_error_at_key(&rules->report, record->child[i], "keep the pool or the addresses",
                              "it doesn't go with the addresses of a pool");
    }
    if (!pool && record->count == RECORD_FIELDS && !record->bad)
        node_error_at_key(&rules->report, record, "pool: POOL, or a type: A: 192.0.2.1",
                          "no records for this name");
}

static void zone_check(struct rules *rules, const struct site_node *zone)
{
    const struct site_node *file = node_field(zone, ZONE_FILE);
    const struct site_node *soa = node_field(zone, ZONE_SOA);

    if (!file && !soa && !zone->bad)
        node_error_at_key(&rules->report, zone, "file: NAME, or soa: { mname: ..., rname: ... }",
                          "neither a zone file nor a SOA");
    if (file && soa)
        node_error_at_key(&rules->report, soa, "take one of them out", "the zone file has the SOA");
    NODE_EACH(record, node_field(zone, ZONE_RECORDS))
    record_check(rules, record);
}

static void capacity_check(struct rules *rules, unsigned field, uint64_t most)
{
    const struct site_node *section = node_field(rules->root, field);
    char hint[48];

    if (!section || section->count <= most)
        return;
    snprintf(hint, sizeof(hint), "at most %llu", (unsigned long long)most);
    node_error_at_key(&rules->report, section, hint, "%u of them are more than the tables hold",
                      section->count);
}

#define KIND_CAPACITY(name, number, slots, text) [number] = (slots),
static void capacities_check(struct rules *rules)
{
    static const uint32_t slots[] = {FP_KINDS(KIND_CAPACITY)};
    const struct site_node *pools = node_field(rules->root, ROOT_POOLS);
    uint64_t backends = 0;

    capacity_check(rules, ROOT_INTERFACES, slots[FP_KIND_INTERFACE]);
    capacity_check(rules, ROOT_POOLS, slots[FP_KIND_POOL]);
    capacity_check(rules, ROOT_LIMITS, slots[FP_KIND_LIMIT]);
    capacity_check(rules, ROOT_ZONES, slots[FP_KIND_ZONE]);
    capacity_check(rules, ROOT_VIPS, FP_COUNT_VIPS);
    NODE_EACH(pool, pools)
    {
        const struct site_node *list = node_field(pool, POOL_BACKENDS);

        backends += list ? list->count : 0;
    }
    if (backends >= slots[FP_KIND_BACKEND])
        node_error_at_key(&rules->report, pools, "at most 65535 in all pools",
                          "%llu backends are more than the tables hold",
                          (unsigned long long)backends);
}

int rules_check(struct site *site, struct site_errors *errors)
{
    struct rules rules = {.report = {.file = site->file, .errors = errors}, .root = site->root};
    const struct site_node *dns = node_field(site->root, ROOT_DNS);
    int error;

    references_resolve(&rules, site->root);
    capacities_check(&rules);
    devices_check(&rules, node_field(site->root, ROOT_INTERFACES));
    dpdk_check(&rules, node_field(site->root, ROOT_DPDK));
    NODE_EACH(pool, node_field(site->root, ROOT_POOLS))
    pool_check(&rules, pool);
    NODE_EACH(limit, node_field(site->root, ROOT_LIMITS))
    limit_check(&rules, limit);
    access_check(&rules, node_field(site->root, ROOT_ACCESS));
    NODE_EACH(zone, node_field(site->root, ROOT_ZONES))
    zone_check(&rules, zone);
    NODE_EACH(vip, node_field(site->root, ROOT_VIPS))
    list_twice(&rules, node_field(vip, VIP_LIMITS));
    list_twice(&rules, node_field(dns, DNS_LIMITS));
    list_twice(&rules, node_field(dns, DNS_LISTEN));
    list_twice(&rules, node_field(node_field(site->root, ROOT_API), API_LISTEN));
    error = rules_vips_check(&rules);
    return error ? error : errors_result(errors);
}
