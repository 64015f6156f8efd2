/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/fronts/etcd/internal.h"

#define DEPTH_MAX 32u     /* messages within messages; a transaction of KV_DEPTH_MAX needs 18 */
#define FIELDS_MAX 65536u /* in all, so that little comes to take a lot of memory */

struct walk {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t walk_varint(struct walk *walk)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && walk->at < walk->end; shift += 7) {
        uint8_t byte = *walk->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    walk->bad = true;
    return 0;
}

static void walk_skip(struct walk *walk, uint64_t length)
{
    if (length > (uint64_t)(walk->end - walk->at))
        walk->bad = true;
    else
        walk->at += length;
}

static bool check(const ProtobufCMessageDescriptor *descriptor, struct walk walk, unsigned depth,
                  unsigned *fields);

/* What follows a field's tag. */
static bool check_value(const ProtobufCMessageDescriptor *descriptor, struct walk *walk,
                        uint64_t tag, unsigned depth, unsigned *fields)
{
    const ProtobufCFieldDescriptor *field;
    struct walk inner = {0};
    uint64_t length;

    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        walk_varint(walk);
        return !walk->bad;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        walk_skip(walk, 8);
        return !walk->bad;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        walk_skip(walk, 4);
        return !walk->bad;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        length = walk_varint(walk);
        inner.at = walk->at;
        walk_skip(walk, length);
        if (walk->bad)
            return false;
        inner.end = walk->at;
        field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
        return !field || field->type != PROTOBUF_C_TYPE_MESSAGE ||
               check(field->descriptor, inner, depth + 1, fields);
    default:
        return false;
    }
}

static bool check(const ProtobufCMessageDescriptor *descriptor, struct walk walk, unsigned depth,
                  unsigned *fields)
{
    uint64_t tag;

    if (depth > DEPTH_MAX)
        return false;
    while (walk.at < walk.end) {
        tag = walk_varint(&walk);
        if (walk.bad || tag > UINT32_MAX || ++*fields > FIELDS_MAX ||
            !check_value(descriptor, &walk, tag, depth, fields))
            return false;
    }
    return true;
}

bool etcd_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                     size_t length)
{
    unsigned fields = 0;

    return check(descriptor, (struct walk){data, data + length, false}, 0, &fields);
}
