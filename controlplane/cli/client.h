/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP/1.1 client of culvertd's Unix socket; one connection, opened when needed. */
#ifndef CULVERT_CLI_CLIENT_H
#define CULVERT_CLI_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#define CLIENT_ANSWER_MAX ((size_t)1 << 30)

struct client {
    const char *path;  /* of the socket */
    int fd;            /* -1: not connected */
    char problem[512]; /* one line: what is wrong and what to do, after an error */
};

/* An answer. `body` is NUL-terminated, to free(). */
struct answer {
    int status;
    char *body;
    size_t length;
};

/* Nothing is connected before the first call. */
void client_init(struct client *client, const char *path);
void client_close(struct client *client);

/* Sends a request and reads its answer (any status). `body` NULL: none. Returns 0 or
 * CULVERT_ENOTFOUND, CULVERT_EACCES (no culvertd, no right), CULVERT_EIO, CULVERT_EPROTO,
 * CULVERT_ETIMEOUT, CULVERT_ENOMEM with client->problem set. */
int client_call(struct client *client, const char *method, const char *target, const char *body,
                size_t length, struct answer *answer);

/* The same with `length` bytes of a file as the body, from where it stands. */
int client_send_file(struct client *client, const char *method, const char *target, int file,
                     uint64_t length, struct answer *answer);

#endif
