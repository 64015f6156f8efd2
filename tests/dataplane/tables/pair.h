/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of the channel and a wire between them that carries bytes in pieces of any size. */
#ifndef CULVERT_TESTS_TABLES_PAIR_H
#define CULVERT_TESTS_TABLES_PAIR_H

#include "dataplane/tables/channel_apply.h"
#include "dataplane/tables/channel_sync.h"
#include "tests/dataplane/tables/helper.h"

#define REGION (32 * MIB)

struct pair {
    struct tables *ours, *theirs; /* the control plane's, the data plane's */
    struct channel_sync *sync;
    struct channel_apply *apply;
    size_t down, up, most_waiting; /* bytes to the data plane, to the control plane */
    uint64_t random;
    unsigned acks, commits, states, replies, explained;
    int acked_error;
    char text[256];
    uint64_t stats_packets;
};

static inline void on_acked(void *arg, uint64_t generation, int error, const char *text,
                            size_t length)
{
    struct pair *pair = arg;

    pair->acks++;
    pair->acked_error = error;
    assert_true(length < sizeof(pair->text));
    memcpy(pair->text, text, length);
    pair->text[length] = 0;
}

static inline void on_state(void *arg, const char *json, size_t length)
{
    assert_int_equal(length, 2);
    assert_memory_equal(json, "{}", 2);
    ((struct pair *)arg)->states++;
}

static inline void on_stats(void *arg, uint32_t cookie, const struct channel_stat *stats,
                            size_t count, bool more)
{
    struct pair *pair = arg;

    assert_int_equal(cookie, 5);
    for (size_t i = 0; i < count; i++)
        pair->stats_packets += stats[i].packets;
    pair->replies += !more;
}

static inline void on_explained(void *arg, uint32_t cookie, const char *json, size_t length)
{
    assert_int_equal(cookie, 6);
    assert_int_equal(length, 7);
    ((struct pair *)arg)->explained++;
}

static inline void on_committed(void *arg, uint64_t generation, int error)
{
    ((struct pair *)arg)->commits += !error;
}

static inline void on_explain(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame,
                              size_t length)
{
    struct pair *pair = arg;
    uint32_t head[2] = {cookie, 0};

    assert_int_equal(ifindex, 3);
    assert_int_equal(length, 60);
    assert_int_equal(
        channel_apply_send(pair->apply, CHANNEL_EXPLAIN_REPLY, head, sizeof(head), "{\"a\":1}", 7),
        0);
}

static inline void sync_connect(struct pair *pair)
{
    const struct channel_sync_hooks hooks = {.arg = pair,
                                             .acked = on_acked,
                                             .state = on_state,
                                             .stats = on_stats,
                                             .explained = on_explained};

    channel_sync_free(pair->sync);
    assert_int_equal(channel_sync_new(&pair->sync, pair->ours, &hooks), 0);
    assert_int_equal(channel_apply_start(pair->apply), 0);
    pair->down = pair->up = 0;
}

static inline int setup(void **state)
{
    static struct pair pair;
    const struct channel_apply_hooks hooks = {
        .arg = &pair, .committed = on_committed, .explain = on_explain};

    memset(&pair, 0, sizeof(pair));
    pair.random = 99;
    pair.ours = tables_new(REGION, 0);
    pair.theirs = tables_new(REGION, 2);
    assert_int_equal(channel_apply_new(&pair.apply, pair.theirs, "test", &hooks), 0);
    sync_connect(&pair);
    *state = &pair;
    return 0;
}

static inline int teardown(void **state)
{
    struct pair *pair = *state;

    channel_apply_free(pair->apply);
    channel_sync_free(pair->sync);
    tables_end(pair->ours);
    tables_end(pair->theirs);
    return 0;
}

/* Some of the bytes that wait, as many as a socket might take. */
static inline size_t some(struct pair *pair, size_t waiting, size_t room)
{
    size_t bytes = 1 + random_next(&pair->random) % 50000;

    if (pair->most_waiting < waiting)
        pair->most_waiting = waiting;
    bytes = bytes < waiting ? bytes : waiting;
    return bytes < room ? bytes : room;
}

static inline size_t move_down(struct pair *pair)
{
    const void *data;
    size_t length, room;
    void *to;

    assert_int_equal(channel_sync_output(pair->sync, &data, &length), 0);
    if (!length)
        return 0;
    channel_apply_room(pair->apply, &to, &room);
    length = some(pair, length, room);
    memcpy(to, data, length);
    channel_sync_sent(pair->sync, length);
    assert_int_equal(channel_apply_add(pair->apply, length), 0);
    pair->down += length;
    return length;
}

static inline size_t move_up(struct pair *pair)
{
    const void *data;
    size_t length, room;
    void *to;

    assert_int_equal(channel_apply_output(pair->apply, &data, &length), 0);
    if (!length)
        return 0;
    channel_sync_room(pair->sync, &to, &room);
    length = some(pair, length, room);
    memcpy(to, data, length);
    channel_apply_sent(pair->apply, length);
    assert_int_equal(channel_sync_add(pair->sync, length), 0);
    pair->up += length;
    return length;
}

/* Until nothing is left to say, or `bytes` travelled down. */
static inline void talk_until(struct pair *pair, size_t bytes)
{
    while (move_down(pair) + move_up(pair) && pair->down < bytes)
        ;
}

static inline void talk(struct pair *pair)
{
    talk_until(pair, SIZE_MAX);
}

#endif
