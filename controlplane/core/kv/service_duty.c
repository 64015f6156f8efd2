/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader does of its own: it ends leases, notes their times, compacts history. */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

#define DUTIES_MAX 64u  /* commands under way */
#define EXTEND_MS 1000u /* leases' grace at a new leader: clients find it in that time */
#define COMPACT_NS (1000 * SERVICE_NS_PER_MS)

int duty_open(struct kv_service *service)
{
    return kv_lessor_open(&service->lessor, service->store, service->env);
}

void duty_close(struct kv_service *service)
{
    kv_lessor_close(service->lessor);
}

/* ---- commands ---- */

static int propose(struct kv_service *service, const struct kv_command *command,
                   group_proposed done, void *arg)
{
    struct buffer bytes = {.bound = KV_COMMAND_MAX};
    int error;

    kv_command_encode(command, &bytes);
    error = bytes.error ? bytes.error
                        : group_propose(service->group, bytes.data, bytes.length, done, arg);
    buffer_free(&bytes);
    return error;
}

static void on_duty(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct kv_service *service = arg;

    (void)index;
    (void)status; /* whether it had an effect is seen at the next tick */
    (void)result;
    service->duties--;
}

static void do_duty(struct kv_service *service, const struct kv_command *command)
{
    if (!propose(service, command, on_duty, service))
        service->duties++;
}

/* ---- leases ---- */

/* A client that is answered once a renewal is in the log. */
struct renewal {
    kv_lease_answer answer;
    void *arg;
    uint64_t ttl;
};

static void on_renewed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct renewal *renewal = arg;

    (void)index;
    (void)result;
    renewal->answer(renewal->arg, status ? CULVERT_ENOTLEADER : 0, renewal->ttl, renewal->ttl);
    free(renewal);
}

/* The state says less time than the client now has: a new leader would go by it. */
static int put_back(struct kv_service *service, int64_t id, const struct renewal *as)
{
    struct kv_lease lease = {.id = id};
    struct kv_command command = {.kind = KV_LEASE_CHECKPOINT};
    struct renewal *renewal = malloc(sizeof(*renewal));
    int error;

    if (!renewal)
        return CULVERT_ENOMEM;
    *renewal = *as;
    command.checkpoint.list = &lease;
    command.checkpoint.count = 1;
    error = propose(service, &command, on_renewed, renewal);
    if (error)
        free(renewal);
    return error;
}

static void keep(struct kv_service *service, int64_t id, kv_lease_answer answer, void *arg)
{
    struct renewal renewal = {.answer = answer, .arg = arg};
    bool reset;
    int error = kv_lessor_renew(service->lessor, id, &renewal.ttl, &reset);

    if (!error && reset) {
        error = put_back(service, id, &renewal);
        if (!error)
            return;
        error = CULVERT_ENOTLEADER;
    }
    answer(arg, error == CULVERT_EUNSUPPORTED ? CULVERT_ENOTLEADER : error, renewal.ttl,
           renewal.ttl);
}

void duty_lease(struct kv_service *service, enum request_kind kind, int64_t id,
                kv_lease_answer answer, void *arg)
{
    struct kv_lease lease = {0};
    struct group_status status;
    int error;

    /* The duties may be laid down at the next tick, or not be taken up yet. */
    group_status(service->group, &status);
    if (!status.leading || status.term != service->term) {
        answer(arg, CULVERT_ENOTLEADER, 0, 0);
        return;
    }
    if (kind == REQUEST_KEEP) {
        keep(service, id, answer, arg);
        return;
    }
    error = kv_lessor_lookup(service->lessor, id, &lease);
    answer(arg, error == CULVERT_EUNSUPPORTED ? CULVERT_ENOTLEADER : error, lease.remaining,
           lease.ttl);
}

static void tick_leases(struct kv_service *service)
{
    struct kv_lease_action actions[DUTIES_MAX];
    struct kv_lease noted[DUTIES_MAX];
    struct kv_command command = {.kind = KV_LEASE_CHECKPOINT};
    size_t count = service->duties < DUTIES_MAX
                       ? kv_lessor_poll(service->lessor, actions, DUTIES_MAX - service->duties)
                       : 0;

    command.checkpoint.list = noted;
    for (size_t i = 0; i < count; i++) {
        struct kv_command revoke = {.kind = KV_LEASE_REVOKE, .lease = {.id = actions[i].id}};

        if (actions[i].revoke)
            do_duty(service, &revoke);
        else
            noted[command.checkpoint.count++] =
                (struct kv_lease){.id = actions[i].id, .remaining = actions[i].remaining};
    }
    if (command.checkpoint.count)
        do_duty(service, &command);
}

/* ---- history ---- */

static void on_compacted(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct kv_service *service = arg;

    (void)index;
    (void)result;
    service->compacting = false;
    if (!status)
        service->compact = 0; /* there may be more at once */
}

static void tick_history(struct kv_service *service)
{
    uint64_t now = env_now(service->env);
    struct kv_command command;
    struct kv_info info;

    if (service->compacting || now < service->compact)
        return;
    service->compact = now + COMPACT_NS;
    kv_store_info(service->store, &info);
    if (kv_compactor_due(&service->compactor, now / SERVICE_NS_PER_MS, &info, &command))
        service->compacting = !propose(service, &command, on_compacted, service);
}

/* ---- taking them up, laying them down ---- */

static void take_up(struct kv_service *service, uint64_t term)
{
    if (kv_lessor_promote(service->lessor, EXTEND_MS))
        return; /* again at the next tick */
    service->compactor =
        (struct kv_compactor){.mode = service->options.compact, .keep = service->options.keep};
    service->term = term;
}

void duty_tick(struct kv_service *service)
{
    struct group_status status;

    group_status(service->group, &status);
    if (service->term && (!status.leading || status.term != service->term)) {
        kv_lessor_demote(service->lessor);
        service->term = 0;
    }
    if (status.leading && !service->term)
        take_up(service, status.term);
    if (!service->term)
        return;
    tick_leases(service);
    tick_history(service);
}
