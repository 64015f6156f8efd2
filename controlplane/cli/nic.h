/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's network devices, and handing PCI ones to DPDK and back. Reading is done below one
 * root (/sys); all that changes something goes through the functions of struct nic_host.
 */
#ifndef CULVERT_CLI_NIC_H
#define CULVERT_CLI_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "controlplane/base/buffer.h"

#define NIC_MAX 512
#define NIC_INTERFACES_MAX 8 /* of one device; further ones are not shown */
#define NIC_NAMES_MAX 64
#define NIC_WHY 320
#define NIC_PROGRAM 16 /* BPF_OBJ_NAME_LEN */

/* Interfaces that carry the operator's session, and those below them. */
struct nic_names {
    char name[NIC_NAMES_MAX][IF_NAMESIZE];
    size_t count;
    bool full; /* some did not fit: every device then counts as carrying it */
};

struct nic {
    char address[16]; /* of PCI, 0000:03:00.0; empty: not PCI */
    char interfaces[NIC_INTERFACES_MAX][IF_NAMESIZE];
    size_t interface_count;
    char driver[32];         /* the one that has it; empty: none */
    unsigned vendor, device; /* 0: the kernel doesn't say */
    int numa;                /* -1: none */
    int speed;               /* Mbit/s of the first interface; 0: not known */
    bool up;                 /* the first interface has a link */
    bool iommu, no_iommu;    /* in an IOMMU group; or vfio may do without */
    bool session;            /* carries the operator's session */
};

struct nic_list {
    struct nic items[NIC_MAX];
    size_t count;
};

/* What a command works on. Tests give a made-up tree and functions of their own. */
struct nic_host {
    const char *sysfs; /* "/sys" */
    bool is_root;
    struct nic_names session;
    /* Writes a text to a file below sysfs. 0 or a negative errno. */
    int (*write)(struct nic_host *host, const char *path, const char *text);
    /* Loads a kernel module; whether that went well. */
    bool (*load)(struct nic_host *host, const char *module);
    /* Whether an XDP program is on the interface, and what the kernel calls it (empty: not known,
     * or several). */
    bool (*has_xdp)(struct nic_host *host, const char *interface, char name[NIC_PROGRAM]);
    /* Whether a process has the device (vfio) open; unbinding it would wait for its end. */
    bool (*is_open)(struct nic_host *host, const struct nic *nic);
    void (*pause)(struct nic_host *host); /* a tenth of a second */
};

/* The running system as a host, the session found out. */
void nic_host_init(struct nic_host *host);

/* Reads the devices below the host's root. 0, CULVERT_EFULL or CULVERT_ESYSTEM. */
int nic_scan(const struct nic_host *host, struct nic_list *list);

/* The device by PCI address (the domain may be left out) or interface name; NULL: none. */
const struct nic *nic_find(const struct nic_list *list, const char *name);

/* The name of the driver that has the PCI device, empty: none. */
void nic_driver(const struct nic_host *host, const char *address, char *name, size_t size);

/* Whether DPDK uses the device as it is: by its own driver, or beside the kernel's (mlx5). */
bool nic_is_handed_over(const struct nic *nic);
bool nic_is_shared(const struct nic *nic);

/* Adds a name; one that is there already stays one. */
void nic_names_add(struct nic_names *names, const char *name);
bool nic_names_has(const struct nic_names *names, const char *name);
/* Adds the interfaces below those of the list: a bond's, bridge's, VLAN's. */
void nic_names_add_lower(struct nic_names *names, const char *sysfs);
/* Adds the interfaces of default routes, from /proc/net/route's or ipv6_route's text. */
void nic_names_add_routes(struct nic_names *names, FILE *route, bool ipv6);

struct nic_request {
    const char *driver;
    bool force; /* also when it carries the session */
};

/* Whether the device may be attached: 0 or CULVERT_EREJECTED and one line that says what to do. No
 * I/O but the host's has_xdp and is_open. */
int nic_check_attach(struct nic_host *host, const struct nic *nic, const char *name,
                     const struct nic_request *request, char why[NIC_WHY]);
int nic_check_detach(struct nic_host *host, const struct nic *nic, const char *name,
                     char why[NIC_WHY]);

/* Hands the device to the driver; when that driver doesn't take it, the old one has it back. 0, or
 * a negative error and a line that says where the device is now. */
int nic_attach(struct nic_host *host, const struct nic *nic, const char *driver, char why[NIC_WHY]);

/* Gives the device to the kernel's own driver. */
int nic_detach(struct nic_host *host, const struct nic *nic, char why[NIC_WHY]);

/* The list as people read it, and as JSON. */
void nic_show(const struct nic_list *list, bool color, struct buffer *out);
void nic_show_json(const struct nic_list *list, struct buffer *out);

#endif
