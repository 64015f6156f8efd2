/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as JSON, the way of the protocol's gateway (proto3's JSON mapping with the names of the
 * .proto files): bytes in base64, 64-bit numbers as strings, enumerators by name, what has its
 * default left out. Read, names may be in lowerCamelCase too, and unknown ones are skipped.
 */
#ifndef CULVERT_FRONTS_ETCD_JSON_H
#define CULVERT_FRONTS_ETCD_JSON_H

#include <protobuf-c/protobuf-c.h>
#include <yyjson.h>

#include "controlplane/base/arena.h"
#include "controlplane/base/buffer.h"

#define ETCD_JSON_DEPTH_MAX 32u

/* A message of the arena, in *out. CULVERT_EPROTO: the JSON is not such a message;
 * CULVERT_ENOMEM. */
int etcd_json_read(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor,
                   yyjson_val *json, struct arena *arena);

/* Appends the message; the error is the buffer's. */
void etcd_json_write(struct buffer *to, const ProtobufCMessage *message);

#endif
