/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

#define LOOPBACK 1 /* lo's ifindex in every network namespace */

static int take_listener(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct addresses *addresses = arg;
    const struct fp_address *entry = body;
    struct listen_address *one;

    if (length < sizeof(*entry) || !(entry->flags & FP_ADDRESS_DNS))
        return 0;
    if (addresses->count == ADDRESSES_MAX) {
        addresses->full = true;
        return 1;
    }
    one = &addresses->all[addresses->count++];
    memset(one, 0, sizeof(*one));
    memcpy(one->address, &key->a, sizeof(key->a));
    memcpy(one->address + 8, &key->b, sizeof(key->b));
    return 0;
}

void addresses_sync(struct addresses *addresses, struct tables *tables)
{
    addresses->count = 0;
    addresses->full = false;
    addresses->changed = true;
    tables_each(tables, FP_KIND_ADDRESS, take_listener, addresses);
    if (addresses->full)
        log_error("more than %d DNS addresses: the rest is not put on lo", ADDRESSES_MAX);
}

static int request_address(struct rtnl *rtnl, uint16_t type, uint16_t flags,
                           const uint8_t address[16])
{
    struct rtnl_request request;
    uint8_t protocol = RTNL_PROTOCOL_CULVERT;
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(address, &length);
    struct ifaddrmsg body = {
        .ifa_family = (uint8_t)rtnl_family(address),
        .ifa_prefixlen = (uint8_t)(length * 8),
        .ifa_flags = IFA_F_NODAD | IFA_F_PERMANENT,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = LOOPBACK,
    };

    rtnl_begin(&request, type, flags, &body, sizeof(body));
    rtnl_add(&request, IFA_LOCAL, bytes, length);
    rtnl_add(&request, IFA_ADDRESS, bytes, length);
    rtnl_add(&request, IFA_PROTO, &protocol, sizeof(protocol));
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

/* What is on lo and ours, collected before anything is changed. */
struct ours {
    uint8_t address[ADDRESSES_MAX][16];
    size_t count;
};

static int take_ours(void *arg, const struct nlmsghdr *message)
{
    struct ours *ours = arg;
    const struct ifaddrmsg *info = NLMSG_DATA(message);
    const struct rtattr *at[IFA_PROTO + 1];
    const struct rtattr *local;

    if (message->nlmsg_type != RTM_NEWADDR ||
        !rtnl_attributes(message, sizeof(*info), at, IFA_PROTO))
        return 0;
    local = at[IFA_LOCAL] ? at[IFA_LOCAL] : at[IFA_ADDRESS];
    if (info->ifa_index != LOOPBACK || rtnl_u8(at[IFA_PROTO]) != RTNL_PROTOCOL_CULVERT ||
        ours->count == ADDRESSES_MAX || !rtnl_address(local, ours->address[ours->count]))
        return 0;
    ours->count++;
    return 0;
}

static int read_ours(struct rtnl *rtnl, struct ours *ours)
{
    struct ifaddrmsg body = {.ifa_family = AF_UNSPEC};
    struct rtnl_request request;

    ours->count = 0;
    rtnl_begin(&request, RTM_GETADDR, NLM_F_DUMP, &body, sizeof(body));
    return rtnl_talk(rtnl, &request, take_ours, ours);
}

static bool is_listed(const struct addresses *addresses, const uint8_t address[16])
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (memcmp(addresses->all[i].address, address, 16) == 0)
            return true;
    }
    return false;
}

static bool has_ours(const struct ours *ours, const uint8_t address[16])
{
    for (size_t i = 0; i < ours->count; i++) {
        if (memcmp(ours->address[i], address, 16) == 0)
            return true;
    }
    return false;
}

static void put(struct addresses *addresses, struct listen_address *one, struct rtnl *rtnl,
                const struct ours *ours)
{
    char reason[ADDRESS_REASON_BYTES] = "";
    char text[INET6_ADDRSTRLEN];
    bool present = has_ours(ours, one->address);

    if (!present && request_address(rtnl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, one->address)) {
        present = rtnl->errnum == EEXIST;
        if (!present)
            snprintf(reason, sizeof(reason), "%.90s", rtnl->text);
    } else {
        present = true;
    }
    if (present == one->present && strcmp(reason, one->reason) == 0)
        return;
    if (!present)
        log_warn("can't put %s on lo: %s", rtnl_address_text(one->address, text), reason);
    one->present = present;
    memcpy(one->reason, reason, sizeof(reason));
    addresses->changed = true;
}

void addresses_apply(struct addresses *addresses, struct rtnl *rtnl)
{
    struct ours ours;

    if (read_ours(rtnl, &ours)) {
        log_warn("can't read the addresses on lo: %s", rtnl->text);
        return;
    }
    for (size_t i = 0; i < ours.count; i++) {
        if (!is_listed(addresses, ours.address[i]))
            request_address(rtnl, RTM_DELADDR, 0, ours.address[i]);
    }
    for (size_t i = 0; i < addresses->count; i++)
        put(addresses, &addresses->all[i], rtnl, &ours);
}

int addresses_remove_ours(struct rtnl *rtnl)
{
    struct ours ours;
    int error = read_ours(rtnl, &ours);
    int count = 0;

    for (size_t i = 0; !error && i < ours.count; i++)
        count += !request_address(rtnl, RTM_DELADDR, 0, ours.address[i]);
    return error ? error : count;
}
