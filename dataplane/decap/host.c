/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/decap/host.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"

/* ---- addresses ---- */

static bool take_address(const struct sockaddr *from, struct address *to)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (!from)
        return false;
    if (from->sa_family == AF_INET) {
        memcpy(to->bytes, mapped, sizeof(mapped));
        memcpy(to->bytes + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    memcpy(to->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    return true;
}

int host_addresses(struct address *addresses, size_t max)
{
    struct ifaddrs *all;
    size_t count = 0;

    if (getifaddrs(&all))
        return CULVERT_ESYSTEM;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        struct address address;

        if (!take_address(one->ifa_addr, &address))
            continue;
        if (count == max) {
            freeifaddrs(all);
            return CULVERT_EFULL;
        }
        addresses[count++] = address;
    }
    freeifaddrs(all);
    return (int)count;
}

/* ---- virtual IPs ---- */

static int request_vip(struct rtnl *rtnl, uint16_t type, uint16_t flags, const struct address *vip)
{
    struct rtnl_request request;
    uint8_t protocol = RTNL_PROTOCOL_CULVERT;
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(vip->bytes, &length);
    struct ifaddrmsg body = {
        .ifa_family = (uint8_t)rtnl_family(vip->bytes),
        .ifa_prefixlen = (uint8_t)(length * 8),
        .ifa_flags = IFA_F_NODAD | IFA_F_PERMANENT,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = if_nametoindex("lo"),
    };

    rtnl_begin(&request, type, flags, &body, sizeof(body));
    rtnl_add(&request, IFA_LOCAL, bytes, length);
    rtnl_add(&request, IFA_ADDRESS, bytes, length);
    if (type == RTM_NEWADDR)
        rtnl_add(&request, IFA_PROTO, &protocol, sizeof(protocol));
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

int host_vip_add(struct rtnl *rtnl, const struct address *vip, bool *added)
{
    int error = request_vip(rtnl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, vip);

    *added = error == 0;
    return error == CULVERT_ESYSTEM && rtnl->errnum == EEXIST ? 0 : error;
}

int host_vip_drop(struct rtnl *rtnl, const struct address *vip)
{
    return request_vip(rtnl, RTM_DELADDR, 0, vip);
}

/* ---- ARP ---- */

static const struct {
    const char *name;
    int value;
} arp_settings[HOST_ARP_SETTINGS] = {{"arp_ignore", 1}, {"arp_announce", 2}};

static int setting_open(const char *interface, int which, int flags)
{
    char path[128];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", interface,
             arp_settings[which].name);
    return open(path, flags | O_CLOEXEC);
}

static int setting_read(const char *interface, int which)
{
    char text[16] = "";
    int fd = setting_open(interface, which, O_RDONLY);
    ssize_t got;

    if (fd < 0)
        return -1;
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    return got > 0 ? (int)strtol(text, NULL, 10) : -1;
}

static int setting_write(const char *interface, int which, int value)
{
    char text[16];
    int fd = setting_open(interface, which, O_WRONLY);
    int length = snprintf(text, sizeof(text), "%d\n", value);
    bool done;

    if (fd < 0)
        return CULVERT_ESYSTEM;
    done = write(fd, text, (size_t)length) == length;
    close(fd);
    return done ? 0 : CULVERT_ESYSTEM;
}

int host_arp_quiet(const char *interface, struct host_arp *arp)
{
    for (int i = 0; i < HOST_ARP_SETTINGS; i++)
        arp->before[i] = -1;
    for (int i = 0; i < HOST_ARP_SETTINGS; i++) {
        int before = setting_read(interface, i);

        if (before >= arp_settings[i].value)
            continue;
        if (before < 0 || setting_write(interface, i, arp_settings[i].value))
            return CULVERT_ESYSTEM;
        arp->before[i] = before;
    }
    return 0;
}

void host_arp_restore(const char *interface, const struct host_arp *arp)
{
    for (int i = 0; i < HOST_ARP_SETTINGS; i++) {
        if (arp->before[i] >= 0)
            setting_write(interface, i, arp->before[i]);
    }
}
