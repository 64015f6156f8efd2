/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/fronts/etcd/service.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/lessor.h"

#define LEASE_TICK_MS 100u

enum question_kind { ASK_PROPOSE, ASK_READ, ASK_BARRIER, ASK_KEEP, ASK_TIME };

struct question {
    struct question *next;
    enum question_kind kind;
    union {
        kv_answer answer;
        kv_lease_answer lease_answer;
        void (*done)(void *arg, int status);
    };
    void *arg;
    int64_t lease;
    int status; /* not 0: what it gets instead */
    size_t length;
    uint8_t command[];
};

struct kv_service {
    struct env env;
    uv_loop_t *loop;
    uv_idle_t turn;
    uv_timer_t tick;
    struct kv_memory_disk disk;
    struct kv_store *store;
    struct kv_lessor *lessor;
    struct question *first, **last;
    uint64_t index;
    struct arena arena;
    struct buffer bytes;
    int fail;
    bool paused;
    unsigned handles;
    void (*around)(bool begin);
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t env_clock(struct env *env)
{
    return uv_now(((struct kv_service *)env)->loop) * 1000000;
}

static void env_works(struct env *env, struct env_work *work)
{
    work->run(work);
    work->done(work);
}

static const struct env_ops env_ops = {.now = env_clock, .work = env_works};

/* ---- answers ---- */

static void call_around(struct kv_service *service, bool begin)
{
    if (service->around)
        service->around(begin);
}

static void tell(struct kv_service *service, struct question *question, int status,
                 const struct kv_result *result)
{
    call_around(service, true);
    question->answer(question->arg, status, result);
    call_around(service, false);
}

static void tell_lease(struct kv_service *service, struct question *question, int status,
                       uint64_t remaining, uint64_t granted)
{
    call_around(service, true);
    question->lease_answer(question->arg, status, remaining, granted);
    call_around(service, false);
}

static void tell_done(struct kv_service *service, struct question *question)
{
    call_around(service, true);
    question->done(question->arg, question->status);
    call_around(service, false);
}

static void apply(struct kv_service *service, struct question *question)
{
    struct machine *machine = kv_store_machine(service->store);
    struct kv_result result;

    buffer_clear(&service->bytes);
    must(!machine->ops->apply(machine, ++service->index, question->command, question->length,
                              &service->bytes));
    must(!kv_result_decode(&result, &service->arena, kv_buffer_slice(&service->bytes)));
    tell(service, question, 0, &result);
}

static void read_store(struct kv_service *service, struct question *question)
{
    struct kv_slice bytes = {question->command, question->length};
    struct kv_command command;
    struct kv_result result;

    buffer_clear(&service->bytes);
    must(!kv_command_decode(&command, &service->arena, bytes));
    must(!kv_store_read(service->store, &command, &service->bytes));
    must(!kv_result_decode(&result, &service->arena, kv_buffer_slice(&service->bytes)));
    tell(service, question, 0, &result);
}

static void apply_own(struct kv_service *service, const struct kv_command *command)
{
    struct machine *machine = kv_store_machine(service->store);
    struct buffer encoded = {0};

    kv_command_encode(command, &encoded);
    must(!encoded.error);
    must(!machine->ops->apply(machine, ++service->index, encoded.data, encoded.length, NULL));
    buffer_free(&encoded);
}

static void keep(struct kv_service *service, struct question *question)
{
    struct kv_command command = {.kind = KV_LEASE_CHECKPOINT};
    struct kv_lease lease = {.id = question->lease};
    uint64_t ttl = 0;
    bool reset;
    int status = kv_lessor_renew(service->lessor, question->lease, &ttl, &reset);

    command.checkpoint.list = &lease;
    command.checkpoint.count = 1;
    if (!status && reset)
        apply_own(service, &command);
    tell_lease(service, question, status, ttl, ttl);
}

static void tell_time(struct kv_service *service, struct question *question)
{
    struct kv_lease lease = {0};
    int status = kv_lessor_lookup(service->lessor, question->lease, &lease);

    tell_lease(service, question, status, lease.remaining, lease.ttl);
}

static void question_answer(struct kv_service *service, struct question *question)
{
    bool kv = question->kind == ASK_PROPOSE || question->kind == ASK_READ;

    if (question->status && kv)
        tell(service, question, question->status, NULL);
    else if (question->kind == ASK_BARRIER)
        tell_done(service, question);
    else if (question->status)
        tell_lease(service, question, question->status, 0, 0);
    else if (question->kind == ASK_PROPOSE)
        apply(service, question);
    else if (question->kind == ASK_READ)
        read_store(service, question);
    else if (question->kind == ASK_KEEP)
        keep(service, question);
    else
        tell_time(service, question);
    arena_clear(&service->arena);
    free(question);
}

static void on_turn(uv_idle_t *turn)
{
    struct kv_service *service = turn->data;
    struct question *question = service->first, *next;

    service->first = NULL;
    service->last = &service->first;
    uv_idle_stop(turn);
    for (; question; question = next) {
        next = question->next;
        question_answer(service, question);
    }
}

static int ask(struct kv_service *service, struct question *question, void *arg)
{
    question->arg = arg;
    question->status = service->fail;
    question->next = NULL;
    *service->last = question;
    service->last = &question->next;
    if (!service->paused)
        uv_idle_start(&service->turn, on_turn);
    return 0;
}

/* ---- core/kv/service.h ---- */

static struct question *command_question(const struct kv_command *command, int *error)
{
    const struct kv_limits limits = KV_LIMITS_DEFAULT;
    struct question *question = NULL;
    struct buffer encoded = {0};

    kv_command_encode(command, &encoded);
    *error = encoded.error ? encoded.error : kv_command_check(command, encoded.length, &limits);
    if (!*error) {
        question = calloc(1, sizeof(*question) + encoded.length);
        *error = question ? 0 : CULVERT_ENOMEM;
    }
    if (question) {
        memcpy(question->command, encoded.data, encoded.length);
        question->length = encoded.length;
    }
    buffer_free(&encoded);
    return question;
}

int kv_service_propose(struct kv_service *service, const struct kv_command *command,
                       kv_answer answer, void *arg)
{
    int error;
    struct question *question = command_question(command, &error);

    if (!question)
        return error;
    question->kind = ASK_PROPOSE;
    question->answer = answer;
    return ask(service, question, arg);
}

int kv_service_read(struct kv_service *service, const struct kv_command *command, bool serializable,
                    kv_answer answer, void *arg)
{
    int error;
    struct question *question = command_question(command, &error);

    if (!question)
        return error;
    question->kind = ASK_READ;
    question->answer = answer;
    return ask(service, question, arg);
}

static struct question *plain_question(enum question_kind kind, int64_t lease)
{
    struct question *question = calloc(1, sizeof(*question));

    if (question) {
        question->kind = kind;
        question->lease = lease;
    }
    return question;
}

int kv_service_barrier(struct kv_service *service, void (*done)(void *arg, int status), void *arg)
{
    struct question *question = plain_question(ASK_BARRIER, 0);

    if (!question)
        return CULVERT_ENOMEM;
    question->done = done;
    return ask(service, question, arg);
}

struct kv_store *kv_service_store(struct kv_service *service)
{
    return service->store;
}

int kv_service_lease_keep(struct kv_service *service, int64_t id, kv_lease_answer answer, void *arg)
{
    struct question *question = plain_question(ASK_KEEP, id);

    if (!question)
        return CULVERT_ENOMEM;
    question->lease_answer = answer;
    return ask(service, question, arg);
}

int kv_service_lease_time(struct kv_service *service, int64_t id, kv_lease_answer answer, void *arg)
{
    struct question *question = plain_question(ASK_TIME, id);

    if (!question)
        return CULVERT_ENOMEM;
    question->lease_answer = answer;
    return ask(service, question, arg);
}

void kv_service_status(const struct kv_service *service, struct kv_status *out)
{
    *out = (struct kv_status){.node = 11, .leader = 11, .term = 2, .site = 7};
    if (service->fail == CULVERT_ENOTLEADER)
        out->leader = 0;
    out->last = out->commit = out->applied = service->index;
    kv_store_info(service->store, &out->store);
}

int kv_service_members(const struct kv_service *service,
                       int (*each)(void *arg, const struct kv_member *member), void *arg)
{
    static const struct kv_member member = {
        11, "single", "127.0.0.1:2380", "127.0.0.1:2379", true,
    };

    return each(arg, &member);
}

int kv_service_transfer(struct kv_service *service, uint64_t node,
                        void (*done)(void *arg, int status), void *arg)
{
    struct question *question = plain_question(ASK_BARRIER, 0);

    if (!question)
        return CULVERT_ENOMEM;
    question->done = done;
    return ask(service, question, arg);
}

/* ---- for tests ---- */

static void on_tick(uv_timer_t *tick)
{
    struct kv_service *service = tick->data;
    struct kv_lease_action actions[16];
    size_t count = kv_lessor_poll(service->lessor, actions, 16);

    for (size_t i = 0; i < count; i++) {
        struct kv_command command = {.kind = KV_LEASE_REVOKE};
        struct kv_lease lease = {.id = actions[i].id, .remaining = actions[i].remaining};

        if (actions[i].revoke) {
            command.lease.id = actions[i].id;
        } else {
            command.kind = KV_LEASE_CHECKPOINT;
            command.checkpoint.list = &lease;
            command.checkpoint.count = 1;
        }
        apply_own(service, &command);
    }
}

struct kv_service *single_open(uv_loop_t *loop)
{
    struct kv_service *service = calloc(1, sizeof(*service));
    struct kv_engine *engine;

    must(service);
    service->env.ops = &env_ops;
    service->loop = loop;
    service->last = &service->first;
    must(!kv_memory_open(&engine, &service->disk));
    must(!kv_store_open(&service->store, engine, &service->env));
    must(!kv_lessor_open(&service->lessor, service->store, &service->env));
    must(!kv_lessor_promote(service->lessor, 0));
    uv_idle_init(loop, &service->turn);
    uv_timer_init(loop, &service->tick);
    service->turn.data = service->tick.data = service;
    service->handles = 2;
    uv_timer_start(&service->tick, on_tick, LEASE_TICK_MS, LEASE_TICK_MS);
    return service;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct kv_service *service = handle->data;

    if (--service->handles)
        return;
    kv_lessor_close(service->lessor);
    kv_store_close(service->store);
    kv_memory_disk_free(&service->disk);
    arena_free(&service->arena);
    buffer_free(&service->bytes);
    free(service);
}

void single_close(struct kv_service *service)
{
    for (struct question *question = service->first; question; question = question->next)
        question->status = CULVERT_EUNKNOWN;
    on_turn(&service->turn);
    uv_close((uv_handle_t *)&service->turn, on_handle_closed);
    uv_close((uv_handle_t *)&service->tick, on_handle_closed);
}

void single_fail(struct kv_service *service, int status)
{
    service->fail = status;
}

void single_around(struct kv_service *service, void (*around)(bool begin))
{
    service->around = around;
}

void single_pause(struct kv_service *service, bool on)
{
    service->paused = on;
    if (on)
        uv_idle_stop(&service->turn);
    else
        uv_idle_start(&service->turn, on_turn);
}
