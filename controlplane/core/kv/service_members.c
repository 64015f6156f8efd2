/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in the group, and what each has told of itself: a key in the store for every node; how
 * the group is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

#define KEY_BYTES 32u

static struct kv_slice member_key(char key[KEY_BYTES], uint64_t id)
{
    snprintf(key, KEY_BYTES, "%cmember/%016" PRIx64, KV_SPACE_SITE, id);
    return kv_text(key);
}

int kv_service_describe(struct kv_service *service, const char *name, const char *client_address,
                        kv_answer answer, void *arg)
{
    struct kv_command command = {.kind = KV_PUT, .op = {.kind = KV_PUT}};
    struct buffer value = {.bound = 1024};
    struct group_status status;
    char key[KEY_BYTES];
    int error;

    group_status(service->group, &status);
    command.op.put.key = member_key(key, status.node);
    buffer_add(&value, name, strlen(name) + 1);
    buffer_text(&value, client_address);
    command.op.put.value = kv_buffer_slice(&value);
    error = value.error ? value.error : kv_service_propose(service, &command, answer, arg);
    buffer_free(&value);
    return error;
}

struct members {
    struct kv_service *service;
    int (*each)(void *arg, const struct kv_member *member);
    void *arg;
};

/* What a node has told of itself: two texts, in `bytes`. */
static void read_description(struct kv_service *service, struct buffer *bytes,
                             struct kv_member *member)
{
    struct kv_command command = {.kind = KV_RANGE, .op = {.kind = KV_RANGE}};
    struct arena arena = {0};
    struct kv_result result;
    char key[KEY_BYTES], *text;
    struct kv_slice value;

    member->name = member->client_address = "";
    command.op.range.keys.key = member_key(key, member->id);
    if (kv_store_read(service->store, &command, bytes) ||
        kv_result_decode(&result, &arena, kv_buffer_slice(bytes)) || result.status ||
        !result.op.pairs.count) {
        arena_free(&arena);
        return;
    }
    value = result.op.pairs.list[0].value;
    arena_free(&arena);
    buffer_clear(bytes); /* the value lies in it yet */
    text = memmove(bytes->data, value.data, value.length);
    text[value.length] = 0;
    member->name = text;
    if (strlen(text) < value.length)
        member->client_address = text + strlen(text) + 1;
}

static int each_member(void *arg, const struct group_member *of)
{
    const struct members *members = arg;
    struct kv_member member = {
        .id = of->id, .address = of->address, .voter = of->role == GROUP_VOTER};
    struct buffer bytes = {0};
    int result;

    read_description(members->service, &bytes, &member);
    result = members->each(members->arg, &member);
    buffer_free(&bytes);
    return result;
}

int kv_service_members(struct kv_service *service,
                       int (*each)(void *arg, const struct kv_member *member), void *arg)
{
    struct members members = {.service = service, .each = each, .arg = arg};

    return group_members(service->group, each_member, &members);
}

void kv_service_status(const struct kv_service *service, struct kv_status *out)
{
    struct group_status status;

    group_status(service->group, &status);
    *out = (struct kv_status){.node = status.node,
                              .leader = status.leader,
                              .term = status.term,
                              .site = service->options.site,
                              .last = status.last,
                              .commit = status.commit,
                              .applied = status.applied};
    kv_store_info(service->store, &out->store);
}

int kv_service_transfer(struct kv_service *service, uint64_t node,
                        void (*done)(void *arg, int status), void *arg)
{
    return group_transfer(service->group, node, done, arg);
}
