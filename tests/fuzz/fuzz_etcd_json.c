/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON bodies of the gateway: the first byte picks a message's type. What is read is written, read
 * again and written again: both texts must be the same; and packed and unpacked it is the same,
 * too.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"
#include "controlplane/fronts/etcd/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &etcdserverpb__range_request__descriptor,
    &etcdserverpb__put_request__descriptor,
    &etcdserverpb__txn_request__descriptor,
    &etcdserverpb__watch_request__descriptor,
    &etcdserverpb__lease_grant_request__descriptor,
    &etcdserverpb__alarm_request__descriptor,
    &etcdserverpb__member_list_response__descriptor,
    &etcdserverpb__auth_role_grant_permission_request__descriptor,
    &etcdserverpb__status_response__descriptor,
    &etcdserverpb__hash_kvresponse__descriptor,
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* NULL: it is no such message. */
static ProtobufCMessage *read_json(const ProtobufCMessageDescriptor *type, const char *text,
                                   size_t length, struct arena *arena)
{
    yyjson_doc *document =
        yyjson_read_opts((char *)text, length, YYJSON_READ_STOP_WHEN_DONE, NULL, NULL);
    ProtobufCMessage *message = NULL;
    int error = document ? etcd_json_read(&message, type, yyjson_doc_get_root(document), arena)
                         : CULVERT_EPROTO;

    must(!error || error == CULVERT_EPROTO);
    yyjson_doc_free(document);
    return error ? NULL : message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *type;
    struct buffer first = {0}, second = {0};
    struct arena arena = {0};
    ProtobufCMessage *message, *again;
    uint8_t *packed;
    size_t length;

    if (!size)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    message = read_json(type, (const char *)data + 1, size - 1, &arena);
    if (message) {
        etcd_json_write(&first, message);
        must(!first.error);
        again = read_json(type, first.data, first.length, &arena);
        must(again);
        etcd_json_write(&second, again);
        must(first.length == second.length && !memcmp(first.data, second.data, first.length));
        length = protobuf_c_message_get_packed_size(message);
        packed = malloc(length + 1);
        must(packed && protobuf_c_message_pack(message, packed) == length);
        etcd_wire_check(type, packed, length);
        again = protobuf_c_message_unpack(type, NULL, length, packed);
        must(again);
        buffer_clear(&second);
        etcd_json_write(&second, again);
        must(first.length == second.length && !memcmp(first.data, second.data, first.length));
        protobuf_c_message_free_unpacked(again, NULL);
        free(packed);
    } else {
        etcd_wire_check(type, data + 1, size - 1);
    }
    arena_free(&arena);
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
