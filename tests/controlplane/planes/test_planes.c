/* SPDX-License-Identifier: Apache-2.0 */
/* The server side of the channel on a real socket, with data planes played by the other side's own
 * state machine, stepped along with the loop. length: the rig and its stories belong together. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/base/local_socket.h"
#include "controlplane/planes/planes.h"
#include "dataplane/fastpath/reasons.h"
#include "dataplane/tables/channel_apply.h"

#define REGION ((size_t)64 << 20)

struct rig {
    uv_loop_t loop;
    char folder[32], path[64];
    void *region;
    struct tables *tables;
    struct planes *planes;
    uint64_t generation;
    bool closed;
    /* what was heard */
    unsigned plane_count, connected_count;
    struct plane_info info;
    char name[32], error[256];
    unsigned stats_done, explain_done;
    int explain_error;
    char explain_json[64];
};

/* A data plane. */
struct peer {
    int fd;
    void *region;
    struct tables *tables;
    struct channel_apply *apply;
    bool gone;
    unsigned stats_asked, explain_asked;
    bool mute; /* doesn't answer questions */
};

static struct tables *open_tables(void **region, size_t size, unsigned cpus)
{
    struct tables_options options = {.size = size, .cpus = cpus, .meters_log2 = 4, .flows_log2 = 4};
    struct tables *tables;

    *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    assert_ptr_not_equal(*region, MAP_FAILED);
    options.base = *region;
    assert_int_equal(tables_open(&tables, &options), 0);
    return tables;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct planes_options options;
    char problem[256];

    strcpy(rig->folder, "/tmp/planes-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof(rig->path), "%s/s", rig->folder);
    uv_loop_init(&rig->loop);
    rig->tables = open_tables(&rig->region, REGION, 0);
    options.tables = rig->tables;
    assert_int_equal(local_socket_listen(rig->path, &options.fd, problem, sizeof(problem)), 0);
    assert_int_equal(planes_new(&rig->planes, &rig->loop, &options), 0);
    *state = rig;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct rig *)arg)->closed = true;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    planes_close(rig->planes, on_closed, rig);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_true(rig->closed);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    tables_close(rig->tables);
    munmap(rig->region, REGION);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

/* ---- the peer ---- */

static int dial(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, rig->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void on_stats(void *arg, uint32_t cookie)
{
    struct peer *peer = arg;
    struct {
        uint32_t cookie, more;
        struct channel_stat stat[2];
    } reply = {
        cookie, 0, {{CHANNEL_STAT_REASON, FP_LB_IPIP, 7, 700}, {CHANNEL_STAT_VIP, 3, 5, 500}}};

    peer->stats_asked++;
    if (!peer->mute)
        channel_apply_send(peer->apply, CHANNEL_STATS_REPLY, &reply, sizeof(reply), NULL, 0);
}

static void on_explain(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame,
                       size_t length)
{
    struct peer *peer = arg;
    uint32_t head[2] = {cookie, 0};
    char json[64];

    (void)frame;
    peer->explain_asked++;
    snprintf(json, sizeof(json), "{\"ifindex\":%u,\"bytes\":%zu}", ifindex, length);
    if (!peer->mute)
        channel_apply_send(peer->apply, CHANNEL_EXPLAIN_REPLY, head, sizeof(head), json,
                           strlen(json));
}

static void peer_open(struct rig *rig, struct peer *peer, const char *name, size_t region)
{
    struct channel_apply_hooks hooks = {.arg = peer, .stats = on_stats, .explain = on_explain};

    memset(peer, 0, sizeof(*peer));
    peer->tables = open_tables(&peer->region, region, 1);
    assert_int_equal(channel_apply_new(&peer->apply, peer->tables, name, &hooks), 0);
    peer->fd = dial(rig);
    assert_int_equal(channel_apply_start(peer->apply), 0);
}

static void peer_close(struct peer *peer, size_t region)
{
    close(peer->fd);
    channel_apply_free(peer->apply);
    tables_close(peer->tables);
    munmap(peer->region, region);
}

/* Writes and reads what can be without waiting; true when something was. */
static bool peer_step(struct peer *peer)
{
    const void *data;
    void *to;
    size_t length, room;
    ssize_t count;
    bool some = false;

    if (peer->gone)
        return false;
    assert_int_equal(channel_apply_output(peer->apply, &data, &length), 0);
    if (length) {
        count = send(peer->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            channel_apply_sent(peer->apply, (size_t)count);
            some = true;
        }
    }
    channel_apply_room(peer->apply, &to, &room);
    count = recv(peer->fd, to, room, MSG_DONTWAIT);
    if (count > 0) {
        assert_int_equal(channel_apply_add(peer->apply, (size_t)count), 0);
        some = true;
    } else if (count == 0 || errno != EAGAIN) {
        peer->gone = true;
    }
    return some;
}

/* ---- both together ---- */

static void on_plane(void *arg, const struct plane_info *info)
{
    struct rig *rig = arg;

    rig->plane_count++;
    rig->connected_count += info->connected;
    rig->info = *info;
    snprintf(rig->name, sizeof(rig->name), "%s", info->name);
    snprintf(rig->error, sizeof(rig->error), "%s", info->error ? info->error : "");
}

static void look(struct rig *rig)
{
    rig->plane_count = rig->connected_count = 0;
    memset(&rig->info, 0, sizeof(rig->info));
    planes_each(rig->planes, on_plane, rig);
}

/* Waits until the loop or the peer has something to read, at most 2 ms: timers may be due. */
static void wait_readable(struct rig *rig, struct peer *peer)
{
    struct pollfd wait[2] = {{.fd = uv_backend_fd(&rig->loop), .events = POLLIN},
                             {.fd = peer && !peer->gone ? peer->fd : -1, .events = POLLIN}};

    poll(wait, 2, 2);
}

/* Steps the loop and the peer until `done` says so. */
static void step_until(struct rig *rig, struct peer *peer,
                       bool (*done)(struct rig *, struct peer *))
{
    while (look(rig), !done(rig, peer)) {
        bool some = peer && peer_step(peer);

        uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (!some)
            wait_readable(rig, peer);
    }
}

static bool in_sync(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->info.connected && rig->info.in_sync && rig->info.generation == rig->generation;
}

static bool is_connected(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->info.connected;
}

static bool peer_gone(struct rig *rig, struct peer *peer)
{
    return peer->gone && !rig->info.connected;
}

static bool one_is_gone(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->plane_count == 2 && rig->connected_count == 1;
}

static bool has_error(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->info.error;
}

static bool stats_done(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->stats_done;
}

static bool explain_done(struct rig *rig, struct peer *peer)
{
    (void)peer;
    return rig->explain_done;
}

static struct fp_key access_key(unsigned number)
{
    return (struct fp_key){.a = number, .c = 128, .kind = FP_KIND_ACCESS};
}

static void commit(struct rig *rig, unsigned first, unsigned count)
{
    struct fp_access deny = {.action = FP_ACCESS_DENY};

    assert_int_equal(tables_begin(rig->tables), 0);
    for (unsigned i = first; i < first + count; i++) {
        struct fp_key key = access_key(i);

        assert_int_equal(tables_put(rig->tables, &key, &deny, sizeof(deny)), 0);
    }
    rig->generation++;
    assert_int_equal(tables_commit(rig->tables, rig->generation), 0);
    planes_update(rig->planes);
}

static void expect_entries(struct peer *peer, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        struct fp_key key = access_key(i);
        size_t length;

        assert_non_null(tables_get(peer->tables, &key, &length));
    }
}

/* ---- tests ---- */

static void test_filled_then_followed(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    commit(rig, 1, 5000);
    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    expect_entries(&peer, 1, 5000);
    assert_string_equal(rig->name, "xdp");
    commit(rig, 5001, 1);
    step_until(rig, &peer, in_sync);
    expect_entries(&peer, 5001, 1);
    peer_close(&peer, REGION);
}

static void test_gone_is_remembered_until_it_comes_back(void **state)
{
    struct rig *rig = *state;
    struct peer peer, again;

    commit(rig, 1, 1);
    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    shutdown(peer.fd, SHUT_RDWR);
    step_until(rig, &peer, peer_gone);
    assert_int_equal(rig->plane_count, 1);
    assert_string_equal(rig->name, "xdp");
    peer_close(&peer, REGION);

    peer_open(rig, &again, "xdp", REGION);
    step_until(rig, &again, in_sync);
    assert_int_equal(rig->plane_count, 1);
    peer_close(&again, REGION);
}

static void test_hostile_bytes_cost_only_that_connection(void **state)
{
    struct rig *rig = *state;
    struct peer peer, hostile;

    commit(rig, 1, 10);
    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    memset(&hostile, 0, sizeof(hostile));
    hostile.fd = dial(rig);
    assert_int_equal(send(hostile.fd, "GET / HTTP/1.1\r\n\r\n\xff\xff\xff\xff", 22, MSG_NOSIGNAL),
                     22);
    for (char c; recv(hostile.fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;)
        uv_run(&rig->loop, UV_RUN_ONCE);
    close(hostile.fd);
    commit(rig, 11, 1);
    step_until(rig, &peer, in_sync);
    expect_entries(&peer, 11, 1);
    peer_close(&peer, REGION);
}

static void test_stuck_data_plane_holds_up_no_other(void **state)
{
    struct rig *rig = *state;
    struct peer stuck, peer;

    commit(rig, 1, 1);
    peer_open(rig, &stuck, "stuck", REGION);
    step_until(rig, &stuck, in_sync);
    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync); /* the newest is listed first, so last seen is `stuck` ... */
    for (unsigned i = 0; i < 50; i++)
        commit(rig, 2 + i * 1000, 1000); /* ... which reads no byte of this */
    while (tables_site_generation(peer.tables) != rig->generation) {
        peer_step(&peer);
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
    expect_entries(&peer, 2, 50000);
    assert_true(tables_site_generation(stuck.tables) < rig->generation);
    step_until(rig, &stuck, in_sync); /* once it reads, it catches up */
    expect_entries(&stuck, 2, 50000);
    peer_close(&stuck, REGION);
    peer_close(&peer, REGION);
}

static void test_refused_transaction_is_an_error_and_tried_again(void **state)
{
    struct rig *rig = *state;
    struct peer peer;
    size_t small = (size_t)12 << 20;

    peer_open(rig, &peer, "small", small);
    step_until(rig, &peer, in_sync);
    for (unsigned i = 0; i < 20; i++)
        commit(rig, 1 + i * 10000, 10000); /* more than its region holds */
    step_until(rig, &peer, has_error);
    assert_true(rig->info.connected);
    assert_true(strlen(rig->error) > 0);
    assert_true(planes_settled(rig->planes)); /* nobody waits for it */
    step_until(rig, &peer, peer_gone);        /* closed, to be compared afresh */
    peer_close(&peer, small);
    peer_open(rig, &peer, "small", REGION);
    step_until(rig, &peer, is_connected);
    assert_true(strlen(rig->error) > 0); /* until it has taken the tables */
    step_until(rig, &peer, in_sync);
    assert_string_equal(rig->error, "");
    peer_close(&peer, REGION);
}

static void on_stats_done(void *arg, uint64_t time_ns)
{
    struct rig *rig = arg;

    assert_true(time_ns > 0);
    rig->stats_done++;
}

static void test_counters(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    assert_int_equal(planes_ask_stats(rig->planes, on_stats_done, rig), 0);
    step_until(rig, &peer, stats_done);
    assert_int_equal(planes_counter(rig->planes, CHANNEL_STAT_REASON, FP_LB_IPIP).packets, 7);
    assert_int_equal(planes_counter(rig->planes, CHANNEL_STAT_VIP, 3).bytes, 500);
    assert_int_equal(planes_counter(rig->planes, CHANNEL_STAT_VIP, 4).bytes, 0);
    assert_int_equal(planes_counter(rig->planes, CHANNEL_STAT_VIP, 1u << 30).bytes, 0);
    /* At once again: from memory. */
    assert_int_equal(planes_ask_stats(rig->planes, on_stats_done, rig), 0);
    assert_int_equal(rig->stats_done, 2);
    assert_int_equal(peer.stats_asked, 1);
    peer_close(&peer, REGION);
}

static void test_counters_of_a_mute_data_plane(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    peer_open(rig, &peer, "xdp", REGION);
    peer.mute = true;
    step_until(rig, &peer, in_sync);
    assert_int_equal(planes_ask_stats(rig->planes, on_stats_done, rig), 0);
    assert_int_equal(rig->info.silent_ms, 0);
    step_until(rig, &peer, stats_done); /* after a second */
    assert_int_equal(peer.stats_asked, 1);
    look(rig);
    assert_true(rig->info.silent_ms >= 1000);
    commit(rig, 1, 1);
    step_until(rig, &peer, in_sync);
    assert_int_equal(rig->info.silent_ms, 0);
    peer_close(&peer, REGION);
}

static void test_counters_without_data_planes(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(planes_ask_stats(rig->planes, on_stats_done, rig), 0);
    assert_int_equal(rig->stats_done, 1);
}

static void on_explained(void *arg, int error, const char *json, size_t length)
{
    struct rig *rig = arg;

    rig->explain_error = error;
    snprintf(rig->explain_json, sizeof(rig->explain_json), "%.*s", (int)length, json ? json : "");
    rig->explain_done++;
}

static void test_explain(void **state)
{
    static const uint8_t frame[60];
    struct rig *rig = *state;
    struct peer peer;

    assert_int_equal(planes_ask_explain(rig->planes, NULL, 0, frame, 60, on_explained, rig),
                     CULVERT_ENOTFOUND);
    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    assert_int_equal(planes_ask_explain(rig->planes, NULL, 9, frame, 60, on_explained, rig), 0);
    step_until(rig, &peer, explain_done);
    assert_int_equal(rig->explain_error, 0);
    assert_string_equal(rig->explain_json, "{\"ifindex\":9,\"bytes\":60}");

    peer.mute = true;
    rig->explain_done = 0;
    assert_int_equal(planes_ask_explain(rig->planes, NULL, 0, frame, 60, on_explained, rig), 0);
    step_until(rig, &peer, explain_done);
    assert_int_equal(rig->explain_error, CULVERT_ETIMEOUT);

    rig->explain_done = 0;
    assert_int_equal(planes_ask_explain(rig->planes, NULL, 0, frame, 60, on_explained, rig), 0);
    peer_close(&peer, REGION);
    step_until(rig, NULL, explain_done);
    assert_int_equal(rig->explain_error, CULVERT_ENOTFOUND);
}

/* ---- two data planes ---- */

static void on_name(void *arg, const struct plane_info *info)
{
    char *names = arg;
    size_t length = strlen(names);

    assert_true(info->connected);
    snprintf(names + length, 64 - length, "%s %llu %s,", info->name,
             (unsigned long long)info->generation, info->state ? info->state : "-");
}

static void expect_planes(struct rig *rig, const char *expected)
{
    char names[64] = "";

    planes_each(rig->planes, on_name, names);
    assert_string_equal(names, expected);
}

/* Steps the loop and two peers until both have what was committed and said and asked for. */
static void step_both(struct rig *rig, struct peer *xdp, struct peer *dpdk, const unsigned *asked)
{
    for (bool done = false; !done;) {
        bool some = peer_step(xdp);

        some |= peer_step(dpdk);
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        done = !some && tables_site_generation(xdp->tables) == rig->generation &&
               tables_site_generation(dpdk->tables) == rig->generation &&
               planes_settled(rig->planes) && (!asked || *asked);
        if (!some && !done)
            wait_readable(rig, xdp);
    }
}

static void expect_counters(struct rig *rig, uint64_t packets, uint64_t bytes)
{
    struct fp_counter reason = planes_counter(rig->planes, CHANNEL_STAT_REASON, FP_LB_IPIP);
    struct fp_counter vip = planes_counter(rig->planes, CHANNEL_STAT_VIP, 3);

    assert_int_equal(reason.packets, packets);
    assert_int_equal(vip.bytes, bytes);
}

static void test_two_data_planes(void **state)
{
    static const char dpdk_state[] = "[\"wan0\"]", xdp_state[] = "[\"eth1\"]";
    struct rig *rig = *state;
    struct peer xdp, dpdk;

    commit(rig, 1, 3000);
    peer_open(rig, &xdp, "xdp", REGION);
    peer_open(rig, &dpdk, "dpdk", REGION);
    channel_apply_send(xdp.apply, CHANNEL_STATE, xdp_state, strlen(xdp_state), NULL, 0);
    channel_apply_send(dpdk.apply, CHANNEL_STATE, dpdk_state, strlen(dpdk_state), NULL, 0);
    step_both(rig, &xdp, &dpdk, NULL);
    for (unsigned i = 0; i < 20; i++) { /* every transaction, one or many at a time */
        commit(rig, 3001 + i * 10, 10);
        if (i % 3)
            step_both(rig, &xdp, &dpdk, NULL);
    }
    step_both(rig, &xdp, &dpdk, NULL);
    expect_entries(&xdp, 1, 3200);
    expect_entries(&dpdk, 1, 3200);
    assert_memory_equal(tables_digests(xdp.tables), tables_digests(dpdk.tables),
                        TABLES_PARTS * sizeof(uint64_t));
    expect_planes(rig, "dpdk 21 [\"wan0\"],xdp 21 [\"eth1\"],");

    assert_int_equal(planes_ask_stats(rig->planes, on_stats_done, rig), 0);
    step_both(rig, &xdp, &dpdk, &rig->stats_done);
    assert_int_equal(xdp.stats_asked + dpdk.stats_asked, 2);
    expect_counters(rig, 14, 1000);
    peer_close(&dpdk, REGION);
    step_until(rig, &xdp, one_is_gone);
    expect_counters(rig, 14, 1000); /* what it counted stays counted */
    commit(rig, 5000, 1);
    while (tables_site_generation(xdp.tables) != rig->generation) {
        peer_step(&xdp);
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
    peer_close(&xdp, REGION);
}

static void test_explain_by_name(void **state)
{
    static const uint8_t frame[60];
    struct rig *rig = *state;
    struct peer xdp, dpdk;

    peer_open(rig, &xdp, "xdp", REGION);
    peer_open(rig, &dpdk, "dpdk", REGION);
    commit(rig, 1, 1);
    step_both(rig, &xdp, &dpdk, NULL);
    assert_int_equal(planes_ask_explain(rig->planes, "decap", 1, frame, 60, on_explained, rig),
                     CULVERT_ENOTFOUND);
    assert_int_equal(planes_ask_explain(rig->planes, "xdp", 1, frame, 60, on_explained, rig), 0);
    step_both(rig, &xdp, &dpdk, &rig->explain_done);
    assert_int_equal(xdp.explain_asked, 1);
    assert_int_equal(dpdk.explain_asked, 0);
    rig->explain_done = 0;
    assert_int_equal(planes_ask_explain(rig->planes, "dpdk", 1, frame, 60, on_explained, rig), 0);
    step_both(rig, &xdp, &dpdk, &rig->explain_done);
    assert_int_equal(dpdk.explain_asked, 1);
    peer_close(&dpdk, REGION);
    peer_close(&xdp, REGION);
}

static void test_held(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    peer_open(rig, &peer, "xdp", REGION);
    step_until(rig, &peer, in_sync);
    planes_hold(rig->planes, true);
    commit(rig, 1, 10);
    for (int i = 0; i < 50; i++) {
        assert_false(peer_step(&peer));
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
    assert_false(planes_settled(rig->planes));
    planes_hold(rig->planes, false);
    step_until(rig, &peer, in_sync);
    assert_true(planes_settled(rig->planes));
    expect_entries(&peer, 1, 10);
    peer_close(&peer, REGION);
}

static void test_too_many(void **state)
{
    struct rig *rig = *state;
    int fds[PLANES_MAX + 1];
    char c;

    for (unsigned i = 0; i <= PLANES_MAX; i++)
        fds[i] = dial(rig);
    while (recv(fds[PLANES_MAX], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        uv_run(&rig->loop, UV_RUN_ONCE);
    assert_int_equal(recv(fds[0], &c, 1, MSG_DONTWAIT), -1);
    for (unsigned i = 0; i <= PLANES_MAX; i++)
        close(fds[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_filled_then_followed),
        TEST(test_gone_is_remembered_until_it_comes_back),
        TEST(test_hostile_bytes_cost_only_that_connection),
        TEST(test_stuck_data_plane_holds_up_no_other),
        TEST(test_refused_transaction_is_an_error_and_tried_again),
        TEST(test_counters),
        TEST(test_counters_of_a_mute_data_plane),
        TEST(test_counters_without_data_planes),
        TEST(test_explain),
        TEST(test_two_data_planes),
        TEST(test_explain_by_name),
        TEST(test_held),
        TEST(test_too_many),
    };

    signal(SIGPIPE, SIG_IGN); /* as culvertd does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
