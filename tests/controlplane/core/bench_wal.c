/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the log is on a real disk: 64 clients, each with one entry of 256 bytes on its way, in
 * 16 groups; and one client. Beside it, the disk alone: one write of 4096 bytes and fdatasync().
 *
 *     bench_wal FOLDER [SECONDS]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/env_uv.h"
#include "controlplane/core/wal.h"

#define CLIENTS_MOST 64u
#define GROUPS 16u
#define LENGTH 256u
#define SNAPSHOT_EVERY 10000u
#define TIMES_MOST 4000000u

static struct env *env;
static struct wal *wal;
static uint64_t last[GROUPS], end, entries, writes, *times;
static const struct env_ops *real;

struct client {
    struct wal_sync sync;
    unsigned group;
    uint64_t begun;
};

static void counted_write(struct env *which, struct env_write *write)
{
    writes += write->sync;
    real->file_write(which, write);
}

static void client_append(struct client *client)
{
    static const uint8_t data[LENGTH];
    struct wal_entry entry = {.term = 1, .type = 1, .data = data, .length = LENGTH};
    uint64_t index = ++last[client->group];

    client->begun = env_now(env);
    if (wal_append(wal, client->group, index, &entry, 1))
        abort();
    if (index % SNAPSHOT_EVERY == 0 && wal_snapshot(wal, client->group, index, 1, 1000, NULL, 0))
        abort();
    wal_sync(wal, &client->sync);
}

static void client_synced(struct wal_sync *sync, int status)
{
    struct client *client = sync->arg;
    uint64_t now = env_now(env);

    if (status)
        abort();
    if (entries < TIMES_MOST)
        times[entries] = now - client->begun;
    entries++;
    if (now < end)
        client_append(client);
}

static int time_compare(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

static void clients_run(uv_loop_t *loop, unsigned count, double seconds)
{
    static struct client clients[CLIENTS_MOST];
    uint64_t start = env_now(env), took;
    size_t noted, median, late;

    entries = writes = 0;
    end = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < count; i++) {
        clients[i] = (struct client){.group = i % GROUPS};
        clients[i].sync = (struct wal_sync){.done = client_synced, .arg = &clients[i]};
        client_append(&clients[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    took = env_now(env) - start;
    noted = entries < TIMES_MOST ? (size_t)entries : TIMES_MOST;
    median = noted / 2;
    late = noted * 99 / 100;
    qsort(times, noted, sizeof(*times), time_compare);
    printf("%2u clients: %8.0f entries/s, %6.0f fsyncs/s, latency p50 %.0f us, p99 %.0f us\n",
           count, (double)entries * 1e9 / (double)took, (double)writes * 1e9 / (double)took,
           (double)times[median] / 1e3, (double)times[late] / 1e3);
}

/* The disk alone, over a file as the log's are. */
static void disk_run(const char *folder, double seconds)
{
    static const char block[4096];
    uint64_t start = env_now(env), count = 0;
    char path[512];
    int file;

    snprintf(path, sizeof(path), "%s/plain", folder);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || fallocate(file, 0, 0, 64 << 20) || fsync(file))
        abort();
    while ((double)(env_now(env) - start) < seconds * 1e9) {
        if (pwrite(file, block, sizeof(block), (off_t)(count++ % 16384 * sizeof(block))) < 0 ||
            fdatasync(file))
            abort();
    }
    printf("disk alone: %8.0f fdatasyncs/s of 4096 bytes\n",
           (double)count * 1e9 / (double)(env_now(env) - start));
    close(file);
    unlink(path);
}

int main(int argc, char **argv)
{
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    struct env_ops ops;
    struct env_uv *uv;
    uv_loop_t loop;
    char *problem;

    times = calloc(TIMES_MOST, sizeof(*times));
    if (argc < 2 || !times || uv_loop_init(&loop) || env_uv_open(&uv, &loop, argv[1], NULL))
        return 1;
    env = env_uv_env(uv);
    real = env->ops;
    ops = *real;
    ops.file_write = counted_write;
    env->ops = &ops;
    if (wal_open(&wal, env, NULL, &problem)) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        struct wal_group group;

        last[i] = wal_group(wal, i, &group) ? 0 : group.last;
    }
    disk_run(argv[1], seconds);
    for (unsigned i = 0; i < 3; i++)
        clients_run(&loop, CLIENTS_MOST, seconds);
    clients_run(&loop, 1, seconds);
    disk_run(argv[1], seconds);
    wal_close(wal);
    uv_run(&loop, UV_RUN_DEFAULT);
    env_uv_close(uv);
    uv_run(&loop, UV_RUN_DEFAULT);
    free(times);
    return uv_loop_close(&loop) != 0;
}
