/* SPDX-License-Identifier: Apache-2.0 */
/* network-config, version 2 (netplan's YAML), of ethernets. */
#include <string.h>

#include "controlplane/firstboot/network.h"

static void take_dhcp4(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    reading_truth(reading, node, &nic->dhcp4);
}

static void take_dhcp6(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    reading_truth(reading, node, &nic->dhcp6);
}

static void take_accept_ra(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;
    bool accept;

    if (reading_truth(reading, node, &accept))
        nic->accept_ra = accept;
}

static const struct reading_field match_fields[] = {
    {"macaddress", network_take_mac}, {"name", network_take_name}, {NULL, NULL}};

static void take_match(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_fields(reading, node, match_fields, UNKNOWN_ERROR, arg);
}

static const struct reading_field names_fields[] = {
    {"addresses", network_take_servers}, {"search", network_take_searches}, {NULL, NULL}};

static void take_names(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    reading_fields(reading, node, names_fields, UNKNOWN_ERROR, &nic->names);
}

/* ---- routes ---- */

/* "default" is of the gateway's family. */
static void take_to(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;
    const char *text = reading_text(reading, node);

    if (!text)
        return;
    if (strcmp(text, "default") != 0)
        reading_wrong(reading, node, machine_parse_prefix(text, &route->to));
    else if (route->has_via)
        route->to = (struct machine_prefix){.address = route->via};
    else
        reading_wrong(reading, node, "the default route needs a gateway: \"via\"");
}

static void take_metric(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;

    reading_number(reading, node, 0, UINT32_MAX, &route->metric);
}

static void take_on_link(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route *route = arg;

    reading_truth(reading, node, &route->on_link);
}

static const struct reading_field via_fields[] = {{"via", network_take_via}, {NULL, NULL}};
static const struct reading_field route_fields[] = {{"to", take_to},
                                                    {"via", NULL},
                                                    {"metric", take_metric},
                                                    {"on-link", take_on_link},
                                                    {NULL, NULL}};

static void take_route(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_route route = {0};

    reading_fields(reading, node, via_fields, UNKNOWN_SILENT, &route);
    reading_fields(reading, node, route_fields, UNKNOWN_ERROR, &route);
    if (!reading_find(node, "to"))
        reading_wrong(reading, node, "a route needs a destination: \"to\"");
    else
        reading_wrong(reading, node, machine_add_route(arg, &route));
}

static void take_routes(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_route, arg);
}

/* ---- ethernets ---- */

static const struct reading_field nic_fields[] = {{"match", take_match},
                                                  {"dhcp4", take_dhcp4},
                                                  {"dhcp6", take_dhcp6},
                                                  {"accept-ra", take_accept_ra},
                                                  {"addresses", network_take_addresses},
                                                  {"gateway4", network_take_gateway},
                                                  {"gateway6", network_take_gateway},
                                                  {"routes", take_routes},
                                                  {"nameservers", take_names},
                                                  {"mtu", network_take_mtu},
                                                  {"set-name", NULL},
                                                  {"optional", NULL},
                                                  {"critical", NULL},
                                                  {"renderer", NULL},
                                                  {"wakeonlan", NULL},
                                                  {"dhcp-identifier", NULL},
                                                  {NULL, NULL}};

/* Without `match` the key is the NIC's name. */
static void take_ethernet(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = network_nic(reading, node);

    (void)arg;
    if (!nic)
        return;
    reading_fields(reading, node, nic_fields, UNKNOWN_ERROR, nic);
    if (!nic->mac[0] && !nic->name[0])
        reading_wrong(reading, node, machine_set_nic_name(nic, node->key));
}

static void take_ethernets(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each_value(reading, node, take_ethernet, arg);
}

void network_take_v2(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct reading_field fields[] = {
        {"version", NULL}, {"renderer", NULL}, {"ethernets", take_ethernets}, {NULL, NULL}};

    reading_fields(reading, node, fields, UNKNOWN_ERROR, arg);
}
