/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated node's environment: its disk and clock, and the way to the network. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/sim.h"

#define FILES 16u

struct sim_env {
    struct env env;
    struct sim *sim;
    unsigned slot;
    struct sim_disk *disk; /* the slot's, when this life began */
    bool dead;
    struct env_events events;
    /* When a file's last write ends: the next one ends later. */
    struct {
        struct env_file *file;
        uint64_t at;
    } files[FILES];
};

static struct sim_env *of(struct env *env)
{
    return (struct sim_env *)env;
}

static struct sim_disk *disk(struct env *env)
{
    return of(env)->disk;
}

static uint64_t now(struct env *env)
{
    return of(env)->sim->now;
}

static int64_t wall_ms(struct env *env)
{
    return 1700000000000 + (int64_t)(of(env)->sim->now / SIM_MS) +
           of(env)->sim->slot[of(env)->slot].wall_offset;
}

static void random_bytes(struct env *env, void *to, size_t length)
{
    uint8_t *at = to;

    while (length--)
        *at++ = (uint8_t)sim_random(&of(env)->sim->random);
}

static void timer_fired(void *arg)
{
    struct env_timer *timer = arg;

    timer->impl = NULL;
    timer->fn(timer->arg);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    struct sim_event *event = timer->impl;

    if (event)
        event->fn = NULL;
    timer->impl = NULL;
}

static void timer_set(struct env *env, struct env_timer *timer, uint64_t at)
{
    timer_stop(env, timer);
    timer->at = at;
    if (!of(env)->dead)
        timer->impl = sim_at(of(env)->sim, at, timer_fired, timer);
}

/* ---- files ---- */

static int file_open(struct env *env, const char *name, unsigned flags, struct env_file **out)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_open(disk(env), name, flags, out);
}

static void file_close(struct env *env, struct env_file *file)
{
    for (unsigned i = 0; i < FILES; i++)
        if (of(env)->files[i].file == file)
            of(env)->files[i].file = NULL;
    sim_disk_close(disk(env), file);
}

static int file_size(struct env *env, struct env_file *file, uint64_t *size)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_size(disk(env), file, size);
}

static int64_t file_read(struct env *env, struct env_file *file, uint64_t offset, void *to,
                         size_t length)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_read(disk(env), file, offset, to, length);
}

static int file_allocate(struct env *env, struct env_file *file, uint64_t size)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_allocate(disk(env), file, size);
}

static int file_truncate(struct env *env, struct env_file *file, uint64_t size)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_truncate(disk(env), file, size);
}

static int file_rename(struct env *env, const char *from, const char *to)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_rename(disk(env), from, to);
}

static int file_remove(struct env *env, const char *name)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_remove(disk(env), name);
}

static int file_list(struct env *env, int (*each)(void *arg, const char *name), void *arg)
{
    return of(env)->dead ? CULVERT_EIO : sim_disk_list(disk(env), each, arg);
}

struct writing {
    struct sim_env *env;
    struct env_write *write;
};

static void write_ended(void *arg)
{
    struct writing *writing = arg;

    struct env_write *write = writing->write;
    struct sim_env *env = writing->env;

    /* Also in a dead one, where it fails: its owner frees what it has. */
    write->done(write, env->dead ? CULVERT_EIO : sim_disk_write_end(disk(&env->env), write));
    free(writing);
}

/* When the disk will be done with a write. */
static uint64_t write_time(struct sim_env *env, struct env_file *file)
{
    struct sim *sim = env->sim;
    uint64_t at =
        sim->now + 20000 + sim_random_below(&sim->random, SIM_MS) + sim->slot[env->slot].slow_ns;
    unsigned unused = 0;

    for (unsigned i = 0; i < FILES; i++) {
        if (!env->files[i].file)
            unused = i;
        if (env->files[i].file != file)
            continue;
        if (at <= env->files[i].at)
            at = env->files[i].at + 1;
        env->files[i].at = at;
        return at;
    }
    env->files[unused].file = file;
    env->files[unused].at = at;
    return at;
}

static void file_write(struct env *env, struct env_write *write)
{
    struct writing *writing = calloc(1, sizeof(*writing));
    struct sim_env *self = of(env);

    if (!writing)
        abort();
    writing->env = self;
    writing->write = write;
    if (!self->dead) {
        sim_disk_write_begin(disk(env), write);
        sim_wrote(self->sim, self->slot);
    }
    sim_at(self->sim, write_time(self, write->file), write_ended, writing);
}

/* ---- the rest ---- */

static int env_send(struct env *env, uint64_t node, const struct iovec *parts, unsigned count)
{
    return of(env)->dead ? CULVERT_ENOTFOUND
                         : sim_send(of(env)->sim, of(env)->slot, node, parts, count);
}

static void env_events(struct env *env, const struct env_events *events)
{
    of(env)->events = *events;
}

struct working {
    struct sim_env *env;
    struct env_work *work;
};

static void work_done(void *arg)
{
    struct working *working = arg;

    /* Also in a dead one, where it fails: its owner frees what it has. */
    working->work->run(working->work);
    working->work->done(working->work);
    free(working);
}

static void env_work(struct env *env, struct env_work *work)
{
    struct working *working = malloc(sizeof(*working));
    struct sim *sim = of(env)->sim;

    if (!working)
        abort();
    *working = (struct working){.env = of(env), .work = work};
    sim_at(sim, sim->now + sim_random_below(&sim->random, 5 * SIM_MS), work_done, working);
}

static const struct env_ops ops = {
    .now = now,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .file_open = file_open,
    .file_close = file_close,
    .file_size = file_size,
    .file_read = file_read,
    .file_allocate = file_allocate,
    .file_truncate = file_truncate,
    .file_rename = file_rename,
    .file_remove = file_remove,
    .file_list = file_list,
    .file_write = file_write,
    .send = env_send,
    .events = env_events,
    .work = env_work,
};

struct env *sim_env_new(struct sim *sim, unsigned slot)
{
    struct sim_env *env = calloc(1, sizeof(*env));

    if (!env)
        abort();
    env->env.ops = &ops;
    env->sim = sim;
    env->slot = slot;
    env->disk = sim->slot[slot].disk;
    return &env->env;
}

void sim_env_kill(struct env *env)
{
    of(env)->dead = true;
}

void sim_env_free(struct env *env)
{
    free(of(env));
}

void sim_env_deliver(struct env *env, uint64_t from, const uint8_t *bytes, size_t length)
{
    if (!of(env)->dead && of(env)->events.message)
        of(env)->events.message(of(env)->events.arg, from, bytes, length);
}

void sim_env_connected(struct env *env, uint64_t other, bool up)
{
    if (!of(env)->dead && of(env)->events.connected)
        of(env)->events.connected(of(env)->events.arg, other, up);
}

void sim_env_writable(struct env *env, uint64_t other)
{
    if (!of(env)->dead && of(env)->events.writable)
        of(env)->events.writable(of(env)->events.arg, other);
}
