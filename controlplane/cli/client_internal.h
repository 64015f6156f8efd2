/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by client.c and client_remote.c only. */
#ifndef CULVERT_CLI_CLIENT_INTERNAL_H
#define CULVERT_CLI_CLIENT_INTERNAL_H

#include "controlplane/base/buffer.h"
#include "controlplane/cli/client.h"

/* ---- client.c ---- */

/* Sets the problem, "WHERE: TEXT", and ends the connection. Returns the error. */
int client_fail(struct client *client, int error, const char *text);
/* Waits until the socket is ready. CULVERT_ETIMEOUT, CULVERT_EIO. */
int client_wait(struct client *client, short events, int timeout_ms);
/* Sends all; 1 when the server has stopped reading: it has an answer for us already. */
int client_send_raw(struct client *client, const char *data, size_t length);

/* ---- client_remote.c ---- */

/* Reads the token, if one is given. CULVERT_EINVAL. */
int client_token(struct client *client);
/* Connects to the server, over TLS, and checks who it is. */
int client_dial(struct client *client);
/* The same as client_send_raw(), encrypted. */
int client_send_tls(struct client *client, const char *data, size_t length);
/* Decrypts what came; plain bytes are appended. CULVERT_EPROTO: broken, or ended after these. */
int client_receive_tls(struct client *client, const char *data, size_t length,
                       struct buffer *plain);
void client_tls_free(struct client_tls *tls); /* NULL is allowed */

#endif
