/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC client in the test's process: an HTTP/2 session whose bytes go straight to a connection
 * of the front and back, without sockets. */
#ifndef CULVERT_TESTS_FRONTS_ETCD_CLIENT_H
#define CULVERT_TESTS_FRONTS_ETCD_CLIENT_H

#include <nghttp2/nghttp2.h>
#include <uv.h>

#include "controlplane/fronts/etcd/internal.h"

#define CLIENT_STREAMS 64u

struct client_stream {
    struct client *client;
    int32_t id;
    struct buffer out; /* to be sent */
    size_t out_at;
    bool finished;    /* nothing follows `out` */
    struct buffer in; /* what came, prefixes included */
    int status;       /* grpc-status; -1: not yet */
    char message[256];
    bool closed;
    uint32_t error; /* of a reset */
};

/* The front, a service behind it, and one connection. */
struct client {
    uv_loop_t loop;
    struct kv_service *service;
    struct etcd_front *front;
    struct etcd_connection connection;
    nghttp2_session *session;
    struct client_stream streams[CLIENT_STREAMS];
    size_t stream_count;
    void (*around)(bool begin); /* called around what the front does with bytes; NULL: not */
    bool broken;                /* the front wants the connection closed */
    bool wants_leader;          /* says so in calls */
    bool deaf;                  /* takes nothing that the front sends */
};

/* Zero options are the defaults. */
void client_open(struct client *client, const struct etcd_options *options);
void client_close(struct client *client);
/* Moves bytes, and lets the loop turn, until nothing happens any more. */
void client_run(struct client *client);

/* Starts a call with one message (NULL: none yet); `more`: others follow. `timeout` may be NULL. */
struct client_stream *client_call(struct client *client, const char *path,
                                  const ProtobufCMessage *message, bool more, const char *timeout);
void client_send(struct client_stream *stream, const ProtobufCMessage *message);
void client_send_raw(struct client_stream *stream, const void *bytes, size_t length);
void client_finish(struct client_stream *stream);
void client_reset(struct client_stream *stream);
/* The number of whole messages that came, and one of them, unpacked (to be freed by the caller). */
size_t client_count(const struct client_stream *stream);
ProtobufCMessage *client_message(const struct client_stream *stream, size_t number,
                                 const ProtobufCMessageDescriptor *descriptor);

#endif
