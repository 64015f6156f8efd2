/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "controlplane/dns/server_internal.h"

#define CONNECTIONS_DEFAULT 1024u
#define CONNECTIONS_SOURCE_DEFAULT 64u
#define IDLE_MS_DEFAULT 10000u

int dns_server_new(struct dns_server **out, uv_loop_t *loop,
                   const struct dns_server_options *options)
{
    struct dns_server *server = calloc(1, sizeof(*server));

    if (!server)
        return CULVERT_ENOMEM;
    server->loop = loop;
    server->options = *options;
    if (!server->options.connections)
        server->options.connections = CONNECTIONS_DEFAULT;
    if (!server->options.connections_source)
        server->options.connections_source = CONNECTIONS_SOURCE_DEFAULT;
    if (!server->options.idle_ms)
        server->options.idle_ms = IDLE_MS_DEFAULT;
    server->objects = 1; /* itself, until it is closed */
    *out = server;
    return 0;
}

void dns_server_stats(const struct dns_server *server, struct dns_server_stats *stats)
{
    *stats = server->stats;
}

void server_object_freed(struct dns_server *server)
{
    void (*closed)(void *arg) = server->closed;
    void *arg = server->closed_arg;

    if (--server->objects)
        return;
    free(server);
    if (closed)
        closed(arg);
}

void dns_server_close(struct dns_server *server, void (*closed)(void *arg), void *arg)
{
    if (!server)
        return;
    server->closed = closed;
    server->closed_arg = arg;
    while (server->listeners) {
        struct listener *listener = server->listeners;

        server->listeners = listener->next;
        listener_close(listener);
    }
    for (struct connection *connection = server->connections; connection;
         connection = connection->next)
        dns_connection_close(connection);
    server_object_freed(server);
}
