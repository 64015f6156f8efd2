/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/etcd/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth.h"

/* ---- memory ---- */

static void *scratch_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void scratch_free(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

void *etcd_scratch(struct etcd_call *call, size_t size)
{
    return arena_alloc(&call->front->scratch, size);
}

bool etcd_call_account(struct etcd_call *call)
{
    struct etcd_front *front = call->front;
    size_t held = call->in.length + call->out.length + call->kept;

    front->held = front->held - call->held + held;
    call->held = held;
    return front->held <= front->options.held_max;
}

static void buffer_trim(struct buffer *buffer)
{
    if (buffer->capacity > ETCD_SPARE_BYTES)
        buffer_free(buffer);
    else
        buffer_clear(buffer);
}

/* ---- life ---- */

struct etcd_call *etcd_call_new(struct etcd_connection *connection,
                                const struct etcd_transport *transport)
{
    struct etcd_front *front = connection->front;
    struct etcd_call *call = front->spare;
    struct buffer in = {0}, out = {0};

    if (front->calls >= front->options.calls_max)
        return NULL;
    if (call) {
        front->spare = call->next;
        front->spare_count--;
        in = call->in;
        out = call->out;
    } else {
        call = malloc(sizeof(*call));
        if (!call)
            return NULL;
    }
    *call = (struct etcd_call){
        .front = front,
        .connection = connection,
        .transport = transport,
        .in = in,
        .out = out,
        .taken_at = uv_now(front->loop),
    };
    call->next = connection->calls;
    if (call->next)
        call->next->prev = call;
    connection->calls = call;
    connection->call_count++;
    front->calls++;
    return call;
}

static void call_untime(struct etcd_call *call)
{
    if (!call->timed)
        return;
    call->timed = false;
    if (call->earlier)
        call->earlier->later = call->later;
    else
        call->front->timed = call->later;
    if (call->later)
        call->later->earlier = call->earlier;
    call->later = call->earlier = NULL;
}

void etcd_call_deadline(struct etcd_call *call, uint64_t ms)
{
    struct etcd_front *front = call->front;

    call_untime(call);
    call->deadline = uv_now(front->loop) + ms;
    call->timed = true;
    call->later = front->timed;
    if (call->later)
        call->later->earlier = call;
    front->timed = call;
}

static void call_free(struct etcd_call *call)
{
    struct etcd_front *front = call->front;

    front->calls--;
    if (front->spare_count < ETCD_SPARE_CALLS && !front->closing) {
        buffer_trim(&call->in);
        buffer_trim(&call->out);
        call->next = front->spare;
        front->spare = call;
        front->spare_count++;
        return;
    }
    buffer_free(&call->in);
    buffer_free(&call->out);
    free(call);
    etcd_front_maybe_free(front);
}

void etcd_call_leave(struct etcd_call *call)
{
    struct etcd_connection *connection = call->connection;

    if (call->prev)
        call->prev->next = call->next;
    else
        connection->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
    connection->call_count--;
    call->connection = NULL;
    call_untime(call);
    if (call->method && call->method->release && call->state)
        call->method->release(call);
    call->state = NULL;
    call->kept = 0;
    buffer_clear(&call->in);
    buffer_clear(&call->out);
    etcd_call_account(call);
    if (!call->holds && !call->wants_turn)
        call_free(call);
}

void etcd_call_hold(struct etcd_call *call)
{
    call->holds++;
}

void etcd_call_drop(struct etcd_call *call)
{
    call->holds--;
    if (!call->connection && !call->holds && !call->wants_turn)
        call_free(call);
}

void etcd_call_turn(struct etcd_call *call, void (*turn)(struct etcd_call *call))
{
    call->turn = turn;
    if (call->wants_turn)
        return;
    call->wants_turn = true;
    call->next_turn = call->front->turns;
    call->front->turns = call;
    etcd_front_busy(call->front);
}

bool etcd_call_open(const struct etcd_call *call)
{
    return call->connection && !call->ended;
}

/* ---- from the client ---- */

void etcd_call_handle(struct etcd_call *call, const ProtobufCMessage *message)
{
    call->delivered = true;
    if (call->wants_leader && !call->front->status.leader &&
        !etcd_front_status(call->front)->leader)
        etcd_call_end(call, ETCD_NO_LEADER);
    else
        etcd_auth_admit(call, message);
}

void etcd_call_deliver(struct etcd_call *call, const uint8_t *data, size_t length)
{
    ProtobufCAllocator allocator = {scratch_alloc, scratch_free, &call->front->scratch};
    const ProtobufCMessageDescriptor *descriptor = call->method->request;
    ProtobufCMessage *message = NULL;

    if (etcd_wire_check(descriptor, data, length))
        message = protobuf_c_message_unpack(descriptor, &allocator, length, data);
    if (message)
        etcd_call_handle(call, message);
    else
        etcd_call_end(call, ETCD_MALFORMED);
}

/* ---- to the client ---- */

void etcd_call_end_text(struct etcd_call *call, enum etcd_code code, const char *text)
{
    if (!etcd_call_open(call))
        return;
    call->ended = true;
    call->code = code;
    snprintf(call->text, sizeof(call->text), "%s", text);
    call_untime(call);
    call->transport->end(call);
}

static bool is_refusal(enum etcd_code code)
{
    return code == ETCD_CODE_INVALID_ARGUMENT || code == ETCD_CODE_NOT_FOUND ||
           code == ETCD_CODE_PERMISSION_DENIED || code == ETCD_CODE_FAILED_PRECONDITION ||
           code == ETCD_CODE_OUT_OF_RANGE;
}

void etcd_call_end(struct etcd_call *call, enum etcd_status status)
{
    enum etcd_code code = etcd_status_code(status);

    if (call->method && call->method->uncoded && is_refusal(code))
        code = ETCD_CODE_UNKNOWN;
    etcd_call_end_text(call, code, etcd_status_text(status));
}

void etcd_call_fail(struct etcd_call *call, int error)
{
    etcd_call_end(call, etcd_status_of(error));
}

void etcd_call_send(struct etcd_call *call, const ProtobufCMessage *message)
{
    if (!etcd_call_open(call))
        return;
    if (call->out.length == call->out_at)
        call->taken_at = uv_now(call->front->loop);
    call->transport->send(call, message);
    if (!etcd_call_account(call)) {
        buffer_clear(&call->out);
        call->out_at = 0;
        etcd_call_end(call, ETCD_TOO_MANY_REQUESTS);
    } else if (call->method->stream && call->out.length - call->out_at > ETCD_QUEUE_MAX) {
        etcd_call_end(call, ETCD_SLOW);
    } else if (call->out.error) {
        etcd_call_end(call, ETCD_NO_MEMORY);
    } else {
        call->transport->wake(call);
    }
}

void etcd_call_reply(struct etcd_call *call, const ProtobufCMessage *message)
{
    etcd_call_send(call, message);
    etcd_call_end(call, ETCD_OK);
}

bool etcd_call_full(struct etcd_call *call)
{
    if (call->out.length - call->out_at > ETCD_QUEUE_HIGH)
        call->full = true;
    return call->full;
}

void etcd_call_taken(struct etcd_call *call)
{
    call->taken_at = uv_now(call->front->loop);
    if (call->out_at == call->out.length) {
        buffer_trim(&call->out);
        call->out_at = 0;
    } else if (call->out_at > ETCD_QUEUE_LOW && call->out_at > call->out.length / 2) {
        call->out.length -= call->out_at;
        memmove(call->out.data, call->out.data + call->out_at, call->out.length);
        call->out_at = 0;
    }
    etcd_call_account(call);
    if (call->full && call->out.length - call->out_at <= ETCD_QUEUE_LOW) {
        call->full = false;
        if (call->method->ready && etcd_call_open(call))
            call->method->ready(call);
    }
}
