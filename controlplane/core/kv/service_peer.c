/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes say to each other about requests: version, kind, the life of the asker's service and
 * its id of the request; then a command, or a lease's id; an answer has the same, then a status,
 * and the index of the log with the result, or the lease's times. Answers go to who asked and only
 * then. What is lost ends by the asker's time-out.
 *
 * What comes from a connection that was replaced may come late, or once more (base/env.h), and a
 * command must not be done twice. So a request has another, higher id each time it is sent, and
 * whoever is asked takes none that is not higher than the last one of the same life: one that came
 * late is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"

#define PEER_VERSION 1u
#define PEER_ANSWER 0x80u /* in the kind */
#define GUESTS_MAX 65536u
#define ANSWER_BYTES (MESSAGE_TOLD_MAX - 64) /* of what an answer is about */

_Static_assert(KV_ANSWER_MAX < ANSWER_BYTES - 1024, "a command's result fits a message");

/* ---- asking ---- */

static void put_head(struct buffer *to, unsigned kind, uint64_t life, uint64_t id)
{
    const uint8_t head[2] = {PEER_VERSION, (uint8_t)kind};

    buffer_add(to, head, sizeof(head));
    kv_put_be64(to, life);
    kv_put_be64(to, id);
}

bool peer_ask(struct request *request, uint64_t leader)
{
    struct kv_service *service = request->service;
    struct buffer *bytes = &service->scratch;

    request_renumber(request);
    buffer_clear(bytes);
    put_head(bytes, request->kind, service->life, request->id);
    if (request->kind == REQUEST_PROPOSE)
        buffer_add(bytes, request->command, request->length);
    else
        kv_put_be64(bytes, (uint64_t)request->lease);
    request->node = leader;
    return !bytes->error && group_tell(service->group, leader, bytes->data, bytes->length);
}

static void on_applied(void *arg, int status)
{
    struct request *request = arg;
    struct buffer result = request->result;

    (void)status; /* done it is in any case */
    request->state = REQUEST_WAITING;
    request->result = (struct buffer){0};
    request_end_bytes(request, result.data, result.length);
    buffer_free(&result);
}

/* Who asked here finds here what was changed: the answer waits for this node to have it, too. */
static void receive_result(struct request *request, struct kv_reader *reader)
{
    uint64_t index = kv_read_be64(reader);
    size_t length = kv_reader_left(reader);

    buffer_init(&request->result, KV_RESULT_MAX);
    buffer_add(&request->result, reader->at, length);
    if (!request->result.error && !group_wait(request->service->group, index, on_applied, request))
        request->state = REQUEST_HERE;
    else
        request_end_bytes(request, reader->at, length);
}

static void receive_answer(struct kv_service *service, uint64_t from, unsigned kind, uint64_t id,
                           struct kv_reader *reader)
{
    struct request *request = request_find(service, id);
    int status = (int)(int32_t)kv_read_be32(reader);
    uint64_t remaining, granted;

    if (!request || request->state != REQUEST_AWAY || request->node != from ||
        request->kind != kind || reader->bad || status > 0)
        return;
    request->state = REQUEST_WAITING;
    if (status == CULVERT_ENOTLEADER) {
        request_again(request);
    } else if (kind == REQUEST_PROPOSE) {
        if (status)
            request_end(request, status, NULL);
        else
            receive_result(request, reader);
    } else {
        remaining = kv_read_be64(reader);
        granted = kv_read_be64(reader);
        request_end_lease(request, reader->bad ? CULVERT_EPROTO : status, remaining, granted);
    }
}

/* ---- answering ---- */

/* Whether a request is new, and not one that came late or once more. Lives are remembered until so
 * many others have asked. */
static bool is_new(struct kv_service *service, const struct asker *asker)
{
    struct asker *askers = service->askers;
    unsigned at = 0;
    bool fresh;

    while (at < SERVICE_ASKERS - 1 &&
           (askers[at].node != asker->node || askers[at].life != asker->life))
        at++;
    fresh = askers[at].node != asker->node || askers[at].life != asker->life ||
            asker->id > askers[at].id;
    if (!fresh)
        return false;
    memmove(askers + 1, askers, at * sizeof(*askers));
    askers[0] = *asker;
    return true;
}

static struct guest *guest_new(struct kv_service *service, const struct asker *asker, unsigned kind)
{
    struct guest *guest = service->guest_count < GUESTS_MAX ? malloc(sizeof(*guest)) : NULL;

    if (!guest)
        return NULL;
    *guest =
        (struct guest){.next = service->guests, .service = service, .kind = kind, .asker = *asker};
    if (service->guests)
        service->guests->prev = guest;
    service->guests = guest;
    service->guest_count++;
    return guest;
}

static void guest_free(struct guest *guest)
{
    if (guest->next)
        guest->next->prev = guest->prev;
    if (guest->prev)
        guest->prev->next = guest->next;
    else
        guest->service->guests = guest->next;
    guest->service->guest_count--;
    free(guest);
}

void guests_free(struct kv_service *service)
{
    struct guest *next;

    for (struct guest *guest = service->guests; guest; guest = next) {
        next = guest->next;
        free(guest);
    }
    service->guests = NULL;
    service->guest_count = 0;
}

static void tell_answer(struct kv_service *service, const struct asker *asker, unsigned kind,
                        int status, const void *more, size_t length)
{
    struct buffer *bytes = &service->scratch;

    buffer_clear(bytes);
    put_head(bytes, kind | PEER_ANSWER, asker->life, asker->id);
    kv_put_be32(bytes, (uint32_t)status);
    buffer_add(bytes, more, length);
    if (!bytes->error)
        group_tell(service->group, asker->node, bytes->data, bytes->length);
}

static void on_guest_proposed(void *arg, uint64_t index, int status, const struct buffer *result)
{
    struct guest *guest = arg;
    struct buffer bytes = {.bound = ANSWER_BYTES};

    if (!status) {
        kv_put_be64(&bytes, index);
        buffer_add(&bytes, result->data, result->length);
        status = bytes.error ? CULVERT_EUNKNOWN : 0;
    }
    tell_answer(guest->service, &guest->asker, guest->kind, status, bytes.data,
                status ? 0 : bytes.length);
    buffer_free(&bytes);
    guest_free(guest);
}

static void on_guest_lease(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct guest *guest = arg;
    const uint64_t times[2] = {htobe64(remaining), htobe64(granted)};

    tell_answer(guest->service, &guest->asker, guest->kind, status, times, sizeof(times));
    guest_free(guest);
}

static void on_guest_leads(void *arg, int status)
{
    struct guest *guest = arg;

    if (status)
        on_guest_lease(guest, CULVERT_ENOTLEADER, 0, 0);
    else
        duty_lease(guest->service, guest->kind, guest->lease, on_guest_lease, guest);
}

/* The asker's bytes go into the log: only what is a command gets there. */
static int propose(struct guest *guest, struct kv_slice bytes)
{
    struct kv_service *service = guest->service;
    struct arena arena = {0};
    struct kv_command command;
    int error = kv_command_decode(&command, &arena, bytes);

    if (!error)
        error = kv_command_check(&command, bytes.length, &service->options.limits);
    arena_free(&arena);
    if (!error)
        error = group_propose(service->group, bytes.data, bytes.length, on_guest_proposed, guest);
    return error;
}

static void receive_request(struct kv_service *service, const struct asker *asker, unsigned kind,
                            struct kv_reader *reader)
{
    struct guest *guest = guest_new(service, asker, kind);
    int error = guest ? 0 : CULVERT_EFULL;

    if (guest && kind == REQUEST_PROPOSE) {
        error =
            propose(guest, (struct kv_slice){.data = reader->at, .length = kv_reader_left(reader)});
    } else if (guest) {
        guest->lease = (int64_t)kv_read_be64(reader);
        error = reader->bad ? CULVERT_EPROTO : group_read(service->group, on_guest_leads, guest);
    }
    if (!error)
        return;
    if (guest)
        guest_free(guest);
    tell_answer(service, asker, kind, error, (const uint64_t[2]){0}, 2 * sizeof(uint64_t));
}

void peer_told(void *arg, uint64_t from, const void *bytes, size_t length)
{
    struct kv_service *service = arg;
    struct kv_reader reader = kv_reader_of((struct kv_slice){.data = bytes, .length = length});
    unsigned version = kv_read_byte(&reader), kind = kv_read_byte(&reader);
    struct asker asker = {.node = from};

    asker.life = kv_read_be64(&reader);
    asker.id = kv_read_be64(&reader);
    if (reader.bad || version != PEER_VERSION)
        return;
    switch (kind & ~PEER_ANSWER) {
    case REQUEST_PROPOSE:
    case REQUEST_KEEP:
    case REQUEST_TIME:
        break;
    default:
        return;
    }
    if (!(kind & PEER_ANSWER) && is_new(service, &asker))
        receive_request(service, &asker, kind, &reader);
    else if (kind & PEER_ANSWER && asker.life == service->life)
        receive_answer(service, from, kind & ~PEER_ANSWER, asker.id, &reader);
}

/* A connection has ended, or another has taken its place. A command that was with that node may
 * have been done; a question about a lease is asked again. */
void peer_connected(void *arg, uint64_t node, bool up)
{
    struct kv_service *service = arg;
    struct request *next;

    for (struct request *request = service->first; request; request = next) {
        next = request->next;
        if (request->state != REQUEST_AWAY || request->node != node)
            continue;
        if (request->kind == REQUEST_PROPOSE)
            request_end(request, CULVERT_EUNKNOWN, NULL);
        else
            request_again(request);
    }
}
