/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: one use of a method, by gRPC or by the JSON gateway. Its handler gets the client's
 * messages and sends back messages and a status; how these travel is the transport's.
 */
#ifndef CULVERT_FRONTS_ETCD_CALL_H
#define CULVERT_FRONTS_ETCD_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/arena.h"
#include "controlplane/base/buffer.h"
#include "controlplane/fronts/etcd/status.h"

struct etcd_call;
struct etcd_connection;
struct etcd_front;

#define ETCD_TOKEN_MAX 512u        /* bytes of an auth token */
#define ETCD_QUEUE_HIGH (1u << 20) /* bytes to be sent, from which on a stream makes no more */
#define ETCD_QUEUE_LOW (256u << 10)
#define ETCD_QUEUE_MAX (64u << 20) /* a stream whose client takes nothing is ended */

/* What can be called. */
struct etcd_method {
    const char *path;    /* of gRPC: "/package.Service/Method" */
    const char *json[2]; /* of the gateway, without the version: "/kv/range"; NULL */
    const ProtobufCMessageDescriptor *request;
    /* Takes a message, whose memory lasts during the call. */
    void (*handle)(struct etcd_call *call, const ProtobufCMessage *request);
    bool stream;  /* the client sends any number of messages, not just one */
    bool reader;  /* ...and ends the call by having sent all */
    bool uncoded; /* what the store refuses has code Unknown, as etcd's; the words tell */
    bool waits;   /* for others, however long: ended when the front closes, as streams are */
    bool admin;   /* once authentication is on, for root only */
    bool open;    /* ...needs no user */
    /* Frees call->state. NULL: there is none. */
    void (*release)(struct etcd_call *call);
    /* There is room in the queue again, after etcd_call_full(). */
    void (*ready)(struct etcd_call *call);
};

/* The method of a gRPC path or of a gateway's path without its version; NULL. */
const struct etcd_method *etcd_method_find(const char *path, size_t length);
const struct etcd_method *etcd_method_find_json(const char *path);

struct etcd_transport {
    void (*send)(struct etcd_call *call, const ProtobufCMessage *message); /* into call->out */
    void (*end)(struct etcd_call *call);  /* code and text are set */
    void (*wake)(struct etcd_call *call); /* there is something in `out` */
};

struct etcd_call {
    struct etcd_front *front;
    struct etcd_connection *connection; /* NULL once the client is gone */
    const struct etcd_transport *transport;
    const struct etcd_method *method;
    struct etcd_call *next, *prev;     /* of the connection; of the spare ones */
    struct etcd_call *later, *earlier; /* of those with a deadline */
    struct etcd_call *next_turn;
    unsigned holds; /* operations of the service under way */
    bool ended, half_closed, answered, full, wants_turn, timed, delivered;
    bool wants_leader; /* the client wants no answer of a node that knows no leader */
    uint64_t deadline; /* ms of the loop; 0: none */
    uint64_t taken_at; /* when the client took of `out` last, or had it all */
    int32_t stream;    /* HTTP/2's number */
    size_t held;       /* counted in the front's `held` */
    size_t kept;       /* bytes of the method's state, counted in it */
    struct buffer in, out;
    size_t out_at; /* sent so far */
    enum etcd_code code;
    char text[192];             /* of the status */
    char token[ETCD_TOKEN_MAX]; /* "": none */
    void *state;                /* the method's */
    void (*turn)(struct etcd_call *call);
};

/* For transports: a call of a method, linked to the connection; NULL: there are too many, or out
 * of memory. */
struct etcd_call *etcd_call_new(struct etcd_connection *connection,
                                const struct etcd_transport *transport);
/* The client is gone or has all: the call is freed, now or when nothing is under way. */
void etcd_call_leave(struct etcd_call *call);
void etcd_call_deadline(struct etcd_call *call, uint64_t ms); /* from now on */
/* Unpacks a message and hands it to the handler. */
void etcd_call_deliver(struct etcd_call *call, const uint8_t *data, size_t length);
void etcd_call_handle(struct etcd_call *call, const ProtobufCMessage *message);
/* Keeps `held` up to date after `in` or `out` changed. False: the bound is reached. */
bool etcd_call_account(struct etcd_call *call);
/* The transport took bytes out of the queue. */
void etcd_call_taken(struct etcd_call *call);

/* For handlers. A call that is ended or whose client is gone ignores what is sent. */
void etcd_call_send(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_call_end(struct etcd_call *call, enum etcd_status status);
void etcd_call_end_text(struct etcd_call *call, enum etcd_code code, const char *text);
void etcd_call_fail(struct etcd_call *call, int error); /* of the table (base/error.h) */
/* One message and the end. */
void etcd_call_reply(struct etcd_call *call, const ProtobufCMessage *message);
/* Whether anybody waits for an answer still. */
bool etcd_call_open(const struct etcd_call *call);
/* Whether the queue is at its high mark: then `ready` of the method follows. */
bool etcd_call_full(struct etcd_call *call);

/* The call stays until dropped, whatever becomes of the client. */
void etcd_call_hold(struct etcd_call *call);
void etcd_call_drop(struct etcd_call *call);

/* Calls `turn` once in the loop's next turn; for long work done in pieces. */
void etcd_call_turn(struct etcd_call *call, void (*turn)(struct etcd_call *call));

/* Zeroed memory until the present callback of the loop returns; NULL: out of memory. */
void *etcd_scratch(struct etcd_call *call, size_t size);

#endif
