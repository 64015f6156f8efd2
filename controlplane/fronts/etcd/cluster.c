/* SPDX-License-Identifier: Apache-2.0 */
/* The service etcdserverpb.Cluster. Changes of the members are asked of the front's hooks. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/handlers.h"
#include "controlplane/fronts/etcd/kv.h"

#define MEMBERS_MAX 256u

struct member_list {
    struct etcd_call *call;
    Etcdserverpb__Member **members;
    size_t count;
};

/* A list of one URL, or of none when there is no address. */
static char **url_list(struct etcd_call *call, const char *scheme, const char *address,
                       size_t *count)
{
    size_t size = strlen(scheme) + strlen(address) + 1;
    char **list = etcd_scratch(call, sizeof(*list));
    char *url = etcd_scratch(call, size);

    *count = 0;
    if (!list || !url || !*address)
        return list;
    strcpy(url, scheme);
    strcat(url, address);
    list[0] = url;
    *count = 1;
    return list;
}

static char *copy_text(struct etcd_call *call, const char *text)
{
    char *copy = etcd_scratch(call, strlen(text) + 1);

    return copy ? strcpy(copy, text) : NULL;
}

static int add_member(void *arg, const struct kv_member *member)
{
    struct member_list *list = arg;
    const struct etcd_front *front = list->call->front;
    const char *scheme = front->listener_count && front->listeners[0].tls ? "https://" : "http://";
    Etcdserverpb__Member *to = etcd_scratch(list->call, sizeof(*to));

    if (!to || list->count == MEMBERS_MAX)
        return CULVERT_ENOMEM;
    etcdserverpb__member__init(to);
    to->id = member->id;
    to->name = copy_text(list->call, member->name);
    to->islearner = !member->voter;
    to->peerurls = url_list(list->call, "https://", member->address, &to->n_peerurls);
    to->clienturls = url_list(list->call, scheme, member->client_address, &to->n_clienturls);
    list->members[list->count++] = to;
    return to->name && to->peerurls && to->clienturls ? 0 : CULVERT_ENOMEM;
}

static int list_members(struct etcd_call *call, struct member_list *list)
{
    list->call = call;
    list->members = etcd_scratch(call, MEMBERS_MAX * sizeof(Etcdserverpb__Member *));
    if (!list->members)
        return CULVERT_ENOMEM;
    return kv_service_members(call->front->service, add_member, list);
}

static void reply_members(struct etcd_call *call)
{
    Etcdserverpb__MemberListResponse response = ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    struct member_list list = {0};
    int error = list_members(call, &list);

    if (error) {
        etcd_call_fail(call, error);
        return;
    }
    etcd_front_header(call->front, &header, 0);
    response.header = &header;
    response.members = list.members;
    response.n_members = list.count;
    etcd_call_reply(call, &response.base);
}

static void on_barrier(void *arg, int status)
{
    struct etcd_call *call = arg;

    if (status)
        etcd_call_fail(call, status);
    else
        reply_members(call);
    etcd_call_drop(call);
}

void etcd_member_list(struct etcd_call *call, const ProtobufCMessage *message)
{
    int error;

    if (!((const Etcdserverpb__MemberListRequest *)message)->linearizable) {
        reply_members(call);
        return;
    }
    etcd_call_hold(call);
    error = kv_service_barrier(call->front->service, on_barrier, call);
    if (!error)
        return;
    etcd_call_fail(call, error);
    etcd_call_drop(call);
}

/* ---- changes ---- */

static void fail_member(struct etcd_call *call, int error)
{
    switch (error) {
    case CULVERT_ENOTFOUND:
        etcd_call_end(call, ETCD_MEMBER_NOT_FOUND);
        break;
    case CULVERT_EEXIST:
        etcd_call_end(call, ETCD_MEMBER_EXISTS);
        break;
    case CULVERT_EINVAL:
        etcd_call_end(call, ETCD_MEMBER_BAD_URLS);
        break;
    case CULVERT_ECONFLICT:
        etcd_call_end(call, ETCD_MEMBER_NOT_NOW);
        break;
    default:
        etcd_call_fail(call, error);
    }
}

/* The responses of all changes but add look the same: a header and the members. */
static void on_changed(void *arg, int status, uint64_t id)
{
    struct etcd_call *call = arg;
    Etcdserverpb__MemberAddResponse added = ETCDSERVERPB__MEMBER_ADD_RESPONSE__INIT;
    Etcdserverpb__MemberListResponse changed = ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;
    struct member_list list = {0};

    if (!status)
        status = list_members(call, &list);
    etcd_front_header(call->front, &header, 0);
    if (status) {
        fail_member(call, status);
    } else if (call->method->handle == etcd_member_add) {
        added.header = &header;
        added.members = list.members;
        added.n_members = list.count;
        for (size_t i = 0; i < list.count; i++)
            if (list.members[i]->id == id)
                added.member = list.members[i];
        etcd_call_reply(call, &added.base);
    } else {
        changed.header = &header;
        changed.members = list.members;
        changed.n_members = list.count;
        etcd_call_reply(call, &changed.base);
    }
    etcd_call_drop(call);
}

/* After a hook was called, with what it returned. */
static void hook_called(struct etcd_call *call, int error)
{
    if (!error)
        return;
    fail_member(call, error);
    etcd_call_drop(call);
}

void etcd_member_add(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__MemberAddRequest *request = (const Etcdserverpb__MemberAddRequest *)message;
    const struct etcd_member_hooks *hooks = &call->front->options.members;

    if (!hooks->add) {
        etcd_call_end(call, ETCD_NOT_OFFERED);
        return;
    }
    if (!request->n_peerurls || request->n_peerurls > ETCD_URLS_MAX) {
        etcd_call_end(call, ETCD_MEMBER_BAD_URLS);
        return;
    }
    etcd_call_hold(call);
    hook_called(call, hooks->add(hooks->arg, (const char *const *)request->peerurls,
                                 request->n_peerurls, request->islearner, on_changed, call));
}

void etcd_member_remove(struct etcd_call *call, const ProtobufCMessage *message)
{
    const struct etcd_member_hooks *hooks = &call->front->options.members;

    if (!hooks->remove) {
        etcd_call_end(call, ETCD_NOT_OFFERED);
        return;
    }
    etcd_call_hold(call);
    hook_called(call,
                hooks->remove(hooks->arg, ((const Etcdserverpb__MemberRemoveRequest *)message)->id,
                              on_changed, call));
}

void etcd_member_update(struct etcd_call *call, const ProtobufCMessage *message)
{
    const Etcdserverpb__MemberUpdateRequest *request =
        (const Etcdserverpb__MemberUpdateRequest *)message;
    const struct etcd_member_hooks *hooks = &call->front->options.members;

    if (!hooks->update) {
        etcd_call_end(call, ETCD_NOT_OFFERED);
        return;
    }
    if (!request->n_peerurls || request->n_peerurls > ETCD_URLS_MAX) {
        etcd_call_end(call, ETCD_MEMBER_BAD_URLS);
        return;
    }
    etcd_call_hold(call);
    hook_called(call, hooks->update(hooks->arg, request->id, (const char *const *)request->peerurls,
                                    request->n_peerurls, on_changed, call));
}

void etcd_member_promote(struct etcd_call *call, const ProtobufCMessage *message)
{
    const struct etcd_member_hooks *hooks = &call->front->options.members;

    if (!hooks->promote) {
        etcd_call_end(call, ETCD_NOT_OFFERED);
        return;
    }
    etcd_call_hold(call);
    hook_called(call, hooks->promote(hooks->arg,
                                     ((const Etcdserverpb__MemberPromoteRequest *)message)->id,
                                     on_changed, call));
}
