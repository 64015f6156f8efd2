/* SPDX-License-Identifier: Apache-2.0 */
/* The joining node's side: blocking, with one deadline for all of it. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/clock.h"
#include "controlplane/base/error.h"
#include "controlplane/identity/join.h"
#include "controlplane/identity/pin.h"

#define TIMEOUT_MS 20000u
#define LENGTH_BYTES 4u

struct client {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    uint64_t deadline; /* ms */
};

static int wait_for(const struct client *client, short events)
{
    struct pollfd one = {.fd = client->fd, .events = events};
    uint64_t now;
    int ready;

    do {
        now = clock_ms();
        if (now >= client->deadline)
            return CULVERT_ETIMEOUT;
        ready = poll(&one, 1, (int)(client->deadline - now));
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : ready < 0 ? CULVERT_EIO : CULVERT_ETIMEOUT;
}

static int dial(struct client *client, const struct endpoint *at)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(int);
    int problem = 0, error;

    endpoint_to_socket(at, &address);
    client->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return CULVERT_ESYSTEM;
    if (!connect(client->fd, (const struct sockaddr *)&address, sizeof(address)))
        return 0;
    if (errno != EINPROGRESS)
        return CULVERT_EIO;
    error = wait_for(client, POLLOUT);
    if (error)
        return error;
    return getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &problem, &length) || problem ? CULVERT_EIO
                                                                                      : 0;
}

/* The site's chain must end in the CA of the token, and name its site. Called by the library in
 * the place of its own verification. */
static int verify_site(X509_STORE_CTX *store, void *arg)
{
    const struct token *token = arg;
    struct node_name name;

    if (!pin_verify(store, token->fingerprint, &name))
        return 0;
    if (!strcmp(name.site, token->site))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int tls_make(struct client *client, const struct token *token)
{
    static const unsigned char alpn[] = "\x0e" JOIN_ALPN;

    client->context = SSL_CTX_new(TLS_client_method());
    if (!client->context || SSL_CTX_set_min_proto_version(client->context, TLS1_3_VERSION) != 1)
        return CULVERT_ENOMEM;
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(client->context, verify_site, (void *)token);
    client->ssl = SSL_new(client->context);
    if (!client->ssl || SSL_set_alpn_protos(client->ssl, alpn, sizeof(alpn) - 1) ||
        SSL_set_fd(client->ssl, client->fd) != 1)
        return CULVERT_ENOMEM;
    return 0;
}

/* What to do after an operation that didn't succeed: 0: again. */
static int tls_again(const struct client *client, int status)
{
    switch (SSL_get_error(client->ssl, status)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(client, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(client, POLLOUT);
    default:
        return SSL_get_verify_result(client->ssl) == X509_V_OK ? CULVERT_EIO : CULVERT_EACCES;
    }
}

static int shake_hands(const struct client *client)
{
    int status, error = 0;

    do {
        ERR_clear_error();
        status = SSL_connect(client->ssl);
        if (status != 1)
            error = tls_again(client, status);
    } while (status != 1 && !error);
    return error;
}

static int send_all(const struct client *client, const char *data, size_t length)
{
    size_t sent;
    int status, error = 0;

    do {
        ERR_clear_error();
        status = SSL_write_ex(client->ssl, data, length, &sent);
        if (status != 1)
            error = tls_again(client, status);
    } while (status != 1 && !error);
    return error;
}

static int receive(const struct client *client, uint8_t *to, size_t length)
{
    while (length) {
        size_t got = 0;
        int status, error;

        ERR_clear_error();
        status = SSL_read_ex(client->ssl, to, length, &got);
        if (status != 1) {
            error = tls_again(client, status);
            if (error)
                return error;
        }
        to += got;
        length -= got;
    }
    return 0;
}

/* Sends the request, reads the answer into `reply`. */
static int exchange(const struct client *client, const struct buffer *request, struct buffer *reply)
{
    struct buffer frame = {0};
    uint8_t length[LENGTH_BYTES];
    uint8_t *room;
    int error;

    bytes_put_number(&frame, request->length, LENGTH_BYTES);
    buffer_add(&frame, request->data, request->length);
    error = frame.error ? frame.error : send_all(client, frame.data, frame.length);
    buffer_free(&frame);
    if (!error)
        error = receive(client, length, sizeof(length));
    if (error)
        return error;
    if (bytes_number(length, LENGTH_BYTES) > JOIN_REPLY_MAX)
        return CULVERT_EPROTO;
    room = buffer_room(reply, bytes_number(length, LENGTH_BYTES));
    return room ? receive(client, room, reply->length) : CULVERT_ENOMEM;
}

static void explain(const struct client *client, int error, struct join_result *out)
{
    long verified = client->ssl ? SSL_get_verify_result(client->ssl) : X509_V_OK;

    if (*out->text)
        return;
    if (verified != X509_V_OK)
        snprintf(out->text, sizeof(out->text),
                 "this is not the site of the token, or it has another CA since: get a new token "
                 "there (%s)",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(out->text, sizeof(out->text), "%s", culvert_strerror(error));
}

int join_run(const struct endpoint *at, const struct join_options *options, struct join_result *out)
{
    struct client client = {.fd = -1};
    struct buffer request = {.bound = JOIN_REQUEST_MAX}, reply = {.bound = JOIN_REPLY_MAX};
    int error;

    *out = (struct join_result){0};
    client.deadline = clock_ms() + (options->timeout_ms ? options->timeout_ms : TIMEOUT_MS);
    error = join_request_write(options, &request);
    if (!error)
        error = dial(&client, at);
    if (!error)
        error = tls_make(&client, options->token);
    if (!error)
        error = shake_hands(&client);
    if (!error)
        error = exchange(&client, &request, &reply);
    if (!error)
        error = join_reply_read((const uint8_t *)reply.data, reply.length, options->key,
                                options->token->site, out);
    if (error)
        explain(&client, error, out);
    SSL_free(client.ssl);
    SSL_CTX_free(client.context);
    ERR_clear_error();
    if (client.fd >= 0)
        close(client.fd);
    if (reply.data)
        OPENSSL_cleanse(reply.data, reply.length);
    buffer_free(&reply);
    buffer_free(&request);
    return error;
}
