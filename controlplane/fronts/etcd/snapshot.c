/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintenance.Snapshot: the store's dump (core/kv/store_dump.h), made longer with zeros to a
 * multiple of 512 bytes, and its SHA-256, as `etcdctl snapshot save` wants to see the end of a
 * file.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/core/machine.h"
#include "controlplane/fronts/etcd/handlers.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define BLOCK_BYTES 512u

struct snapshot {
    struct machine *machine;
    struct machine_dump *dump;
    struct digest *digest;
    struct buffer chunk;
    uint64_t sent;
};

void etcd_snapshot_release(struct etcd_call *call)
{
    struct snapshot *snapshot = call->state;

    if (snapshot->dump)
        snapshot->machine->ops->dump_close(snapshot->dump);
    digest_free(snapshot->digest);
    buffer_free(&snapshot->chunk);
    free(snapshot);
}

static void send_blob(struct etcd_call *call, const void *data, size_t length)
{
    Etcdserverpb__SnapshotResponse response = ETCDSERVERPB__SNAPSHOT_RESPONSE__INIT;
    Etcdserverpb__ResponseHeader header;

    etcd_front_header_now(call->front, &header);
    response.header = &header;
    response.blob.data = (uint8_t *)data;
    response.blob.len = length;
    response.version = (char *)ETCD_VERSION;
    etcd_call_send(call, &response.base);
}

/* The value of two hexadecimal digits. */
static uint8_t hex_byte(const char *digits)
{
    const char text[] = {digits[0], digits[1], 0};

    return (uint8_t)strtoul(text, NULL, 16);
}

/* The padding, and the digest of all. */
static int send_end(struct etcd_call *call)
{
    static const uint8_t zeros[BLOCK_BYTES];
    struct snapshot *snapshot = call->state;
    size_t padding = (BLOCK_BYTES - snapshot->sent % BLOCK_BYTES) % BLOCK_BYTES;
    char text[DIGEST_TEXT];
    uint8_t digest[DIGEST_BYTES];
    int error = digest_add(snapshot->digest, zeros, padding);

    if (error)
        return error;
    error = digest_end(snapshot->digest, text);
    snapshot->digest = NULL;
    if (error)
        return error;
    for (unsigned i = 0; i < DIGEST_BYTES; i++)
        digest[i] = hex_byte(text + 2 * i);
    if (padding)
        send_blob(call, zeros, padding);
    send_blob(call, digest, sizeof(digest));
    return 0;
}

static void send_on(struct etcd_call *call)
{
    struct snapshot *snapshot = call->state;
    int more, error;

    if (!etcd_call_open(call) || !snapshot || etcd_call_full(call))
        return; /* `ready` goes on */
    buffer_clear(&snapshot->chunk);
    more = snapshot->machine->ops->dump_next(snapshot->dump, CHUNK_BYTES, &snapshot->chunk);
    error = more < 0 ? more : snapshot->chunk.error;
    if (!error)
        error = digest_add(snapshot->digest, snapshot->chunk.data, snapshot->chunk.length);
    if (!error) {
        snapshot->sent += snapshot->chunk.length;
        send_blob(call, snapshot->chunk.data, snapshot->chunk.length);
        if (!more)
            error = send_end(call);
    }
    if (error)
        etcd_call_fail(call, error);
    else if (more)
        etcd_call_turn(call, send_on);
    else
        etcd_call_end(call, ETCD_OK);
}

void etcd_snapshot_ready(struct etcd_call *call)
{
    etcd_call_turn(call, send_on);
}

void etcd_snapshot(struct etcd_call *call, const ProtobufCMessage *message)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    uint64_t index;
    int error;

    (void)message;
    if (!snapshot) {
        etcd_call_end(call, ETCD_NO_MEMORY);
        return;
    }
    call->state = snapshot;
    snapshot->machine = kv_store_machine(kv_service_store(call->front->service));
    snapshot->digest = digest_new();
    error = snapshot->digest
                ? snapshot->machine->ops->dump_open(snapshot->machine, &snapshot->dump, &index)
                : CULVERT_ENOMEM;
    if (error)
        etcd_call_fail(call, error);
    else
        etcd_call_turn(call, send_on);
}
