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

    if (!shutdown || uv_shutdown(shutdown, &connection->peer.stream, on_shutdown)) {
        free(shutdown);
        http_connection_close(connection);
        return;
    }
    http_connection_enter(connection, PHASE_LINGER);
    http_connection_read(connection, true);
}

/* The answer is out. */
static void answer_sent(struct connection *connection)
{
    free(connection->answer);
    connection->answer = NULL;
    connection->server->bodies -= connection->reserved;
    connection->reserved = 0;
    connection->admitted = false;
    if (!connection->close_after && !connection->server->closing) {
        http_connection_enter(connection, PHASE_IDLE);
        http_connection_advance(connection);
        return;
    }
    if (connection->tls && !connection->ending) {
        connection->ending = true;
        tls_stream_end(connection->tls);
        http_connection_flush(connection);
    } else {
        connection_linger(connection);
    }
}

/* ---- what is to be sent ---- */

static char continue_text[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* All of it, as it lies. Returns how many buffers. */
static int collect_plain(struct connection *connection, uv_buf_t buffers[3])
{
    int count = 0;

    if (connection->continue_due)
        buffers[count++] = uv_buf_init(continue_text, sizeof(continue_text) - 1);
    if (connection->header_length)
        buffers[count++] =
            uv_buf_init(connection->answer_header, (unsigned)connection->header_length);
    if (connection->answer_length > connection->answer_at)
        buffers[count++] =
            uv_buf_init(connection->answer + connection->answer_at,
                        (unsigned)(connection->answer_length - connection->answer_at));
    connection->answer_at = connection->answer_length;
    return count;
}

/* The next piece, encrypted; likewise, or an error. */
static int collect_tls(struct connection *connection, uv_buf_t buffers[3])
{
    size_t piece = connection->answer_length - connection->answer_at;
    struct buffer *wire = &connection->wire;
    int error = 0;

    if (piece > PIECE_BYTES)
        piece = PIECE_BYTES;
    buffer_clear(wire);
    if (connection->continue_due)
        error = tls_stream_output(connection->tls, continue_text, sizeof(continue_text) - 1, wire);
    if (!error)
        error = tls_stream_output(connection->tls, connection->answer_header,
                                  connection->header_length, wire);
    if (!error && piece)
        error = tls_stream_output(connection->tls, connection->answer + connection->answer_at,
                                  piece, wire);
    connection->answer_at += piece;
    if (error)
        return error;
    buffers[0] = uv_buf_init(wire->data, (unsigned)wire->length);
    return wire->length != 0;
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *connection = write->data;

    connection->writing = false;
    if (connection->dead)
        return;
    if (status) {
        http_connection_close(connection);
        return;
    }
    if (connection->phase == PHASE_WRITE) /* the peer takes it: its time begins anew */
        http_connection_enter(connection, PHASE_WRITE);
    http_connection_flush(connection);
    if (!connection->dead && connection->phase < PHASE_ANSWER)
        http_connection_advance(connection);
}

void http_connection_flush(struct connection *connection)
{
    uv_buf_t buffers[3];
    int count;

    if (connection->dead || connection->writing)
        return;
    count = connection->tls ? collect_tls(connection, buffers) : collect_plain(connection, buffers);
    connection->continue_due = false;
    connection->header_length = 0;
    if (count < 0) {
        http_connection_close(connection);
    } else if (count) {
        connection->write.data = connection;
        if (uv_write(&connection->write, &connection->peer.stream, buffers, (unsigned)count,
                     on_written))
            http_connection_close(connection);
        else
            connection->writing = true;
    } else if (connection->phase == PHASE_WRITE) {
        answer_sent(connection);
    }
}

/* ---- an answer ---- */

static size_t format_header(struct connection *connection, int status, size_t length)
{
    char more[96] = "";
    int n;

    if (status == 405)
        snprintf(more, sizeof(more), "Allow: %s\r\n", connection->match.allow);
    else if (status == 401) /* RFC 6750 section 3 */
        snprintf(more, sizeof(more), "WWW-Authenticate: Bearer\r\n");
    n = snprintf(connection->answer_header, sizeof(connection->answer_header),
                 "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                 "%s%s\r\n",
                 status, http_status_text(status), length, more,
                 connection->close_after ? "Connection: close\r\n" : "");
    return (size_t)n;
}

void http_respond(struct http_exchange *exchange, int status, char *body, size_t length)
{
    struct connection *connection = connection_of(exchange);
    const struct http_server_options *options = &connection->server->options;

    if (connection->admitted && options->answered)
        options->answered(exchange, status);
    connection->answer = body;
    if (connection->dead) {
        connection->phase = PHASE_LINGER;
        http_connection_maybe_free(connection);
        return;
    }
    if (!connection->admitted)
        connection->close_after = true; /* its body is not read */
    connection->header_length = format_header(connection, status, length);
    connection->answer_length = connection->head ? 0 : length;
    connection->answer_at = 0;
    http_connection_enter(connection, PHASE_WRITE);
    http_connection_read(connection, false);
    http_connection_flush(connection);
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
