/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an etcd client, of whichever protocol, through a connection of the front with a
 * store behind it. The low four bits of the first byte say how many bytes of piece lengths follow,
 * used in turn; then comes the stream. Between pieces the loop turns and what is answered is read.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/fronts/etcd/internal.h"
#include "tests/controlplane/fronts/etcd/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    uv_loop_t loop;
    struct kv_service *service;
    struct etcd_front *front;
    struct etcd_connection connection;
    bool ended;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void no_wake(struct etcd_connection *connection)
{
    (void)connection;
}

static void on_front_closed(void *arg)
{
    struct rig *rig = arg;

    single_close(rig->service);
}

static void turn(struct rig *rig)
{
    struct buffer out = {0};

    for (unsigned i = 0; i < 3; i++) {
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (etcd_connection_output(&rig->connection, &out, 1 << 16))
            rig->ended = true;
        must(!out.error);
        buffer_clear(&out);
    }
    if (etcd_connection_done(&rig->connection))
        rig->ended = true;
    must(rig->front->held <= rig->front->options.held_max + (1 << 20));
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    struct etcd_options options = {.message_max = 64 << 10, .held_max = 1 << 20, .calls_max = 64};
    const uint8_t *cuts = data + 1;
    size_t count, at, piece;

    if (!size)
        return 0;
    count = data[0] & 15;
    if (size < 1 + count)
        return 0;
    memset(&rig, 0, sizeof(rig));
    must(!uv_loop_init(&rig.loop));
    rig.service = single_open(&rig.loop);
    must(!etcd_front_new(&rig.front, &rig.loop, rig.service, &options));
    etcd_connection_init(&rig.connection, rig.front);
    rig.connection.wake = no_wake;
    at = 1 + count;
    for (size_t i = 0; at < size && !rig.ended; i++) {
        piece = count ? cuts[i % count] + 1u : size - at;
        piece = piece < size - at ? piece : size - at;
        if (etcd_connection_input(&rig.connection, data + at, piece))
            rig.ended = true;
        at += piece;
        turn(&rig);
    }
    etcd_connection_leave(&rig.connection);
    turn(&rig);
    etcd_connection_clear(&rig.connection);
    etcd_front_close(rig.front, on_front_closed, &rig);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    must(!uv_loop_close(&rig.loop));
    return 0;
}
