/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/client.h"

#include <errno.h>
#include <llhttp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/client_internal.h"

#define SEND_TIMEOUT_MS 60000
#define READ_TIMEOUT_MS 15000
#define CHANGE_TIMEOUT_MS 600000 /* a site of millions of records takes a while to compile */
#define CHUNK 65536

void client_init(struct client *client, const struct client_options *options)
{
    *client = (struct client){.options = *options, .fd = -1};
}

void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client_tls_free(client->tls);
    client->tls = NULL;
}

int client_fail(struct client *client, int error, const char *text)
{
    const struct client_options *options = &client->options;

    snprintf(client->problem, sizeof(client->problem), "%s: %s",
             options->server ? options->server : options->socket, text);
    client_close(client);
    return error;
}

static int connect_problem(struct client *client, int number)
{
    int error = number == EACCES ? CULVERT_EACCES : CULVERT_ENOTFOUND;
    const char *path = client->options.socket;
    struct stat status;

    client_close(client);
    if (number == EACCES || number == EPERM)
        snprintf(client->problem, sizeof(client->problem),
                 "no permission for %s: run as root or as a member of the group culvert", path);
    else if (number == ENOENT)
        snprintf(client->problem, sizeof(client->problem),
                 "culvertd is not running (no %s): start it with `systemctl start culvertd` or "
                 "`culvertd`, or name its socket with --socket",
                 path);
    else if (number == ECONNREFUSED && !stat(path, &status) && !S_ISSOCK(status.st_mode))
        snprintf(client->problem, sizeof(client->problem),
                 "%s is not a socket: name that of culvertd with --socket", path);
    else if (number == ECONNREFUSED)
        snprintf(client->problem, sizeof(client->problem),
                 "culvertd is not running (nobody listens at %s): start it with "
                 "`systemctl start culvertd` or `culvertd`",
                 path);
    else
        snprintf(client->problem, sizeof(client->problem), "can't connect to %s: %s", path,
                 strerror(number));
    return error;
}

/* Whether culvertd has ended a connection that was kept, for it was silent or culvertd was started
 * anew: nothing else is to come on one. */
static bool has_ended(const struct client *client)
{
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};

    return client->fd >= 0 && poll(&wait, 1, 0) > 0;
}

static int client_connect(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = client->options.socket;
    int error = client_token(client);

    if (has_ended(client))
        client_close(client);
    if (error || client->fd >= 0)
        return error;
    if (client->options.server)
        return client_dial(client);
    if (strlen(path) >= sizeof(address.sun_path))
        return client_fail(client, CULVERT_EINVAL, "longer than the 107 bytes of a socket's path");
    strcpy(address.sun_path, path);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)&address, sizeof(address)))
        return connect_problem(client, errno);
    return 0;
}

/* The kernel has taken the connection, but the process doesn't serve it. */
static int silent_problem(struct client *client, int timeout)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    char text[160] = "";

    if (client->options.server)
        snprintf(text, sizeof(text), "no answer for %d s", timeout / 1000);
    else if (!getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        snprintf(
            text, sizeof(text),
            "culvertd (pid %d) has not answered for %d s: if it hangs, restart it; packets flow on",
            peer.pid, timeout / 1000);
    return client_fail(client, CULVERT_ETIMEOUT, text);
}

int client_wait(struct client *client, short events, int timeout_ms)
{
    struct pollfd wait = {.fd = client->fd, .events = events};
    int count;

    do
        count = poll(&wait, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    if (count == 0)
        return silent_problem(client, timeout_ms);
    return count < 0 ? client_fail(client, CULVERT_EIO, strerror(errno)) : 0;
}

int client_send_raw(struct client *client, const char *data, size_t length)
{
    while (length) {
        ssize_t sent;
        int error = client_wait(client, POLLOUT, SEND_TIMEOUT_MS);

        if (error)
            return error;
        sent = send(client->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 1;
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return client_fail(client, CULVERT_EIO, strerror(errno));
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
        }
    }
    return 0;
}

static int send_all(struct client *client, const char *data, size_t length)
{
    return client->tls ? client_send_tls(client, data, length)
                       : client_send_raw(client, data, length);
}

static int send_file(struct client *client, int file, uint64_t length)
{
    char *chunk = malloc(CHUNK);
    int error = chunk ? 0 : client_fail(client, CULVERT_ENOMEM, "out of memory");

    while (!error && length) {
        ssize_t count = read(file, chunk, length < CHUNK ? (size_t)length : CHUNK);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            error = client_fail(client, CULVERT_EIO, "the file changed while it was sent");
            break;
        }
        length -= (uint64_t)count;
        error = send_all(client, chunk, (size_t)count);
    }
    free(chunk);
    return error;
}

/* ---- the answer ---- */

struct receiver {
    struct buffer body;
    bool head; /* the answer has no body whatever its length says */
    bool done;
};

static int on_headers(llhttp_t *parser)
{
    const struct receiver *receiver = parser->data;

    return receiver->head;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct receiver *receiver = parser->data;

    buffer_add(&receiver->body, at, length);
    return receiver->body.error ? -1 : 0;
}

static int on_done(llhttp_t *parser)
{
    struct receiver *receiver = parser->data;

    if (parser->status_code < 200) /* 100 Continue: the answer is still to come */
        return 0;
    receiver->done = true;
    return HPE_PAUSED;
}

/* Feeds the parser with what came. `last`: nothing follows. */
static int take(struct client *client, llhttp_t *parser, const struct receiver *receiver,
                const char *data, size_t length, bool last)
{
    llhttp_errno_t parsed = length ? llhttp_execute(parser, data, length) : HPE_OK;

    if (parsed != HPE_OK && parsed != HPE_PAUSED)
        return client_fail(client, CULVERT_EPROTO, "what answers there doesn't speak HTTP");
    if (last && !receiver->done)
        return client_fail(client, CULVERT_EIO, "culvertd closed the connection without an answer");
    return 0;
}

static int receive(struct client *client, llhttp_t *parser, struct receiver *receiver, int timeout)
{
    static char chunk[CHUNK];
    struct buffer plain = {0};
    int error = 0;

    while (!error && !receiver->done) {
        ssize_t count;
        bool last;

        error = client_wait(client, POLLIN, timeout);
        if (error)
            break;
        count = recv(client->fd, chunk, sizeof(chunk), 0);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        last = count <= 0;
        if (!client->tls || last) {
            error = take(client, parser, receiver, chunk, last ? 0 : (size_t)count, last);
            continue;
        }
        buffer_clear(&plain);
        last = client_receive_tls(client, chunk, (size_t)count, &plain);
        error = plain.error ? client_fail(client, plain.error, "out of memory")
                            : take(client, parser, receiver, plain.data, plain.length, last);
    }
    buffer_free(&plain);
    return error;
}

static int read_answer(struct client *client, const char *method, struct answer *answer)
{
    struct receiver receiver = {.head = !strcmp(method, "HEAD")};
    int timeout = receiver.head || !strcmp(method, "GET") ? READ_TIMEOUT_MS : CHANGE_TIMEOUT_MS;
    llhttp_settings_t settings;
    llhttp_t parser;
    bool keep;
    int error;

    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers;
    settings.on_body = on_body;
    settings.on_message_complete = on_done;
    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    parser.data = &receiver;
    buffer_init(&receiver.body, CLIENT_ANSWER_MAX);
    error = receive(client, &parser, &receiver, timeout);
    keep = !error && llhttp_should_keep_alive(&parser);
    if (!error) {
        answer->status = parser.status_code;
        answer->length = receiver.body.length;
        buffer_add(&receiver.body, "", 0);
        answer->body = receiver.body.data ? buffer_take(&receiver.body) : strdup("");
        if (!answer->body)
            error = client_fail(client, CULVERT_ENOMEM, "out of memory");
    }
    buffer_free(&receiver.body);
    if (!keep)
        client_close(client);
    return error;
}

static int send_header(struct client *client, const char *method, const char *target,
                       uint64_t length)
{
    struct buffer header = {0};
    int error;

    buffer_format(&header, "%s %s HTTP/1.1\r\nHost: culvertd\r\nUser-Agent: culvert\r\n", method,
                  target);
    if (length || !strcmp(method, "POST") || !strcmp(method, "PUT"))
        buffer_format(&header, "Content-Type: application/json\r\nContent-Length: %llu\r\n",
                      (unsigned long long)length);
    if (*client->token)
        buffer_format(&header, "Authorization: Bearer %s\r\n", client->token);
    buffer_text(&header, "\r\n");
    error = header.error ? client_fail(client, header.error, culvert_strerror(header.error))
                         : send_all(client, header.data, header.length);
    buffer_free(&header);
    return error;
}

int client_call(struct client *client, const char *method, const char *target, const char *body,
                size_t length, struct answer *answer)
{
    int error = client_connect(client);

    memset(answer, 0, sizeof(*answer));
    if (!error)
        error = send_header(client, method, target, length);
    if (!error && length)
        error = send_all(client, body, length);
    return error < 0 ? error : read_answer(client, method, answer);
}

int client_send_file(struct client *client, const char *method, const char *target, int file,
                     uint64_t length, struct answer *answer)
{
    int error = client_connect(client);

    memset(answer, 0, sizeof(*answer));
    if (!error)
        error = send_header(client, method, target, length);
    if (!error)
        error = send_file(client, file, length);
    return error < 0 ? error : read_answer(client, method, answer);
}
