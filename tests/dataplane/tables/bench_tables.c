/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the tables are written, and how much memory an entry takes. */
#include <time.h>

#include "dataplane/tables/channel_apply.h"
#include "dataplane/tables/channel_sync.h"
#include "tests/dataplane/tables/helper.h"

#define ENTRIES 1000000u
#define BODY 80u

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double put_all(struct tables *tables, uint8_t fill)
{
    double start = seconds();

    tables_begin(tables);
    for (unsigned i = 0; i < ENTRIES; i++)
        if (put_dns(tables, i, fill, BODY))
            abort();
    tables_commit(tables, fill);
    return seconds() - start;
}

static double put_one(struct tables *tables, unsigned rounds)
{
    double start = seconds();

    for (unsigned i = 0; i < rounds; i++) {
        tables_begin(tables);
        if (put_dns(tables, i * 7919 % ENTRIES, (uint8_t)(i + 3), BODY))
            abort();
        tables_commit(tables, i);
    }
    return (seconds() - start) / rounds;
}

static double reopen(struct tables *tables)
{
    struct tables_options options = {.base = tables_base(tables), .size = root_of(tables)->size};
    struct tables *again;
    double start = seconds();

    if (tables_open(&again, &options))
        abort();
    start = seconds() - start;
    tables_close(again);
    return start;
}

/* One direction, as far as it goes at once. */
static size_t move_down(struct channel_sync *sync, struct channel_apply *apply)
{
    const void *data;
    size_t length, room;
    void *to;

    if (channel_sync_output(sync, &data, &length))
        abort();
    if (!length)
        return 0;
    channel_apply_room(apply, &to, &room);
    length = length < room ? length : room;
    memcpy(to, data, length);
    channel_sync_sent(sync, length);
    if (channel_apply_add(apply, length))
        abort();
    return length;
}

static size_t move_up(struct channel_sync *sync, struct channel_apply *apply)
{
    const void *data;
    size_t length, room;
    void *to;

    if (channel_apply_output(apply, &data, &length))
        abort();
    if (!length)
        return 0;
    channel_sync_room(sync, &to, &room);
    length = length < room ? length : room;
    memcpy(to, data, length);
    channel_apply_sent(apply, length);
    if (channel_sync_add(sync, length))
        abort();
    return length;
}

/* A connection is made and both are in step. */
static double resync(struct tables *ours, struct tables *theirs)
{
    struct channel_apply *apply;
    struct channel_sync *sync;
    double start = seconds();

    if (channel_sync_new(&sync, ours, NULL) || channel_apply_new(&apply, theirs, "bench", NULL) ||
        channel_apply_start(apply))
        abort();
    while (move_up(sync, apply) + move_down(sync, apply))
        ;
    start = seconds() - start;
    if (memcmp(tables_digests(ours), tables_digests(theirs), TABLES_PARTS * sizeof(uint64_t)))
        abort();
    channel_apply_free(apply);
    channel_sync_free(sync);
    return start;
}

static void change_some(struct tables *tables)
{
    tables_begin(tables);
    for (unsigned i = 0; i < 1000; i++)
        if (put_dns(tables, i * 997, 77, BODY))
            abort();
    tables_commit(tables, 77);
}

int main(void)
{
    struct tables *tables = tables_new((size_t)1 << 30, 2), *peer = tables_new((size_t)1 << 30, 2);
    double fresh, again, one, fill, difference;
    struct tables_usage before, after;

    tables_usage(tables, &before);
    fresh = put_all(tables, 1);
    reclaim_all(tables);
    tables_usage(tables, &after);
    again = put_all(tables, 2);
    one = put_one(tables, 100000);
    fill = resync(tables, peer);
    change_some(tables);
    difference = resync(tables, peer);
    printf("{\"entries\": %u, \"body_bytes\": %u, \"put_all_s\": %.3f, \"replace_all_s\": %.3f, "
           "\"put_one_us\": %.2f, \"bytes_per_entry\": %.1f, \"recover_s\": %.3f, "
           "\"resync_all_s\": %.3f, \"resync_1000_s\": %.3f}\n",
           ENTRIES, BODY, fresh, again, one * 1e6, (double)(after.used - before.used) / ENTRIES,
           reopen(tables), fill, difference);
    tables_end(peer);
    tables_end(tables);
    return 0;
}
