/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking HTTP/1.1 client of culvertd: of its Unix socket, or of another machine's over TLS. One
 * connection, opened when needed.
 */
#ifndef CULVERT_CLI_CLIENT_H
#define CULVERT_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_ANSWER_MAX ((size_t)1 << 30)
#define CLIENT_TOKEN_MAX 512u
#define CLIENT_PORT "8443" /* unless the server's URL has one */

/* Where culvertd is and what is shown to it. Strings outlive the client; NULL: not given. */
struct client_options {
    const char *socket;     /* the path of its Unix socket */
    const char *server;     /* https://HOST[:PORT], in the place of that */
    const char *token_file; /* holds the token, */
    const char *token;      /* or this is it */
    const char *ca;         /* PEM file, or sha256:FINGERPRINT; else the CA that the token pins */
};

struct client_tls;

struct client {
    struct client_options options;
    int fd;                       /* -1: not connected */
    struct client_tls *tls;       /* NULL: a Unix socket */
    char token[CLIENT_TOKEN_MAX]; /* "" : none */
    bool ready;                   /* the token was looked for */
    char problem[512];            /* one line: what is wrong and what to do, after an error */
};

/* An answer. `body` is NUL-terminated, to free(). */
struct answer {
    int status;
    char *body;
    size_t length;
};

/* Nothing is connected before the first call. */
void client_init(struct client *client, const struct client_options *options);
void client_close(struct client *client);

/* Sends a request and reads its answer (any status). `body` NULL: none. Returns 0 or
 * CULVERT_ENOTFOUND, CULVERT_EACCES (no culvertd, no right), CULVERT_EINVAL, CULVERT_EIO,
 * CULVERT_EPROTO, CULVERT_ETIMEOUT, CULVERT_ENOMEM with client->problem set. */
int client_call(struct client *client, const char *method, const char *target, const char *body,
                size_t length, struct answer *answer);

/* The same with `length` bytes of a file as the body, from where it stands. */
int client_send_file(struct client *client, const char *method, const char *target, int file,
                     uint64_t length, struct answer *answer);

#endif
