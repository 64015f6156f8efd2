/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "controlplane/fronts/etcd/json.h"

static void write_base64(struct buffer *to, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = buffer_room(to, (bytes->len + 2) / 3 * 4 + 2);

    if (!at)
        return;
    *at++ = '"';
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t left = bytes->len - i;
        uint32_t three = (uint32_t)bytes->data[i] << 16;

        three |= left > 1 ? (uint32_t)bytes->data[i + 1] << 8 : 0;
        three |= left > 2 ? bytes->data[i + 2] : 0;
        *at++ = digits[three >> 18];
        *at++ = digits[three >> 12 & 63];
        *at++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[three & 63] : '=';
    }
    *at = '"';
}

static size_t value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4; /* 32-bit numbers, truth values, enumerators */
    }
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
    static const uint64_t zero;
    const char *text;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        memcpy(&text, value, sizeof(text));
        return !text || !*text;
    case PROTOBUF_C_TYPE_BYTES:
        return !((const ProtobufCBinaryData *)value)->len;
    default:
        return !memcmp(value, &zero, value_size(field->type));
    }
}

static void write_enum(struct buffer *to, const ProtobufCEnumDescriptor *type, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

    if (value)
        buffer_json_text(to, value->name);
    else
        buffer_format(to, "%d", number);
}

static void write_value(struct buffer *to, const ProtobufCFieldDescriptor *field, const void *value)
{
    const void *pointer;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
        buffer_format(to, "\"%" PRId64 "\"", *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        buffer_format(to, "\"%" PRIu64 "\"", *(const uint64_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT32:
        buffer_format(to, "%" PRId32, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        buffer_format(to, "%" PRIu32, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buffer_text(to, *(const protobuf_c_boolean *)value ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(to, field->descriptor, *(const int *)value);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_base64(to, value);
        break;
    default: /* there are no others in our files */
        memcpy(&pointer, value, sizeof(pointer));
        if (field->type == PROTOBUF_C_TYPE_STRING)
            buffer_json_text(to, pointer);
        else
            etcd_json_write(to, pointer);
    }
}

static void write_list(struct buffer *to, const ProtobufCFieldDescriptor *field, const char *list,
                       size_t count)
{
    buffer_char(to, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_char(to, ',');
        write_value(to, field, list + i * value_size(field->type));
    }
    buffer_char(to, ']');
}

void etcd_json_write(struct buffer *to, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const char *base = (const char *)message;
    char before = '{';

    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *value = base + field->offset, *list;
        size_t count = 0;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, base + field->quantifier_offset, sizeof(count));
            if (!count)
                continue;
        } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (*(const uint32_t *)(base + field->quantifier_offset) != field->id)
                continue;
        } else if (is_default(field, value)) {
            continue;
        }
        buffer_char(to, before);
        before = ',';
        buffer_json_text(to, field->name);
        buffer_char(to, ':');
        memcpy(&list, value, sizeof(list));
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            write_list(to, field, list, count);
        else
            write_value(to, field, value);
    }
    if (before == '{')
        buffer_char(to, '{');
    buffer_char(to, '}');
}
