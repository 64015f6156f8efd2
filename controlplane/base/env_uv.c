/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/env_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/env_uv_internal.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

#define MS 1000000u /* ns */

static struct env_uv *uv_of(struct env *env)
{
    return (struct env_uv *)env;
}

void env_uv_begin(struct env_uv *uv)
{
    if (!uv->under_way++)
        uv_ref((uv_handle_t *)&uv->async);
}

void env_uv_end(struct env_uv *uv)
{
    if (!--uv->under_way)
        uv_unref((uv_handle_t *)&uv->async);
}

static uint64_t now(struct env *env)
{
    return uv_hrtime();
}

static int64_t wall_ms(struct env *env)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / MS;
}

static void random_fill(struct env *env, void *to, size_t length)
{
    uint8_t *bytes = to;

    while (length) {
        ssize_t got = getrandom(bytes, length, 0);

        if (got < 0 && errno != EINTR)
            abort(); /* a kernel without getrandom() is none that we run on */
        bytes += got > 0 ? got : 0;
        length -= got > 0 ? (size_t)got : 0;
    }
}

/* The end of the list of timers: not NULL, which is a timer that isn't set. */
static struct env_timer *timers_end(struct env_uv *uv)
{
    return (struct env_timer *)(void *)uv;
}

static void timers_fire(uv_timer_t *handle);

static void timers_arm(struct env_uv *uv)
{
    uint64_t time = uv_hrtime(), at;

    if (uv->timers == timers_end(uv)) {
        uv_timer_stop(&uv->timer);
        return;
    }
    at = uv->timers->at;
    uv_update_time(uv->loop);
    uv_timer_start(&uv->timer, timers_fire, at > time ? (at - time + MS - 1) / MS : 0, 0);
}

static void timer_unlink(struct env_uv *uv, struct env_timer *timer)
{
    struct env_timer *at = uv->timers;

    if (!timer->impl)
        return;
    if (at == timer) {
        uv->timers = timer->impl;
    } else {
        while (at->impl != timer)
            at = at->impl;
        at->impl = timer->impl;
    }
    timer->impl = NULL;
}

static void timer_set(struct env *env, struct env_timer *timer, uint64_t when)
{
    struct env_uv *uv = uv_of(env);
    struct env_timer *before = NULL, *at;

    timer_unlink(uv, timer);
    timer->at = when;
    for (at = uv->timers; at != timers_end(uv) && at->at <= when; at = at->impl)
        before = at;
    timer->impl = at;
    if (before)
        before->impl = timer;
    else
        uv->timers = timer;
    if (!before)
        timers_arm(uv);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    struct env_uv *uv = uv_of(env);

    timer_unlink(uv, timer);
    if (uv->timers == timers_end(uv))
        uv_timer_stop(&uv->timer);
}

/* Those that are due now; what a callback sets anew waits for the next round. */
static void timers_fire(uv_timer_t *handle)
{
    struct env_uv *uv = handle->data;
    uint64_t time = uv_hrtime();

    while (uv->timers != timers_end(uv) && uv->timers->at < time) {
        struct env_timer *timer = uv->timers;

        timer_unlink(uv, timer);
        timer->fn(timer->arg);
    }
    timers_arm(uv);
}

static void work(struct env *env, struct env_work *one)
{
    struct env_uv *uv = uv_of(env);

    one->impl = NULL;
    env_uv_begin(uv);
    uv_mutex_lock(&uv->mutex);
    if (uv->work_first)
        uv->work_last->impl = one;
    else
        uv->work_first = one;
    uv->work_last = one;
    uv_cond_signal(&uv->worked);
    uv_mutex_unlock(&uv->mutex);
}

static void worker(void *arg)
{
    struct env_uv *uv = arg;

    uv_mutex_lock(&uv->mutex);
    for (;;) {
        struct env_work *one = uv->work_first;

        if (!one) {
            if (uv->stop)
                break;
            uv_cond_wait(&uv->worked, &uv->mutex);
            continue;
        }
        uv->work_first = one->impl;
        uv_mutex_unlock(&uv->mutex);
        one->run(one);
        uv_mutex_lock(&uv->mutex);
        one->impl = NULL;
        if (uv->work_done_first)
            uv->work_done_last->impl = one;
        else
            uv->work_done_first = one;
        uv->work_done_last = one;
        uv_async_send(&uv->async);
    }
    uv_mutex_unlock(&uv->mutex);
}

static void on_async(uv_async_t *handle)
{
    struct env_uv *uv = handle->data;
    struct env_work *one, *next;

    env_uv_begin(uv); /* callbacks may end the last of it */
    env_uv_written(uv);
    uv_mutex_lock(&uv->mutex);
    one = uv->work_done_first;
    uv->work_done_first = NULL;
    uv_mutex_unlock(&uv->mutex);
    for (; one; one = next) {
        next = one->impl;
        env_uv_end(uv);
        one->done(one);
    }
    env_uv_end(uv);
}

static int send_message(struct env *env, uint64_t node, const struct iovec *parts, unsigned count)
{
    struct env_net *net = uv_of(env)->net;

    return net ? net->send(net, node, parts, count) : CULVERT_ENOTFOUND;
}

static void events_set(struct env *env, const struct env_events *events)
{
    struct env_net *net = uv_of(env)->net;

    if (net)
        net->events(net, events);
}

static const struct env_ops uv_ops = {
    .now = now,
    .wall_ms = wall_ms,
    .random = random_fill,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .file_open = env_uv_file_open,
    .file_close = env_uv_file_close,
    .file_size = env_uv_file_size,
    .file_read = env_uv_file_read,
    .file_allocate = env_uv_file_allocate,
    .file_truncate = env_uv_file_truncate,
    .file_rename = env_uv_file_rename,
    .file_remove = env_uv_file_remove,
    .file_list = env_uv_file_list,
    .file_write = env_uv_file_write,
    .send = send_message,
    .events = events_set,
    .work = work,
};

static int folder_open(struct env_uv *uv, const char *folder)
{
    int error = file_make_folder(folder);

    if (error)
        return error;
    uv->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (uv->folder < 0)
        return file_error(errno);
    if (flock(uv->folder, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? CULVERT_EBUSY : file_error(errno);
    return 0;
}

static void threads_stop(struct env_uv *uv)
{
    uv_mutex_lock(&uv->mutex);
    uv->stop = true;
    uv_cond_broadcast(&uv->written);
    uv_cond_broadcast(&uv->worked);
    uv_mutex_unlock(&uv->mutex);
    while (uv->thread_count)
        uv_thread_join(&uv->threads[--uv->thread_count]);
    uv_cond_destroy(&uv->worked);
    uv_cond_destroy(&uv->written);
    uv_mutex_destroy(&uv->mutex);
}

static int threads_start(struct env_uv *uv)
{
    if (uv_mutex_init(&uv->mutex))
        return CULVERT_ENOMEM;
    if (uv_cond_init(&uv->written)) {
        uv_mutex_destroy(&uv->mutex);
        return CULVERT_ENOMEM;
    }
    if (uv_cond_init(&uv->worked)) {
        uv_cond_destroy(&uv->written);
        uv_mutex_destroy(&uv->mutex);
        return CULVERT_ENOMEM;
    }
    for (; uv->thread_count < ENV_UV_WRITERS + ENV_UV_WORKERS; uv->thread_count++) {
        if (!uv_thread_create(&uv->threads[uv->thread_count],
                              uv->thread_count < ENV_UV_WRITERS ? env_uv_writer : worker, uv))
            continue;
        threads_stop(uv);
        return CULVERT_ESYSTEM;
    }
    return 0;
}

int env_uv_open(struct env_uv **out, uv_loop_t *loop, const char *folder, struct env_net *net)
{
    struct env_uv *uv = calloc(1, sizeof(*uv));
    int error;

    if (!uv)
        return CULVERT_ENOMEM;
    *uv = (struct env_uv){.env = {.ops = &uv_ops}, .loop = loop, .folder = -1, .net = net};
    uv->timers = timers_end(uv);
    error = folder_open(uv, folder);
    if (!error)
        error = threads_start(uv);
    if (!error && uv_async_init(loop, &uv->async, on_async)) {
        threads_stop(uv);
        error = CULVERT_ESYSTEM;
    }
    if (error) {
        if (uv->folder >= 0)
            close(uv->folder);
        free(uv);
        return error;
    }
    uv_unref((uv_handle_t *)&uv->async);
    uv_timer_init(loop, &uv->timer);
    uv->async.data = uv->timer.data = uv;
    uv->open_handles = 2;
    *out = uv;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct env_uv *uv = handle->data;

    if (!--uv->open_handles)
        free(uv);
}

void env_uv_close(struct env_uv *uv)
{
    if (!uv)
        return;
    threads_stop(uv);
    close(uv->folder);
    uv_close((uv_handle_t *)&uv->async, on_closed);
    uv_close((uv_handle_t *)&uv->timer, on_closed);
}

struct env *env_uv_env(struct env_uv *uv)
{
    return &uv->env;
}

bool env_uv_is_idle(const struct env_uv *uv)
{
    return !uv->under_way;
}
