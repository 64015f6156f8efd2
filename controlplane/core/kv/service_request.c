/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that are under way: in the order of their deadlines, and by id. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

static struct request **chain_of(struct kv_service *service, uint64_t id)
{
    return &service->table[id & (service->table_size - 1)];
}

static void chain(struct request *request)
{
    struct request **link = chain_of(request->service, request->id);

    request->chain = *link;
    *link = request;
}

static void unchain(struct request *request)
{
    struct request **link = chain_of(request->service, request->id);

    while (*link != request)
        link = &(*link)->chain;
    *link = request->chain;
}

void request_renumber(struct request *request)
{
    unchain(request);
    request->id = ++request->service->next_id;
    chain(request);
}

static void link_last(struct kv_service *service, struct request *request)
{
    chain(request);
    request->next = NULL;
    request->prev = service->last;
    if (service->last)
        service->last->next = request;
    else
        service->first = request;
    service->last = request;
    service->requests++;
    service->bytes += request->length;
}

static void unlink_request(struct request *request)
{
    struct kv_service *service = request->service;

    unchain(request);
    if (request->next)
        request->next->prev = request->prev;
    else
        service->last = request->prev;
    if (request->prev)
        request->prev->next = request->next;
    else
        service->first = request->next;
    service->requests--;
    service->bytes -= request->length;
}

struct request *request_find(struct kv_service *service, uint64_t id)
{
    struct request *request = *chain_of(service, id);

    while (request && request->id != id)
        request = request->chain;
    return request;
}

/* The group yet has to call for it: it stays until then, but nobody waits for it any more. */
static bool is_held(const struct request *request)
{
    return request->state == REQUEST_HERE;
}

static void finish(struct request *request)
{
    if (is_held(request)) {
        request->answered = true;
        return;
    }
    unlink_request(request);
    buffer_free(&request->result);
    free(request);
}

void request_end(struct request *request, int status, const struct kv_result *result)
{
    if (!request->answered) {
        if (request->kind == REQUEST_KEEP || request->kind == REQUEST_TIME)
            request->lease_answer(request->arg, status, 0, 0);
        else if (request->kind == REQUEST_BARRIER)
            request->done(request->arg, status);
        else
            request->answer(request->arg, status, result);
    }
    finish(request);
}

void request_end_lease(struct request *request, int status, uint64_t remaining, uint64_t granted)
{
    if (!request->answered)
        request->lease_answer(request->arg, status, remaining, granted);
    finish(request);
}

void request_end_bytes(struct request *request, const void *bytes, size_t length)
{
    struct arena arena = {0};
    struct kv_result result;
    int status =
        kv_result_decode(&result, &arena, (struct kv_slice){.data = bytes, .length = length});

    request_end(request, status ? CULVERT_EUNKNOWN : 0, status ? NULL : &result);
    arena_free(&arena);
}

int request_new(struct kv_service *service, enum request_kind kind, size_t length,
                struct request **out)
{
    struct request *request;

    if (service->requests >= service->options.requests_max ||
        service->bytes + length > service->options.bytes_max)
        return CULVERT_EFULL;
    request = malloc(sizeof(*request) + length);
    if (!request)
        return CULVERT_ENOMEM;
    *request = (struct request){.service = service,
                                .kind = kind,
                                .id = ++service->next_id,
                                .deadline = env_now(service->env) +
                                            service->options.timeout_ms * SERVICE_NS_PER_MS,
                                .length = length};
    link_last(service, request);
    *out = request;
    return 0;
}

void request_refuse(struct request *request)
{
    request->answered = true;
    finish(request);
}
