/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/accept_spare.h"

static void on_closed(uv_handle_t *handle)
{
    struct accept_spare *spare = handle->data;
    uv_stream_t *listener = spare->listener;
    bool again = spare->waiting && !uv_is_closing((uv_handle_t *)listener);

    spare->used = spare->waiting = false;
    if (again)
        spare->again(listener);
    spare->closed(listener);
}

bool accept_spare_take(struct accept_spare *spare)
{
    uv_loop_t *loop = spare->listener->loop;

    if (spare->used) {
        spare->waiting = true;
        return false;
    }
    spare->used = true;
    if (uv_handle_get_type((uv_handle_t *)spare->listener) == UV_TCP)
        uv_tcp_init(loop, &spare->peer.tcp);
    else
        uv_pipe_init(loop, &spare->peer.pipe, 0);
    spare->peer.handle.data = spare;
    uv_accept(spare->listener, &spare->peer.stream);
    uv_close(&spare->peer.handle, on_closed);
    return true;
}
