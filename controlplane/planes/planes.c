/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/planes/planes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/planes/internal.h"

#define RETRY_MS 5000u

/* ---- life ---- */

static void planes_maybe_free(struct planes *planes)
{
    if (!planes->closing || planes->handles || planes->list)
        return;
    if (planes->closed)
        planes->closed(planes->closed_arg);
    free(planes);
}

static void plane_free(struct plane *plane)
{
    struct planes *planes = plane->planes;
    struct plane **at = &planes->list;

    while (*at != plane)
        at = &(*at)->next;
    *at = plane->next;
    channel_sync_free(plane->sync);
    free(plane->state);
    free(plane->counters);
    free(plane->fresh);
    free(plane);
}

bool plane_is_current(const struct plane *plane)
{
    const struct plane *newer = plane->planes->list;

    for (; newer != plane; newer = newer->next)
        if (newer->greeted && !strcmp(newer->name, plane->name))
            return false;
    return true;
}

/* What went is remembered, so that the operator sees it, unless it never said hello or another
 * connection has its name. */
static bool worth_remembering(const struct plane *plane)
{
    unsigned remembered = 0;

    for (const struct plane *other = plane->planes->list; other; other = other->next)
        remembered += !other->sync;
    return !plane->planes->closing && plane->greeted && plane_is_current(plane) &&
           remembered <= PLANES_MAX;
}

static void on_plane_handle_closed(uv_handle_t *handle)
{
    struct plane *plane = handle->data;
    struct planes *planes = plane->planes;

    if (--plane->handles)
        return;
    channel_sync_free(plane->sync);
    plane->sync = NULL;
    planes->connected--;
    if (!worth_remembering(plane))
        plane_free(plane);
    planes_maybe_free(planes);
}

void plane_close(struct plane *plane, const char *why)
{
    if (plane->closing)
        return;
    plane->closing = true;
    if (plane->greeted)
        log_info("data plane %s (pid %u): %s", plane->name, plane->pid, why);
    else
        log_warn("a data plane's connection was closed: %s", why);
    uv_close((uv_handle_t *)&plane->pipe, on_plane_handle_closed);
    uv_close((uv_handle_t *)&plane->retry, on_plane_handle_closed);
    planes_ask_plane_gone(plane->planes, plane);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct plane *plane = write->data;

    plane->writing = false;
    if (plane->closing)
        return;
    if (status)
        plane_close(plane, "disconnected");
    else
        plane_pump(plane);
}

/* Copies as much output as fits, so that the state machine may go on while it is written. */
static int collect_output(struct plane *plane, size_t *filled)
{
    *filled = 0;
    while (*filled < PLANE_WRITE_BYTES) {
        const void *data;
        size_t length, room = PLANE_WRITE_BYTES - *filled;
        int error = channel_sync_output(plane->sync, &data, &length);

        if (error)
            return error;
        if (!length)
            return 0;
        length = length < room ? length : room;
        memcpy(plane->out + *filled, data, length);
        channel_sync_sent(plane->sync, length);
        *filled += length;
    }
    return 0;
}

void plane_pump(struct plane *plane)
{
    uv_buf_t buffer;
    size_t filled;
    int error;

    if (plane->writing || plane->closing || plane->planes->held)
        return;
    error = collect_output(plane, &filled);
    if (error) {
        plane_close(plane, culvert_strerror(error));
        return;
    }
    if (!filled)
        return;
    buffer = uv_buf_init(plane->out, (unsigned)filled);
    plane->write.data = plane;
    plane->writing = true;
    if (uv_write(&plane->write, (uv_stream_t *)&plane->pipe, &buffer, 1, on_written)) {
        plane->writing = false;
        plane_close(plane, "disconnected");
    }
}

/* ---- hooks of the state machine ---- */

/* A remembered data plane of that name is this one come back: its counters go on, and so does its
 * refusal until it has taken the tables. */
static void take_over_memory(struct plane *plane)
{
    struct plane *next;

    for (struct plane *other = plane->planes->list; other; other = next) {
        next = other->next;
        if (other == plane || other->sync || strcmp(other->name, plane->name) != 0)
            continue;
        free(plane->counters);
        plane->counters = other->counters;
        other->counters = NULL;
        memcpy(plane->error, other->error, sizeof(plane->error)); /* until it has acknowledged */
        plane_free(other);
    }
}

static void on_hello(void *arg, const struct channel_hello *hello)
{
    struct plane *plane = arg;

    snprintf(plane->name, sizeof(plane->name), "%.*s", (int)sizeof(plane->name) - 1, hello->name);
    for (char *c = plane->name; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    plane->pid = hello->pid;
    plane->generation = 0;
    plane->greeted = true;
    take_over_memory(plane);
    log_info("data plane %s (pid %u): connected, at generation %llu", plane->name, plane->pid,
             (unsigned long long)hello->generation);
}

static void on_retry(uv_timer_t *timer)
{
    plane_close(timer->data, "closed, so that it is compared afresh");
}

static void on_acked(void *arg, uint64_t generation, int error, const char *text, size_t length)
{
    struct plane *plane = arg;

    if (!error) {
        plane->generation = generation;
        plane->error[0] = 0;
        uv_timer_stop(&plane->retry);
        log_debug("data plane %s: at generation %llu", plane->name, (unsigned long long)generation);
        return;
    }
    if (length > sizeof(plane->error) - 1)
        length = sizeof(plane->error) - 1;
    snprintf(plane->error, sizeof(plane->error), "%.*s", (int)length, text);
    if (!length)
        snprintf(plane->error, sizeof(plane->error), "%s", culvert_strerror(error));
    log_error("data plane %s refused generation %llu: %s", plane->name,
              (unsigned long long)generation, plane->error);
    uv_timer_start(&plane->retry, on_retry, RETRY_MS, 0);
}

static void on_state(void *arg, const char *json, size_t length)
{
    struct plane *plane = arg;
    char *state = malloc(length + 1);

    if (!state)
        return; /* the old one stays; the next change brings another */
    memcpy(state, json, length);
    state[length] = 0;
    free(plane->state);
    plane->state = state;
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct plane *plane = handle->data;
    void *to;
    size_t room;

    (void)suggested;
    channel_sync_room(plane->sync, &to, &room);
    *buffer = uv_buf_init(to, (unsigned)(room > PLANE_WRITE_BYTES ? PLANE_WRITE_BYTES : room));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct plane *plane = stream->data;
    int error;

    (void)buffer;
    if (length < 0) {
        plane_close(plane, "disconnected");
        return;
    }
    if (length)
        plane->silent_since = 0;
    error = channel_sync_add(plane->sync, (size_t)length);
    if (error)
        plane_close(plane, culvert_strerror(error));
    else
        plane_pump(plane);
}

static void set_reading(struct plane *plane, bool on)
{
    if (plane->closing || !plane->sync || plane->reading == on)
        return;
    plane->reading = on;
    if (!on)
        uv_read_stop((uv_stream_t *)&plane->pipe);
    else if (uv_read_start((uv_stream_t *)&plane->pipe, on_alloc, on_read))
        plane_close(plane, "disconnected");
}

void planes_hold(struct planes *planes, bool hold)
{
    struct plane *next;

    planes->held = hold;
    planes->stats_held |= hold;
    for (struct plane *plane = planes->list; plane; plane = next) {
        next = plane->next;
        set_reading(plane, !hold);
        if (plane->sync && !hold)
            plane_pump(plane);
    }
}

void planes_update(struct planes *planes)
{
    struct plane *next;

    for (struct plane *plane = planes->list; plane; plane = next) {
        int error;

        next = plane->next;
        if (!plane->sync || plane->closing)
            continue;
        error = channel_sync_update(plane->sync);
        if (error)
            plane_close(plane, culvert_strerror(error));
        else
            plane_pump(plane);
    }
}

/* ---- connections ---- */

static bool peer_allowed(struct plane *plane)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&plane->pipe, &fd) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
        return false;
    return credentials.uid == 0 || credentials.uid == geteuid();
}

static struct plane *plane_new(struct planes *planes)
{
    struct plane *plane = calloc(1, sizeof(*plane));
    struct channel_sync_hooks hooks = {.arg = plane,
                                       .hello = on_hello,
                                       .acked = on_acked,
                                       .state = on_state,
                                       .stats = plane_on_stats,
                                       .explained = plane_on_explained};

    if (!plane || channel_sync_new(&plane->sync, planes->tables, &hooks)) {
        free(plane);
        return NULL;
    }
    plane->planes = planes;
    uv_pipe_init(planes->loop, &plane->pipe, 0);
    uv_timer_init(planes->loop, &plane->retry);
    plane->pipe.data = plane->retry.data = plane;
    plane->handles = 2;
    plane->next = planes->list;
    planes->list = plane;
    planes->connected++;
    return plane;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct planes *planes = stream->data;
    struct plane *plane = status < 0 ? NULL : plane_new(planes);

    if (!plane)
        return;
    if (uv_accept(stream, (uv_stream_t *)&plane->pipe))
        plane_close(plane, "it could not be accepted");
    else if (planes->connected > PLANES_MAX)
        plane_close(plane, "too many data planes");
    else if (!peer_allowed(plane))
        plane_close(plane, "its user is neither root nor culvertd's own");
    else if (!planes->held)
        set_reading(plane, true);
}

int planes_new(struct planes **out, uv_loop_t *loop, const struct planes_options *options)
{
    struct planes *planes = calloc(1, sizeof(*planes));

    if (!planes)
        return CULVERT_ENOMEM;
    planes->loop = loop;
    planes->tables = options->tables;
    uv_pipe_init(loop, &planes->listener, 0);
    uv_timer_init(loop, &planes->timer);
    planes->listener.data = planes->timer.data = planes;
    planes->handles = 2;
    if (uv_pipe_open(&planes->listener, options->fd) ||
        uv_listen((uv_stream_t *)&planes->listener, (int)PLANES_MAX, on_connection)) {
        planes_close(planes, NULL, NULL);
        return CULVERT_ESYSTEM;
    }
    *out = planes;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct planes *planes = handle->data;

    planes->handles--;
    planes_maybe_free(planes);
}

void planes_close(struct planes *planes, void (*closed)(void *arg), void *arg)
{
    struct plane *next;

    planes->closing = true;
    planes->closed = closed;
    planes->closed_arg = arg;
    for (struct plane *plane = planes->list; plane; plane = next) {
        next = plane->next;
        if (plane->sync)
            plane_close(plane, "culvertd ends");
        else
            plane_free(plane);
    }
    uv_close((uv_handle_t *)&planes->listener, on_handle_closed);
    uv_close((uv_handle_t *)&planes->timer, on_handle_closed);
}

void planes_each(struct planes *planes, void (*each)(void *arg, const struct plane_info *info),
                 void *arg)
{
    for (struct plane *plane = planes->list; plane; plane = plane->next) {
        struct channel_sync_status status = {0};
        struct plane_info info = {
            .name = plane->name,
            .pid = plane->pid,
            .connected = plane->sync && plane->greeted && !plane->closing,
            .generation = plane->generation,
            .error = plane->error[0] ? plane->error : NULL,
            .state = plane->state,
        };

        if (!plane->greeted || !plane_is_current(plane))
            continue;
        if (info.connected) {
            channel_sync_status(plane->sync, &status);
            info.in_sync = status.in_sync;
            if (plane->silent_since)
                info.silent_ms = uv_now(planes->loop) - plane->silent_since;
            if (status.in_sync) { /* also when nothing had to travel */
                info.generation = status.generation;
                info.error = NULL;
            }
        }
        each(arg, &info);
    }
}

bool planes_settled(const struct planes *planes)
{
    for (const struct plane *plane = planes->list; plane; plane = plane->next) {
        struct channel_sync_status status;

        if (!plane->sync || !plane->greeted || plane->closing)
            continue;
        channel_sync_status(plane->sync, &status);
        if (!status.in_sync && !status.error)
            return false;
    }
    return true;
}
