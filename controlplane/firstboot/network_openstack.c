/* SPDX-License-Identifier: Apache-2.0 */
/* OpenStack's network_data.json: links, the networks on them, and services. */
#include <string.h>

#include "controlplane/firstboot/network.h"

/* A link's NIC is found again by the link's id. */
struct link {
    const char *id;
    struct machine_nic *nic;
};
struct links {
    struct link list[MACHINE_NICS_MAX];
    unsigned count;
};

static const struct reading_field link_fields[] = {
    {"ethernet_mac_address", network_take_mac}, {"mtu", network_take_mtu}, {NULL, NULL}};

static void take_link(struct reading *reading, const struct site_node *node, void *arg)
{
    static const char *const others[] = {"bond", "vlan"};
    const struct site_node *type = reading_find(node, "type"), *id = reading_find(node, "id");
    struct links *links = arg;
    struct machine_nic *nic;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (type && !strcmp(type->text, others[i])) {
            reading_wrong(reading, type, "an appliance takes no bonds and VLANs here");
            return;
        }
    }
    if (!id || id->kind != NODE_SCALAR || !reading_find(node, "ethernet_mac_address")) {
        reading_wrong(reading, node, "a link with an id and an ethernet_mac_address is expected");
        return;
    }
    nic = network_nic(reading, node);
    if (!nic)
        return;
    reading_fields(reading, node, link_fields, UNKNOWN_SILENT, nic);
    links->list[links->count++] = (struct link){.id = id->text, .nic = nic};
}

static void take_links(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_link, arg);
}

static void take_type(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);
    struct machine_nic *nic = arg;

    if (!text)
        return;
    if (!strcmp(text, "ipv4_dhcp"))
        nic->dhcp4 = true;
    else if (!strcmp(text, "ipv6_dhcp") || !strcmp(text, "ipv6_dhcpv6-stateful"))
        nic->dhcp6 = true;
    else if (!strcmp(text, "ipv6_slaac") || !strcmp(text, "ipv6_dhcpv6-stateless"))
        nic->accept_ra = 1;
    else if (strcmp(text, "ipv4") != 0 && strcmp(text, "ipv6") != 0)
        reading_wrong(reading, node, "ipv4, ipv6, ipv4_dhcp, ipv6_dhcp or ipv6_slaac is expected");
}

/* Is it one that names its address? Addresses beside DHCP only say what will be given. */
static bool is_static(const struct site_node *network)
{
    const struct site_node *type = reading_find(network, "type");

    return type && (!strcmp(type->text, "ipv4") || !strcmp(type->text, "ipv6"));
}

static void take_address(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *mask = reading_find(node->parent, "netmask");
    const char *text = reading_text(reading, node);
    struct machine_prefix prefix;

    if (!is_static(node->parent) || !text ||
        reading_wrong(reading, node, machine_parse_prefix(text, &prefix)))
        return;
    if (mask && mask->kind == NODE_SCALAR && !strchr(text, '/') &&
        reading_wrong(reading, mask, machine_parse_netmask(mask->text, &prefix.length)))
        return;
    reading_wrong(reading, node, machine_add_address(arg, &prefix));
}

static const struct reading_field service_fields[] = {{"address", network_take_servers},
                                                      {NULL, NULL}};

static void take_service(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *type = reading_find(node, "type");

    if (type && !strcmp(type->text, "dns"))
        reading_fields(reading, node, service_fields, UNKNOWN_SILENT, arg);
}

static void take_services(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_service, arg);
}

static void take_nic_services(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    take_services(reading, node, &nic->names);
}

static void take_nic_servers(struct reading *reading, const struct site_node *node, void *arg)
{
    struct machine_nic *nic = arg;

    network_take_servers(reading, node, &nic->names);
}

static const struct reading_field network_fields[] = {{"type", take_type},
                                                      {"ip_address", take_address},
                                                      {"gateway", network_take_gateway},
                                                      {"routes", network_take_classic_routes},
                                                      {"services", take_nic_services},
                                                      {"dns_nameservers", take_nic_servers},
                                                      {NULL, NULL}};

static void take_network(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *link = reading_find(node, "link");
    const struct links *links = arg;

    for (unsigned i = 0; link && i < links->count; i++) {
        if (!strcmp(links->list[i].id, link->text)) {
            reading_fields(reading, node, network_fields, UNKNOWN_SILENT, links->list[i].nic);
            return;
        }
    }
    reading_wrong(reading, link ? link : node, "the id of one of the links is expected: \"link\"");
}

static void take_networks(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_network, arg);
}

static const struct reading_field links_fields[] = {{"links", take_links}, {NULL, NULL}};
static const struct reading_field networks_fields[] = {{"networks", take_networks}, {NULL, NULL}};
static const struct reading_field services_fields[] = {{"services", take_services}, {NULL, NULL}};

/* In this order, whatever the file's: networks name links. */
static void take_document(struct reading *reading, const struct site_node *node, void *arg)
{
    struct links links = {.count = 0};

    (void)arg;
    reading_fields(reading, node, links_fields, UNKNOWN_SILENT, &links);
    reading_fields(reading, node, networks_fields, UNKNOWN_SILENT, &links);
    reading_fields(reading, node, services_fields, UNKNOWN_SILENT, &reading->machine->names);
}

int seed_read_openstack_network(struct machine *machine, const char *name, const char *text,
                                size_t length, struct seed_report *report)
{
    return network_run(machine, name, text, length, report, take_document);
}
