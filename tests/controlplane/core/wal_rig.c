/* SPDX-License-Identifier: Apache-2.0 */
#include "wal_rig.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

static struct rig *rig_of(struct env *env)
{
    return (struct rig *)env;
}

/* Counts a call; false: the node is dead. */
static bool alive(struct rig *rig)
{
    if (++rig->calls == rig->crash_at && !rig->dead) {
        rig->dead = true;
        rig->inside = true;
        if (rig->kill)
            sim_disk_kill(rig->disk);
        else
            sim_disk_crash(rig->disk, &rig->random);
        rig->inside = false;
    }
    return !rig->dead;
}

/* Does something of the disk, unless the node is dead. */
#define DISK(rig, call)                                                                            \
    ({                                                                                             \
        int64_t result_ = CULVERT_EIO;                                                             \
        if (alive(rig)) {                                                                          \
            (rig)->inside = true;                                                                  \
            result_ = (call);                                                                      \
            (rig)->inside = false;                                                                 \
        }                                                                                          \
        result_;                                                                                   \
    })

static uint64_t rig_now(struct env *env)
{
    return ++rig_of(env)->clock;
}

static int64_t rig_wall(struct env *env)
{
    return (int64_t)++rig_of(env)->clock;
}

static void rig_random(struct env *env, void *to, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = (uint8_t)sim_random(&rig_of(env)->random);
}

static void rig_timer_stop(struct env *env, struct env_timer *timer)
{
    struct rig *rig = rig_of(env);

    for (unsigned i = 0; i < rig->timer_count; i++)
        if (rig->timers[i] == timer)
            rig->timers[i] = rig->timers[--rig->timer_count];
}

static void rig_timer_set(struct env *env, struct env_timer *timer, uint64_t at)
{
    struct rig *rig = rig_of(env);

    rig_timer_stop(env, timer);
    timer->at = at;
    if (rig->timer_count == RIG_WAITING)
        abort();
    rig->timers[rig->timer_count++] = timer;
}

static int rig_file_open(struct env *env, const char *name, unsigned flags, struct env_file **out)
{
    return (int)DISK(rig_of(env), sim_disk_open(rig_of(env)->disk, name, flags, out));
}

static void rig_file_close(struct env *env, struct env_file *file)
{
    alive(rig_of(env));
    sim_disk_close(rig_of(env)->disk, file);
}

static int rig_file_size(struct env *env, struct env_file *file, uint64_t *size)
{
    return (int)DISK(rig_of(env), sim_disk_size(rig_of(env)->disk, file, size));
}

static int64_t rig_file_read(struct env *env, struct env_file *file, uint64_t offset, void *to,
                             size_t length)
{
    return DISK(rig_of(env), sim_disk_read(rig_of(env)->disk, file, offset, to, length));
}

static int rig_file_allocate(struct env *env, struct env_file *file, uint64_t size)
{
    return (int)DISK(rig_of(env), sim_disk_allocate(rig_of(env)->disk, file, size));
}

static int rig_file_truncate(struct env *env, struct env_file *file, uint64_t size)
{
    return (int)DISK(rig_of(env), sim_disk_truncate(rig_of(env)->disk, file, size));
}

static int rig_file_rename(struct env *env, const char *from, const char *to)
{
    return (int)DISK(rig_of(env), sim_disk_rename(rig_of(env)->disk, from, to));
}

static int rig_file_remove(struct env *env, const char *name)
{
    return (int)DISK(rig_of(env), sim_disk_remove(rig_of(env)->disk, name));
}

static int rig_file_list(struct env *env, int (*each)(void *arg, const char *name), void *arg)
{
    return alive(rig_of(env)) ? sim_disk_list(rig_of(env)->disk, each, arg) : CULVERT_EIO;
}

static void rig_file_write(struct env *env, struct env_write *write)
{
    struct rig *rig = rig_of(env);

    if (alive(rig)) {
        rig->inside = true;
        sim_disk_write_begin(rig->disk, write);
        rig->inside = false;
    }
    if (rig->write_count == RIG_WAITING)
        abort();
    rig->writes[rig->write_count++] = write;
    rig->syncs += write->sync;
}

static void rig_work(struct env *env, struct env_work *work)
{
    struct rig *rig = rig_of(env);

    if (rig->work_count == RIG_WAITING)
        abort();
    rig->works[rig->work_count++] = work;
}

static const struct env_ops rig_ops = {
    .now = rig_now,
    .wall_ms = rig_wall,
    .random = rig_random,
    .timer_set = rig_timer_set,
    .timer_stop = rig_timer_stop,
    .file_open = rig_file_open,
    .file_close = rig_file_close,
    .file_size = rig_file_size,
    .file_read = rig_file_read,
    .file_allocate = rig_file_allocate,
    .file_truncate = rig_file_truncate,
    .file_rename = rig_file_rename,
    .file_remove = rig_file_remove,
    .file_list = rig_file_list,
    .file_write = rig_file_write,
    .work = rig_work,
};

void rig_open(struct rig *rig, uint64_t seed)
{
    *rig = (struct rig){.env = {.ops = &rig_ops}, .random = {.state = seed}};
    rig->disk = sim_disk_new();
    if (!rig->disk)
        abort();
}

void rig_close(struct rig *rig)
{
    sim_disk_free(rig->disk);
}

static void write_done(struct rig *rig, unsigned which)
{
    struct env_write *write = rig->writes[which];
    int status;

    rig->write_count--;
    memmove(rig->writes + which, rig->writes + which + 1,
            (rig->write_count - which) * sizeof(struct env_write *));
    status = (int)DISK(rig, sim_disk_write_end(rig->disk, write));
    rig->write_failed |= status != 0;
    write->done(write, status);
}

bool rig_step(struct rig *rig)
{
    unsigned waiting = rig->write_count + rig->work_count + rig->timer_count;
    uint64_t which;

    if (!waiting)
        return false;
    which = sim_random_below(&rig->random, waiting);
    if (which < rig->write_count) {
        unsigned first = 0; /* the first write of that file */

        while (rig->writes[first]->file != rig->writes[which]->file)
            first++;
        write_done(rig, first);
        return true;
    }
    which -= rig->write_count;
    if (which < rig->work_count) {
        struct env_work *work = rig->works[which];

        rig->works[which] = rig->works[--rig->work_count];
        work->run(work);
        work->done(work);
        return true;
    }
    which -= rig->work_count;
    {
        struct env_timer *timer = rig->timers[which];

        rig->timers[which] = rig->timers[--rig->timer_count];
        timer->fn(timer->arg);
    }
    return true;
}

void rig_run(struct rig *rig)
{
    while (rig_step(rig))
        ;
}

void rig_revive(struct rig *rig)
{
    rig_run(rig);
    rig->dead = false;
    rig->crash_at = 0;
}
