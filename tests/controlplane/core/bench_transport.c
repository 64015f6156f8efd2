/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over one connection on the loopback address, two threads, a loop each:
 *
 *     bench_transport [SECONDS]
 *
 * prints, for 200 bytes and 1 MiB, how many arrive a second, then how long a 200-byte message and
 * its answer take when nothing else is under way.
 */
#include "tests/controlplane/core/transport_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/log.h"

#define NS 1000000000ull
#define LENGTH_MAX ((size_t)1 << 20)

struct bench {
    uv_loop_t loop;
    struct transport *transport;
    uint64_t other; /* node id */
    size_t length;  /* of a message */
    uint64_t end;   /* hrtime */
    uint64_t messages, bytes, sent_at, rtt_sum, rtts;
    bool echo, answering;
};

static char payload[LENGTH_MAX];

static int send_one(struct bench *bench)
{
    struct env_net *net = transport_net(bench->transport);
    struct iovec part = {.iov_base = payload, .iov_len = bench->length};

    return net->send(net, bench->other, &part, 1);
}

static void finish(struct bench *bench)
{
    uv_stop(&bench->loop);
}

static void fill(struct bench *bench)
{
    if (uv_hrtime() > bench->end)
        finish(bench);
    else
        while (!send_one(bench))
            ;
}

static void ask(struct bench *bench)
{
    bench->sent_at = uv_hrtime();
    if (bench->sent_at > bench->end)
        finish(bench);
    else
        send_one(bench);
}

static void on_message(void *arg, uint64_t from, const uint8_t *bytes, size_t length)
{
    struct bench *bench = arg;

    (void)from;
    (void)bytes;
    bench->messages++;
    bench->bytes += length;
    if (bench->answering) {
        send_one(bench);
    } else if (bench->echo) {
        bench->rtt_sum += uv_hrtime() - bench->sent_at;
        bench->rtts++;
        ask(bench);
    }
}

static void on_connected(void *arg, uint64_t node, bool up)
{
    struct bench *bench = arg;

    (void)node;
    if (!up)
        finish(bench);
    else if (bench->echo)
        ask(bench);
    else if (bench->end)
        fill(bench);
}

static void on_writable(void *arg, uint64_t node)
{
    (void)node;
    fill(arg);
}

static void start(struct bench *bench, struct identity *identity)
{
    const struct transport_options options = {.identity = identity, .software = "bench"};
    const struct env_events events = {
        .arg = bench, .message = on_message, .connected = on_connected, .writable = on_writable};
    struct env_net *net;
    struct endpoint at;

    units_parse_endpoint("127.0.0.1:1", &at);
    at.port = 0;
    if (uv_loop_init(&bench->loop) || transport_new(&bench->transport, &bench->loop, &options) ||
        transport_listen(bench->transport, &at))
        abort();
    net = transport_net(bench->transport);
    net->events(net, &events);
}

static void stop(struct bench *bench)
{
    transport_close(bench->transport, NULL, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    uv_loop_close(&bench->loop);
}

static void run_receiver(void *arg)
{
    struct bench *receiver = arg;

    uv_run(&receiver->loop, UV_RUN_DEFAULT);
    stop(receiver);
}

/* One connection for some seconds. */
static void run(const struct identity *site, size_t length, bool echo, unsigned seconds)
{
    struct identity *identity[2] = {rig_identity(site, 1), rig_identity(site, 2)};
    struct bench sender = {.other = 2, .length = length, .echo = echo};
    struct bench receiver = {.other = 1, .length = length, .answering = echo};
    struct endpoint at;
    struct transport_stats stats;
    uv_thread_t thread;
    double time;

    units_parse_endpoint("127.0.0.1:1", &at);
    start(&sender, identity[0]);
    start(&receiver, identity[1]);
    at.port = transport_port(receiver.transport);
    transport_peer_set(sender.transport, 2, &at);
    at.port = transport_port(sender.transport);
    transport_peer_set(receiver.transport, 1, &at);
    sender.end = uv_hrtime() + seconds * NS;
    uv_thread_create(&thread, run_receiver, &receiver);
    uv_run(&sender.loop, UV_RUN_DEFAULT);
    transport_stats(sender.transport, &stats);
    stop(&sender);
    uv_thread_join(&thread);
    time = seconds;
    if (echo)
        printf("%zu bytes there and back: %.1f us\n", length,
               (double)sender.rtt_sum / 1000.0 / (double)(sender.rtts ? sender.rtts : 1));
    else
        printf("%zu bytes: %.0f messages/s, %.0f MB/s, %.0f messages a write\n", length,
               (double)receiver.messages / time, (double)receiver.bytes / 1e6 / time,
               (double)stats.messages_sent / (double)stats.writes);
    identity_free(identity[0]);
    identity_free(identity[1]);
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    struct identity *site;

    log_set_level(LOG_LEVEL_ERROR);
    if (!seconds || identity_found(&site, 1, rig_now()))
        return 1;
    run(site, 200, false, seconds);
    run(site, LENGTH_MAX, false, seconds);
    run(site, 200, true, seconds);
    identity_free(site);
    return 0;
}
