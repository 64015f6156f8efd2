/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way: to the group where this node leads, to the leader otherwise. */
#include "controlplane/core/kv/service.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

#define TIMEOUT_MS 5000u
#define REQUESTS_MAX 16384u
#define BYTES_MAX ((size_t)64 << 20)
#define TABLE_MIN 1024u

/* ---- the list of requests ---- */

static struct request **chain_of(struct kv_service *service, uint64_t id)
{
    return &service->table[id & (service->table_size - 1)];
}

static void link_last(struct kv_service *service, struct request *request)
{
    struct request **chain = chain_of(service, request->id);

    request->chain = *chain;
    *chain = request;
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
    struct request **link = chain_of(service, request->id);

    while (*link != request)
        link = &(*link)->chain;
    *link = request->chain;
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

static int request_new(struct kv_service *service, enum request_kind kind, size_t length,
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

/* ---- the way of a request ---- */

static void on_proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct request *request = arg;

    (void)index;
    request->state = REQUEST_WAITING;
    if (request->answered)
        finish(request);
    else if (status == CULVERT_ENOTLEADER)
        request_again(request);
    else if (status)
        request_end(request, status, NULL);
    else
        request_end_bytes(request, result->data, result->length);
}

static void on_lease(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct request *request = arg;

    request->state = REQUEST_WAITING;
    if (request->answered)
        finish(request);
    else if (status == CULVERT_ENOTLEADER || status == CULVERT_ETIMEOUT)
        request_again(request);
    else
        request_end_lease(request, status, remaining, granted);
}

static void on_leads(void *arg, int status)
{
    struct request *request = arg;

    if (status)
        on_lease(request, status, 0, 0);
    else
        duty_lease(request->service, request->kind, request->lease, on_lease, request);
}

static bool is_read(const struct request *request)
{
    return request->kind == REQUEST_READ || request->kind == REQUEST_BARRIER;
}

static void on_current(void *arg, int status);

/* Hands a request to this node's group. */
static int hand_here(struct request *request)
{
    struct group *group = request->service->group;
    int error;

    if (request->kind == REQUEST_PROPOSE)
        error = group_propose(group, request->command, request->length, on_proposed, request);
    else
        error = group_read(group, is_read(request) ? on_current : on_leads, request);

    if (!error)
        request->state = REQUEST_HERE;
    return error;
}

/* Sends a waiting request on where that can be done now. An error is one that ends it. */
static int hand_over(struct request *request)
{
    struct group_status status;
    int error = 0;

    group_status(request->service->group, &status);
    if (is_read(request) || status.leading)
        error = hand_here(request);
    else if (status.leader && peer_ask(request, status.leader))
        request->state = REQUEST_AWAY;
    service_wake(request->service);
    return error == CULVERT_ENOTLEADER ? 0 : error;
}

void request_again(struct request *request)
{
    request->state = REQUEST_WAITING;
    service_wake(request->service);
}

/* What is known of a request whose time is over. */
static int too_late(const struct request *request)
{
    if (request->state == REQUEST_WAITING)
        return CULVERT_ENOTLEADER;
    return request->kind == REQUEST_PROPOSE ? CULVERT_EUNKNOWN : CULVERT_ETIMEOUT;
}

/* ---- the timer ---- */

static void tick(void *arg)
{
    struct kv_service *service = arg;
    uint64_t now = env_now(service->env);
    struct request *next;

    service->ticking = false;
    for (struct request *request = service->first; request; request = next) {
        next = request->next;
        if (request->answered)
            continue;
        if (request->deadline <= now) {
            request_end(request, too_late(request), NULL);
        } else if (request->state == REQUEST_WAITING) {
            int error = hand_over(request);

            if (error)
                request_end(request, error, NULL);
        }
    }
    duty_tick(service);
    service_wake(service);
}

void service_wake(struct kv_service *service)
{
    uint64_t at = env_now(service->env) +
                  (service->first ? SERVICE_TICK_MS : SERVICE_IDLE_MS) * SERVICE_NS_PER_MS;

    if (!service->ticking || at < service->timer.at)
        service->env->ops->timer_set(service->env, &service->timer, at);
    service->ticking = true;
}

/* ---- what fronts call ---- */

static int encode(struct kv_service *service, const struct kv_command *command)
{
    int error;

    buffer_clear(&service->scratch);
    kv_command_encode(command, &service->scratch);
    error = service->scratch.error;
    if (!error)
        error = kv_command_check(command, service->scratch.length, &service->options.limits);
    return error;
}

int kv_service_propose(struct kv_service *service, const struct kv_command *command,
                       kv_answer answer, void *arg)
{
    struct request *request;
    int error = encode(service, command);

    if (!error)
        error = request_new(service, REQUEST_PROPOSE, service->scratch.length, &request);
    if (error)
        return error;
    request->answer = answer;
    request->arg = arg;
    memcpy(request->command, service->scratch.data, request->length);
    error = hand_over(request);
    if (error) {
        request->answered = true;
        finish(request);
    }
    return error;
}

/* Answers a read from the state as it is. */
static void answer_read(struct request *request)
{
    struct kv_service *service = request->service;
    struct buffer bytes = {.bound = KV_RESULT_MAX};
    struct arena arena = {0};
    struct kv_command command;
    int error = kv_command_decode(
        &command, &arena, (struct kv_slice){.data = request->command, .length = request->length});

    if (!error)
        error = kv_store_read(service->store, &command, &bytes);
    arena_free(&arena);
    if (error)
        request_end(request, error, NULL);
    else
        request_end_bytes(request, bytes.data, bytes.length);
    buffer_free(&bytes);
}

static void on_current(void *arg, int status)
{
    struct request *request = arg;

    request->state = REQUEST_WAITING;
    if (request->answered)
        finish(request);
    else if (status == CULVERT_ENOTLEADER)
        request_again(request);
    else if (status || request->kind == REQUEST_BARRIER)
        request_end(request, status, NULL);
    else
        answer_read(request);
}

/* A read or a barrier: on any member, by the group. Without a leader it waits for one. */
static int begin_read(struct request *request)
{
    int error = hand_over(request);

    if (error) {
        request->answered = true;
        finish(request);
    }
    return error;
}

/* Serves reads of this node's state as it is, in the loop's next turn. */
static void serve_local(void *arg)
{
    struct kv_service *service = arg;
    struct request *next;

    for (struct request *request = service->first; request && service->local; request = next) {
        next = request->next;
        if (request->kind != REQUEST_LOCAL)
            continue;
        service->local--;
        answer_read(request);
    }
}

int kv_service_read(struct kv_service *service, const struct kv_command *command, bool serializable,
                    kv_answer answer, void *arg)
{
    struct request *request;
    int error = encode(service, command);

    if (!error)
        error = request_new(service, serializable ? REQUEST_LOCAL : REQUEST_READ,
                            service->scratch.length, &request);
    if (error)
        return error;
    request->answer = answer;
    request->arg = arg;
    memcpy(request->command, service->scratch.data, request->length);
    if (!serializable)
        return begin_read(request);
    if (!service->local++)
        service->env->ops->timer_set(service->env, &service->soon, env_now(service->env));
    return 0;
}

int kv_service_barrier(struct kv_service *service, void (*done)(void *arg, int status), void *arg)
{
    struct request *request;
    int error = request_new(service, REQUEST_BARRIER, 0, &request);

    if (error)
        return error;
    request->done = done;
    request->arg = arg;
    return begin_read(request);
}

struct kv_store *kv_service_store(struct kv_service *service)
{
    return service->store;
}

static int ask_lease(struct kv_service *service, enum request_kind kind, int64_t id,
                     kv_lease_answer answer, void *arg)
{
    struct request *request;
    int error = request_new(service, kind, 0, &request);

    if (error)
        return error;
    request->lease_answer = answer;
    request->arg = arg;
    request->lease = id;
    error = hand_over(request);
    if (error) {
        request->answered = true;
        finish(request);
    }
    return error;
}

int kv_service_lease_keep(struct kv_service *service, int64_t id, kv_lease_answer answer, void *arg)
{
    return ask_lease(service, REQUEST_KEEP, id, answer, arg);
}

int kv_service_lease_time(struct kv_service *service, int64_t id, kv_lease_answer answer, void *arg)
{
    return ask_lease(service, REQUEST_TIME, id, answer, arg);
}

/* ---- opening and closing ---- */

static void set_defaults(struct kv_service_options *options)
{
    if (!options->timeout_ms)
        options->timeout_ms = TIMEOUT_MS;
    if (!options->requests_max)
        options->requests_max = REQUESTS_MAX;
    if (!options->bytes_max)
        options->bytes_max = BYTES_MAX;
    if (!options->limits.ops)
        options->limits = KV_LIMITS_DEFAULT;
}

int kv_service_open(struct kv_service **out, struct env *env, struct group *group,
                    struct kv_store *store, const struct kv_service_options *options)
{
    struct kv_service *service = calloc(1, sizeof(*service));
    int error;

    if (!service)
        return CULVERT_ENOMEM;
    service->env = env;
    service->group = group;
    service->store = store;
    service->options = *options;
    set_defaults(&service->options);
    service->timer = (struct env_timer){.fn = tick, .arg = service};
    service->soon = (struct env_timer){.fn = serve_local, .arg = service};
    env->ops->random(env, &service->next_id, sizeof(service->next_id));
    service->table_size = TABLE_MIN;
    while (service->table_size < service->options.requests_max)
        service->table_size *= 2;
    service->table = calloc(service->table_size, sizeof(*service->table));
    error = service->table ? duty_open(service) : CULVERT_ENOMEM;
    if (error) {
        free(service->table);
        free(service);
        return error;
    }
    group_listen(group, &(struct group_listener){
                            .arg = service, .told = peer_told, .connected = peer_connected});
    service_wake(service);
    *out = service;
    return 0;
}

void kv_service_close(struct kv_service *service)
{
    if (!service)
        return;
    service->env->ops->timer_stop(service->env, &service->timer);
    service->env->ops->timer_stop(service->env, &service->soon);
    while (service->first) {
        int status = too_late(service->first);

        service->first->state = REQUEST_WAITING;
        request_end(service->first, status, NULL);
    }
    guests_free(service);
    duty_close(service);
    buffer_free(&service->scratch);
    free(service->table);
    free(service);
}
