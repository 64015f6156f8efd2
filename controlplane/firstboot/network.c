/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/firstboot/network.h"

#include <string.h>

#define MTU_LEAST 576u
#define MTU_MOST 65535u

int network_run(struct machine *machine, const char *name, const char *text, size_t length,
                struct seed_report *report, reading_take *take)
{
    size_t errors = report->errors.count + report->errors.dropped;
    int error = reading_run(machine, name, text, length, report, take, NULL);

    if (error || report->errors.count + report->errors.dropped != errors) {
        machine->nic_count = 0;
        machine->names = (struct machine_names){0};
        site_errors_add(&report->errors, name, 0, 0, NULL,
                        "with these errors it isn't used: every NIC asks for an address by DHCP",
                        NULL);
    }
    return error;
}

struct machine_nic *network_nic(struct reading *reading, const struct site_node *node)
{
    struct machine *machine = reading->machine;
    struct machine_nic *nic;

    if (machine->nic_count == MACHINE_NICS_MAX) {
        reading_wrong(reading, node, "too many NICs, at most 32");
        return NULL;
    }
    nic = &machine->nics[machine->nic_count++];
    *nic = (struct machine_nic){.accept_ra = -1};
    return nic;
}

static void take_server(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_add_name_server(arg, text));
}

void network_take_servers(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_server, arg);
}

static void take_search(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_add_search(arg, text));
}

void network_take_searches(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_search, arg);
}

void network_take_mac(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_set_mac(arg, text));
}

void network_take_name(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_set_nic_name(arg, text));
}

void network_take_mtu(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    reading_number(reading, node, MTU_LEAST, MTU_MOST, &nic->mtu);
}

static void take_address(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);
    struct machine_prefix prefix;

    if (text && !reading_wrong(reading, node, machine_parse_prefix(text, &prefix)))
        reading_wrong(reading, node, machine_add_address(arg, &prefix));
}

void network_take_addresses(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_address, arg);
}

void network_take_gateway(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);
    struct machine_route route = {.has_via = true};

    if (!text)
        return;
    if (units_parse_address(text, &route.via)) {
        reading_wrong(reading, node, "not the address of a gateway");
        return;
    }
    route.to.address = route.via;
    reading_wrong(reading, node, machine_add_route(arg, &route));
}

/* ---- routes of version 1 and of OpenStack ---- */

static void take_to(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_parse_prefix(text, &route->to));
}

static void take_mask(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;
    const char *text = reading_text(reading, node);

    if (text)
        reading_wrong(reading, node, machine_parse_netmask(text, &route->to.length));
}

void network_take_via(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;
    const char *text = reading_text(reading, node);

    route->has_via = text && !units_parse_address(text, &route->via);
    if (text && !route->has_via)
        reading_wrong(reading, node, "not the address of a gateway");
}

static void take_metric(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;

    reading_number(reading, node, 0, UINT32_MAX, &route->metric);
}

static const struct reading_field to_fields[] = {
    {"network", take_to}, {"destination", take_to}, {NULL, NULL}};
static const struct reading_field route_fields[] = {
    {"network", NULL},       {"destination", NULL},
    {"netmask", take_mask},  {"gateway", network_take_via},
    {"metric", take_metric}, {"services", NULL},
    {"type", NULL},          {NULL, NULL}};

static void take_classic_route(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route route = {0};

    /* The mask goes over the length that the destination has by itself. */
    reading_fields(reading, node, to_fields, UNKNOWN_SILENT, &route);
    reading_fields(reading, node, route_fields, UNKNOWN_ERROR, &route);
    if (!reading_find(node, "network") && !reading_find(node, "destination"))
        reading_wrong(reading, node, "a route needs a destination");
    else
        reading_wrong(reading, node, machine_add_route(arg, &route));
}

void network_take_classic_routes(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_classic_route, arg);
}

/* ---- NoCloud: which version ---- */

static void take_config(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *inner = reading_find(node, "network");
    const struct site_node *root = inner ? inner : node, *version = reading_find(root, "version");

    if (version && version->kind == NODE_SCALAR && !strcmp(version->text, "1"))
        network_take_v1(reading, root, arg);
    else if (version && version->kind == NODE_SCALAR && !strcmp(version->text, "2"))
        network_take_v2(reading, root, arg);
    else
        reading_wrong(reading, version ? version : root, "version 1 or 2 is expected");
}

int seed_read_network(struct machine *machine, const char *name, const char *text, size_t length,
                      struct seed_report *report)
{
    return network_run(machine, name, text, length, report, take_config);
}
