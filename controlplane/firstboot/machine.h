/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an appliance is told before anybody has typed anything: name, network, keys, time servers,
 * and the site that it makes or joins. Seeds (seed.h) fill it in; all that is in it was checked.
 */
#ifndef CULVERT_FIRSTBOOT_MACHINE_H
#define CULVERT_FIRSTBOOT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"
#include "controlplane/base/units.h"

#define MACHINE_HOSTNAME 64  /* with the NUL; Linux, HOST_NAME_MAX */
#define MACHINE_INSTANCE 128 /* with the NUL */
#define MACHINE_DOMAIN 254   /* with the NUL */
#define MACHINE_NICS_MAX 32u
#define MACHINE_ADDRESSES_MAX 16u /* of a NIC, and of name servers */
#define MACHINE_ROUTES_MAX 32u    /* of a NIC */
#define MACHINE_SEARCHES_MAX 6u
#define MACHINE_NAME 64 /* of a NIC or a pattern, with the NUL */

struct machine_prefix {
    struct address address;
    unsigned length; /* in its own family's bits */
};

struct machine_route {
    struct machine_prefix to;
    struct address via;
    bool has_via, on_link;
    uint32_t metric; /* 0: networkd's default */
};

struct machine_names {
    struct address servers[MACHINE_ADDRESSES_MAX];
    unsigned server_count;
    char searches[MACHINE_SEARCHES_MAX][MACHINE_DOMAIN];
    unsigned search_count;
};

/* A NIC, found by its MAC address or by its name. */
struct machine_nic {
    char name[MACHINE_NAME]; /* may hold * and ?; "" when the MAC address counts */
    char mac[18];            /* "" when the name counts */
    bool dhcp4, dhcp6;
    int accept_ra; /* -1: not said */
    uint32_t mtu;  /* 0: the device's */
    struct machine_prefix addresses[MACHINE_ADDRESSES_MAX];
    unsigned address_count;
    struct machine_route routes[MACHINE_ROUTES_MAX];
    unsigned route_count;
    struct machine_names names;
};

/* A zeroed one has been told nothing. */
struct machine {
    char instance[MACHINE_INSTANCE]; /* a seed with another one is read again */
    char hostname[MACHINE_HOSTNAME];
    struct buffer keys;         /* authorized_keys: a line each */
    struct buffer time_servers; /* with a space before each */
    struct buffer site, join;   /* the site file; "TOKEN ADDRESS\n" */
    struct machine_nic nics[MACHINE_NICS_MAX];
    unsigned nic_count;
    struct machine_names names; /* of every NIC */
};

/* Frees what it holds, not itself. */
void machine_free(struct machine *machine);

/* These check a text and take it. They return NULL, or what is wrong, in a few words. */
const char *machine_set_instance(struct machine *machine, const char *text);
/* What follows the first dot is left out. The last one that is set counts. */
const char *machine_set_hostname(struct machine *machine, const char *text);
/* One line, as in id_ed25519.pub; options before it are refused. The same key is taken once. */
const char *machine_add_key(struct machine *machine, const char *text);
const char *machine_add_time_server(struct machine *machine, const char *text);
/* As `culvert node join` takes them. */
const char *machine_set_join(struct machine *machine, const char *token, const char *address);
const char *machine_set_site(struct machine *machine, const char *text, size_t length);

/* Parts of a NIC. "192.0.2.7/24"; without a length all of the address's bits. */
const char *machine_parse_prefix(const char *text, struct machine_prefix *prefix);
/* The length of "255.255.255.0" or "ffff:ffff::". */
const char *machine_parse_netmask(const char *text, unsigned *length);
const char *machine_set_mac(struct machine_nic *nic, const char *text);
const char *machine_set_nic_name(struct machine_nic *nic, const char *text);
const char *machine_add_address(struct machine_nic *nic, const struct machine_prefix *prefix);
const char *machine_add_route(struct machine_nic *nic, const struct machine_route *route);
const char *machine_add_name_server(struct machine_names *names, const char *text);
const char *machine_add_search(struct machine_names *names, const char *text);

/* The systemd.network file of a NIC (systemd.network(5)). */
void machine_write_nic(const struct machine *machine, const struct machine_nic *nic,
                       struct buffer *out);

#endif
