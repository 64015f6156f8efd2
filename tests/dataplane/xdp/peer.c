/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small control plane for the tests of culvert-xdp: listens on a Unix socket, keeps one data
 * plane's tables equal to its own, which are changed by lines on standard input, and prints what
 * the data plane says as lines of JSON.
 *
 *   config | interface N NAME MODE [DRIVER] | dpdk N NAME QUEUES DEVICE
 *   backend N ADDRESS | address ADDRESS FLAGS
 *   pool N BACKEND | vip ADDRESS PROTOCOL PORT NUMBER POOL MODE
 *   delete KIND A (a numbered kind) | undress ADDRESS (kind ADDRESS)
 *   commit | stats | explain HEX
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/tables/channel_sync.h"

#define REGION ((size_t)256 << 20)
#define LINE 32768

struct peer {
    struct tables *tables;
    struct channel_sync *sync;
    int listener, connection;
    uint64_t generation;
    bool open;
    char line[LINE];
    size_t length;
};

static void die(const char *what)
{
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what the data plane says ---- */

static void on_hello(void *arg, const struct channel_hello *hello)
{
    (void)arg;
    printf("{\"event\": \"hello\", \"pid\": %u, \"generation\": %llu}\n", hello->pid,
           (unsigned long long)hello->generation);
}

static void on_acked(void *arg, uint64_t generation, int error, const char *text, size_t length)
{
    (void)arg;
    printf("{\"event\": \"acked\", \"generation\": %llu, \"error\": %d, \"text\": \"%.*s\"}\n",
           (unsigned long long)generation, error, (int)length, text ? text : "");
}

static void on_state(void *arg, const char *json, size_t length)
{
    (void)arg;
    printf("{\"event\": \"state\", \"state\": %.*s}\n", (int)length, json);
}

static void on_stats(void *arg, uint32_t cookie, const struct channel_stat *stats, size_t count,
                     bool more)
{
    (void)arg;
    (void)cookie;
    printf("{\"event\": \"stats\", \"more\": %s, \"stats\": [", more ? "true" : "false");
    for (size_t i = 0; i < count; i++)
        printf("%s[%u, %u, %llu, %llu]", i ? ", " : "", stats[i].kind, stats[i].number,
               (unsigned long long)stats[i].packets, (unsigned long long)stats[i].bytes);
    printf("]}\n");
}

static void on_explained(void *arg, uint32_t cookie, const char *json, size_t length)
{
    (void)arg;
    (void)cookie;
    printf("{\"event\": \"explained\", \"answer\": %.*s}\n", (int)length, json);
}

static void close_connection(struct peer *peer, const char *why)
{
    channel_sync_free(peer->sync);
    close(peer->connection);
    peer->sync = NULL;
    peer->connection = -1;
    printf("{\"event\": \"closed\", \"why\": \"%s\"}\n", why);
}

static void accept_connection(struct peer *peer)
{
    const struct channel_sync_hooks hooks = {
        .arg = peer,
        .hello = on_hello,
        .acked = on_acked,
        .state = on_state,
        .stats = on_stats,
        .explained = on_explained,
    };
    int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        die("accept");
    if (peer->sync)
        close_connection(peer, "another came");
    peer->connection = fd;
    if (channel_sync_new(&peer->sync, peer->tables, &hooks))
        die("channel_sync_new");
    printf("{\"event\": \"connected\"}\n");
}

static void receive(struct peer *peer)
{
    void *to;
    size_t room;
    ssize_t got;
    int error;

    channel_sync_room(peer->sync, &to, &room);
    got = recv(peer->connection, to, room, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        close_connection(peer, "end of stream");
        return;
    }
    error = channel_sync_add(peer->sync, (size_t)got);
    if (error)
        close_connection(peer, culvert_strerror(error));
}

/* True: more waits than the socket takes. */
static bool flush(struct peer *peer)
{
    for (;;) {
        const void *data;
        size_t length = 0;
        ssize_t sent;

        if (channel_sync_output(peer->sync, &data, &length))
            die("channel_sync_output");
        if (!length)
            return false;
        sent = send(peer->connection, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0) {
            close_connection(peer, strerror(errno));
            return false;
        }
        channel_sync_sent(peer->sync, (size_t)sent);
    }
}

/* ---- what the test says ---- */

static void parse_address(const char *text, uint64_t *a, uint64_t *b)
{
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, text, bytes + 12) != 1 && inet_pton(AF_INET6, text, bytes) != 1)
        die(text);
    memcpy(a, bytes, 8);
    memcpy(b, bytes + 8, 8);
}

static void put(struct peer *peer, struct fp_key key, const void *body, size_t length)
{
    if (!peer->open && tables_begin(peer->tables))
        die("tables_begin");
    peer->open = true;
    if (tables_put(peer->tables, &key, body, length))
        die("tables_put");
}

static void put_interface(struct peer *peer, const char *line)
{
    struct fp_interface body = {0};
    unsigned number, mode, driver = 0;

    if (sscanf(line, "interface %u %15s %u %u", &number, body.name, &mode, &driver) < 3)
        die(line);
    body.mode = (uint8_t)mode;
    body.driver = (uint8_t)driver;
    put(peer, (struct fp_key){.a = number, .kind = FP_KIND_INTERFACE}, &body, sizeof(body));
}

static void put_dpdk(struct peer *peer, const char *line)
{
    struct fp_interface body = {.driver = FP_DRIVER_DPDK};
    unsigned number, queues;

    if (sscanf(line, "dpdk %u %15s %u %103s", &number, body.name, &queues, body.device) != 4)
        die(line);
    body.queues = (uint8_t)queues;
    put(peer, (struct fp_key){.a = number, .kind = FP_KIND_INTERFACE}, &body, sizeof(body));
}

static void put_backend(struct peer *peer, const char *line)
{
    struct fp_backend body = {0};
    char text[64];
    uint64_t ab[2];
    unsigned number;

    if (sscanf(line, "backend %u %63s", &number, text) != 2)
        die(line);
    parse_address(text, &ab[0], &ab[1]);
    memcpy(body.address, ab, sizeof(body.address));
    put(peer, (struct fp_key){.a = number, .kind = FP_KIND_BACKEND}, &body, sizeof(body));
}

static void put_address(struct peer *peer, const char *line)
{
    struct fp_address body = {0};
    struct fp_key key = {.kind = FP_KIND_ADDRESS};
    char text[64];

    if (sscanf(line, "address %63s %u", text, &body.flags) != 2)
        die(line);
    parse_address(text, (uint64_t *)&key.a, (uint64_t *)&key.b);
    put(peer, key, &body, sizeof(body));
}

static void put_pool(struct peer *peer, const char *line)
{
    uint32_t body[2 + 64] = {6}; /* struct fp_pool: log2, flags, buckets */
    unsigned number, backend;

    if (sscanf(line, "pool %u %u", &number, &backend) != 2)
        die(line);
    for (int i = 0; i < 64; i++)
        body[2 + i] = backend;
    put(peer, (struct fp_key){.a = number, .kind = FP_KIND_POOL}, body, sizeof(body));
}

static void put_vip(struct peer *peer, const char *line)
{
    struct fp_vip body = {0};
    struct fp_key key = {.kind = FP_KIND_VIP};
    unsigned protocol, port, mode;
    char text[64];

    if (sscanf(line, "vip %63s %u %u %u %u %u", text, &protocol, &port, &body.id, &body.pool,
               &mode) != 6)
        die(line);
    body.mode = (uint8_t)mode;
    key.c = protocol << 16 | port;
    parse_address(text, (uint64_t *)&key.a, (uint64_t *)&key.b);
    put(peer, key, &body, sizeof(body));
}

static void delete_entry(struct peer *peer, const char *line)
{
    struct fp_key key = {0};
    unsigned kind, number;
    char text[64];

    if (sscanf(line, "delete %u %u", &kind, &number) == 2) {
        key.kind = kind;
        key.a = number;
    } else if (sscanf(line, "undress %63s", text) == 1) {
        key.kind = FP_KIND_ADDRESS;
        parse_address(text, (uint64_t *)&key.a, (uint64_t *)&key.b);
    } else {
        die(line);
    }
    if (!peer->open && tables_begin(peer->tables))
        die("tables_begin");
    peer->open = true;
    if (tables_delete(peer->tables, &key))
        die("tables_delete");
}

static void commit(struct peer *peer)
{
    if (!peer->open && tables_begin(peer->tables))
        die("tables_begin");
    peer->open = false;
    if (tables_commit(peer->tables, ++peer->generation))
        die("tables_commit");
    if (peer->sync && channel_sync_update(peer->sync))
        close_connection(peer, "update failed");
}

static void ask_explain(struct peer *peer, const char *line)
{
    static uint8_t frame[LINE];
    size_t length = 0;
    const char *at = line + strlen("explain ");
    unsigned byte;

    while (sscanf(at, "%2x", &byte) == 1 && length < sizeof(frame)) {
        frame[length++] = (uint8_t)byte;
        at += 2;
    }
    if (peer->sync && channel_sync_ask_explain(peer->sync, 7, 0, frame, length))
        die("explain");
}

static void take_line(struct peer *peer, const char *line)
{
    static const struct {
        const char *word;
        void (*take)(struct peer *peer, const char *line);
    } commands[] = {
        {"interface ", put_interface}, {"dpdk ", put_dpdk},        {"backend ", put_backend},
        {"address ", put_address},     {"pool ", put_pool},        {"vip ", put_vip},
        {"delete ", delete_entry},     {"undress ", delete_entry}, {"explain ", ask_explain},
    };

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strncmp(line, commands[i].word, strlen(commands[i].word)) == 0) {
            commands[i].take(peer, line);
            return;
        }
    }
    if (strcmp(line, "config") == 0) {
        struct fp_config body = {.flow_seed = 1, .dns_udp_max = 1232, .dns_max_labels = 8};

        put(peer, (struct fp_key){.kind = FP_KIND_CONFIG}, &body, sizeof(body));
    } else if (strcmp(line, "commit") == 0) {
        commit(peer);
    } else if (strcmp(line, "stats") == 0) {
        if (peer->sync && channel_sync_ask_stats(peer->sync, 7))
            die("stats");
    } else {
        errno = EINVAL;
        die(line);
    }
}

static void read_lines(struct peer *peer)
{
    ssize_t got;
    char *end;

    if (peer->length >= sizeof(peer->line))
        die("line too long");
    got = read(0, peer->line + peer->length, sizeof(peer->line) - peer->length);
    if (got <= 0)
        exit(0);
    peer->length += (size_t)got;
    while ((end = memchr(peer->line, '\n', peer->length)) != NULL) {
        size_t used = (size_t)(end + 1 - peer->line);

        *end = '\0';
        take_line(peer, peer->line);
        peer->length -= used;
        memmove(peer->line, end + 1, peer->length);
    }
}

/* ---- the loop ---- */

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(strlen(path) < sizeof(at.sun_path));
    strcpy(at.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4))
        die(path);
    return fd;
}

int main(int argc, char **argv)
{
    static struct peer peer = {.connection = -1};
    struct tables_options options = {.size = REGION};

    if (argc != 2) {
        fprintf(stderr, "usage: xdp-peer SOCKET\n");
        return 2;
    }
    options.base = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (options.base == MAP_FAILED || tables_open(&peer.tables, &options))
        die("tables_open");
    peer.listener = listen_at(argv[1]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"event\": \"ready\"}\n");
    for (;;) {
        bool waiting = peer.sync && flush(&peer);
        struct pollfd at[3] = {
            {.fd = 0, .events = POLLIN},
            {.fd = peer.listener, .events = POLLIN},
            {.fd = peer.connection, .events = (short)(POLLIN | (waiting ? POLLOUT : 0))},
        };

        if (poll(at, 3, -1) < 0 && errno != EINTR)
            die("poll");
        if (at[1].revents)
            accept_connection(&peer);
        else if (peer.sync && at[2].revents & ~POLLOUT)
            receive(&peer);
        if (at[0].revents)
            read_lines(&peer);
    }
}
