/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "controlplane/fronts/http/internal.h"

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)status;
    free(shutdown);
}

/* Ends our side and throws away what the peer still sends, so that it can read the answer. */
static void connection_linger(struct connection *connection)
{
    uv_shutdown_t *shutdown = malloc(sizeof(*shutdown));

    if (!shutdown || uv_shutdown(shutdown, (uv_stream_t *)&connection->pipe, on_shutdown)) {
        free(shutdown);
        http_connection_close(connection);
        return;
    }
    http_connection_enter(connection, PHASE_LINGER);
    http_connection_read(connection, true);
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *connection = write->data;

    free(connection->answer);
    connection->answer = NULL;
    if (status || connection->dead) {
        http_connection_close(connection);
        return;
    }
    connection->server->bodies -= connection->reserved;
    connection->reserved = 0;
    if (connection->close_after || connection->server->closing) {
        connection_linger(connection);
        return;
    }
    http_connection_enter(connection, PHASE_IDLE);
    http_connection_advance(connection);
}

static size_t format_header(struct connection *connection, int status, size_t length)
{
    char allow[96] = "";
    int n;

    if (status == 405)
        snprintf(allow, sizeof(allow), "Allow: %s\r\n", connection->match.allow);
    n = snprintf(connection->answer_header, sizeof(connection->answer_header),
                 "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                 "%s%s\r\n",
                 status, http_status_text(status), length, allow,
                 connection->close_after ? "Connection: close\r\n" : "");
    return (size_t)n;
}

void http_respond(struct http_exchange *exchange, int status, char *body, size_t length)
{
    struct connection *connection =
        (struct connection *)((char *)exchange - offsetof(struct connection, exchange));
    uv_buf_t buffers[2];
    unsigned count = 1;

    connection->answer = body;
    if (connection->dead) {
        connection->phase = PHASE_LINGER;
        http_connection_maybe_free(connection);
        return;
    }
    buffers[0] =
        uv_buf_init(connection->answer_header, (unsigned)format_header(connection, status, length));
    if (length && !connection->head)
        buffers[count++] = uv_buf_init(body, (unsigned)length);
    http_connection_enter(connection, PHASE_WRITE);
    http_connection_read(connection, false);
    connection->write.data = connection;
    if (uv_write(&connection->write, (uv_stream_t *)&connection->pipe, buffers, count, on_written))
        http_connection_close(connection);
}

void http_respond_error(struct http_exchange *exchange, int status, const char *message,
                        const char *hint)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "errors");
    yyjson_mut_val *error = yyjson_mut_arr_add_obj(doc, list);
    size_t length = 0;
    char *text;

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, error, "message", message);
    if (hint)
        yyjson_mut_obj_add_str(doc, error, "hint", hint);
    text = doc ? yyjson_mut_write(doc, 0, &length) : NULL;
    yyjson_mut_doc_free(doc);
    http_respond(exchange, status, text, text ? length : 0);
}
