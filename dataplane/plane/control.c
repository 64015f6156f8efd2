/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 2000
#define ROUNDS_MAX 64 /* reads or writes a turn of the loop */

struct control {
    uv_loop_t *loop;
    struct channel_apply *apply;
    void (*changed)(void *arg);
    void *arg;
    const char *run_dir;
    uv_poll_t *poll; /* of a connection; NULL: none */
    int fd;
    uv_timer_t retry;
    uv_fs_event_t watch;
    unsigned handles; /* not yet closed */
    uint64_t delay;   /* ms, of the next retry */
    bool told;        /* that culvertd is absent */
    bool closing;
};

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* ---- the connection ---- */

static void drop_connection(struct control *control)
{
    if (!control->poll)
        return;
    uv_poll_stop(control->poll);
    uv_close((uv_handle_t *)control->poll, free_handle);
    control->poll = NULL;
    close(control->fd);
    control->fd = -1;
    channel_apply_stop(control->apply);
}

static void on_retry(uv_timer_t *timer);

static void retry_later(struct control *control)
{
    if (control->closing)
        return;
    uv_timer_start(&control->retry, on_retry, control->delay, 0);
    control->delay *= 2;
    if (control->delay > RETRY_MAX_MS)
        control->delay = RETRY_MAX_MS;
}

static void lose(struct control *control, const char *why)
{
    drop_connection(control);
    log_warn("culvertd is gone (%s): traffic goes on by the last tables", why);
    control->told = true;
    control->changed(control->arg);
    retry_later(control);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void want(struct control *control, bool write)
{
    uv_poll_start(control->poll, UV_READABLE | (write ? UV_WRITABLE : 0), on_ready);
}

void control_flush(struct control *control)
{
    for (int round = 0; control->poll && round < ROUNDS_MAX; round++) {
        const void *data;
        size_t length = 0;
        ssize_t sent;
        int error = channel_apply_output(control->apply, &data, &length);

        if (error) {
            lose(control, culvert_strerror(error));
            return;
        }
        if (!length) {
            want(control, false);
            return;
        }
        sent = send(control->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            channel_apply_sent(control->apply, (size_t)sent);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            lose(control, strerror(errno));
            return;
        }
    }
    if (control->poll)
        want(control, true);
}

static void receive(struct control *control)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        void *to;
        size_t room;
        ssize_t got;
        int error;

        channel_apply_room(control->apply, &to, &room);
        got = recv(control->fd, to, room, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            lose(control, got ? strerror(errno) : "it closed the channel");
            return;
        }
        error = channel_apply_add(control->apply, (size_t)got);
        if (error) {
            lose(control, culvert_strerror(error));
            return;
        }
        control->delay = RETRY_FIRST_MS;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;

    if (status < 0) {
        lose(control, uv_strerror(status));
        return;
    }
    if (events & UV_READABLE)
        receive(control);
    control_flush(control);
}

static int connect_socket(struct control *control)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int length =
        snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", control->run_dir, CONTROL_SOCKET);
    int fd;

    if (length < 0 || (size_t)length >= sizeof(to.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        int errnum = errno;

        close(fd);
        errno = errnum;
        fd = -1;
    }
    return fd;
}

static int start_connection(struct control *control)
{
    control->poll = calloc(1, sizeof(*control->poll));
    if (!control->poll)
        return CULVERT_ENOMEM;
    if (uv_poll_init(control->loop, control->poll, control->fd)) {
        free(control->poll);
        control->poll = NULL;
        return CULVERT_ESYSTEM;
    }
    control->poll->data = control;
    return channel_apply_start(control->apply);
}

static void try_connect(struct control *control)
{
    int error;

    if (control->poll)
        return;
    control->fd = connect_socket(control);
    if (control->fd < 0) {
        if (!control->told)
            log_info("culvertd is not there (%s/%s: %s): waiting for it", control->run_dir,
                     CONTROL_SOCKET, strerror(errno));
        control->told = true;
        retry_later(control);
        return;
    }
    error = start_connection(control);
    if (error) {
        if (!control->poll)
            close(control->fd);
        drop_connection(control);
        log_error("can't talk to culvertd: %s", culvert_strerror(error));
        retry_later(control);
        return;
    }
    log_info("connected to culvertd");
    control->told = false;
    uv_timer_stop(&control->retry);
    control->changed(control->arg);
    control_flush(control);
}

static void on_retry(uv_timer_t *timer)
{
    try_connect(timer->data);
}

/* culvertd makes its socket before it listens: a moment later is soon enough. */
static void on_watch(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct control *control = watch->data;

    (void)events;
    if (status < 0 || control->poll || (name && strcmp(name, CONTROL_SOCKET) != 0))
        return;
    uv_timer_start(&control->retry, on_retry, 10, 0);
}

/* ---- life ---- */

int control_open(struct control **out, uv_loop_t *loop, const char *run_dir,
                 struct channel_apply *apply, void (*changed)(void *arg), void *arg)
{
    struct control *control = calloc(1, sizeof(*control));

    *out = NULL;
    if (!control)
        return CULVERT_ENOMEM;
    control->loop = loop;
    control->apply = apply;
    control->changed = changed;
    control->arg = arg;
    control->run_dir = run_dir;
    control->fd = -1;
    control->delay = RETRY_FIRST_MS;
    control->handles = 2;
    uv_timer_init(loop, &control->retry);
    control->retry.data = control;
    uv_fs_event_init(loop, &control->watch);
    control->watch.data = control;
    if (uv_fs_event_start(&control->watch, on_watch, run_dir, 0))
        log_debug("%s can't be watched: culvertd is looked for by the clock", run_dir);
    *out = control;
    try_connect(control);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;

    if (--control->handles == 0)
        free(control);
}

void control_close(struct control *control)
{
    if (!control)
        return;
    control->closing = true;
    drop_connection(control);
    uv_close((uv_handle_t *)&control->retry, on_closed);
    uv_close((uv_handle_t *)&control->watch, on_closed);
}

bool control_is_connected(const struct control *control)
{
    return control && control->poll;
}
