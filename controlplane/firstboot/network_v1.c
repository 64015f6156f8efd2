/* SPDX-License-Identifier: Apache-2.0 */
/* network-config, version 1 (cloud-init's "Networking config version 1"). */
#include <string.h>

#include "controlplane/firstboot/network.h"

static void take_nic_servers(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    network_take_servers(reading, node, &nic->names);
}

static void take_nic_searches(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    network_take_searches(reading, node, &nic->names);
}

/* By DHCP, by router advertisements, or `static`, whose address stands beside. */
static void take_type(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct {
        const char *name;
        bool dhcp4, dhcp6, ra;
    } types[] = {{"dhcp", true, false, false},
                 {"dhcp4", true, false, false},
                 {"dhcp6", false, true, true},
                 {"ipv6_dhcpv6-stateful", false, true, true},
                 {"ipv6_dhcpv6-stateless", false, false, true},
                 {"ipv6_slaac", false, false, true},
                 {"static", false, false, false},
                 {"static6", false, false, false},
                 {"manual", false, false, false}};
    const char *text = reading_text(reading, node);
    struct machine_nic *nic = arg;

    for (size_t i = 0; text && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, text) != 0)
            continue;
        nic->dhcp4 = nic->dhcp4 || types[i].dhcp4;
        nic->dhcp6 = nic->dhcp6 || types[i].dhcp6;
        nic->accept_ra = types[i].ra ? 1 : nic->accept_ra;
        return;
    }
    if (text)
        reading_wrong(reading, node, "static, dhcp4, dhcp6, ipv6_slaac or manual is expected");
}

/* An address and, perhaps beside it, its mask. */
static void take_subnet_address(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *mask = reading_find(node->parent, "netmask");
    const char *text = reading_text(reading, node);
    struct machine_prefix prefix;

    if (!text || reading_wrong(reading, node, machine_parse_prefix(text, &prefix)))
        return;
    if (mask && mask->kind == NODE_SCALAR && !strchr(text, '/') &&
        reading_wrong(reading, mask, machine_parse_netmask(mask->text, &prefix.length)))
        return;
    reading_wrong(reading, node, machine_add_address(arg, &prefix));
}

static const struct reading_field subnet_fields[] = {{"type", take_type},
                                                     {"address", take_subnet_address},
                                                     {"netmask", NULL},
                                                     {"gateway", network_take_gateway},
                                                     {"dns_nameservers", take_nic_servers},
                                                     {"dns_search", take_nic_searches},
                                                     {"routes", network_take_classic_routes},
                                                     {"control", NULL},
                                                     {"ipv4", NULL},
                                                     {"ipv6", NULL},
                                                     {NULL, NULL}};

static void take_subnet(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_fields(reading, node, subnet_fields, UNKNOWN_ERROR, arg);
}

static void take_subnets(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_subnet, arg);
}

static const struct reading_field nic_fields[] = {{"type", NULL},
                                                  {"name", network_take_name},
                                                  {"mac_address", network_take_mac},
                                                  {"mtu", network_take_mtu},
                                                  {"subnets", take_subnets},
                                                  {"accept-ra", NULL},
                                                  {NULL, NULL}};
static const struct reading_field names_fields[] = {{"type", NULL},
                                                    {"interface", NULL},
                                                    {"address", network_take_servers},
                                                    {"search", network_take_searches},
                                                    {NULL, NULL}};

static void take_item(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *type = reading_find(node, "type");
    struct machine_nic *nic;

    if (!type || type->kind != NODE_SCALAR) {
        reading_wrong(reading, node, "an item with a type is expected here");
    } else if (!strcmp(type->text, "nameserver")) {
        reading_fields(reading, node, names_fields, UNKNOWN_ERROR, &reading->machine->names);
    } else if (strcmp(type->text, "physical") != 0) {
        reading_wrong(reading, type, "an appliance takes physical and nameserver here, no others");
    } else {
        nic = network_nic(reading, node);
        if (nic)
            reading_fields(reading, node, nic_fields, UNKNOWN_ERROR, nic);
        if (nic && !nic->mac[0] && !nic->name[0])
            reading_wrong(reading, node, "a name or a mac_address is needed");
    }
    (void)arg;
}

static void take_items(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_item, arg);
}

void network_take_v1(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct reading_field fields[] = {
        {"version", NULL}, {"config", take_items}, {NULL, NULL}};

    reading_fields(reading, node, fields, UNKNOWN_ERROR, arg);
}
