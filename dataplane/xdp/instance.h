/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One driver a pin directory, and how the next one takes over.
 *
 * Whoever runs holds a lock (flock) on PIN, which the kernel drops with the process, however it
 * ends. It listens on RUN/xdp.sock (mode 0600) for one line each connection:
 *
 *   status          answered by one line of JSON (status.h)
 *   handover PIN    answered by "ok PID" when PIN is its own; then it leaves, everything attached
 *                   and pinned, and the lock is free; else "no PID, holds OTHER-PIN"
 *
 * A new driver loads its program beside the running one first, then asks for the hand-over and
 * waits for the lock: if its own program is refused, the old driver has never been disturbed.
 */
#ifndef CULVERT_XDP_INSTANCE_H
#define CULVERT_XDP_INSTANCE_H

#include <stddef.h>

#include <uv.h>

#define INSTANCE_SOCKET "xdp.sock"

/* Takes the lock, asking a running driver to step back (it has five seconds). Returns the locked
 * descriptor, or an error after having logged it. */
int instance_take(const char *run_dir, const char *pin_dir);

/* Asks the running driver for its status: prints the line to standard output. Returns 0, or
 * CULVERT_ENOTFOUND: none runs. */
int instance_print_status(const char *run_dir);

struct instance_server;
struct instance_hooks {
    /* The status line, malloc'ed (freed by the server); NULL: out of memory. */
    char *(*status)(void *arg);
    /* Another driver takes over: end soon, in order. */
    void (*leave)(void *arg);
    void *arg;
};

/* Serves RUN/xdp.sock; a stale socket is replaced, one that answers is an error. All is borrowed
 * but the hooks. Ends by instance_stop(), whose memory is freed when the loop has run on. */
int instance_serve(struct instance_server **out, uv_loop_t *loop, const char *run_dir,
                   const char *pin_dir, const struct instance_hooks *hooks);
void instance_stop(struct instance_server *server);

#endif
