/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment (base/env.h) on the machine: a libuv loop, a folder, and four threads of its own,
 * two that write files and two for work, so that an fsync never waits for a long work.
 */
#ifndef CULVERT_BASE_ENV_UV_H
#define CULVERT_BASE_ENV_UV_H

#include <uv.h>

#include "controlplane/base/env.h"

struct env_uv;

/* The network part, which is somebody else's: as the functions of struct env_ops. */
struct env_net {
    int (*send)(struct env_net *net, uint64_t node, const struct iovec *parts, unsigned count);
    void (*events)(struct env_net *net, const struct env_events *events);
};

/* Opens the environment of a folder, which is made when missing and locked: CULVERT_EBUSY, another
 * process has it. `net` stays the caller's; NULL: there is no other node. */
int env_uv_open(struct env_uv **out, uv_loop_t *loop, const char *folder, struct env_net *net);
/* Nothing may be under way, timers be set or files open. Its memory is freed as the loop goes on.
 * NULL is allowed. */
void env_uv_close(struct env_uv *uv);
struct env *env_uv_env(struct env_uv *uv);
/* Whether no write and no work is under way. */
bool env_uv_is_idle(const struct env_uv *uv);

#endif
