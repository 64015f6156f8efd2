/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way: to the group where this node leads, to the leader otherwise. */
#include "controlplane/core/kv/service.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

#define RESULT_MORE 64u /* bytes of a result that its pairs are not */

#define TIMEOUT_MS 5000u
#define REQUESTS_MAX 16384u
#define BYTES_MAX ((size_t)64 << 20)
#define TABLE_MIN 1024u

/* ---- the way of a request ---- */

static void on_proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct request *request = arg;

    (void)index;
    request->state = REQUEST_WAITING;
    if (request->answered)
        request_refuse(request);
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
        request_refuse(request);
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

/* Answers a read from the state as it is. */
static void answer_read(struct request *request)
{
    struct kv_service *service = request->service;
    struct buffer bytes = {.bound = KV_RESULT_MAX + RESULT_MORE};
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
        request_refuse(request);
    else if (status == CULVERT_ENOTLEADER || status == CULVERT_ETIMEOUT)
        request_again(request);
    else if (status || request->kind == REQUEST_BARRIER)
        request_end(request, status, NULL);
    else
        answer_read(request);
}

static bool is_read(const struct request *request)
{
    return request->kind == REQUEST_READ || request->kind == REQUEST_BARRIER;
}

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
    if (status.leading || is_read(request)) /* any member's group sees to a read */
        error = hand_here(request);
    else if (status.leader && peer_ask(request, status.leader))
        request->state = REQUEST_AWAY;
    service_wake(request->service);
    return error == CULVERT_ENOTLEADER ? 0 : error;
}

/* The same in the call that asks: an error is the call's. */
static int begin(struct request *request)
{
    int error = hand_over(request);

    if (error)
        request_refuse(request);
    return error;
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
    return begin(request);
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
        return begin(request);
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
    return begin(request);
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
    return begin(request);
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
    env->ops->random(env, &service->life, sizeof(service->life));
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
