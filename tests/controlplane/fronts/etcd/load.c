/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for an etcd server, whoever's it is:
 *
 *     etcd_load ADDRESS PORT CLIENTS SECONDS put|get [VALUE-BYTES]
 *
 * Each client has a connection and one request under way, to one of 1000 keys. Prints requests a
 * second and percentiles of the time that they took, in microseconds, as JSON.
 */
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "controlplane/base/buffer.h"
#include "rpc.pb-c.h"

#define CLIENTS_MAX 4096u
#define KEYS 1000u
#define PREFIX 5u
#define TIMES_MAX (1u << 24)

struct load {
    uv_loop_t loop;
    uv_timer_t end;
    bool put, over;
    size_t value_length;
    unsigned clients;
    uint64_t begin;
    uint32_t *times; /* us */
    size_t count;
    unsigned long long failed;
};

struct loader {
    struct load *load;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    bool writing;
    nghttp2_session *session;
    struct buffer request, out;
    size_t at;
    uint64_t sent;
    char bytes[65536];
};

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "etcd_load: %s\n", what);
    exit(1);
}

static void must(bool condition, const char *what)
{
    if (!condition)
        fail(what);
}

static void ask(struct loader *loader);

static nghttp2_ssize read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct loader *loader = arg;
    size_t have = loader->request.length - loader->at;

    have = have < length ? have : length;
    memcpy(to, loader->request.data + loader->at, have);
    loader->at += have;
    if (loader->at == loader->request.length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (nghttp2_ssize)have;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *arg)
{
    struct loader *loader = arg;

    if (name_length == 11 && !memcmp(name, "grpc-status", 11) && (length != 1 || value[0] != '0'))
        loader->load->failed++;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct loader *loader = arg;
    struct load *load = loader->load;

    if (error)
        load->failed++;
    if (load->count < TIMES_MAX)
        load->times[load->count++] = (uint32_t)((uv_hrtime() - loader->sent) / 1000);
    if (!load->over)
        ask(loader);
    return 0;
}

static void make_request(struct loader *loader)
{
    static char value[1 << 20];
    char key[32];
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    const ProtobufCMessage *message = loader->load->put ? &put.base : &range.base;
    size_t length;
    uint8_t *room;

    snprintf(key, sizeof(key), "key-%06ld", random() % KEYS);
    put.key = range.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
    put.value = (ProtobufCBinaryData){loader->load->value_length, (uint8_t *)value};
    length = protobuf_c_message_get_packed_size(message);
    buffer_clear(&loader->request);
    room = buffer_room(&loader->request, PREFIX + length);
    must(room, "out of memory");
    room[0] = room[1] = 0;
    room[2] = (uint8_t)(length >> 16);
    room[3] = (uint8_t)(length >> 8);
    room[4] = (uint8_t)length;
    protobuf_c_message_pack(message, room + PREFIX);
    loader->at = 0;
}

#define FIELD(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0}

static void ask(struct loader *loader)
{
    const char *path = loader->load->put ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range";
    nghttp2_data_provider2 provider = {.read_callback = read_out};
    nghttp2_nv fields[] = {
        FIELD(":method", "POST"), FIELD(":scheme", "http"),
        FIELD(":path", path),     FIELD(":authority", "load"),
        FIELD("te", "trailers"),  FIELD("content-type", "application/grpc"),
    };

    make_request(loader);
    loader->sent = uv_hrtime();
    must(nghttp2_submit_request2(loader->session, NULL, fields, 6, &provider, NULL) > 0,
         "no more streams");
}

static void flush(struct loader *loader);

static void on_written(uv_write_t *write, int status)
{
    struct loader *loader = write->data;

    must(!status, "the connection broke");
    loader->writing = false;
    flush(loader);
}

static void flush(struct loader *loader)
{
    const uint8_t *data;
    nghttp2_ssize length;
    uv_buf_t bytes;

    if (loader->writing)
        return;
    buffer_clear(&loader->out);
    while ((length = nghttp2_session_mem_send2(loader->session, &data)) > 0)
        buffer_add(&loader->out, data, (size_t)length);
    if (!loader->out.length)
        return;
    bytes = uv_buf_init(loader->out.data, (unsigned)loader->out.length);
    loader->write.data = loader;
    loader->writing = true;
    must(!uv_write(&loader->write, (uv_stream_t *)&loader->tcp, &bytes, 1, on_written), "write");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct loader *loader = handle->data;

    *bytes = uv_buf_init(loader->bytes, sizeof(loader->bytes));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes)
{
    struct loader *loader = stream->data;

    must(length >= 0, "the server closed a connection");
    must(nghttp2_session_mem_recv2(loader->session, (const uint8_t *)bytes->base, (size_t)length) ==
             length,
         "the server broke the protocol");
    flush(loader);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct loader *loader = connect->data;

    must(!status, "cannot connect");
    uv_tcp_nodelay(&loader->tcp, 1);
    uv_read_start((uv_stream_t *)&loader->tcp, on_alloc, on_read);
    ask(loader);
    flush(loader);
}

static void loader_start(struct load *load, const struct sockaddr_in *to)
{
    struct loader *loader = calloc(1, sizeof(*loader));
    nghttp2_session_callbacks *callbacks = NULL;

    if (!loader || nghttp2_session_callbacks_new(&callbacks))
        fail("out of memory");
    loader->load = load;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    must(!nghttp2_session_client_new(&loader->session, callbacks, loader), "out of memory");
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(loader->session, NGHTTP2_FLAG_NONE, NULL, 0);
    uv_tcp_init(&load->loop, &loader->tcp);
    loader->tcp.data = loader->connect.data = loader;
    must(!uv_tcp_connect(&loader->connect, &loader->tcp, (const struct sockaddr *)to, on_connected),
         "cannot connect");
}

static int compare_times(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return (a > b) - (a < b);
}

static void on_end(uv_timer_t *end)
{
    struct load *load = end->data;
    double seconds = (double)(uv_hrtime() - load->begin) / 1e9;

    load->over = true;
    must(load->count, "nothing was answered");
    qsort(load->times, load->count, sizeof(*load->times), compare_times);
    printf("{\"rate\": %.0f, \"p50_us\": %u, \"p99_us\": %u, \"failed\": %llu}\n",
           (double)load->count / seconds, load->times[load->count / 2],
           load->times[load->count * 99 / 100], load->failed);
    exit(0);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct sockaddr_in to;

    must(argc >= 6, "usage: etcd_load ADDRESS PORT CLIENTS SECONDS put|get [VALUE-BYTES]");
    load.times = malloc(TIMES_MAX * sizeof(*load.times));
    load.clients = (unsigned)strtoul(argv[3], NULL, 10);
    load.put = !strcmp(argv[5], "put");
    load.value_length = argc > 6 ? strtoul(argv[6], NULL, 10) : 128;
    must(load.times && load.clients && load.clients <= CLIENTS_MAX &&
             load.value_length <= 1 << 20 &&
             !uv_ip4_addr(argv[1], (int)strtol(argv[2], NULL, 10), &to),
         "no such address, or too much asked");
    uv_loop_init(&load.loop);
    uv_timer_init(&load.loop, &load.end);
    load.end.data = &load;
    load.begin = uv_hrtime();
    for (unsigned i = 0; i < load.clients; i++)
        loader_start(&load, &to);
    uv_timer_start(&load.end, on_end, strtoul(argv[4], NULL, 10) * 1000, 0);
    uv_run(&load.loop, UV_RUN_DEFAULT);
    return 0;
}
