/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to culvertd: RUN/channel.sock, made again whenever it is lost, as soon as the
 * socket appears (the directory is watched) and by a clock of 100 ms to 2 s.
 */
#ifndef CULVERT_PLANE_CONTROL_H
#define CULVERT_PLANE_CONTROL_H

#include <stdbool.h>

#include <uv.h>

#include "dataplane/tables/channel_apply.h"

#define CONTROL_SOCKET "channel.sock" /* in the run directory */

struct control;

/* `changed` is called when the connection is made or lost. All is borrowed. */
int control_open(struct control **out, uv_loop_t *loop, const char *run_dir,
                 struct channel_apply *apply, void (*changed)(void *arg), void *arg);

/* Closes the connection; its memory is freed when the loop has run on. */
void control_close(struct control *control);

/* NULL is not connected. */
bool control_is_connected(const struct control *control);

/* Sends what waits in the state machine; to be called after channel_apply_send(). */
void control_flush(struct control *control);

#endif
