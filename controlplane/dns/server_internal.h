/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the DNS server share. */
#ifndef CULVERT_DNS_SERVER_INTERNAL_H
#define CULVERT_DNS_SERVER_INTERNAL_H

#include "controlplane/base/accept_spare.h"
#include "controlplane/dns/message.h"
#include "controlplane/dns/server.h"

#define SERVER_TEXT 64
#define SERVER_ERROR_TEXT 192
#define SERVER_QUERY_MAX 4096u    /* bytes of a query over TCP: names and options are small */
#define SERVER_PENDING_MAX 65536u /* bytes of answers not yet taken, then reading pauses */
#define SERVER_BACKLOG 128

struct listener {
    struct listener *next;
    struct dns_server *server;
    struct dns_listen where;
    uint16_t port; /* the real one */
    char text[SERVER_TEXT];
    char tcp_error[SERVER_ERROR_TEXT], udp_error[SERVER_ERROR_TEXT];
    bool tcp_open, udp_open; /* listening */
    unsigned handles;        /* initialised and not yet closed */
    uv_tcp_t tcp;
    uv_udp_t udp;
    struct accept_spare spare;
};

struct connection {
    struct connection *next, **link;
    struct dns_server *server;
    uv_tcp_t tcp;
    uv_timer_t timer;
    unsigned handles;
    uint8_t source[16];
    bool closing, paused;
    size_t length; /* bytes in `input` */
    uint8_t input[2 + SERVER_QUERY_MAX];
};

struct dns_server {
    uv_loop_t *loop;
    struct dns_server_options options;
    struct dns_server_stats stats;
    struct listener *listeners;
    struct connection *connections;
    size_t objects; /* listeners and connections not yet freed */
    void (*closed)(void *arg);
    void *closed_arg;
    uint8_t answer[2 + MESSAGE_BYTES_MAX + 1];
    uint8_t datagram[MESSAGE_BYTES_MAX + 1];
};

/* server_listen.c */
void listener_close(struct listener *listener); /* frees it when its handles are closed */
/* server_connection.c: takes a connection that waits at a listener. */
void dns_connection_accept(struct listener *listener);
void dns_connection_close(struct connection *connection);
/* server.c: an object is gone; the last one of a closing server takes it along. */
void server_object_freed(struct dns_server *server);

#endif
