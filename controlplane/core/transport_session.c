/* SPDX-License-Identifier: Apache-2.0 */
/* What is said inside TLS: hello, ready, then messages and pings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/core/transport_internal.h"

static bool has_alpn(const struct connection *connection, const char *name)
{
    const unsigned char *chosen;
    unsigned length;

    SSL_get0_alpn_selected(connection->ssl, &chosen, &length);
    return length == strlen(name) && !memcmp(chosen, name, length);
}

void session_secure(struct connection *connection)
{
    const X509 *certificate = SSL_get0_peer_certificate(connection->ssl);

    if (connection->inbound && has_alpn(connection, JOIN_ALPN)) {
        connection->stage = STAGE_ASKING;
        return;
    }
    if (!certificate || SSL_get_verify_result(connection->ssl) != X509_V_OK ||
        !has_alpn(connection, TRANSPORT_ALPN)) {
        connection_close(connection, TRANSPORT_TLS, "not the transport's protocol");
        return;
    }
    if (certificate_name(certificate, &connection->name)) {
        connection_close(connection, TRANSPORT_CERTIFICATE, "it names no node");
        return;
    }
    connection->stage = STAGE_HELLO;
    wire_put_hello(&connection->urgent.bytes, &connection->transport->hello);
    if (connection->urgent.bytes.error)
        connection_close(connection, TRANSPORT_MEMORY, NULL);
    else
        connection_dirty(connection);
}

/* ---- hello ---- */

bool session_is_preferred(const struct connection *new, const struct connection *old)
{
    uint64_t self = new->transport->hello.node;
    uint64_t peer = new->reader.hello.node;

    if (new->reader.hello.life != old->reader.hello.life || new->inbound == old->inbound)
        return true;
    return new->inbound == (peer < self);
}

/* Why the other side's hello is not taken; TRANSPORT_NONE: it is. */
static enum transport_reason judge(const struct connection *connection, struct peer **peer,
                                   char detail[TRANSPORT_DETAIL])
{
    const struct wire_hello *ours = &connection->transport->hello;
    const struct wire_hello *theirs = &connection->reader.hello;
    const struct node_name *name = &connection->name;

    if (strcmp(name->site, ours->site) != 0 || strcmp(theirs->site, ours->site) != 0) {
        snprintf(detail, TRANSPORT_DETAIL, "site %s, this one is %s",
                 strcmp(name->site, ours->site) ? name->site : theirs->site, ours->site);
        return TRANSPORT_SITE;
    }
    if (theirs->node != name->node || theirs->node == ours->node ||
        (connection->peer && connection->peer->node != theirs->node)) {
        snprintf(detail, TRANSPORT_DETAIL,
                 "it says node %" PRIu64 ", its certificate node %" PRIu64 ", wanted is %s%" PRIu64,
                 theirs->node, name->node, connection->peer ? "" : "another than ",
                 connection->peer ? connection->peer->node : ours->node);
        return TRANSPORT_NODE;
    }
    *peer = transport_peer_find(connection->transport, theirs->node);
    if (!*peer) {
        snprintf(detail, TRANSPORT_DETAIL, "node %" PRIu64, theirs->node);
        return TRANSPORT_STRANGER;
    }
    if (!wire_version(ours, theirs)) {
        snprintf(detail, TRANSPORT_DETAIL, "%u to %u of software '%s', this one has %u to %u",
                 theirs->version_min, theirs->version_max, theirs->software, ours->version_min,
                 ours->version_max);
        return TRANSPORT_VERSION;
    }
    if ((*peer)->up && !session_is_preferred(connection, (*peer)->up))
        return TRANSPORT_DUPLICATE;
    return TRANSPORT_NONE;
}

static void take_hello(struct connection *connection)
{
    char detail[TRANSPORT_DETAIL] = "";
    struct peer *peer = NULL;
    enum transport_reason reason = judge(connection, &peer, detail);

    if (reason) {
        if (peer)
            peer_note(peer, reason, detail);
        connection_refuse(connection, reason, *detail ? detail : NULL);
        return;
    }
    connection->version = wire_version(&connection->transport->hello, &connection->reader.hello);
    connection->stage = STAGE_READY;
    wire_put_header(&connection->urgent.bytes, WIRE_READY, 0);
    if (connection->urgent.bytes.error)
        connection_close(connection, TRANSPORT_MEMORY, NULL);
    else
        connection_dirty(connection);
}

static void on_ping(uv_timer_t *timer)
{
    session_ping(timer->data);
}

/* The connection becomes the peer's, in the place of another one if there is. */
static void go_up(struct connection *connection, struct peer *peer)
{
    struct transport *transport = connection->transport;
    unsigned ping_ms = transport->options.ping_ms;

    if (connection->unknown)
        transport->stats.unknown--;
    connection->unknown = false;
    connection->stage = STAGE_UP;
    connection->peer = peer;
    peer->up = connection;
    if (peer->dialing == connection)
        peer->dialing = NULL;
    else if (peer->dialing && peer->dialing->stage < STAGE_READY)
        connection_close(peer->dialing, TRANSPORT_DUPLICATE, NULL);
    uv_timer_stop(&peer->timer);
    peer->version = connection->version;
    peer->reported = false;
    memcpy(peer->software, connection->reader.hello.software, sizeof(peer->software));
    uv_timer_start(&connection->timer, on_ping, ping_ms, ping_ms);
    transport->stats.established++;
    log_info("transport: node %" PRIu64 " %s %s is connected: version %u, software '%s'",
             peer->node, connection->inbound ? "from" : "at", connection->where,
             connection->version, peer->software);
    if (transport->events.connected)
        transport->events.connected(transport->events.arg, peer->node, true);
}

static void take_ready(struct connection *connection)
{
    struct transport *transport = connection->transport;
    uint64_t node = connection->reader.hello.node;
    struct peer *peer = transport_peer_find(transport, node);

    if (peer && peer->up) {
        if (!session_is_preferred(connection, peer->up)) {
            connection_refuse(connection, TRANSPORT_DUPLICATE, NULL);
            return;
        }
        /* The owner is told of that, and may remove the node. */
        connection_close(peer->up, TRANSPORT_DUPLICATE, NULL);
        peer = transport_peer_find(transport, node);
    }
    if (!peer)
        connection_refuse(connection, TRANSPORT_REMOVED, NULL);
    else if (!connection->closing)
        go_up(connection, peer);
}

static void take_refusal(struct connection *connection)
{
    const struct wire_refuse *refuse = &connection->reader.refuse;
    bool duplicate = refuse->reason == TRANSPORT_DUPLICATE;

    if (connection->peer)
        connection->peer->refused = refuse->reason < TRANSPORT_REASON_COUNT
                                        ? (enum transport_reason)refuse->reason
                                        : TRANSPORT_PROTOCOL;
    connection_close(connection, duplicate ? TRANSPORT_DUPLICATE : TRANSPORT_REFUSED, refuse->text);
}

/* ---- up ---- */

static void take_pong(struct connection *connection)
{
    uint64_t now = uv_hrtime(), sent = connection->reader.time;

    if (connection->peer && sent < now)
        connection->peer->rtt_us = (now - sent) / 1000 + 1;
}

/* The way here only makes the other's clock look late: the latest of some is nearest. */
static void take_report(struct connection *connection)
{
    struct peer *peer = connection->peer;
    const struct wire_reader *reader = &connection->reader;
    int64_t ahead = (int64_t)(reader->time - transport_clock());

    if (!peer->reported || ahead >= peer->clock_ms ||
        ++peer->clock_age >= TRANSPORT_CLOCK_REPORTS) {
        peer->clock_ms = ahead;
        peer->clock_age = 0;
    }
    peer->reported = true;
    peer->report_length = reader->length;
    memcpy(peer->report, reader->message, reader->length);
}

static void take_message(struct connection *connection)
{
    struct transport *transport = connection->transport;

    transport->stats.messages_received++;
    if (transport->events.message)
        transport->events.message(transport->events.arg, connection->peer->node,
                                  connection->reader.message, connection->reader.length);
}

static void take_event(struct connection *connection, enum wire_event event)
{
    switch (event) {
    case WIRE_EVENT_HELLO:
        take_hello(connection);
        break;
    case WIRE_EVENT_READY:
        take_ready(connection);
        break;
    case WIRE_EVENT_REFUSE:
        take_refusal(connection);
        break;
    case WIRE_EVENT_PING:
        connection->pong_due = true;
        connection->pong_time = connection->reader.time;
        connection_dirty(connection);
        break;
    case WIRE_EVENT_PONG:
        take_pong(connection);
        break;
    case WIRE_EVENT_MESSAGE:
        take_message(connection);
        break;
    case WIRE_EVENT_REPORT:
        take_report(connection);
        break;
    case WIRE_EVENT_BAD:
        connection_refuse(connection, TRANSPORT_PROTOCOL, NULL);
        break;
    case WIRE_EVENT_NOMEM:
        connection_close(connection, TRANSPORT_MEMORY, NULL);
        break;
    case WIRE_EVENT_NONE:
    case WIRE_EVENT_MORE:
        break;
    }
}

void session_read(struct connection *connection)
{
    struct buffer *input = &connection->input;
    enum wire_event event = WIRE_EVENT_NONE;
    size_t at = 0, used;

    while (event != WIRE_EVENT_MORE) {
        event = wire_read(&connection->reader, (const uint8_t *)input->data + at,
                          input->length - at, &used);
        at += used;
        take_event(connection, event);
        if (connection->closing || connection->stage == STAGE_LEAVING)
            return;
    }
    if (!at)
        return;
    input->length -= at;
    memmove(input->data, input->data + at, input->length);
}

/* Made before transport_renew(): the side that dialed it dials another, which takes its place. */
static void replace(struct connection *connection)
{
    struct peer *peer = connection->peer;

    if (connection->outdated++ >= TRANSPORT_OUTDATED_PINGS)
        connection_close(connection, TRANSPORT_CERTIFICATE, "it was made before the CA changed");
    else if (!connection->inbound && !peer->dialing)
        peer_dial(peer);
}

/* Counts turns of the timer, not time: after this process stood still, what came meanwhile is read
 * before it is missed. */
void session_ping(struct connection *connection)
{
    const struct transport_options *options = &connection->transport->options;
    size_t waiting = uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp);
    unsigned most = options->silent_ms / options->ping_ms;

    connection->stalled = waiting && waiting == connection->waiting ? connection->stalled + 1 : 0;
    connection->waiting = waiting;
    if (connection->stalled > most) {
        connection_close(connection, TRANSPORT_STALLED, NULL);
    } else if (connection->silent++ > most) {
        connection_close(connection, TRANSPORT_SILENT, NULL);
    } else {
        connection->peer->backoff_ms = 0; /* it lasts */
        connection->ping_due = true;
        connection_trim(connection);
        connection_dirty(connection);
        if (connection->generation != connection->transport->generation)
            replace(connection);
    }
}
