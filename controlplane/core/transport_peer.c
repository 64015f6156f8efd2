/* SPDX-License-Identifier: Apache-2.0 */
/* The peers, and when they are dialed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/transport_internal.h"

struct peer *transport_peer_find(struct transport *transport, uint64_t node)
{
    for (struct peer *peer = transport->peers; peer; peer = peer->next)
        if (peer->node == node)
            return peer;
    return NULL;
}

/* ---- dialing ---- */

void peer_dial(struct peer *peer)
{
    struct connection *connection = connection_new(peer->transport);

    if (!connection) {
        peer_note(peer, TRANSPORT_MEMORY, NULL);
        peer_schedule(peer, true);
        return;
    }
    connection->peer = peer;
    peer->dialing = connection;
    if (connection_dial(connection, &peer->endpoint))
        connection_close(connection, TRANSPORT_NETWORK, "can't dial");
}

static void on_dial(uv_timer_t *timer)
{
    peer_dial(timer->data);
}

/* Half to once the back-off, which doubles. */
static uint64_t next_delay(struct peer *peer, bool failed)
{
    const struct transport_options *options = &peer->transport->options;
    uint64_t delay = 0;

    if (failed) {
        unsigned next = peer->backoff_ms ? 2 * peer->backoff_ms : options->backoff_min_ms;

        peer->backoff_ms = next < options->backoff_max_ms ? next : options->backoff_max_ms;
    }
    if (peer->backoff_ms)
        delay = peer->backoff_ms / 2 + transport_random(peer->backoff_ms / 2 + 1);
    if (peer->node < peer->transport->hello.node)
        delay += options->defer_ms;
    return delay;
}

void peer_schedule(struct peer *peer, bool failed)
{
    if (peer->removed || peer->transport->closing || peer->up || peer->dialing)
        return;
    uv_timer_start(&peer->timer, on_dial, next_delay(peer, failed), 0);
}

void peer_note(struct peer *peer, enum transport_reason reason, const char *detail)
{
    if (reason == TRANSPORT_DUPLICATE)
        return;
    peer->last = reason;
    snprintf(peer->detail, sizeof(peer->detail), "%s", detail ? detail : "");
}

/* ---- the set ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    struct transport *transport = peer->transport;

    free(peer);
    transport_object_freed(transport);
}

void peer_close(struct peer *peer)
{
    struct transport *transport = peer->transport;
    enum transport_reason reason = transport->closing ? TRANSPORT_CLOSED : TRANSPORT_REMOVED;
    struct peer **link = &transport->peers;

    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    transport->peer_count--;
    peer->removed = true;
    if (peer->up)
        connection_close(peer->up, reason, NULL);
    if (peer->dialing)
        connection_close(peer->dialing, reason, NULL);
    uv_close((uv_handle_t *)&peer->timer, on_peer_closed);
}

int transport_peer_set(struct transport *transport, uint64_t node, const struct endpoint *endpoint)
{
    struct peer *peer = transport_peer_find(transport, node);

    if (!node || node == transport->hello.node)
        return CULVERT_EINVAL;
    if (!peer) {
        if (transport->peer_count >= TRANSPORT_PEERS_MAX)
            return CULVERT_EFULL;
        peer = calloc(1, sizeof(*peer));
        if (!peer)
            return CULVERT_ENOMEM;
        peer->transport = transport;
        peer->node = node;
        peer->next = transport->peers;
        transport->peers = peer;
        transport->peer_count++;
        transport->objects++;
        uv_timer_init(transport->loop, &peer->timer);
        peer->timer.data = peer;
    } else if (address_equal(&peer->endpoint.address, &endpoint->address) &&
               peer->endpoint.port == endpoint->port) {
        return 0;
    }
    peer->endpoint = *endpoint;
    units_write_endpoint(endpoint, peer->address);
    if (peer->dialing)
        connection_close(peer->dialing, TRANSPORT_DUPLICATE, NULL);
    peer->backoff_ms = 0;
    peer_schedule(peer, false);
    return 0;
}

int transport_peer_remove(struct transport *transport, uint64_t node)
{
    struct peer *peer = transport_peer_find(transport, node);

    if (!peer)
        return CULVERT_ENOTFOUND;
    peer_close(peer);
    return 0;
}

void transport_peers(struct transport *transport,
                     void (*each)(void *arg, const struct transport_peer *peer), void *arg)
{
    for (const struct peer *peer = transport->peers; peer; peer = peer->next) {
        const struct connection *up = peer->up;
        struct transport_peer out = {
            .node = peer->node,
            .address = peer->address,
            .connected = up != NULL,
            .software = peer->software,
            .version = peer->version,
            .rtt_us = peer->rtt_us,
            .report = up && peer->reported ? peer->report : NULL,
            .report_length = peer->report_length,
            .clock_ms = peer->clock_ms,
            .queued = up ? lane_length(&up->urgent) + lane_length(&up->bulk) : 0,
            .last = peer->last,
            .detail = peer->detail,
            .refused = peer->refused,
        };

        each(arg, &out);
    }
}
