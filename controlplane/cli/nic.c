/* SPDX-License-Identifier: Apache-2.0 */
/* nic list, attach, detach: which network devices there are, and handing one to DPDK or back. */
#include "controlplane/cli/nic.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/table.h"

#define TRIES 30 /* tenths of a second that the kernel and udev get to bring an interface back */

/* ---- list ---- */

/* What can be done with the device, in words of the site's `driver`. */
static bool can_xdp(const struct nic *nic)
{
    return nic->interface_count != 0;
}

static bool can_dpdk(const struct nic *nic)
{
    return *nic->address != '\0';
}

static const char *use_text(const struct nic *nic)
{
    if (!can_xdp(nic))
        return "dpdk";
    return can_dpdk(nic) ? "xdp, dpdk" : "xdp";
}

static void show_link(const struct nic *nic, struct table *table)
{
    char speed[TEXT_NUMBER];

    if (!nic->interface_count) {
        table_cell(table, "-");
        return;
    }
    text_number(nic->speed * 1e6, "bit/s", speed);
    table_cell(table, "%s%s%s", nic->up ? "up" : "down", nic->speed ? ", " : "",
               nic->speed ? speed : "");
}

static void show_interfaces(const struct nic *nic, struct table *table)
{
    char text[NIC_INTERFACES_MAX * (IF_NAMESIZE + 1) + 1] = "";
    size_t length = 0;

    for (size_t i = 0; i < nic->interface_count; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? "," : "",
                                   nic->interfaces[i]);
    table_cell(table, "%s", length ? text : "-");
}

void nic_show(const struct nic_list *list, bool color, struct buffer *out)
{
    static const struct table_column columns[] = {
        {"PCI", TABLE_LEFT},   {"INTERFACE", TABLE_LEFT}, {"DRIVER", TABLE_LEFT},
        {"ID", TABLE_LEFT},    {"NUMA", TABLE_RIGHT},     {"LINK", TABLE_LEFT},
        {"IOMMU", TABLE_LEFT}, {"USE", TABLE_LEFT},       {"", TABLE_LEFT}};
    struct table table;

    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < list->count; i++) {
        const struct nic *nic = &list->items[i];

        table_cell(&table, "%s", *nic->address ? nic->address : "-");
        show_interfaces(nic, &table);
        table_cell(&table, "%s", *nic->driver ? nic->driver : "-");
        if (nic->vendor)
            table_cell(&table, "%04x:%04x", nic->vendor, nic->device);
        else
            table_cell(&table, "-");
        if (nic->numa >= 0)
            table_cell(&table, "%d", nic->numa);
        else
            table_cell(&table, "-");
        show_link(nic, &table);
        table_cell(&table, "%s", nic->iommu ? "yes" : "no");
        table_cell(&table, "%s", use_text(nic));
        table_cell(&table, "%s", nic->session ? "your session" : "");
    }
    if (!list->count)
        buffer_text(out, "no network devices\n");
    table_print(&table, color, out);
    if (table.error && !out->error)
        out->error = table.error;
    table_free(&table);
}

static void show_json_one(const struct nic *nic, struct buffer *out)
{
    buffer_text(out, "{\"pci\":");
    buffer_json_text(out, *nic->address ? nic->address : NULL);
    buffer_text(out, ",\"interfaces\":[");
    for (size_t i = 0; i < nic->interface_count; i++) {
        buffer_text(out, i ? "," : "");
        buffer_json_text(out, nic->interfaces[i]);
    }
    buffer_text(out, "],\"driver\":");
    buffer_json_text(out, *nic->driver ? nic->driver : NULL);
    if (nic->vendor)
        buffer_format(out, ",\"id\":\"%04x:%04x\"", nic->vendor, nic->device);
    if (nic->numa >= 0)
        buffer_format(out, ",\"numa\":%d", nic->numa);
    if (nic->interface_count)
        buffer_format(out, ",\"link\":%s", nic->up ? "true" : "false");
    if (nic->speed)
        buffer_format(out, ",\"speed_mbit\":%d", nic->speed);
    buffer_format(out, ",\"iommu\":%s,\"use\":[%s%s%s],\"session\":%s}",
                  nic->iommu ? "true" : "false", can_xdp(nic) ? "\"xdp\"" : "",
                  can_xdp(nic) && can_dpdk(nic) ? "," : "", can_dpdk(nic) ? "\"dpdk\"" : "",
                  nic->session ? "true" : "false");
}

void nic_show_json(const struct nic_list *list, struct buffer *out)
{
    buffer_text(out, "{\"nics\":[");
    for (size_t i = 0; i < list->count; i++) {
        buffer_text(out, i ? ",\n" : "\n");
        show_json_one(&list->items[i], out);
    }
    buffer_text(out, "\n]}\n");
}

static int run_list(struct cli *cli, const struct nic_list *list)
{
    struct buffer out = {0};

    if (cli->json)
        nic_show_json(list, &out);
    else
        nic_show(list, cli->color, &out);
    return cli_print(&out);
}

/* ---- attach, detach ---- */

static int run_attach(struct cli *cli, struct nic_host *host, const struct nic *nic)
{
    struct nic_request request = {.driver = cli_option(cli, "driver"),
                                  .force = cli_option(cli, "force") != NULL};
    char why[NIC_WHY];

    if (!request.driver)
        request.driver = "vfio-pci";
    if (strcmp(request.driver, "vfio-pci") != 0 && strcmp(request.driver, "uio_pci_generic") != 0) {
        cli_error("--driver takes vfio-pci or uio_pci_generic, not `%s`", request.driver);
        return CLI_USAGE;
    }
    if (nic_check_attach(host, nic, cli->arguments[1], &request, why) ||
        nic_attach(host, nic, request.driver, why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    if (!strcmp(nic->driver, request.driver))
        printf("%s is with %s already. The line for the site's `interfaces`:\n\n", nic->address,
               request.driver);
    else
        printf("%s: from %s to %s. The line for the site's `interfaces`:\n\n", nic->address,
               *nic->driver ? nic->driver : "no driver", request.driver);
    printf("  %s: { driver: dpdk, device: \"%s\" }\n",
           nic->interface_count ? nic->interfaces[0] : "wan0", nic->address);
    return CLI_OK;
}

/* Waits until the device's interface is there and its name stays (udev renames it). */
static const char *returned_name(struct nic_host *host, struct nic_list *list, const char *address)
{
    char last[IF_NAMESIZE] = "";

    for (int i = 0; i < TRIES; i++) {
        const struct nic *nic = nic_scan(host, list) ? NULL : nic_find(list, address);

        if (nic && nic->interface_count) {
            if (!strcmp(last, nic->interfaces[0]))
                return nic->interfaces[0];
            memcpy(last, nic->interfaces[0], sizeof(last));
        }
        host->pause(host);
    }
    return NULL;
}

static int run_detach(struct cli *cli, struct nic_host *host, struct nic_list *list,
                      const struct nic *nic)
{
    char why[NIC_WHY], address[sizeof(nic->address)], driver[32];
    const char *name;

    if (nic_check_detach(host, nic, cli->arguments[1], why) || nic_detach(host, nic, why)) {
        cli_error("%s", why);
        return CLI_FAILED;
    }
    memcpy(address, nic->address, sizeof(address)); /* the list is read anew */
    name = returned_name(host, list, address);
    nic_driver(host, address, driver, sizeof(driver));
    if (name)
        printf("%s is back with %s as interface %s\n", address, driver, name);
    else
        printf("%s is back with %s, which has shown no interface yet\n", address, driver);
    return CLI_OK;
}

static int run(struct cli *cli, struct nic_host *host, struct nic_list *list)
{
    const char *verb = cli->arguments[0];
    bool listing = !strcmp(verb, "list"), attaching = !strcmp(verb, "attach");
    const struct nic *nic;
    int error;

    if (!listing && !attaching && strcmp(verb, "detach") != 0) {
        cli_error("nic does list, attach or detach, not `%s`", verb);
        return CLI_USAGE;
    }
    if (listing != (cli->argument_count == 1)) {
        cli_error("usage: culvert nic list | attach DEVICE | detach DEVICE");
        return CLI_USAGE;
    }
    error = nic_scan(host, list);
    if (error) {
        cli_error("can't list the network devices of %s: %s", host->sysfs, culvert_strerror(error));
        return CLI_FAILED;
    }
    if (listing)
        return run_list(cli, list);
    nic = nic_find(list, cli->arguments[1]);
    return attaching ? run_attach(cli, host, nic) : run_detach(cli, host, list, nic);
}

int command_nic(struct cli *cli)
{
    struct nic_list *list = calloc(1, sizeof(*list));
    struct nic_host host;
    int code;

    if (!list) {
        cli_error("%s", culvert_strerror(CULVERT_ENOMEM));
        return CLI_FAILED;
    }
    nic_host_init(&host);
    code = run(cli, &host, list);
    free(list);
    return code;
}
