/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

#define HANDOVER_MS 5000
#define LOCK_POLL_MS 2
#define LINE_BYTES 512u /* "handover " and a directory of at most 400 bytes */
#define CLIENTS_MAX 16

/* ---- asking ---- */

static int connect_running(const struct instance *instance)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = HANDOVER_MS / 1000};
    int length =
        snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", instance->run_dir, instance->socket);
    int fd;

    if (length < 0 || (size_t)length >= sizeof(to.sun_path))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Who listens at the other end, also when it hangs; 0: unknown. */
static int peer_pid(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ? 0 : peer.pid;
}

static int send_line(int fd, const char *line)
{
    size_t length = strlen(line);

    return send(fd, line, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

int instance_print_status(const struct instance *instance)
{
    char part[4096];
    size_t total = 0;
    ssize_t got;
    int fd = connect_running(instance);

    if (fd < 0 || send_line(fd, "status\n")) {
        if (fd >= 0)
            close(fd);
        log_error("no %s runs with run directory %s", instance->program, instance->run_dir);
        return CULVERT_ENOTFOUND;
    }
    while ((got = recv(fd, part, sizeof(part), 0)) > 0) {
        fwrite(part, 1, (size_t)got, stdout);
        total += (size_t)got;
    }
    if (got < 0 || !total)
        log_error("the running %s (pid %d) does not answer: it hangs", instance->program,
                  peer_pid(fd));
    close(fd);
    return got < 0 || !total ? CULVERT_ETIMEOUT : 0;
}

/* Has the running driver step back. Returns its process id, or an error (logged). */
static int ask_handover(const struct instance *instance)
{
    char line[LINE_BYTES];
    ssize_t got = -1;
    int listener, pid = 0;
    int fd = connect_running(instance);

    if (fd < 0) {
        log_error("%s is held by another process, and no %s answers at %s/%s: give that "
                  "one's --run-dir, or end it",
                  instance->lock_dir, instance->program, instance->run_dir, instance->socket);
        return CULVERT_EBUSY;
    }
    listener = peer_pid(fd);
    snprintf(line, sizeof(line), "handover %s\n", instance->lock_dir);
    if (send_line(fd, line) == 0)
        got = recv(fd, line, sizeof(line) - 1, 0);
    close(fd);
    line[got > 0 ? got : 0] = '\0';
    if (strncmp(line, "ok ", 3) == 0)
        pid = (int)strtol(line + 3, NULL, 10);
    if (pid > 0)
        return pid;
    line[strcspn(line, "\n")] = '\0';
    if (line[0])
        log_error("the running %s does not hand %s over: %s", instance->program, instance->lock_dir,
                  line);
    else
        log_error("the running %s (pid %d) does not hand %s over: no answer within 5 s. "
                  "Traffic goes on; `kill -9 %d`, then start this one again",
                  instance->program, listener, instance->lock_dir, listener);
    return CULVERT_EBUSY;
}

int instance_make_dir(const char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    log_error("can't make %s: %s", path, strerror(errno));
    return CULVERT_ESYSTEM;
}

int instance_take(const struct instance *instance)
{
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
    int fd = open(instance->lock_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int pid;

    if (fd < 0) {
        log_error("can't open %s: %s", instance->lock_dir, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    pid = ask_handover(instance);
    if (pid < 0) {
        close(fd);
        return pid;
    }
    for (int waited = 0; waited < HANDOVER_MS; waited += LOCK_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            log_info("took over from process %d", pid);
            return fd;
        }
        nanosleep(&pause, NULL);
    }
    log_error("process %d said that it steps back, but still holds %s after 5 s", pid,
              instance->lock_dir);
    close(fd);
    return CULVERT_ETIMEOUT;
}

/* ---- answering ---- */

struct client {
    uv_pipe_t pipe;
    uv_write_t write;
    struct instance_server *server;
    struct client *next;
    char line[LINE_BYTES];
    size_t length;
    char *answer;
    bool leave;
};

struct instance_server {
    uv_pipe_t pipe;
    struct instance_hooks hooks;
    const char *lock_dir;
    struct client *clients;
    unsigned count;
    bool stopped;
    char path[108];
};

static void free_when_done(struct instance_server *server)
{
    if (server->stopped && !server->count)
        free(server);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct instance_server *server = client->server;
    struct client **link = &server->clients;

    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    server->count--;
    free(client->answer);
    free(client);
    free_when_done(server);
}

static void close_client(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->pipe))
        uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void on_answered(uv_write_t *request, int status)
{
    struct client *client = request->data;
    struct instance_server *server = client->server;
    bool leave = client->leave && status == 0;

    close_client(client);
    if (leave && !server->stopped)
        server->hooks.leave(server->hooks.arg);
}

static char *answer_line(struct client *client)
{
    struct instance_server *server = client->server;
    char *answer = NULL;

    if (strcmp(client->line, "status") == 0)
        return server->hooks.status(server->hooks.arg);
    if (strncmp(client->line, "handover ", 9) != 0)
        return strdup("no such request\n");
    client->leave = strcmp(client->line + 9, server->lock_dir) == 0;
    if (client->leave)
        return asprintf(&answer, "ok %d\n", getpid()) < 0 ? NULL : answer;
    return asprintf(&answer, "no %d, holds %s\n", getpid(), server->lock_dir) < 0 ? NULL : answer;
}

static void on_line(struct client *client)
{
    uv_buf_t buffer;

    uv_read_stop((uv_stream_t *)&client->pipe);
    client->answer = answer_line(client);
    if (!client->answer) {
        close_client(client);
        return;
    }
    buffer = uv_buf_init(client->answer, (unsigned)strlen(client->answer));
    client->write.data = client;
    if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, on_answered))
        close_client(client);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(client->line + client->length,
                          (unsigned)(sizeof(client->line) - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    char *end;

    (void)buffer;
    if (got < 0) {
        close_client(client);
        return;
    }
    end = memchr(client->line + client->length, '\n', (size_t)got);
    client->length += (size_t)got;
    if (end) {
        *end = '\0';
        on_line(client);
    } else if (client->length == sizeof(client->line)) {
        close_client(client);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct instance_server *server = stream->data;
    struct client *client;

    if (status < 0 || server->stopped)
        return;
    client = calloc(1, sizeof(*client));
    if (!client)
        return;
    client->server = server;
    client->next = server->clients;
    server->clients = client;
    server->count++;
    uv_pipe_init(stream->loop, &client->pipe, 0);
    client->pipe.data = client;
    if (uv_accept(stream, (uv_stream_t *)&client->pipe) || server->count > CLIENTS_MAX ||
        uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read))
        close_client(client);
}

static int listen_at(struct instance_server *server)
{
    mode_t mask = umask(0177);
    int error;

    unlink(server->path);
    error = uv_pipe_bind(&server->pipe, server->path);
    umask(mask);
    return error ? error : uv_listen((uv_stream_t *)&server->pipe, 8, on_connection);
}

static void on_server_closed(uv_handle_t *handle)
{
    struct instance_server *server = handle->data;

    server->stopped = true;
    free_when_done(server);
}

int instance_serve(struct instance_server **out, uv_loop_t *loop, const struct instance *instance,
                   const struct instance_hooks *hooks)
{
    struct instance_server *server;
    int other = connect_running(instance);
    int error;

    *out = NULL;
    if (other >= 0) {
        close(other);
        log_error("another %s%s answers at %s/%s: give this one a --run-dir of its own",
                  instance->program, instance->pin_dir ? " (with another --pin-dir)" : "",
                  instance->run_dir, instance->socket);
        return CULVERT_EBUSY;
    }
    server = calloc(1, sizeof(*server));
    if (!server)
        return CULVERT_ENOMEM;
    server->hooks = *hooks;
    server->lock_dir = instance->lock_dir;
    snprintf(server->path, sizeof(server->path), "%s/%s", instance->run_dir, instance->socket);
    uv_pipe_init(loop, &server->pipe, 0);
    server->pipe.data = server;
    error = listen_at(server);
    if (error) {
        log_error("can't listen at %s: %s", server->path, uv_strerror(error));
        uv_close((uv_handle_t *)&server->pipe, on_server_closed);
        return CULVERT_ESYSTEM;
    }
    *out = server;
    return 0;
}

void instance_stop(struct instance_server *server)
{
    if (!server)
        return;
    for (struct client *client = server->clients; client; client = client->next)
        close_client(client);
    uv_close((uv_handle_t *)&server->pipe, on_server_closed); /* also unlinks the socket */
}
