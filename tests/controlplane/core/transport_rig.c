/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/core/transport_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

int64_t rig_now(void)
{
    return time(NULL);
}

struct identity *rig_identity(const struct identity *site, uint64_t node)
{
    struct join_result *result = calloc(1, sizeof(*result));
    struct buffer reply = {0};
    struct identity *identity;
    EVP_PKEY *key;

    assert_non_null(result);
    assert_int_equal(certificate_key_make(&key), 0);
    assert_int_equal(join_reply_grant(site, node, key, rig_now(), NULL, 0, &reply), 0);
    assert_int_equal(
        join_reply_read((uint8_t *)reply.data, reply.length, key, site->name.site, result), 0);
    identity = result->identity;
    EVP_PKEY_free(key);
    buffer_free(&reply);
    free(result);
    return identity;
}

void rig_open(struct rig *rig, unsigned nodes)
{
    log_start("test", LOG_LEVEL_WARN);
    *rig = (struct rig){0};
    assert_int_equal(identity_found(&rig->site, 1, rig_now()), 0);
    for (unsigned id = 1; id <= nodes; id++) {
        struct rig_node *node = &rig->node[id];

        assert_int_equal(uv_loop_init(&node->loop), 0);
        node->identity = rig_identity(rig->site, id);
        assert_int_equal(units_parse_endpoint("127.0.0.1:1", &node->endpoint), 0);
        node->endpoint.port = 0;
        node->options = (struct transport_options){.software = "test",
                                                   .ping_ms = 20,
                                                   .silent_ms = 10000,
                                                   .backoff_min_ms = 5,
                                                   .backoff_max_ms = 50,
                                                   .defer_ms = 300};
    }
}

void rig_close(struct rig *rig)
{
    for (unsigned id = 1; id < RIG_NODES; id++) {
        struct rig_node *node = &rig->node[id];

        if (!node->identity)
            continue;
        rig_stop(rig, id);
        identity_free(node->identity);
        uv_run(&node->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&node->loop), 0);
    }
    identity_free(rig->site);
}

static void on_message(void *arg, uint64_t from, const uint8_t *bytes, size_t length)
{
    struct rig_node *node = arg;

    node->messages++;
    node->bytes += length;
    if (node->on_message)
        node->on_message(node, from, bytes, length);
}

static void on_connected(void *arg, uint64_t from, bool up)
{
    struct rig_node *node = arg;

    assert_int_equal(node->connected >> from & 1, !up);
    node->connected ^= (uint64_t)1 << from;
    node->ups += up;
    node->downs += !up;
}

static void on_writable(void *arg, uint64_t to)
{
    (void)to;
    ((struct rig_node *)arg)->writable++;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void rig_start_alone(struct rig *rig, unsigned id)
{
    struct rig_node *node = &rig->node[id];
    struct env_net *net;
    const struct env_events events = {
        .arg = node, .message = on_message, .connected = on_connected, .writable = on_writable};

    node->options.identity = node->identity;
    node->connected = 0;
    node->ups = node->downs = 0;
    assert_int_equal(transport_new(&node->transport, &node->loop, &node->options), 0);
    net = transport_net(node->transport);
    net->events(net, &events);
    assert_int_equal(transport_listen(node->transport, &node->endpoint), 0);
    node->endpoint.port = transport_port(node->transport);
}

void rig_introduce(struct rig *rig, unsigned a, unsigned b)
{
    assert_int_equal(transport_peer_set(rig->node[a].transport, b, &rig->node[b].endpoint), 0);
    assert_int_equal(transport_peer_set(rig->node[b].transport, a, &rig->node[a].endpoint), 0);
}

void rig_start(struct rig *rig, unsigned id)
{
    rig_start_alone(rig, id);
    for (unsigned other = 1; other < RIG_NODES; other++)
        if (other != id && rig->node[other].transport)
            rig_introduce(rig, id, other);
}

void rig_stop(struct rig *rig, unsigned id)
{
    struct rig_node *node = &rig->node[id];

    if (!node->transport)
        return;
    node->closed = false;
    transport_close(node->transport, on_closed, &node->closed);
    node->transport = NULL;
    while (!node->closed)
        uv_run(&node->loop, UV_RUN_ONCE);
}

void rig_step(struct rig *rig, int fd, short events)
{
    struct pollfd list[RIG_NODES + 1];
    nfds_t count = 0;
    int timeout = 100;

    for (unsigned id = 1; id < RIG_NODES; id++) {
        struct rig_node *node = &rig->node[id];
        int wait;

        if (!node->transport || node->frozen)
            continue;
        uv_run(&node->loop, UV_RUN_NOWAIT);
        wait = uv_backend_timeout(&node->loop);
        if (wait >= 0 && wait < timeout)
            timeout = wait;
        list[count++] = (struct pollfd){.fd = uv_backend_fd(&node->loop), .events = POLLIN};
    }
    if (fd >= 0)
        list[count++] = (struct pollfd){.fd = fd, .events = events};
    poll(list, count, timeout);
}

bool rig_connected(const struct rig *rig, unsigned a, unsigned b)
{
    return rig->node[a].connected >> b & 1 && rig->node[b].connected >> a & 1;
}

bool rig_settled(const struct rig *rig, unsigned nodes)
{
    for (unsigned a = 1; a <= nodes; a++) {
        if (rig_stats(rig, a).connections != nodes - 1)
            return false;
        for (unsigned b = a + 1; b <= nodes; b++)
            if (!rig_connected(rig, a, b))
                return false;
    }
    return true;
}

void rig_meet(struct rig *rig, unsigned nodes)
{
    for (unsigned id = 1; id <= nodes; id++)
        rig_start(rig, id);
    rig_until(rig, rig_settled(rig, nodes));
    for (unsigned id = 1; id <= nodes; id++) {
        rig->node[id].ups = nodes - 1;
        rig->node[id].downs = 0;
    }
}

int rig_send(struct rig *rig, unsigned from, unsigned to, const void *data, size_t length)
{
    struct env_net *net = transport_net(rig->node[from].transport);
    struct iovec parts[2] = {
        {.iov_base = (void *)data, .iov_len = length / 2},
        {.iov_base = (char *)data + length / 2, .iov_len = length - length / 2}};

    return net->send(net, to, parts, 2);
}

struct transport_stats rig_stats(const struct rig *rig, unsigned id)
{
    struct transport_stats stats;

    transport_stats(rig->node[id].transport, &stats);
    return stats;
}

uint64_t rig_ended(const struct rig *rig, unsigned id, enum transport_reason reason)
{
    return rig_stats(rig, id).ended[reason];
}

int rig_dial(struct rig *rig, unsigned id)
{
    struct sockaddr_storage to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    endpoint_to_socket(&rig->node[id].endpoint, &to);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
        assert_int_equal(errno, EINPROGRESS);
    return fd;
}

void rig_tls_open(struct rig *rig, struct rig_tls *tls, unsigned id,
                  const struct identity *identity, const char *alpn)
{
    unsigned char list[32];
    int status;

    tls->fd = rig_dial(rig, id);
    if (identity)
        assert_int_equal(identity_context(identity, &tls->context), 0);
    else
        tls->context = SSL_CTX_new(TLS_client_method());
    assert_non_null(tls->context);
    tls->ssl = SSL_new(tls->context);
    assert_non_null(tls->ssl);
    list[0] = (unsigned char)strlen(alpn);
    memcpy(list + 1, alpn, list[0]);
    SSL_set_alpn_protos(tls->ssl, list, list[0] + 1u);
    SSL_set_connect_state(tls->ssl);
    SSL_set_fd(tls->ssl, tls->fd);
    while ((status = SSL_do_handshake(tls->ssl)) != 1) {
        int error = SSL_get_error(tls->ssl, status);

        assert_true(error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE);
        rig_step(rig, tls->fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    }
}

void rig_tls_send(struct rig *rig, struct rig_tls *tls, const void *data, size_t length)
{
    size_t sent;

    while (SSL_write_ex(tls->ssl, data, length, &sent) != 1)
        rig_step(rig, tls->fd, POLLOUT);
}

void rig_tls_close(struct rig_tls *tls)
{
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    close(tls->fd);
}
