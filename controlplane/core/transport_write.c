/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending. A message is copied into one of a connection's two lanes: bulk, or urgent. At the end of
 * the loop's turn the urgent lane is encrypted as it lies, in as few records as it needs, and
 * pieces of the bulk lane only while it is empty. Little is encrypted ahead, and little is in the
 * kernel unsent (TCP_NOTSENT_LOWAT), so that what comes next need not wait long.
 */
#include <limits.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"
#include "controlplane/core/transport_internal.h"

#define RECORDS_PER_KEY ((uint64_t)1 << 22) /* RFC 8446 section 5.5: below 2^24.5 for AES-GCM */
#define PLAIN_MAX 65536u                    /* bytes encrypted in one call */
#define RECORD_BYTES 16384u

void lane_consume(struct lane *lane, size_t length)
{
    lane->head += length;
    if (lane->head < lane->bytes.length)
        return;
    lane->head = 0;
    buffer_clear(&lane->bytes);
}

/* Frees what an empty buffer keeps. */
static void trim(struct buffer *buffer)
{
    if (!buffer->length && buffer->capacity > TRANSPORT_KEEP)
        buffer_free(buffer);
}

void connection_trim(struct connection *connection)
{
    trim(&connection->urgent.bytes);
    trim(&connection->bulk.bytes);
    trim(&connection->input);
    if (!connection->is_writing)
        trim(&connection->cipher);
    if (!connection->reader.bulk_length)
        buffer_clear(&connection->reader.bulk);
    trim(&connection->reader.bulk);
}

/* Moves what waits to the front when that is the smaller part. */
static void lane_compact(struct lane *lane)
{
    size_t length = lane_length(lane);

    if (lane->head <= length)
        return;
    memmove(lane->bytes.data, lane->bytes.data + lane->head, length);
    lane->bytes.length = length;
    lane->head = 0;
}

/* Appends a message behind its header. On an error the lane is as before. */
static int lane_add(struct lane *lane, bool bulk, const struct iovec *parts, unsigned count,
                    size_t total)
{
    size_t before;

    lane_compact(lane);
    before = lane->bytes.length;
    if (bulk)
        bytes_put_number(&lane->bytes, total, 4);
    else
        wire_put_header(&lane->bytes, WIRE_MESSAGE, total);
    for (unsigned i = 0; i < count; i++)
        buffer_add(&lane->bytes, parts[i].iov_base, parts[i].iov_len);
    if (!lane->bytes.error)
        return 0;
    lane->bytes.error = 0;
    lane->bytes.length = before;
    return CULVERT_ENOMEM;
}

int transport_send(struct env_net *net, uint64_t node, const struct iovec *parts, unsigned count)
{
    struct transport *transport = (struct transport *)net;
    struct peer *peer = transport_peer_find(transport, node);
    struct connection *connection = peer ? peer->up : NULL;
    size_t total = 0, waiting, bound = transport->options.queue;
    struct lane *lane;
    bool bulk;
    int error;

    if (!connection)
        return CULVERT_ENOTFOUND;
    for (unsigned i = 0; i < count; i++)
        total += parts[i].iov_len;
    if (total > ENV_MESSAGE_MAX)
        return CULVERT_EINVAL;
    bulk = total && transport->options.bulk &&
           transport->options.bulk(parts[0].iov_base, parts[0].iov_len);
    lane = bulk ? &connection->bulk : &connection->urgent;
    waiting = lane_length(lane);
    if (total <= TRANSPORT_SMALL)
        bound += TRANSPORT_RESERVE;
    if (waiting && waiting + total > bound) {
        lane->full = true;
        transport->stats.full++;
        return CULVERT_EFULL;
    }
    error = lane_add(lane, bulk, parts, count, total);
    if (error)
        return error;
    transport->stats.messages_sent++;
    connection_dirty(connection);
    return 0;
}

/* ---- encrypting ---- */

static bool encrypt(struct connection *connection, const void *data, size_t length)
{
    size_t done = 0;

    if (SSL_write_ex(connection->ssl, data, length, &done) != 1 || done != length) {
        connection_tls_failed(connection);
        return false;
    }
    connection->records += (length + RECORD_BYTES - 1) / RECORD_BYTES;
    if (connection->records < RECORDS_PER_KEY)
        return true;
    connection->records = 0;
    return SSL_key_update(connection->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

static bool encrypt_piece(struct connection *connection)
{
    struct lane *lane = &connection->bulk;
    uint8_t frame[WIRE_HEADER + WIRE_PIECE_MAX];
    const uint8_t *from = (const uint8_t *)lane->bytes.data + lane->head;
    bool first = !connection->piece_left;
    size_t length;

    if (first)
        connection->piece_left = 4 + bytes_number(from, 4);
    length = connection->piece_left < WIRE_PIECE_MAX ? connection->piece_left : WIRE_PIECE_MAX;
    for (unsigned i = 0; i < 4; i++)
        frame[i] = (uint8_t)(length >> 8 * i);
    frame[4] = first ? WIRE_BULK_FIRST : WIRE_BULK_MORE;
    memcpy(frame + WIRE_HEADER, from, length);
    connection->piece_left -= length;
    lane_consume(lane, length);
    return encrypt(connection, frame, WIRE_HEADER + length);
}

static void put_report(struct connection *connection)
{
    const struct transport_options *options = &connection->transport->options;
    struct buffer report = {.bound = WIRE_REPORT_MAX};

    if (!options->report || connection->version < WIRE_REPORTS)
        return;
    options->report(options->report_arg, &report);
    if (!report.error)
        wire_put_report(&connection->urgent.bytes, transport_clock(), report.data, report.length);
    buffer_free(&report);
}

/* Appends what is due, one of each: a flood of pings makes no queue of answers. */
static bool put_times(struct connection *connection)
{
    struct buffer *out = &connection->urgent.bytes;

    if (connection->ping_due)
        wire_put_time(out, WIRE_PING, uv_hrtime());
    if (connection->ping_due)
        put_report(connection);
    if (connection->pong_due)
        wire_put_time(out, WIRE_PONG, connection->pong_time);
    connection->ping_due = connection->pong_due = false;
    if (out->error)
        connection_close(connection, TRANSPORT_MEMORY, NULL);
    return !out->error;
}

/* Encrypts a bounded part of what waits. False: the connection has failed and is closed. */
static bool fill(struct connection *connection)
{
    struct lane *urgent = &connection->urgent;

    if (connection->stage < STAGE_HELLO)
        return true;
    if (!put_times(connection))
        return false;
    while (BIO_ctrl_pending(connection->to_net) < TRANSPORT_CIPHER_MAX) {
        size_t length = lane_length(urgent);

        if (length > PLAIN_MAX)
            length = PLAIN_MAX;
        if (length) {
            if (!encrypt(connection, urgent->bytes.data + urgent->head, length))
                return false;
            lane_consume(urgent, length);
        } else if (!lane_length(&connection->bulk)) {
            break;
        } else if (!encrypt_piece(connection)) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;

    connection->is_writing = false;
    buffer_clear(&connection->cipher);
    if (connection->closing)
        return;
    if (status)
        connection_close(connection, TRANSPORT_NETWORK, uv_strerror(status));
    else
        connection_dirty(connection);
}

/* The rest of what was encrypted waits for the socket. */
static void write_later(struct connection *connection, const char *data, size_t length)
{
    uv_buf_t part;
    int status;

    buffer_add(&connection->cipher, data, length);
    if (connection->cipher.error) {
        connection_close(connection, TRANSPORT_MEMORY, NULL);
        return;
    }
    part = uv_buf_init(connection->cipher.data, (unsigned)length);
    connection->writing.data = connection;
    status = uv_write(&connection->writing, (uv_stream_t *)&connection->tcp, &part, 1, on_written);
    if (status)
        connection_close(connection, TRANSPORT_NETWORK, uv_strerror(status));
    else
        connection->is_writing = true;
}

/* Writes what is encrypted. Returns how many bytes the socket took at once; 0: not all of them. */
static size_t write_cipher(struct connection *connection)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    char *data;
    long length = BIO_get_mem_data(connection->to_net, &data);
    uv_buf_t part;
    int sent;

    if (length <= 0)
        return 0;
    part = uv_buf_init(data, (unsigned)length);
    sent = uv_try_write(stream, &part, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        connection_close(connection, TRANSPORT_NETWORK, uv_strerror(sent));
        return 0;
    }
    if (sent < 0)
        sent = 0;
    connection->transport->stats.bytes_sent += (uint64_t)length;
    connection->transport->stats.writes++;
    if (sent < length)
        write_later(connection, data + sent, (size_t)(length - sent));
    (void)BIO_reset(connection->to_net);
    return sent == length ? (size_t)length : 0;
}

/* Tells the owner that there is room again, once it is half the queue. */
static void tell_writable(struct connection *connection)
{
    struct transport *transport = connection->transport;
    size_t half = transport->options.queue / 2;
    bool urgent = connection->urgent.full && lane_length(&connection->urgent) <= half;
    bool bulk = connection->bulk.full && lane_length(&connection->bulk) <= half;

    if (urgent)
        connection->urgent.full = false;
    if (bulk)
        connection->bulk.full = false;
    if ((urgent || bulk) && connection->stage == STAGE_UP && transport->events.writable)
        transport->events.writable(transport->events.arg, connection->peer->node);
}

void connection_flush(struct connection *connection)
{
    size_t turn = 0, sent;

    connection->dirty = false;
    while (!connection->closing && !connection->is_writing && fill(connection)) {
        sent = write_cipher(connection);
        if (!sent)
            break;
        turn += sent;
        if (turn >= TRANSPORT_TURN_MAX) {
            connection_dirty(connection); /* others first */
            break;
        }
    }
    if (!connection->closing)
        tell_writable(connection);
}

void connection_dirty(struct connection *connection)
{
    connection->dirty = true;
    /* Runs before the loop next waits, and keeps it from waiting until then. */
    uv_idle_start(&connection->transport->idle, transport_flush);
}

void transport_flush(uv_idle_t *idle)
{
    struct transport *transport = idle->data;

    uv_idle_stop(idle);
    for (struct connection *one = transport->connections, *next; one; one = next) {
        next = one->next;
        if (one->dirty && !one->closing)
            connection_flush(one);
    }
}
