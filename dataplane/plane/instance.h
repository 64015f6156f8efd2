/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One data plane of a kind, and how the next one takes over.
 *
 * Whoever runs holds a lock (flock) on a directory, which the kernel drops with the process,
 * however it ends. It listens on a socket (mode 0600) for one line each connection:
 *
 *   status          answered by one line of JSON (status.h)
 *   handover DIR    answered by "ok PID" when the lock on DIR is its own; then it leaves, and the
 *                   lock is free; else "no PID, holds OTHER-DIR"
 *
 * A new culvert-xdp loads its program beside the running one first, then asks for the hand-over
 * and waits for the lock: if its own program is refused, the old one has never been disturbed.
 */
#ifndef CULVERT_PLANE_INSTANCE_H
#define CULVERT_PLANE_INSTANCE_H

#include <stddef.h>

#include <uv.h>

struct instance {
    const char *program; /* "culvert-xdp" */
    const char *socket;  /* its name in run_dir */
    const char *run_dir;
    const char *lock_dir; /* what is locked */
    const char *pin_dir;  /* for the status; NULL: none */
};

/* Makes a directory unless it is there. Returns 0, or CULVERT_ESYSTEM (logged). */
int instance_make_dir(const char *path);

/* Takes the lock, asking a running driver to step back (it has five seconds). Returns the locked
 * descriptor, or an error after having logged it. */
int instance_take(const struct instance *instance);

/* Asks the running driver for its status: prints the line to standard output. Returns 0, or
 * CULVERT_ENOTFOUND: none runs. */
int instance_print_status(const struct instance *instance);

struct instance_server;
struct instance_hooks {
    /* The status line, malloc'ed (freed by the server); NULL: out of memory. */
    char *(*status)(void *arg);
    /* Another driver takes over: end soon, in order. */
    void (*leave)(void *arg);
    void *arg;
};

/* Serves the socket; a stale socket is replaced, one that answers is an error. All is borrowed
 * but the hooks. Ends by instance_stop(), whose memory is freed when the loop has run on. */
int instance_serve(struct instance_server **out, uv_loop_t *loop, const struct instance *instance,
                   const struct instance_hooks *hooks);
void instance_stop(struct instance_server *server);

#endif
