/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on a server that speaks etcd's gRPC API, and its rate and latencies as a line of JSON:
 *
 *     etcd_load put|get|fill|watch CLIENTS SECONDS KEYS HOST:PORT...
 *
 * Every client has a connection of its own, the endpoints in turn, and one request under way.
 *
 * put: values of 256 bytes, the keys in turn; get: linearizable reads of these; fill: each key
 * once, 100 in a transaction, however long it takes (counted are transactions); watch: half of the
 * clients watch what the others put, at a rate of 1,000 a second in all; what is timed is from the
 * answer to a put (or from its sending: "sent") to its event at a watcher. Warming up included are
 * `requests`, all that were answered, and `processor_s`, what this process has taken.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#define STRIDE 7919u /* a prime: keys are taken in turn, but not in their order */
#define VALUE 256u
#define BODY_MAX 65536u
#define FILL_KEYS 100u /* of a transaction */
#define SEND_MAX (BODY_MAX + 4096u)
#define SAMPLES_MAX (1u << 24)
#define WATCH_RATE 1000u
#define WARM_NS 500000000ull

enum mode { MODE_PUT, MODE_GET, MODE_FILL, MODE_WATCH };

struct client {
    int fd;
    unsigned number;
    bool watches;
    nghttp2_session *session;
    uint8_t body[BODY_MAX];
    size_t body_length, body_sent;
    size_t answer_length;
    uint64_t sent;
    uint64_t next; /* a watch's writer: when to put */
    bool busy;
};

/* What the puts of the watch mode said, by their number. */
struct put_time {
    uint64_t sent, answered;
};

static enum mode mode;
static uint32_t *samples, *sent_samples; /* ns */
static size_t count, sent_count, errors, requests;
static struct put_time *put_times;
static size_t put_count;
static unsigned writers, keys, turns;
static uint64_t started, now_ns, until;

static uint64_t clock_ns(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "etcd_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sample(uint32_t *to, size_t *length, uint64_t from)
{
    uint64_t took = now_ns > from ? now_ns - from : 0;

    if ((mode == MODE_FILL || now_ns - started >= WARM_NS) && now_ns <= until &&
        *length < SAMPLES_MAX)
        to[(*length)++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

/* ---- protocol buffers ---- */

static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_bytes(uint8_t *to, unsigned field, const void *bytes, size_t length)
{
    *to++ = (uint8_t)(field << 3 | 2);
    to = put_varint(to, length);
    memcpy(to, bytes, length);
    return to + length;
}

/* Puts gRPC's head before the message that ends at `end`. */
static void set_body(struct client *client, const uint8_t *end)
{
    size_t length = (size_t)(end - client->body) - 5;
    uint32_t big = htonl((uint32_t)length);

    client->body[0] = 0;
    memcpy(client->body + 1, &big, sizeof(big));
    client->body_length = length + 5;
    client->body_sent = 0;
}

/* The number of an event's value in a watcher's message, which is told by the text before it. */
static void see_events(const uint8_t *bytes, size_t length)
{
    static const char mark[] = "culvert-put:";
    const uint8_t *at = bytes, *end = bytes + length;

    while ((at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1))) {
        size_t number = strtoull((const char *)at + sizeof(mark) - 1, NULL, 10);

        if (number < put_count) {
            sample(sent_samples, &sent_count, put_times[number].sent);
            sample(samples, &count,
                   put_times[number].answered ? put_times[number].answered : now_ns);
        }
        at += sizeof(mark) - 1;
    }
}

/* ---- HTTP/2 ---- */

/* All frames that are due in one piece: what a request costs the client is kept out of what is
 * measured, for either server. With one request under way there is room for it. */
static void send_due(struct client *client)
{
    uint8_t bytes[SEND_MAX];
    const uint8_t *frame;
    size_t length = 0;
    nghttp2_ssize more;

    while ((more = nghttp2_session_mem_send2(client->session, &frame)) > 0) {
        if ((size_t)more > sizeof(bytes) - length)
            fail("too much to send");
        memcpy(bytes + length, frame, (size_t)more);
        length += (size_t)more;
    }
    if (more < 0 || (length && send(client->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length))
        fail("send");
}

static nghttp2_ssize read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct client *client = source->ptr;
    size_t left = client->body_length - client->body_sent;

    (void)session;
    (void)stream;
    (void)arg;
    if (length > left)
        length = left;
    memcpy(to, client->body + client->body_sent, length);
    client->body_sent += length;
    if (client->body_sent == client->body_length)
        *flags = NGHTTP2_DATA_FLAG_EOF | (client->watches ? NGHTTP2_DATA_FLAG_NO_END_STREAM : 0);
    return (nghttp2_ssize)length;
}

static void submit(struct client *client, const char *path)
{
#define HEADER(name, value)                                                                        \
    {(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, sizeof(name) - 1, strlen(value), 0}
    const nghttp2_nv headers[] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        HEADER(":path", path),
        HEADER(":authority", "bench"),
        HEADER("content-type", "application/grpc"),
        HEADER("te", "trailers"),
    };
#undef HEADER
    nghttp2_data_provider2 body = {.source.ptr = client, .read_callback = read_body};

    client->busy = true;
    client->sent = clock_ns();
    client->answer_length = 0;
    if (nghttp2_submit_request2(client->session, NULL, headers,
                                sizeof(headers) / sizeof(headers[0]), &body, NULL) < 0)
        fail("request");
}

/* A transaction of the next keys. */
static void send_fill(struct client *client)
{
    uint8_t *at = client->body + 5, put[512], op[520], *end;
    char key[64], value[VALUE];

    memset(value, 'v', VALUE);
    for (unsigned i = 0; i < FILL_KEYS && turns < keys; i++) {
        snprintf(key, sizeof(key), "bench/%08u", turns++);
        end = put_bytes(put, 1, key, strlen(key));
        end = put_bytes(end, 2, value, VALUE);
        end = put_bytes(op, 2, put, (size_t)(end - put)); /* RequestOp.request_put */
        at = put_bytes(at, 2, op, (size_t)(end - op));    /* TxnRequest.success */
    }
    set_body(client, at);
    submit(client, "/etcdserverpb.KV/Txn");
}

static void send_next(struct client *client)
{
    uint8_t *at = client->body + 5;
    char key[64], value[VALUE + 1];
    unsigned number = (unsigned)((uint64_t)++turns * STRIDE % keys);

    snprintf(key, sizeof(key), "bench/%08u", number);
    at = put_bytes(at, 1, key, strlen(key));
    if (mode != MODE_GET) {
        memset(value, 'v', VALUE);
        if (mode == MODE_WATCH)
            value[snprintf(value, 40, "culvert-put:%zu ", put_count)] = 'v';
        at = put_bytes(at, 2, value, VALUE);
    }
    set_body(client, at);
    submit(client, mode == MODE_GET ? "/etcdserverpb.KV/Range" : "/etcdserverpb.KV/Put");
    if (mode == MODE_WATCH && put_count < SAMPLES_MAX)
        put_times[put_count++] = (struct put_time){.sent = client->sent};
}

/* Watches everything below bench/. */
static void send_watch(struct client *client)
{
    uint8_t create[64], *at = create;

    at = put_bytes(at, 1, "bench/", 6);
    at = put_bytes(at, 2, "bench0", 6);
    set_body(client, put_bytes(client->body + 5, 1, create, (size_t)(at - create)));
    submit(client, "/etcdserverpb.Watch/Watch");
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                    size_t length, void *arg)
{
    struct client *client = arg;

    (void)session;
    (void)flags;
    (void)stream;
    if (client->watches)
        see_events(data, length);
    client->answer_length += length;
    return 0;
}

/* A header or trailer: a gRPC status that isn't 0 is an error. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *arg)
{
    (void)session;
    (void)frame;
    (void)flags;
    (void)arg;
    if (name_length == 11 && !memcmp(name, "grpc-status", 11) && (length != 1 || *value != '0'))
        errors++;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
    struct client *client = arg;

    (void)session;
    (void)stream;
    client->busy = false;
    requests++;
    if (code || !client->answer_length)
        errors++;
    if (mode != MODE_WATCH)
        sample(samples, &count, client->sent);
    return 0;
}

static void connect_to(struct client *client, char *endpoint)
{
    char *colon = strrchr(endpoint, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1u << 24};

    if (!colon)
        fail("HOST:PORT");
    *colon = 0;
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, endpoint, &to.sin_addr) != 1)
        fail(endpoint);
    *colon = ':';
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&to, sizeof(to)))
        fail(endpoint);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_client_new(&client->session, callbacks, client))
        fail("session");
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client->session, 0, &window, 1);
    nghttp2_session_set_local_window_size(client->session, 0, 0, 1 << 24);
}

static void receive(struct client *client)
{
    static uint8_t bytes[65536];
    ssize_t length;

    do {
        length = recv(client->fd, bytes, sizeof(bytes), 0);
        now_ns = clock_ns();
        if (length > 0 && nghttp2_session_mem_recv2(client->session, bytes, (size_t)length) < 0)
            fail("HTTP/2");
    } while (length == sizeof(bytes));
    if (length == 0 || (length < 0 && errno != EAGAIN))
        fail("the server closed the connection");
}

static void go_on(struct client *client)
{
    uint64_t pace = mode == MODE_WATCH ? writers * 1000000000ull / WATCH_RATE : 0;

    if (!client->busy && now_ns < until && (!pace || now_ns >= client->next) &&
        (mode != MODE_FILL || turns < keys)) {
        client->next = (client->next ? client->next : now_ns) + pace;
        if (mode == MODE_FILL)
            send_fill(client);
        else
            send_next(client);
    }
    send_due(client);
}

/* An answer to a put whose number is known by its client: the newest that the client has sent. */
static void note_answer(struct client *client, bool was_busy)
{
    if (mode != MODE_WATCH || client->watches || !was_busy || client->busy)
        return;
    for (size_t i = put_count; i-- > 0;)
        if (put_times[i].sent == client->sent) {
            put_times[i].answered = now_ns;
            return;
        }
}

static void run(struct client *clients, unsigned number)
{
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < number; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event))
            fail("epoll");
        if (clients[i].watches)
            send_watch(&clients[i]);
    }
    started = now_ns = clock_ns();
    while (now_ns < until + 200000000 &&
           (mode != MODE_FILL || (count + errors) * FILL_KEYS < keys)) {
        int ready;

        for (unsigned i = 0; i < number; i++)
            if (!clients[i].busy || clients[i].watches)
                go_on(&clients[i]);
        ready = epoll_wait(epoll, events, 256, mode == MODE_WATCH ? 1 : 100);
        now_ns = clock_ns();
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            bool was_busy = client->busy;

            receive(client);
            note_answer(client, was_busy);
            if (client->busy) /* else with its next request */
                send_due(client);
        }
    }
}

static int by_size(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

/* Seconds of processor time that this process has taken. */
static double processor_time(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double percentile(uint32_t *list, size_t length, double part)
{
    if (!length)
        return 0;
    return list[(size_t)((double)(length - 1) * part)] / 1000.0;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"put", "get", "fill", "watch"};
    unsigned number = argc > 5 ? (unsigned)atoi(argv[2]) : 0;
    double seconds = argc > 5 ? atof(argv[3]) : 0, processor;
    struct client *clients;

    while (argc > 1 && mode <= MODE_WATCH && strcmp(argv[1], modes[mode]))
        mode++;
    keys = argc > 5 ? (unsigned)atoi(argv[4]) : 0;
    if (!number || !keys || mode > MODE_WATCH) {
        fprintf(stderr, "usage: etcd_load put|get|fill|watch CLIENTS SECONDS KEYS HOST:PORT...\n");
        return 2;
    }
    clients = calloc(number, sizeof(*clients));
    samples = calloc(SAMPLES_MAX, sizeof(*samples));
    sent_samples = calloc(SAMPLES_MAX, sizeof(*samples));
    put_times = calloc(SAMPLES_MAX, sizeof(*put_times));
    if (!clients || !samples || !sent_samples || !put_times)
        fail("memory");
    for (unsigned i = 0; i < number; i++) {
        clients[i].number = i;
        clients[i].watches = mode == MODE_WATCH && i % 2;
        writers += !clients[i].watches;
        connect_to(&clients[i], argv[5 + i % (unsigned)(argc - 5)]);
    }
    until = clock_ns() + WARM_NS + (uint64_t)(mode == MODE_FILL ? 1e15 : seconds * 1e9);
    run(clients, number);
    processor = processor_time();
    if (mode == MODE_FILL)
        seconds = (double)(now_ns - started) / 1e9;
    qsort(samples, count, sizeof(*samples), by_size);
    qsort(sent_samples, sent_count, sizeof(*samples), by_size);
    printf(
        "{\"mode\": \"%s\", \"clients\": %u, \"count\": %zu, \"errors\": %zu, \"requests\": %zu, "
        "\"processor_s\": %.3f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"max_us\": %.1f",
        modes[mode], number, count, errors, requests, processor, (double)count / seconds,
        percentile(samples, count, 0.5), percentile(samples, count, 0.99),
        percentile(samples, count, 1));
    if (mode == MODE_WATCH)
        printf(", \"sent_p50_us\": %.1f, \"sent_p99_us\": %.1f",
               percentile(sent_samples, sent_count, 0.5),
               percentile(sent_samples, sent_count, 0.99));
    printf("}\n");
    free(clients);
    return errors ? 1 : 0;
}
