/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/json.h"

#define NAME_MAX_BYTES 64u /* names of fields are shorter */

static int read_message(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor,
                        yyjson_val *json, struct arena *arena, unsigned depth);

/* ---- values ---- */

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Base64 with either alphabet (RFC 4648 sections 4 and 5), padded or not. */
static int read_bytes(ProtobufCBinaryData *bytes, yyjson_val *json, struct arena *arena)
{
    const char *text = yyjson_get_str(json);
    size_t length = yyjson_get_len(json), bits = 0;
    uint32_t word = 0;
    int digit;

    if (!text)
        return CULVERT_EPROTO;
    while (length && text[length - 1] == '=')
        length--;
    bytes->len = 0;
    bytes->data = arena_alloc(arena, length / 4 * 3 + 3);
    if (!bytes->data)
        return CULVERT_ENOMEM;
    for (size_t i = 0; i < length; i++) {
        digit = digit_value(text[i]);
        if (digit < 0)
            return CULVERT_EPROTO;
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes->data[bytes->len++] = (uint8_t)(word >> bits);
        }
    }
    return bits < 6 ? 0 : CULVERT_EPROTO;
}

/* A number, also as a text, between the bounds. */
static int read_signed(int64_t *value, yyjson_val *json, int64_t least, int64_t most)
{
    const char *text = yyjson_get_str(json);
    char *end;

    if (text) {
        errno = 0;
        *value = strtoll(text, &end, 10);
        if (end == text || *end || errno || isspace((unsigned char)*text))
            return CULVERT_EPROTO;
    } else if (yyjson_is_uint(json) && yyjson_get_uint(json) > INT64_MAX) {
        return CULVERT_EPROTO;
    } else if (yyjson_is_int(json)) {
        *value = yyjson_get_sint(json);
    } else {
        return CULVERT_EPROTO;
    }
    return *value < least || *value > most ? CULVERT_EPROTO : 0;
}

static int read_unsigned(uint64_t *value, yyjson_val *json)
{
    const char *text = yyjson_get_str(json);
    char *end;

    if (text) {
        errno = 0;
        *value = strtoull(text, &end, 10);
        return end == text || *end || errno || !isdigit((unsigned char)*text) ? CULVERT_EPROTO : 0;
    }
    if (!yyjson_is_uint(json))
        return CULVERT_EPROTO;
    *value = yyjson_get_uint(json);
    return 0;
}

static int read_enum(int *value, const ProtobufCEnumDescriptor *type, yyjson_val *json)
{
    const char *name = yyjson_get_str(json);
    const ProtobufCEnumValue *found;
    int64_t number;
    int error;

    if (name) {
        found = protobuf_c_enum_descriptor_get_value_by_name(type, name);
        if (found) {
            *value = found->value;
            return 0;
        }
    }
    error = read_signed(&number, json, INT32_MIN, INT32_MAX);
    *value = (int)number;
    return error;
}

static int read_text(char **value, yyjson_val *json, struct arena *arena)
{
    const char *text = yyjson_get_str(json);

    if (!text)
        return CULVERT_EPROTO;
    *value = arena_copy(arena, text, yyjson_get_len(json));
    return *value ? 0 : CULVERT_ENOMEM;
}

static int read_value(void *to, const ProtobufCFieldDescriptor *field, yyjson_val *json,
                      struct arena *arena, unsigned depth)
{
    int64_t number;
    int error;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
        return read_signed(to, json, INT64_MIN, INT64_MAX);
    case PROTOBUF_C_TYPE_UINT64:
        return read_unsigned(to, json);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
        error = read_signed(&number, json, field->type == PROTOBUF_C_TYPE_INT32 ? INT32_MIN : 0,
                            field->type == PROTOBUF_C_TYPE_INT32 ? INT32_MAX : UINT32_MAX);
        if (!error)
            *(uint32_t *)to = (uint32_t)number;
        return error;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = yyjson_get_bool(json);
        return yyjson_is_bool(json) ? 0 : CULVERT_EPROTO;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(to, field->descriptor, json);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(to, json, arena);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(to, json, arena);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(to, field->descriptor, json, arena, depth + 1);
    default: /* there are no others in our files */
        return CULVERT_EUNSUPPORTED;
    }
}

static size_t list_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
        return 4;
    default:
        return 8;
    }
}

static int read_list(char *base, const ProtobufCFieldDescriptor *field, yyjson_val *json,
                     struct arena *arena, unsigned depth)
{
    size_t count = yyjson_arr_size(json), size = list_size(field->type), i, max;
    yyjson_val *item;
    char *list;
    int error;

    if (!yyjson_is_arr(json))
        return CULVERT_EPROTO;
    list = arena_alloc(arena, count * size);
    if (!list)
        return CULVERT_ENOMEM;
    yyjson_arr_foreach (json, i, max, item) {
        error = read_value(list + i * size, field, item, arena, depth);
        if (error)
            return error;
    }
    memcpy(base + field->quantifier_offset, &count, sizeof(count));
    memcpy(base + field->offset, &list, sizeof(char *));
    return 0;
}

/* ---- messages ---- */

/* By the name of the .proto file, or the same in lowerCamelCase. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
    char snake[NAME_MAX_BYTES];
    size_t n = 0;

    if (field)
        return field;
    for (const char *at = name; *at; at++) {
        if (n + 3 > sizeof(snake))
            return NULL;
        if (isupper((unsigned char)*at))
            snake[n++] = '_';
        snake[n++] = (char)tolower((unsigned char)*at);
    }
    snake[n] = 0;
    return protobuf_c_message_descriptor_get_field_by_name(descriptor, snake);
}

static int read_field(char *base, const ProtobufCFieldDescriptor *field, yyjson_val *json,
                      struct arena *arena, unsigned depth)
{
    int error;

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(base, field, json, arena, depth);
    error = read_value(base + field->offset, field, json, arena, depth);
    if (!error && field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        memcpy(base + field->quantifier_offset, &field->id, sizeof(field->id));
    return error;
}

static int read_message(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor,
                        yyjson_val *json, struct arena *arena, unsigned depth)
{
    ProtobufCMessage *message;
    const ProtobufCFieldDescriptor *field;
    yyjson_val *key, *value;
    size_t i, max;
    int error;

    if (!yyjson_is_obj(json) || depth > ETCD_JSON_DEPTH_MAX)
        return CULVERT_EPROTO;
    message = arena_alloc(arena, descriptor->sizeof_message);
    if (!message)
        return CULVERT_ENOMEM;
    protobuf_c_message_init(descriptor, message);
    yyjson_obj_foreach (json, i, max, key, value) {
        field = find_field(descriptor, yyjson_get_str(key));
        if (!field || yyjson_is_null(value))
            continue;
        error = read_field((char *)message, field, value, arena, depth);
        if (error)
            return error;
    }
    *out = message;
    return 0;
}

int etcd_json_read(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor,
                   yyjson_val *json, struct arena *arena)
{
    return read_message(out, descriptor, json, arena, 0);
}
