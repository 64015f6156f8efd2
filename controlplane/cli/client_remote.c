/* SPDX-License-Identifier: Apache-2.0 */
/* The client's way to another machine: who that is, what it is shown. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/tls_stream.h"
#include "controlplane/cli/client_internal.h"
#include "controlplane/identity/access.h"
#include "controlplane/identity/pin.h"

#define CONNECT_TIMEOUT_MS 10000
#define HOST_MAX 256u
#define PORT_MAX 6u
#define PIN_PREFIX "sha256:"
#define CHUNK 16384u

struct client_tls {
    SSL_CTX *context;
    struct tls_stream *stream;
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT];
    bool pinned; /* by that; else by the file's certificates */
};

static int fail_with(struct client *client, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A problem that begins with no place. */
static int fail_with(struct client *client, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(client->problem, sizeof(client->problem), format, args);
    va_end(args);
    client_close(client);
    return error;
}

/* ---- the token ---- */

static int read_token_file(struct client *client, const char *path)
{
    char *text;
    size_t length;
    int error = file_read(AT_FDCWD, path, CLIENT_TOKEN_MAX - 1, &text, &length);

    if (error)
        return fail_with(client, CULVERT_EINVAL, "%s: %s", path,
                         error == CULVERT_EFULL ? "too long to hold a token"
                                                : culvert_strerror(error));
    snprintf(client->token, sizeof(client->token), "%.*s", (int)strcspn(text, " \t\r\n"), text);
    OPENSSL_cleanse(text, length);
    free(text);
    return 0;
}

int client_token(struct client *client)
{
    const struct client_options *options = &client->options;
    const char *from = options->token_file ? options->token_file : "$CULVERT_TOKEN";
    struct access_token token;
    int error = 0;

    if (client->ready)
        return 0;
    if (options->token_file)
        error = read_token_file(client, options->token_file);
    else if (options->token)
        snprintf(client->token, sizeof(client->token), "%s", options->token);
    if (error)
        return error;
    if (!*client->token && (options->server || options->token_file))
        return fail_with(client, CULVERT_EINVAL,
                         "%s%s: a token is needed: --token-file FILE, or $CULVERT_TOKEN; an admin "
                         "makes one by `culvert token create`",
                         options->token_file ? from : "--server",
                         options->token_file ? " is empty" : "");
    if (*client->token && access_parse(client->token, &token))
        return fail_with(client, CULVERT_EINVAL,
                         "%s holds no access token, or not a whole one: it is what `culvert token "
                         "create` printed, and begins with " ACCESS_PREFIX,
                         from);
    client->ready = true;
    return 0;
}

/* ---- whom to believe ---- */

static int verify_server(X509_STORE_CTX *store, void *arg)
{
    const struct client_tls *tls = arg;
    struct node_name name;

    if (tls->pinned)
        return pin_verify(store, tls->fingerprint, &name);
    if (X509_verify_cert(store) != 1)
        return 0;
    if (!certificate_name(X509_STORE_CTX_get0_cert(store), &name))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* What --ca, or else the token, says of the CA. */
static int set_trust(struct client *client, struct client_tls *tls)
{
    const char *ca = client->options.ca;
    struct access_token token;
    size_t length;

    if (!ca) {
        tls->pinned = true;
        if (access_parse(client->token, &token))
            return CULVERT_EINVAL;
        memcpy(tls->fingerprint, token.fingerprint, sizeof(tls->fingerprint));
        OPENSSL_cleanse(&token, sizeof(token));
        return 0;
    }
    if (!strncmp(ca, PIN_PREFIX, sizeof(PIN_PREFIX) - 1)) {
        tls->pinned = true;
        if (OPENSSL_hexstr2buf_ex(tls->fingerprint, sizeof(tls->fingerprint), &length,
                                  ca + sizeof(PIN_PREFIX) - 1, 0) == 1 &&
            length == sizeof(tls->fingerprint))
            return 0;
        return fail_with(client, CULVERT_EINVAL,
                         "--ca takes a file, or " PIN_PREFIX " and 64 hexadecimal digits, not `%s`",
                         ca);
    }
    if (SSL_CTX_load_verify_file(tls->context, ca) == 1)
        return 0;
    return fail_with(client, CULVERT_EINVAL, "--ca: %s holds no certificates (PEM)", ca);
}

static int make_tls(struct client *client)
{
    struct client_tls *tls = calloc(1, sizeof(*tls));
    int error;

    if (!tls)
        return client_fail(client, CULVERT_ENOMEM, "out of memory");
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context || SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION) != 1) {
        client_tls_free(tls);
        return client_fail(client, CULVERT_ENOMEM, "out of memory");
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(tls->context, verify_server, tls);
    error = set_trust(client, tls);
    if (!error) {
        tls->stream = tls_stream_new_client(tls->context);
        if (!tls->stream)
            error = client_fail(client, CULVERT_ENOMEM, "out of memory");
    }
    ERR_clear_error();
    if (error)
        client_tls_free(tls);
    else
        client->tls = tls;
    return error;
}

void client_tls_free(struct client_tls *tls)
{
    if (!tls)
        return;
    tls_stream_free(tls->stream);
    SSL_CTX_free(tls->context);
    free(tls);
}

static int explain_tls(struct client *client)
{
    long verified = SSL_get_verify_result(tls_stream_ssl(client->tls->stream));
    char text[400];

    if (verified == X509_V_OK)
        return client_fail(client, CULVERT_EPROTO,
                           "no TLS 1.3 connection is made: is that culvertd's `api: { listen: }`?");
    if (client->options.ca)
        snprintf(text, sizeof(text),
                 "its certificate is not of the CA that --ca names (%s): is it the right server?",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(text, sizeof(text),
                 "its certificate is not of the site that made the token (%s): is it the right "
                 "server? After a change of the site's CA make a new token, or name it by --ca",
                 X509_verify_cert_error_string(verified));
    return client_fail(client, CULVERT_EACCES, text);
}

/* ---- connecting ---- */

/* Takes [https://]HOST[:PORT][/] apart; the host of an IPv6 address is in brackets. */
static bool split_url(const char *at, char host[HOST_MAX], char port[PORT_MAX])
{
    static const char scheme[] = "https://";
    bool bracket;
    size_t length;

    if (!strncmp(at, scheme, sizeof(scheme) - 1))
        at += sizeof(scheme) - 1;
    bracket = *at == '[';
    at += bracket;
    length = strcspn(at, bracket ? "]" : ":/");
    if (!length || length >= HOST_MAX || (bracket && !at[length]))
        return false;
    memcpy(host, at, length);
    host[length] = 0;
    at += length + bracket;
    snprintf(port, PORT_MAX, "%s", CLIENT_PORT);
    if (*at == ':') {
        length = strspn(++at, "0123456789");
        if (!length || length >= PORT_MAX)
            return false;
        memcpy(port, at, length);
        port[length] = 0;
        at += length;
    }
    return !*at || !strcmp(at, "/");
}

/* One address of the server. 0, or an errno. */
static int try_address(struct client *client, const struct addrinfo *address)
{
    struct pollfd wait = {.events = POLLOUT};
    socklen_t size = sizeof(int);
    int problem = 0, count;

    client->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return errno;
    wait.fd = client->fd;
    if (connect(client->fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS)
        return errno;
    do
        count = poll(&wait, 1, CONNECT_TIMEOUT_MS);
    while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count ? errno : ETIMEDOUT;
    return getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &problem, &size) ? errno : problem;
}

static int connect_to(struct client *client, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int problem = getaddrinfo(host, port, &hints, &list), number = EHOSTUNREACH;
    char text[160];

    if (problem)
        return client_fail(client, CULVERT_ENOTFOUND, "no such host is known");
    for (const struct addrinfo *one = list; one && number; one = one->ai_next) {
        client_close(client);
        number = try_address(client, one);
    }
    freeaddrinfo(list);
    if (!number)
        return 0;
    snprintf(text, sizeof(text), "%s%s", strerror(number),
             number == ECONNREFUSED ? ": has the site file `api: { listen: }` with this address?"
                                    : "");
    return client_fail(client, number == ETIMEDOUT ? CULVERT_ETIMEOUT : CULVERT_ENOTFOUND, text);
}

static int send_pending(struct client *client)
{
    struct buffer wire = {0};
    int error = tls_stream_output(client->tls->stream, NULL, 0, &wire);

    if (!error && wire.length)
        error = client_send_raw(client, wire.data, wire.length);
    buffer_free(&wire);
    return error;
}

static int shake_hands(struct client *client)
{
    SSL *ssl = tls_stream_ssl(client->tls->stream);
    struct buffer plain = {0};
    char chunk[CHUNK];
    int error = 0;

    /* No bytes: begins. */
    if (tls_stream_input(client->tls->stream, chunk, 0, &plain))
        return explain_tls(client);
    while (!error && !SSL_is_init_finished(ssl)) {
        ssize_t count;

        error = send_pending(client);
        if (!error)
            error = client_wait(client, POLLIN, CONNECT_TIMEOUT_MS);
        if (error)
            break;
        count = recv(client->fd, chunk, sizeof(chunk), 0);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (count <= 0 || tls_stream_input(client->tls->stream, chunk, (size_t)count, &plain)) {
            send_pending(client); /* the alert */
            error = explain_tls(client);
        }
    }
    buffer_free(&plain);
    if (error > 0)
        error = client_fail(client, CULVERT_EIO, "the connection was closed");
    return error ? error : send_pending(client) < 0 ? CULVERT_EIO : 0;
}

int client_dial(struct client *client)
{
    char host[HOST_MAX], port[PORT_MAX];
    int error;

    if (!split_url(client->options.server, host, port))
        return fail_with(client, CULVERT_EINVAL,
                         "--server takes a URL such as https://10.0.0.1:8443, not `%s`",
                         client->options.server);
    error = connect_to(client, host, port);
    if (!error)
        error = make_tls(client);
    return error ? error : shake_hands(client);
}

/* ---- bytes ---- */

int client_send_tls(struct client *client, const char *data, size_t length)
{
    struct buffer wire = {0};
    int error = 0;

    while (!error && length) {
        size_t piece = length < CHUNK ? length : CHUNK;

        buffer_clear(&wire);
        error = tls_stream_output(client->tls->stream, data, piece, &wire);
        if (error)
            error = client_fail(client, error, culvert_strerror(error));
        else
            error = client_send_raw(client, wire.data, wire.length);
        data += piece;
        length -= piece;
    }
    buffer_free(&wire);
    return error;
}

int client_receive_tls(struct client *client, const char *data, size_t length, struct buffer *plain)
{
    return tls_stream_input(client->tls->stream, data, length, plain);
}
