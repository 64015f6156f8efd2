/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/taps.h"

#include <string.h>

#define ALIAS "culvert-dpdk"
#define TAPS_MAX 64

struct found {
    uint32_t ifindex[TAPS_MAX];
    int count;
};

int taps_mark(struct rtnl *rtnl, uint32_t ifindex)
{
    struct ifinfomsg body = {.ifi_index = (int)ifindex};
    struct rtnl_request request;

    rtnl_begin(&request, RTM_SETLINK, 0, &body, sizeof(body));
    rtnl_add(&request, IFLA_IFALIAS, ALIAS, sizeof(ALIAS) - 1);
    return rtnl_talk(rtnl, &request, NULL, NULL);
}

static int take_device(void *arg, const struct nlmsghdr *message)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    const struct rtattr *at[IFLA_IFALIAS + 1];
    struct found *found = arg;
    char alias[sizeof(ALIAS) + 1];

    if (message->nlmsg_type != RTM_NEWLINK ||
        !rtnl_attributes(message, sizeof(*info), at, IFLA_IFALIAS) || !at[IFLA_IFALIAS])
        return 0;
    rtnl_string(at[IFLA_IFALIAS], alias, sizeof(alias));
    if (strcmp(alias, ALIAS) == 0 && found->count < TAPS_MAX)
        found->ifindex[found->count++] = (uint32_t)info->ifi_index;
    return 0;
}

int taps_remove(struct rtnl *rtnl)
{
    struct ifinfomsg body = {0};
    struct found found = {0};
    struct rtnl_request request;
    int error;

    rtnl_begin(&request, RTM_GETLINK, NLM_F_DUMP, &body, sizeof(body));
    error = rtnl_talk(rtnl, &request, take_device, &found);
    for (int i = 0; !error && i < found.count; i++) {
        body.ifi_index = (int)found.ifindex[i];
        rtnl_begin(&request, RTM_DELLINK, 0, &body, sizeof(body));
        error = rtnl_talk(rtnl, &request, NULL, NULL);
    }
    return error ? error : found.count;
}
