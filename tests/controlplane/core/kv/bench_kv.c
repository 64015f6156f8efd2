/* SPDX-License-Identifier: Apache-2.0 */
/* The store on RocksDB alone: bench_kv [FOLDER [KEYS [VALUE BYTES]]]. Prints what it measures. */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store.h"

struct bench {
    struct kv_store *store;
    struct machine *machine;
    uint64_t index, keys;
    size_t value_length;
    char *value;
    uint64_t random;
    struct env env;
    struct env_work *work;
};

static void bench_work(struct env *env, struct env_work *work)
{
    struct bench *bench = (struct bench *)((char *)env - offsetof(struct bench, env));

    bench->work = work;
}

static const struct env_ops env_ops = {.work = bench_work};

static double clock_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double clock_s(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

/* A figure, and what it costs on a machine that has other things to do. */
struct meter {
    double wall, thread, process;
};

static struct meter meter_start(void)
{
    return (struct meter){clock_s(), clock_of(CLOCK_THREAD_CPUTIME_ID),
                          clock_of(CLOCK_PROCESS_CPUTIME_ID)};
}

static void meter_print(const char *name, const struct meter *start, uint64_t count)
{
    struct meter now = meter_start();

    printf("%-18s %9.0f/s, CPU %6.1f us, with RocksDB's threads %6.1f us\n", name,
           (double)count / (now.wall - start->wall),
           (now.thread - start->thread) / (double)count * 1e6,
           (now.process - start->process) / (double)count * 1e6);
}

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "bench_kv: %s failed\n", what);
    exit(1);
}

static unsigned long resident_kib(void)
{
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];

    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, "VmRSS:", 6))
            kib = strtoul(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static void open_store(struct bench *bench, const char *folder)
{
    struct kv_engine *engine;

    must(!kv_rocksdb_open(&engine, folder, NULL), "opening RocksDB");
    must(!kv_store_open(&bench->store, engine, &bench->env), "opening the store");
    bench->machine = kv_store_machine(bench->store);
}

static void flushed(void *arg, int status)
{
    must(!status, "a flush");
}

static void flush(struct bench *bench)
{
    bench->machine->ops->flush(bench->machine, flushed, NULL);
    bench->work->run(bench->work);
    bench->work->done(bench->work);
}

static uint64_t key_number(uint64_t i)
{
    return (i * 0x9e3779b97f4a7c15ull) >> 20;
}

/* A value that can't be compressed. */
static void new_value(struct bench *bench)
{
    for (size_t i = 0; i + 8 <= bench->value_length; i += 8) {
        bench->random ^= bench->random << 13;
        bench->random ^= bench->random >> 7;
        bench->random ^= bench->random << 17;
        memcpy(bench->value + i, &bench->random, 8);
    }
}

static void put(struct bench *bench, uint64_t i)
{
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};
    struct buffer bytes = {0}, result = {0};
    char key[40];

    new_value(bench);
    snprintf(key, sizeof(key), "/bench/%020" PRIu64, key_number(i % bench->keys));
    command.op.put.key = kv_text(key);
    command.op.put.value = (struct kv_slice){(uint8_t *)bench->value, bench->value_length};
    kv_command_encode(&command, &bytes);
    must(!bench->machine->ops->apply(bench->machine, ++bench->index, bytes.data, bytes.length,
                                     &result),
         "a put");
    buffer_free(&bytes);
    buffer_free(&result);
}

static void puts_measured(struct bench *bench, const char *name, uint64_t count)
{
    struct meter start = meter_start();

    for (uint64_t i = 0; i < count; i++)
        put(bench, i);
    meter_print(name, &start, count);
}

static void ranges(struct bench *bench, uint64_t count, uint64_t limit, uint64_t revision)
{
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};
    struct kv_range *range = &command.op.range;
    struct buffer result = {0};
    char key[40], end[40];

    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = key_number(i * 7919 % bench->keys);

        snprintf(key, sizeof(key), "/bench/%020" PRIu64, number);
        snprintf(end, sizeof(end), "/bench/%020" PRIu64,
                 number + limit * (((uint64_t)1 << 44) / bench->keys));
        *range = (struct kv_range){.keys.key = kv_text(key), .revision = revision};
        if (limit)
            range->keys.end = kv_text(end);
        buffer_clear(&result);
        must(!kv_store_read(bench->store, &command, &result), "a range");
    }
    buffer_free(&result);
}

static void ranges_measured(struct bench *bench, const char *name, uint64_t count, uint64_t limit,
                            uint64_t revision)
{
    struct meter start = meter_start();

    ranges(bench, count, limit, revision);
    meter_print(name, &start, count);
}

static void dump(struct bench *bench)
{
    struct buffer chunk = {0};
    struct machine_dump *reader;
    double start = clock_s();
    uint64_t index, bytes = 0;
    int more;

    must(!bench->machine->ops->dump_open(bench->machine, &reader, &index), "a dump");
    must(!bench->machine->ops->load_begin(bench->machine, index), "a load");
    do {
        buffer_clear(&chunk);
        more = bench->machine->ops->dump_next(reader, 1u << 20, &chunk);
        must(more >= 0, "a dump");
        bytes += chunk.length;
        must(!bench->machine->ops->load_chunk(bench->machine, chunk.data, chunk.length), "a load");
    } while (more);
    must(!bench->machine->ops->load_commit(bench->machine), "a load's commit");
    bench->machine->ops->dump_close(reader);
    printf("dump and load      %9.2f s, %" PRIu64 " MB\n", clock_s() - start, bytes >> 20);
    buffer_free(&chunk);
}

static void compact(struct bench *bench)
{
    struct kv_command command = {.kind = KV_COMPACT};
    struct buffer bytes = {0};
    struct kv_info info;
    double start = clock_s(), worst = 0, step;
    unsigned steps = 0;

    kv_store_info(bench->store, &info);
    command.revision = info.revision;
    do {
        step = clock_s();
        buffer_clear(&bytes);
        kv_command_encode(&command, &bytes);
        must(!bench->machine->ops->apply(bench->machine, ++bench->index, bytes.data, bytes.length,
                                         NULL),
             "a compaction");
        step = clock_s() - step;
        worst = step > worst ? step : worst;
        kv_store_info(bench->store, &info);
        command = (struct kv_command){.kind = KV_TIDY, .records = 500};
        steps++;
    } while (info.tidying);
    printf("compaction         %9.2f s, %u steps, the longest %.1f ms\n", clock_s() - start, steps,
           worst * 1e3);
    buffer_free(&bytes);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

/* What a process that has just been started needs, until it has answered once. */
static void restart(struct bench *bench, const char *folder)
{
    struct kv_info info;
    double start = clock_s();

    open_store(bench, folder);
    ranges(bench, 1, 0, 0);
    kv_store_info(bench->store, &info);
    bench->index = info.applied;
    printf("restart            %9.3f s, %" PRIu64 " keys, RSS %lu KiB\n", clock_s() - start,
           info.keys, resident_kib());
}

static void measure(struct bench *bench)
{
    struct kv_info info;

    kv_store_info(bench->store, &info);
    ranges_measured(bench, "gets", 200000, 0, 0);
    ranges_measured(bench, "ranges of 20", 20000, 20, 0);
    ranges_measured(bench, "same, in the past", 5000, 20, info.revision - 1);
    puts_measured(bench, "overwrites", bench->keys / 4);
    flush(bench);
    kv_store_info(bench->store, &info);
    printf("size               %9" PRIu64 " MB, %" PRIu64 " MB on the disk, RSS %lu KiB\n",
           info.size >> 20, info.disk >> 20, resident_kib());
    compact(bench);
    flush(bench);
    kv_store_info(bench->store, &info);
    printf("size after         %9" PRIu64 " MB, %" PRIu64 " MB on the disk, RSS %lu KiB\n",
           info.size >> 20, info.disk >> 20, resident_kib());
    dump(bench);
    printf("RSS after          %9lu KiB\n", resident_kib());
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/culvert-kv-XXXXXX";
    const char *place = argc > 1 ? argv[1] : mkdtemp(folder);
    struct bench bench = {.random = 88172645463325252ull, .env.ops = &env_ops};

    bench.keys = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    bench.value_length = argc > 3 ? strtoull(argv[3], NULL, 10) : 256;
    bench.value = calloc(1, bench.value_length + 1);
    must(place && bench.value, "memory");
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !access(place, F_OK)) {
        restart(&bench, place);
        measure(&bench);
    } else {
        open_store(&bench, place);
        puts_measured(&bench, "puts", bench.keys);
        flush(&bench);
        kv_store_close(bench.store);
        restart(&bench, place);
        if (argc <= 1)
            measure(&bench);
    }
    kv_store_close(bench.store);
    if (argc <= 1)
        nftw(place, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(bench.value);
    return 0;
}
