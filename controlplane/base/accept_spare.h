/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a listener does with a connection that there is no memory for. libuv listens no further
 * before one that it has announced is taken, so it is taken into a handle that is kept for that,
 * and closed. The struct is part of the listener, which frees itself after `closed` only.
 */
#ifndef CULVERT_BASE_ACCEPT_SPARE_H
#define CULVERT_BASE_ACCEPT_SPARE_H

#include <stdbool.h>
#include <uv.h>

struct accept_spare {
    uv_stream_t *listener;                 /* of TCP, or a Unix socket's */
    void (*again)(uv_stream_t *listener);  /* one more waits: the callback of uv_listen()'s work */
    void (*closed)(uv_stream_t *listener); /* the spare's handle is closed */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } peer;
    bool used, waiting; /* the handle is; one more came meanwhile */
};

/* Takes the connection that the listener has announced, and closes it. True: one more handle is
 * open, until `closed`. False: another one is being closed; `again` follows. */
bool accept_spare_take(struct accept_spare *spare);

#endif
